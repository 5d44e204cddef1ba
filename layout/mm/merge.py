"""Growing, shrinking, splitting and merging VMAs.

Source: mm/vma.c of Linux 6.12.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from layout.mm.calls import VmaMerge
from layout.mm.vm_flags import CLOSING_OPS, VM_SPECIAL
from layout.tree.state import ENOMEM

if TYPE_CHECKING:
    from layout.mm.mm_struct import MmStruct
    from layout.mm.vmas import Vma
    from layout.tree.state import MaState

MAX_MAP_COUNT = 65530
"""sysctl_max_map_count: VMAs that an address space may have."""


def vmg_vma_state(
    mm: MmStruct, vmi: MaState, prev: Vma | None, vma: Vma, start: int, end: int
) -> VmaMerge:
    """VMG_VMA_STATE: a range with all that ``vma`` has."""
    pgoff = vma.vm_pgoff + (start - vma.vm_start) // mm.page_size
    return VmaMerge(
        *(vmi, start, end, vma.vm_flags, pgoff, vma.vm_file, vma.anon_vma),
        prev=prev,
        vma=vma,
    )


def vma_set_range(mm: MmStruct, vma: Vma, start: int, end: int, pgoff: int) -> None:
    """Set where a VMA lies and what part of its file it maps."""
    vma.vm_start, vma.vm_end, vma.vm_pgoff = start, end, pgoff


# -- what fits together


def is_mergeable_vma(mm: MmStruct, vmg: VmaMerge, vma: Vma) -> bool:
    """Whether flags and file agree."""
    return vma.vm_flags == vmg.flags and vma.vm_file == vmg.file


def is_mergeable_anon_vma(mm: MmStruct, one: int, other: int, vma: Vma | None) -> bool:
    """Whether two anon_vmas can become one; ``vma`` must not be shared with a parent."""
    if (not one or not other) and (vma is None or mm.manager.is_singular(vma)):
        return True
    return one == other


def can_vma_merge_left(mm: MmStruct, vmg: VmaMerge) -> bool:
    """Whether the range can become part of the VMA before it."""
    prev = vmg.prev
    return (
        prev is not None
        and prev.vm_end == vmg.start
        and mm.is_mergeable_vma(vmg, prev)
        and mm.is_mergeable_anon_vma(vmg.anon_vma, prev.anon_vma, prev)
        and (prev.vm_pgoff + prev.pages) & mm.ulong_max == vmg.pgoff
    )


def can_vma_merge_right(mm: MmStruct, vmg: VmaMerge, *, merge_left: bool) -> bool:
    """Whether the range can become part of the VMA behind it, and of the one before."""
    after = vmg.next
    pages = (vmg.end - vmg.start) // mm.page_size
    if (
        after is None
        or vmg.end != after.vm_start
        or not mm.is_mergeable_vma(vmg, after)
        or not mm.is_mergeable_anon_vma(vmg.anon_vma, after.anon_vma, after)
        or after.vm_pgoff != vmg.pgoff + pages & mm.ulong_max
    ):
        return False
    if not merge_left:
        return True
    assert vmg.prev is not None
    return mm.is_mergeable_anon_vma(vmg.prev.anon_vma, after.anon_vma, None)


def can_merge_remove_vma(mm: MmStruct, vma: Vma) -> bool:
    """Whether a VMA may disappear in a merge: it has no close function."""
    return vma.vm_ops != CLOSING_OPS


def dup_anon_vma(mm: MmStruct, target: Vma, source: Vma) -> tuple[int, bool]:
    """Give a VMA that grows the anon_vma of what it grows over. Returns (errno, changed)."""
    if not source.anon_vma or target.anon_vma:
        return 0, False
    target.anon_vma = source.anon_vma
    if not mm.manager.anon_vma_clone(target, source):
        return -ENOMEM, False
    return 0, True


# -- carrying out


def commit_merge(
    mm: MmStruct,
    vmg: VmaMerge,
    adjust: Vma | None,
    remove: tuple[Vma, ...],
    adj_start: int,
    *,
    expanded: bool,
) -> bool:
    """Make ``vmg.vma`` what it is to be, move ``adjust``'s start, and free ``remove``.

    Returns false without memory; nothing has changed then.
    """
    vma = vmg.vma
    assert vma is not None
    if expanded:
        mm.vma_iter_config(vmg.vmi, vmg.start, vmg.end)
    else:
        assert adjust is not None
        mm.vma_iter_config(vmg.vmi, adjust.vm_start + adj_start, adjust.vm_end)
    if not mm.vma_iter_prealloc(vmg.vmi, vma):
        return False
    mm.vma_set_range(vma, vmg.start, vmg.end, vmg.pgoff)
    if expanded:
        mm.vma_iter_store(vmg.vmi, vma)
    if adj_start:
        assert adjust is not None
        adjust.vm_start += adj_start
        adjust.vm_pgoff += adj_start // mm.page_size
        if adj_start < 0:
            mm.vma_iter_store(vmg.vmi, adjust)
    for gone in remove:
        gone.mark_detached(detached=True)
        mm.map_count -= 1
        mm.manager.vm_area_free(gone)
    return True


def vma_expand(mm: MmStruct, vmg: VmaMerge) -> bool:
    """Let ``vmg.vma`` grow to the range, over ``vmg.next`` too; false without memory."""
    vma, after = vmg.vma, vmg.next
    assert vma is not None
    mm.vma_start_write(vma)
    remove: tuple[Vma, ...] = ()
    changed = False
    if after is not None and vma != after and vmg.end == after.vm_end:
        remove = (after,)
        mm.vma_start_write(after)
        err, changed = mm.dup_anon_vma(vma, after)
        if err:
            return False
    if mm.commit_merge(vmg, None, remove, 0, expanded=True):
        return True
    if changed:
        mm.manager.unlink_anon_vmas(vma)
    vmg.nomem = True
    return False


def vma_shrink(mm: MmStruct, vmi: MaState, vma: Vma, start: int, end: int, pgoff: int) -> int:
    """Cut one end off a VMA. Returns 0 or -ENOMEM."""
    if vma.vm_start < start:
        mm.vma_iter_config(vmi, vma.vm_start, start)
    else:
        mm.vma_iter_config(vmi, end, vma.vm_end)
    if not mm.vma_iter_prealloc(vmi, None):
        return -ENOMEM
    mm.vma_start_write(vma)
    mm.vma_iter_clear(vmi)
    mm.vma_set_range(vma, start, end, pgoff)
    return 0


def vma_merge_new_range(mm: MmStruct, vmg: VmaMerge) -> Vma | None:
    """Let a neighbour grow over a new range, or both become one; None if none can."""
    start, end, pgoff = vmg.start, vmg.end, vmg.pgoff
    prev, after = vmg.prev, vmg.next
    if vmg.flags & VM_SPECIAL or (prev is None and after is None):
        return None
    merge_left = mm.can_vma_merge_left(vmg)
    merge_right = not vmg.just_expand and mm.can_vma_merge_right(vmg, merge_left=merge_left)
    if merge_right:
        assert after is not None
        vmg.end = after.vm_end
        vmg.vma = after
        vmg.pgoff = after.vm_pgoff - (end - start) // mm.page_size
    if merge_left:
        assert prev is not None
        vmg.start = prev.vm_start
        vmg.vma = prev
        vmg.pgoff = prev.vm_pgoff
        if merge_right and after is not None and not mm.can_merge_remove_vma(after):
            vmg.end = end
        if not vmg.just_expand:
            mm.vma_prev(vmg.vmi)
    if vmg.vma is not None and mm.vma_expand(vmg):
        return vmg.vma
    if not vmg.just_expand:
        vmg.vma = None
        vmg.start, vmg.end, vmg.pgoff = start, end, pgoff
        if prev is None:  # C compares prev with the NULL just written
            mm.kernel.mas_set(vmg.vmi, start)
    return None


def vma_merge_existing_range(mm: MmStruct, vmg: VmaMerge) -> Vma | None:
    """Merge a part of ``vmg.vma``, whose flags change, with its neighbours; None if none fits.

    ``vmg.nomem`` tells that memory was missing.
    """
    vma, prev = vmg.vma, vmg.prev
    assert vma is not None
    start, end = vmg.start, vmg.end
    left_side, right_side = start == vma.vm_start, end == vma.vm_end
    if vmg.flags & VM_SPECIAL or not (left_side or right_side):
        return None
    merge_left = left_side and mm.can_vma_merge_left(vmg)
    merge_right = False
    if right_side:
        vmg.next = mm.vma_iter_next_range(vmg.vmi)
        mm.vma_iter_prev_range(vmg.vmi)
        merge_right = mm.can_vma_merge_right(vmg, merge_left=merge_left)
    after = vmg.next
    if merge_left:
        mm.vma_prev(vmg.vmi)
    elif not merge_right:
        return None
    delete_vma = left_side and right_side
    if delete_vma and not mm.can_merge_remove_vma(vma):
        return None
    if merge_left and merge_right and after and not mm.can_merge_remove_vma(after):
        merge_right = False
    mm.vma_start_write(vma)
    if merge_left and prev:
        mm.vma_start_write(prev)
    if merge_right and after:
        mm.vma_start_write(after)
    merged, done = _merge_existing(mm, vmg, merge_left=merge_left, merge_right=merge_right)
    if done:
        return merged
    mm.kernel.mas_set(vmg.vmi, start)
    mm.vma_iter_load(vmg.vmi)
    vmg.nomem = True
    return None


def _merge_existing(
    mm: MmStruct, vmg: VmaMerge, *, merge_left: bool, merge_right: bool
) -> tuple[Vma | None, bool]:
    """The merge once it is known which: (the VMA that grows, whether it was done)."""
    vma, prev, after = vmg.vma, vmg.prev, vmg.next
    assert vma is not None
    start = vmg.start
    delete_vma = start == vma.vm_start and vmg.end == vma.vm_end
    adjust: Vma | None = None
    adj_start = 0
    remove: tuple[Vma, ...] = (vma,) if delete_vma else ()
    if merge_left:
        assert prev is not None
        grows, source = prev, vma
        vmg.vma, vmg.start, vmg.pgoff = prev, prev.vm_start, prev.vm_pgoff
        if merge_right:
            assert after is not None
            vmg.end = after.vm_end
            remove = (vma, after)
            source = after if after.anon_vma else vma
        elif not delete_vma:
            adjust, adj_start = vma, vmg.end - vma.vm_start
    else:
        assert after is not None
        grows, source = after, vma
        if delete_vma:
            pages = (vmg.end - vmg.start) // mm.page_size
            vmg.vma, vmg.end, vmg.pgoff = after, after.vm_end, after.vm_pgoff - pages
        else:
            # the one case where the VMA that is set is not the one that grows
            vmg.start, vmg.end, vmg.pgoff = vma.vm_start, start, vma.vm_pgoff
            adjust, adj_start = after, start - vma.vm_end
    err, changed = mm.dup_anon_vma(grows, source)
    expanded = not merge_right or delete_vma
    if not err and mm.commit_merge(vmg, adjust, remove, adj_start, expanded=expanded):
        return grows, True
    if changed:
        mm.manager.unlink_anon_vmas(grows)
    return None, False


# -- splitting


def split_vma_unchecked(
    mm: MmStruct, vmi: MaState, vma: Vma, address: int, *, new_below: bool
) -> int:
    """__split_vma: a new VMA for the part below ``address``, or for the rest.

    Returns 0 or -ENOMEM; the iterator points at the old VMA then.
    """
    new = mm.manager.vm_area_dup(vma)
    if new is None:
        return -ENOMEM
    pages = (address - vma.vm_start) // mm.page_size
    if new_below:
        new.vm_end = address
    else:
        new.vm_start = address
        new.vm_pgoff += pages
    mm.vma_iter_config(vmi, new.vm_start, new.vm_end)
    if not mm.vma_iter_prealloc(vmi, new):
        mm.manager.vm_area_free(new)
        return -ENOMEM
    if not mm.manager.anon_vma_clone(new, vma):
        mm.kernel.mas_destroy(vmi)
        mm.manager.vm_area_free(new)
        return -ENOMEM
    mm.vma_start_write(vma)
    mm.vma_start_write(new)
    if new_below:
        vma.vm_start = address
        vma.vm_pgoff += pages
    else:
        vma.vm_end = address
    mm.vma_iter_store(vmi, new)
    mm.map_count += 1
    if new_below:
        mm.vma_next(vmi)
    else:
        mm.vma_prev(vmi)
    return 0


def split_vma(mm: MmStruct, vmi: MaState, vma: Vma, address: int, *, new_below: bool) -> int:
    """Split a VMA at ``address``, if there may be one more. Returns 0 or -ENOMEM."""
    if mm.map_count >= MAX_MAP_COUNT:
        return -ENOMEM
    return mm.split_vma_unchecked(vmi, vma, address, new_below=new_below)


# -- changing a part


def vma_modify_flags(
    mm: MmStruct, vmi: MaState, prev: Vma | None, vma: Vma, start: int, end: int, flags: int
) -> tuple[Vma | None, int]:
    """Make a VMA of exactly that part, by merging or splitting, for flags to come.

    Returns (VMA, 0), or (None, a negative errno). The caller sets the flags.
    """
    vmg = mm.vmg_vma_state(vmi, prev, vma, start, end)
    vmg.flags = flags
    merged = mm.vma_merge_existing_range(vmg)
    if merged is not None:
        return merged, 0
    if vmg.nomem:
        return None, -ENOMEM
    if vma.vm_start < start:
        err = mm.split_vma(vmi, vma, start, new_below=True)
        if err:
            return None, err
    if vma.vm_end > end:
        err = mm.split_vma(vmi, vma, end, new_below=False)
        if err:
            return None, err
    return vma, 0


def vma_merge_extend(mm: MmStruct, vmi: MaState, vma: Vma, delta: int) -> Vma | None:
    """Let a VMA grow at its end by ``delta`` bytes; None without memory."""
    vmg = mm.vmg_vma_state(vmi, vma, vma, vma.vm_end, vma.vm_end + delta)
    vmg.next, _ = mm.vma_iter_next_rewind(vmi)
    vmg.vma = None
    return mm.vma_merge_new_range(vmg)


def vma_link(mm: MmStruct, vma: Vma) -> int:
    """Store a new VMA in its range. Returns 0 or -ENOMEM."""
    vmi = mm.vma_iterator()
    mm.vma_iter_config(vmi, vma.vm_start, vma.vm_end)
    if not mm.vma_iter_prealloc(vmi, vma):
        return -ENOMEM
    mm.vma_start_write(vma)
    mm.vma_iter_store(vmi, vma)
    mm.map_count += 1
    return 0
