"""Records the tree operations of the mm layer as lines of a trace."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layout.machine.equip import in_front
from layout.machine.machine import TREE_STRIDE, Machine
from layout.memory.slab import GFP_KERNEL
from layout.memory.structs import DEFAULT_VERSION
from layout.traces.source import BEGIN, end_line
from layout.tree.kernel import Kernel
from layout.tree.versions import kernel_of

if TYPE_CHECKING:
    from arches import Arch
    from layout.memory.node import NodeMemory
    from layout.memory.slab import NodeCache
    from layout.tree.state import MaState


class WritingKernel(Kernel):
    """A kernel that adds to ``lines`` what replays each of its changes to trees.

    A preallocation and the store it is for become one ``prealloc`` line; reading operations
    write nothing.
    """

    def __init__(self, mem: NodeMemory, cache: NodeCache) -> None:
        super().__init__(mem, cache)
        self.lines: list[str] = [BEGIN]
        self.tree_base = 0
        self._selected: int | None = None

    def _write(self, tree: int, line: str) -> None:
        if not self.tree_base:  # the machine is not yet set up
            return
        self.select(tree)
        self.lines.append(line)

    def select(self, tree: int) -> None:
        """Make a tree the current one, so that a look at the trace here shows it."""
        number = (tree - self.tree_base) // TREE_STRIDE
        if number != self._selected:
            self._selected = number
            self.lines.append(f"sel {number}")

    def mt_init_flags(self, tree: int, flags: int) -> None:
        """Written as ``init``."""
        self._write(tree, f"init {flags:x}")
        super().mt_init_flags(tree, flags)

    def mt_set_in_rcu(self, tree: int) -> None:
        """Written as ``rcu on``."""
        self._write(tree, "rcu on")
        super().mt_set_in_rcu(tree)

    def mt_clear_in_rcu(self, tree: int) -> None:
        """Written as ``rcu off``."""
        self._write(tree, "rcu off")
        super().mt_clear_in_rcu(tree)

    def mas_store_prealloc(self, mas: MaState, entry: int) -> None:
        """Written as ``prealloc``, the preallocation included."""
        self._write(mas.tree, f"prealloc {mas.index:x} {mas.last:x} {entry:x}")
        super().mas_store_prealloc(mas, entry)

    def mas_store_gfp(self, mas: MaState, entry: int, gfp: int = GFP_KERNEL) -> int:
        """Written as ``store``."""
        self._write(mas.tree, f"store {mas.index:x} {mas.last:x} {entry:x}")
        return super().mas_store_gfp(mas, entry, gfp)

    def mas_store(self, mas: MaState, entry: int) -> int:
        """Written as ``mstore``."""
        self._write(mas.tree, f"mstore {mas.index:x} {mas.last:x} {entry:x}")
        return super().mas_store(mas, entry)

    def mtree_dup(self, tree: int, new: int, gfp: int = GFP_KERNEL) -> int:
        """Written as ``dup``."""
        self._write(tree, f"dup {(new - self.tree_base) // TREE_STRIDE:x}")
        return super().mtree_dup(tree, new, gfp)

    def mt_destroy(self, tree: int) -> None:
        """Written as ``destroy``."""
        self._write(tree, "destroy")
        super().mt_destroy(tree)


def printable(text: str, most: int = 120) -> str:
    """Text for a comment of a trace: one line of ASCII, no more than ``most`` characters of it."""
    return "".join(char if " " <= char <= "~" else ascii(char)[1:-1] for char in text[: most + 1])[
        :most
    ]


def whole(lines: list[str]) -> list[str]:
    """The lines of a trace that begins with BEGIN, and the last one that belongs to it."""
    return [*lines, end_line(len(lines) + 1)]


def writing_machine(arch: Arch, version: str = DEFAULT_VERSION) -> tuple[Machine, WritingKernel]:
    """A machine and its kernel, whose ``lines`` are the trace so far.

    ``version`` is the kernel whose operations on trees it carries out. Raises UsageError.
    """
    machine = Machine(arch, kernel=in_front(kernel_of(version), [WritingKernel]))
    kernel = machine.kernel
    assert isinstance(kernel, WritingKernel)
    kernel.tree_base = machine.tree_base
    return machine, kernel
