"""Walking the tree from its root: starting, descending, ascending, finding an index."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layout.memory.pointers import (
    ROOT_PARENT,
    Word,
    ma_is_leaf,
    mt_mk_node,
    mte_node_type,
    mte_safe_root,
    mte_to_node,
    xa_is_node,
    xa_is_zero,
)
from layout.tree.state import MA_ACTIVE, MA_NONE, MA_ROOT, MA_START, MaState

if TYPE_CHECKING:
    from layout.tree.kernel import Kernel

MAX_DESCENT = 64
"""More levels than any tree has: a longer walk down goes round in a cycle."""


def mas_start(k: Kernel, mas: MaState) -> Word:
    """Point a starting state at the root.

    The status becomes active (a node), none (empty) or root (a single entry, which is
    returned if the state's index is 0).
    """
    if mas.status != MA_START:
        return 0
    mas.min = 0
    mas.max = k.ulong_max
    mas.depth = 0
    root = k.mem.ma_root(mas.tree)
    if xa_is_node(root):
        mas.depth = 1
        mas.status = MA_ACTIVE
        mas.node = mte_safe_root(root)
        mas.offset = 0
        if k.ma_dead_node(mte_to_node(root)):
            k.livelock("mas_start: the root is a dead node", mte_to_node(root))
        return 0
    mas.node = 0
    mas.offset = k.node_slots
    if not root:
        mas.status = MA_NONE
        return 0
    mas.status = MA_ROOT
    return 0 if mas.index > 0 else root


def mas_descend(k: Kernel, mas: MaState) -> None:
    """Go down into the slot at the state's offset. Not safe for readers."""
    mem = k.mem
    mt = mte_node_type(mas.node)
    node = mte_to_node(mas.node)
    offset = mas.offset
    mem.check_pivots(node, mt)
    if offset:
        mas.min = mem.pivot(node, offset - 1) + 1 & k.ulong_max
    if offset < k.mt_pivots[mt]:
        mas.max = mem.pivot(node, offset)
    mas.node = mem.slot(node, mt, offset)


def mas_ascend(k: Kernel, mas: MaState) -> bool:
    """Go up one level and find that node's range; true if a dead node was met."""
    mem = k.mem
    top = k.ulong_max
    node = mte_to_node(mas.node)
    parent = mem.parent(node)
    if parent & ROOT_PARENT:
        mas.offset = 0
        return False
    if mte_to_node(parent) == node:
        return True
    mas.offset = k.seam_slot_of_parent_word(parent)
    mt = k.type_of_parent(mas.tree, parent)
    node = mte_to_node(parent)
    mas.node = mt_mk_node(node, mt)
    parent = mem.parent(node)
    if parent & ROOT_PARENT:
        mas.max = top
        mas.min = 0
        return False

    low = mas.min
    high = top
    set_low = mas.offset == 0
    if not set_low:
        low = 0
    set_high = mas.max == top
    for _ in range(MAX_DESCENT):
        slot = k.seam_slot_of_parent_word(parent)
        mt = k.type_of_parent(mas.tree, parent)
        node = mte_to_node(parent)
        mem.check_pivots(node, mt)
        if not set_low and slot:
            low = mem.pivot(node, slot - 1) + 1 & top
        if not set_high and slot < k.mt_pivots[mt]:
            high = mem.pivot(node, slot)
        parent = mem.parent(node)
        if mte_to_node(parent) == node:
            return True
        set_low = set_low or slot > 0
        set_high = set_high or slot < k.mt_pivots[mt]
        if parent & ROOT_PARENT or (set_low and set_high):
            mas.max = high
            mas.min = low
            return False
    k.livelock("mas_ascend: the parents form a cycle", node)


def mtree_range_walk(k: Kernel, mas: MaState) -> Word:
    """Walk down from the state's node to the leaf that holds its index.

    Sets index and last to the range found; returns the entry. On a dead node the state is
    reset and 0 returned.
    """
    mem = k.mem
    index = mas.index
    low = mas.min
    high = mas.max
    enode = mas.node
    for _ in range(MAX_DESCENT):
        last = enode
        mt = mte_node_type(enode)
        node = mte_to_node(enode)
        node_low = low
        node_high = high
        end = k.ma_data_end(node, mt, high)
        pivots = mem.pivots(node, mt, max(end, 1))
        offset = 0
        if pivots[0] >= index:
            high = pivots[0]
        else:
            offset = 1
            while offset < end:
                if pivots[offset] >= index:
                    high = pivots[offset]
                    break
                offset += 1
            low = pivots[offset - 1] + 1 & k.ulong_max
        enode = mem.slot(node, mt, offset)
        if k.ma_dead_node(node):
            mas.reset()
            return 0
        if ma_is_leaf(mt):
            mas.end = end
            mas.offset = offset
            mas.index = low
            mas.last = high
            mas.min = node_low
            mas.max = node_high
            mas.node = last
            return enode
    k.livelock("mtree_range_walk: the tree has a cycle", mte_to_node(mas.node))


def mtree_lookup_walk(k: Kernel, mas: MaState) -> Word:
    """The entry at the state's index, without keeping the state up to date."""
    mem = k.mem
    index = mas.index
    enode = mas.node
    for _ in range(MAX_DESCENT):
        mt = mte_node_type(enode)
        node = mte_to_node(enode)
        end = k.mt_pivots[mt]
        pivots = mem.pivots(node, mt, end)
        offset = 0
        while pivots[offset] < index:
            offset += 1
            if offset >= end:
                break
        enode = mem.slot(node, mt, offset)
        if k.ma_dead_node(node):
            mas.reset()
            return 0
        if ma_is_leaf(mt):
            return enode
    k.livelock("mtree_lookup_walk: the tree has a cycle", mte_to_node(mas.node))


def mas_state_walk(k: Kernel, mas: MaState) -> Word:
    """Start and walk to the state's index."""
    entry = k.mas_start(mas)
    if mas.status == MA_NONE:
        return 0
    if mas.status == MA_ROOT:
        return entry
    return k.mtree_range_walk(mas)


def mas_walk(k: Kernel, mas: MaState) -> Word:
    """Find the entry at the state's index; index and last become its range.

    6.12 starts at the root whatever the state's status is.
    """
    mas.status = MA_START
    entry = k.mas_state_walk(mas)
    if mas.status == MA_START:
        k.livelock("mas_walk: a dead node is reachable", mas.tree)
    if mas.status == MA_NONE:
        mas.index = 0
        mas.last = k.ulong_max
    elif mas.status == MA_ROOT:
        if not mas.index:
            mas.last = 0
            return entry
        mas.index = 1
        mas.last = k.ulong_max
        mas.status = MA_NONE
        return 0
    return entry


def mas_rewalk(k: Kernel, mas: MaState, index: Word) -> None:
    """Walk to ``index`` anew, after a dead node was met."""
    k.mas_set(mas, index)
    k.mas_state_walk(mas)
    if mas.status == MA_START:
        k.livelock("mas_rewalk: a dead node is reachable", mas.tree)


def mtree_load(k: Kernel, tree: Word, index: Word) -> Word:
    """The entry at ``index``; XA_ZERO_ENTRY counts as none."""
    mas = k.new_state(tree, index)
    entry = k.mas_start(mas)
    if mas.status == MA_NONE:
        return 0
    if mas.status == MA_ROOT:
        return 0 if index else entry
    entry = k.mtree_lookup_walk(mas)
    if mas.status == MA_START:
        k.livelock("mtree_load: a dead node is reachable", tree)
    return 0 if xa_is_zero(entry) else entry
