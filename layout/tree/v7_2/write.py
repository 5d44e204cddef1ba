"""Writing through a state: the nodes that a write needs, and the way to store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layout.memory.node import PIVOT
from layout.memory.pointers import (
    DENSE,
    Word,
    ma_is_leaf,
    mt_mk_node,
    mte_to_node,
    xa_is_internal,
)
from layout.memory.slab import GFP_KERNEL, GFP_NOWAIT
from layout.tree.state import (
    MA_ERROR,
    MA_STATE_PREALLOC,
    WR_APPEND,
    WR_EXACT_FIT,
    WR_INVALID,
    WR_NEW_ROOT,
    WR_NODE_STORE,
    WR_REBALANCE,
    WR_SLOT_STORE,
    WR_SPANNING_STORE,
    WR_SPLIT_STORE,
    WR_STORE_ROOT,
    MaState,
    WrState,
)
from layout.tree.walk import MAX_DESCENT

if TYPE_CHECKING:
    from layout.tree.v7_2.kernel import Kernel72


def mas_wr_walk(k: Kernel72, wr: WrState) -> bool:
    """Walk down to the leaf to be written; false if the write spans nodes.

    Notes the deepest node on the way that has room, and that has more than it needs.
    """
    mas = wr.mas
    for _ in range(MAX_DESCENT):
        k.mas_wr_walk_descend(wr)
        if k.mas_is_span_wr(wr):
            return False
        wr.content = k.mem.slot(wr.node, wr.mt, mas.offset)
        if ma_is_leaf(wr.mt):
            return True
        level = mas.depth + 1 & 0xFF
        if mas.end < k.mt_slots[wr.mt] - 1:
            wr.vacant_height = level
        if k.ma_is_root(mte_to_node(mas.node)):
            if mas.end > 2:
                wr.sufficient_height = 1
        elif mas.end > k.mt_min_slots[wr.mt] + 1:
            wr.sufficient_height = level
        k.mas_wr_walk_traverse(wr)
    k.livelock("mas_wr_walk: the tree has a cycle", mte_to_node(mas.node))


def mas_prealloc_calc(k: Kernel72, wr: WrState, entry: Word) -> None:
    """Ask for the nodes that the store type needs: those of the levels that change."""
    mas = wr.mas
    store_type = mas.store_type
    height = k.mas_mt_height(mas)
    levels = height - wr.vacant_height & 0xFF
    shrinking = levels
    if wr.sufficient_height < wr.vacant_height:
        shrinking = height - wr.sufficient_height
    request = height * 3 + 1
    if store_type in (WR_APPEND, WR_EXACT_FIT, WR_SLOT_STORE):
        request = 0
    elif store_type == WR_NODE_STORE:
        request = 1 if k.mt_in_rcu(mas.tree) else 0
    elif store_type == WR_STORE_ROOT:
        request = 1 if mas.last or mas.index or xa_is_internal(entry) else 0
    elif store_type == WR_NEW_ROOT:
        request = 1
    elif store_type == WR_SPANNING_STORE:
        request = shrinking * 3 + 1
    elif store_type == WR_SPLIT_STORE:
        request = levels * 2 + 1
    elif store_type == WR_REBALANCE:
        request = shrinking * 2 + 1
    elif store_type == WR_INVALID:
        k.warn_on("mas_prealloc_calc: the store has no type")
    mas.node_request = request


def mas_wr_preallocate(k: Kernel72, wr: WrState, entry: Word) -> None:
    """Choose the store type and get its nodes without blocking; may set -ENOMEM."""
    mas = wr.mas
    k.mas_wr_prealloc_setup(wr)
    k.mas_wr_store_type(wr)
    k.mas_prealloc_calc(wr, entry)
    k.mas_alloc_nodes(mas, GFP_NOWAIT)


def mas_preallocate(k: Kernel72, mas: MaState, entry: Word, gfp: int = GFP_KERNEL) -> int:
    """Get all nodes that storing ``entry`` will need. Returns 0 or -ENOMEM."""
    wr = WrState(mas, entry)
    k.mas_wr_prealloc_setup(wr)
    k.mas_wr_store_type(wr)
    k.mas_prealloc_calc(wr, entry)
    if mas.node_request:
        mas.mas_flags &= ~MA_STATE_PREALLOC
        k.mas_alloc_nodes(mas, gfp)
        if mas.status == MA_ERROR:
            err = k.xa_err(mas.node)
            mas.node_request = 0
            k.mas_destroy(mas)
            mas.reset()
            return err
    mas.mas_flags |= MA_STATE_PREALLOC
    return 0


def mas_store(k: Kernel72, mas: MaState, entry: Word) -> Word:
    """Store over the state's index and last; returns what was at the index. May set -ENOMEM."""
    wr = WrState(mas, entry)
    k.tests += 1
    if mas.index > mas.last:
        k.seam_store_backwards(mas, entry)
        return 0
    k.mas_wr_prealloc_setup(wr)
    k.mas_wr_store_type(wr)
    if mas.mas_flags & MA_STATE_PREALLOC:
        k.mas_wr_store_entry(wr)
        k.tests += 1
        if mas.status == MA_ERROR:
            k.bug("mas_store: an error in a preallocated store", mas.tree)
        return wr.content
    k.mas_prealloc_calc(wr, entry)
    if mas.node_request:
        k.mas_alloc_nodes(mas, GFP_NOWAIT)
        if mas.status == MA_ERROR:
            return 0
    k.mas_wr_store_entry(wr)
    k.mas_destroy(mas)
    return wr.content


