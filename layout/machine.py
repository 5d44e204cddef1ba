"""A simulated machine: memory, node cache and kernel code of one architecture, ready for use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layout import structs
from layout.node import NodeMemory
from layout.slab import NodeCache
from layout.tree.kernel import Kernel

if TYPE_CHECKING:
    from arches import Arch

TREES = 8
"""Trees on a machine, each with its struct maple_tree at a fixed address."""

TREE_STRIDE = 0x40
_TREE_AREA = 0x10000


class Machine:
    """One machine with eight empty trees.

    Tree ``k`` lies at ``tree_base + k * 0x40``, node ``i`` at ``node_base + i * 0x100``. What
    watches accesses or replaces operations comes in as another class of memory or kernel.
    """

    def __init__(
        self,
        arch: Arch,
        memory: type[NodeMemory] = NodeMemory,
        kernel: type[Kernel] = Kernel,
    ) -> None:
        self.arch = arch
        self.profile = structs.profile(arch)
        self.node_base = 0x1000000000 if arch.word_size == 8 else 0x10000000
        self.tree_base = self.node_base - _TREE_AREA
        self.mem = memory(arch, self.profile)
        self.mem.map(self.tree_base, bytearray(_TREE_AREA), "trees")
        self.cache = NodeCache(self.mem, self.node_base)
        self.kernel = kernel(self.mem, self.cache)
        for number in range(TREES):
            self.kernel.mt_init_flags(self.tree(number), 0)

    def tree(self, number: int) -> int:
        """The address of tree ``number``'s struct maple_tree."""
        return self.tree_base + number * TREE_STRIDE
