"""Freeing trees and dead subtrees: the destroy walk, its RCU callback, the list of the dead."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layout.memory.pointers import (
    ARANGE_64,
    MT_FLAGS_HEIGHT_MASK,
    RANGE_64,
    Word,
    ma_is_leaf,
    mte_is_leaf,
    mte_node_type,
    mte_to_node,
    xa_is_node,
)
from layout.tree.alloc import RCU_FREE_NODE, RCU_FREE_WALK
from layout.tree.peeks import peeks
from layout.tree.walk import MAX_DESCENT

if TYPE_CHECKING:
    from layout.tree.kernel import Kernel
    from layout.tree.state import MaState, MaTopiary


def mte_dead_leaves(k: Kernel, enode: Word, node: Word) -> int:
    """Mark the leaves below ``node`` dead and leave bare addresses in its slots.

    Returns how many there are. A word that is no enode, such as metadata, ends the list.
    """
    mem = k.mem
    mt = mte_node_type(enode)
    for offset in range(k.mt_slots[mt]):
        leaf = k.seam_leaf_to_free(node, mt, offset)
        if not leaf:
            return offset
        k.mte_set_node_dead(leaf)
        mem.set_dead_type(mte_to_node(leaf), mte_node_type(leaf))
        mem.set_slot(node, mt, offset, mte_to_node(leaf))
    return k.mt_slots[mt]


@peeks(
    *("read past data end", "metadata read as slot"),
    why="neither an unused slot nor metadata has both an address and a type",
)
def seam_leaf_to_free(k: Kernel, node: Word, mt: int, offset: int) -> Word:
    """The leaf's enode in a slot; 0 behind the last one.

    Metadata there reads as type 0 on big-endian and as node 0 on little-endian machines.
    """
    entry = k.mem.slot(node, mt, offset)
    return entry if mte_to_node(entry) and mte_node_type(entry) else 0


def _slots_of(k: Kernel, node: Word, mt: int) -> Word:
    """The address of a node's slots."""
    return node + k.mem.slot_offset[mt]


def mte_destroy_descend(k: Kernel, enode: Word, prev: Word, offset: int) -> Word:
    """Go down to the node above the leaves, killing nodes on the way; returns its enode."""
    mem = k.mem
    child = enode
    child_offset = 0
    for _ in range(MAX_DESCENT):
        enode = child
        node = mte_to_node(enode)
        mt = mte_node_type(enode)
        child = mem.slot(node, mt, child_offset)
        if k.ma_dead_node(mte_to_node(child)):
            child_offset += 1
            child = mem.slot(node, mt, child_offset)
        k.mte_set_node_dead(enode)
        mem.set_dead_type(node, mt)
        mem.set_piv_parent(node, prev)
        mem.set_parent_slot(node, offset)
        offset = child_offset
        child_offset = 0
        prev = enode
        if mte_is_leaf(child):
            return enode
    k.livelock("mte_destroy_descend: the tree has a cycle", mte_to_node(enode))


@peeks("dead node read untested", why="nobody else is in a subtree that was cut off")
def mt_destroy_walk(k: Kernel, enode: Word, *, free: bool) -> None:
    """Kill a subtree; free its nodes now, or leave that to mt_free_walk()."""
    mem = k.mem
    node = mte_to_node(enode)
    start = enode
    if mte_is_leaf(enode):
        k.mte_set_node_dead(enode)
        mem.set_dead_type(node, mte_node_type(enode))
        _free_start(k, node, free=free)
        return
    enode = k.mte_destroy_descend(enode, start, 0)
    node = mte_to_node(enode)
    while True:
        _free_leaves(k, enode, node, free=free)
        offset = mem.parent_slot(node) + 1
        enode = mem.piv_parent(node)
        if mte_to_node(enode) == node:
            _free_start(k, node, free=free)
            return
        mt = mte_node_type(enode)
        if offset < k.mt_slots[mt]:
            child = k.seam_child_to_free(mte_to_node(enode), mt, offset)
            if child:
                enode = k.mte_destroy_descend(child, enode, offset)
        node = mte_to_node(enode)
        if enode == start:
            break
    _free_leaves(k, enode, node, free=free)
    _free_start(k, node, free=free)


@peeks(
    *("read past data end", "metadata read as slot"),
    why="neither an unused slot nor metadata has both an address and a type",
)
def seam_child_to_free(k: Kernel, node: Word, mt: int, offset: int) -> Word:
    """The enode in a slot of an upper node; 0 behind the last one, as for leaves."""
    entry = k.mem.slot(node, mt, offset)
    return entry if mte_node_type(entry) and mte_to_node(entry) else 0


def _free_leaves(k: Kernel, enode: Word, node: Word, *, free: bool) -> None:
    count = k.mte_dead_leaves(enode, node)
    k.mem.set_slot_len(node, count)
    if free:
        k.mt_free_bulk(count, _slots_of(k, node, mte_node_type(enode)))


