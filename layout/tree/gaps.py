"""Keeping gaps: the largest gap of a node, and telling the parents when it changes.

Gaps are kept in arange_64 nodes; in a tree that does not track them nothing is done.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from layout.memory.pointers import (
    ARANGE_64,
    DENSE,
    ROOT_PARENT,
    Word,
    ma_is_leaf,
    mt_mk_node,
    mte_node_type,
    mte_to_node,
)
from layout.tree.walk import MAX_DESCENT

if TYPE_CHECKING:
    from layout.tree.kernel import Kernel
    from layout.tree.state import MaState


def mas_leaf_max_gap(k: Kernel, mas: MaState) -> Word:
    """The longest run of NULL indexes in the state's leaf."""
    return k.ma_leaf_max_gap(mte_to_node(mas.node), mte_node_type(mas.node), mas.min, mas.max)


def ma_leaf_max_gap(k: Kernel, node: Word, mt: int, low: Word, high: Word) -> Word:
    """The longest run of NULLs in a leaf that covers [low, high]; 6.12: mas_leaf_max_gap()."""
    mem = k.mem
    top = k.ulong_max
    if mt == DENSE:
        return _dense_max_gap(k, node)
    mem.check_pivots(node, mt)
    largest = 0
    i = 1
    if not mem.slot(node, mt, 0):
        largest = mem.pivot(node, 0) - low + 1 & top
        i = 2
    last = k.ma_data_end(node, mt, high) - 1 & 0xFF
    # only the rightmost leaf may end in a gap, whose pivot is implied
    if high == top and not mem.slot(node, mt, last + 1):
        pivot = mem.pivot(node, last)
        largest = max(largest, top - pivot)
        if largest > (pivot - low & top):
            return largest
    if last == 0xFF:
        k.livelock("mas_leaf_max_gap: its unsigned char never exceeds 255", node)
    while i <= last:
        if not mem.slot(node, mt, i):
            gap = mem.pivot(node, i) - mem.pivot(node, i - 1) & top
            largest = max(largest, gap)
            i += 1  # two gaps never meet
        i += 1
    return largest


def _dense_max_gap(k: Kernel, node: Word) -> Word:
    """The same of a dense leaf, which a broken tree may have: each slot is an index."""
    largest = gap = 0
    for i in range(k.mt_slots[DENSE]):
        gap = 0 if k.mem.slot(node, DENSE, i) else gap + 1
        largest = max(largest, gap)
    return largest


def ma_max_gap(k: Kernel, node: Word, mt: int) -> tuple[Word, int]:
    """The largest gap that the node records, and its offset; the highest offset wins ties."""
    offset = i = k.mem.meta_end(node, mt)
    largest = 0
    while i >= 0:
        gap = k.mem.gap(node, i)
        if gap > largest:
            largest = gap
            offset = i
        i -= 1
    return largest, offset


def mas_max_gap(k: Kernel, mas: MaState) -> Word:
    """The largest gap in or below the state's node."""
    mt = mte_node_type(mas.node)
    if ma_is_leaf(mt):
        return k.mas_leaf_max_gap(mas)
    k.tests += 1
    node = mte_to_node(mas.node)
    if mt != ARANGE_64:
        k.bug("mas_max_gap: the node tracks no gaps", node)
    return k.mem.gap(node, k.mem.meta_gap(node))


def mas_parent_gap(k: Kernel, mas: MaState, offset: int, new: Word) -> None:
    """Set gap ``offset`` of the parent to ``new``, and those above that change with it."""
    mem = k.mem
    enode = mas.node
    for _ in range(MAX_DESCENT):
        parent = k.mte_parent(enode)
        mt = k.mas_parent_type(mas, enode)
        k.tests += 1
        if mt != ARANGE_64:
            k.bug("mas_parent_gap: the parent tracks no gaps", parent)
        largest_at = mem.meta_gap(parent)
        largest = mem.gap(parent, largest_at)
        mem.set_gap(parent, offset, new)
        if largest == new:
            return
        if offset != largest_at:
            if largest > new:
                return
            mem.set_meta_gap(parent, mt, offset)
        elif new < largest:
            new, largest_at = k.ma_max_gap(parent, mt)
            mem.set_meta_gap(parent, mt, largest_at)
        if mem.parent(parent) & ROOT_PARENT:
            return
        enode = mt_mk_node(parent, mt)
        offset = k.mte_parent_slot(enode)
    k.livelock("mas_parent_gap: the parents form a cycle", mte_to_node(mas.node))


def mas_update_gap(k: Kernel, mas: MaState) -> None:
    """After a change in the state's node, bring its gap in the parent up to date."""
    if not k.mt_is_alloc(mas.tree):
        return
    if k.mte_is_root(mas.node):
        return
    largest = k.mas_max_gap(mas)
    slot = k.mte_parent_slot(mas.node)
    if k.mem.gap(k.mte_parent(mas.node), slot) != largest:
        k.mas_parent_gap(mas, slot, largest)
