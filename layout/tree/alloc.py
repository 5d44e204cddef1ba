"""Nodes a state holds in reserve: the chain of struct maple_alloc inside nodes, and freeing.

``mas.alloc`` is 0, a request (count << 1 | 1), or the address of the head of the chain: a node
that holds up to alloc_slots further nodes, the first of which may hold more in turn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from layout.memory.pointers import Word, mte_to_node
from layout.memory.slab import GFP_NOWAIT
from layout.tree.state import ENOMEM, MA_START, MA_STATE_PREALLOC, MaState

if TYPE_CHECKING:
    from layout.tree.kernel import Kernel

RCU_FREE_NODE = 0xF1
"""What rcu_head.func holds for mt_free_rcu: free this node."""
RCU_FREE_WALK = 0xF2
"""What rcu_head.func holds for mt_free_walk: free the subtree below, then this node."""


def mas_allocated(k: Kernel, mas: MaState) -> Word:
    """How many nodes the state holds."""
    if not mas.alloc or mas.alloc & 1:
        return 0
    return k.mem.alloc_total(mas.alloc)


def mas_set_alloc_req(k: Kernel, mas: MaState, count: Word) -> None:
    """Note that ``count`` nodes are wanted."""
    if not mas.alloc or mas.alloc & 1:
        mas.alloc = (count << 1 | 1) & k.ulong_max if count else 0
        return
    k.mem.set_alloc_request(mas.alloc, count & 0xFFFFFFFF)


def mas_alloc_req(k: Kernel, mas: MaState) -> Word:
    """How many nodes are wanted."""
    if mas.alloc & 1:
        return mas.alloc >> 1 & 0xFFFFFFFF
    return k.mem.alloc_request(mas.alloc) if mas.alloc else 0


def mas_pop_node(k: Kernel, mas: MaState) -> Word:
    """Take a node, zeroed. A state without any is a kernel bug: warns and returns NULL."""
    mem = k.mem
    head = mas.alloc
    total = k.mas_allocated(mas)
    requested = k.mas_alloc_req(mas)
    if not total:
        k.warn_on("mas_pop_node: the state holds no node")
        return 0
    node = head
    count = mem.alloc_count(head) if total != 1 else 0
    if total == 1:
        mas.alloc = 0
    elif count == 1:
        mas.alloc = mem.alloc_slot(head, 0)
        mem.set_alloc_total(mas.alloc, mem.alloc_total(head) - 1 & k.ulong_max)
    else:
        mem.set_alloc_total(head, total - 1)
        count = count - 1 & 0xFF
        mem.set_alloc_count(head, count)
        node = mem.alloc_slot(head, count)
        mem.set_alloc_slot(head, count, 0)
    if requested:
        k.mas_set_alloc_req(mas, requested + 1)
    mem.zero(node, mem.alloc_size)
    return node


def mas_push_node(k: Kernel, mas: MaState, node: Word) -> None:
    """Give a node back to the state; its old bytes stay but for the two counts."""
    mem = k.mem
    head = mas.alloc
    requested = k.mas_alloc_req(mas)
    count = k.mas_allocated(mas)
    mem.set_alloc_request(node, 0)
    mem.set_alloc_count(node, 0)
    if count and mem.alloc_count(head) < k.alloc_slots:
        used = mem.alloc_count(head)
        mem.set_alloc_slot(head, used, node)
        mem.set_alloc_count(head, used + 1)
        mem.set_alloc_total(head, count + 1)
    else:
        mem.set_alloc_total(node, 1)
        if head and not head & 1:
            mem.set_alloc_slot(node, 0, head)
            mem.set_alloc_count(node, 1)
            mem.set_alloc_total(node, 1 + mem.alloc_total(head))
        mas.alloc = node
    if requested > 1:
        k.mas_set_alloc_req(mas, requested - 1)


def mas_alloc_nodes(k: Kernel, mas: MaState, gfp: int) -> None:
    """Ask the node cache for what the state wants; sets -ENOMEM if it refuses."""
    mem = k.mem
    allocated = k.mas_allocated(mas)
    requested = k.mas_alloc_req(mas)
    if not requested:
        return
    k.mas_set_alloc_req(mas, 0)
    if mas.mas_flags & MA_STATE_PREALLOC:
        if allocated:
            return
        k.bug("mas_alloc_nodes: preallocated nodes ran out")

    if not allocated or mem.alloc_count(mas.alloc) == k.alloc_slots:
        node = k.cache.alloc_one(gfp)
        if not node:
            _no_memory(k, mas, requested, allocated)
            return
        if allocated:
            mem.set_alloc_slot(node, 0, mas.alloc)
            mem.set_alloc_count(node, 1)
        else:
            mem.set_alloc_count(node, 0)
        mas.alloc = node
        allocated += 1
        mem.set_alloc_total(node, allocated)
        requested -= 1

    node = mas.alloc
    mem.set_alloc_request(node, 0)
    while requested:
        used = mem.alloc_count(node)
        wanted = min(requested, k.alloc_slots - used & 0xFFFFFFFF)
        nodes = k.cache.alloc_bulk(gfp, wanted)
        if not nodes:
            mem.clear_alloc_slots(node, used, wanted)
            _no_memory(k, mas, requested, allocated)
            return
        mem.set_alloc_slots(node, used, nodes)
        k.seam_begin_next_alloc(node, used)
        mem.set_alloc_count(node, used + len(nodes))
        allocated += len(nodes)
        node = mem.alloc_slot(node, 0)
        requested -= len(nodes)
    mem.set_alloc_total(mas.alloc, allocated)


def seam_begin_next_alloc(k: Kernel, node: Word, used: int) -> None:
    """Clear the counts of the chain's next node, if it is new: ``node`` held ``used``."""
    if used == 0:
        following = k.mem.alloc_slot(node, 0)
        k.mem.set_alloc_count(following, 0)
        k.mem.set_alloc_request(following, 0)


