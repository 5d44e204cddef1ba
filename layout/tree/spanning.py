"""Rebalancing across nodes, level by level, up from a spanning store or a node too small.

Operations on struct maple_subtree_state have names that start with mast.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from layout.memory.pointers import ROOT_PARENT, Word, mt_mk_node, mte_node_type, mte_to_node
from layout.tree.state import MA_NONE, BigNode, MaState, SubtreeState, WrState
from layout.tree.walk import MAX_DESCENT

if TYPE_CHECKING:
    from layout.tree.kernel import Kernel


def mas_prev_sibling(k: Kernel, mas: MaState) -> bool:
    """Go to the previous child of the same parent."""
    slot = k.mte_parent_slot(mas.node)
    if k.mte_is_root(mas.node) or not slot:
        return False
    k.mas_ascend(mas)
    mas.offset = slot - 1
    k.mas_descend(mas)
    return True


def mas_next_sibling(k: Kernel, mas: MaState) -> bool:
    """Go to the next child of the same parent."""
    if k.mte_is_root(mas.node):
        return False
    parent = mas.copy()
    k.mas_ascend(parent)
    parent.offset = k.mte_parent_slot(mas.node) + 1
    if parent.offset > k.mas_data_end(parent):
        return False
    mas.assign(parent)
    k.mas_descend(mas)
    return True


def mast_rebalance_next(k: Kernel, mast: SubtreeState) -> None:
    """Add all data of the node to the right."""
    right = mast.orig_r
    count = k.mt_slots[mte_node_type(right.node)]
    k.mas_mab_cp(right, 0, count, mast.bn, mast.bn.b_end)
    right.last = right.max


def mast_rebalance_prev(k: Kernel, mast: SubtreeState) -> None:
    """Put all data of the node to the left in front."""
    left = mast.orig_l
    bn = mast.bn
    end = k.mas_data_end(left) + 1
    b_end = bn.b_end
    k.mab_shift_right(bn, end)
    k.mas_mab_cp(left, 0, end - 1, bn, 0)
    mast.l.min = left.min
    left.index = left.min
    bn.b_end = end + b_end
    mast.l.offset += end


def mast_spanning_rebalance(k: Kernel, mast: SubtreeState) -> bool:
    """Take in the nearest node, right before left, ascending as far as needed."""
    right = mast.orig_r
    left = mast.orig_l
    saved_right = right.copy()
    saved_left = left.copy()
    for depth in range(1, MAX_DESCENT):
        k.mas_ascend(right)
        k.mas_ascend(left)
        if right.offset < k.mas_data_end(right):
            right.offset += 1
            for _level in range(depth):
                k.mas_descend(right)
                right.offset = 0
            k.mast_rebalance_next(mast)
            left.assign(saved_left)
            return True
        if left.offset:
            left.offset -= 1
            for _level in range(depth):
                k.mas_descend(left)
                left.offset = k.mas_data_end(left)
            k.mast_rebalance_prev(mast)
            right.assign(saved_right)
            return True
        if k.mte_is_root(right.node):
            break
    right.assign(saved_right)
    left.assign(saved_left)
    return False


def mast_ascend(k: Kernel, mast: SubtreeState) -> None:
    """Take both old sides one level up and point them at what the new nodes cover."""
    left = mast.orig_l
    right = mast.orig_r
    k.mas_ascend(left)
    k.mas_ascend(right)
    right.offset = 0
    right.index = mast.r.max
    right.last = max(right.last, right.index)
    wr = WrState(right, 0)
    wr.mt = mte_node_type(right.node)
    k.mas_wr_node_walk(wr)
    left.offset = 0
    left.index = mast.l.min
    wr.mas = left
    wr.mt = mte_node_type(left.node)
    k.mas_wr_node_walk(wr)
    mast.bn.mt = wr.mt


def mas_mab_to_node(k: Kernel, mas: MaState, bn: BigNode) -> tuple[Word, Word, Word, int, int]:
    """Take the new nodes: (left, middle, right, split, middle split), 0 where there is none."""
    left = k.mas_new_ma_node(mas, bn)
    right = middle = 0
    split = bn.b_end
    middle_split = 0
    if bn.b_end >= k.mt_slots[bn.mt]:
        split, middle_split = k.mab_calc_split(mas, bn)
        right = k.mas_new_ma_node(mas, bn)
    if middle_split:
        middle = k.mas_new_ma_node(mas, bn)
    return left, middle, right, split, middle_split


def mas_set_split_parent(
    k: Kernel, mas: MaState, left: Word, right: Word, slot: int, split: int
) -> int:
    """Give the state's node its parent, left or right of the split; returns the next slot."""
    if mas.status == MA_NONE:
        return slot
    if slot <= split:
        k.mas_set_parent(mas, mas.node, left, slot)
    elif right:
        k.mas_set_parent(mas, mas.node, right, slot - split - 1)
    return slot + 1


