"""Which bytes of a file lie at which addresses: a table of up to millions of rows.

Rows are kept as arrays of 64-bit numbers, sorted by address and without overlap. Where ranges
overlap, those that were added first are taken, as crash and gdb take them.
"""

from __future__ import annotations

import heapq
from array import array
from bisect import bisect_right
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator


class Row(NamedTuple):
    """Bytes at the addresses ``start`` to before ``end``; ``offset`` is where in the file."""

    start: int
    end: int
    offset: int


class SegmentTable:
    """Ranges of addresses and where their bytes lie. Add all, then finish(), then look up.

    ``overlaps`` is how many ranges overlapped with one before that says something else of an
    address; a second row that names the same bytes is none.
    """

    def __init__(self) -> None:
        self._starts = array("Q")
        self._sizes = array("Q")
        self._offsets = array("Q")
        self.overlaps = 0

    def add(self, start: int, size: int, offset: int) -> None:
        """Add a range of ``size`` bytes, at least one, that ends within 64 bits."""
        self._starts.append(start)
        self._sizes.append(size)
        self._offsets.append(offset)

    def finish(self) -> None:
        """Sort, and cut what overlaps. O(n log n) for n rows."""
        starts, sizes = self._starts, self._sizes
        count = len(starts)
        order: range | list[int] = range(count)
        if any(starts[i] > starts[i + 1] for i in range(count - 1)):
            order = sorted(order, key=starts.__getitem__)  # stable: the first of equals stays
        if order == range(count) and all(
            starts[i] + sizes[i] <= starts[i + 1] for i in range(count - 1)
        ):
            self._merge(Row(starts[i], starts[i] + sizes[i], self._offsets[i]) for i in order)
        else:
            self._merge(self._sweep(order))

    def _sweep(self, order: range | list[int]) -> Iterator[Row]:
        """The rows by address, each part of them from the row that was added first."""
        starts, sizes, offsets = self._starts, self._sizes, self._offsets
        active: list[int] = []  # rows that may reach beyond ``at``, the first added on top
        at, i = 0, 0
        while i < len(order) or active:
            if not active:
                at = max(at, starts[order[i]])
            while i < len(order) and starts[order[i]] <= at:
                if active:
                    self._note(order[i], active[0], at)
                heapq.heappush(active, order[i])
                i += 1
            row = active[0]
            end = starts[row] + sizes[row]
            if end <= at:
                heapq.heappop(active)
                continue
            # up to its end, or to a later start of a row that was added earlier
            stop = end
            while i < len(order) and starts[order[i]] < stop:
                other = order[i]
                heapq.heappush(active, other)
                i += 1
                self._note(other, row, starts[other])
                if other < row:
                    stop = starts[other]
            if stop > at:
                yield Row(at, stop, offsets[row] + at - starts[row])
            at = stop

    def _note(self, one: int, other: int, at: int) -> None:
        """Count two rows that overlap at ``at``, unless they are the same bytes of the file."""
        starts, offsets = self._starts, self._offsets
        if starts[other] + self._sizes[other] <= at:
            return
        if offsets[one] - starts[one] != offsets[other] - starts[other]:
            self.overlaps += 1

    def _merge(self, rows: Iterator[Row]) -> None:
        """Take ``rows`` in place of what is there, those without a seam made one."""
        starts, sizes, offsets = array("Q"), array("Q"), array("Q")
        end, offset_end = -1, -1
        for start, stop, offset in rows:
            if start == end and offset == offset_end:
                sizes[-1] += stop - start
            else:
                starts.append(start)
                sizes.append(stop - start)
                offsets.append(offset)
            end, offset_end = stop, offset + stop - start
        self._starts, self._sizes, self._offsets = starts, sizes, offsets

    def __len__(self) -> int:
        return len(self._starts)

    def __iter__(self) -> Iterator[Row]:
        for start, size, offset in zip(self._starts, self._sizes, self._offsets, strict=True):
            yield Row(start, start + size, offset)

    def find(self, address: int) -> Row | None:
        """The row that holds this address, if any. O(log n)."""
        if not 0 <= address < 1 << 64:
            return None
        at = bisect_right(self._starts, address) - 1
        if at < 0 or address - self._starts[at] >= self._sizes[at]:
            return None
        start = self._starts[at]
        return Row(start, start + self._sizes[at], self._offsets[at])

    def size(self) -> int:
        """How many bytes there are."""
        return sum(self._sizes)