def _no_memory(k: Kernel, mas: MaState, requested: Word, allocated: Word) -> None:
    k.mas_set_alloc_req(mas, requested)
    if mas.alloc and not mas.alloc & 1:
        k.mem.set_alloc_total(mas.alloc, allocated)
    k.mas_set_err(mas, ENOMEM)


def mas_node_count_gfp(k: Kernel, mas: MaState, count: Word, gfp: int) -> None:
    """See that the state holds at least ``count`` nodes."""
    allocated = k.mas_allocated(mas)
    if allocated < count:
        k.mas_set_alloc_req(mas, count - allocated)
        k.mas_alloc_nodes(mas, gfp)


def mas_node_count(k: Kernel, mas: MaState, count: Word) -> None:
    """mas_node_count_gfp() without blocking."""
    k.mas_node_count_gfp(mas, count, GFP_NOWAIT)


def mas_nomem(k: Kernel, mas: MaState, gfp: int) -> bool:
    """After -ENOMEM, ask once more with the caller's flags; true if it is worth a retry."""
    if mas.node != k.ma_error(ENOMEM):
        return False
    k.mas_alloc_nodes(mas, gfp)
    if not k.mas_allocated(mas):
        return False
    mas.status = MA_START
    return True


# -- freeing


def mt_free_bulk(k: Kernel, count: int, address: Word) -> None:
    """Free the ``count`` nodes whose addresses lie at ``address``."""
    k.cache.free_bulk(count, address)


def call_rcu(k: Kernel, node: Word, func: int) -> None:
    """Queue a callback for after the grace period."""
    k.mem.rcu_enqueue(node, func)
    k.rcu_queue.append((node, func))


def ma_free_rcu(k: Kernel, node: Word) -> None:
    """Free a dead node after the grace period."""
    if k.mem.parent(node) != node:
        k.warn_on("ma_free_rcu: the node is not dead")
    k.call_rcu(node, RCU_FREE_NODE)


def mas_free(k: Kernel, mas: MaState, enode: Word) -> None:
    """Dispose of a replaced node: after a grace period, or back into the state."""
    if k.mt_in_rcu(mas.tree):
        k.ma_free_rcu(mte_to_node(enode))
    else:
        k.mas_push_node(mas, mte_to_node(enode))
