"""What Linux 6.12 itself gets wrong, so that random tests can look for something else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layout.machine.machine import Machine
from layout.testing.machines import find
from layout.tree.kernel import Kernel

if TYPE_CHECKING:
    from arches import Arch


class FreesAllItKilled(Kernel):
    """The kernel's code, but for subtrees that are freed after a grace period: all of them are.

    In 6.12 the callback that frees a destroyed tree looks for children in a word that may be
    metadata, and a last child may have lost two bytes of its address: see "Bugs that 6.12 has"
    in the documentation. Here it goes by the number of children, as the fix proposed there does.
    """

    def mt_clear_meta(self, node: int, mt: int) -> None:
        """Leave the word as it is: nobody looks for a child behind the last one."""

    def seam_has_dead_child(self, node: int, mt: int, offset: int) -> bool:  # noqa: ARG002
        """Whether the destroy walk counted a child there."""
        return offset < self.mem.slot_len(node)


def sound_machine(arch: str | Arch) -> Machine:
    """A machine on which random operations meet no bug that is known."""
    return Machine(find(arch) if isinstance(arch, str) else arch, kernel=FreesAllItKilled)
