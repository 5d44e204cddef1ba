"""An address space, whole: all operations under their kernel names, and the lockless reader."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layout.mm.fork import Fork

if TYPE_CHECKING:
    from collections.abc import Generator

    from layout.mm.vmas import Vma


class AddressSpace(Fork):
    """A process's memory map: VMAs in the tree at ``mm_mt``. Made by MemoryManager.new_mm().

    System calls (mmap, munmap, mprotect, mremap, brk, madvise, mlock) take and return what the
    kernel's do; numbers are bytes. Iterating gives the VMAs in order.
    """

    def fork(self) -> tuple[AddressSpace, int]:
        """A copy of this address space, and 0; or what a failed copy left, and -ENOMEM.

        A failed one must be torn down with exit_mmap(), as the kernel's caller does.
        """
        child = self.manager.new_mm()
        err = child.dup_mmap(self)
        self.mmap_write_unlock()
        return child, err

    def lock_vma_under_rcu(self, address: int) -> Vma | None:
        """The VMA at ``address``, found by a reader that holds no lock; None: take the lock.

        Kernel: mm/memory.c. Without CONFIG_PER_VMA_LOCK (sparc64) the kernel always takes the
        lock; here the reader looks all the same, it just cannot see that a VMA is detached.
        """
        steps = self.lock_vma_under_rcu_steps(address)
        while True:
            try:
                next(steps)
            except StopIteration as end:
                vma: Vma | None = end.value
                return vma

    def lock_vma_under_rcu_steps(self, address: int) -> Generator[str, None, Vma | None]:
        """:meth:`lock_vma_under_rcu` in steps, between which a writer may run."""
        mas = self.vma_iterator(address)
        yield "rcu_read_lock"
        self.machine.rcu_read_lock()
        try:
            while True:
                yield "mas_walk"
                entry = self.kernel.mas_walk(mas)
                vma = self.vma(entry)
                if vma is None:
                    return None
                yield "vma_start_read"
                if vma.vm_lock_seq == self.mm_lock_seq:  # a writer has it
                    return None
                if not vma.detached:
                    break
            inside = vma.vm_start <= address < vma.vm_end
            return vma if inside else None
        finally:
            self.machine.rcu_read_unlock()
            self.manager.quiesce()
