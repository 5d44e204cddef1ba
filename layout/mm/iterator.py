"""The VMA iterator: a maple state, and one tree operation per function."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layout.mm.flags import VM_EXEC, VM_MAY_ALL, VM_READ, VM_WRITE
from layout.mm.vmas import Vma
from layout.slab import GFP_KERNEL
from layout.tree.state import ENOMEM, MA_ERROR, MA_START

if TYPE_CHECKING:
    from collections.abc import Iterator as Iterable_

    from layout.mm.manager import MemoryManager
    from layout.tree.state import MaState

MM_MT_FLAGS = 0x303
"""MT_FLAGS_ALLOC_RANGE | MT_FLAGS_LOCK_EXTERN | MT_FLAGS_USE_RCU."""


class Iterator:
    """The ground layer of an address space: its tree, and walking over it.

    ``mm_mt`` is the address of the tree; it stands for the mm_struct's too, in ``vm_mm``.
    ``map_count`` counts VMAs, ``mm_lock_seq`` the times the mmap lock was taken for writing.
    ``mmap_base`` may be set to where a real process had it. ``table_limit`` is how far the page
    tables reach: on s390x it grows when a mapping goes beyond. The heap lies from ``start_brk``
    to ``brk_end``; ``data_flags`` are VM_DATA_DEFAULT_FLAGS, ``def_flags`` what mlockall() has
    asked for new VMAs.
    An iterator is a :class:`~layout.tree.state.MaState`; ends are exclusive.

    Source: mm/vma.h, include/linux/mm.h.
    """

    def __init__(self, manager: MemoryManager, number: int) -> None:
        self.manager = manager
        self.number = number
        self.machine = manager.machine
        self.kernel = manager.machine.kernel
        self.mem = manager.machine.mem
        self.arch = manager.machine.arch
        self.ulong_max = self.arch.ulong_max
        self.page_size = self.arch.page_size
        assert self.arch.space is not None  # the manager has seen to it
        self.space = self.arch.space
        self.mm_mt = manager.machine.tree(number)
        self.kernel.mt_init_flags(self.mm_mt, MM_MT_FLAGS)
        self.mmap_base = self.space.mmap_base
        self.table_limit = min(self.space.table_limits, default=self.space.task_size)
        self.data_flags = VM_READ | VM_WRITE | VM_MAY_ALL
        if self.space.data_exec:
            self.data_flags |= VM_EXEC
        self.def_flags = 0
        self.start_brk = 0
        self.brk_end = 0
        self.map_count = 0
        self.mm_lock_seq = 0

    def vma(self, entry: int) -> Vma | None:
        """The VMA behind an entry; None for NULL. XA_ZERO_ENTRY is an address as any other."""
        return Vma(self.manager.vmas, entry) if entry else None

    def __iter__(self) -> Iterable_[Vma]:
        """All VMAs in order, as for_each_vma."""
        vmi = self.vma_iterator()
        while (vma := self.vma_next(vmi)) is not None:
            yield vma

    def entries(self, start: int = 0, end: int | None = None) -> Iterable_[tuple[int, int, int]]:
        """Every range that has an entry, be it no VMA, and touches ``start`` to before ``end``.

        Gives (first, last, entry), both inclusive.
        """
        vmi = self.vma_iterator(start)
        limit = self.ulong_max if end is None else end - 1
        while entry := self.kernel.mas_find(vmi, limit):
            yield vmi.index, vmi.last, entry

    def page_align(self, number: int) -> int:
        """PAGE_ALIGN: round up, wrapping as the machine's words do."""
        return (number + self.page_size - 1) & -self.page_size & self.ulong_max

    # -- locks

    def mmap_write_unlock(self) -> None:
        """End of a change: VMAs locked for writing are unlocked, and grace periods may pass."""
        self.mm_lock_seq += 1
        self.manager.quiesce()

    def vma_start_write(self, vma: Vma) -> None:
        """Lock a VMA against readers until the mmap lock is released."""
        vma.vm_lock_seq = self.mm_lock_seq

    # -- reading

    def vma_iterator(self, address: int = 0) -> MaState:
        """VMA_ITERATOR, vma_iter_init."""
        return self.kernel.new_state(self.mm_mt, address)

    def vma_next(self, vmi: MaState) -> Vma | None:
        """The next VMA, or the first."""
        return self.vma(self.kernel.mas_find(vmi, self.ulong_max))

    def vma_find(self, vmi: MaState, end: int) -> Vma | None:
        """The next VMA that begins below ``end``."""
        return self.vma(self.kernel.mas_find(vmi, end - 1))

    def vma_prev(self, vmi: MaState) -> Vma | None:
        """The VMA before."""
        return self.vma(self.kernel.mas_prev(vmi, 0))

    def vma_prev_limit(self, vmi: MaState, low: int) -> Vma | None:
        """The VMA before, unless it ends below ``low``."""
        return self.vma(self.kernel.mas_prev(vmi, low))

    def vma_iter_next_range(self, vmi: MaState) -> Vma | None:
        """One slot on, be it a gap."""
        return self.vma(self.kernel.mas_next_range(vmi, self.ulong_max))

    def vma_iter_prev_range(self, vmi: MaState) -> Vma | None:
        """One slot back, be it a gap."""
        return self.vma(self.kernel.mas_prev_range(vmi, 0))

    def vma_iter_load(self, vmi: MaState) -> Vma | None:
        """The VMA at the iterator's address."""
        return self.vma(self.kernel.mas_walk(vmi))

    def vma_iter_next_rewind(self, vmi: MaState) -> tuple[Vma | None, Vma | None]:
        """The next and the previous VMA; the iterator ends at the gap between, or at 0."""
        following = self.vma_next(vmi)
        previous = self.vma_prev(vmi)
        if previous is not None:
            self.vma_iter_next_range(vmi)
        return following, previous

    # -- finding

    def find_vma(self, address: int) -> Vma | None:
        """The VMA at ``address``, or the next above."""
        entry, _ = self.kernel.mt_find(self.mm_mt, address, self.ulong_max)
        return self.vma(entry)

    def find_vma_intersection(self, start: int, end: int) -> Vma | None:
        """The first VMA that touches the range."""
        entry, _ = self.kernel.mt_find(self.mm_mt, start, end - 1)
        return self.vma(entry)

    def find_vma_prev(self, address: int) -> tuple[Vma | None, Vma | None]:
        """The VMA at ``address`` or the next above, and the one before it."""
        vmi = self.vma_iterator(address)
        vma = self.vma_iter_load(vmi)
        prev = self.vma_prev(vmi)
        if vma is None:
            vma = self.vma_next(vmi)
        return vma, prev

    def vma_lookup(self, address: int) -> Vma | None:
        """The VMA at ``address``."""
        return self.vma(self.kernel.mtree_load(self.mm_mt, address))

    # -- writing

    def vma_iter_config(self, vmi: MaState, start: int, end: int) -> None:
        """Say what will be written, without moving."""
        vmi.index, vmi.last = start, end - 1

    def vma_iter_prealloc(self, vmi: MaState, vma: Vma | None) -> bool:
        """Get the nodes for storing ``vma`` over what was configured; false without memory."""
        return self.kernel.mas_preallocate(vmi, vma.address if vma else 0) == 0

    def vma_iter_store(self, vmi: MaState, vma: Vma) -> None:
        """Store a VMA over its range with preallocated nodes."""
        start, end = vma.vm_start, vma.vm_end
        if vmi.status != MA_START and (vmi.index > start or vmi.last < start):
            self.kernel.mas_pause(vmi)
        self.vma_iter_config(vmi, start, end)
        self.kernel.mas_store_prealloc(vmi, vma.address)

    def vma_iter_clear(self, vmi: MaState) -> None:
        """Store NULL over what was configured, with preallocated nodes."""
        self.kernel.mas_store_prealloc(vmi, 0)

    def vma_iter_store_gfp(self, vmi: MaState, vma: Vma) -> int:
        """Store a VMA over its range, allocating. Returns 0 or -ENOMEM."""
        start, end = vma.vm_start, vma.vm_end
        if vmi.status != MA_START and (vmi.index > start or vmi.last < start):
            self.kernel.mas_pause(vmi)
        self.vma_iter_config(vmi, start, end)
        self.kernel.mas_store_gfp(vmi, vma.address, GFP_KERNEL)
        return -ENOMEM if vmi.status == MA_ERROR else 0

    def vma_iter_clear_gfp(self, vmi: MaState, start: int, end: int) -> int:
        """Store NULL from ``start`` to before ``end``, allocating. Returns 0 or -ENOMEM."""
        self.vma_iter_config(vmi, start, end)
        self.kernel.mas_store_gfp(vmi, 0, GFP_KERNEL)
        return -ENOMEM if vmi.status == MA_ERROR else 0
