"""Known bugs of Linux itself, which random tests avoid."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layout.machine.equip import in_front
from layout.machine.machine import Machine
from layout.memory.structs import DEFAULT_VERSION
from layout.testing.machines import find
from layout.tree.kernel import Kernel
from layout.tree.versions import kernel_of

if TYPE_CHECKING:
    from arches import Arch


class FreesAllItKilled(Kernel):
    """The kernel's code, except that it frees all nodes of a destroyed tree in RCU mode.

    6.12 and the kernels after it have two bugs there, see "Bugs in Linux 6.12" in the
    documentation: the callback that frees the nodes looks for children in a word that may be
    metadata, and two bytes of a last child's address may be cleared. Here the callback uses the
    number of children, as in the proposed fix.
    """

    def mt_clear_meta(self, node: int, mt: int) -> None:
        """Leave the word as it is: nobody looks for a child behind the last one."""

    def seam_has_dead_child(self, node: int, mt: int, offset: int) -> bool:  # noqa: ARG002
        """Whether the destroy walk counted a child there."""
        return offset < self.mem.slot_len(node)


def sound_machine(arch: str | Arch, kernel: str = DEFAULT_VERSION) -> Machine:
    """A machine on which random operations meet no bug that is known.

    ``kernel`` is the version whose operations it carries out. Raises UsageError.
    """
    return Machine(find(arch), kernel=in_front(kernel_of(kernel), [FreesAllItKilled]))
