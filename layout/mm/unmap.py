"""Removes VMAs from an address space.

They are split, gathered in a separate tree, removed, then freed.

Source: mm/vma.c of Linux 6.12.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from layout.memory.pointers import MT_FLAGS_LOCK_MASK
from layout.memory.slab import GFP_KERNEL
from layout.mm.calls import Gathered
from layout.mm.merge import MAX_MAP_COUNT
from layout.tree.state import EINVAL, ENOMEM

if TYPE_CHECKING:
    from layout.mm.mm_struct import MmStruct
    from layout.mm.vmas import Vma
    from layout.tree.state import MaState


def init_vma_munmap(mm: MmStruct, vmi: MaState, vma: Vma | None, start: int, end: int) -> Gathered:
    """Nothing gathered yet; the side tree is empty. ``vma`` is the first in the range."""
    tree = mm.manager.detach_tree
    if vma is not None:
        mm.kernel.mt_init_flags(tree, mm.mem.ma_flags(mm.mm_mt) & MT_FLAGS_LOCK_MASK)
    return Gathered(vmi, start, end, vma, mm.kernel.new_state(tree))


def _gathered_vmas(mm: MmStruct, vms: Gathered) -> list[Vma]:
    """The VMAs in the side tree."""
    mm.kernel.mas_set(vms.detach, 0)
    found = []
    while (vma := mm.vma(mm.kernel.mas_find(vms.detach, mm.ulong_max))) is not None:
        found.append(vma)
    return found


def vms_gather_munmap_vmas(mm: MmStruct, vms: Gathered) -> int:
    """Split at both ends, and put the VMAs of the range into the side tree.

    Returns 0, or -ENOMEM with nothing gathered; what was split stays split.
    """
    vmi, vma = vms.vmi, vms.vma
    assert vma is not None
    if vms.start > vma.vm_start:
        if vms.end < vma.vm_end and mm.map_count >= MAX_MAP_COUNT:
            return -ENOMEM
        err = mm.split_vma_unchecked(vmi, vma, vms.start, new_below=True)
        if err:
            return err
    vms.prev = mm.vma_prev(vmi)
    while (found := mm.vma_find(vmi, vms.end)) is not None:
        err = 0
        if found.vm_end > vms.end:
            err = mm.split_vma_unchecked(vmi, found, vms.end, new_below=False)
        if not err:
            mm.vma_start_write(found)
            mm.kernel.mas_set(vms.detach, vms.count)
            vms.count += 1
            err = mm.kernel.mas_store_gfp(vms.detach, found.address, GFP_KERNEL)
        if err:
            mm.reattach_vmas(vms)
            return err
        found.mark_detached(detached=True)
    vms.next = mm.vma_next(vmi)
    while vmi.index > vms.start:
        mm.vma_iter_prev_range(vmi)
    return 0


def reattach_vmas(mm: MmStruct, vms: Gathered) -> None:
    """Give up: the gathered VMAs, still in the tree, are attached again."""
    for vma in _gathered_vmas(mm, vms):
        vma.mark_detached(detached=False)
    mm.kernel.mt_destroy(vms.detach.tree)


def vms_clean_up_area(mm: MmStruct, vms: Gathered) -> None:
    """Clear the page tables of what was gathered: for the trees, walks over the side tree."""
    if not vms.count:
        return
    mm.kernel.mas_set(vms.detach, 1)
    while mm.kernel.mas_find(vms.detach, vms.count - 1):
        pass
    _gathered_vmas(mm, vms)


def vms_complete_munmap_vmas(mm: MmStruct, vms: Gathered) -> None:
    """Free what was gathered, and the side tree."""
    mm.map_count -= vms.count
    if not vms.count:
        return
    for vma in _gathered_vmas(mm, vms):
        mm.manager.vm_area_free(vma)
    mm.kernel.mt_destroy(vms.detach.tree)


def vms_abort_munmap_vmas(mm: MmStruct, vms: Gathered) -> None:
    """Leave a gap where what was gathered had been: its page tables are cleared."""
    if not vms.count:
        return
    mm.kernel.mas_set(vms.vmi, vms.start)
    vms.vmi.last = vms.end - 1
    mm.machine.cache.fail(None, None, nowait_only=False)  # __GFP_NOFAIL
    mm.kernel.mas_store_gfp(vms.vmi, 0, GFP_KERNEL)
    mm.vms_complete_munmap_vmas(vms)


def do_vmi_align_munmap(mm: MmStruct, vmi: MaState, vma: Vma, start: int, end: int) -> int:
    """Unmap a range of whole pages whose first VMA is ``vma``. Returns 0 or -ENOMEM."""
    vms = mm.init_vma_munmap(vmi, vma, start, end)
    err = mm.vms_gather_munmap_vmas(vms)
    if err:
        return err
    err = mm.vma_iter_clear_gfp(vmi, start, end)
    if err:
        mm.reattach_vmas(vms)
        return err
    mm.vms_complete_munmap_vmas(vms)
    return 0


def do_vmi_munmap(mm: MmStruct, vmi: MaState, start: int, length: int) -> int:
    """Unmap a range. Returns 0, -EINVAL or -ENOMEM."""
    task_size = mm.space.task_size
    if start % mm.page_size or start > task_size or length > task_size - start:
        return -EINVAL
    end = start + mm.page_align(length)
    if end == start:
        return -EINVAL
    vma = mm.vma_find(vmi, end)
    return 0 if vma is None else mm.do_vmi_align_munmap(vmi, vma, start, end)


def do_munmap(mm: MmStruct, start: int, length: int) -> int:
    """do_vmi_munmap() with an iterator of its own."""
    return mm.do_vmi_munmap(mm.vma_iterator(start), start, length)


def munmap(mm: MmStruct, start: int, length: int) -> int:
    """The system call. Returns 0 or a negative errno."""
    ret = mm.do_munmap(start, length)
    mm.mmap_write_unlock()
    return ret
