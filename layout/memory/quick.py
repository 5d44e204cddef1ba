"""Fast node memory for the Python code: the most frequent accessors, unrolled.

They return the same as those of :class:`layout.memory.node.NodeMemory`, with fewer calls: a node
that was written to is found by its address. All other accesses use the general methods. A watch
subclasses NodeMemory, so that it sees every access; :func:`layout.machine.equip.equip` puts
QuickReads behind watches that look at writes alone.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from layout.memory.memory import CELL, Memory
from layout.memory.node import PIVOT, NodeMemory, Pivots

if TYPE_CHECKING:
    from collections.abc import Collection

    from arches import Arch
    from layout.memory.structs import Profile

_NOT_HERE = (KeyError, struct.error)
"""No such node, or a field behind its end."""


class QuickReads(NodeMemory):
    """Memory that is read quickly, and written to by the general methods."""

    def __init__(self, arch: Arch, profile: Profile) -> None:
        super().__init__(arch, profile)
        self._pivot0 = PIVOT * self.word_size

    def parent(self, node: int) -> int:  # noqa: D102
        try:
            return self._unpack_word(self._cells[node], 0)[0]
        except KeyError:
            return super().parent(node)

    def slot(self, node: int, mt: int, i: int) -> int:  # noqa: D102
        at = self.slot_offset[mt] + i * self.word_size
        try:
            return self._unpack_word(self._cells[node], at)[0]
        except _NOT_HERE:
            return super().slot(node, mt, i)

    def pivot(self, node: int, i: int) -> int:  # noqa: D102
        try:
            return self._unpack_word(self._cells[node], self._pivot0 + i * self.word_size)[0]
        except _NOT_HERE:
            return super().pivot(node, i)

    def ma_pivot(self, node: int, mt: int, i: int) -> int:  # noqa: D102
        if 0 < mt < 4:
            try:
                return self._unpack_word(self._cells[node], self._pivot0 + i * self.word_size)[0]
            except _NOT_HERE:
                pass
        return super().ma_pivot(node, mt, i)

    def pivots(self, node: int, mt: int, count: int) -> Pivots:  # noqa: D102
        if 0 < mt < 4:
            try:
                return self._unpack_run[count](self._cells[node], self._pivot0)
            except (KeyError, struct.error, IndexError):
                pass
        return super().pivots(node, mt, count)

    def slots(self, node: int, mt: int, count: int) -> Pivots:  # noqa: D102
        try:
            return self._unpack_run[count](self._cells[node], self.slot_offset[mt])
        except (KeyError, struct.error, IndexError):
            return super().slots(node, mt, count)

    def meta_end(self, node: int, mt: int) -> int:  # noqa: D102
        try:
            return self._cells[node][self.meta_offset[mt]]
        except KeyError:
            return super().meta_end(node, mt)

    def load(self, words: list[int], at: int, address: int, count: int, doing: str) -> None:  # noqa: D102
        offset = address & 255
        node = address - offset
        fits = 0 <= at <= len(words) - count and offset <= CELL - count * self.word_size
        if fits and count > 0 and node in self._cells and not offset & self._align:
            words[at : at + count] = self._unpack_run[count](self._cells[node], offset)
        else:
            super().load(words, at, address, count, doing)

    def ma_flags(self, tree: int) -> int:  # noqa: D102
        arena = self._last  # where the trees are, while near holds the nodes
        at = tree + self._flags - arena.base
        if at >= 0 and tree + self.tree_size <= arena.end and not at & 3:
            return self._unpack_u32(arena.data, at)[0]
        return super().ma_flags(tree)

    def ma_root(self, tree: int) -> int:  # noqa: D102
        arena = self._last
        at = tree + self._root - arena.base
        if at >= 0 and tree + self.tree_size <= arena.end and not at & self._align:
            return self._unpack_word(arena.data, at)[0]
        return super().ma_root(tree)

    def alloc_total(self, node: int) -> int:  # noqa: D102
        try:
            return self._unpack_word(self._cells[node], self._alloc_total)[0]
        except KeyError:
            return super().alloc_total(node)

    def alloc_count(self, node: int) -> int:  # noqa: D102
        try:
            return self._cells[node][self._alloc_count]
        except KeyError:
            return super().alloc_count(node)

    def alloc_slot(self, node: int, i: int) -> int:  # noqa: D102
        try:
            at = self.alloc_slot_offset + i * self.word_size
            return self._unpack_word(self._cells[node], at)[0]
        except _NOT_HERE:
            return super().alloc_slot(node, i)

    def read_u32(self, address: int, doing: str = "an int") -> int:  # noqa: D102
        offset = address & 255
        if address - offset in self._cells and not offset & 3:
            return self._unpack_u32(self._cells[address - offset], offset)[0]
        return super().read_u32(address, doing)

    def read_word(self, address: int, doing: str = "a word") -> int:  # noqa: D102
        offset = address & 255
        if address - offset in self._cells and not offset & self._align:
            return self._unpack_word(self._cells[address - offset], offset)[0]
        return super().read_word(address, doing)

    def read_u8(self, address: int, doing: str = "a byte") -> int:  # noqa: D102
        offset = address & 255
        if address - offset in self._cells:
            return self._cells[address - offset][offset]
        return super().read_u8(address, doing)


_READS = {name for name, value in vars(QuickReads).items() if callable(value)} - {"__init__"}


def looks_at_reads(memory: type[NodeMemory], known: Collection[type] = ()) -> bool:
    """Whether a class of this memory has reads of its own, which quick ones would pass by.

    ``known`` are classes whose reads do not count.
    """
    plain = {*known, QuickReads, NodeMemory, Memory}
    return any(_READS & vars(layer).keys() for layer in memory.__mro__ if layer not in plain)


class QuickMemory(QuickReads):
    """Memory of a plain machine."""

    def set_parent(self, node: int, parent: int) -> None:  # noqa: D102
        try:
            self._pack_word(self._cells[node], 0, parent)
        except KeyError:
            super().set_parent(node, parent)

    def store(self, address: int, words: list[int], at: int, count: int, doing: str) -> None:  # noqa: D102
        offset = address & 255
        node = address - offset
        fits = 0 <= at <= len(words) - count and offset <= CELL - count * self.word_size
        if fits and count > 0 and node in self._cells and not offset & self._align:
            self._pack_run[count](self._cells[node], offset, *words[at : at + count])
        else:
            super().store(address, words, at, count, doing)

    def set_alloc_total(self, node: int, total: int) -> None:  # noqa: D102
        try:
            self._pack_word(self._cells[node], self._alloc_total, total)
        except KeyError:
            super().set_alloc_total(node, total)

    def set_alloc_count(self, node: int, count: int) -> None:  # noqa: D102
        try:
            self._cells[node][self._alloc_count] = count
        except KeyError:
            super().set_alloc_count(node, count)

    def set_alloc_slot(self, node: int, i: int, value: int) -> None:  # noqa: D102
        try:
            at = self.alloc_slot_offset + i * self.word_size
            self._pack_word(self._cells[node], at, value)
        except _NOT_HERE:
            super().set_alloc_slot(node, i, value)

    def set_slot(self, node: int, mt: int, i: int, value: int) -> None:  # noqa: D102
        at = self.slot_offset[mt] + i * self.word_size
        try:
            self._pack_word(self._cells[node], at, value)
        except _NOT_HERE:
            super().set_slot(node, mt, i, value)

    def set_pivot(self, node: int, i: int, value: int) -> None:  # noqa: D102
        try:
            self._pack_word(self._cells[node], self._pivot0 + i * self.word_size, value)
        except _NOT_HERE:
            super().set_pivot(node, i, value)

    def zero(self, address: int, count: int) -> None:  # noqa: D102
        if count == CELL and address in self._cells:
            self._cells[address][:] = bytes(CELL)
        else:
            super().zero(address, count)

    def write_u32(self, address: int, value: int, doing: str = "an int") -> None:  # noqa: D102
        offset = address & 255
        if address - offset in self._cells and not offset & 3:
            self._pack_u32(self._cells[address - offset], offset, value)
        else:
            super().write_u32(address, value, doing)

    def write_word(self, address: int, value: int, doing: str = "a word") -> None:  # noqa: D102
        offset = address & 255
        if address - offset in self._cells and not offset & self._align:
            self._pack_word(self._cells[address - offset], offset, value)
        else:
            super().write_word(address, value, doing)

    def set_meta(self, node: int, mt: int, gap: int, end: int) -> None:  # noqa: D102
        if node in self._cells:
            at = self.meta_offset[mt]
            self._cells[node][at : at + 2] = bytes((end, gap))
        else:
            super().set_meta(node, mt, gap, end)

    def write_u8(self, address: int, value: int, doing: str = "a byte") -> None:  # noqa: D102
        offset = address & 255
        if address - offset in self._cells:
            self._cells[address - offset][offset] = value
        else:
            super().write_u8(address, value, doing)
