"""The machine's memory: byte arenas at virtual addresses, and the faults of touching anything else.

Reads and writes go through the machine's byte order and alignment rules; nothing is kept
outside the bytes. One arena, the *near* one, is looked at first: it holds the nodes of a
running emulator.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from typing import TYPE_CHECKING, NoReturn

from arches import Access
from layout.errors import MachineFault

if TYPE_CHECKING:
    from collections.abc import Callable

    from arches import Arch

    Unpack = Callable[[bytearray, int], tuple[int, ...]]


class Arena:
    """Bytes mapped from ``base`` to before ``end``; ``name`` says what they are."""

    __slots__ = ("base", "data", "end", "name")

    def __init__(self, base: int, data: bytearray, name: str) -> None:
        self.base = base
        self.data = data
        self.end = base + len(data)
        self.name = name

    def __repr__(self) -> str:
        return f"<Arena {self.name} {self.base:x}-{self.end:x}>"


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
        self.near = bytearray()
        self._near_arena = self._last = Arena(0, self.near, "nothing")
        order = arch.order_char
        word = struct.Struct(order + ("Q" if arch.word_size == 8 else "L"))
        u32 = struct.Struct(order + "L")
        self.word_size = arch.word_size
        self._align = arch.word_size - 1
        self._unpack_word: Unpack = word.unpack_from
        self._unpack_u32: Unpack = u32.unpack_from
        self._pack_word, self._pack_u32 = word.pack_into, u32.pack_into

    # -- arenas

    def map(self, base: int, data: bytearray, name: str, *, near: bool = False) -> Arena:
        """Map ``data`` at ``base``. Raises ValueError if it overlaps another arena."""
        arena = Arena(base, data, name)
        at = bisect_right(self._bases, base)
        before, after = self.arenas[at - 1 : at], self.arenas[at : at + 1]
        if (before and before[0].end > base) or (after and after[0].base < arena.end):
            message = f"{arena!r} overlaps {(before + after)!r}"
            raise ValueError(message)
        self.arenas.insert(at, arena)
        self._bases.insert(at, base)
        if near:
            self.near, self.near_base, self.near_size = data, base, len(data)
            self._near_arena = arena
        return arena

    def grow_near(self, count: int) -> None:
        """Append ``count`` zero bytes to the near arena."""
        self.near.extend(bytes(count))
        self.near_size += count
        self._near_arena.end += count

    def grow(self, arena: Arena, count: int) -> None:
        """Append ``count`` zero bytes to an arena that is not the near one."""
        arena.data.extend(bytes(count))
        arena.end += count

    def replace_near(self, data: bytes) -> None:
        """Replace all bytes of the near arena, and its size."""
        self.near[:] = data
        self.near_size = len(data)
        self._near_arena.end = self.near_base + len(data)

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
    ) -> tuple[bytearray, int]:
        """The bytes that hold ``width`` bytes at ``address``, and where in them.

        Raises MachineFault: misaligned, null (the first page) or unmapped.
        """
        if self._strict and address % align:
            self.fault("misaligned", address, width, doing, write=write)
        at = address - self.near_base
        if 0 <= at <= self.near_size - width:
            return self.near, at
        arena = self._last
        if not arena.base <= address <= arena.end - width:
            found = self.arena_at(address)
            if found is None or address + width > found.end:
                kind = "null" if address < self.arch.page_size else "unmapped"
                self.fault(kind, address, width, doing, write=write)
            arena = self._last = found
        return arena.data, address - arena.base

    # -- access

    def read(self, address: int, width: int, doing: str = "bytes") -> bytes:
        """``width`` bytes at ``address``, in memory order."""
        data, at = self.locate(address, width, doing, write=False)
        return bytes(data[at : at + width])

    def write(self, address: int, data: bytes, doing: str = "bytes") -> None:
        """Write bytes at ``address``."""
        target, at = self.locate(address, len(data), doing, write=True)
        target[at : at + len(data)] = data

    def read_word(self, address: int, doing: str = "a word") -> int:
        """The unsigned long or pointer at ``address``."""
        at = address - self.near_base
        if 0 <= at <= self.near_size - 8 and not at & self._align:
            return self._unpack_word(self.near, at)[0]
        data, at = self.locate(address, self.word_size, doing, write=False, align=self.word_size)
        return self._unpack_word(data, at)[0]

    def read_words(self, address: int, count: int, doing: str = "words") -> tuple[int, ...]:
        """``count`` unsigned longs or pointers from ``address`` on, in one go."""
        width = count * self.word_size
        data, at = self.locate(address, width, doing, write=False, align=self.word_size)
        char = "Q" if self.word_size == 8 else "L"
        return struct.unpack_from(f"{self.arch.order_char}{count}{char}", data, at)

    def write_word(self, address: int, value: int, doing: str = "a word") -> None:
        """Write an unsigned long or pointer at ``address``."""
        at = address - self.near_base
        if 0 <= at <= self.near_size - 8 and not at & self._align:
            self._pack_word(self.near, at, value)
            return
        data, at = self.locate(address, self.word_size, doing, write=True, align=self.word_size)
        self._pack_word(data, at, value)

    def read_u32(self, address: int, doing: str = "an int") -> int:
        """The unsigned int at ``address``."""
        data, at = self.locate(address, 4, doing, write=False, align=self.arch.int_align)
        return self._unpack_u32(data, at)[0]

    def write_u32(self, address: int, value: int, doing: str = "an int") -> None:
        """Write an unsigned int at ``address``."""
        data, at = self.locate(address, 4, doing, write=True, align=self.arch.int_align)
        self._pack_u32(data, at, value)

    def read_u8(self, address: int, doing: str = "a byte") -> int:
        """The byte at ``address``."""
        at = address - self.near_base
        if 0 <= at < self.near_size:
            return self.near[at]
        data, at = self.locate(address, 1, doing, write=False)
        return data[at]

    def write_u8(self, address: int, value: int, doing: str = "a byte") -> None:
        """Write a byte at ``address``."""
        at = address - self.near_base
        if 0 <= at < self.near_size:
            self.near[at] = value
            return
        data, at = self.locate(address, 1, doing, write=True)
        data[at] = value
