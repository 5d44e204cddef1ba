"""Machines put together of plain code and what stands in front of it."""

from __future__ import annotations

import pytest

from layout import MapleTree
from layout.defects import operations
from layout.machine.equip import equip
from layout.machine.watch.check import CHECK
from layout.machine.watch.journal import JOURNAL
from layout.machine.watch.ledger import LEDGER
from layout.machine.watch.sections import POISON, SECTIONS
from layout.machine.watch.watch import Watch
from layout.memory.errors import UsageError
from layout.memory.node import NodeMemory
from layout.tree.kernel import Kernel


class Watching(Kernel):
    def mas_next(self, mas, limit):
        self.seen = entry = super().mas_next(mas, limit)
        return entry


class Counting(NodeMemory):
    written = 0

    def set_slot(self, node, mt, i, value):
        self.written += 1
        super().set_slot(node, mt, i, value)


def test_nothing_in_front_is_the_plain_code():
    machine = equip("x86_64")
    assert machine.kernel_class is Kernel
    assert machine.memory_class is NodeMemory


def test_a_watcher_sees_what_a_defect_returns():
    machine = equip("s390x", kernels=operations(["R1"]), watch=[Watch(kernel=Watching)])
    kernel, tree = machine.kernel, machine.tree(0)
    for i in range(7):
        kernel.mtree_store_range(tree, 0x10000 + 0x2000 * i, 0x10FFF + 0x2000 * i, 0x2A0001)
    mas = kernel.new_state(tree, 0x100000, 0x100FFF)
    kernel.mas_find(mas, 0x100FFF)
    kernel.mas_next(mas, 2**64 - 1)
    assert kernel.seen == 0x0E00000000000000


def test_memory_in_front():
    machine = equip("x86_64", watch=[Watch(memory=Counting)])
    machine.kernel.mtree_store_range(machine.tree(0), 5, 9, 0x1000)
    assert machine.mem.written == 1


def test_trees_of_the_python_api():
    tree = MapleTree("x86_64", defects=["R3b"])
    for i in range(211):
        tree.store(0x1000 * i, 0x1000 * i + 0xFFF, 0x2A000000 + 0x100 * i)
    with pytest.raises(Exception, match="NULL pointer dereference"):
        tree.clear()
    with pytest.raises(UsageError, match="unknown defect 'R0': there are R1"):
        MapleTree("x86_64", defects=["R0"])
    with pytest.raises(UsageError, match="defects and watches are of a machine"):
        MapleTree(machine=equip("x86_64"), defects=["R1"])


def own_names(watch):
    """The attributes that a watch sets on the kernel, the memory and the cache in use."""
    plain, watched = equip("s390x", in_python=True), equip("s390x", watch=[watch])
    for machine in (plain, watched):
        for i in range(40):
            machine.kernel.mtree_store_range(
                machine.tree(0), 16 * i, 16 * i + 7, 0x2A0001 + 256 * i
            )
        machine.kernel.mtree_load(machine.tree(0), 16)
    return {
        (part, name)
        for part in ("kernel", "mem", "cache")
        for name in vars(getattr(watched, part)).keys() - vars(getattr(plain, part)).keys()
    }


@pytest.mark.parametrize("one", [CHECK, JOURNAL])
@pytest.mark.parametrize("other", [LEDGER, SECTIONS, POISON])
def test_watches_on_one_machine_do_not_share_an_attribute(one, other):
    shared = own_names(one) & own_names(other)
    assert not shared


def test_ledger_and_sections_do_not_share_an_attribute():
    assert not own_names(LEDGER) & own_names(SECTIONS)
