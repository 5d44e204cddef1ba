"""Memory that remembers which nodes were written, for comparing machines in lock-step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layout.node import NodeMemory
from layout.pointers import NODE_MASK

if TYPE_CHECKING:
    from arches import Arch
    from layout.structs import Profile


class TrackingMemory(NodeMemory):
    """``dirty`` holds the 256-byte aligned addresses written to since it was last cleared."""

    def __init__(self, arch: Arch, profile: Profile) -> None:
        self.dirty: set[int] = set()
        super().__init__(arch, profile)

    def locate(
        self, address: int, width: int, doing: str, *, write: bool, align: int = 1
    ) -> tuple[bytearray, int]:
        """Memory.locate(), noting writes."""
        if write:
            self.dirty.add(address & ~NODE_MASK)
            self.dirty.add(address + width - 1 & ~NODE_MASK)
        return super().locate(address, width, doing, write=write, align=align)

    def write_word(self, address: int, value: int, doing: str = "a word") -> None:
        """Memory.write_word(), noted."""
        self.dirty.add(address & ~NODE_MASK)
        super().write_word(address, value, doing)

    def write_u8(self, address: int, value: int, doing: str = "a byte") -> None:
        """Memory.write_u8(), noted."""
        self.dirty.add(address & ~NODE_MASK)
        super().write_u8(address, value, doing)

    def set_parent(self, node: int, parent: int) -> None:
        """NodeMemory.set_parent(), noted."""
        self.dirty.add(node)
        super().set_parent(node, parent)
