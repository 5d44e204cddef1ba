"""Readers that are wrong about entries, and about roots that are entries."""

from __future__ import annotations

from layout.memory.pointers import LEAF_64, RESERVED_RANGE, XA_ZERO_ENTRY
from layout.testing.conformance.walker import Lost, Reader


class NullShown(Reader):
    """NULL ranges are told, too."""

    CAUSE = "NULL ranges told"

    def visit(self, word: int, mt: int, first: int, last: int, level: int) -> None:
        if mt == LEAF_64:
            self.entry(first, last, word)
        else:
            super().visit(word, mt, first, last, level)


class NoValues(Reader):
    """Numbers are left out."""

    CAUSE = "value entries dropped"

    def entry(self, first: int, last: int, entry: int) -> None:
        if not entry & 1:
            super().entry(first, last, entry)


class NoValuesInLeaves(NoValues):
    """Numbers are left out of leaves; one that is the root is told."""

    def single(self, root: int) -> None:
        self.found.append((0, 0, root))


class NoEntriesBelow16(Reader):
    """Entries below 16 are left out."""

    CAUSE = "entries below 16 dropped"
    least = 16

    def entry(self, first: int, last: int, entry: int) -> None:
        if entry >= self.least:
            super().entry(first, last, entry)


class NoEntriesBelow4096(NoEntriesBelow16):
    """Entries below 4096 are left out."""

    CAUSE = "entries below 4096 dropped"
    least = RESERVED_RANGE


class NoEntriesBelow256(NoEntriesBelow16):
    """Entries below 256 are left out."""

    CAUSE = "entries below 256 dropped"
    least = 256


class ZeroHidden(Reader):
    """XA_ZERO is taken for NULL."""

    CAUSE = "XA_ZERO hidden"

    def entry(self, first: int, last: int, entry: int) -> None:
        if entry != XA_ZERO_ENTRY:
            super().entry(first, last, entry)


class EntriesUntagged(Reader):
    """The low bits of entries are cut off."""

    CAUSE = "low bits of entries cut off"
    mask = 0xFF

    def entry(self, first: int, last: int, entry: int) -> None:
        super().entry(first, last, entry & ~self.mask)


class EntriesUntagged2(EntriesUntagged):
    """Two bits."""

    mask = 3


class EntriesUntagged3(EntriesUntagged):
    """Three bits."""

    mask = 7


class EntriesWithoutLowNibble(EntriesUntagged):
    """Four bits."""

    mask = 15


class ValuesDecoded(Reader):
    """Numbers are told as what they stand for."""

    CAUSE = "value entries told without their tag bit"

    def entry(self, first: int, last: int, entry: int) -> None:
        super().entry(first, last, entry >> 1 if entry & 1 else entry)


class RootEntryDropped(Reader):
    """A root that is an entry is taken for an empty tree."""

    CAUSE = "a root that is an entry dropped"

    def single(self, root: int) -> None:
        pass


class RootEntryFollowed(Reader):
    """A root that is an entry is followed as a node."""

    CAUSE = "a root that is an entry followed as a node"

    def single(self, root: int) -> None:
        self.node(root, 0, self.top, 1)


class NullRootFollowed(Reader):
    """A NULL root is followed as a node."""

    CAUSE = "a NULL root followed as a node"

    def start(self) -> None:
        if not self.root():
            raise Lost
        super().start()


class RootEntryEverywhere(Reader):
    """A root that is an entry is told for all indexes."""

    CAUSE = "a root that is an entry told for more than index 0"

    def single(self, root: int) -> None:
        self.entry(0, self.top, root)
