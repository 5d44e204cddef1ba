"""The recovery of a failed fork in kernels of 2026, which leaves an empty tree.

Earlier kernels such as 6.12 leave a marker and the parent's VMAs: :mod:`layout.mm.process`. This
module follows the description of the change that removed the marker, not its code.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from layout.mm.addressspace import AddressSpace

if TYPE_CHECKING:
    from layout.mm.vmas import Vma


class EmptyAfterFailure(AddressSpace):
    """An address space that a failed fork empties before it releases the lock."""

    def seam_dup_mmap_failed(self, vma: Vma | None) -> None:
        """Free the copies, which lie below ``vma``, and the tree; None: all were copied."""
        if self.map_count:
            vmi = self.vma_iterator()
            end = self.ulong_max if vma is None else vma.vm_start - 1
            while (copy := self.vma(self.kernel.mas_find(vmi, end))) is not None:
                self.manager.vm_area_free_now(copy)
                self.map_count -= 1
        self.kernel.mt_destroy(self.mm_mt)