def _free_start(k: Kernel, node: Word, *, free: bool) -> None:
    if free:
        k.cache.free(node)
    else:
        k.mt_clear_meta(node, k.mem.dead_type(node))


@peeks("read past data end", why="the last pivot is 0 where there is metadata")
@peeks("metadata read as slot", why="with an address and a type it is taken for a child")
def mt_clear_meta(k: Kernel, node: Word, mt: int) -> None:
    """Clear the metadata of a dead internal node, if that word is not its last child."""
    mem = k.mem
    if mt == RANGE_64:
        slots = k.mt_slots[mt]
        if mem.pivot(node, slots - 2):
            last = mem.slot(node, mt, slots - 1)
            if mte_to_node(last) and mte_node_type(last):
                return
    elif mt != ARANGE_64:
        return
    mem.set_meta(node, mt, 0, 0)


def mte_destroy_walk(k: Kernel, enode: Word, tree: Word) -> None:
    """Free a tree or subtree that is no longer reachable, after a grace period in RCU mode."""
    if k.mt_in_rcu(tree):
        k.mt_destroy_walk(enode, free=False)
        k.call_rcu(mte_to_node(enode), RCU_FREE_WALK)
    else:
        k.mt_destroy_walk(enode, free=True)


# -- after the grace period


def run_rcu(k: Kernel) -> int:
    """A grace period ends: mt_free_rcu() and mt_free_walk() run as queued; returns how many."""
    queue = k.rcu_queue
    done = 0
    while done < len(queue):
        node, func = queue[done]
        done += 1
        if func == RCU_FREE_NODE:
            k.cache.free(node)
        else:
            k.mt_free_walk(node)
    queue.clear()
    return done


def mte_dead_walk(k: Kernel, node: Word, offset: int) -> tuple[Word, Word]:
    """Go down a dead tree to the node above the leaves: that node, and its slots' address."""
    mem = k.mem
    child = node
    for _ in range(MAX_DESCENT):
        node = mte_to_node(child)
        slots = _slots_of(k, node, mem.dead_type(node))
        child = mem.read_word(slots + offset * mem.word_size, "slot of a dead node")
        offset = 0
        if ma_is_leaf(mem.dead_type(child)):
            return node, slots
    k.livelock("mte_dead_walk: the tree has a cycle", node)


@peeks("dead node read untested", why="its readers are gone after the grace period")
@peeks(
    *("read past data end", "metadata read as slot"),
    why="mt_clear_meta() zeroed the metadata: slots are 0 where no child is",
)
def mt_free_walk(k: Kernel, node: Word) -> None:
    """Free a subtree that mt_destroy_walk() prepared (RCU callback)."""
    mem = k.mem
    if ma_is_leaf(mem.dead_type(node)):
        k.cache.free(node)
        return
    start = node
    node, slots = k.mte_dead_walk(node, 0)
    while True:
        k.mt_free_bulk(mem.slot_len(node), slots)
        offset = mem.parent_slot(node) + 1
        enode = mem.piv_parent(node)
        parent = mte_to_node(enode)
        if parent == node:
            k.cache.free(node)
            return
        mt = mte_node_type(enode)
        slots = _slots_of(k, parent, mt)
        node = parent
        if offset < k.mt_slots[mt] and mem.slot(parent, mt, offset):
            node, slots = k.mte_dead_walk(parent, offset)
        if node == start and mem.slot_len(node) >= offset:
            break
    slots = _slots_of(k, node, mem.dead_type(node))
    k.mt_free_bulk(mem.slot_len(node), slots)
    k.cache.free(node)


# -- the list of dead subtrees


def mat_add(k: Kernel, dead: MaTopiary, enode: Word) -> None:
    """Kill a subtree's top node and append it to the list."""
    mem = k.mem
    k.mte_set_node_dead(enode)
    mem.set_topiary_next(mte_to_node(enode), 0)
    if dead.tail:
        mem.set_topiary_next(mte_to_node(dead.tail), enode)
    else:
        dead.head = enode
    dead.tail = enode


@peeks("dead node read untested", why="the list links dead nodes")
def mas_mat_destroy(k: Kernel, mas: MaState, dead: MaTopiary) -> None:
    """Free every subtree of the list."""
    in_rcu = k.mt_in_rcu(mas.tree)
    enode = dead.head
    while enode:
        node = mte_to_node(enode)
        following = k.mem.topiary_next(node)
        k.mt_destroy_walk(enode, free=not in_rcu)
        if in_rcu:
            k.call_rcu(node, RCU_FREE_WALK)
        enode = following


def mt_destroy(k: Kernel, tree: Word) -> None:
    """__mt_destroy(): free all nodes of the tree and leave it empty."""
    root = k.mem.ma_root(tree)
    k.mem.set_ma_root(tree, 0)
    if xa_is_node(root):
        k.mte_destroy_walk(root, tree)
    k.mem.set_ma_flags(tree, k.mem.ma_flags(tree) & ~MT_FLAGS_HEIGHT_MASK)
