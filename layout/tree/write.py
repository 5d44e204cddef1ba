"""Writing one range within a leaf: choosing how to store, and each way of storing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layout.memory.node import PIVOT
from layout.memory.pointers import DENSE, LEAF_64, mt_mk_node, mte_to_node
from layout.tree.state import (
    MA_NONE,
    MA_ROOT,
    MA_STATE_BULK,
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
    WrState,
)

if TYPE_CHECKING:
    from layout.tree.kernel import Kernel


def mas_wr_extend_null(k: Kernel, wr: WrState) -> None:
    """Widen a NULL by the NULLs next to it: two in a row are not allowed."""
    mem = k.mem
    mas = wr.mas
    node = wr.node
    mt = wr.mt
    if not mem.slot(node, mt, wr.offset_end):
        mas.last = wr.end_piv
    elif (
        mas.last == wr.end_piv
        and mas.end != wr.offset_end
        and not mem.slot(node, mt, wr.offset_end + 1)
    ):
        wr.offset_end += 1
        mas.last = mas.max if wr.offset_end == mas.end else mem.pivot(node, wr.offset_end)
        wr.end_piv = mas.last
    if not wr.content:
        mas.index = wr.r_min
    elif mas.index == wr.r_min and mas.offset and not mem.slot(node, mt, mas.offset - 1):
        mas.offset -= 1
        mas.index = k.mas_safe_min(mas, node, mas.offset)
        wr.r_min = mas.index
        wr.r_max = mem.pivot(node, mas.offset)


def mas_wr_end_piv(k: Kernel, wr: WrState) -> None:
    """Find the slot in which the write ends, and that slot's last index."""
    mem = k.mem
    mas = wr.mas
    offset = wr.offset_end
    if offset < mas.end:
        # the walk left a dense leaf alone: node and pivots are its parent's then, NULL for a root
        pivots = mem.pivots(wr.node, LEAF_64 if wr.node else DENSE, mas.end)
        while offset < mas.end and mas.last > pivots[offset]:
            offset += 1
        wr.offset_end = offset
    wr.end_piv = mem.pivot(wr.node, offset) if offset < mas.end else mas.max


def mas_wr_new_end(k: Kernel, wr: WrState) -> int:
    """The end of the data after the write."""
    mas = wr.mas
    new_end = mas.end + 2 - (wr.offset_end - mas.offset)
    if wr.r_min == mas.index:
        new_end -= 1
    if wr.end_piv == mas.last:
        new_end -= 1
    return new_end & 0xFF


def mas_wr_store_type(k: Kernel, wr: WrState) -> None:
    """Walk to the place of the write and choose the way to store."""
    mas = wr.mas
    if mas.status in (MA_NONE, MA_ROOT):
        mas.store_type = WR_STORE_ROOT
        return
    if not k.mas_wr_walk(wr):
        mas.store_type = WR_SPANNING_STORE
        return
    k.mas_wr_end_piv(wr)
    if not wr.entry:
        k.mas_wr_extend_null(wr)
    mas.store_type = k.seam_store_type_in_leaf(wr)


def seam_store_type_in_leaf(k: Kernel, wr: WrState) -> int:
    """The way to store within the leaf that was found."""
    mas = wr.mas
    mt = wr.mt
    new_end = k.mas_wr_new_end(wr)
    if wr.r_min == mas.index and wr.r_max == mas.last:
        return WR_EXACT_FIT
    if not mas.index and mas.last == k.ulong_max:
        return WR_NEW_ROOT
    if new_end < k.mt_min_slots[mt]:
        is_root = k.mte_is_root(mas.node)
        return WR_NODE_STORE if is_root or mas.mas_flags & MA_STATE_BULK else WR_REBALANCE
    if new_end >= k.mt_slots[mt]:
        return WR_SPLIT_STORE
    in_rcu = k.mt_in_rcu(mas.tree)
    if not in_rcu and mas.offset == mas.end:
        return WR_APPEND
    if new_end == mas.end and (not in_rcu or wr.offset_end - mas.offset == 1):
        return WR_SLOT_STORE
    return WR_NODE_STORE


