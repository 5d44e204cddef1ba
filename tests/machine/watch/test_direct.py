"""Reads in one call: not where somebody else looks at them."""

import pytest

from layout.machine.equip import equip
from layout.machine.watch.check import CHECK
from layout.machine.watch.ledger import LEDGER
from layout.machine.watch.watch import Watch
from layout.memory.node import NodeMemory
from layout.memory.quick import QuickReads, looks_at_reads


class Reads(NodeMemory):
    """Counts reads of words and bytes."""

    words = octets = 0

    def read_word(self, address, doing="a word"):
        self.words += 1
        return super().read_word(address, doing)

    def read_u8(self, address, doing="a byte"):
        self.octets += 1
        return super().read_u8(address, doing)


READS = Watch(memory=Reads)


def stored(*watch):
    machine = equip("s390x", watch=watch)
    tree = machine.tree(0)
    for i in range(40):
        machine.kernel.mtree_store_range(tree, i << 4, i << 4 | 7, 0x1001)
    return machine.mem


def test_another_watch_sees_all_reads():
    seen = [(mem.words, mem.octets) for mem in (stored(READS), stored(READS, LEDGER))]
    assert seen[0] == seen[1]
    assert min(seen[0]) > 100
    before, behind = stored(READS, CHECK), stored(CHECK, READS)
    assert (before.words, before.octets) == (behind.words, behind.octets)
    assert before.words >= seen[0][0]


@pytest.mark.parametrize(
    ("watch", "others"),
    [([CHECK], False), ([CHECK, LEDGER], False), ([LEDGER, CHECK], False), ([CHECK, READS], True)],
)
def test_reads_are_direct_where_nobody_else_looks(watch, others):
    assert stored(*watch)._direct is not others


def test_whoever_defines_a_read_looks_at_reads():
    assert looks_at_reads(Reads)
    assert looks_at_reads(CHECK.memory)
    assert not looks_at_reads(Reads, [Reads])
    assert not looks_at_reads(LEDGER.memory)
    assert not looks_at_reads(QuickReads)
    assert isinstance(equip("s390x", watch=[LEDGER], in_python=True).mem, QuickReads)
    assert not isinstance(stored(LEDGER, READS), QuickReads)
