"""Sets of addresses as sorted ranges."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class Ranges:
    """A set of addresses: disjoint ranges [start, end), ends exclusive, in order.

    >>> ranges = Ranges()
    >>> ranges.add(0, 10)
    >>> ranges.remove(4, 6)
    >>> list(ranges)
    [(0, 4), (6, 10)]
    """

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return iter(zip(self._starts, self._ends, strict=True))

    def __bool__(self) -> bool:
        return bool(self._starts)

    def add(self, start: int, end: int) -> None:
        """Put [start, end) in; ranges that touch become one."""
        if start >= end:
            return
        first, last = bisect_left(self._ends, start), bisect_right(self._starts, end)
        if first < last:
            start = min(start, self._starts[first])
            end = max(end, self._ends[last - 1])
        self._starts[first:last] = [start]
        self._ends[first:last] = [end]

    def remove(self, start: int, end: int) -> None:
        """Take [start, end) out."""
        if start >= end:
            return
        first, last = bisect_right(self._ends, start), bisect_left(self._starts, end)
        kept = []
        for low, high in zip(self._starts[first:last], self._ends[first:last], strict=True):
            if low < start:
                kept.append((low, start))
            if high > end:
                kept.append((end, high))
        self._starts[first:last] = [low for low, _ in kept]
        self._ends[first:last] = [high for _, high in kept]

    def within(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """The parts that lie in [start, end)."""
        at = bisect_right(self._ends, start)
        while at < len(self._starts) and self._starts[at] < end:
            yield max(self._starts[at], start), min(self._ends[at], end)
            at += 1

    def copy(self) -> Ranges:
        """A set like this one."""
        new = Ranges()
        new._starts, new._ends = list(self._starts), list(self._ends)
        return new
