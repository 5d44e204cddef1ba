"""Taking VMAs out of an address space.

Source: mm/vma.c of Linux 6.12.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from layout.mm.merge import MAX_MAP_COUNT, Merge
from layout.pointers import MT_FLAGS_LOCK_MASK
from layout.slab import GFP_KERNEL
from layout.tree.state import EINVAL, ENOMEM

if TYPE_CHECKING:
    from layout.mm.vmas import Vma
    from layout.tree.state import MaState


@dataclass(slots=True)
class Gathered:
    """struct vma_munmap_struct: what a range to be unmapped holds; ``detach`` is its side tree."""

    vmi: MaState
    start: int
    end: int
    vma: Vma | None
    detach: MaState
    prev: Vma | None = None
    next: Vma | None = None
    count: int = 0


class Unmap(Merge):
    """munmap: VMAs are split, gathered in a tree of their own, cut out, then freed."""

    def init_vma_munmap(self, vmi: MaState, vma: Vma | None, start: int, end: int) -> Gathered:
        """Nothing gathered yet; the side tree is empty. ``vma`` is the first in the range."""
        tree = self.manager.detach_tree
        if vma is not None:
            self.kernel.mt_init_flags(tree, self.mem.ma_flags(self.mm_mt) & MT_FLAGS_LOCK_MASK)
        return Gathered(vmi, start, end, vma, self.kernel.new_state(tree))

    def gathered_vmas(self, vms: Gathered) -> list[Vma]:
        """The VMAs in the side tree."""
        self.kernel.mas_set(vms.detach, 0)
        found = []
        while (vma := self.vma(self.kernel.mas_find(vms.detach, self.ulong_max))) is not None:
            found.append(vma)
        return found

    def vms_gather_munmap_vmas(self, vms: Gathered) -> int:
        """Split at both ends, and put the VMAs of the range into the side tree.

        Returns 0, or -ENOMEM with nothing gathered; what was split stays split.
        """
        vmi, vma = vms.vmi, vms.vma
        assert vma is not None
        if vms.start > vma.vm_start:
            if vms.end < vma.vm_end and self.map_count >= MAX_MAP_COUNT:
                return -ENOMEM
            err = self.split_vma_unchecked(vmi, vma, vms.start, new_below=True)
            if err:
                return err
        vms.prev = self.vma_prev(vmi)
        while (found := self.vma_find(vmi, vms.end)) is not None:
            err = 0
            if found.vm_end > vms.end:
                err = self.split_vma_unchecked(vmi, found, vms.end, new_below=False)
            if not err:
                self.vma_start_write(found)
                self.kernel.mas_set(vms.detach, vms.count)
                vms.count += 1
                err = self.kernel.mas_store_gfp(vms.detach, found.address, GFP_KERNEL)
            if err:
                self.reattach_vmas(vms)
                return err
            found.mark_detached(detached=True)
        vms.next = self.vma_next(vmi)
        while vmi.index > vms.start:
            self.vma_iter_prev_range(vmi)
        return 0

    def reattach_vmas(self, vms: Gathered) -> None:
        """Give up: the gathered VMAs, still in the tree, are attached again."""
        for vma in self.gathered_vmas(vms):
            vma.mark_detached(detached=False)
        self.kernel.mt_destroy(vms.detach.tree)

    def vms_clean_up_area(self, vms: Gathered) -> None:
        """Clear the page tables of what was gathered: for the trees, walks over the side tree."""
        if not vms.count:
            return
        self.kernel.mas_set(vms.detach, 1)
        while self.kernel.mas_find(vms.detach, vms.count - 1):
            pass
        self.gathered_vmas(vms)

    def vms_complete_munmap_vmas(self, vms: Gathered) -> None:
        """Free what was gathered, and the side tree."""
        self.map_count -= vms.count
        if not vms.count:
            return
        for vma in self.gathered_vmas(vms):
            self.manager.vm_area_free(vma)
        self.kernel.mt_destroy(vms.detach.tree)

    def do_vmi_align_munmap(self, vmi: MaState, vma: Vma, start: int, end: int) -> int:
        """Unmap a range of whole pages whose first VMA is ``vma``. Returns 0 or -ENOMEM."""
        vms = self.init_vma_munmap(vmi, vma, start, end)
        err = self.vms_gather_munmap_vmas(vms)
        if err:
            return err
        err = self.vma_iter_clear_gfp(vmi, start, end)
        if err:
            self.reattach_vmas(vms)
            return err
        self.vms_complete_munmap_vmas(vms)
        return 0

    def do_vmi_munmap(self, vmi: MaState, start: int, length: int) -> int:
        """Unmap a range. Returns 0, -EINVAL or -ENOMEM."""
        task_size = self.space.task_size
        if start % self.page_size or start > task_size or length > task_size - start:
            return -EINVAL
        end = start + self.page_align(length)
        if end == start:
            return -EINVAL
        vma = self.vma_find(vmi, end)
        return 0 if vma is None else self.do_vmi_align_munmap(vmi, vma, start, end)

    def do_munmap(self, start: int, length: int) -> int:
        """do_vmi_munmap() with an iterator of its own."""
        return self.do_vmi_munmap(self.vma_iterator(start), start, length)

    def munmap(self, start: int, length: int) -> int:
        """The system call. Returns 0 or a negative errno."""
        ret = self.do_munmap(start, length)
        self.mmap_write_unlock()
        return ret
