"""The big node: gathering the data of one or two nodes and spreading it over new ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layout.memory.pointers import (
    ARANGE_64,
    Word,
    ma_is_leaf,
    mt_mk_node,
    mte_node_type,
    mte_to_node,
)
from layout.tree.peeks import peeks
from layout.tree.state import MA_STATE_BULK, MA_STATE_REBALANCE, BigNode, MaState, WrState

if TYPE_CHECKING:
    from layout.tree.kernel import Kernel


def new_big_node(k: Kernel) -> BigNode:
    """A zeroed struct maple_big_node on the stack, as mas_split() and others make it."""
    pivot0, slot0, gap0, count = k.big_node
    return BigNode(pivot0, slot0, gap0, [0] * count)


def mab_shift_right(k: Kernel, bn: BigNode, shift: int) -> None:
    """Move all data ``shift`` places up; what was there stays below."""
    bn.move(bn.pivot0, bn.b_end, shift)
    bn.move(bn.slot0, bn.b_end, shift)
    if bn.mt == ARANGE_64:
        bn.move(bn.gap0, bn.b_end, shift)


def mab_middle_node(k: Kernel, bn: BigNode, split: int, slot_count: int) -> bool:
    """Whether the data needs a third node."""
    size = bn.b_end
    if size >= 2 * slot_count:
        return True
    return not bn.words[bn.slot0 + split] and size >= 2 * slot_count - 1


def mab_no_null_split(k: Kernel, bn: BigNode, split: int, slot_count: int) -> int:
    """Move a split that would leave a NULL at the end of the left node."""
    if bn.words[bn.slot0 + split]:
        return split
    if split < slot_count - 1 and bn.b_end - split > k.mt_min_slots[bn.mt]:
        return split + 1
    return split - 1


def mab_calc_split(k: Kernel, mas: MaState, bn: BigNode) -> tuple[int, int]:
    """Where to split the data, and where to split it again (0: only two nodes)."""
    slot_count = k.mt_slots[bn.mt]
    if mas.mas_flags & MA_STATE_BULK:
        split = bn.b_end - k.mt_min_slots[bn.mt]
        if ma_is_leaf(bn.mt):
            mas.mas_flags |= MA_STATE_REBALANCE
            if not bn.words[bn.slot0 + split]:
                split -= 1
        return split, 0
    split = bn.b_end // 2
    middle = 0
    if k.mab_middle_node(bn, split, slot_count):
        split = bn.b_end // 3
        middle = split * 2
    split = k.mab_no_null_split(bn, split, slot_count)
    if middle:
        middle = k.mab_no_null_split(bn, middle, slot_count)
    return split, middle


def mas_mab_cp(k: Kernel, mas: MaState, first: int, last: int, bn: BigNode, at: int) -> None:
    """Copy slots ``first`` to ``last`` of the state's node to ``at``; stops at the data's end.

    Leaves the next free place in b_end.
    """
    mem = k.mem
    mt = mte_node_type(mas.node)
    node = mte_to_node(mas.node)
    limit = k.mt_pivots[mt]
    stop = min(last, limit)
    pivots = mem.pivots(node, mt, max(min(last + 1, limit), 1))
    words = bn.words
    i = first
    j = at
    complete = False
    if not i:
        words[bn.pivot0 + j] = pivots[0]
        i = 1
        if i > last:
            complete = True
        else:
            j += 1
    if not complete:
        while i < stop:
            pivot = pivots[i]
            words[bn.pivot0 + j] = pivot
            if not pivot:
                break
            if pivot == mas.max:
                complete = True
                break
            i += 1
            j += 1
        if not complete and i <= last:
            words[bn.pivot0 + j] = pivots[i] if i < limit else mas.max
    bn.b_end = j + 1
    mem.load_slots(words, bn.slot0 + at, node, mt, first, j + 1 - at)
    if not ma_is_leaf(mt) and k.mt_is_alloc(mas.tree):
        mem.load_gaps(words, bn.gap0 + at, node, first, j + 1 - at)


def mas_leaf_set_meta(k: Kernel, node: Word, mt: int, end: int) -> None:
    """Write a leaf's metadata unless its last slot is in use."""
    if end < k.mt_slots[mt] - 1:
        k.mem.set_meta(node, mt, 0, end)


