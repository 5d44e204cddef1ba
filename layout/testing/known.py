"""Known bugs of Linux 6.12 itself, which random tests avoid."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layout.machine.machine import Machine
from layout.memory.node import NODE_SIZE
from layout.memory.pointers import NODE_MASK, RANGE_64
from layout.testing.machines import find
from layout.tree.kernel import Kernel

if TYPE_CHECKING:
    from arches import Arch


class KeepsLastChild(Kernel):
    """The kernel's code, except that a destroyed node's last child keeps its address.

    6.12 has a bug in the destruction of a tree in RCU mode that tracks no gaps, and whose root is
    full of leaves: two bytes of the last leaf's address are cleared. A subtree of that shape has
    the same bug. See "Bugs in Linux 6.12" in the documentation.
    """

    def mt_clear_meta(self, node: int, mt: int) -> None:
        """Do what the operation does, unless the word is the bare address of a leaf."""
        if mt == RANGE_64 and self.mem.pivot(node, self.mt_pivots[mt] - 1):
            last = self.mem.slot(node, mt, self.mt_slots[mt] - 1)
            number = (last - self.cache.base) // NODE_SIZE
            if not last & NODE_MASK and 0 <= number < len(self.cache.freed_map):
                return
        super().mt_clear_meta(node, mt)


def sound_machine(arch: str | Arch) -> Machine:
    """A machine on which random operations meet no bug that is known."""
    return Machine(find(arch) if isinstance(arch, str) else arch, kernel=KeepsLastChild)
