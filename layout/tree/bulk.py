"""Bulk loading: nodes for many ascending stores, and the last leaf mended at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layout.memory.node import PIVOT
from layout.memory.pointers import ARANGE_64, RANGE_64, Word, mt_mk_node, mte_node_type, mte_to_node
from layout.memory.slab import GFP_KERNEL
from layout.tree.state import MA_ERROR, MA_STATE_BULK, MA_STATE_PREALLOC, MaState

if TYPE_CHECKING:
    from layout.tree.kernel import Kernel


def _as_int(number: int) -> int:
    """``number`` truncated to a C int."""
    number &= 0xFFFFFFFF
    return number - (1 << 32) if number >> 31 else number


def _div_round_up(number: int, divisor: int) -> int:
    """DIV_ROUND_UP on C ints: the division truncates towards 0."""
    number = _as_int(number + divisor - 1)  # wraps, as compiled
    return number // divisor if number >= 0 else -(-number // divisor)


def mas_expected_entries(k: Kernel, mas: MaState, count: Word) -> int:
    """Get the nodes for ``count`` ascending stores into an empty tree. Returns 0 or -ENOMEM."""
    enode = mas.node
    mas.mas_flags |= MA_STATE_BULK
    capacity = k.mt_slots[ARANGE_64] if k.mt_is_alloc(mas.tree) else k.mt_slots[RANGE_64]
    nodes = _as_int(max(count, count * 2 + 1 & k.ulong_max) & 0xFFFFFFFF)
    nodes = _div_round_up(nodes, k.mt_slots[RANGE_64] - 2)
    nodes = _as_int(nodes + _div_round_up(nodes, capacity - 2))
    k.mas_node_count_gfp(mas, nodes + 3 & k.ulong_max, GFP_KERNEL)
    mas.mas_flags |= MA_STATE_PREALLOC
    if mas.status != MA_ERROR:
        return 0
    err = k.xa_err(mas.node)
    mas.node = enode
    k.mas_destroy(mas)
    return err


def mas_destroy_rebalance(k: Kernel, mas: MaState, end: int) -> None:
    """Fill up the last leaf of a bulk load from the one before it."""
    mem = k.mem
    mt = mte_node_type(mas.node)
    slot0 = k.slot0[mt]
    pivots = k.mt_pivots[mt]
    slots = k.mt_slots[mt]
    in_rcu = k.mt_in_rcu(mas.tree)
    l_mas = mas.copy()
    k.mas_prev_sibling(l_mas)
    node = mte_to_node(mas.node)
    left = mte_to_node(l_mas.node)
    new_node = k.mas_pop_node(mas) if in_rcu else 0

    split = slots // 2
    if not mem.slot(left, mt, split):
        split += 1
    moved = k.mas_data_end(l_mas) - split
    if moved < 0:
        # an unsigned char in C: it copies some 250 words over its own stack
        k.bug("mas_destroy_rebalance: too little data to the left", left)
    new = k.new_words()  # a struct maple_node on the stack
    new[0] = mem.parent(node)
    mem.load_slots(new, slot0, left, mt, split + 1, moved)
    mem.load_pivots(new, PIVOT, left, split + 1, moved)
    new[PIVOT + moved] = l_mas.max
    mem.load_slots(new, slot0 + moved, node, mt, 0, end)
    mem.load_pivots(new, PIVOT + moved, node, 0, end)

    split_pivot = mem.pivot(left, split)
    l_mas.max = split_pivot
    mas.min = l_mas.max + 1 & k.ulong_max
    old_parent = k.parent_enode(l_mas, l_mas.node)
    count = moved + end
    if in_rcu:
        mem.store_leaf(new_node, new, count - 1)
        mem.set_meta(new_node, mt, 0, count)
        eparent = _replace_last_two(k, mas, l_mas, old_parent, new_node, split)
    else:
        for i in range(count, pivots):
            new[PIVOT + i] = 0
        for i in range(count, slots):
            new[slot0 + i] = 0
        mem.store_leaf(node, new, count - 1)
        mem.set_pivot(mte_to_node(old_parent), k.mte_parent_slot(l_mas.node), split_pivot)
        mem.clear_pivots(left, split + 1, pivots - split - 1)
        mem.clear_slots(left, mt, split + 1, slots - split - 1)
        mem.set_meta(left, mt, 0, split)
        eparent = old_parent

    _set_gap_of_leaf(k, mas, eparent)
    _set_gap_of_leaf(k, l_mas, eparent)
    k.mas_ascend(mas)
    if in_rcu:
        k.mas_replace_node(mas, old_parent)
        k.mas_adopt_children(mas, mas.node)
    k.mas_update_gap(mas)


def _set_gap_of_leaf(k: Kernel, mas: MaState, eparent: Word) -> None:
    """Tell the parent the leaf's largest gap, if gaps are tracked."""
    gap = k.mas_leaf_max_gap(mas)
    if mte_node_type(eparent) == ARANGE_64:
        k.mem.set_gap(mte_to_node(eparent), k.mte_parent_slot(mas.node), gap)


def _replace_last_two(
    k: Kernel, mas: MaState, l_mas: MaState, old_parent: Word, new_node: Word, split: int
) -> Word:
    """New nodes for the last two leaves and their parent; returns the parent's enode."""
    mem = k.mem
    mt = mte_node_type(mas.node)
    mas.node = mt_mk_node(new_node, mt)
    left = mte_to_node(l_mas.node)
    new = k.new_words()
    new_left = k.mas_pop_node(mas)
    mem.set_parent(new_left, mem.parent(left))
    mem.load_slots(new, 0, left, mt, 0, split)
    mem.store_slots(new_left, mt, 0, new, 0, split)
    mem.load_pivots(new, 0, left, 0, split)
    mem.store_pivots(new_left, 0, new, 0, split)
    mem.set_meta(new_left, mt, 0, split)
    l_mas.node = mt_mk_node(new_left, mt)

    offset = k.mte_parent_slot(mas.node)
    mt = k.mas_parent_type(l_mas, l_mas.node)
    parent = k.mas_pop_node(mas)
    mem.copy_node(parent, mte_to_node(old_parent))
    mem.set_slot(parent, mt, offset, mas.node)
    mem.set_slot(parent, mt, offset - 1, l_mas.node)
    mem.set_pivot(parent, offset - 1, l_mas.max)
    return mt_mk_node(parent, mt)
