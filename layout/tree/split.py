"""Splitting a leaf that is too full, upwards: push data to a neighbour, or make two nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layout.memory.pointers import (
    ARANGE_64,
    RANGE_64,
    ma_is_leaf,
    mte_is_leaf,
    mte_node_type,
    mte_to_node,
)
from layout.tree.state import WR_REBALANCE, BigNode, MaState, SubtreeState, WrState
from layout.tree.walk import MAX_DESCENT

if TYPE_CHECKING:
    from layout.tree.kernel import Kernel


def mas_split_final_node(k: Kernel, mast: SubtreeState, mas: MaState, height: int) -> None:
    """Put what is left of the data into one last node, perhaps a new root."""
    bn = mast.bn
    if k.mte_is_root(mas.node):
        bn.mt = ARANGE_64 if k.mt_is_alloc(mas.tree) else RANGE_64
        mas.depth = height
    ancestor = k.mas_new_ma_node(mas, bn)
    k.mas_set_parent(mas, mast.l.node, ancestor, mast.l.offset)
    k.mas_set_parent(mas, mast.r.node, ancestor, mast.r.offset)
    k.mem.set_parent(mte_to_node(ancestor), k.mem.parent(mte_to_node(mas.node)))
    mast.l.node = ancestor
    k.mab_mas_cp(bn, 0, k.mt_slots[bn.mt] - 1, mast.l, new_max=True)
    mas.offset = bn.b_end - 1 & 0xFF


def mast_fill_bnode(k: Kernel, mast: SubtreeState, mas: MaState, skip: int) -> None:
    """Gather the parent's data with the two new nodes in place of ``skip`` old ones."""
    bn = mast.bn
    mt = bn.mt
    bn.clear()
    bn.mt = mt
    copy = True
    if k.mte_is_root(mas.node):
        copy = False
    else:
        k.mas_ascend(mas)
        mas.offset = k.mte_parent_slot(mas.node)
    if copy and mast.l.offset:
        k.mas_mab_cp(mas, 0, mast.l.offset - 1, bn, 0)
    split = bn.b_end
    k.mab_set_b_end(bn, mast.l, mast.l.node)
    mast.r.offset = bn.b_end
    k.mab_set_b_end(bn, mast.r, mast.r.node)
    if bn.words[bn.pivot0 + bn.b_end - 1] == mas.max:
        copy = False
    if copy:
        count = k.mt_slots[mte_node_type(mas.node)]
        k.mas_mab_cp(mas, split + skip, count - 1, bn, bn.b_end)
    bn.b_end -= 1
    bn.mt = mte_node_type(mas.node)


def mast_split_data(k: Kernel, mast: SubtreeState, mas: MaState, split: int) -> None:
    """Spread the big node over the left and right nodes, and mend the parents below."""
    bn = mast.bn
    k.mab_mas_cp(bn, 0, split, mast.l, new_max=True)
    k.mem.set_pivot(mte_to_node(mast.r.node), 0, mast.r.max)
    k.mab_mas_cp(bn, split + 1, bn.b_end, mast.r, new_max=False)
    mast.l.offset = k.mte_parent_slot(mas.node)
    mast.l.max = bn.words[bn.pivot0 + split]
    mast.r.min = mast.l.max + 1 & k.ulong_max
    if mte_is_leaf(mas.node):
        return
    slot = mast.orig_l.offset
    slot = k.mas_set_split_parent(mast.orig_l, mast.l.node, mast.r.node, slot, split)
    k.mas_set_split_parent(mast.orig_r, mast.l.node, mast.r.node, slot, split)


def mas_push_data(k: Kernel, mas: MaState, height: int, mast: SubtreeState, *, left: bool) -> bool:
    """Push data into the left or right neighbour if it has room; true if done."""
    bn = mast.bn
    other = mas.copy()
    other.depth = mast.l.depth
    there = k.mas_prev_sibling(other) if left else k.mas_next_sibling(other)
    if not there:
        return False
    end = k.mas_data_end(other)
    total = bn.b_end + end
    # one less than two full nodes, so that no third is needed
    space = 2 * k.mt_slots[mte_node_type(mas.node)] - 2
    if ma_is_leaf(bn.mt):
        space -= 1
    if mas.max == k.ulong_max:
        space -= 1
    if total >= space:
        return False

    bn.b_end += 1
    if left:
        k.mab_shift_right(bn, end + 1)
        k.mas_mab_cp(other, 0, end, bn, 0)
        bn.b_end = total + 1
    else:
        k.mas_mab_cp(other, 0, end, bn, bn.b_end)

    split = k.mt_slots[bn.mt] - 2
    if left:
        mas.assign(other)
        other.node = mast.l.node
        mast.l.assign(other)
    else:
        other.node = mast.r.node
        mast.r.assign(other)
        split = total - split
    split = k.mab_no_null_split(bn, split, k.mt_slots[bn.mt])
    if left:
        mast.orig_l.offset += end + 1
    k.mast_split_data(mast, mas, split)
    k.mast_fill_bnode(mast, mas, 2)
    k.mas_split_final_node(mast, mas, height + 1)
    return True


def mas_split(k: Kernel, mas: MaState, bn: BigNode) -> None:
    """Split the data that is too much for one node, and the nodes above as needed."""
    k.splits += 1
    l_mas = k.new_state(mas.tree, mas.index, mas.last)
    r_mas = k.new_state(mas.tree, mas.index, mas.last)
    prev_l = k.new_state(mas.tree, mas.index, mas.last)
    prev_r = k.new_state(mas.tree, mas.index, mas.last)
    mas.depth = k.mas_mt_height(mas)
    mast = SubtreeState(prev_l, prev_r, bn, l_mas, l_mas, r_mas)
    for height in range(1, MAX_DESCENT):
        if height - 1 > mas.depth:
            break
        if k.mt_slots[bn.mt] > bn.b_end:
            k.mas_split_final_node(mast, mas, height)
            break
        l_mas.assign(mas)
        r_mas.assign(mas)
        l_mas.node = k.mas_new_ma_node(mas, bn)
        r_mas.node = k.mas_new_ma_node(mas, bn)
        if k.mas_push_data(mas, height, mast, left=True):
            break
        if k.mas_push_data(mas, height, mast, left=False):
            break
        split, _middle = k.mab_calc_split(mas, bn)
        k.mast_split_data(mast, mas, split)
        # mab_mas_cp() in the call above may have left another value
        r_mas.max = mas.max
        k.mast_fill_bnode(mast, mas, 1)
        prev_l.assign(l_mas)
        prev_r.assign(r_mas)
    old = mas.node
    mas.node = l_mas.node
    k.mas_wmb_replace(mas, old)
    k.mtree_range_walk(mas)


def mas_commit_b_node(k: Kernel, wr: WrState, bn: BigNode) -> None:
    """Rebalance or split, as the store type says."""
    if wr.mas.store_type == WR_REBALANCE:
        k.mas_rebalance(wr.mas, bn)
    else:
        k.mas_split(wr.mas, bn)
