"""Where a new mapping goes: the search through the tree's gaps, by each machine's rules.

Addresses are not randomised. Files are taken to lie on a file system that aligns large mappings
to huge pages, as ext4 does.
Source: mm/mmap.c, mm/huge_memory.c, arch/x86/kernel/sys_x86_64.c, arch/s390/mm/mmap.c,
arch/sparc/kernel/sys_sparc_64.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from layout.mm.flags import MAP_FIXED, MAP_HUGETLB, MAP_SHARED, VM_GROWSDOWN
from layout.mm.unmap import Unmap
from layout.tree.state import EINVAL, ENOMEM

if TYPE_CHECKING:
    from layout.mm.vmas import Vma

MMAP_MIN_ADDR = 0x10000
"""vm.mmap_min_addr."""

GUARD_PAGES = 256
"""Pages that stay free between a growing stack and its neighbour (stack_guard_gap)."""


class Place(Unmap):
    """get_unmapped_area and what it needs."""

    def vm_start_gap(self, vma: Vma) -> int:
        """Where a VMA starts with the guard below it."""
        start = vma.vm_start
        gap = GUARD_PAGES * self.page_size if vma.vm_flags & VM_GROWSDOWN else 0
        return max(start - gap, 0)

    def vm_end_gap(self, vma: Vma) -> int:
        """Where a VMA ends with the guard above it."""
        return vma.vm_end  # with a guard only where stacks grow up

    def unmapped_area(self, length: int, low: int, high: int, align: int, offset: int) -> int:
        """The lowest free run of ``length`` from ``low`` to before ``high``, or -ENOMEM.

        Its address is ``offset`` modulo ``align``.
        """
        mask = align - 1
        need = length + (mask & -self.page_size)
        low = max(low, MMAP_MIN_ADDR)
        vmi = self.vma_iterator()
        while True:
            if self.kernel.mas_empty_area(vmi, low, high - 1, need):
                return -ENOMEM
            gap = vmi.index
            gap += (offset - gap) & mask
            vma = self.vma_next(vmi)
            if vma is not None and vma.vm_flags & VM_GROWSDOWN:
                if self.vm_start_gap(vma) >= gap + need - 1:
                    return gap
                low = vma.vm_end
            else:
                vma = self.vma_prev(vmi)
                if vma is None or self.vm_end_gap(vma) <= gap:
                    return gap
                low = self.vm_end_gap(vma)
            vmi.reset()

    def unmapped_area_topdown(
        self, length: int, low: int, high: int, align: int, offset: int
    ) -> int:
        """The highest free run of ``length`` from ``low`` to before ``high``, or -ENOMEM."""
        mask = align - 1
        need = length + (mask & -self.page_size)
        low = max(low, MMAP_MIN_ADDR)
        vmi = self.vma_iterator()
        while True:
            if self.kernel.mas_empty_area_rev(vmi, low, high - 1, need):
                return -ENOMEM
            end = vmi.last + 1
            gap = end - length
            gap -= (gap - offset) & mask
            vma = self.vma_next(vmi)
            if vma is not None and vma.vm_flags & VM_GROWSDOWN:
                if self.vm_start_gap(vma) >= end:
                    return gap
                high = self.vm_start_gap(vma)
            else:
                vma = self.vma_prev(vmi)
                if vma is None or self.vm_end_gap(vma) <= gap:
                    return gap
                high = vma.vm_start
            vmi.reset()

    def _hint_fits(self, address: int, length: int) -> bool:
        """Whether a wished-for address is free and allowed."""
        if self.space.task_size - length < address or address < MMAP_MIN_ADDR:
            return False
        vma = self.find_vma(address)
        return vma is None or address + length <= self.vm_start_gap(vma)

    def _in_hole(self, address: int, length: int) -> bool:
        """Whether a range touches the address space's hole (sparc_mmap_check)."""
        hole = self.space.hole
        if hole is None:
            return False
        end = address + length
        return length >= hole[0] or any(hole[0] <= a <= hole[1] for a in (address, end))

    def get_unmapped_area(
        self, address: int, length: int, flags: int, pgoff: int, file: int
    ) -> int:
        """An address for ``length`` bytes, or a negative errno; ``address`` is a wish, or 0.

        With MAP_FIXED the address itself, if it is allowed.
        """
        space = self.space
        if self._in_hole(address, length):
            return -EINVAL
        if length > space.task_size:
            return -ENOMEM
        found = self._search_aligned(length, flags, pgoff, file) if not address else 0
        if not found:
            found = self._search(address, length, flags, pgoff, file)
        if found < 0:
            return found
        if found > space.task_size - length:
            return -ENOMEM
        if found % self.page_size:
            return -EINVAL
        for limit in space.table_limits:
            if found + length > self.table_limit < limit:
                self.table_limit = limit
        return found

    def _search_aligned(self, length: int, flags: int, pgoff: int, file: int) -> int:
        """An address at which huge pages fit, for a mapping that has room for one; else 0."""
        size, offset = self.space.huge_page, pgoff * self.page_size
        if not size or flags & (MAP_FIXED | MAP_HUGETLB) or (flags & MAP_SHARED and not file):
            return 0
        if not file:
            offset = 0
            if length % size:
                return 0
        if offset + length - -(-offset // size) * size < size:
            return 0
        found = self._search(0, length + size, flags, pgoff, file)
        if found < 0:
            return 0
        rest = (offset - found) % size
        return found + (size if self.space.topdown and not rest else rest)

    def _search(self, address: int, length: int, flags: int, pgoff: int, file: int) -> int:
        space = self.space
        shared = bool(file or flags & MAP_SHARED)
        align = space.shared_align if shared else 1
        offset = pgoff * self.page_size
        if flags & MAP_FIXED:
            return -EINVAL if flags & MAP_SHARED and (address - offset) % align else address
        if address:
            address = self.page_align(address)
            if align > 1:
                address = -(-address // align) * align + offset % align
            if self._hint_fits(address, length):
                return address
        if space.topdown:
            found = self.unmapped_area_topdown(
                length, self.page_size, self.mmap_base, align, offset
            )
            if found >= 0:
                return found
            return self.unmapped_area(length, space.unmapped_base, space.map_window, align, offset)
        return self.unmapped_area(length, space.unmapped_base, space.task_size, align, offset)
