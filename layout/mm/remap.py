"""Moves and resizes mappings: mremap.

Source: mm/mremap.c and copy_vma() of mm/vma.c, Linux 6.12.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from layout.mm.merge import MAX_MAP_COUNT
from layout.mm.vm_flags import (
    MAP_FIXED,
    MAP_SHARED,
    MREMAP_DONTUNMAP,
    MREMAP_FIXED,
    MREMAP_MAYMOVE,
    VM_ACCOUNT,
    VM_DONTEXPAND,
    VM_LOCKED,
    VM_LOCKED_MASK,
    VM_MAYSHARE,
    VM_PFNMAP,
    VM_SHARED,
)
from layout.tree.state import EINVAL, ENOMEM

if TYPE_CHECKING:
    from layout.mm.mm_struct import MmStruct
    from layout.mm.vmas import Vma


def copy_vma(
    mm: MmStruct, vma: Vma, address: int, length: int, pgoff: int, *, keep_source: bool
) -> tuple[Vma | None, Vma]:
    """A VMA like ``vma`` elsewhere, merged with its neighbours there if it can be.

    Returns (the new VMA, the old one); the old one is the new one if they merged. None
    without memory.
    """
    old_start = vma.vm_start
    vmi = mm.vma_iterator(address)
    vmg = mm.vmg_vma_state(vmi, None, vma, address, address + length)
    faulted = True
    if vma.is_anonymous and not vma.anon_vma:
        pgoff = address // mm.page_size
        faulted = False
    found, vmg.prev = mm.find_vma_prev(address)
    if found is not None and found.vm_start < address + length:
        return None, vma
    vmg.vma = None
    vmg.pgoff = pgoff
    vmg.next, _ = mm.vma_iter_next_rewind(vmi)
    if not faulted and keep_source:
        if vmg.prev == vma:
            vmg.prev = None
        if vmg.next == vma:
            vmg.next = None
    new = mm.vma_merge_new_range(vmg)
    if new is not None:
        return new, new if new.vm_start <= old_start < new.vm_end else vma
    new = mm.manager.vm_area_dup(vma)
    if new is None:
        return None, vma
    mm.vma_set_range(new, address, address + length, pgoff)
    if not mm.manager.anon_vma_clone(new, vma):
        mm.manager.vm_area_free(new)
        return None, vma
    if mm.vma_link(new):
        mm.manager.unlink_anon_vmas(new)
        mm.manager.vm_area_free(new)
        return None, vma
    return new, vma


def move_vma(
    mm: MmStruct, vma: Vma, old: int, old_len: int, new_len: int, new: int, flags: int
) -> int:
    """Move part of a VMA to a free range. Returns the new address or a negative errno."""
    vm_flags = vma.vm_flags
    keep = bool(flags & MREMAP_DONTUNMAP)
    old_end = old + old_len
    if mm.map_count >= MAX_MAP_COUNT - 3:
        return -ENOMEM
    if keep and vm_flags & VM_LOCKED:
        vmi = mm.vma_iterator(old)
        err = 0
        if vma.vm_start != old:
            err = mm.split_vma(vmi, vma, old, new_below=True)
        if not err and vma.vm_end != old_end:
            err = mm.split_vma(vmi, vma, old_end, new_below=False)
        if err:
            return err
    mm.vma_start_write(vma)
    pgoff = vma.vm_pgoff + (old - vma.vm_start) // mm.page_size
    copy, vma = mm.copy_vma(vma, new, new_len, pgoff, keep_source=keep)
    if copy is None:
        return -ENOMEM
    before = after = False
    if vm_flags & VM_ACCOUNT and not keep:
        vma.vm_flags &= ~VM_ACCOUNT  # so that the pages stay accounted for once
        before, after = vma.vm_start < old, vma.vm_end > old_end
    if keep:
        vma.vm_flags &= ~VM_LOCKED_MASK
        if vma.vm_start == old and vma.vm_end == old_end:
            mm.manager.unlink_anon_vmas(vma)
            if vma.is_anonymous and not vma.vm_file:
                vma.vm_pgoff = vma.vm_start // mm.page_size
        return new
    vmi = mm.vma_iterator(old)
    if mm.do_vmi_munmap(vmi, old, old_len):
        before = after = False
    if before and (left := mm.vma_prev(vmi)) is not None:
        left.vm_flags |= VM_ACCOUNT
    if after and (right := mm.vma_next(vmi)) is not None:
        right.vm_flags |= VM_ACCOUNT
    return new


def vma_to_resize(
    mm: MmStruct, address: int, old_len: int, new_len: int, flags: int
) -> tuple[Vma | None, int]:
    """The VMA to be moved or resized: (VMA, 0), or (None, a negative errno)."""
    vma = mm.vma_lookup(address)
    if vma is None:
        return None, -errno.EFAULT
    vm_flags = vma.vm_flags
    fixed_size = vm_flags & (VM_DONTEXPAND | VM_PFNMAP)
    if not old_len and not vm_flags & (VM_SHARED | VM_MAYSHARE):
        return None, -EINVAL
    if flags & MREMAP_DONTUNMAP and fixed_size:
        return None, -EINVAL
    if old_len > vma.vm_end - address:
        return None, -errno.EFAULT
    if new_len != old_len and fixed_size:
        return None, -errno.EFAULT
    return vma, 0


def mremap_to(mm: MmStruct, address: int, old_len: int, new: int, new_len: int, flags: int) -> int:
    """Move to ``new``, over what is there (MREMAP_FIXED), or leave the old range in place."""
    task_size = mm.space.task_size
    if new % mm.page_size or new_len > task_size or new > task_size - new_len:
        return -EINVAL
    if address + old_len > new and new + new_len > address:
        return -EINVAL
    if mm.map_count + 2 >= MAX_MAP_COUNT - 3:
        return -ENOMEM
    if flags & MREMAP_FIXED:
        err = mm.do_munmap(new, new_len)
        if err:
            return err
    if old_len > new_len:
        err = mm.do_munmap(address + new_len, old_len - new_len)
        if err:
            return err
        old_len = new_len
    vma, err = mm.vma_to_resize(address, old_len, new_len, flags)
    if vma is None:
        return err
    map_flags = MAP_FIXED if flags & MREMAP_FIXED else 0
    if vma.vm_flags & VM_MAYSHARE:
        map_flags |= MAP_SHARED
    pgoff = vma.vm_pgoff + (address - vma.vm_start) // mm.page_size
    place = mm.get_unmapped_area(new, new_len, map_flags, pgoff, vma.vm_file)
    if place < 0:
        return place
    if not flags & MREMAP_FIXED:
        new = place
    return mm.move_vma(vma, address, old_len, new_len, new, flags)


def mremap(
    mm: MmStruct, address: int, old_len: int, new_len: int, flags: int = 0, new: int = 0
) -> int:
    """The system call: the mapping's address, or a negative errno."""
    ret = _mremap_locked(mm, address, old_len, new_len, flags, new)
    mm.mmap_write_unlock()
    return ret