def mast_set_split_parents(
    k: Kernel,
    mast: SubtreeState,
    left: Word,
    middle: Word,
    right: Word,
    split: int,
    middle_split: int,
) -> None:
    """Give the three new nodes of the level below their parents."""
    if mast.l.status == MA_NONE:
        return
    lower = left
    upper = middle or right
    slot = mast.l.offset
    for i in range(3):
        if upper != right and slot >= middle_split:
            lower = upper
            upper = right
            split = middle_split
        state = mast.l if i == 0 else (mast.m if i == 1 else mast.r)
        slot = k.mas_set_split_parent(state, lower, upper, slot, split)


def mast_cp_to_nodes(
    k: Kernel,
    mast: SubtreeState,
    left: Word,
    middle: Word,
    right: Word,
    split: int,
    middle_split: int,
) -> None:
    """Spread the big node over the new nodes and set their ranges."""
    bn = mast.bn
    top = k.ulong_max
    k.mas_node_or_none(mast.l, left)
    k.mas_node_or_none(mast.m, middle)
    k.mas_node_or_none(mast.r, right)
    mast.l.min = mast.orig_l.min
    new_max = True
    if split == bn.b_end:
        mast.l.max = mast.orig_r.max
        new_max = False
    k.mab_mas_cp(bn, 0, split, mast.l, new_max=new_max)
    if middle:
        k.mab_mas_cp(bn, 1 + split, middle_split, mast.m, new_max=True)
        mast.m.min = bn.words[bn.pivot0 + split] + 1 & top
        split = middle_split
    mast.r.max = mast.orig_r.max
    if right:
        k.mab_mas_cp(bn, 1 + split, bn.b_end, mast.r, new_max=False)
        mast.r.min = bn.words[bn.pivot0 + split] + 1 & top


def mast_combine_cp_left(k: Kernel, mast: SubtreeState) -> None:
    """Copy what lies left of the new nodes."""
    slot = mast.orig_l.offset
    if slot:
        k.mas_mab_cp(mast.orig_l, 0, slot - 1, mast.bn, 0)


def mast_combine_cp_right(k: Kernel, mast: SubtreeState) -> None:
    """Copy what lies right of the new nodes."""
    bn = mast.bn
    right = mast.orig_r
    if bn.words[bn.pivot0 + bn.b_end - 1] >= right.max:
        return
    count = k.mt_slots[mte_node_type(right.node)]
    k.mas_mab_cp(right, right.offset + 1, count, bn, bn.b_end)
    right.last = right.max


def mas_is_root_limits(k: Kernel, mas: MaState) -> bool:
    """Whether the state's node covers all indexes."""
    return not mas.min and mas.max == k.ulong_max


