"""An address space: its state, and the table of its operations.

The operations are functions of the modules named in the table. Their first argument is the address
space. They call one another as its methods, so a subclass replaces an operation for all callers
with a method of that name. A name that starts with ``seam_`` is not the kernel's: it is a separate
function only so that a subclass can replace it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from layout.mm import fault, iterator, mapping, merge, place, process, protect, remap, unmap
from layout.mm.mm_struct import MmStruct
from layout.mm.vm_flags import VM_EXEC, VM_MAY_ALL, VM_READ, VM_WRITE
from layout.mm.vmas import Vma

if TYPE_CHECKING:
    from collections.abc import Iterator

    from layout.mm.shared import Shared

MM_MT_FLAGS = 0x303
"""MT_FLAGS_ALLOC_RANGE | MT_FLAGS_LOCK_EXTERN | MT_FLAGS_USE_RCU."""


class AddressSpace(MmStruct):
    """A process's memory map: VMAs in the tree at ``mm_mt``. Made by MemoryManager.new_mm().

    System calls (mmap, munmap, mprotect, mremap, brk, madvise, mlock) have the arguments and
    results of the kernel's; numbers are bytes. Iteration yields the VMAs in order.

    ``mm_mt`` is the address of the tree; ``vm_mm`` also has this address, because there is no
    mm_struct. ``map_count`` counts VMAs, ``mm_lock_seq`` counts write locks of the mmap lock.
    ``mmap_base`` can be set to that of a real process. ``table_limit`` is the end of the range of
    the page tables; on s390x a mapping beyond it increases it. The heap is from ``start_brk`` to
    ``brk_end``. ``data_flags`` are VM_DATA_DEFAULT_FLAGS, ``def_flags`` the flags that mlockall()
    set for new VMAs.
    """

    def __init__(self, manager: Shared, number: int) -> None:
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

    def new_mm(self) -> AddressSpace:
        """mm_alloc: another empty address space of this class. Raises TooManySpaces."""
        return type(self)(self.manager, self.manager.take_tree())

    def vma(self, entry: int) -> Vma | None:
        """The VMA behind an entry; None for NULL. XA_ZERO_ENTRY is an address as any other."""
        return Vma(self.manager.vmas, entry) if entry else None

    def __iter__(self) -> Iterator[Vma]:
        """All VMAs in order, as for_each_vma."""
        vmi = self.vma_iterator()
        while (vma := self.vma_next(vmi)) is not None:
            yield vma

    # -- iterator: the mmap lock, and one tree operation per function
    entries = iterator.entries
    page_align = iterator.page_align
    mmap_write_unlock = iterator.mmap_write_unlock
    vma_start_write = iterator.vma_start_write
    vma_iterator = iterator.vma_iterator
    vma_next = iterator.vma_next
    vma_find = iterator.vma_find
    vma_prev = iterator.vma_prev
    vma_prev_limit = iterator.vma_prev_limit
    vma_iter_next_range = iterator.vma_iter_next_range
    vma_iter_prev_range = iterator.vma_iter_prev_range
    vma_iter_load = iterator.vma_iter_load
    vma_iter_next_rewind = iterator.vma_iter_next_rewind
    find_vma = iterator.find_vma
    find_vma_intersection = iterator.find_vma_intersection
    find_vma_prev = iterator.find_vma_prev
    vma_lookup = iterator.vma_lookup
    vma_iter_config = iterator.vma_iter_config
    vma_iter_prealloc = iterator.vma_iter_prealloc
    vma_iter_store = iterator.vma_iter_store
    vma_iter_clear = iterator.vma_iter_clear
    vma_iter_store_gfp = iterator.vma_iter_store_gfp
    vma_iter_clear_gfp = iterator.vma_iter_clear_gfp

    # -- merge: VMAs grow, shrink, split and merge
    vmg_vma_state = merge.vmg_vma_state
    vma_set_range = merge.vma_set_range
    is_mergeable_vma = merge.is_mergeable_vma
    is_mergeable_anon_vma = merge.is_mergeable_anon_vma
    can_vma_merge_left = merge.can_vma_merge_left
    can_vma_merge_right = merge.can_vma_merge_right
    can_merge_remove_vma = merge.can_merge_remove_vma
    dup_anon_vma = merge.dup_anon_vma
    commit_merge = merge.commit_merge
    vma_expand = merge.vma_expand
    vma_shrink = merge.vma_shrink
    vma_merge_new_range = merge.vma_merge_new_range
    vma_merge_existing_range = merge.vma_merge_existing_range
    split_vma_unchecked = merge.split_vma_unchecked
    split_vma = merge.split_vma
    vma_modify_flags = merge.vma_modify_flags
    vma_merge_extend = merge.vma_merge_extend
    vma_link = merge.vma_link

    # -- unmap: munmap
    init_vma_munmap = unmap.init_vma_munmap
    vms_gather_munmap_vmas = unmap.vms_gather_munmap_vmas
    reattach_vmas = unmap.reattach_vmas
    vms_clean_up_area = unmap.vms_clean_up_area
    vms_complete_munmap_vmas = unmap.vms_complete_munmap_vmas
    vms_abort_munmap_vmas = unmap.vms_abort_munmap_vmas
    do_vmi_align_munmap = unmap.do_vmi_align_munmap
    do_vmi_munmap = unmap.do_vmi_munmap
    do_munmap = unmap.do_munmap
    munmap = unmap.munmap

    # -- place: where a new mapping goes
    vm_start_gap = place.vm_start_gap
    vm_end_gap = place.vm_end_gap
    unmapped_area = place.unmapped_area
    unmapped_area_topdown = place.unmapped_area_topdown
    arch_mmap_check = place.arch_mmap_check
    get_unmapped_area = place.get_unmapped_area
    mm_get_unmapped_area = place.mm_get_unmapped_area

    # -- mapping: mmap and brk
    vm_flags_of = mapping.vm_flags_of
    do_mmap = mapping.do_mmap
    mmap = mapping.mmap
    mmap_region = mapping.mmap_region
    brk = mapping.brk
    do_brk_flags = mapping.do_brk_flags

    # -- protect: mprotect, madvise and mlock
    mprotect_fixup = protect.mprotect_fixup
    mprotect = protect.mprotect
    madvise = protect.madvise
    madvise_walk_vmas = protect.madvise_walk_vmas
    madvise_vma_behavior = protect.madvise_vma_behavior
    mlock = protect.mlock
    apply_vma_lock_flags = protect.apply_vma_lock_flags
    mlock_fixup = protect.mlock_fixup
    mlockall = protect.mlockall

    # -- remap: mremap
    copy_vma = remap.copy_vma
    move_vma = remap.move_vma
    vma_to_resize = remap.vma_to_resize
    mremap_to = remap.mremap_to
    mremap = remap.mremap
    vma_expandable = remap.vma_expandable

    # -- fault: page faults
    lock_vma_under_rcu = fault.lock_vma_under_rcu
    lock_vma_under_rcu_steps = fault.lock_vma_under_rcu_steps
    anon_vma_compatible = fault.anon_vma_compatible
    reusable_anon_vma = fault.reusable_anon_vma
    find_mergeable_anon_vma = fault.find_mergeable_anon_vma
    anon_vma_prepare = fault.anon_vma_prepare
    write_fault = fault.write_fault
    expand_downwards = fault.expand_downwards
    expand_stack = fault.expand_stack

    # -- process: fork and exit
    fork = process.fork
    dup_mmap = process.dup_mmap
    dup_mmap_steps = process.dup_mmap_steps
    seam_dup_mmap_failed = process.seam_dup_mmap_failed
    exit_mmap = process.exit_mmap
