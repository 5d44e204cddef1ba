"""Which bytes of a file lie at which addresses: a table of up to millions of rows.

Rows are kept as arrays of 64-bit numbers, sorted by address and without overlap. Where ranges
overlap, those that were added first are taken, as crash and gdb take them.
"""

from __future__ import annotations

import heapq
from array import array
from bisect import bisect_right
from operator import add, gt
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


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
        order: list[int] | None = None
        if any(map(gt, starts, starts[1:])):
            order = sorted(range(len(starts)), key=starts.__getitem__)  # the first of equals stays
            self._starts = starts = array("Q", map(starts.__getitem__, order))
            self._sizes = sizes = array("Q", map(sizes.__getitem__, order))
            self._offsets = array("Q", map(self._offsets.__getitem__, order))
        if any(map(gt, map(add, starts, sizes), starts[1:])):
            self._merge(self._sweep(order or range(len(starts))))
        else:
            self._merge(zip(starts, map(add, starts, sizes), self._offsets, strict=True))

    def _sweep(  # noqa: C901 - one pass, with three reasons to go on
        self, rank: Sequence[int]
    ) -> Iterator[tuple[int, int, int]]:
        """The rows by address, each part of them from the row that was added first.

        They are sorted by now; ``rank`` has the place at which each was added.
        """
        starts, sizes, offsets = self._starts, self._sizes, self._offsets
        count = len(starts)
        active: list[tuple[int, int]] = []  # rank and number of rows that reach beyond ``at``
        at, i = 0, 0
        while i < count or active:
            if not active:
                start, end = starts[i], starts[i] + sizes[i]
                if i + 1 == count or starts[i + 1] >= end:  # alone, as most are
                    if end > at:
                        yield max(at, start), end, offsets[i] + max(at - start, 0)
                    at, i = max(at, end), i + 1
                    continue
                at = max(at, start)
            while i < count and starts[i] <= at:
                if active:
                    self._note(i, active[0][1], at)
                heapq.heappush(active, (rank[i], i))
                i += 1
            first, row = active[0]
            end = starts[row] + sizes[row]
            if end <= at:
                heapq.heappop(active)
                continue
            stop = end  # or a later start of a row that was added earlier
            while i < count and starts[i] < stop:
                heapq.heappush(active, (rank[i], i))
                self._note(i, row, starts[i])
                if rank[i] < first:
                    stop = starts[i]
                i += 1
            if stop > at:
                yield at, stop, offsets[row] + at - starts[row]
            at = stop

    def _note(self, one: int, other: int, at: int) -> None:
        """Count two rows that overlap at ``at``, unless they are the same bytes of the file."""
        starts, offsets = self._starts, self._offsets
        if starts[other] + self._sizes[other] <= at:
            return
        if offsets[one] - starts[one] != offsets[other] - starts[other]:
            self.overlaps += 1

    def _merge(self, rows: Iterable[tuple[int, int, int]]) -> None:
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
