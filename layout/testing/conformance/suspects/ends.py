"""Readers that are wrong about where a node's data ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layout.memory.pointers import ARANGE_64, LEAF_64, RANGE_64
from layout.testing.conformance.walker import Reader

if TYPE_CHECKING:
    from layout.memory.node import Words


_NO_INDEX = -1
"""The last index of no node."""


class _LastPivotUsed(Reader):
    """Any last pivot that is not 0 means a full node: the kernel's check of max is missing."""

    def end(self, words: Words, mt: int, high: int) -> int:
        return super().end(words, mt, _NO_INDEX)


class _AllSlots(Reader):
    """All slots of a node are visited, in use or not, NULL children left out."""

    def last_slot(self, words: Words, mt: int, high: int) -> int:
        return self.sizes.slots[mt] - 1

    def visit(self, word: int, mt: int, first: int, last: int, level: int) -> None:
        if word:
            super().visit(word, mt, first, last, level)


class MetadataAsEntry(_LastPivotUsed):
    """A leaf whose last pivot is the node's end is taken for full."""

    CAUSE = "metadata read as an entry"

    def end(self, words: Words, mt: int, high: int) -> int:
        return super().end(words, mt, high) if mt == LEAF_64 else Reader.end(self, words, mt, high)


class MetadataAsEntryWrapped(MetadataAsEntry):
    """The same with the start of the range wrapped around, as C does."""

    def following(self, first: int, last: int) -> int:
        return last + 1 & self.top


class MetadataAsEntryInAllSlots(_AllSlots):
    """All slots of a leaf are visited, those above leaves up to the data end."""

    CAUSE = "metadata read as an entry"

    def last_slot(self, words: Words, mt: int, high: int) -> int:
        if mt == LEAF_64:
            return self.sizes.slots[mt] - 1
        return self.end(words, mt, high)


class MetadataAsEntryBehindEnd(MetadataAsEntryInAllSlots):
    """The same; a pivot that is 0 does not move on."""

    def following(self, first: int, last: int) -> int:
        return last + 1 if last else first


class MetadataAsChild(_LastPivotUsed):
    """The same for nodes above the leaves."""

    CAUSE = "metadata followed as a child"

    def end(self, words: Words, mt: int, high: int) -> int:
        return Reader.end(self, words, mt, high) if mt == LEAF_64 else super().end(words, mt, high)


class MetadataAsBoth(_LastPivotUsed):
    """Leaves and others alike."""

    CAUSE = "metadata read as a slot"


class MetadataAsBothInAllSlots(_AllSlots):
    """All slots of all nodes."""

    CAUSE = "metadata read as a slot"


class AllSlotsAbove15(_AllSlots):
    """All slots of all nodes, but words that have only their lowest four bits."""

    CAUSE = "all slots read, in use or not, and metadata; words below 16 dropped"

    def visit(self, word: int, mt: int, first: int, last: int, level: int) -> None:
        super().visit(word if word >> 4 else 0, mt, first, last, level)


class LastSlotDropped(Reader):
    """Full nodes end one slot early."""

    CAUSE = "last slot of a full node dropped (the 16th, on 32-bit machines the 32nd)"

    def end(self, words: Words, mt: int, high: int) -> int:
        return min(super().end(words, mt, high), self.sizes.slots[mt] - 2)

    def last(self, words: Words, mt: int, i: int, last_slot: int, high: int) -> int:
        return self.pivot(words, mt, i, high) or (high if i else 0)


class LastLeafSlotDropped(LastSlotDropped):
    """Full leaves end one slot early."""

    def end(self, words: Words, mt: int, high: int) -> int:
        return super().end(words, mt, high) if mt == LEAF_64 else Reader.end(self, words, mt, high)


