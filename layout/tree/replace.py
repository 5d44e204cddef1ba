"""Putting new nodes into the tree: single nodes and subtrees, parents mended, old ones freed."""

from __future__ import annotations

from layout.node import PIVOT
from layout.pointers import NODE_MASK, PARENT_RANGE64, ROOT_NODE, ROOT_PARENT
from layout.tree.base import MAX_DESCENT
from layout.tree.bignode import BigNodes
from layout.tree.peeks import peeks
from layout.tree.state import MA_ACTIVE, MA_NONE, MaState


class Replace(BigNodes):
    """Exchange of nodes under readers' eyes."""

    def mas_adopt_children(self, mas: MaState, parent: int) -> None:
        """Make ``parent`` the parent of all nodes in its slots."""
        mt = parent >> 3 & 0xF
        node = parent & ~NODE_MASK
        words = self.mem.read_node(node, mt)
        slot0 = self.slot0[mt]
        end = self.ma_data_end(node, mt, words, mas.max)
        set_parent = self.mem.set_parent
        word = node | PARENT_RANGE64
        for offset in range(end, -1, -1):
            set_parent(words[slot0 + offset] & ~NODE_MASK, word | offset << 3)
        self.tests += 2 * (end + 1)

    def mas_put_in_tree(self, mas: MaState, old_enode: int) -> None:
        """Point the parent, or the tree, at the state's node; then mark the old one dead."""
        mem = self.mem
        node = mas.node & ~NODE_MASK
        if mem.parent(node) & ROOT_PARENT:
            mem.set_parent(node, mas.tree | ROOT_PARENT)
            mem.set_ma_root(mas.tree, mas.node | ROOT_NODE)
            self.mas_set_height(mas)
        else:
            offset = self.mte_parent_slot(mas.node)
            mt = self.mas_parent_type(mas, mas.node)
            mem.set_slot(self.mte_parent(mas.node), mt, offset, mas.node)
        self.mte_set_node_dead(old_enode)

    def mas_replace_node(self, mas: MaState, old_enode: int) -> None:
        """Put the state's node in place of the old one, which is freed."""
        self.mas_put_in_tree(mas, old_enode)
        self.mas_free(mas, old_enode)

    def mas_find_children(self, mas: MaState) -> list[MaState]:
        """States for the children whose parent words point back to the state's node.

        The kernel's mas_find_child() finds one at a time.
        """
        top = self.ulong_max
        parent = self.mem.parent
        mt = mas.node >> 3 & 0xF
        node = mas.node & ~NODE_MASK
        words = self.mem.read_node(node, mt)
        slot0, pivots = self.slot0[mt], self.mt_pivots[mt]
        found = []
        for offset in range(mas.offset, self.ma_data_end(node, mt, words, mas.max) + 1):
            enode = words[slot0 + offset]
            if parent(enode & ~NODE_MASK) & ~NODE_MASK == node:
                child = mas.copy()
                if offset:
                    child.min = words[PIVOT + offset - 1] + 1 & top
                if offset < pivots:
                    child.max = words[PIVOT + offset]
                child.node = enode
                child.offset = 0
                found.append(child)
        return found

    def mas_node_or_none(self, mas: MaState, enode: int) -> None:
        """Point the state at a node, or at none."""
        mas.node = enode
        mas.status = MA_ACTIVE if enode else MA_NONE

    def mas_topiary_node(self, mas: MaState, old: MaState, *, in_rcu: bool) -> None:
        """Dispose of one old node."""
        if old.status == MA_NONE:
            return
        node = old.node & ~NODE_MASK
        self.mte_set_node_dead(old.node)
        if in_rcu:
            self.ma_free_rcu(node)
        else:
            self.mas_push_node(mas, node)

    def _three(self, mas: MaState, enode: int) -> list[MaState]:
        states = [mas.copy(), mas.copy(), mas.copy()]
        states[0].offset = 0
        states[0].node = enode
        states[1].status = states[2].status = MA_NONE
        return states

    @peeks("dead node read untested", why="the writer goes through the subtree that it cut off")
    def mas_topiary_replace(self, mas: MaState, old_enode: int) -> None:
        """Put a new subtree in place of an old one and free what is not in use any more.

        At most three nodes of each level are new, and at most three old ones hold both nodes
        that stay and nodes that go.
        """
        self.mas_put_in_tree(mas, old_enode)
        self._adopt_new(mas)
        if old_enode >> 3 & 0xF < 2:
            self.mas_free(mas, old_enode)
            return

        in_rcu = self.mt_in_rcu(mas.tree)
        dead = [0, 0]
        states = self._three(mas, old_enode)
        for _ in range(MAX_DESCENT):
            found = self._children_to_follow(states, dead)
            self.tests += 1
            if not found:
                self.warn_on()
                break
            for i in range(3):
                self.mas_topiary_node(mas, states[i], in_rcu=in_rcu)
                if i < len(found):
                    states[i] = found[i]
                else:
                    states[i].status = MA_NONE
            if states[0].node >> 3 & 0xF < 2:
                break
        else:
            self.livelock("mas_topiary_replace: the old subtree has a cycle", old_enode)
        for state in states:
            self.mas_topiary_node(mas, state, in_rcu=in_rcu)
        self.mas_mat_destroy(mas, dead)

    def _adopt_new(self, mas: MaState) -> None:
        """Mend the parent words below the new subtree's nodes."""
        states = self._three(mas, mas.node)
        for _ in range(MAX_DESCENT):
            if states[0].node >> 3 & 0xF < 2:
                return
            found: list[MaState] = []
            for state in states:
                if state.status == MA_NONE:
                    continue
                found += self.mas_find_children(state)
                self.mas_adopt_children(state, state.node)
            del found[3:]
            self.tests += 1
            if not found:
                self.warn_on()
                return
            for i in range(3):
                if i < len(found):
                    states[i] = found[i]
                else:
                    states[i].status = MA_NONE
        self.livelock("mas_topiary_replace: the new subtree has a cycle", mas.node & ~NODE_MASK)

    def _children_to_follow(self, states: list[MaState], dead: list[int]) -> list[MaState]:
        """Old children that hold more than the written range; those within it are dead."""
        found: list[MaState] = []
        for state in states:
            if state.status == MA_NONE or len(found) == 3:
                continue
            for child in self.mas_find_children(state):
                first = found[0] if found else child
                if child.min >= first.index and child.max <= first.last:
                    self.mat_add(dead, child.node)
                else:
                    found.append(child)
                    if len(found) == 3:
                        break
        return found

    def mas_wmb_replace(self, mas: MaState, old_enode: int) -> None:
        """Put a new subtree in place and bring the gaps above it up to date."""
        self.mas_topiary_replace(mas, old_enode)
        if mas.node >> 3 & 0xF >= 2:
            self.mas_update_gap(mas)