def mas_wr_store_entry(k: Kernel, wr: WrState) -> None:
    """Store in the way that was chosen."""
    mas = wr.mas
    store_type = mas.store_type
    if store_type == WR_NODE_STORE:
        k.mas_wr_node_store(wr, k.mas_wr_new_end(wr))
    elif store_type == WR_APPEND:
        k.mas_wr_append(wr, k.mas_wr_new_end(wr))
    elif store_type == WR_SLOT_STORE:
        k.mas_wr_slot_store(wr)
    elif store_type == WR_EXACT_FIT:
        k.mas_wr_exact_fit(wr)
    elif store_type == WR_SPANNING_STORE:
        k.mas_wr_spanning_store(wr)
    elif store_type in (WR_SPLIT_STORE, WR_REBALANCE):
        k.mas_wr_bnode(wr)
    elif store_type == WR_STORE_ROOT:
        k.mas_store_root(mas, wr.entry)
    elif store_type == WR_NEW_ROOT:
        k.mas_new_root(mas, wr.entry)
    elif store_type == WR_INVALID:
        k.tests += 1
        k.bug("mas_wr_store_entry: no store type was chosen", mas.tree)


# -- stores within one node


def mas_wr_node_store(k: Kernel, wr: WrState, new_end: int) -> None:
    """Build the leaf anew, in a new node if readers may be in the old one."""
    mem = k.mem
    mas = wr.mas
    mt = wr.mt
    pivots = k.mt_pivots[mt]
    slot0 = k.slot0[mt]
    offset_end = wr.offset_end
    in_rcu = k.mt_in_rcu(mas.tree)
    if mas.last == wr.end_piv:
        offset_end += 1
    elif wr.r_max == k.ulong_max:
        k.mas_bulk_rebalance(mas, mas.end, mt)

    node = wr.node  # a dense leaf's parent: the walk did not come to the leaf
    target = k.mas_pop_node(mas) if in_rcu else node
    offset = mas.offset
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
        k.mas_replace_node(mas, old_enode)
    k.mas_update_gap(mas)
    mas.end = new_end


def mas_wr_slot_store(k: Kernel, wr: WrState) -> None:
    """Move one or two borders without changing the number of slots."""
    mem = k.mem
    mas = wr.mas
    mt = wr.mt
    node = wr.node
    offset = mas.offset
    gap = not mem.slot(node, mt, offset) or not mem.slot(node, mt, offset + 1)
    if wr.offset_end - offset == 1:
        if mas.index == wr.r_min:
            mem.set_slot(node, mt, offset, wr.entry)
            mem.set_pivot(node, offset, mas.last)
        else:
            mem.set_slot(node, mt, offset + 1, wr.entry)
            mem.set_pivot(node, offset, mas.index - 1)
            mas.offset = offset + 1
    elif not k.mt_in_rcu(mas.tree):
        gap = gap or not mem.slot(node, mt, offset + 2)
        mem.set_slot(node, mt, offset + 1, wr.entry)
        mem.set_pivot(node, offset, mas.index - 1)
        mem.set_pivot(node, offset + 1, mas.last)
        mas.offset = offset + 1
    else:
        return
    if not wr.entry or gap:
        k.mas_update_gap(mas)


def mas_wr_append(k: Kernel, wr: WrState, new_end: int) -> None:
    """Write behind the data of a leaf that no reader is in."""
    mem = k.mem
    mas = wr.mas
    mt = wr.mt
    node = wr.node
    end = mas.end
    if new_end < k.mt_pivots[mt]:
        mem.set_pivot(node, new_end, mem.pivot(node, end))
        mem.set_meta(node, mt, 0, new_end)
    if new_end == end + 1:
        if mas.last == wr.r_max:
            mem.set_slot(node, mt, new_end, wr.entry)
            mem.set_pivot(node, end, mas.index - 1)
            mas.offset = new_end
        else:
            mem.set_slot(node, mt, new_end, wr.content)
            mem.set_pivot(node, end, mas.last)
            mem.set_slot(node, mt, end, wr.entry)
    else:
        mem.set_slot(node, mt, new_end, wr.content)
        mem.set_pivot(node, end + 1, mas.last)
        mem.set_slot(node, mt, end + 1, wr.entry)
        mem.set_pivot(node, end, mas.index - 1)
        mas.offset = end + 1
    if not wr.content or not wr.entry:
        k.mas_update_gap(mas)
    mas.end = new_end


def mas_wr_exact_fit(k: Kernel, wr: WrState) -> None:
    """The wr_exact_fit of mas_wr_store_entry(): another entry for a range that stays."""
    mas = wr.mas
    k.mem.set_slot(wr.node, wr.mt, mas.offset, wr.entry)
    if (not wr.entry) != (not wr.content):
        k.mas_update_gap(mas)


def mas_wr_bnode(k: Kernel, wr: WrState) -> None:
    """Store through a big node: a split or a rebalance."""
    bn = k.new_big_node()
    k.mas_store_b_node(wr, bn, wr.offset_end)
    k.mas_commit_b_node(wr, bn)
