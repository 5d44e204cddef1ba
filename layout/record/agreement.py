"""Compares an address space with a copy of /proc/PID/maps."""

from __future__ import annotations

from bisect import bisect_right
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from layout.mm.vmas import Vma
from layout.record.maps import perms_of
from layout.record.ranges import Ranges

if TYPE_CHECKING:
    from collections.abc import Iterator

    from layout.record.maps import Mapping
    from layout.record.space import Space


class Difference(NamedTuple):
    """Pages [start, end) that are ``here`` in the log's address space and ``there`` in the maps."""

    start: int
    end: int
    here: str
    there: str

    def __str__(self) -> str:
        return f"{self.start:x}-{self.end:x}: the log says {self.here}, the maps say {self.there}"


class Borders(NamedTuple):
    """How many borders of VMAs, within the pages compared, are on both sides or only on one."""

    both: int
    only_log: list[int]
    only_maps: list[int]


class Agreement:
    """A continuous comparison: after a call, only the pages that it changed are compared again."""

    def __init__(self, maps: list[Mapping]) -> None:
        self.maps = maps
        self._starts = [mapping.start for mapping in maps]
        self.wrong = Ranges()

    def restart(self, space: Space) -> None:
        """Compare all of another address space: after a fork or an execve."""
        self.wrong = Ranges()
        for start, end in space.touched:
            self._compare(space, start, end)

    def update(self, space: Space) -> None:
        """Compare what the space's last call touched."""
        for start, end in space.changed:
            self._compare(space, start, end)

    def _compare(self, space: Space, start: int, end: int) -> None:
        self.wrong.remove(start, end)
        for found in self._differences(space, start, end):
            self.wrong.add(found.start, found.end)

    def agrees(self, space: Space) -> bool:
        """Whether all touched pages are alike, and some of them are mapped at all."""
        if self.wrong:
            return False
        return any(True for start, end in space.touched for _ in space.mm.entries(start, end))

    def first_difference(self, space: Space) -> Difference | None:
        """The lowest touched pages that differ."""
        for start, end in space.touched:
            for found in self._differences(space, start, end):
                return found
        return None

    def _differences(self, space: Space, start: int, end: int) -> Iterator[Difference]:
        """Where permissions differ within [start, end)."""
        here = list(_of_space(space, start, end))
        there = list(self._of_maps(start, end))
        cuts = {start, end}
        for low, high, _ in (*here, *there):
            cuts |= {low, high}
        edges = sorted(cuts)
        for low, high in pairwise(edges):
            one, other = _at(here, low), _at(there, low)
            if one != other:
                yield Difference(low, high, one, other)

    def _of_maps(self, start: int, end: int) -> Iterator[tuple[int, int, str]]:
        at = max(bisect_right(self._starts, start) - 1, 0)
        for mapping in self.maps[at:]:
            if mapping.start >= end:
                return
            if mapping.end > start:
                yield max(mapping.start, start), min(mapping.end, end), mapping.perms

    def borders(self, space: Space) -> Borders:
        """The borders of VMAs inside the touched pages, on both sides."""
        here = {p for vma in space.mm for p in (vma.vm_start, vma.vm_end)}
        there = {p for mapping in self.maps for p in (mapping.start, mapping.end)}
        inside = [p for p in here | there if _within(space.touched, p)]
        both = [p for p in inside if p in here and p in there]
        return Borders(
            len(both),
            sorted(p for p in inside if p not in there),
            sorted(p for p in inside if p not in here),
        )


def _of_space(space: Space, start: int, end: int) -> Iterator[tuple[int, int, str]]:
    for first, last, entry in space.mm.entries(start, end):
        perms = perms_of(Vma(space.manager.vmas, entry).vm_flags)
        yield max(first, start), min(last + 1, end), perms


def _at(parts: list[tuple[int, int, str]], address: int) -> str:
    for low, high, perms in parts:
        if low <= address < high:
            return perms
    return "nothing"


def _within(ranges: Ranges, address: int) -> bool:
    """Whether an address lies inside a range, or at one of its ends."""
    return any(True for _ in ranges.within(address - 1, address + 1))