class DataEndDropped(Reader):
    """The slot at the data end is left out."""

    CAUSE = "slot at the data end dropped"

    def last_slot(self, words: Words, mt: int, high: int) -> int:
        return self.end(words, mt, high) - 1

    def last(self, words: Words, mt: int, i: int, last_slot: int, high: int) -> int:
        return self.pivot(words, mt, i, high)


class LeafDataEndDropped(DataEndDropped):
    """The same in leaves alone."""

    def last_slot(self, words: Words, mt: int, high: int) -> int:
        return self.end(words, mt, high) - (mt == LEAF_64)

    def last(self, words: Words, mt: int, i: int, last_slot: int, high: int) -> int:
        if mt == LEAF_64:
            return self.pivot(words, mt, i, high)
        return Reader.last(self, words, mt, i, last_slot, high)


class MetadataInFullNode(Reader):
    """The data end is always taken from the metadata bytes, entry or not."""

    CAUSE = "metadata read where a full node has none"

    def end(self, words: Words, mt: int, high: int) -> int:
        return self.meta_end(words, mt)


class MetadataInFullNodeClipped(MetadataInFullNode):
    """The same, at most the last slot."""

    def end(self, words: Words, mt: int, high: int) -> int:
        return min(super().end(words, mt, high), self.sizes.slots[mt] - 1)


class MetadataFromLowByte(Reader):
    """The data end is taken from the low byte of the last word, where little-endians have it."""

    CAUSE = "metadata taken from the low byte of a word, as on a little-endian machine"

    def meta_end(self, words: Words, mt: int) -> int:
        return words[self.mem.meta_offset[mt] // self.mem.word_size] & 0xFF


class StaleSlots(Reader):
    """Slots behind the data end are visited, the metadata is not."""

    CAUSE = "slots behind the data end visited"
    only: tuple[int, ...] = (LEAF_64, RANGE_64, ARANGE_64)

    def last_slot(self, words: Words, mt: int, high: int) -> int:
        end, slots = self.end(words, mt, high), self.sizes.slots[mt]
        if mt not in self.only or end == slots - 1:
            return end
        return slots - 1 if mt == ARANGE_64 else slots - 2

    def last(self, words: Words, mt: int, i: int, last_slot: int, high: int) -> int:
        return (
            self.pivot(words, mt, i, high)
            if mt in self.only
            else super().last(words, mt, i, last_slot, high)
        )

    def visit(self, word: int, mt: int, first: int, last: int, level: int) -> None:
        if word:
            super().visit(word, mt, first, last, level)


class StaleEntries(StaleSlots):
    """In leaves alone."""

    CAUSE = "entries behind the data end of a leaf read"
    only = (LEAF_64,)


class StaleChildren(StaleSlots):
    """Above the leaves alone."""

    CAUSE = "dead slots of an inner node followed"
    only = (RANGE_64, ARANGE_64)


class StaleUntilZero(StaleChildren):
    """Above the leaves, up to the first empty slot."""

    def visit(self, word: int, mt: int, first: int, last: int, level: int) -> None:
        if not (first and not last):
            super().visit(word, mt, first, last, level)


class ZeroPivotEnds(Reader):
    """A last pivot of 0 ends the node before its slot."""

    CAUSE = "a last pivot of 0 taken as the end of the data"

    def last(self, words: Words, mt: int, i: int, last_slot: int, high: int) -> int:
        return self.pivot(words, mt, i, high)

    def goes_on(self, first: int, last: int, high: int, i: int) -> bool:
        return bool(last or not i)


class FirstPivotZeroEnds(Reader):
    """A first pivot of 0 ends the node."""

    CAUSE = "a first pivot of 0 taken as the end of the data"

    def goes_on(self, first: int, last: int, high: int, i: int) -> bool:
        return last != 0


class FirstPivotZeroSkipped(Reader):
    """A first range of index 0 alone is left out."""

    CAUSE = "a range of index 0 alone dropped"

    def wants(self, first: int, last: int, i: int) -> bool:
        return last != 0
