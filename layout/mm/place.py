"""Finds the address of a new mapping: a search of the tree's gaps with each machine's rules.

Addresses are not randomised. Large mappings of files are aligned to huge pages, as by ext4. Source:
mm/mmap.c, mm/huge_memory.c, arch/x86/kernel/sys_x86_64.c, arch/s390/mm/mmap.c,
arch/sparc/kernel/sys_sparc_64.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from layout.mm.vm_flags import MAP_FIXED, MAP_HUGETLB, MAP_SHARED, VM_GROWSDOWN
from layout.tree.state import EINVAL, ENOMEM

if TYPE_CHECKING:
    from layout.mm.mm_struct import MmStruct
    from layout.mm.vmas import Vma

MMAP_MIN_ADDR = 0x10000
"""vm.mmap_min_addr."""

GUARD_PAGES = 256
"""Pages that stay free between a growing stack and its neighbour (stack_guard_gap)."""


def vm_start_gap(mm: MmStruct, vma: Vma) -> int:
    """Where a VMA starts with the guard below it."""
    start = vma.vm_start
    gap = GUARD_PAGES * mm.page_size if vma.vm_flags & VM_GROWSDOWN else 0
    return max(start - gap, 0)


def vm_end_gap(mm: MmStruct, vma: Vma) -> int:
    """Where a VMA ends with the guard above it."""
    return vma.vm_end  # with a guard only where stacks grow up


def unmapped_area(mm: MmStruct, length: int, low: int, high: int, align: int, offset: int) -> int:
    """The lowest free run of ``length`` from ``low`` to before ``high``, or -ENOMEM.

    Its address is ``offset`` modulo ``align``.
    """
    mask = align - 1
    need = length + (mask & -mm.page_size)
    low = max(low, MMAP_MIN_ADDR)
    vmi = mm.vma_iterator()
    while True:
        if mm.kernel.mas_empty_area(vmi, low, high - 1, need):
            return -ENOMEM
        gap = vmi.index
        gap += (offset - gap) & mask
        vma = mm.vma_next(vmi)
        if vma is not None and vma.vm_flags & VM_GROWSDOWN:
            if mm.vm_start_gap(vma) >= gap + need - 1:
                return gap
            low = vma.vm_end
        else:
            vma = mm.vma_prev(vmi)
            if vma is None or mm.vm_end_gap(vma) <= gap:
                return gap
            low = mm.vm_end_gap(vma)
        vmi.reset()


def unmapped_area_topdown(
    mm: MmStruct, length: int, low: int, high: int, align: int, offset: int
) -> int:
    """The highest free run of ``length`` from ``low`` to before ``high``, or -ENOMEM."""
    mask = align - 1
    need = length + (mask & -mm.page_size)
    low = max(low, MMAP_MIN_ADDR)
    vmi = mm.vma_iterator()
    while True:
        if mm.kernel.mas_empty_area_rev(vmi, low, high - 1, need):
            return -ENOMEM
        end = vmi.last + 1
        gap = end - length
        gap -= (gap - offset) & mask
        vma = mm.vma_next(vmi)
        if vma is not None and vma.vm_flags & VM_GROWSDOWN:
            if mm.vm_start_gap(vma) >= end:
                return gap
            high = mm.vm_start_gap(vma)
        else:
            vma = mm.vma_prev(vmi)
            if vma is None or mm.vm_end_gap(vma) <= gap:
                return gap
            high = vma.vm_start
        vmi.reset()


def arch_mmap_check(mm: MmStruct, address: int, length: int) -> int:
    """-EINVAL if a range touches the address space's hole, else 0; only sparc64 has one."""
    hole = mm.space.hole
    if hole is None:
        return 0
    end = address + length
    if length >= hole[0] or any(hole[0] <= a <= hole[1] for a in (address, end)):
        return -EINVAL
    return 0


def get_unmapped_area(
    mm: MmStruct, address: int, length: int, flags: int, pgoff: int, file: int
) -> int:
    """An address for ``length`` bytes, or a negative errno; ``address`` is a wish, or 0.

    With MAP_FIXED the address itself, if it is allowed. ``flags`` are mmap()'s, ``pgoff`` counts
    pages.
    """
    space = mm.space
    err = mm.arch_mmap_check(address, length)
    if err:
        return err
    if length > space.task_size:
        return -ENOMEM
    found = _find_huge(mm, length, flags, pgoff, file) if not address else 0
    if not found:
        found = mm.mm_get_unmapped_area(address, length, flags, pgoff, file)
    if found < 0:
        return found
    if found > space.task_size - length:
        return -ENOMEM
    if found % mm.page_size:
        return -EINVAL
    for limit in space.table_limits:
        if found + length > mm.table_limit < limit:
            mm.table_limit = limit
    return found


def _find_huge(mm: MmStruct, length: int, flags: int, pgoff: int, file: int) -> int:
    """thp_get_unmapped_area(): an address that huge pages fit, if there is room for one; else 0."""
    size, offset = mm.space.huge_page, pgoff * mm.page_size
    if not size or flags & (MAP_FIXED | MAP_HUGETLB) or (flags & MAP_SHARED and not file):
        return 0
    if not file:
        offset = 0
        if length % size:
            return 0
    if offset + length - -(-offset // size) * size < size:
        return 0
    found = mm.mm_get_unmapped_area(0, length + size, flags, pgoff, file)
    if found < 0:
        return 0
    rest = (offset - found) % size
    return found + (size if mm.space.topdown and not rest else rest)


def _hint_fits(mm: MmStruct, address: int, length: int) -> bool:
    """Whether a wished-for address is free and allowed."""
    if mm.space.task_size - length < address or address < MMAP_MIN_ADDR:
        return False
    vma = mm.find_vma(address)
    return vma is None or address + length <= mm.vm_start_gap(vma)


def mm_get_unmapped_area(
    mm: MmStruct, address: int, length: int, flags: int, pgoff: int, file: int
) -> int:
    """What the machine's own search gives: an address, or a negative errno.

    That is arch_get_unmapped_area(), or arch_get_unmapped_area_topdown() where mappings go down.
    """
    space = mm.space
    shared = bool(file or flags & MAP_SHARED)
    align = space.shared_align if shared else 1
    offset = pgoff * mm.page_size
    if flags & MAP_FIXED:
        return -EINVAL if flags & MAP_SHARED and (address - offset) % align else address
    if address:
        address = mm.page_align(address)
        if align > 1:
            address = -(-address // align) * align + offset % align
        if _hint_fits(mm, address, length):
            return address
    if space.topdown:
        found = mm.unmapped_area_topdown(length, mm.page_size, mm.mmap_base, align, offset)
        if found >= 0:
            return found
        return mm.unmapped_area(length, space.unmapped_base, space.map_window, align, offset)
    return mm.unmapped_area(length, space.unmapped_base, space.task_size, align, offset)
