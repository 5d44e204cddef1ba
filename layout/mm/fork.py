"""Copying an address space for a new process, and tearing one down.

Source: dup_mmap() of kernel/fork.c and exit_mmap() of mm/mmap.c, Linux 6.12.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from layout.mm.flags import VM_DONTCOPY, VM_LOCKED_MASK, VM_WIPEONFORK
from layout.mm.stack import Stack
from layout.pointers import XA_ZERO_ENTRY
from layout.slab import GFP_KERNEL
from layout.tree.state import ENOMEM

if TYPE_CHECKING:
    from collections.abc import Generator

    from layout.mm.vmas import Vma


class Fork(Stack):
    """dup_mmap and exit_mmap."""

    def dup_mmap(self, old: Fork) -> int:
        """Become a copy of ``old``; self is new and empty. Returns 0 or -ENOMEM.

        After a failure the tree is not empty: it ends in XA_ZERO_ENTRY at the VMA that could
        not be copied, behind which the parent's VMAs are still there; exit_mmap() knows.
        """
        return run(self.dup_mmap_steps(old))

    def dup_mmap_steps(self, old: Fork) -> Generator[str, None, int]:
        """:meth:`dup_mmap` in steps, between which readers may look at the new tree."""
        self.mmap_base, self.table_limit = old.mmap_base, old.table_limit
        self.start_brk, self.brk_end = old.start_brk, old.brk_end
        yield "mt_dup"
        err = self.kernel.mtree_dup(old.mm_mt, self.mm_mt, GFP_KERNEL)
        if err:
            return err
        self.kernel.mt_clear_in_rcu(self.mm_mt)
        vmi = self.vma_iterator()
        while (vma := self.vma_next(vmi)) is not None:
            yield f"copy {vma.vm_start:x}"
            old.vma_start_write(vma)
            if vma.vm_flags & VM_DONTCOPY:
                err = self.vma_iter_clear_gfp(vmi, vma.vm_start, vma.vm_end)
                if err:
                    break
                continue
            new = self._dup_vma(vma)
            if new is None:
                err = -ENOMEM
                break
            vmi.index, vmi.last = new.vm_start, new.vm_end - 1
            self.kernel.mas_store(vmi, new.address)
            self.map_count += 1
            if not new.vm_flags & VM_WIPEONFORK and self.manager.fails("copy_page_range"):
                err = -ENOMEM
                vma = self.vma_next(vmi)
                break
        self.kernel.mas_destroy(vmi)
        if not err:
            self.kernel.mt_set_in_rcu(self.mm_mt)
            return 0
        yield "dup_mmap failed"
        self.fork_failed(vma)
        return err

    def fork_failed(self, vma: Vma | None) -> None:
        """Put XA_ZERO_ENTRY where copying stopped; None if that was at the end."""
        if vma is None:
            return
        vmi = self.vma_iterator(vma.vm_start)
        vmi.last = vma.vm_end - 1
        self.kernel.mas_store(vmi, XA_ZERO_ENTRY)

    def _dup_vma(self, vma: Vma) -> Vma | None:
        new = self.manager.vm_area_dup(vma)
        if new is None:
            return None
        new.vm_mm = self.mm_mt
        if new.vm_flags & VM_WIPEONFORK:
            new.anon_vma = 0
        elif not self.manager.anon_vma_fork(new, vma):
            self.manager.vm_area_free(new)
            return None
        new.vm_flags &= ~VM_LOCKED_MASK
        return new

    def exit_mmap(self) -> None:
        """Free all VMAs and the tree; the address space is gone after it.

        Stops at an XA_ZERO_ENTRY: what lies behind it is the parent's.
        """
        vmi = self.vma_iterator()
        vma = self.vma_next(vmi)
        if vma is not None and vma.address != XA_ZERO_ENTRY:
            self.kernel.mt_clear_in_rcu(self.mm_mt)
            self.kernel.mas_set(vmi, vma.vm_end)
            count = 0
            while vma is not None and vma.address != XA_ZERO_ENTRY:
                self.manager.vm_area_free_now(vma)
                count += 1
                vma = self.vma_next(vmi)
            if count != self.map_count:
                self.kernel.bug("exit_mmap: map_count is wrong", self.mm_mt)
        self.kernel.mt_destroy(self.mm_mt)
        self.mmap_write_unlock()
        self.manager.drop_mm(self.number)


def run(steps: Generator[str, None, int]) -> int:
    """Carry out steps one after the other; returns what the last returns."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return int(end.value)
