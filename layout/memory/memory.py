"""The machine's memory: byte arenas at virtual addresses, and faults at all other addresses.

Reads and writes use the machine's byte order and alignment rules. All data is in the bytes. One
arena, the *near* one, is searched first: it contains the nodes of a running emulator. The bytes of
a node are created at the first write.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from typing import TYPE_CHECKING, NoReturn

from arches import Access
from layout.memory.errors import MachineFault

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from arches import Arch

    Unpack = Callable[[bytes | bytearray, int], tuple[int, ...]]

CELL = 256
"""Bytes of the near arena that exist, or not, as one: a node."""

ZEROS = bytes(CELL)
"""A cell that nothing was written to."""


class Arena:
    """Bytes mapped from ``base`` to before ``end``; ``name`` describes them."""

    __slots__ = ("base", "data", "end", "name")

    def __init__(self, base: int, data: bytearray, name: str) -> None:
        self.base = base
        self.data = data
        self.end = base + len(data)
        self.name = name

    def read(self, at: int, width: int) -> bytes:
        """``width`` bytes, ``at`` bytes from the base."""
        return bytes(self.data[at : at + width])

    def write(self, at: int, new: bytes) -> None:
        """Replace bytes from ``at`` on."""
        self.data[at : at + len(new)] = new

    def flat(self) -> bytes | bytearray | None:
        """All bytes in one piece, None where they do not lie so."""
        return self.data

    def grow(self, count: int) -> None:
        """Append zero bytes."""
        self.data.extend(bytes(count))
        self.end += count

    def __repr__(self) -> str:
        return f"<Arena {self.name} {self.base:x}-{self.end:x}>"


class CellArena(Arena):
    """An arena in cells of 256 bytes. A cell is created at the first write to it.

    ``cells`` has the bytes of the cells by address; all others are zero.
    """

    __slots__ = ("cells",)

    def __init__(self, base: int, name: str) -> None:
        self.base = base
        self.end = base
        self.name = name
        self.cells: dict[int, bytearray] = {}

    @property
    def data(self) -> bytearray:  # type: ignore[override] # bytes to look at, made anew
        """All bytes, as a copy."""
        return bytearray(b"".join(self.all_cells()))

    def flat(self) -> None:  # noqa: D102
        return None

    def all_cells(self) -> tuple[bytes, ...]:
        """The bytes of all cells, in order."""
        cells = self.cells
        return tuple(bytes(cells.get(at, ZEROS)) for at in range(self.base, self.end, CELL))

    def read(self, at: int, width: int) -> bytes:  # noqa: D102
        address = self.base + at
        offset = address & CELL - 1
        cell = address - offset
        if offset + width <= CELL:
            return bytes(self.cells.get(cell, ZEROS)[offset : offset + width])
        cells = range(cell, address + width, CELL)
        return b"".join(self.cells.get(at, ZEROS) for at in cells)[offset : offset + width]

    def write(self, at: int, new: bytes) -> None:  # noqa: D102
        address = self.base + at
        done = 0
        while done < len(new):
            offset = address + done & CELL - 1
            part = new[done : done + CELL - offset]
            if part == ZEROS:
                self.cells.pop(address + done, None)
            else:
                self.own(address + done - offset)[offset : offset + len(part)] = part
            done += len(part)

    def own(self, cell: int) -> bytearray:
        """The bytes of the cell at this address, to be written to."""
        data = self.cells.get(cell)
        if data is None:
            data = self.cells[cell] = bytearray(CELL)
        return data

    def grow(self, count: int) -> None:  # noqa: D102
        self.end += count


class Memory:
    """Arenas of one machine, sorted by address, without overlap.

    Every access that is not wholly inside one arena, or that is misaligned where the machine
    traps, raises MachineFault.
    """

    def __init__(self, arch: Arch) -> None:
        self.arch = arch
        self._strict = arch.strict_alignment
        self.arenas: list[Arena] = []
        self._bases: list[int] = []
        self.near_base = 0
        self.near_size = 0
        self._near: CellArena = CellArena(0, "nothing")
        self._cells = self._near.cells
        self._last = Arena(0, bytearray(), "nothing")
        order = arch.order_char
        self.word_size = arch.word_size
        self._char = "Q" if arch.word_size == 8 else "L"
        word = struct.Struct(order + self._char)
        u32 = struct.Struct(order + "L")
        self._align = arch.word_size - 1
        self._unpack_word: Unpack = word.unpack_from
        self._unpack_u32: Unpack = u32.unpack_from
        self._pack_word, self._pack_u32 = word.pack_into, u32.pack_into
        runs = [struct.Struct(f"{order}{n}{self._char}") for n in range(CELL // self.word_size + 1)]
        self._unpack_run: list[Unpack] = [run.unpack_from for run in runs]
        self._pack_run = [run.pack_into for run in runs]

    # -- arenas

    def map(self, base: int, data: bytearray, name: str) -> Arena:
        """Map ``data`` at ``base``. Raises ValueError if it overlaps another arena."""
        return self._add(Arena(base, data, name))

    def map_near(self, base: int, name: str) -> Arena:
        """Map an empty arena of cells at ``base``, which grow_near() fills."""
        self._near = CellArena(base, name)
        self._cells = self._near.cells
        self.near_base = base
        return self._add(self._near)

    def _add(self, arena: Arena) -> Arena:
        at = bisect_right(self._bases, arena.base)
        before, after = self.arenas[at - 1 : at], self.arenas[at : at + 1]
        if (before and before[0].end > arena.base) or (after and after[0].base < arena.end):
            message = f"{arena!r} overlaps {(before + after)!r}"
            raise ValueError(message)
        self.arenas.insert(at, arena)
        self._bases.insert(at, arena.base)
        return arena

    def grow_near(self, count: int) -> None:
        """Append ``count`` zero bytes, a multiple of 256, to the near arena."""
        self._near.grow(count)
        self.near_size += count

    def grow(self, arena: Arena, count: int) -> None:
        """Append ``count`` zero bytes to an arena that is not the near one."""
        arena.grow(count)

    def near_cells(self) -> tuple[bytes, ...]:
        """The bytes of the near arena as they are, cell by cell."""
        return self._near.all_cells()

    def replace_near(self, cells: Sequence[bytes]) -> None:
        """Replace all cells of the near arena, and its size."""
        self._cells.clear()
        for number, cell in enumerate(cells):
            if cell != ZEROS:
                self._cells[self.near_base + number * CELL] = bytearray(cell)
        self.near_size = len(cells) * CELL
        self._near.end = self.near_base + self.near_size

    def poison(self, address: int, data: bytes) -> None:
        """Replace bytes of the near arena behind the back of whoever watches accesses."""
        self._near.write(address - self.near_base, data)

    def forget(self, cell: int) -> None:
        """Nobody will read this cell of the near arena any more: its bytes are given back."""
        self._cells.pop(cell, None)

    def size(self) -> int:
        """The number of bytes mapped."""
        return sum(arena.end - arena.base for arena in self.arenas)

    def arena_at(self, address: int) -> Arena | None:
        """The arena that holds this address, if any."""
        at = bisect_right(self._bases, address) - 1
        if at >= 0 and address < self.arenas[at].end:
            return self.arenas[at]
        return None

    def fault(self, kind: str, address: int, width: int, doing: str, *, write: bool) -> NoReturn:
        """Stop as this machine's kernel would on a refused access."""
        mapped = self.arena_at(address) is not None
        message = self.arch.word_fault(Access(kind, address, width, write, mapped))
        raise MachineFault(kind, address, message, width=width, arch=self.arch.name, doing=doing)

    def locate(
        self, address: int, width: int, doing: str, *, write: bool, align: int = 1
    ) -> tuple[Arena, int]:
        """The arena that holds ``width`` bytes at ``address``, and where in it.

        Raises MachineFault: misaligned, null (the first page) or unmapped.
        """
        if self._strict and address % align:
            self.fault("misaligned", address, width, doing, write=write)
        at = address - self.near_base
        if 0 <= at <= self.near_size - width:
            return self._near, at
        arena = self._last
        if not arena.base <= address <= arena.end - width:
            found = self.arena_at(address)
            if found is None or address + width > found.end:
                kind = "null" if address < self.arch.page_size else "unmapped"
                self.fault(kind, address, width, doing, write=write)
            arena = found
            if found is not self._near:
                self._last = found
        return arena, address - arena.base

    # -- access

    def read(self, address: int, width: int, doing: str = "bytes") -> bytes:
        """``width`` bytes at ``address``, in memory order."""
        arena, at = self.locate(address, width, doing, write=False)
        return arena.read(at, width)

    def write(self, address: int, data: bytes, doing: str = "bytes", *, align: int = 1) -> None:
        """Write bytes at ``address``; words may have to be aligned to ``align`` bytes."""
        arena, at = self.locate(address, len(data), doing, write=True, align=align)
        arena.write(at, data)

    def copy(self, target: int, source: int, width: int, doing: str = "bytes") -> None:
        """memmove of ``width`` bytes."""
        self.write(target, self.read(source, width, doing), doing)

    def zero(self, address: int, count: int) -> None:
        """memset of ``count`` bytes to 0."""
        self.write(address, bytes(count), "a node")

    def read_word(self, address: int, doing: str = "a word") -> int:
        """The unsigned long or pointer at ``address``."""
        at = address - self.near_base
        if 0 <= at < self.near_size and not at & self._align:
            return self._unpack_word(self._cells.get(address & -CELL, ZEROS), address & 255)[0]
        return self.read_word_anywhere(address, doing)

    def read_word_anywhere(self, address: int, doing: str) -> int:
        """read_word() of any arena, or across two cells."""
        width = self.word_size
        arena, at = self.locate(address, width, doing, write=False, align=width)
        return self._unpack_word(arena.read(at, width), 0)[0]

    def read_words(self, address: int, count: int, doing: str = "words") -> tuple[int, ...]:
        """``count`` unsigned longs or pointers from ``address`` on, in one go."""
        at = address - self.near_base
        offset = address & 255
        width = count * self.word_size
        if 0 <= at < self.near_size and offset + width <= CELL and not at & self._align:
            return self._unpack_run[count](self._cells.get(address & -CELL, ZEROS), offset)
        return self.read_words_anywhere(address, count, doing)

    def read_words_anywhere(self, address: int, count: int, doing: str) -> tuple[int, ...]:
        """read_words() of any arena, or across cells."""
        width = count * self.word_size
        arena, at = self.locate(address, width, doing, write=False, align=self.word_size)
        data = arena.read(at, width)
        return struct.unpack(f"{self.arch.order_char}{count}{self._char}", data)

    def write_word(self, address: int, value: int, doing: str = "a word") -> None:
        """Write an unsigned long or pointer at ``address``."""
        at = address - self.near_base
        if 0 <= at < self.near_size and not at & self._align:
            self._pack_word(self._near.own(address & -CELL), address & 255, value)
            return
        self.write_word_anywhere(address, value, doing)

    def write_word_anywhere(self, address: int, value: int, doing: str) -> None:
        """write_word() to any arena, or across two cells."""
        width = self.word_size
        self.write(address, value.to_bytes(width, self.arch.byteorder), doing, align=width)

    def write_words(self, address: int, values: Sequence[int], doing: str = "words") -> None:
        """Write unsigned longs or pointers from ``address`` on, in one go."""
        width = len(values) * self.word_size
        at = address - self.near_base
        offset = address & 255
        if 0 <= at < self.near_size and offset + width <= CELL and not at & self._align:
            self._pack_run[len(values)](self._near.own(address & -CELL), offset, *values)
        elif values:
            self.write_words_anywhere(address, values, doing)

    def write_words_anywhere(self, address: int, values: Sequence[int], doing: str) -> None:
        """write_words() to any arena, or across cells."""
        if values:
            order = f"{self.arch.order_char}{len(values)}{self._char}"
            self.write(address, struct.pack(order, *values), doing, align=self.word_size)

    def read_u32(self, address: int, doing: str = "an int") -> int:
        """The unsigned int at ``address``."""
        arena, at = self.locate(address, 4, doing, write=False, align=self.arch.int_align)
        return self._unpack_u32(arena.read(at, 4), 0)[0]

    def write_u32(self, address: int, value: int, doing: str = "an int") -> None:
        """Write an unsigned int at ``address``."""
        data = value.to_bytes(4, self.arch.byteorder)
        self.write(address, data, doing, align=self.arch.int_align)

    def read_u8(self, address: int, doing: str = "a byte") -> int:
        """The byte at ``address``."""
        at = address - self.near_base
        if 0 <= at < self.near_size:
            return self._cells.get(address & -CELL, ZEROS)[address & 255]
        return self.read_u8_anywhere(address, doing)

    def read_u8_anywhere(self, address: int, doing: str) -> int:
        """read_u8() of any arena."""
        arena, at = self.locate(address, 1, doing, write=False)
        return arena.read(at, 1)[0]

    def write_u8(self, address: int, value: int, doing: str = "a byte") -> None:
        """Write a byte at ``address``."""
        at = address - self.near_base
        if 0 <= at < self.near_size:
            self._near.own(address & -CELL)[address & 255] = value
            return
        self.write_u8_anywhere(address, value, doing)

    def write_u8_anywhere(self, address: int, value: int, doing: str) -> None:
        """write_u8() to any arena."""
        self.write(address, bytes([value]), doing)
