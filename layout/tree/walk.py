"""Walking the tree from its root: starting, descending, ascending, finding an index."""

from __future__ import annotations

from layout.node import PIVOT
from layout.pointers import ENODE_NULL, NODE_MASK, ROOT_NODE, ROOT_PARENT, XA_ZERO_ENTRY, xa_is_node
from layout.tree.alloc import Alloc
from layout.tree.base import MAX_DESCENT
from layout.tree.state import MA_ACTIVE, MA_NONE, MA_ROOT, MA_START, MaState


class Walk(Alloc):
    """Reading one path of the tree."""

    def mas_start(self, mas: MaState) -> int:
        """Point a starting state at the root.

        The status becomes active (a node), none (empty) or root (a single entry, which is
        returned if the state's index is 0).
        """
        if mas.status != MA_START:
            return 0
        mas.min = 0
        mas.max = self.ulong_max
        mas.depth = 0
        root = self.mem.ma_root(mas.tree)
        if xa_is_node(root):
            mas.depth = 1
            mas.status = MA_ACTIVE
            mas.node = root & ~ROOT_NODE
            mas.offset = 0
            if self.ma_dead_node(root & ~NODE_MASK):
                self.livelock("mas_start: the root is a dead node", root & ~NODE_MASK)
            return 0
        mas.node = 0
        mas.offset = self.node_slots
        if not root:
            mas.status = MA_NONE
            return 0
        mas.status = MA_ROOT
        return 0 if mas.index > 0 else root

    def mas_descend(self, mas: MaState) -> None:
        """Go down into the slot at the state's offset. Not safe for readers."""
        mt = mas.node >> 3 & 0xF
        words = self.words_of(mas)
        offset = mas.offset
        if offset:
            mas.min = words[PIVOT + offset - 1] + 1 & self.ulong_max
        if offset < self.mt_pivots[mt]:
            mas.max = words[PIVOT + offset]
        mas.node = words[self.slot0[mt] + offset]

    def mas_ascend(self, mas: MaState) -> bool:
        """Go up one level and find that node's range; true if a dead node was met."""
        mem = self.mem
        top = self.ulong_max
        node = mas.node & ~NODE_MASK
        parent = mem.parent(node)
        if parent & ROOT_PARENT:
            mas.offset = 0
            return False
        if parent & ~NODE_MASK == node:
            return True
        offset = mas.offset = self.parent_slot(parent)
        mt = self.parent_type(mas.tree, parent)
        node = parent & ~NODE_MASK
        mas.node = node | mt << 3 | ENODE_NULL
        parent = mem.parent(node)
        if parent & ROOT_PARENT:
            mas.max = top
            mas.min = 0
            return False

        low, high = mas.min, top
        set_low = offset == 0
        if not set_low:
            low = 0
        set_high = mas.max == top
        for _ in range(MAX_DESCENT):
            slot = self.parent_slot(parent)
            mt = self.parent_type(mas.tree, parent)
            node = parent & ~NODE_MASK
            words = mem.read_node(node, mt)
            parent = words[0]
            if parent & ~NODE_MASK == node:
                return True
            if not set_low and slot:
                set_low = True
                low = words[PIVOT + slot - 1] + 1 & top
            if not set_high and slot < self.mt_pivots[mt]:
                set_high = True
                high = words[PIVOT + slot]
            if parent & ROOT_PARENT or (set_low and set_high):
                mas.max = high
                mas.min = low
                return False
        self.livelock("mas_ascend: the parents form a cycle", node)

    def mtree_range_walk(self, mas: MaState) -> int:
        """Walk down from the state's node to the leaf that holds its index.

        Sets index and last to the range found; returns the entry. On a dead node the state is
        reset and 0 returned.
        """
        mem = self.mem
        top = self.ulong_max
        index = mas.index
        low, high = mas.min, mas.max
        enode = mas.node
        for _ in range(MAX_DESCENT):
            mt = enode >> 3 & 0xF
            node = enode & ~NODE_MASK
            words = mem.read_node(node, mt)
            end = self.ma_data_end(node, mt, words, high)
            node_low, node_high = low, high
            pivot = words[1]
            if pivot >= index:
                offset = 0
                high = pivot
            else:
                offset = 1
                while offset < end:
                    pivot = words[PIVOT + offset]
                    if pivot >= index:
                        high = pivot
                        break
                    offset += 1
                low = words[offset] + 1 & top  # pivot[offset - 1] + 1
            last, enode = enode, words[self.slot0[mt] + offset]
            if words[0] & ~NODE_MASK == node:
                mas.reset()
                return 0
            if mt < 2:
                mas.end = end
                mas.offset = offset
                mas.index = low
                mas.last = high
                mas.min = node_low
                mas.max = node_high
                mas.node = last
                return enode
        self.livelock("mtree_range_walk: the tree has a cycle", mas.node & ~NODE_MASK)

    def mtree_lookup_walk(self, mas: MaState) -> int:
        """The entry at the state's index, without keeping the state up to date."""
        mem = self.mem
        index = mas.index
        enode = mas.node
        for _ in range(MAX_DESCENT):
            mt = enode >> 3 & 0xF
            node = enode & ~NODE_MASK
            words = mem.read_node(node, mt)
            offset, end = 0, self.mt_pivots[mt]
            while offset < end and words[PIVOT + offset] < index:
                offset += 1
            enode = words[self.slot0[mt] + offset]
            if words[0] & ~NODE_MASK == node:
                mas.reset()
                return 0
            if mt < 2:
                return enode
        self.livelock("mtree_lookup_walk: the tree has a cycle", mas.node & ~NODE_MASK)

    def mas_state_walk(self, mas: MaState) -> int:
        """Start and walk to the state's index."""
        entry = self.mas_start(mas)
        if mas.status == MA_NONE:
            return 0
        if mas.status == MA_ROOT:
            return entry
        return self.mtree_range_walk(mas)

    def mas_walk(self, mas: MaState) -> int:
        """Find the entry at the state's index; index and last become its range.

        6.12 starts at the root whatever the state's status is.
        """
        mas.status = MA_START
        entry = self.mas_state_walk(mas)
        if mas.status == MA_START:
            self.livelock("mas_walk: a dead node is reachable", mas.tree)
        if mas.status == MA_NONE:
            mas.index = 0
            mas.last = self.ulong_max
        elif mas.status == MA_ROOT:
            if not mas.index:
                mas.last = 0
                return entry
            mas.index = 1
            mas.last = self.ulong_max
            mas.status = MA_NONE
            return 0
        return entry

    def mas_rewalk(self, mas: MaState, index: int) -> None:
        """Walk to ``index`` anew, after a dead node was met."""
        self.mas_set(mas, index)
        self.mas_state_walk(mas)
        if mas.status == MA_START:
            self.livelock("mas_rewalk: a dead node is reachable", mas.tree)

    def mtree_load(self, tree: int, index: int) -> int:
        """The entry at ``index``; XA_ZERO_ENTRY counts as none."""
        mas = self.new_state(tree, index)
        entry = self.mas_start(mas)
        if mas.status == MA_NONE:
            return 0
        if mas.status == MA_ROOT:
            return 0 if index else entry
        entry = self.mtree_lookup_walk(mas)
        if mas.status == MA_START:
            self.livelock("mtree_load: a dead node is reachable", tree)
        return 0 if entry == XA_ZERO_ENTRY else entry
