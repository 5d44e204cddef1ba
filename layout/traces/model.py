"""A plain model of a maple tree: a dict from first index to (last index, entry)."""

from __future__ import annotations

from typing import Any

from layout.memory.pointers import xa_is_zero


class Model:
    """The expected content of a tree. Ranges are inclusive; every method examines all of them.

    ``top`` is the largest index, ULONG_MAX of the machine.

    >>> model = Model()
    >>> model.store(10, 19, 0x1001)
    >>> model.store(12, 12, 0)
    >>> model.items()
    [(10, 11, 4097), (13, 19, 4097)]
    """

    def __init__(self, top: int = (1 << 64) - 1) -> None:
        self.top = top
        self.ranges: dict[int, tuple[int, int]] = {}

    def copy(self) -> Model:
        """Another model of the same ranges."""
        new = Model(self.top)
        new.ranges = dict(self.ranges)
        return new

    def store(self, first: int, last: int, entry: int) -> None:
        """Store ``entry`` over ``first`` to ``last``, whatever is there; 0 makes room."""
        for start, (end, old) in list(self.ranges.items()):
            if end < first or start > last:
                continue
            del self.ranges[start]
            if start < first:
                self.ranges[start] = (first - 1, old)
            if end > last:
                self.ranges[last + 1] = (end, old)
        if entry:
            self.ranges[first] = (last, entry)

    def erase(self, index: int) -> int:
        """Erase the range around ``index``; its entry, or 0."""
        found = self.at(index)
        if found:
            del self.ranges[found[0]]
        return found[2] if found else 0

    def at(self, index: int) -> tuple[int, int, int] | None:
        """The range around ``index``: first, last, entry; None in a gap."""
        for start, (end, entry) in self.ranges.items():
            if start <= index <= end:
                return start, end, entry
        return None

    def load(self, index: int) -> int:
        """The entry at ``index``, or 0; a reservation is hidden, as by mtree_load."""
        found = self.at(index)
        return found[2] if found and not xa_is_zero(found[2]) else 0

    def is_free(self, first: int, last: int) -> bool:
        """Whether nothing is in ``first`` to ``last``."""
        return all(end < first or start > last for start, (end, _) in self.ranges.items())

    def items(self, first: int = 0, last: int | None = None) -> list[tuple[int, int, int]]:
        """The ranges that touch ``first`` to ``last``, in order."""
        limit = self.top if last is None else last
        return [
            (start, end, entry)
            for start, (end, entry) in sorted(self.ranges.items())
            if end >= first and start <= limit and first <= limit
        ]

    def span(self, index: int) -> tuple[int, int, int]:
        """The range around ``index``, a gap included."""
        found = self.at(index)
        if found:
            return found
        first = max((end + 1 for end, _ in self.ranges.values() if end < index), default=0)
        last = min((start - 1 for start in self.ranges if start > index), default=self.top)
        return first, last, 0

    def widened(self, first: int, last: int) -> tuple[int, int]:
        """The range that a NULL is stored over: with the free ranges at both ends."""
        for index in (first, first - 1):
            if index >= 0 and (found := self.span(index))[2] == 0:
                first = min(first, found[0])
                break
            if found[0] < first:
                break
        for index in (last, last + 1):
            if index <= self.top and (found := self.span(index))[2] == 0:
                last = max(last, found[1])
                break
            if found[1] > last:
                break
        return first, last

    def free_area(self, size: int, low: int, high: int, *, reverse: bool) -> int | None:
        """The first index of the lowest or highest free run, by looking at every gap."""
        gaps = []
        index = 0
        for first, last, _ in self.items():
            gaps.append((index, first - 1))
            index = last + 1
        gaps.append((index, self.top))
        for first, last in reversed(gaps) if reverse else gaps:
            start, end = max(first, low), min(last, high)
            if start <= end and end - start >= size - 1:
                return end - size + 1 if reverse else start
        return None


def first_difference(found: list[Any], wanted: list[Any]) -> str:
    """The first range of two lists that differs, in words."""
    for i, item in enumerate(wanted):
        if i == len(found) or found[i] != item:
            has = _range(found[i]) if i < len(found) else "no more ranges"
            return f"{has}, it should be {_range(item)}"
    return f"{_range(found[len(wanted)])}, which should not be there"


def _range(item: tuple[int | str, ...]) -> str:
    first, last, entry = (f"{n:x}" if isinstance(n, int) else n for n in item)
    return f"{entry} at {first}-{last}"
