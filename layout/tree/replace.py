"""Putting new nodes into the tree: single nodes and subtrees, parents mended, old ones freed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layout.memory.pointers import (
    ARANGE_64,
    PARENT_RANGE64,
    RANGE_64,
    ROOT_PARENT,
    Word,
    mte_is_leaf,
    mte_mk_root,
    mte_node_type,
    mte_to_node,
)
from layout.tree.peeks import is_own_kill, peeks
from layout.tree.state import MA_ACTIVE, MA_NONE, MaState, MaTopiary
from layout.tree.walk import MAX_DESCENT

if TYPE_CHECKING:
    from layout.tree.kernel import Kernel


def mas_adopt_children(k: Kernel, mas: MaState, parent: Word) -> None:
    """Make ``parent`` the parent of all nodes in its slots."""
    mem = k.mem
    mt = mte_node_type(parent)
    node = mte_to_node(parent)
    if mt not in (RANGE_64, ARANGE_64):
        k.bug(f"mas_adopt_children: parent of type {mt} in tree {mas.tree:x}", parent)
    end = k.ma_data_end(node, mt, mas.max)
    slots = mem.slots(node, mt, end + 1)
    for offset in range(end, -1, -1):
        mem.set_parent(mte_to_node(slots[offset]), node | offset << 3 | PARENT_RANGE64)
    k.tests += 2 * (end + 1)


def mas_put_in_tree(k: Kernel, mas: MaState, old_enode: Word) -> None:
    """Point the parent, or the tree, at the state's node; then mark the old one dead."""
    mem = k.mem
    node = mte_to_node(mas.node)
    if mem.parent(node) & ROOT_PARENT:
        mem.set_parent(node, mas.tree | ROOT_PARENT)
        mem.set_ma_root(mas.tree, mte_mk_root(mas.node))
        k.mas_set_height(mas)
    else:
        offset = k.mte_parent_slot(mas.node)
        mt = k.mas_parent_type(mas, mas.node)
        mem.set_slot(k.mte_parent(mas.node), mt, offset, mas.node)
    k.mte_set_node_dead(old_enode)


def mas_replace_node(k: Kernel, mas: MaState, old_enode: Word) -> None:
    """Put the state's node in place of the old one, which is freed."""
    k.mas_put_in_tree(mas, old_enode)
    k.mas_free(mas, old_enode)


def mas_find_child(k: Kernel, mas: MaState, child: MaState) -> bool:
    """Find the next child, from the state's offset on, whose parent word points back to the node.

    Sets ``child`` to it, and the offset behind it. False if there is none.
    """
    mem = k.mem
    mt = mte_node_type(mas.node)
    node = mte_to_node(mas.node)
    end = k.ma_data_end(node, mt, mas.max)
    slots = mem.slots(node, mt, end + 1)
    for offset in range(mas.offset, end + 1):
        enode = slots[offset]
        if mte_to_node(mem.parent(mte_to_node(enode))) == node:
            mas.offset = offset
            child.assign(mas)
            if offset:
                child.min = mem.pivot(node, offset - 1) + 1 & k.ulong_max
            if offset < k.mt_pivots[mt]:
                child.max = mem.pivot(node, offset)
            child.node = enode
            child.offset = 0
            mas.offset = offset + 1
            return True
    return False


def mas_node_or_none(k: Kernel, mas: MaState, enode: Word) -> None:
    """Point the state at a node, or at none."""
    mas.node = enode
    mas.status = MA_ACTIVE if enode else MA_NONE


def mas_topiary_node(k: Kernel, mas: MaState, old: MaState, *, in_rcu: bool) -> None:
    """Dispose of one old node."""
    if old.status == MA_NONE:
        return
    node = mte_to_node(old.node)
    k.mte_set_node_dead(old.node)
    if in_rcu:
        k.ma_free_rcu(node)
    else:
        k.mas_push_node(mas, node)


def mas_topiary_replace(k: Kernel, mas: MaState, old_enode: Word) -> None:
    """Put a new subtree in place of an old one and free what is not in use any more.

    At most three nodes of each level are new, and at most three old ones hold both nodes
    that stay and nodes that go.
    """
    k.mas_put_in_tree(mas, old_enode)
    k.mend_replaced(mas, old_enode)


@peeks(
    "dead node read untested",
    holds=is_own_kill,
    why="the writer goes through the subtree that it cut off",
)
def mend_replaced(k: Kernel, mas: MaState, old_enode: Word) -> None:
    """What mas_topiary_replace() does once the new subtree is in the tree."""
    _adopt_new(k, mas)
    if mte_is_leaf(old_enode):
        k.mas_free(mas, old_enode)
        return

    in_rcu = k.mt_in_rcu(mas.tree)
    dead = MaTopiary()
    states = [mas.copy(), mas.copy(), mas.copy(), mas.copy()]
    states[0].offset = 0
    states[0].node = old_enode
    states[1].status = MA_NONE
    states[2].status = MA_NONE
    found = [mas.copy(), mas.copy(), mas.copy(), mas.copy()]
    for _ in range(MAX_DESCENT):
        count = 0
        for i in range(3):
            if states[i].status == MA_NONE:
                continue
            while count < 3 and k.mas_find_child(states[i], found[count]):
                # what lies within the written range is dead
                child = found[count]
                if child.min >= found[0].index and child.max <= found[0].last:
                    k.mat_add(dead, child.node)
                else:
                    count += 1
        k.tests += 1
        if not count:
            k.report_childless(mas)
            break
        for i in range(3):
            k.mas_topiary_node(mas, states[i], in_rcu=in_rcu)
            if i >= count:
                found[i].status = MA_NONE
        states, found = found, states
        if mte_is_leaf(states[0].node):
            break
    else:
        k.livelock("mas_topiary_replace: the old subtree has a cycle", old_enode)
    for i in range(3):
        k.mas_topiary_node(mas, states[i], in_rcu=in_rcu)
    k.mas_mat_destroy(mas, dead)


def _adopt_new(k: Kernel, mas: MaState) -> None:
    """Mend the parent words below the new subtree's nodes."""
    states = [mas.copy(), mas.copy(), mas.copy(), mas.copy()]
    states[0].offset = 0
    states[1].status = MA_NONE
    states[2].status = MA_NONE
    found = [mas.copy(), mas.copy(), mas.copy(), mas.copy()]
    for _ in range(MAX_DESCENT):
        if mte_is_leaf(states[0].node):
            return
        count = 0
        for i in range(3):
            if states[i].status == MA_NONE:
                continue
            while count < 3 and k.mas_find_child(states[i], found[count]):
                count += 1
            k.mas_adopt_children(states[i], states[i].node)
        k.tests += 1
        if not count:
            k.report_childless(mas)
            return
        for i in range(count, 3):
            found[i].status = MA_NONE
        states, found = found, states
    k.livelock("mas_topiary_replace: the new subtree has a cycle", mte_to_node(mas.node))


def mas_wmb_replace(k: Kernel, mas: MaState, old_enode: Word) -> None:
    """Put a new subtree in place and bring the gaps above it up to date."""
    k.mas_topiary_replace(mas, old_enode)
    if not mte_is_leaf(mas.node):
        k.mas_update_gap(mas)
