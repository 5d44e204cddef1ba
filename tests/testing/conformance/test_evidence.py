"""Readers that are not simulated, and those that print otherwise: the bytes say what is wrong."""

import pytest

import arches
from layout.images.image import Image
from layout.mapletree import MapleTree
from layout.memory.errors import MachineFault
from layout.memory.node import PIVOT
from layout.memory.pointers import LEAF_64
from layout.testing.conformance import check
from layout.testing.conformance.evidence import find_evidence
from layout.testing.conformance.walker import Lost, Reader


class LastByte(Reader):
    """The data end in a node's last byte."""

    def meta_end(self, words, _mt):
        return words[-1] & 0xFF


class SlotMore(Reader):
    """One slot behind the data end."""

    def last_slot(self, words, mt, high):
        return min(self.end(words, mt, high) + (mt == LEAF_64), self.sizes.slots[mt] - 1)


class SkipsFirst(Reader):
    """Slot 0 is no slot."""

    def wants(self, _first, _last, i):
        return i > 0


class EvenSlots(Reader):
    """Two steps at a time."""

    def wants(self, _first, _last, i):
        return i % 2 == 0


class StopsAtNull(Reader):
    """NULL ends a leaf."""

    def slots(self, words, mt, low, high, last_slot, level):
        if mt == LEAF_64:
            for i in range(last_slot + 1):
                if not self.slot(words, mt, i):
                    last_slot = i - 1
                    break
        super().slots(words, mt, low, high, last_slot, level)


class PivotBefore(Reader):
    """A slot's pivot is that of the slot before it."""

    def last(self, words, mt, i, last_slot, high):
        return words[PIVOT + i - 1] if mt == LEAF_64 and i else high if i == last_slot else 0


class NoMax(Reader):
    """The last range ends where its pivot says, also where that is 0."""

    def last(self, words, mt, i, last_slot, high):
        return self.pivot(words, mt, i, high) if mt == LEAF_64 else super().last(
            words, mt, i, last_slot, high
        )  # fmt: skip


class Inverted(Reader):
    """Pivots are printed where entries are."""

    def entry(self, first, last, _entry):
        super().entry(first, last, last)


class Masked(Reader):
    """Entries are aligned pointers, it thinks."""

    def entry(self, first, last, entry):
        super().entry(first, last, entry & ~0xFFF)


class OnePerEntry(Reader):
    """An entry is told once."""

    def entry(self, first, last, entry):
        if entry not in {found[2] for found in self.found}:
            super().entry(first, last, entry)


class LastLeafOnly(Reader):
    """Each leaf replaces what was found before."""

    def node(self, word, low, high, level):
        if self.type(word) == LEAF_64:
            self.found.clear()
        super().node(word, low, high, level)


class Relative(Reader):
    """Indexes of a leaf start at 0."""

    def slots(self, words, mt, low, high, last_slot, level):
        start = len(self.found)
        super().slots(words, mt, low, high, last_slot, level)
        if mt == LEAF_64:
            self.found[start:] = [(a - low, b - low, e) for a, b, e in self.found[start:]]


class EntriesAreNodes(Reader):
    """What looks like a node is followed, in leaves too."""

    def visit(self, word, mt, first, last, level):
        if mt == LEAF_64 and word & 3 == 2 and word > 0x1000:
            self.node(word, first, last, level + 1)
        else:
            super().visit(word, mt, first, last, level)


READERS = (
    LastByte, SlotMore, SkipsFirst, EvenSlots, StopsAtNull, PivotBefore, NoMax, Inverted, Masked,
    OnePerEntry, LastLeafOnly, Relative, EntriesAreNodes,
)  # fmt: skip
PRINTED = {
    "inclusive": lambda row: row,
    "exclusive": lambda row: (row[0], row[1] + 1, row[2]),
    "sizes": lambda row: (row[0], row[1] - row[0] + 1, row[2]),
}


def callback(kind, how):
    def read(memory, tree):
        mem = memory.mem
        reader = kind(Image(mem.arch, mem.profile, mem, tree, "a test", "core"))
        try:
            reader.start()
        except (MachineFault, Lost):
            raise ValueError("lost") from None
        return [PRINTED[how](row) for row in reader.found]

    return read


@pytest.mark.long
@pytest.mark.parametrize("how", PRINTED)
def test_nearly_all_failures_have_a_cause(how):
    """Fewer than one in ten is not known, of every reader."""
    shares = {}
    for kind in READERS:
        result = check(
            callback(kind, how),
            arches=["s390x", "x86_64"],
            pattern=["*-6.12-*leaf", "*-6.12-two-levels*"],
        )  # fmt: skip
        causes = [failure.cause for failure in result.failures]
        assert causes, kind
        shares[kind.__name__] = causes.count("not known") / len(causes)
    assert {name: share for name, share in shares.items() if share >= 0.1} == {}


def tree(arch="s390x"):
    made = MapleTree(arch)
    for i in range(20):
        made.store(i << 12, (i << 12) + 0xFFF, 0xABC005 + (i << 8))
    return made


def evidence(change, arch="s390x"):
    """What an answer shows that was changed: ``change(rows)`` gives the wrong rows."""
    made = tree(arch)
    right = [tuple(each) for each in made.ranges()]
    return find_evidence(made.image(), right, change(list(right)))


def test_metadata_and_where_it_is():
    made = tree()
    leaf = made.nodes()[1]
    word = made.machine.mem.read_word(leaf.address + 248, "")
    found = evidence(lambda rows: [*rows, (1 << 40, 1 << 41, word)])
    assert found.cause == "metadata read as an entry"
    assert (
        found.where
        == f"{word:#x} is the word at the metadata of leaf_64 {leaf.address:x}, byte 248"
    )


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        (lambda r: [(a, b + 1, e) for a, b, e in r], "ends told as exclusive"),
        (lambda r: [(a, b - 1, e) for a, b, e in r], "ends told one too low"),
        (lambda r: [(a, b, e & ~0x3) for a, b, e in r], "low bits of entries cut off"),
        (lambda r: [(a, b, e & 0xFFFF) for a, b, e in r], "entries cut to 16 bits"),
        (lambda r: [(a >> 12, b >> 12, e) for a, b, e in r], "indexes shifted right by 12"),
        (lambda r: [*r, r[3]], "ranges told more than once"),
        (lambda r: r[:12], "the walk ends too early"),
        (lambda _: [], "no range told"),
        (lambda r: [x for x in r if x[0] != 0x4000], "ranges dropped"),
        (lambda r: [(0, b, e) for a, b, e in r], "a range drawn from the start of its node"),
        (lambda r: [(r[0][0], r[1][1], r[0][2]), *r[2:]], "neighbours merged into one range"),
        (lambda r: [(a, b, b) for a, b, e in r], "a pivot told as an entry"),
        (lambda r: [(7, 7, 7), *r], None),
    ],
)  # fmt: skip
def test_causes(change, cause):
    for arch in ("s390x", "x86_64"):
        found = evidence(change, arch)
        assert (found and found.cause) == cause


def test_byte_order():
    def swap(rows):
        return [(a, b, int.from_bytes(e.to_bytes(8, "big"), "little")) for a, b, e in rows]

    for arch in ("s390x", "sparc64", "x86_64"):
        assert evidence(swap, arch).cause == "entries read in the wrong byte order"
    assert arches.get("s390x").byteorder == "big"
