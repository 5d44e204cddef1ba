"""What page faults do to the tree: stacks that grow, VMAs that get an anon_vma.

Source: mm/mmap.c, find_mergeable_anon_vma() of mm/vma.c, Linux 6.12.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from layout.mm.flags import VM_ACCESS_FLAGS, VM_GROWSDOWN, VM_SHARED
from layout.mm.place import GUARD_PAGES, MMAP_MIN_ADDR
from layout.mm.remap import Remap
from layout.tree.state import ENOMEM

if TYPE_CHECKING:
    from layout.mm.vmas import Vma


class Stack(Remap):
    """Stack growth and first writes."""

    def _reusable(self, old: Vma, first: Vma, second: Vma) -> int:
        """The anon_vma of ``old`` if two neighbours may share it (reusable_anon_vma)."""
        compatible = (
            first.vm_end == second.vm_start
            and first.vm_file == second.vm_file
            and not (first.vm_flags ^ second.vm_flags) & ~VM_ACCESS_FLAGS
            and second.vm_pgoff == first.vm_pgoff + first.pages
        )
        return old.anon_vma if compatible and self.manager.is_singular(old) else 0

    def anon_vma_prepare(self, vma: Vma) -> bool:
        """Give a VMA an anon_vma, a neighbour's if they could merge; false without memory."""
        if vma.anon_vma:
            return True
        if self.manager.fails("anon_vma_prepare"):
            return False
        vmi = self.vma_iterator(vma.vm_end)
        after = self.vma_iter_load(vmi)
        found = self._reusable(after, vma, after) if after is not None else 0
        if not found:
            self.vma_prev(vmi)
            before = self.vma_prev(vmi)
            found = self._reusable(before, before, vma) if before is not None else 0
        if found:
            vma.anon_vma = found
            self.manager.chains[vma.address] += (found,)
        else:
            self.manager.new_anon_vma(vma)
        return True

    def expand_downwards(self, vma: Vma, address: int) -> int:
        """Let a stack grow down to the page of ``address``. Returns 0 or a negative errno."""
        if not vma.vm_flags & VM_GROWSDOWN:
            return -errno.EFAULT
        address &= -self.page_size
        if address < MMAP_MIN_ADDR:
            return -errno.EPERM
        vmi = self.vma_iterator(vma.vm_start)
        prev = self.vma_prev(vmi)
        if prev is not None:
            near = address - prev.vm_end < GUARD_PAGES * self.page_size
            if not prev.vm_flags & VM_GROWSDOWN and prev.vm_flags & VM_ACCESS_FLAGS and near:
                return -ENOMEM
            self.kernel.mas_next_range(vmi, vma.vm_start)
        self.vma_iter_config(vmi, address, vma.vm_end)
        if not self.vma_iter_prealloc(vmi, vma):
            return -ENOMEM
        if not self.anon_vma_prepare(vma):
            self.kernel.mas_destroy(vmi)
            return -ENOMEM
        self.vma_start_write(vma)
        err = 0
        if address < vma.vm_start:
            grow = (vma.vm_start - address) // self.page_size
            if grow <= vma.vm_pgoff:
                vma.vm_start = address
                vma.vm_pgoff -= grow
                self.vma_iter_store(vmi, vma)
            else:
                err = -ENOMEM
        self.kernel.mas_destroy(vmi)
        return err

    def expand_stack(self, address: int) -> Vma | None:
        """The VMA for a fault at ``address``, after growing the stack above it if need be."""
        vma, _ = self.find_vma_prev(address)
        if vma is not None and vma.vm_start > address and self.expand_downwards(vma, address):
            vma = None
        self.mmap_write_unlock()
        return vma

    def write_fault(self, address: int) -> int:
        """A first write at ``address``: a private VMA gets its anon_vma. Returns 0 or an errno."""
        vma = self.expand_stack(address)
        if vma is None:
            return -errno.EFAULT
        if not vma.vm_flags & VM_SHARED and not self.anon_vma_prepare(vma):
            return -ENOMEM
        return 0