def _mremap_locked(
    mm: MmStruct, address: int, old_len: int, new_len: int, flags: int, new: int
) -> int:
    """mremap() with the mmap lock held."""
    known = MREMAP_FIXED | MREMAP_MAYMOVE | MREMAP_DONTUNMAP
    may_move = flags & MREMAP_MAYMOVE
    old_len, new_len = mm.page_align(old_len), mm.page_align(new_len)
    if (
        flags & ~known
        or (flags & (MREMAP_FIXED | MREMAP_DONTUNMAP) and not may_move)
        or (flags & MREMAP_DONTUNMAP and old_len != new_len)
        or address % mm.page_size
        or not new_len
    ):
        return -EINVAL
    if mm.vma_lookup(address) is None:
        return -errno.EFAULT
    if flags & (MREMAP_FIXED | MREMAP_DONTUNMAP):
        return mm.mremap_to(address, old_len, new, new_len, flags)
    if old_len >= new_len:
        if old_len == new_len:
            return address
        return mm.do_munmap(address + new_len, old_len - new_len) or address
    vma, err = mm.vma_to_resize(address, old_len, new_len, flags)
    if vma is None:
        return err
    if old_len == vma.vm_end - address and mm.vma_expandable(vma, new_len - old_len):
        vmi = mm.vma_iterator(vma.vm_end)
        grown = mm.vma_merge_extend(vmi, vma, new_len - old_len)
        return -ENOMEM if grown is None else address
    if not may_move:
        return -ENOMEM
    map_flags = MAP_SHARED if vma.vm_flags & VM_MAYSHARE else 0
    pgoff = vma.vm_pgoff + (address - vma.vm_start) // mm.page_size
    new = mm.get_unmapped_area(0, new_len, map_flags, pgoff, vma.vm_file)
    return new if new < 0 else mm.move_vma(vma, address, old_len, new_len, new, flags)


def vma_expandable(mm: MmStruct, vma: Vma, delta: int) -> bool:
    """Whether the range behind a VMA is free and allowed."""
    start, end = vma.vm_start, vma.vm_end + delta
    if end > mm.ulong_max or mm.find_vma_intersection(vma.vm_end, end) is not None:
        return False
    return mm.get_unmapped_area(start, end - start, MAP_FIXED, 0, 0) >= 0
