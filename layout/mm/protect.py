"""Changing the flags of mappings, which merges VMAs and splits them: mprotect, madvise, mlock.

Source: mm/mprotect.c, mm/madvise.c, mm/mlock.c of Linux 6.12.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from layout.mm.vm_flags import (
    MADV_DODUMP,
    MADV_DOFORK,
    MADV_DONTDUMP,
    MADV_DONTFORK,
    MADV_HUGEPAGE,
    MADV_KEEPONFORK,
    MADV_MERGEABLE,
    MADV_NOHUGEPAGE,
    MADV_NORMAL,
    MADV_RANDOM,
    MADV_SEQUENTIAL,
    MADV_UNMERGEABLE,
    MADV_WIPEONFORK,
    PROT_GROWSDOWN,
    PROT_GROWSUP,
    VM_ACCESS_FLAGS,
    VM_ACCOUNT,
    VM_DONTCOPY,
    VM_DONTDUMP,
    VM_GROWSDOWN,
    VM_HUGEPAGE,
    VM_HUGETLB,
    VM_IO,
    VM_LOCKED_MASK,
    VM_MERGEABLE,
    VM_NOHUGEPAGE,
    VM_NORESERVE,
    VM_RAND_READ,
    VM_SEQ_READ,
    VM_SHARED,
    VM_SPECIAL,
    VM_WIPEONFORK,
    VM_WRITE,
)
from layout.tree.state import EINVAL, ENOMEM

if TYPE_CHECKING:
    from layout.mm.mm_struct import MmStruct
    from layout.mm.vmas import Vma
    from layout.tree.state import MaState

_ADVICE: dict[int, tuple[int, int]] = {
    MADV_NORMAL: (0, VM_RAND_READ | VM_SEQ_READ),
    MADV_SEQUENTIAL: (VM_SEQ_READ, VM_RAND_READ),
    MADV_RANDOM: (VM_RAND_READ, VM_SEQ_READ),
    MADV_DONTFORK: (VM_DONTCOPY, 0),
    MADV_DOFORK: (0, VM_DONTCOPY),
    MADV_WIPEONFORK: (VM_WIPEONFORK, 0),
    MADV_KEEPONFORK: (0, VM_WIPEONFORK),
    MADV_DONTDUMP: (VM_DONTDUMP, 0),
    MADV_DODUMP: (0, VM_DONTDUMP),
    MADV_MERGEABLE: (VM_MERGEABLE, 0),
    MADV_UNMERGEABLE: (0, VM_MERGEABLE),
    MADV_HUGEPAGE: (VM_HUGEPAGE, VM_NOHUGEPAGE),
    MADV_NOHUGEPAGE: (VM_NOHUGEPAGE, VM_HUGEPAGE),
}
"""What each advice that changes VMAs sets and clears; all other advice leaves the tree alone."""


def mprotect_fixup(
    mm: MmStruct, vmi: MaState, vma: Vma, prev: Vma | None, start: int, end: int, flags: int
) -> tuple[Vma | None, int]:
    """Give a part of a VMA new flags. Returns (the VMA before the next part, errno)."""
    old = vma.vm_flags
    if flags == old:
        return vma, 0
    if flags & VM_WRITE:
        if not old & (VM_ACCOUNT | VM_WRITE | VM_HUGETLB | VM_SHARED | VM_NORESERVE):
            flags |= VM_ACCOUNT
    elif old & VM_ACCOUNT and vma.is_anonymous and not vma.anon_vma:
        flags &= ~VM_ACCOUNT
    changed, err = mm.vma_modify_flags(vmi, prev, vma, start, end, flags)
    if changed is None:
        return prev, err
    mm.vma_start_write(changed)
    changed.vm_flags = changed.vm_page_prot = flags
    return changed, 0


def mprotect(mm: MmStruct, start: int, length: int, prot: int) -> int:
    """The system call. Returns 0 or a negative errno; what came before an error is done."""
    ret = _mprotect_locked(mm, start, length, prot)
    mm.mmap_write_unlock()
    return ret


def _mprotect_locked(mm: MmStruct, start: int, length: int, prot: int) -> int:
    """do_mprotect_pkey() with the mmap lock held."""
    grows = prot & (PROT_GROWSDOWN | PROT_GROWSUP)
    prot &= ~grows
    if start % mm.page_size or grows == PROT_GROWSDOWN | PROT_GROWSUP:
        return -EINVAL
    if not length:
        return 0
    end = start + mm.page_align(length)
    if end <= start or end > mm.ulong_max:
        return -ENOMEM
    if prot & ~VM_ACCESS_FLAGS:
        return -EINVAL
    vmi = mm.vma_iterator(start)
    vma = mm.vma_find(vmi, end)
    if vma is None:
        return -ENOMEM
    if grows & PROT_GROWSDOWN:
        start = vma.vm_start
        if not vma.vm_flags & VM_GROWSDOWN:
            return -EINVAL
    elif vma.vm_start > start:
        return -ENOMEM
    elif grows:
        return -EINVAL
    prev = mm.vma_prev(vmi)
    if start > vma.vm_start:
        prev = vma
    done, reached = start, vma.vm_start
    while (vma := mm.vma_find(vmi, end)) is not None:
        if vma.vm_start != reached:
            return -ENOMEM
        flags = prot | vma.vm_flags & ~VM_ACCESS_FLAGS
        if flags & ~(flags >> 4) & VM_ACCESS_FLAGS:  # VM_MAYREAD is VM_READ << 4, and so on
            return -errno.EACCES
        reached = min(vma.vm_end, end)
        prev, err = mm.mprotect_fixup(vmi, vma, prev, done, reached, flags)
        if err:
            return err
        reached = done = vmi.last + 1
    return -ENOMEM if reached < end else 0


# -- madvise


def madvise(mm: MmStruct, start: int, length: int, advice: int) -> int:
    """The system call, as far as it changes VMAs. Returns 0 or a negative errno."""
    ret = _madvise_locked(mm, start, length, advice)
    mm.mmap_write_unlock()
    return ret


def _madvise_locked(mm: MmStruct, start: int, length: int, advice: int) -> int:
    """do_madvise() with the mmap lock held."""
    end = start + mm.page_align(length)
    if start % mm.page_size or end > mm.ulong_max or (length and end == start):
        return -EINVAL
    if end == start or advice not in _ADVICE:
        return 0
    return mm.madvise_walk_vmas(start, end, advice)


def madvise_walk_vmas(mm: MmStruct, start: int, end: int, advice: int) -> int:
    """Advise each VMA of a range in turn; stops at an error. Returns 0 or a negative errno.

    Gaps are skipped, but for them -ENOMEM comes back at the end.
    """
    vma, prev = mm.find_vma_prev(start)
    if vma is not None and start > vma.vm_start:
        prev = vma
    unmapped = 0
    while True:
        if vma is None:
            return -ENOMEM
        if start < vma.vm_start:
            unmapped = -ENOMEM
            start = vma.vm_start
            if start >= end:
                return unmapped
        reached = min(vma.vm_end, end)
        prev, err = mm.madvise_vma_behavior(vma, prev, start, reached, advice)
        if err:
            return err
        start = reached
        if prev is not None:
            start = max(start, prev.vm_end)
        if start >= end:
            return unmapped
        vma = mm.find_vma(prev.vm_end if prev is not None else start)


def madvise_vma_behavior(
    mm: MmStruct, vma: Vma, prev: Vma | None, start: int, end: int, advice: int
) -> tuple[Vma | None, int]:
    """Give a part of a VMA what the advice asks for. Returns as mprotect_fixup()."""
    old = vma.vm_flags
    refused = (
        (advice == MADV_DOFORK and old & VM_IO)
        or (advice == MADV_WIPEONFORK and (vma.vm_file or old & VM_SHARED))
        or (advice == MADV_DODUMP and not old & VM_HUGETLB and old & VM_SPECIAL)
    )
    if refused:
        return prev, -EINVAL
    sets, clears = _ADVICE[advice]
    if advice == MADV_MERGEABLE and old & (VM_SHARED | VM_SPECIAL | VM_HUGETLB):
        sets = 0  # pages that KSM cannot share: the advice is ignored
    flags = old & ~clears | sets
    if flags == old:
        return vma, 0
    vmi = mm.vma_iterator(start)
    changed, err = mm.vma_modify_flags(vmi, prev, vma, start, end, flags)
    if changed is None:
        return prev, -errno.EAGAIN if err == -ENOMEM else err
    mm.vma_start_write(changed)
    changed.vm_flags = flags
    return changed, 0


# -- mlock


def mlock(mm: MmStruct, start: int, length: int, flags: int) -> int:
    """The system calls mlock, mlock2 and, with no ``flags``, munlock: set VM_LOCKED bits.

    Returns 0, -EINVAL or -ENOMEM.
    """
    length = mm.page_align(length + start % mm.page_size)
    start &= -mm.page_size
    ret = mm.apply_vma_lock_flags(start, length, flags)
    mm.mmap_write_unlock()
    return ret


def apply_vma_lock_flags(mm: MmStruct, start: int, length: int, flags: int) -> int:
    """Set or clear VM_LOCKED on a range without gaps. Returns 0 or a negative errno."""
    end = start + length
    if end > mm.ulong_max:
        return -EINVAL
    if end == start:
        return 0
    vmi = mm.vma_iterator(start)
    vma = mm.vma_iter_load(vmi)
    if vma is None:
        return -ENOMEM
    prev = mm.vma_prev(vmi)
    if start > vma.vm_start:
        prev = vma
    done, reached = start, vma.vm_start
    while (vma := mm.vma_find(vmi, end)) is not None:
        if vma.vm_start != reached:
            return -ENOMEM
        reached = min(vma.vm_end, end)
        prev, err = mm.mlock_fixup(vmi, vma, prev, done, reached, flags)
        if err:
            return err
        reached = done = vmi.last + 1
    return -ENOMEM if reached < end else 0


def mlock_fixup(
    mm: MmStruct, vmi: MaState, vma: Vma, prev: Vma | None, start: int, end: int, lock: int
) -> tuple[Vma | None, int]:
    """Give a part of a VMA other lock bits. Returns (the VMA before the next, errno)."""
    old = vma.vm_flags
    flags = old & ~VM_LOCKED_MASK | lock
    if flags == old or old & (VM_SPECIAL | VM_HUGETLB):
        return vma, 0
    changed, err = mm.vma_modify_flags(vmi, prev, vma, start, end, flags)
    if changed is None:
        return vma, err
    mm.vma_start_write(changed)
    changed.vm_flags = flags
    return changed, 0


def mlockall(mm: MmStruct, flags: int) -> int:
    """The system calls mlockall and munlockall: VM_LOCKED bits for all VMAs. Returns 0."""
    vmi = mm.vma_iterator()
    prev: Vma | None = None
    while (vma := mm.vma_next(vmi)) is not None:
        # errors are ignored, as by the kernel
        prev, _ = mm.mlock_fixup(vmi, vma, prev, vma.vm_start, vma.vm_end, flags)
    mm.mmap_write_unlock()
    return 0