@peeks("pivot overwritten as slot", why="of 16 pivots the last lies where slot 0 goes next")
def mab_mas_cp(
    k: Kernel, bn: BigNode, first: int, last: int, mas: MaState, *, new_max: bool
) -> None:
    """Copy places ``first`` to ``last`` into the state's node, and write its metadata."""
    mem = k.mem
    mt = mte_node_type(mas.node)
    node = mte_to_node(mas.node)
    pivots = k.mt_pivots[mt]
    words = bn.words
    if last - first > pivots:
        last -= 1
    if not mem.pivot(node, pivots - 1):
        mem.set_slot(node, mt, pivots, 0)
    i = first + 1
    while i <= last and words[bn.pivot0 + i]:
        i += 1
    count = i - first
    mem.store_pivots(node, 0, words, bn.pivot0 + first, count)
    mem.store_slots(node, mt, 0, words, bn.slot0 + first, count)
    if new_max:
        mas.max = words[bn.pivot0 + i - 1]
    if not ma_is_leaf(mt) and k.mt_is_alloc(mas.tree):
        mem.store_gaps(node, 0, words, bn.gap0 + first, count)
        largest = 0
        offset = 0
        for at in range(count):
            # the highest offset wins ties; no gap at all is recorded as offset 0
            gap = words[bn.gap0 + first + at]
            if gap and gap >= largest:
                largest = gap
                offset = at
        mem.set_meta(node, mt, offset, count - 1)
    else:
        k.mas_leaf_set_meta(node, mt, count - 1)


def mas_bulk_rebalance(k: Kernel, mas: MaState, end: int, mt: int) -> None:
    """In bulk mode, note that the rightmost node is big enough."""
    if not mas.mas_flags & MA_STATE_BULK or k.mte_is_root(mas.node):
        return
    if end > k.mt_min_slots[mt]:
        mas.mas_flags &= ~MA_STATE_REBALANCE


def mas_store_b_node(k: Kernel, wr: WrState, bn: BigNode, offset_end: int) -> None:
    """Fill the big node with the leaf's data and the new entry."""
    mem = k.mem
    top = k.ulong_max
    mas = wr.mas
    words = bn.words
    bn.mt = wr.mt
    b_end = 0
    slot = mas.offset
    pivot = mas.min - 1 & top
    if slot:
        k.mas_mab_cp(mas, 0, slot - 1, bn, 0)
        b_end = bn.b_end
        pivot = words[bn.pivot0 + b_end - 1]
    if (pivot + 1 & top) < mas.index:
        words[bn.slot0 + b_end] = wr.content
        if not wr.content:
            words[bn.gap0 + b_end] = mas.index - 1 - pivot & top
        words[bn.pivot0 + b_end] = mas.index - 1
        b_end += 1

    mas.offset = b_end
    words[bn.slot0 + b_end] = wr.entry
    words[bn.pivot0 + b_end] = mas.last
    if mas.last >= mas.max:
        bn.b_end = b_end
        return

    pivot = mem.pivot(wr.node, offset_end) if offset_end < k.mt_pivots[wr.mt] else mas.max
    if pivot > mas.last:
        if pivot == top:
            k.mas_bulk_rebalance(mas, bn.b_end, wr.mt)
        if offset_end != slot:
            wr.content = mem.slot(wr.node, wr.mt, offset_end)
        b_end += 1
        words[bn.slot0 + b_end] = wr.content
        if not wr.content:
            words[bn.gap0 + b_end] = pivot - mas.last + 1 & top
        words[bn.pivot0 + b_end] = pivot

    slot = offset_end + 1
    if slot > mas.end:
        bn.b_end = b_end
        return
    k.mas_mab_cp(mas, slot, mas.end + 1, bn, b_end + 1)
    bn.b_end -= 1


def mas_new_ma_node(k: Kernel, mas: MaState, bn: BigNode) -> Word:
    """Take a node from the state; its enode has the big node's type."""
    return mt_mk_node(k.mas_pop_node(mas), bn.mt)


def mab_set_b_end(k: Kernel, bn: BigNode, mas: MaState, enode: Word) -> None:
    """Append a child, with its gap and largest index, to the big node."""
    if not enode:
        return
    words = bn.words
    words[bn.slot0 + bn.b_end] = enode
    if k.mt_is_alloc(mas.tree):
        words[bn.gap0 + bn.b_end] = k.mas_max_gap(mas)
    words[bn.pivot0 + bn.b_end] = mas.max
    bn.b_end += 1
