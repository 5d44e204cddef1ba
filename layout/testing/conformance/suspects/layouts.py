"""Readers that are wrong about machines and kinds of nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layout.memory.pointers import ARANGE_64, LEAF_64, RANGE_64
from layout.testing.conformance.walker import Lost, Reader

if TYPE_CHECKING:
    from layout.memory.node import Words


class SwappedWords(Reader):
    """All words are read in the other byte order."""

    CAUSE = "words read in the wrong byte order"

    def swap(self, word: int) -> int:
        size = self.bits // 8
        return int.from_bytes(word.to_bytes(size, "little"), "big")

    def root(self) -> int:
        return self.swap(super().root())

    def words(self, address: int, mt: int) -> Words:
        return tuple(self.swap(word) for word in super().words(address, mt))


class SwappedPivots(SwappedWords):
    """Pivots are."""

    CAUSE = "pivots read in the wrong byte order"

    def root(self) -> int:
        return Reader.root(self)

    def words(self, address: int, mt: int) -> Words:
        words = Reader.words(self, address, mt)
        slot0 = self.mem.slot0[mt]
        return (words[0], *(self.swap(word) for word in words[1:slot0]), *words[slot0:])


class CutTo32(Reader):
    """Words are cut to 32 bits."""

    CAUSE = "words cut to 32 bits"
    width = 32

    def root(self) -> int:
        return super().root() & (1 << self.width) - 1

    def words(self, address: int, mt: int) -> Words:
        return tuple(word & (1 << self.width) - 1 for word in super().words(address, mt))


class CutTo48(CutTo32):
    """Words are cut to 48 bits."""

    CAUSE = "words cut to 48 bits"
    width = 48


class EntriesCutTo48(Reader):
    """Entries are told without the bits above 48."""

    CAUSE = "entries cut to 48 bits"
    width = 48

    def entry(self, first: int, last: int, entry: int) -> None:
        super().entry(first, last, entry & (1 << self.width) - 1)


class EntriesCutTo32(EntriesCutTo48):
    """Entries are told without the bits above 32."""

    CAUSE = "entries cut to 32 bits"
    width = 32


class SignExtended(Reader):
    """Entries of 32-bit machines are told with 64 bits, the upper ones copies of the highest."""

    CAUSE = "entries sign-extended to 64 bits"

    def entry(self, first: int, last: int, entry: int) -> None:
        super().entry(first, last, self.signed(entry) & 0xFFFFFFFFFFFFFFFF)


class IndexesCutTo48(Reader):
    """Indexes are told without the bits above 48."""

    CAUSE = "indexes cut to 48 bits"

    def entry(self, first: int, last: int, entry: int) -> None:
        mask = (1 << 48) - 1
        super().entry(first & mask, last & mask, entry)


class LowNodesRefused(Reader):
    """Nodes in the lower half of the address space are taken for no nodes."""

    CAUSE = "nodes at low addresses refused"

    def node(self, word: int, low: int, high: int, level: int) -> None:
        if word >> self.bits - 1:
            super().node(word, low, high, level)


class LowNodesCrash(LowNodesRefused):
    """They end the reader."""

    def node(self, word: int, low: int, high: int, level: int) -> None:
        if not word >> self.bits - 1:
            raise Lost
        super().node(word, low, high, level)


class RangeAsArange(Reader):
    """Nodes with gaps are read as nodes without."""

    CAUSE = "arange_64 nodes read as range_64"

    def type(self, word: int) -> int:
        mt = super().type(word)
        return RANGE_64 if mt == ARANGE_64 else mt


class ArangeAsRange(Reader):
    """Nodes without gaps are read as nodes with."""

    CAUSE = "range_64 nodes read as arange_64"

    def type(self, word: int) -> int:
        mt = super().type(word)
        return ARANGE_64 if mt == RANGE_64 else mt


class ArangeRefused(Reader):
    """Only nodes without gaps are known."""

    CAUSE = "arange_64 nodes not read"

    def node(self, word: int, low: int, high: int, level: int) -> None:
        if self.type(word) != ARANGE_64:
            super().node(word, low, high, level)


class RangeRefused(Reader):
    """Only nodes with gaps are known above the leaves."""

    CAUSE = "range_64 nodes not read"

    def node(self, word: int, low: int, high: int, level: int) -> None:
        if self.type(word) != RANGE_64:
            super().node(word, low, high, level)


class OneLevel(Reader):
    """Nothing below the root is read."""

    CAUSE = "nothing below the root read"
    deepest = 1

    def node(self, word: int, low: int, high: int, level: int) -> None:
        if level <= self.deepest:
            super().node(word, low, high, level)


class TwoLevels(OneLevel):
    """Nothing below the second level is read."""

    CAUSE = "nothing below the second level read"
    deepest = 2


class ThreeLevels(OneLevel):
    """Nothing below the third level is read."""

    CAUSE = "nothing below the third level read"
    deepest = 3


class FirstLeaf(Reader):
    """Only the first child of each node is read."""

    CAUSE = "only the first leaf read"

    def slots(self, words: Words, mt: int, low: int, high: int, last_slot: int, level: int) -> None:
        super().slots(words, mt, low, high, last_slot if mt == LEAF_64 else 0, level)

    def last(self, words: Words, mt: int, i: int, last_slot: int, high: int) -> int:
        if mt == LEAF_64:
            return super().last(words, mt, i, last_slot, high)
        return self.pivot(words, mt, i, high)
