"""New mappings: mmap and brk.

Source: mm/mmap.c of Linux 6.12.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from layout.mm.flags import (
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
from layout.mm.merge import MAX_MAP_COUNT, VmaMerge
from layout.mm.place import GUARD_PAGES, MMAP_MIN_ADDR, Place
from layout.slab import GFP_KERNEL
from layout.tree.state import EEXIST, EINVAL, ENOMEM

if TYPE_CHECKING:
    from layout.mm.unmap import Gathered
    from layout.mm.vmas import Vma
    from layout.tree.state import MaState

_FLAG_BITS = (
    (MAP_GROWSDOWN, VM_GROWSDOWN),
    (MAP_LOCKED, VM_LOCKED),
    (MAP_SYNC, VM_SYNC),
    (MAP_STACK, VM_NOHUGEPAGE),
)


class Mapping(Place):
    """Making VMAs. Nothing limits them but their number: no rlimits, no overcommit."""

    # -- mmap

    def vm_flags_of(self, prot: int, flags: int) -> int:
        """The VMA flags for the arguments of mmap(), but for what the file adds."""
        vm_flags = prot & VM_ACCESS_FLAGS | VM_MAY_ALL | self.def_flags
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
        self, address: int, length: int, prot: int, flags: int, file: int = 0, offset: int = 0
    ) -> int:
        """mmap() with the mmap lock held. Returns the address or a negative errno."""
        if flags & MAP_FIXED_NOREPLACE:
            flags |= MAP_FIXED
        if not length or flags & MAP_TYPE not in (MAP_PRIVATE, MAP_SHARED, MAP_SHARED_VALIDATE):
            return -EINVAL
        if offset % self.page_size:
            return -EINVAL
        if not flags & MAP_FIXED:
            address &= -self.page_size
            address = max(address, MMAP_MIN_ADDR) if address else 0
        length = self.page_align(length)
        pgoff = offset // self.page_size
        if not length:
            return -ENOMEM
        if pgoff + length // self.page_size > self.ulong_max:
            return -errno.EOVERFLOW
        if self.map_count > MAX_MAP_COUNT:
            return -ENOMEM
        address = self.get_unmapped_area(address, length, flags, pgoff, file)
        if address < 0:
            return address
        if flags & MAP_FIXED_NOREPLACE and self.find_vma_intersection(address, address + length):
            return -EEXIST
        vm_flags = self.vm_flags_of(prot, flags)
        if vm_flags & VM_GROWSDOWN and (file or vm_flags & VM_SHARED):
            return -EINVAL
        if not file:
            pgoff = 0 if vm_flags & VM_SHARED else address // self.page_size
        return self.mmap_region(address, length, vm_flags, pgoff, file)

    def mmap(
        self, address: int, length: int, prot: int, flags: int, file: int = 0, offset: int = 0
    ) -> int:
        """The system call: the address of the new mapping, or a negative errno.

        ``length`` and ``offset`` are bytes; ``file`` is from ``manager.new_file()``, 0 for
        anonymous memory.
        """
        ret = self.do_mmap(address, length, prot, flags, file, offset)
        self.mmap_write_unlock()
        return ret

    def mmap_region(self, address: int, length: int, flags: int, pgoff: int, file: int = 0) -> int:
        """Map a range over whatever is there. Returns ``address``, or -ENOMEM.

        If memory runs out once the page tables of what was there are cleared, a gap is left.
        """
        end = address + length
        vmi = self.vma_iterator(address)
        vmg = VmaMerge(vmi, address, end, flags, pgoff, file)
        vms = self.init_vma_munmap(vmi, self.vma_find(vmi, end), address, end)
        if vms.vma is not None:
            err = self.vms_gather_munmap_vmas(vms)
            if err:
                return err
            vmg.prev, vmg.next = vms.prev, vms.next
        else:
            vmg.next, vmg.prev = self.vma_iter_next_rewind(vmi)
        if flags & (VM_NORESERVE | VM_SHARED | VM_WRITE | VM_HUGETLB) == VM_WRITE:
            vmg.flags = flags | VM_ACCOUNT
        self.vms_clean_up_area(vms)
        if self.vma_merge_new_range(vmg) is None and not self._new_region(vmg):
            self.vms_abort_munmap_vmas(vms)
            return -ENOMEM
        self.vms_complete_munmap_vmas(vms)
        return address

    def _new_region(self, vmg: VmaMerge) -> bool:
        """A VMA of its own for a range that merges with none; false without memory."""
        vmi = vmg.vmi
        vma = self.manager.vm_area_alloc(self.mm_mt)
        if vma is None:
            return False
        self.vma_iter_config(vmi, vmg.start, vmg.end)
        self.vma_set_range(vma, vmg.start, vmg.end, vmg.pgoff)
        vma.vm_flags = vma.vm_page_prot = vmg.flags
        if not self.vma_iter_prealloc(vmi, vma):
            self.manager.vm_area_free(vma)
            return False
        if vmg.file:
            vma.vm_file, vma.vm_ops = vmg.file, FILE_OPS
            self.vma_iter_config(vmi, vmg.start, vmg.end)
        elif vmg.flags & VM_SHARED:
            vma.vm_file, vma.vm_ops = self.manager.new_file(), SHMEM_OPS
        else:
            vma.vm_ops = ANONYMOUS_OPS
        self.vma_start_write(vma)
        self.vma_iter_store(vmi, vma)
        self.map_count += 1
        return True

    def vms_abort_munmap_vmas(self, vms: Gathered) -> None:
        """Leave a gap where what was gathered had been: its page tables are cleared."""
        if not vms.count:
            return
        self.kernel.mas_set(vms.vmi, vms.start)
        vms.vmi.last = vms.end - 1
        self.machine.cache.fail(None, None, nowait_only=False)  # __GFP_NOFAIL
        self.kernel.mas_store_gfp(vms.vmi, 0, GFP_KERNEL)
        self.vms_complete_munmap_vmas(vms)

    # -- brk

    def brk(self, address: int) -> int:
        """The system call: the heap's new end, or the old one if that can't be."""
        ret = self._brk(address)
        self.mmap_write_unlock()
        return ret

    def _brk(self, address: int) -> int:
        if address < self.start_brk:
            return self.brk_end
        new, old = self.page_align(address), self.page_align(self.brk_end)
        if new == old:
            self.brk_end = address
            return address
        if address <= self.brk_end:
            vmi = self.vma_iterator(new)
            vma = self.vma_find(vmi, old)
            if vma is None or vma.vm_start >= old or self.do_vmi_align_munmap(vmi, vma, new, old):
                return self.brk_end
            self.brk_end = address
            return address
        if self.get_unmapped_area(old, new - old, MAP_FIXED, 0, 0) < 0:
            return self.brk_end
        vmi = self.vma_iterator(old)
        guard = GUARD_PAGES * self.page_size
        after = self.vma_find(vmi, new + self.page_size + guard)
        if after is not None and new + self.page_size > self.vm_start_gap(after):
            return self.brk_end
        heap = self.vma_prev_limit(vmi, self.start_brk)
        if self.do_brk_flags(vmi, heap, old, new - old) == 0:
            self.brk_end = address
        return self.brk_end

    def do_brk_flags(self, vmi: MaState, heap: Vma | None, address: int, length: int) -> int:
        """Let the heap's VMA grow, or make a new one. Returns 0 or -ENOMEM."""
        flags = self.data_flags | VM_ACCOUNT | self.def_flags
        pgoff = address // self.page_size
        if self.map_count > MAX_MAP_COUNT:
            return -ENOMEM
        if heap is not None and heap.vm_end == address:
            vmg = VmaMerge(vmi, address, address + length, flags, pgoff)
            vmg.prev = heap
            vmg.just_expand = True
            if self.vma_merge_new_range(vmg) is not None:
                return 0
            if vmg.nomem:
                return -ENOMEM
        if heap is not None:
            self.vma_iter_next_range(vmi)
        vma = self.manager.vm_area_alloc(self.mm_mt)
        if vma is None:
            return -ENOMEM
        self.vma_set_range(vma, address, address + length, pgoff)
        vma.vm_flags = vma.vm_page_prot = flags
        self.vma_start_write(vma)
        if self.vma_iter_store_gfp(vmi, vma):
            self.manager.vm_area_free(vma)
            return -ENOMEM
        self.map_count += 1
        return 0
