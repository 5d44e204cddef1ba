"""Memory that records which nodes were written, for the comparison of machines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layout.memory.node import NodeMemory
from layout.memory.pointers import NODE_MASK

if TYPE_CHECKING:
    from collections.abc import Sequence

    from arches import Arch
    from layout.memory.structs import Profile


class TrackingMemory(NodeMemory):
    """Records which 256-byte aligned addresses are written to."""

    twin = "CoreTracking"

    def __init__(self, arch: Arch, profile: Profile) -> None:
        self.dirty: set[int] = set()
        super().__init__(arch, profile)

    def take_dirty(self) -> set[int]:
        """The addresses written to since the last call."""
        dirty, self.dirty = self.dirty, set()
        return dirty

    def write(self, address: int, data: bytes, doing: str = "bytes", *, align: int = 1) -> None:
        """Memory.write(), noted."""
        self.dirty.add(address & ~NODE_MASK)
        self.dirty.add(address + len(data) - 1 & ~NODE_MASK)
        super().write(address, data, doing, align=align)

    def write_words(self, address: int, values: Sequence[int], doing: str = "words") -> None:
        """Memory.write_words(), noted."""
        self.dirty.add(address & ~NODE_MASK)
        self.dirty.add(address + len(values) * self.word_size - 1 & ~NODE_MASK)
        super().write_words(address, values, doing)

    def write_word(self, address: int, value: int, doing: str = "a word") -> None:
        """Memory.write_word(), noted."""
        self.dirty.add(address & ~NODE_MASK)
        super().write_word(address, value, doing)

    def write_u8(self, address: int, value: int, doing: str = "a byte") -> None:
        """Memory.write_u8(), noted."""
        self.dirty.add(address & ~NODE_MASK)
        super().write_u8(address, value, doing)
