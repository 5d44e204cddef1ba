"""The VMA iterator: a maple state, and one tree operation per function.

Iterators are :class:`~layout.tree.state.MaState`; ends of ranges are exclusive. A function that
returns a VMA returns None for NULL in the tree.

Source: mm/vma.h, include/linux/mm.h of Linux 6.12.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from layout.memory.slab import GFP_KERNEL
from layout.tree.state import ENOMEM, MA_ERROR, MA_START

if TYPE_CHECKING:
    from collections.abc import Iterator

    from layout.mm.mm_struct import MmStruct
    from layout.mm.vmas import Vma
    from layout.tree.state import MaState


def entries(mm: MmStruct, start: int = 0, end: int | None = None) -> Iterator[tuple[int, int, int]]:
    """Every range that has an entry, be it no VMA, and touches ``start`` to before ``end``.

    Gives (first, last, entry), both inclusive.
    """
    vmi = mm.vma_iterator(start)
    limit = mm.ulong_max if end is None else end - 1
    while entry := mm.kernel.mas_find(vmi, limit):
        yield vmi.index, vmi.last, entry


def page_align(mm: MmStruct, number: int) -> int:
    """PAGE_ALIGN: round up, wrapping as the machine's words do."""
    return (number + mm.page_size - 1) & -mm.page_size & mm.ulong_max


# -- the mmap lock


def mmap_write_unlock(mm: MmStruct) -> None:
    """End of a change: VMAs locked for writing are unlocked, and grace periods may pass."""
    mm.mm_lock_seq += 1
    mm.manager.quiesce()


def vma_start_write(mm: MmStruct, vma: Vma) -> None:
    """Lock a VMA against readers until the mmap lock is released."""
    vma.vm_lock_seq = mm.mm_lock_seq


# -- reading


def vma_iterator(mm: MmStruct, address: int = 0) -> MaState:
    """VMA_ITERATOR, vma_iter_init."""
    return mm.kernel.new_state(mm.mm_mt, address)


def vma_next(mm: MmStruct, vmi: MaState) -> Vma | None:
    """The next VMA, or the first."""
    return mm.vma(mm.kernel.mas_find(vmi, mm.ulong_max))


def vma_find(mm: MmStruct, vmi: MaState, end: int) -> Vma | None:
    """The next VMA that begins below ``end``."""
    return mm.vma(mm.kernel.mas_find(vmi, end - 1))


def vma_prev(mm: MmStruct, vmi: MaState) -> Vma | None:
    """The VMA before."""
    return mm.vma(mm.kernel.mas_prev(vmi, 0))


def vma_prev_limit(mm: MmStruct, vmi: MaState, low: int) -> Vma | None:
    """The VMA before, unless it ends below ``low``."""
    return mm.vma(mm.kernel.mas_prev(vmi, low))


def vma_iter_next_range(mm: MmStruct, vmi: MaState) -> Vma | None:
    """One slot on, be it a gap."""
    return mm.vma(mm.kernel.mas_next_range(vmi, mm.ulong_max))


def vma_iter_prev_range(mm: MmStruct, vmi: MaState) -> Vma | None:
    """One slot back, be it a gap."""
    return mm.vma(mm.kernel.mas_prev_range(vmi, 0))


def vma_iter_load(mm: MmStruct, vmi: MaState) -> Vma | None:
    """The VMA at the iterator's address."""
    return mm.vma(mm.kernel.mas_walk(vmi))


def vma_iter_next_rewind(mm: MmStruct, vmi: MaState) -> tuple[Vma | None, Vma | None]:
    """The next and the previous VMA; the iterator ends at the gap between, or at 0."""
    following = mm.vma_next(vmi)
    previous = mm.vma_prev(vmi)
    if previous is not None:
        mm.vma_iter_next_range(vmi)
    return following, previous


# -- finding


def find_vma(mm: MmStruct, address: int) -> Vma | None:
    """The VMA at ``address``, or the next above."""
    entry, _ = mm.kernel.mt_find(mm.mm_mt, address, mm.ulong_max)
    return mm.vma(entry)


def find_vma_intersection(mm: MmStruct, start: int, end: int) -> Vma | None:
    """The first VMA that touches the range."""
    entry, _ = mm.kernel.mt_find(mm.mm_mt, start, end - 1)
    return mm.vma(entry)


def find_vma_prev(mm: MmStruct, address: int) -> tuple[Vma | None, Vma | None]:
    """The VMA at ``address`` or the next above, and the one before it."""
    vmi = mm.vma_iterator(address)
    vma = mm.vma_iter_load(vmi)
    prev = mm.vma_prev(vmi)
    if vma is None:
        vma = mm.vma_next(vmi)
    return vma, prev


def vma_lookup(mm: MmStruct, address: int) -> Vma | None:
    """The VMA at ``address``."""
    return mm.vma(mm.kernel.mtree_load(mm.mm_mt, address))


# -- writing


def vma_iter_config(mm: MmStruct, vmi: MaState, start: int, end: int) -> None:
    """Say what will be written, without moving."""
    vmi.index, vmi.last = start, end - 1


def vma_iter_prealloc(mm: MmStruct, vmi: MaState, vma: Vma | None) -> bool:
    """Get the nodes for storing ``vma`` over what was configured; false without memory."""
    return mm.kernel.mas_preallocate(vmi, vma.address if vma else 0) == 0


def vma_iter_store(mm: MmStruct, vmi: MaState, vma: Vma) -> None:
    """Store a VMA over its range with preallocated nodes."""
    start, end = vma.vm_start, vma.vm_end
    if vmi.status != MA_START and (vmi.index > start or vmi.last < start):
        mm.kernel.mas_pause(vmi)
    mm.vma_iter_config(vmi, start, end)
    mm.kernel.mas_store_prealloc(vmi, vma.address)


def vma_iter_clear(mm: MmStruct, vmi: MaState) -> None:
    """Store NULL over what was configured, with preallocated nodes."""
    mm.kernel.mas_store_prealloc(vmi, 0)


def vma_iter_store_gfp(mm: MmStruct, vmi: MaState, vma: Vma) -> int:
    """Store a VMA over its range, allocating. Returns 0 or -ENOMEM."""
    start, end = vma.vm_start, vma.vm_end
    if vmi.status != MA_START and (vmi.index > start or vmi.last < start):
        mm.kernel.mas_pause(vmi)
    mm.vma_iter_config(vmi, start, end)
    mm.kernel.mas_store_gfp(vmi, vma.address, GFP_KERNEL)
    return -ENOMEM if vmi.status == MA_ERROR else 0


def vma_iter_clear_gfp(mm: MmStruct, vmi: MaState, start: int, end: int) -> int:
    """Store NULL from ``start`` to before ``end``, allocating. Returns 0 or -ENOMEM."""
    mm.vma_iter_config(vmi, start, end)
    mm.kernel.mas_store_gfp(vmi, 0, GFP_KERNEL)
    return -ENOMEM if vmi.status == MA_ERROR else 0
