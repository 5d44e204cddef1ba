"""New mappings: mmap and brk. Their number is the only limit: no rlimits, no overcommit.

Source: mm/mmap.c of Linux 6.12.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from layout.mm.calls import VmaMerge
from layout.mm.merge import MAX_MAP_COUNT
from layout.mm.place import GUARD_PAGES, MMAP_MIN_ADDR
from layout.mm.vm_flags import (
    ANONYMOUS_OPS,
    FILE_OPS,
    MAP_FIXED,
    MAP_FIXED_NOREPLACE,
    MAP_GROWSDOWN,
    MAP_HUGETLB,
    MAP_LOCKED,
    MAP_NORESERVE,
    MAP_PRIVATE,
    MAP_SHARED,
    MAP_SHARED_VALIDATE,
    MAP_STACK,
    MAP_SYNC,
    MAP_TYPE,
    SHMEM_OPS,
    VM_ACCESS_FLAGS,
    VM_ACCOUNT,
    VM_GROWSDOWN,
    VM_HUGETLB,
    VM_LOCKED,
    VM_MAY_ALL,
    VM_MAYSHARE,
    VM_NOHUGEPAGE,
    VM_NORESERVE,
    VM_SHARED,
    VM_SYNC,
    VM_WRITE,
)
from layout.tree.state import EEXIST, EINVAL, ENOMEM

if TYPE_CHECKING:
    from layout.mm.mm_struct import MmStruct
    from layout.mm.vmas import Vma
    from layout.tree.state import MaState

_FLAG_BITS = (
    (MAP_GROWSDOWN, VM_GROWSDOWN),
    (MAP_LOCKED, VM_LOCKED),
    (MAP_SYNC, VM_SYNC),
    (MAP_STACK, VM_NOHUGEPAGE),
)


def vm_flags_of(mm: MmStruct, prot: int, flags: int) -> int:
    """calc_vm_prot_bits(), calc_vm_flag_bits(): VMA flags for mmap(), but for what files add."""
    vm_flags = prot & VM_ACCESS_FLAGS | VM_MAY_ALL | mm.def_flags
    for bit, vm_bit in _FLAG_BITS:
        if flags & bit:
            vm_flags |= vm_bit
    if flags & MAP_TYPE in (MAP_SHARED, MAP_SHARED_VALIDATE):
        vm_flags |= VM_SHARED | VM_MAYSHARE
    if flags & MAP_NORESERVE:
        vm_flags |= VM_NORESERVE
    if flags & MAP_HUGETLB:
        vm_flags |= VM_HUGETLB
    return vm_flags


def do_mmap(
    mm: MmStruct,
    address: int,
    length: int,
    prot: int,
    flags: int,
    file: int = 0,
    offset: int = 0,
) -> int:
    """mmap() with the mmap lock held. Returns the address or a negative errno."""
    if flags & MAP_FIXED_NOREPLACE:
        flags |= MAP_FIXED
    if not length or flags & MAP_TYPE not in (MAP_PRIVATE, MAP_SHARED, MAP_SHARED_VALIDATE):
        return -EINVAL
    if offset % mm.page_size:
        return -EINVAL
    if not flags & MAP_FIXED:
        address &= -mm.page_size
        address = max(address, MMAP_MIN_ADDR) if address else 0
    length = mm.page_align(length)
    pgoff = offset // mm.page_size
    if not length:
        return -ENOMEM
    if pgoff + length // mm.page_size > mm.ulong_max:
        return -errno.EOVERFLOW
    if mm.map_count > MAX_MAP_COUNT:
        return -ENOMEM
    address = mm.get_unmapped_area(address, length, flags, pgoff, file)
    if address < 0:
        return address
    if flags & MAP_FIXED_NOREPLACE and mm.find_vma_intersection(address, address + length):
        return -EEXIST
    vm_flags = mm.vm_flags_of(prot, flags)
    if vm_flags & VM_GROWSDOWN and (file or vm_flags & VM_SHARED):
        return -EINVAL
    if not file:
        pgoff = 0 if vm_flags & VM_SHARED else address // mm.page_size
    return mm.mmap_region(address, length, vm_flags, pgoff, file)


def mmap(
    mm: MmStruct,
    address: int,
    length: int,
    prot: int,
    flags: int,
    file: int = 0,
    offset: int = 0,
) -> int:
    """The system call: the address of the new mapping, or a negative errno.

    ``length`` and ``offset`` are bytes; ``file`` is from ``manager.new_file()``, 0 for
    anonymous memory.
    """
    ret = mm.do_mmap(address, length, prot, flags, file, offset)
    mm.mmap_write_unlock()
    return ret


def mmap_region(
    mm: MmStruct, address: int, length: int, flags: int, pgoff: int, file: int = 0
) -> int:
    """Map a range over whatever is there. Returns ``address``, or -ENOMEM.

    ``flags`` are a VMA's, ``pgoff`` counts pages.
    If memory runs out once the page tables of what was there are cleared, a gap is left.
    """
    end = address + length
    vmi = mm.vma_iterator(address)
    vmg = VmaMerge(vmi, address, end, flags, pgoff, file)
    vms = mm.init_vma_munmap(vmi, mm.vma_find(vmi, end), address, end)
    if vms.vma is not None:
        err = mm.vms_gather_munmap_vmas(vms)
        if err:
            return err
        vmg.prev, vmg.next = vms.prev, vms.next
    else:
        vmg.next, vmg.prev = mm.vma_iter_next_rewind(vmi)
    if flags & (VM_NORESERVE | VM_SHARED | VM_WRITE | VM_HUGETLB) == VM_WRITE:
        vmg.flags = flags | VM_ACCOUNT
    mm.vms_clean_up_area(vms)
    if mm.vma_merge_new_range(vmg) is None and not _new_region(mm, vmg):
        mm.vms_abort_munmap_vmas(vms)
        return -ENOMEM
    mm.vms_complete_munmap_vmas(vms)
    return address


def _new_region(mm: MmStruct, vmg: VmaMerge) -> bool:
    """A VMA of its own for a range that merges with none; false without memory."""
    vmi = vmg.vmi
    vma = mm.manager.vm_area_alloc(mm.mm_mt)
    if vma is None:
        return False
    mm.vma_iter_config(vmi, vmg.start, vmg.end)
    mm.vma_set_range(vma, vmg.start, vmg.end, vmg.pgoff)
    vma.vm_flags = vma.vm_page_prot = vmg.flags
    if not mm.vma_iter_prealloc(vmi, vma):
        mm.manager.vm_area_free(vma)
        return False
    if vmg.file:
        vma.vm_file, vma.vm_ops = vmg.file, FILE_OPS
        mm.vma_iter_config(vmi, vmg.start, vmg.end)
    elif vmg.flags & VM_SHARED:
        vma.vm_file, vma.vm_ops = mm.manager.new_file(), SHMEM_OPS
    else:
        vma.vm_ops = ANONYMOUS_OPS
    mm.vma_start_write(vma)
    mm.vma_iter_store(vmi, vma)
    mm.map_count += 1
    return True


# -- brk


def brk(mm: MmStruct, address: int) -> int:
    """The system call: the heap's new end, or the old one if that can't be."""
    ret = _brk_locked(mm, address)
    mm.mmap_write_unlock()
    return ret


def _brk_locked(mm: MmStruct, address: int) -> int:
    """brk() with the mmap lock held."""
    if address < mm.start_brk:
        return mm.brk_end
    new, old = mm.page_align(address), mm.page_align(mm.brk_end)
    if new == old:
        mm.brk_end = address
        return address
    if address <= mm.brk_end:
        vmi = mm.vma_iterator(new)
        vma = mm.vma_find(vmi, old)
        if vma is None or vma.vm_start >= old or mm.do_vmi_align_munmap(vmi, vma, new, old):
            return mm.brk_end
        mm.brk_end = address
        return address
    if mm.get_unmapped_area(old, new - old, MAP_FIXED, 0, 0) < 0:
        return mm.brk_end
    vmi = mm.vma_iterator(old)
    guard = GUARD_PAGES * mm.page_size
    after = mm.vma_find(vmi, new + mm.page_size + guard)
    if after is not None and new + mm.page_size > mm.vm_start_gap(after):
        return mm.brk_end
    heap = mm.vma_prev_limit(vmi, mm.start_brk)
    if mm.do_brk_flags(vmi, heap, old, new - old) == 0:
        mm.brk_end = address
    return mm.brk_end


def do_brk_flags(mm: MmStruct, vmi: MaState, heap: Vma | None, address: int, length: int) -> int:
    """Let the heap's VMA grow, or make a new one. Returns 0 or -ENOMEM."""
    flags = mm.data_flags | VM_ACCOUNT | mm.def_flags
    pgoff = address // mm.page_size
    if mm.map_count > MAX_MAP_COUNT:
        return -ENOMEM
    if heap is not None and heap.vm_end == address:
        vmg = VmaMerge(vmi, address, address + length, flags, pgoff)
        vmg.prev = heap
        vmg.just_expand = True
        if mm.vma_merge_new_range(vmg) is not None:
            return 0
        if vmg.nomem:
            return -ENOMEM
    if heap is not None:
        mm.vma_iter_next_range(vmi)
    vma = mm.manager.vm_area_alloc(mm.mm_mt)
    if vma is None:
        return -ENOMEM
    mm.vma_set_range(vma, address, address + length, pgoff)
    vma.vm_flags = vma.vm_page_prot = flags
    mm.vma_start_write(vma)
    if mm.vma_iter_store_gfp(vmi, vma):
        mm.manager.vm_area_free(vma)
        return -ENOMEM
    mm.map_count += 1
    return 0
