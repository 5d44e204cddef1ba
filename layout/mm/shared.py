"""Common data of a machine's address spaces: VMAs, files, anon_vmas, and injected failures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layout.machine.machine import TREES
from layout.memory.errors import UsageError
from layout.mm.vmas import Vma, VmaCache

if TYPE_CHECKING:
    from layout.machine.machine import Machine

DETACH_TREE = TREES - 1
"""The number of the tree that holds VMAs on their way out: mt_detach on the kernel's stack."""


class TooManySpaces(UsageError):  # noqa: N818 - a finding about a log or a scene
    """A machine has no tree left for another address space."""


class Shared:
    """The memory management of one machine, below its address spaces.

    Each address space has one of the machine's trees 0 to 6. munmap gathers VMAs in tree 7.
    ``files`` and anon_vmas are numbers instead of the kernel's objects. ``steps`` lists the steps
    of an operation that can fail, in order. ``fail_step(n)`` makes the n-th step from now fail with
    a lack of memory. (``machine.cache`` makes allocations of nodes fail.)
    """

    def __init__(self, machine: Machine, *, reuse_vmas: bool = False) -> None:
        if machine.arch.space is None:
            message = f"where processes map memory on {machine.arch.name} is not known here"
            raise UsageError(message)
        self.machine = machine
        self.vmas = VmaCache(machine, reuse=reuse_vmas)
        self.detach_tree = machine.tree(DETACH_TREE)
        self.steps: list[str] = []
        self.chains: dict[int, tuple[int, ...]] = {}
        """The anon_vmas that a VMA, given by its address, is chained to, oldest first."""
        self._anon_vmas = 0
        self._files = 0
        self._fail_at: int | None = None
        self._free_trees = list(range(DETACH_TREE))

    # -- address spaces

    def take_tree(self) -> int:
        """The number of a tree that no address space has. Raises TooManySpaces."""
        if not self._free_trees:
            message = (
                f"more than {DETACH_TREE} address spaces at once: a machine has {TREES} trees, "
                "one of which munmap needs"
            )
            raise TooManySpaces(message)
        return self._free_trees.pop(0)

    def drop_mm(self, number: int) -> None:
        """__mmdrop: tree ``number`` may be used for another address space."""
        self._free_trees.append(number)
        self._free_trees.sort()

    def new_file(self) -> int:
        """A file that no mapping has yet."""
        self._files += 1
        return 0x10000 + 0x100 * self._files

    # -- failures

    def fail_step(self, after: int | None) -> None:
        """Let ``after`` steps succeed and the next fail, once; None ends it."""
        self.steps.clear()
        self._fail_at = after

    def fails(self, step: str) -> bool:
        """Whether this step is the one to fail."""
        self.steps.append(step)
        if self._fail_at is None or len(self.steps) <= self._fail_at:
            return False
        self._fail_at = None
        return True

    # -- grace periods

    def quiesce(self) -> None:
        """Free the nodes and VMAs that wait for a grace period, unless a reader holds it up."""
        self.machine.quiesce()
        if not self.machine.reading:
            self.vmas.run_rcu()

    # -- VMAs

    def vm_area_alloc(self, mm: int) -> Vma | None:
        """A zeroed VMA of the mm at that address; None without memory."""
        if self.fails("vm_area_alloc"):
            return None
        vma = self.vmas.alloc()
        vma.vm_mm = mm
        vma.vm_lock_seq = -1
        self.chains[vma.address] = ()
        return vma

    def vm_area_dup(self, vma: Vma) -> Vma | None:
        """A copy of a VMA, chained to no anon_vma yet."""
        if self.fails("vm_area_dup"):
            return None
        new = self.vmas.alloc()
        mem = self.vmas.mem
        mem.write(new.address, mem.read(vma.address, self.vmas.size, "a VMA"), "a VMA")
        new.vm_lock_seq = -1
        self.chains[new.address] = ()
        return new

    def vm_area_free(self, vma: Vma) -> None:
        """Free a VMA after the grace period."""
        self.chains.pop(vma.address, None)
        self.vmas.free_rcu(vma)

    def vm_area_free_now(self, vma: Vma) -> None:
        """__vm_area_free: free a VMA that no reader can reach."""
        self.chains.pop(vma.address, None)
        self.vmas.free(vma)

    # -- anon_vmas

    def is_singular(self, vma: Vma) -> bool:
        """list_is_singular(&vma->anon_vma_chain)."""
        return len(self.chains[vma.address]) == 1

    def new_anon_vma(self, vma: Vma) -> None:
        """Give a VMA an anon_vma of its own."""
        self._anon_vmas += 1
        vma.anon_vma = 0x1000 * self._anon_vmas
        self.chains[vma.address] += (vma.anon_vma,)

    def anon_vma_clone(self, new: Vma, vma: Vma) -> bool:
        """Chain a VMA to what another is chained to; false without memory.

        It never reuses an anon_vma whose VMAs are gone, as the kernel may after a fork.
        """
        if self.chains[vma.address] and self.fails("anon_vma_clone"):
            new.anon_vma = 0
            self.chains[new.address] = ()
            return False
        self.chains[new.address] = self.chains[vma.address]
        return True

    def anon_vma_fork(self, new: Vma, vma: Vma) -> bool:
        """Chain a child's VMA to its parent's, and to an anon_vma of its own; false if it fails."""
        if not vma.anon_vma:
            return True
        new.anon_vma = 0
        if not self.anon_vma_clone(new, vma):
            return False
        if self.fails("anon_vma_fork"):
            self.unlink_anon_vmas(new)
            return False
        self.new_anon_vma(new)
        return True

    def unlink_anon_vmas(self, vma: Vma) -> None:
        """Take a VMA off all its anon_vmas."""
        self.chains[vma.address] = ()
        vma.anon_vma = 0
