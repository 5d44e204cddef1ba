"""Page faults: readers without a lock, new anon_vmas, growth of stacks.

Source: mm/memory.c, mm/rmap.c, mm/mmap.c, and find_mergeable_anon_vma() of mm/vma.c, Linux 6.12.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from layout.mm.place import GUARD_PAGES, MMAP_MIN_ADDR
from layout.mm.vm_flags import VM_ACCESS_FLAGS, VM_GROWSDOWN, VM_SHARED
from layout.tree.state import ENOMEM

if TYPE_CHECKING:
    from collections.abc import Generator

    from layout.mm.mm_struct import MmStruct
    from layout.mm.vmas import Vma


# -- readers without a lock


def lock_vma_under_rcu(mm: MmStruct, address: int) -> Vma | None:
    """The VMA at ``address``, found by a reader that holds no lock; None: take the lock.

    Without CONFIG_PER_VMA_LOCK (sparc64) the kernel always takes the lock; here the reader looks
    all the same, it just cannot see that a VMA is detached.
    """
    steps = mm.lock_vma_under_rcu_steps(address)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            vma: Vma | None = end.value
            return vma


def lock_vma_under_rcu_steps(mm: MmStruct, address: int) -> Generator[str, None, Vma | None]:
    """:func:`lock_vma_under_rcu` in steps, between which a writer may run."""
    mas = mm.vma_iterator(address)
    yield "rcu_read_lock"
    mm.machine.rcu_read_lock()
    try:
        while True:
            yield "mas_walk"
            entry = mm.kernel.mas_walk(mas)
            vma = mm.vma(entry)
            if vma is None:
                return None
            yield "vma_start_read"
            if vma.vm_lock_seq == mm.mm_lock_seq:  # a writer has it
                return None
            if not vma.detached:
                break
        inside = vma.vm_start <= address < vma.vm_end
        return vma if inside else None
    finally:
        mm.machine.rcu_read_unlock()
        mm.manager.quiesce()


# -- first writes


def anon_vma_compatible(mm: MmStruct, one: Vma, other: Vma) -> bool:
    """Whether two VMAs touch and could become one, but for their access flags and anon_vmas."""
    return (
        one.vm_end == other.vm_start
        and one.vm_file == other.vm_file
        and not (one.vm_flags ^ other.vm_flags) & ~VM_ACCESS_FLAGS
        and other.vm_pgoff == one.vm_pgoff + one.pages
    )


def reusable_anon_vma(mm: MmStruct, old: Vma, one: Vma, other: Vma) -> int:
    """The anon_vma of ``old``, which is one of two neighbours, if they may share it; else 0."""
    compatible = mm.anon_vma_compatible(one, other)
    return old.anon_vma if compatible and mm.manager.is_singular(old) else 0


def find_mergeable_anon_vma(mm: MmStruct, vma: Vma) -> int:
    """The anon_vma of the VMA behind this one or before it, if they may share it; else 0."""
    vmi = mm.vma_iterator(vma.vm_end)
    after = mm.vma_iter_load(vmi)
    found = mm.reusable_anon_vma(after, vma, after) if after is not None else 0
    if found:
        return found
    mm.vma_prev(vmi)
    before = mm.vma_prev(vmi)
    return mm.reusable_anon_vma(before, before, vma) if before is not None else 0


def anon_vma_prepare(mm: MmStruct, vma: Vma) -> bool:
    """Give a VMA an anon_vma, a neighbour's if they could merge; false without memory."""
    if vma.anon_vma:
        return True
    if mm.manager.fails("anon_vma_prepare"):
        return False
    found = mm.find_mergeable_anon_vma(vma)
    if found:
        vma.anon_vma = found
        mm.manager.chains[vma.address] += (found,)
    else:
        mm.manager.new_anon_vma(vma)
    return True


def write_fault(mm: MmStruct, address: int) -> int:
    """handle_mm_fault() for a first write: a private VMA gets its anon_vma. 0 or an errno."""
    vma = mm.expand_stack(address)
    if vma is None:
        return -errno.EFAULT
    if not vma.vm_flags & VM_SHARED and not mm.anon_vma_prepare(vma):
        return -ENOMEM
    return 0


# -- stacks


def expand_downwards(mm: MmStruct, vma: Vma, address: int) -> int:
    """Let a stack grow down to the page of ``address``. Returns 0 or a negative errno."""
    if not vma.vm_flags & VM_GROWSDOWN:
        return -errno.EFAULT
    address &= -mm.page_size
    if address < MMAP_MIN_ADDR:
        return -errno.EPERM
    vmi = mm.vma_iterator(vma.vm_start)
    prev = mm.vma_prev(vmi)
    if prev is not None:
        near = address - prev.vm_end < GUARD_PAGES * mm.page_size
        if not prev.vm_flags & VM_GROWSDOWN and prev.vm_flags & VM_ACCESS_FLAGS and near:
            return -ENOMEM
        mm.kernel.mas_next_range(vmi, vma.vm_start)
    mm.vma_iter_config(vmi, address, vma.vm_end)
    if not mm.vma_iter_prealloc(vmi, vma):
        return -ENOMEM
    if not mm.anon_vma_prepare(vma):
        mm.kernel.mas_destroy(vmi)
        return -ENOMEM
    mm.vma_start_write(vma)
    err = 0
    if address < vma.vm_start:
        grow = (vma.vm_start - address) // mm.page_size
        if grow <= vma.vm_pgoff:
            vma.vm_start = address
            vma.vm_pgoff -= grow
            mm.vma_iter_store(vmi, vma)
        else:
            err = -ENOMEM
    mm.kernel.mas_destroy(vmi)
    return err


def expand_stack(mm: MmStruct, address: int) -> Vma | None:
    """The VMA for a fault at ``address``, after growing the stack above it if need be."""
    vma, _ = mm.find_vma_prev(address)
    if vma is not None and vma.vm_start > address and mm.expand_downwards(vma, address):
        vma = None
    mm.mmap_write_unlock()
    return vma