def mas_spanning_rebalance(k: Kernel, mas: MaState, mast: SubtreeState, count: int) -> None:
    """Build new nodes from the big node, level by level, then put them into the tree.

    ``count`` is the number of levels expected. The state takes the nodes from its reserve.
    """
    mem = k.mem
    bn = mast.bn
    l_mas = k.new_state(mas.tree, mas.index, mas.index)
    r_mas = k.new_state(mas.tree, mas.index, mas.last)
    m_mas = k.new_state(mas.tree, mas.index, mas.index)
    mast.l = l_mas
    mast.m = m_mas
    mast.r = r_mas
    l_mas.status = r_mas.status = m_mas.status = MA_NONE
    left = middle = right = 0

    not_whole = mast.orig_l.min != 0 or mast.orig_r.max != k.ulong_max
    if not_whole and bn.b_end <= k.mt_min_slots[bn.mt]:
        k.mast_spanning_rebalance(mast)
    l_mas.depth = 0

    new_root = False
    while count:
        count -= 1
        bn.b_end -= 1
        bn.mt = mte_node_type(mast.orig_l.node)
        left, middle, right, split, middle_split = k.mas_mab_to_node(mas, bn)
        k.mast_set_split_parents(mast, left, middle, right, split, middle_split)
        k.mast_cp_to_nodes(mast, left, middle, right, split, middle_split)
        bn.clear()
        bn.mt = mte_node_type(left)
        l_mas.depth += 1
        if k.mas_is_root_limits(l_mas):
            new_root = True
            break
        k.mast_ascend(mast)
        k.mast_combine_cp_left(mast)
        l_mas.offset = bn.b_end
        k.mab_set_b_end(bn, l_mas, left)
        k.mab_set_b_end(bn, m_mas, middle)
        k.mab_set_b_end(bn, r_mas, right)
        k.mast_combine_cp_right(mast)
        mast.orig_l.last = mast.orig_l.max

        old_type = mte_node_type(mast.orig_l.node)
        if bn.b_end > k.mt_min_slots[old_type] or bn.b_end >= k.mt_slots[old_type]:
            continue
        if k.mas_is_root_limits(mast.orig_l):
            break
        k.mast_spanning_rebalance(mast)
        if not count:
            count = 1

    if not new_root:
        l_mas.node = mt_mk_node(k.mas_pop_node(mas), mte_node_type(mast.orig_l.node))
        l_mas.depth += 1
        k.mab_mas_cp(bn, 0, k.mt_slots[bn.mt] - 1, l_mas, new_max=True)
        k.mas_set_parent(mas, left, l_mas.node, 0)
        if middle:
            k.mas_set_parent(mas, middle, l_mas.node, 1)
        if right:
            k.mas_set_parent(mas, right, l_mas.node, 2 if middle else 1)
        new_root = k.mas_is_root_limits(l_mas)
    if new_root:
        mem.set_parent(mte_to_node(l_mas.node), mas.tree | ROOT_PARENT)
        for _ in range(MAX_DESCENT):
            if k.mte_is_root(mast.orig_l.node):
                break
            k.mast_ascend(mast)
        else:
            k.livelock("mas_spanning_rebalance finds no root", mte_to_node(mast.orig_l.node))
    else:
        mem.set_parent(mte_to_node(l_mas.node), mem.parent(mte_to_node(mast.orig_l.node)))

    old_enode = mast.orig_l.node
    mas.depth = l_mas.depth
    mas.node = l_mas.node
    mas.min = l_mas.min
    mas.max = l_mas.max
    mas.offset = l_mas.offset
    k.mas_wmb_replace(mas, old_enode)
    k.mtree_range_walk(mas)


def mas_rebalance(k: Kernel, mas: MaState, bn: BigNode) -> None:
    """Even out a node that is too small with its right neighbour, or else its left."""
    levels = k.mas_mt_height(mas)
    bn.b_end += 1
    b_end = bn.b_end
    bn.mt = mte_node_type(mas.node)
    l_mas = mas.copy()
    r_mas = mas.copy()
    mast = SubtreeState(l_mas, r_mas, bn, l_mas, l_mas, r_mas)
    if k.mas_next_sibling(r_mas):
        k.mas_mab_cp(r_mas, 0, k.mt_slots[mte_node_type(r_mas.node)], bn, b_end)
        r_mas.last = r_mas.index = r_mas.max
    else:
        k.mas_prev_sibling(l_mas)
        shift = k.mas_data_end(l_mas) + 1
        k.mab_shift_right(bn, shift)
        mas.offset += shift
        k.mas_mab_cp(l_mas, 0, shift - 1, bn, 0)
        bn.b_end = shift + b_end
        l_mas.index = l_mas.last = l_mas.min
    k.mas_spanning_rebalance(mas, mast, levels)
