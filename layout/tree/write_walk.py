"""Walking to where a range is to be written, and writing one that spans nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layout.memory.pointers import DENSE, ma_is_leaf, mte_node_type, mte_to_node
from layout.tree.state import MaState, SubtreeState, WrState
from layout.tree.walk import MAX_DESCENT

if TYPE_CHECKING:
    from layout.tree.kernel import Kernel


def mas_is_span_wr(k: Kernel, wr: WrState) -> bool:
    """Whether the write leaves the slot's range, or would leave a NULL at a node's end."""
    limit = wr.r_max
    last = wr.mas.last
    if last < limit:
        return False
    if ma_is_leaf(wr.mt):
        limit = wr.mas.max
        if last < limit:
            return False
    # a leaf may end in a NULL only where the tree ends
    return not (last == limit and (wr.entry or last == k.ulong_max))


def mas_wr_node_walk(k: Kernel, wr: WrState) -> None:
    """Find the slot of the state's index in its node, and that slot's range."""
    mem = k.mem
    mas = wr.mas
    mt = wr.mt
    if mt == DENSE:  # what a node of a broken tree may be taken for
        wr.r_max = wr.r_min = mas.index
        mas.index = mas.min
        mas.offset = mas.min & 0xFF
        return
    node = mte_to_node(mas.node)
    wr.node = node
    count = k.ma_data_end(node, mt, mas.max)
    mas.end = count
    offset = mas.offset
    pivots = mem.pivots(node, mt, count)
    while offset < count and mas.index > pivots[offset]:
        offset += 1
    wr.r_max = pivots[offset] if offset < count else mas.max
    wr.r_min = mem.pivot(node, offset - 1) + 1 & k.ulong_max if offset else mas.min
    wr.offset_end = mas.offset = offset


def mas_wr_walk_descend(k: Kernel, wr: WrState) -> None:
    """Find the index in the state's node."""
    wr.mt = mte_node_type(wr.mas.node)
    k.mas_wr_node_walk(wr)


def mas_wr_walk_traverse(k: Kernel, wr: WrState) -> None:
    """Enter the child that was found."""
    mas = wr.mas
    mas.max = wr.r_max
    mas.min = wr.r_min
    mas.node = wr.content
    mas.offset = 0
    mas.depth = mas.depth + 1 & 0xFF


def mas_wr_walk(k: Kernel, wr: WrState) -> bool:
    """Walk down to the leaf to be written; false if the write spans nodes."""
    mas = wr.mas
    for _ in range(MAX_DESCENT):
        k.mas_wr_walk_descend(wr)
        if k.mas_is_span_wr(wr):
            return False
        wr.content = k.mem.slot(wr.node, wr.mt, mas.offset)
        if ma_is_leaf(wr.mt):
            return True
        k.mas_wr_walk_traverse(wr)
    k.livelock("mas_wr_walk: the tree has a cycle", mte_to_node(mas.node))


def mas_wr_walk_index(k: Kernel, wr: WrState) -> None:
    """Walk down to the leaf that holds the state's index."""
    mas = wr.mas
    for _ in range(MAX_DESCENT):
        k.mas_wr_walk_descend(wr)
        wr.content = k.mem.slot(wr.node, wr.mt, mas.offset)
        if ma_is_leaf(wr.mt):
            return
        k.mas_wr_walk_traverse(wr)
    k.livelock("mas_wr_walk_index: the tree has a cycle", mte_to_node(mas.node))


# -- spanning stores


def mas_extend_spanning_null(k: Kernel, left: WrState, right: WrState) -> None:
    """Widen a NULL written over several nodes by the NULLs next to it."""
    mem = k.mem
    l_mas = left.mas
    r_mas = right.mas
    slot = l_mas.offset
    if not left.content:
        l_mas.index = left.r_min
    if l_mas.index == left.r_min and slot and not mem.slot(left.node, left.mt, slot - 1):
        l_mas.index = l_mas.min
        if slot > 1:
            l_mas.index = mem.pivot(left.node, slot - 2) + 1 & k.ulong_max
        l_mas.offset = slot - 1
    if not right.content:
        r_mas.last = max(r_mas.last, right.r_max)
        r_mas.offset += 1
    elif (
        r_mas.last == right.r_max
        and r_mas.last < r_mas.max
        and not mem.slot(right.node, right.mt, r_mas.offset + 1)
    ):
        # unreachable: the right side was walked to one index beyond last
        k.bug("mas_extend_spanning_null", mte_to_node(r_mas.node))


def mas_wr_spanning_store(k: Kernel, wr: WrState) -> None:
    """Write a range that spans nodes: new nodes replace both sides and all in between."""
    mas = wr.mas
    top = k.ulong_max
    if not mas.index and mas.last == top:
        k.mas_new_root(mas, wr.entry)
        return
    height = k.mas_mt_height(mas)

    # the right side: the slot after the write, so that NULLs and neighbours are seen
    r_mas = mas.copy()
    if r_mas.last != top:
        r_mas.last += 1
    r_mas.index = r_mas.last
    right = WrState(r_mas, wr.entry)
    k.mas_wr_walk_index(right)
    r_mas.last = r_mas.index = mas.last

    l_mas = mas.copy()
    left = WrState(l_mas, wr.entry)
    k.mas_wr_walk_index(left)

    if not wr.entry:
        k.mas_extend_spanning_null(left, right)
        mas.offset = l_mas.offset
        mas.index = l_mas.index
        mas.last = l_mas.last = r_mas.last
    if not l_mas.index and r_mas.last == top:
        mas.reset()
        k.tests += 1
        mas.index = 0
        mas.last = top
        k.mas_new_root(mas, wr.entry)
        return

    bn = k.new_big_node()
    k.mas_store_b_node(left, bn, l_mas.end)
    if k.seam_right_leaf_stays(r_mas):
        k.mas_mab_cp(r_mas, r_mas.offset, r_mas.end, bn, bn.b_end + 1)
    else:
        bn.b_end += 1
    l_mas.index = l_mas.last = mas.index
    mast = SubtreeState(l_mas, r_mas, bn, l_mas, l_mas, r_mas)
    k.mas_spanning_rebalance(mas, mast, height + 1)


def seam_right_leaf_stays(k: Kernel, r_mas: MaState) -> bool:
    """Whether a spanning store leaves data at the end of its right leaf."""
    return r_mas.max > r_mas.last