def mas_wr_store_entry(k: Kernel72, wr: WrState) -> None:
    """Store in the way that was chosen."""
    mas = wr.mas
    store_type = mas.store_type
    if store_type == WR_NODE_STORE:
        k.mas_wr_node_store(wr)
    elif store_type == WR_APPEND:
        k.mas_wr_append(wr, k.mas_wr_new_end(wr))
    elif store_type == WR_SLOT_STORE:
        k.mas_wr_slot_store(wr)
    elif store_type == WR_EXACT_FIT:
        k.mas_wr_exact_fit(wr)
    elif store_type == WR_SPANNING_STORE:
        k.mas_wr_spanning_store(wr)
    elif store_type == WR_SPLIT_STORE:
        k.mas_wr_split(wr)
    elif store_type == WR_REBALANCE:
        k.mas_wr_rebalance(wr)
    elif store_type == WR_STORE_ROOT:
        k.mas_store_root(mas, wr.entry)
    elif store_type == WR_NEW_ROOT:
        k.mas_new_root(mas, wr.entry)
    elif store_type == WR_INVALID:
        k.tests += 1
        k.bug("mas_wr_store_entry: no store type was chosen", mas.tree)


def mas_wr_node_store(k: Kernel72, wr: WrState) -> None:
    """Build the leaf anew, in a new node if readers may be in the old one."""
    mem = k.mem
    mas = wr.mas
    mt = wr.mt
    pivots = k.mt_pivots[mt]
    slot0 = k.slot0[mt]
    offset = mas.offset
    offset_end = wr.offset_end
    in_rcu = k.mt_in_rcu(mas.tree)
    new_end = mas.end + 1 - offset_end + offset
    if mas.last == wr.end_piv:
        offset_end += 1
        new_end -= 1
    node = wr.node  # a dense leaf's parent: the walk did not come to the leaf
    target = k.mas_pop_node(mas) if in_rcu else node
    new = k.new_words()  # a struct maple_node on the stack
    new[0] = mem.parent(mte_to_node(mas.node))
    if mt == DENSE and (offset or wr.r_min < mas.index or offset_end < mas.end):
        mem.check_pivots(target, mt)  # a pivot would be written to NULL
    mem.load_pivots(new, PIVOT, node, 0, offset)
    mem.load_slots(new, slot0, node, mt, 0, offset)
    if wr.r_min < mas.index:
        new[slot0 + offset] = wr.content
        new[PIVOT + offset] = mas.index - 1
        offset += 1
        mas.offset = offset
        new_end += 1
    new_end &= 0xFF
    if offset < pivots:
        new[PIVOT + offset] = mas.last
    new[slot0 + offset] = wr.entry
    if offset_end <= mas.end:
        to = offset + 1
        count = mas.end - offset_end + 1
        mem.load_slots(new, slot0 + to, node, mt, offset_end, count)
        mem.load_pivots(new, PIVOT + to, node, offset_end, count - 1)
        if new_end < pivots:
            new[PIVOT + new_end] = mas.max
    mem.store_leaf(target, new, new_end)
    if in_rcu:
        old_enode = mas.node
        mas.node = mt_mk_node(target, mt)
        k.mas_replace_node(mas, old_enode, k.mas_mt_height(mas))
    k.mas_update_gap(mas)
    mas.end = new_end


def mas_wr_slot_store(k: Kernel72, wr: WrState) -> None:
    """Move one or two borders without changing the number of slots."""
    mem = k.mem
    mas = wr.mas
    mt = wr.mt
    node = wr.node
    offset = mas.offset
    gap = not k.seam_first_overwritten(wr) or not mem.slot(node, mt, offset + 1)
    if wr.offset_end - offset == 1:
        if mas.index == wr.r_min:
            mem.set_slot(node, mt, offset, wr.entry)
            mem.set_pivot(node, offset, mas.last)
        else:
            mem.set_slot(node, mt, offset + 1, wr.entry)
            mem.set_pivot(node, offset, mas.index - 1)
            mas.offset = offset + 1
    else:
        if k.mt_in_rcu(mas.tree):
            k.warn_on("mas_wr_slot_store: a slot is split in RCU mode")
        gap = gap or not mem.slot(node, mt, offset + 2)
        mem.set_slot(node, mt, offset + 1, wr.entry)
        mem.set_pivot(node, offset, mas.index - 1)
        mem.set_pivot(node, offset + 1, mas.last)
        mas.offset = offset + 1
    if not wr.entry or gap:
        k.mas_update_gap(mas)


def seam_first_overwritten(k: Kernel72, wr: WrState) -> Word:
    """The entry that a slot store overwrites first."""
    return k.mem.slot(wr.node, wr.mt, wr.mas.offset)
