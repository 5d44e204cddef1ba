"""Memory of an image, read where it lies in the file: nothing is copied that nobody looks at.

Segments name the addresses that the file gives. Where these are physical, a shift leads from
the direct map's virtual addresses to them, and windows from other ranges that are mapped whole.
"""

from __future__ import annotations

import errno
import mmap
import os
from typing import TYPE_CHECKING, NamedTuple

from layout.images.image import EXCLUDED
from layout.images.packed import MappedFile
from layout.images.segments import SegmentTable
from layout.memory.memory import Arena
from layout.memory.node import NodeMemory

if TYPE_CHECKING:
    from collections.abc import Iterator

    from arches import Arch
    from layout.images.packed import Bytes
    from layout.memory.structs import Profile

_FEW = 4096
"""So many segments may be handed to compiled code as they are."""


class Window(NamedTuple):
    """``size`` bytes of virtual addresses from ``start`` on, at ``target`` in the file's."""

    start: int
    size: int
    target: int


class Store:
    """The bytes of an image by the addresses in its file.

    ``shift`` is what to add to such an address for a virtual one, ``physical`` whether the
    addresses are physical ones. ``excluded`` are ranges without bytes.
    """

    def __init__(
        self, data: Bytes, table: SegmentTable, excluded: SegmentTable | None = None
    ) -> None:
        self.data = memoryview(data)
        self.table = table
        self.excluded = excluded or SegmentTable()
        self.physical = False
        self.shift = 0
        self.windows: list[Window] = []

    def places(self, address: int, most: int) -> Iterator[int]:
        """The addresses in the file at which a virtual one may be, the likeliest first."""
        for window in self.windows:
            if window.start <= address < window.start + window.size:
                yield address - window.start + window.target & most
        if self.shift:
            yield address - self.shift & most
        yield address

    def bytes_at(self, start: int, end: int, offset: int) -> memoryview:
        """The bytes of a segment."""
        return self.data[offset : offset + end - start]

    def parts(self, offset: int, end: int) -> Iterator[tuple[int, int]]:
        """The parts of the file from ``offset`` to before ``end`` that are no holes."""
        while offset < end:
            start, stop = self._extent(offset, end)
            if start < stop:
                yield start, stop
            offset = stop

    def _extent(self, offset: int, end: int) -> tuple[int, int]:
        """The next part that is no hole."""
        mapped = self.data.obj
        if not isinstance(mapped, MappedFile):
            return offset, end
        try:
            start = os.lseek(mapped.descriptor, offset, os.SEEK_DATA)
            stop = os.lseek(mapped.descriptor, start, os.SEEK_HOLE)
        except OSError as error:
            # beyond the last data there is nothing but a hole; some files can't be asked
            return (end, end) if error.errno == errno.ENXIO else (offset, end)
        return min(start, end), min(stop, end)

    def release(self, offset: int, size: int) -> None:
        """Give back the pages of a mapped file that were looked at."""
        mapped = self.data.obj
        if isinstance(mapped, MappedFile):
            start = offset & -mmap.PAGESIZE
            mapped.madvise(mmap.MADV_DONTNEED, start, offset + size - start)


class MappedArena(Arena):
    """An arena whose bytes are a part of a file."""

    __slots__ = ()

    def __init__(self, base: int, data: memoryview, name: str) -> None:
        self.base = base
        self.data = data  # type: ignore[assignment] # looked at, never written to
        self.end = base + len(data)
        self.name = name


class ImageMemory(NodeMemory):
    """Memory whose bytes are those of a Store."""

    def __init__(self, arch: Arch, profile: Profile, backing: Store) -> None:
        self.backing = backing
        super().__init__(arch, profile)
        self._all: list[Arena] | None = None

    @property
    def arenas(self) -> list[Arena]:
        """All segments, at their virtual addresses, made when they are asked for."""
        if self._all is None:
            backing, most = self.backing, self.arch.ulong_max
            found = [self._arena(row.start + backing.shift & most, *row) for row in backing.table]
            self._all = sorted(found, key=lambda arena: arena.base)
        return self._all

    @arenas.setter
    def arenas(self, new: list[Arena]) -> None:
        """Memory starts without any; those of the file are added by themselves."""

    def size(self) -> int:  # noqa: D102
        return self.backing.table.size()

    def _arena(self, base: int, start: int, end: int, offset: int) -> Arena:
        return MappedArena(base, self.backing.bytes_at(start, end, offset), "a segment")

    def arena_at(self, address: int) -> Arena | None:  # noqa: D102
        backing = self.backing
        for place in backing.places(address, self.arch.ulong_max):
            row = backing.table.find(place)
            if row is not None:
                return self._arena(address - (place - row.start), *row)
        return None

    def locate(  # noqa: D102
        self, address: int, width: int, doing: str, *, write: bool, align: int = 1
    ) -> tuple[Arena, int]:
        if self._strict and address % align:
            self.fault("misaligned", address, width, doing, write=write)
        arena = self._last
        if not arena.base <= address <= arena.end - width:
            found = self.arena_at(address)
            if found is None or address + width > found.end:
                found = self._gather(address, width, doing, found)
            else:
                self._last = found
            arena = found
        return arena, address - arena.base

    def _gather(self, address: int, width: int, doing: str, first: Arena | None) -> Arena:
        """The bytes at an address, out of segments that lie side by side."""
        parts = bytearray()
        part = first
        while part is not None:
            at = address + len(parts) - part.base
            parts += part.data[at : at + width - len(parts)]
            if len(parts) == width:
                return Arena(address, parts, "segments side by side")
            part = self.arena_at(address + len(parts))
        missing = address + len(parts)
        for place in self.backing.places(missing, self.arch.ulong_max):
            if self.backing.excluded.find(place):
                self.fault(EXCLUDED, address, width, doing, write=False)
        kind = "null" if address < self.arch.page_size else "unmapped"
        return self.fault(kind, address, width, doing, write=False)


class FewSegments(ImageMemory):
    """Memory of segments so few that compiled code may have them all at hand."""

    twin = NodeMemory.twin


def image_memory(arch: Arch, profile: Profile, store: Store) -> ImageMemory:
    """Memory for the bytes of ``store``."""
    few = len(store.table) <= _FEW
    return (FewSegments if few else ImageMemory)(arch, profile, store)
