"""Nodes a state holds in reserve: the chain of struct maple_alloc inside nodes, and freeing.

``mas.alloc`` is 0, a request (count << 1 | 1), or the address of the head of the chain: a node
that holds up to alloc_slots further nodes, the first of which may hold more in turn.
"""

from __future__ import annotations

from layout.pointers import NODE_MASK
from layout.slab import GFP_NOWAIT
from layout.tree.base import Base
from layout.tree.peeks import peeks
from layout.tree.state import ENOMEM, MA_START, MA_STATE_PREALLOC, MaState

RCU_FREE_NODE = 0xF1
"""What rcu_head.func holds for mt_free_rcu: free this node."""
RCU_FREE_WALK = 0xF2
"""What rcu_head.func holds for mt_free_walk: free the subtree below, then this node."""


class Alloc(Base):
    """Requesting, taking and giving back nodes."""

    def mas_allocated(self, mas: MaState) -> int:
        """How many nodes the state holds."""
        alloc = mas.alloc
        if not alloc or alloc & 1:
            return 0
        return self.mem.alloc_total(alloc)

    def mas_set_alloc_req(self, mas: MaState, count: int) -> None:
        """Note that ``count`` nodes are wanted."""
        if not mas.alloc or mas.alloc & 1:
            mas.alloc = (count << 1 | 1) & self.ulong_max if count else 0
            return
        self.mem.set_alloc_request(mas.alloc, count & 0xFFFFFFFF)

    def mas_alloc_req(self, mas: MaState) -> int:
        """How many nodes are wanted."""
        if mas.alloc & 1:
            return mas.alloc >> 1 & 0xFFFFFFFF
        return self.mem.alloc_request(mas.alloc) if mas.alloc else 0

    def mas_pop_node(self, mas: MaState) -> int:
        """Take a node, zeroed. A state without any is a kernel bug: warns and returns NULL."""
        mem = self.mem
        head = mas.alloc
        total = self.mas_allocated(mas)
        requested = self.mas_alloc_req(mas)
        if not total:
            self.warn_on()
            return 0
        count = mem.alloc_count(head) if total != 1 else 0
        if total == 1:
            mas.alloc = 0
            node = head
        elif count == 1:
            mas.alloc = mem.alloc_slot(head, 0)
            mem.set_alloc_total(mas.alloc, mem.alloc_total(head) - 1)
            node = head
        else:
            mem.set_alloc_total(head, total - 1)
            count = count - 1 & 0xFF
            mem.set_alloc_count(head, count)
            node = mem.alloc_slot(head, count)
            mem.set_alloc_slot(head, count, 0)
        if requested:
            self.mas_set_alloc_req(mas, requested + 1)
        mem.zero(node, mem.alloc_size)
        return node

    def mas_push_node(self, mas: MaState, node: int) -> None:
        """Give a node back to the state; its old bytes stay but for the two counts."""
        mem = self.mem
        head = mas.alloc
        requested = self.mas_alloc_req(mas)
        count = self.mas_allocated(mas)
        mem.set_alloc_request(node, 0)
        mem.set_alloc_count(node, 0)
        if count and mem.alloc_count(head) < self.alloc_slots:
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
            self.mas_set_alloc_req(mas, requested - 1)

    def mas_alloc_nodes(self, mas: MaState, gfp: int) -> None:
        """Ask the node cache for what the state wants; sets -ENOMEM if it refuses."""
        mem = self.mem
        allocated = self.mas_allocated(mas)
        requested = self.mas_alloc_req(mas)
        if not requested:
            return
        self.mas_set_alloc_req(mas, 0)
        if mas.mas_flags & MA_STATE_PREALLOC:
            if allocated:
                return
            self.bug("mas_alloc_nodes: preallocated nodes ran out")

        if not allocated or mem.alloc_count(mas.alloc) == self.alloc_slots:
            node = self.cache.alloc_one(gfp)
            if not node:
                self._no_memory(mas, requested, allocated)
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
            wanted = min(requested, self.alloc_slots - used)
            nodes = self.cache.alloc_bulk(gfp, wanted)
            if not nodes:
                mem.zero(
                    node + mem.alloc_slot_offset + used * mem.word_size, wanted * mem.word_size
                )
                self._no_memory(mas, requested, allocated)
                return
            mem.set_alloc_slots(node, used, nodes)
            self.mas_begin_next_alloc(node, used)
            mem.set_alloc_count(node, used + len(nodes))
            allocated += len(nodes)
            node = mem.alloc_slot(node, 0)
            requested -= len(nodes)
        mem.set_alloc_total(mas.alloc, allocated)

    def mas_begin_next_alloc(self, node: int, used: int) -> None:
        """Clear the counts of the chain's next node, if it is new: ``node`` held ``used``."""
        if used == 0:
            following = self.mem.alloc_slot(node, 0)
            self.mem.set_alloc_count(following, 0)
            self.mem.set_alloc_request(following, 0)

    def _no_memory(self, mas: MaState, requested: int, allocated: int) -> None:
        self.mas_set_alloc_req(mas, requested)
        if mas.alloc and not mas.alloc & 1:
            self.mem.set_alloc_total(mas.alloc, allocated)
        self.mas_set_err(mas, ENOMEM)

    def mas_node_count_gfp(self, mas: MaState, count: int, gfp: int) -> None:
        """See that the state holds at least ``count`` nodes."""
        allocated = self.mas_allocated(mas)
        if allocated < count:
            self.mas_set_alloc_req(mas, count - allocated)
            self.mas_alloc_nodes(mas, gfp)

    def mas_node_count(self, mas: MaState, count: int) -> None:
        """mas_node_count_gfp() without blocking."""
        self.mas_node_count_gfp(mas, count, GFP_NOWAIT)

    def mas_nomem(self, mas: MaState, gfp: int) -> bool:
        """After -ENOMEM, ask once more with the caller's flags; true if it is worth a retry."""
        if mas.node != (-ENOMEM << 2 | 2) & self.ulong_max:
            return False
        self.mas_alloc_nodes(mas, gfp)
        if not self.mas_allocated(mas):
            return False
        mas.status = MA_START
        return True

    # -- freeing

    @peeks("read past data end", why="the caller counted the leaves; the end may be zeroed by now")
    def mt_free_bulk(self, count: int, address: int) -> None:
        """Free the ``count`` nodes whose addresses lie at ``address``."""
        free = self.cache.free
        for node in self.mem.read_words(address, count, "nodes to free"):
            free(node)

    def call_rcu(self, node: int, func: int) -> None:
        """Queue a callback for after the grace period."""
        self.mem.rcu_enqueue(node, func)
        self.rcu_queue.append((node, func))

    def ma_free_rcu(self, node: int) -> None:
        """Free a dead node after the grace period."""
        if self.mem.parent(node) != node:
            self.warn_on()
        self.call_rcu(node, RCU_FREE_NODE)

    def mas_free(self, mas: MaState, enode: int) -> None:
        """Dispose of a replaced node: after a grace period, or back into the state."""
        node = enode & ~NODE_MASK
        if self.mt_in_rcu(mas.tree):
            self.ma_free_rcu(node)
        else:
            self.mas_push_node(mas, node)
