"""The stores that need new nodes: split, rebalance, spanning; each level by level, upwards."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layout.memory.pointers import mte_to_node
from layout.tree.state import MaState, WrState
from layout.tree.walk import MAX_DESCENT

if TYPE_CHECKING:
    from layout.tree.v7_2.kernel import Kernel72
    from layout.tree.v7_2.state import MapleCopy


def _to_parent(k: Kernel72, parent: MaState) -> None:
    """Take the state of the parent one level up, unless it is at the root."""
    if not k.mte_is_root(parent.node):
        k.mas_ascend(parent)
        parent.end = k.mas_data_end(parent)


# -- split


def split_data(k: Kernel72, cp: MapleCopy, wr: WrState, sib: MaState, parent: MaState) -> None:
    """Count the data; what is too much for one node goes to a sibling if that has room."""
    k.cp_data_calc(cp, wr, wr)
    if cp.data <= k.mt_slots[wr.mt]:
        sib.end = 0
        return
    k.push_data_sib(cp, wr.mas, sib, parent)
    if sib.end:
        cp.data += sib.end + 1


def split_ascend(k: Kernel72, cp: MapleCopy, wr: WrState, sib: MaState, parent: MaState) -> bool:
    """Go up one level; false if that is not needed."""
    mas = wr.mas
    low = mas.min
    high = mas.max
    wr.offset_end = parent.offset
    if sib.end:
        if sib.max < mas.min:
            low = sib.min
            parent.offset -= 1
        else:
            high = sib.max
            wr.offset_end += 1
    return _ascend(k, cp, wr, sib, parent, low, high)


def _ascend(
    k: Kernel72,
    cp: MapleCopy,
    wr: WrState,
    sib: MaState,
    parent: MaState,
    low: int,
    high: int,
) -> bool:
    """The end of split_ascend() and of rebalance_ascend(): the new nodes cover [low, high]."""
    mas = wr.mas
    k.cp_dst_to_slots(cp, low, high, mas)
    if k.cp_is_new_root(cp, mas) or k.cp_converged(cp, mas, sib):
        return False
    cp.height += 1
    k.copy_tree_location(parent, mas)
    k.wr_mas_setup(wr, mas)
    return True


def mas_wr_split(k: Kernel72, wr: WrState) -> None:
    """Store into a leaf that has too little room."""
    k.splits += 1
    mas = wr.mas
    parent = mas.copy()
    sib = mas.copy()
    cp = k.new_copy()
    k.cp_leaf_init(cp, mas, wr, wr)
    for _ in range(MAX_DESCENT):
        _to_parent(k, parent)
        k.split_data(cp, wr, sib, parent)
        k.multi_src_setup(cp, wr, wr, sib)
        k.dst_setup(cp, mas, wr.mt)
        k.cp_data_write(cp, mas)
        if not k.split_ascend(cp, wr, sib, parent):
            k.mas_wmb_replace(mas, cp)
            return
    k.livelock("mas_wr_split: the parents form a cycle", mte_to_node(mas.node))


# -- rebalance


def rebalance_sib(k: Kernel72, parent: MaState, sib: MaState) -> None:
    """Go to the right sibling if there is one, else to the left."""
    sib.assign(parent)
    if sib.offset < sib.end:
        sib.offset += 1
    else:
        sib.offset = sib.offset - 1 & 0xFF
    k.mas_descend(sib)
    sib.end = k.mas_data_end(sib)


def rebalance_data(k: Kernel72, cp: MapleCopy, wr: WrState, sib: MaState, parent: MaState) -> None:
    """Count the data; too much or too little for one node takes a sibling in."""
    mas = wr.mas
    k.cp_data_calc(cp, wr, wr)
    sib.end = 0
    if cp.data > k.mt_slots[wr.mt]:
        k.push_data_sib(cp, mas, sib, parent)
        if not sib.end:
            return
    elif cp.data <= k.mt_min_slots[wr.mt] and (mas.min or mas.max != k.ulong_max):
        k.rebalance_sib(parent, sib)
    else:
        return
    cp.data += sib.end + 1


def rebalance_ascend(
    k: Kernel72, cp: MapleCopy, wr: WrState, sib: MaState, parent: MaState
) -> bool:
    """Go up one level; false if that is not needed."""
    mas = wr.mas
    low = mas.min
    high = mas.max
    if sib.end:
        if sib.min > mas.max:
            high = sib.max
            wr.offset_end = parent.offset + 1
        else:
            low = sib.min
            wr.offset_end = parent.offset
            parent.offset -= 1
    return _ascend(k, cp, wr, sib, parent, low, high)


def mas_wr_rebalance(k: Kernel72, wr: WrState) -> None:
    """Store into a leaf that keeps too little data, together with a sibling's."""
    mas = wr.mas
    parent = mas.copy()
    sib = mas.copy()
    cp = k.new_copy()
    k.cp_leaf_init(cp, mas, wr, wr)
    for _ in range(MAX_DESCENT):
        _to_parent(k, parent)
        k.rebalance_data(cp, wr, sib, parent)
        k.multi_src_setup(cp, wr, wr, sib)
        k.dst_setup(cp, mas, wr.mt)
        k.cp_data_write(cp, mas)
        if not k.rebalance_ascend(cp, wr, sib, parent):
            k.mas_wmb_replace(mas, cp)
            return
    k.livelock("mas_wr_rebalance: the parents form a cycle", mte_to_node(mas.node))


