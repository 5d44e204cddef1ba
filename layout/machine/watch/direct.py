"""Reads that the checker makes most often: one call reads the field and looks at its history.

They return and report the same as the classes that they stand for, with fewer calls.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from layout.machine.watch import shadow
from layout.machine.watch.follow import FollowingMemory
from layout.machine.watch.history import HistoryMemory, View
from layout.machine.watch.shadow import tag
from layout.memory.node import NODE_SIZE, PIVOT
from layout.memory.quick import looks_at_reads

if TYPE_CHECKING:
    from arches import Arch
    from layout.memory.structs import Profile

_PARENT, _SLOT, _PIVOT, _META_END = map(
    tag, (shadow.PARENT, shadow.SLOT, shadow.PIVOT, shadow.META_END)
)


class DirectReads(HistoryMemory, FollowingMemory):
    """Memory with a history and followed words, whose fields are read in one call if possible.

    It is not where a number is followed, or where another class of this memory looks at reads.
    """

    def __init__(self, arch: Arch, profile: Profile) -> None:
        super().__init__(arch, profile)
        self._behind = NODE_SIZE - self._align  # no word begins here or later
        self._direct = not looks_at_reads(type(self), DirectReads.__mro__)

    def parent(self, node: int) -> int:  # noqa: D102
        if self._direct and type(node) is int and node in self._cells:
            value = self._looked_at(node, 0, _PARENT)
            self.tested(node)
            return value
        return super().parent(node)

    def slot(self, node: int, mt: int, i: int) -> int:  # noqa: D102
        if self._direct and type(node) is int is type(i) and node in self._cells:
            offset = self.slot_offset[mt] + i * self.word_size
            if i >= 0 and offset < self._behind:
                return self._looked_at(node, offset, _SLOT + i)
        return super().slot(node, mt, i)

    def pivot(self, node: int, i: int) -> int:  # noqa: D102
        if self._direct and type(node) is int is type(i) and node in self._cells:
            offset = (PIVOT + i) * self.word_size
            if i >= 0 and offset < self._behind:
                return self._looked_at(node, offset, _PIVOT + i)
        return super().pivot(node, i)

    def meta_end(self, node: int, mt: int) -> int:  # noqa: D102
        if self._direct and type(node) is int and node in self._cells:
            offset = self.meta_offset[mt]
            end = self._cells[node][offset]
            if self._in_order(node, offset, _META_END, 1, 1):
                return end
            return self.judge(View(self, node), offset, 1, _META_END, end)
        return super().meta_end(node, mt)

    def _looked_at(self, node: int, offset: int, a_tag: int) -> int:
        """A word of a node in use, as its reader is to get it."""
        value = self._unpack_word(self._cells[node], offset)[0]
        if self._in_order(node, offset, a_tag, 1):
            return value
        return self.judge(View(self, node), offset, self.word_size, a_tag, value)
