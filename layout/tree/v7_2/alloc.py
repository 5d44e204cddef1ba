"""Nodes a state holds in reserve: one bare node, or a sheaf of several; and freeing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layout.memory.node import NODE_SIZE
from layout.memory.pointers import Word, mte_to_node
from layout.tree.alloc import RCU_FREE_NODE
from layout.tree.state import ENOMEM, MA_NONE, MA_START, MA_STATE_PREALLOC, MaState

if TYPE_CHECKING:
    from layout.tree.v7_2.kernel import Kernel72


def mas_allocated(k: Kernel72, mas: MaState) -> Word:
    """How many nodes the state holds. For tools: this kernel has no such function."""
    return (1 if mas.alloc else 0) + (k.cache.sheaf_size(mas.sheaf) if mas.sheaf else 0)


def mas_pop_node(k: Kernel72, mas: MaState) -> Word:
    """Take a node, zeroed. A state without any is a kernel bug: warns and returns NULL."""
    node = mas.alloc
    if node:
        mas.alloc = 0
    else:
        if not mas.sheaf:
            k.warn_on("mas_pop_node: the state holds no node")
            return 0
        node = k.cache.alloc_from_sheaf(mas.sheaf)
    k.mem.zero(node, NODE_SIZE)
    return node


def mas_alloc_nodes(k: Kernel72, mas: MaState, gfp: int) -> None:
    """Ask the node cache for what the state wants; sets -ENOMEM if it refuses."""
    wanted = mas.node_request
    if not wanted:
        return
    if wanted == 1 and not mas.sheaf:
        if mas.alloc:
            return
        mas.alloc = k.cache.alloc_one(gfp)
        if mas.alloc:
            mas.node_request = 0
        else:
            k.mas_set_err(mas, ENOMEM)
        return
    if mas.alloc:
        k.cache.free(mas.alloc)
        mas.alloc = 0
    if mas.sheaf:
        refilled = k.cache.refill_sheaf(gfp, mas.sheaf, wanted)
        if not refilled:
            k.mas_set_err(mas, ENOMEM)
            return
        mas.sheaf = refilled
    else:
        mas.sheaf = k.cache.prefill_sheaf(gfp, wanted)
        if not mas.sheaf:
            k.mas_set_err(mas, ENOMEM)
            return
    mas.node_request = 0


def mas_empty_nodes(k: Kernel72, mas: MaState) -> None:
    """Give back all nodes in reserve."""
    mas.node_request = 0
    if mas.sheaf:
        k.cache.return_sheaf(mas.sheaf)
        mas.sheaf = 0
    if mas.alloc:
        k.cache.free(mas.alloc)
        mas.alloc = 0


def mas_destroy(k: Kernel72, mas: MaState) -> None:
    """End the use of a state: give back its nodes."""
    mas.mas_flags &= ~MA_STATE_PREALLOC
    k.mas_empty_nodes(mas)


def mas_nomem(k: Kernel72, mas: MaState, gfp: int) -> bool:
    """After -ENOMEM, ask once more with the caller's flags; true if it is worth a retry."""
    if mas.node != k.ma_error(ENOMEM):
        return False
    k.mas_alloc_nodes(mas, gfp)
    if not mas.sheaf and not mas.alloc:
        return False
    mas.status = MA_START
    return True


# -- freeing


def call_rcu(k: Kernel72, node: Word, func: int) -> None:
    """Queue a callback for after the grace period; kfree_rcu() leaves the node's bytes alone."""
    if func != RCU_FREE_NODE:
        k.mem.rcu_enqueue(node, func)
    k.rcu_queue.append((node, func))


def mas_free(k: Kernel72, mas: MaState, enode: Word) -> None:
    """Free a replaced node after the grace period, whatever the tree's mode."""
    k.ma_free_rcu(mte_to_node(enode))


def mas_topiary_node(k: Kernel72, mas: MaState, old: MaState, *, in_rcu: bool) -> None:
    """Dispose of one old node."""
    if old.status == MA_NONE:
        return
    k.mte_set_node_dead(old.node)
    k.ma_free_rcu(mte_to_node(old.node))