# -- spanning stores


def mas_extend_spanning_null(k: Kernel72, left: WrState, right: WrState) -> None:
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
        left.r_min = l_mas.index
    if not right.content:
        r_mas.last = max(r_mas.last, right.r_max)
        r_mas.offset += 1


def spanning_sib(k: Kernel72, left: WrState, right: WrState, neighbour: MaState) -> None:
    """Find the nearest node at this level, right before left, ascending as far as needed."""
    l_mas = left.mas.copy()
    r_mas = right.mas.copy()
    for depth in range(1, MAX_DESCENT):
        k.mas_ascend(r_mas)
        k.mas_ascend(l_mas)
        if r_mas.offset < k.mas_data_end(r_mas):
            r_mas.offset += 1
            for _level in range(depth):
                k.mas_descend(r_mas)
                r_mas.offset = 0
            r_mas.end = k.mas_data_end(r_mas)
            neighbour.assign(r_mas)
            return
        if l_mas.offset:
            l_mas.offset -= 1
            for _level in range(depth):
                k.mas_descend(l_mas)
                l_mas.offset = k.mas_data_end(l_mas)
            l_mas.end = l_mas.offset
            neighbour.assign(l_mas)
            return
        if k.mte_is_root(r_mas.node):
            k.warn_on("spanning_sib: the root has no sibling")
            return
    k.livelock("spanning_sib: the parents form a cycle", mte_to_node(r_mas.node))


def spanning_data(k: Kernel72, cp: MapleCopy, left: WrState, right: WrState, sib: MaState) -> None:
    """Count the data; too little for one node takes a neighbour in.

    Where a broken tree has none, ``sib`` stays that of the level below.
    """
    k.cp_data_calc(cp, left, right)
    not_whole = left.mas.min != 0 or right.mas.max != k.ulong_max
    if not_whole and cp.data <= k.mt_min_slots[left.mt]:
        k.spanning_sib(left, right, sib)
        cp.data += sib.end + 1
    else:
        sib.end = 0


def spanning_ascend(
    k: Kernel72, cp: MapleCopy, mas: MaState, left: WrState, right: WrState, sib: MaState
) -> bool:
    """Take both sides one level up; false if that is not needed."""
    l_mas = left.mas
    r_mas = right.mas
    if sib.end:
        if sib.max < l_mas.min:
            l_mas.assign(sib)
        else:
            r_mas.assign(sib)
    k.cp_dst_to_slots(cp, l_mas.min, r_mas.max, mas)
    if k.cp_is_new_root(cp, mas):
        return False
    if cp.d_count == 1 and l_mas.node == r_mas.node:
        k.mem.set_parent(cp.dst_node[0], k.mem.parent(mte_to_node(mas.node)))
        return False
    cp.height += 1
    k.wr_mas_ascend(left)
    k.wr_mas_ascend(right)
    return True


def mas_wr_spanning_store(k: Kernel72, wr: WrState) -> None:
    """Write a range that spans nodes: new nodes replace both sides and all in between."""
    mas = wr.mas
    top = k.ulong_max
    if not mas.index and mas.last == top:
        k.mas_new_root(mas, wr.entry)
        return
    # the right side: the slot after the write, so that NULLs and neighbours are seen
    r_mas = mas.copy()
    if r_mas.last != top:
        r_mas.last += 1
    r_mas.index = r_mas.last
    right = WrState(r_mas, wr.entry)
    k.mas_wr_walk_index(right)
    r_mas.last = r_mas.index = mas.last
    right.end_piv = right.r_max
    k.mas_wr_walk_index(wr)
    if not wr.entry:
        k.mas_extend_spanning_null(wr, right)
        mas.last = r_mas.last
    if not mas.index and r_mas.last == top:
        mas.reset()
        k.tests += 1
        mas.index = 0
        mas.last = top
        k.mas_new_root(mas, wr.entry)
        return
    sib = mas.copy()
    sib.end = 0
    cp = k.new_copy()
    k.cp_leaf_init(cp, mas, wr, right)
    for _ in range(MAX_DESCENT):
        k.spanning_data(cp, wr, right, sib)
        k.multi_src_setup(cp, wr, right, sib)
        k.dst_setup(cp, mas, wr.mt)
        k.cp_data_write(cp, mas)
        if not k.spanning_ascend(cp, mas, wr, right, sib):
            k.mas_wmb_replace(mas, cp)
            return
    k.livelock("mas_wr_spanning_store: the parents form a cycle", mte_to_node(mas.node))
