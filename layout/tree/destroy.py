"""Freeing trees and dead subtrees: the destroy walk, its RCU callback, the list of the dead."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layout.pointers import ARANGE_64, MT_FLAGS_HEIGHT_MASK, NODE_MASK, RANGE_64, xa_is_node
from layout.tree.alloc import RCU_FREE_NODE, RCU_FREE_WALK
from layout.tree.base import MAX_DESCENT
from layout.tree.peeks import peeks
from layout.tree.search import Search

if TYPE_CHECKING:
    from layout.tree.state import MaState


class Destroy(Search):
    """Walks that free whole subtrees."""

    def mte_dead_leaves(self, enode: int, node: int) -> int:
        """Mark the leaves below ``node`` dead and leave bare addresses in its slots.

        Returns how many there are. A word that is no enode, such as metadata, ends the list.
        """
        mem = self.mem
        mt = enode >> 3 & 0xF
        for offset in range(self.mt_slots[mt]):
            leaf = self.leaf_to_free(node, mt, offset)
            if not leaf:
                return offset
            self.mte_set_node_dead(leaf)
            mem.set_dead_type(leaf & ~NODE_MASK, leaf >> 3 & 0xF)
            mem.set_slot(node, mt, offset, leaf & ~NODE_MASK)
        return self.mt_slots[mt]

    @peeks(
        *("read past data end", "metadata read as slot"),
        why="neither an unused slot nor metadata has both an address and a type",
    )
    def leaf_to_free(self, node: int, mt: int, offset: int) -> int:
        """The leaf's enode in a slot; 0 behind the last one.

        Metadata there reads as type 0 on big-endian and as node 0 on little-endian machines.
        """
        entry = self.mem.slot(node, mt, offset)
        return entry if entry & ~NODE_MASK and entry >> 3 & 0xF else 0

    def _slots_of(self, node: int, mt: int) -> int:
        """The address of a node's slots."""
        return node + self.mem.slot_offset[mt]

    def mte_destroy_descend(self, enode: int, prev: int, offset: int) -> int:
        """Go down to the node above the leaves, killing nodes on the way; returns its enode."""
        mem = self.mem
        child = enode
        child_offset = 0
        for _ in range(MAX_DESCENT):
            enode = child
            node = enode & ~NODE_MASK
            mt = enode >> 3 & 0xF
            child = mem.slot(node, mt, child_offset)
            if self.ma_dead_node(child & ~NODE_MASK):
                child_offset += 1
                child = mem.slot(node, mt, child_offset)
            self.mte_set_node_dead(enode)
            mem.set_dead_type(node, mt)
            mem.set_piv_parent(node, prev)
            mem.set_parent_slot(node, offset)
            offset = child_offset
            child_offset = 0
            prev = enode
            if child >> 3 & 0xF < 2:
                return enode
        self.livelock("mte_destroy_descend: the tree has a cycle", enode & ~NODE_MASK)

    @peeks("dead node read untested", why="nobody else is in a subtree that was cut off")
    def mt_destroy_walk(self, enode: int, *, free: bool) -> None:
        """Kill a subtree; free its nodes now, or leave that to mt_free_walk()."""
        mem = self.mem
        node = enode & ~NODE_MASK
        start = enode
        if enode >> 3 & 0xF < 2:
            self.mte_set_node_dead(enode)
            mem.set_dead_type(node, enode >> 3 & 0xF)
            self._free_start(node, free=free)
            return
        enode = self.mte_destroy_descend(enode, start, 0)
        node = enode & ~NODE_MASK
        while True:
            self._free_leaves(enode, node, free=free)
            offset = mem.parent_slot(node) + 1
            enode = mem.piv_parent(node)
            if enode & ~NODE_MASK == node:
                self._free_start(node, free=free)
                return
            mt = enode >> 3 & 0xF
            if offset < self.mt_slots[mt]:
                child = self.child_to_free(enode & ~NODE_MASK, mt, offset)
                if child:
                    enode = self.mte_destroy_descend(child, enode, offset)
            node = enode & ~NODE_MASK
            if enode == start:
                break
        self._free_leaves(enode, node, free=free)
        self._free_start(node, free=free)

    @peeks(
        *("read past data end", "metadata read as slot"),
        why="neither an unused slot nor metadata has both an address and a type",
    )
    def child_to_free(self, node: int, mt: int, offset: int) -> int:
        """The enode in a slot of an upper node; 0 behind the last one, as for leaves."""
        entry = self.mem.slot(node, mt, offset)
        return entry if entry >> 3 & 0xF and entry & ~NODE_MASK else 0

    def _free_leaves(self, enode: int, node: int, *, free: bool) -> None:
        count = self.mte_dead_leaves(enode, node)
        self.mem.set_slot_len(node, count)
        if free:
            self.mt_free_bulk(count, self._slots_of(node, enode >> 3 & 0xF))

    def _free_start(self, node: int, *, free: bool) -> None:
        if free:
            self.cache.free(node)
        else:
            self.mt_clear_meta(node, self.mem.dead_type(node))

    @peeks("read past data end", why="the last pivot is 0 where there is metadata")
    @peeks("metadata read as slot", why="with an address and a type it is taken for a child")
    def mt_clear_meta(self, node: int, mt: int) -> None:
        """Clear the metadata of a dead internal node, if that word is not its last child."""
        mem = self.mem
        if mt == RANGE_64:
            slots = self.mt_slots[mt]
            if mem.pivot(node, slots - 2):
                last = mem.slot(node, mt, slots - 1)
                if last & ~NODE_MASK and last >> 3 & 0xF:
                    return
        elif mt != ARANGE_64:
            return
        mem.set_meta(node, mt, 0, 0)

    def mte_destroy_walk(self, enode: int, tree: int) -> None:
        """Free a tree or subtree that is no longer reachable, after a grace period in RCU mode."""
        if self.mt_in_rcu(tree):
            self.mt_destroy_walk(enode, free=False)
            self.call_rcu(enode & ~NODE_MASK, RCU_FREE_WALK)
        else:
            self.mt_destroy_walk(enode, free=True)

    # -- after the grace period

    def run_rcu(self) -> int:
        """Run the queued callbacks in order; returns how many."""
        queue = self.rcu_queue
        done = 0
        while done < len(queue):
            node, func = queue[done]
            done += 1
            if func == RCU_FREE_NODE:
                self.cache.free(node)
            else:
                self.mt_free_walk(node)
        queue.clear()
        return done

    def mte_dead_walk(self, node: int, offset: int) -> tuple[int, int]:
        """Go down a dead tree to the node above the leaves: that node, and its slots' address."""
        mem = self.mem
        child = node
        for _ in range(MAX_DESCENT):
            node = child & ~NODE_MASK
            slots = self._slots_of(node, mem.dead_type(node))
            child = mem.read_word(slots + offset * mem.word_size, "slot of a dead node")
            offset = 0
            if mem.dead_type(child) < 2:
                return node, slots
        self.livelock("mte_dead_walk: the tree has a cycle", node)

    @peeks("dead node read untested", why="its readers are gone after the grace period")
    @peeks(
        *("read past data end", "metadata read as slot"),
        why="mt_clear_meta() zeroed the metadata: slots are 0 where no child is",
    )
    def mt_free_walk(self, node: int) -> None:
        """Free a subtree that mt_destroy_walk() prepared (RCU callback)."""
        mem = self.mem
        if mem.dead_type(node) < 2:
            self.cache.free(node)
            return
        start = node
        node, slots = self.mte_dead_walk(node, 0)
        while True:
            self.mt_free_bulk(mem.slot_len(node), slots)
            offset = mem.parent_slot(node) + 1
            enode = mem.piv_parent(node)
            parent = enode & ~NODE_MASK
            if parent == node:
                self.cache.free(node)
                return
            mt = enode >> 3 & 0xF
            slots = self._slots_of(parent, mt)
            node = parent
            if offset < self.mt_slots[mt] and mem.slot(parent, mt, offset):
                node, slots = self.mte_dead_walk(parent, offset)
            if node == start and mem.slot_len(node) >= offset:
                break
        slots = self._slots_of(node, mem.dead_type(node))
        self.mt_free_bulk(mem.slot_len(node), slots)
        self.cache.free(node)

    # -- the list of dead subtrees

    def mat_add(self, dead: list[int], enode: int) -> None:
        """Kill a subtree's top node and append it to the list ``dead`` = [head, tail]."""
        mem = self.mem
        self.mte_set_node_dead(enode)
        mem.set_topiary_next(enode & ~NODE_MASK, 0)
        if dead[1]:
            mem.set_topiary_next(dead[1] & ~NODE_MASK, enode)
        else:
            dead[0] = enode
        dead[1] = enode

    @peeks("dead node read untested", why="the list links dead nodes")
    def mas_mat_destroy(self, mas: MaState, dead: list[int]) -> None:
        """Free every subtree of the list."""
        in_rcu = self.mt_in_rcu(mas.tree)
        enode = dead[0]
        while enode:
            node = enode & ~NODE_MASK
            following = self.mem.topiary_next(node)
            self.mt_destroy_walk(enode, free=not in_rcu)
            if in_rcu:
                self.call_rcu(node, RCU_FREE_WALK)
            enode = following

    def mt_destroy(self, tree: int) -> None:
        """Free all nodes of the tree and leave it empty."""
        root = self.mem.ma_root(tree)
        self.mem.set_ma_root(tree, 0)
        if xa_is_node(root):
            self.mte_destroy_walk(root, tree)
        self.mem.set_ma_flags(tree, self.mem.ma_flags(tree) & ~MT_FLAGS_HEIGHT_MASK)
