"""Copies an address space for a new process, and removes one at exit.

Source: dup_mmap() of kernel/fork.c and exit_mmap() of mm/mmap.c, Linux 6.12.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from layout.memory.pointers import XA_ZERO_ENTRY
from layout.memory.slab import GFP_KERNEL
from layout.mm.vm_flags import VM_DONTCOPY, VM_LOCKED_MASK, VM_WIPEONFORK
from layout.tree.state import ENOMEM

if TYPE_CHECKING:
    from collections.abc import Generator

    from layout.mm.mm_struct import MmStruct
    from layout.mm.vmas import Vma


def fork(mm: MmStruct) -> tuple[MmStruct, int]:
    """A copy of this address space, and 0; or what a failed copy left, and -ENOMEM.

    A failed one must be torn down with exit_mmap(), as the kernel's caller does.
    """
    child = mm.new_mm()
    err = child.dup_mmap(mm)
    mm.mmap_write_unlock()
    return child, err


def dup_mmap(mm: MmStruct, old: MmStruct) -> int:
    """Become a copy of ``old``; ``mm`` is new and empty. Returns 0 or -ENOMEM.

    After a failure the tree is not empty: it ends in XA_ZERO_ENTRY at the VMA that could not be
    copied, behind which the parent's VMAs are still there; exit_mmap() knows.
    """
    return _run(mm.dup_mmap_steps(old))


def dup_mmap_steps(mm: MmStruct, old: MmStruct) -> Generator[str, None, int]:
    """:func:`dup_mmap` in steps, between which readers may look at the new tree."""
    mm.mmap_base, mm.table_limit = old.mmap_base, old.table_limit
    mm.start_brk, mm.brk_end = old.start_brk, old.brk_end
    yield "mt_dup"
    err = mm.kernel.mtree_dup(old.mm_mt, mm.mm_mt, GFP_KERNEL)
    if err:
        return err
    mm.kernel.mt_clear_in_rcu(mm.mm_mt)
    vmi = mm.vma_iterator()
    while (vma := mm.vma_next(vmi)) is not None:
        yield f"copy {vma.vm_start:x}"
        old.vma_start_write(vma)
        if vma.vm_flags & VM_DONTCOPY:
            err = mm.vma_iter_clear_gfp(vmi, vma.vm_start, vma.vm_end)
            if err:
                break
            continue
        new = _dup_vma(mm, vma)
        if new is None:
            err = -ENOMEM
            break
        vmi.index, vmi.last = new.vm_start, new.vm_end - 1
        mm.kernel.mas_store(vmi, new.address)
        mm.map_count += 1
        if not new.vm_flags & VM_WIPEONFORK and mm.manager.fails("copy_page_range"):
            err = -ENOMEM
            vma = mm.vma_next(vmi)
            break
    mm.kernel.mas_destroy(vmi)
    if not err:
        mm.kernel.mt_set_in_rcu(mm.mm_mt)
        return 0
    yield "dup_mmap failed"
    mm.seam_dup_mmap_failed(vma)
    return err


def seam_dup_mmap_failed(mm: MmStruct, vma: Vma | None) -> None:
    """What dup_mmap() does after a failure: put XA_ZERO_ENTRY at ``vma``, where copying stopped.

    None: that was at the end.
    """
    if vma is None:
        return
    vmi = mm.vma_iterator(vma.vm_start)
    vmi.last = vma.vm_end - 1
    mm.kernel.mas_store(vmi, XA_ZERO_ENTRY)


def _dup_vma(mm: MmStruct, vma: Vma) -> Vma | None:
    """The child's copy of a VMA; None without memory."""
    new = mm.manager.vm_area_dup(vma)
    if new is None:
        return None
    new.vm_mm = mm.mm_mt
    if new.vm_flags & VM_WIPEONFORK:
        new.anon_vma = 0
    elif not mm.manager.anon_vma_fork(new, vma):
        mm.manager.vm_area_free(new)
        return None
    new.vm_flags &= ~VM_LOCKED_MASK
    return new


def exit_mmap(mm: MmStruct) -> None:
    """Free all VMAs and the tree; the address space is gone after it.

    Stops at an XA_ZERO_ENTRY: what lies behind it is the parent's.
    """
    vmi = mm.vma_iterator()
    vma = mm.vma_next(vmi)
    if vma is not None and vma.address != XA_ZERO_ENTRY:
        mm.kernel.mt_clear_in_rcu(mm.mm_mt)
        mm.kernel.mas_set(vmi, vma.vm_end)
        count = 0
        while vma is not None and vma.address != XA_ZERO_ENTRY:
            mm.manager.vm_area_free_now(vma)
            count += 1
            vma = mm.vma_next(vmi)
        if count != mm.map_count:
            mm.kernel.bug("exit_mmap: map_count is wrong", mm.mm_mt)
    mm.kernel.mt_destroy(mm.mm_mt)
    mm.mmap_write_unlock()
    mm.manager.drop_mm(mm.number)


def _run(steps: Generator[str, None, int]) -> int:
    """Carry out steps one after the other; returns what the last returns."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return int(end.value)
