"""Readers that are wrong about indexes: how they compare, and where slots start and end."""

from __future__ import annotations

from layout.testing.conformance.walker import Reader


class SignedSkips(Reader):
    """Slots whose last index is less than their first, as signed numbers, are left out."""

    CAUSE = "signed comparison"

    def wants(self, first: int, last: int, i: int) -> bool:
        return self.signed(last) >= self.signed(first)


class SignedStops(SignedSkips):
    """They end the node."""

    def wants(self, first: int, last: int, i: int) -> bool:
        return True

    def goes_on(self, first: int, last: int, high: int, i: int) -> bool:
        return self.signed(last) >= self.signed(first)


class SignedLimit(SignedSkips):
    """A node ends where a slot starts behind the node's last index, which is -1 for the root."""

    def wants(self, first: int, last: int, i: int) -> bool:
        return True

    def goes_on(self, first: int, last: int, high: int, i: int) -> bool:
        return self.signed(first) <= self.signed(high)


class SignedNegativeStops(SignedSkips):
    """Indexes with the highest bit set are taken for invalid: the node ends before them."""

    def wants(self, first: int, last: int, i: int) -> bool:
        return True

    def goes_on(self, first: int, last: int, high: int, i: int) -> bool:
        return self.signed(first) >= 0


class SignedNegativeLastStops(SignedNegativeStops):
    """The node ends before the first slot whose last index has the highest bit set."""

    def goes_on(self, first: int, last: int, high: int, i: int) -> bool:
        return self.signed(last) >= 0


class SignedEntriesSkipped(SignedSkips):
    """Only ranges of entries are looked at so."""

    def wants(self, first: int, last: int, i: int) -> bool:
        return True

    def entry(self, first: int, last: int, entry: int) -> None:
        if self.signed(first) >= 0 and self.signed(last) >= self.signed(first):
            super().entry(first, last, entry)


class SignedNumbers(Reader):
    """Indexes and entries are printed as signed numbers."""

    CAUSE = "numbers printed as signed"

    def entry(self, first: int, last: int, entry: int) -> None:
        self.found.append((self.signed(first), self.signed(last), self.signed(entry)))


class SignedIndexes(SignedNumbers):
    """Only indexes are."""

    def entry(self, first: int, last: int, entry: int) -> None:
        self.found.append((self.signed(first), self.signed(last), entry))


class NodeStartsAtZero(Reader):
    """The first slot of every node starts at index 0."""

    CAUSE = "a node's first index not passed down"

    def node(self, word: int, low: int, high: int, level: int) -> None:
        super().node(word, 0, high, level)


class NodeEndsAtMax(Reader):
    """The last slot of every node ends at ULONG_MAX."""

    CAUSE = "a node's last index not passed down"

    def node(self, word: int, low: int, high: int, level: int) -> None:
        super().node(word, low, self.top, level)


class ExclusiveEnds(Reader):
    """The index behind a range is told in place of its last."""

    CAUSE = "ends told as exclusive"

    def entry(self, first: int, last: int, entry: int) -> None:
        super().entry(first, last + 1, entry)


class ExclusiveEndsWrapped(ExclusiveEnds):
    """The same, wrapped around."""

    def entry(self, first: int, last: int, entry: int) -> None:
        Reader.entry(self, first, last + 1 & self.top, entry)


class StartsOneLow(Reader):
    """The next slot starts at the pivot, not behind it."""

    CAUSE = "a slot taken to start at the pivot before it, not behind it"

    def following(self, first: int, last: int) -> int:
        return last


class MergedNeighbours(Reader):
    """Neighbours with the same entry become one range."""

    CAUSE = "neighbours with the same entry merged"

    def entry(self, first: int, last: int, entry: int) -> None:
        if self.found and self.found[-1][1:] == (first - 1, entry):
            first = self.found.pop()[0]
        super().entry(first, last, entry)


class NoSingleIndexes(Reader):
    """Ranges of one index are left out."""

    CAUSE = "ranges of a single index dropped"

    def entry(self, first: int, last: int, entry: int) -> None:
        if first != last:
            super().entry(first, last, entry)


class NoRangeToMax(Reader):
    """A range up to ULONG_MAX is left out."""

    CAUSE = "a range up to ULONG_MAX dropped"

    def entry(self, first: int, last: int, entry: int) -> None:
        if last != self.top:
            super().entry(first, last, entry)
