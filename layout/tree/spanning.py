"""Rebalancing across nodes, level by level, up from a spanning store or a node too small."""

from __future__ import annotations

from layout.node import PIVOT
from layout.pointers import ENODE_NULL, NODE_MASK, ROOT_PARENT
from layout.tree.base import MAX_DESCENT
from layout.tree.replace import Replace
from layout.tree.state import MA_NONE, BigNode, MaState, SubtreeState, WrState


class Spanning(Replace):
    """Operations on struct maple_subtree_state (mast_*)."""

    def mas_prev_sibling(self, mas: MaState) -> bool:
        """Go to the previous child of the same parent."""
        slot = self.mte_parent_slot(mas.node)
        if self.ma_is_root(mas.node & ~NODE_MASK) or not slot:
            return False
        self.mas_ascend(mas)
        mas.offset = slot - 1
        self.mas_descend(mas)
        return True

    def mas_next_sibling(self, mas: MaState) -> bool:
        """Go to the next child of the same parent."""
        if self.ma_is_root(mas.node & ~NODE_MASK):
            return False
        parent = mas.copy()
        self.mas_ascend(parent)
        parent.offset = self.mte_parent_slot(mas.node) + 1
        if parent.offset > self.mas_data_end(parent):
            return False
        mas.assign(parent)
        self.mas_descend(mas)
        return True

    def mas_wr_node_walk(self, wr: WrState) -> None:
        """Find the slot of the state's index in its node, and that slot's range."""
        mas = wr.mas
        mt = wr.mt
        node = mas.node & ~NODE_MASK
        words = self.mem.read_node(node, mt)
        wr.node = node
        wr.words = words
        count = mas.end = self.ma_data_end(node, mt, words, mas.max)
        offset = mas.offset
        index = mas.index
        while offset < count and index > words[PIVOT + offset]:
            offset += 1
        wr.r_max = words[PIVOT + offset] if offset < count else mas.max
        wr.r_min = words[PIVOT + offset - 1] + 1 & self.ulong_max if offset else mas.min
        wr.offset_end = mas.offset = offset

    def mast_rebalance_next(self, mast: SubtreeState) -> None:
        """Add all data of the node to the right."""
        right = mast.orig_r
        count = self.mt_slots[right.node >> 3 & 0xF]
        self.mas_mab_cp(right, 0, count, mast.bn, mast.bn.b_end)
        right.last = right.max

    def mast_rebalance_prev(self, mast: SubtreeState) -> None:
        """Put all data of the node to the left in front."""
        left, bn = mast.orig_l, mast.bn
        end = self.mas_data_end(left) + 1
        b_end = bn.b_end
        self.mab_shift_right(bn, end)
        self.mas_mab_cp(left, 0, end - 1, bn, 0)
        mast.l.min = left.min
        left.index = left.min
        bn.b_end = end + b_end
        mast.l.offset += end

    def mast_spanning_rebalance(self, mast: SubtreeState) -> bool:
        """Take in the nearest node, right before left, ascending as far as needed."""
        right, left = mast.orig_r, mast.orig_l
        saved_right, saved_left = right.copy(), left.copy()
        for depth in range(1, MAX_DESCENT):
            self.mas_ascend(right)
            self.mas_ascend(left)
            if right.offset < self.mas_data_end(right):
                right.offset += 1
                for _ in range(depth):
                    self.mas_descend(right)
                    right.offset = 0
                self.mast_rebalance_next(mast)
                left.assign(saved_left)
                return True
            if left.offset:
                left.offset -= 1
                for _ in range(depth):
                    self.mas_descend(left)
                    left.offset = self.mas_data_end(left)
                self.mast_rebalance_prev(mast)
                right.assign(saved_right)
                return True
            if self.ma_is_root(right.node & ~NODE_MASK):
                break
        right.assign(saved_right)
        left.assign(saved_left)
        return False

    def mast_ascend(self, mast: SubtreeState) -> None:
        """Take both old sides one level up and point them at what the new nodes cover."""
        left, right = mast.orig_l, mast.orig_r
        self.mas_ascend(left)
        self.mas_ascend(right)
        right.offset = 0
        right.index = mast.r.max
        right.last = max(right.last, right.index)
        wr = WrState(right, 0)
        wr.mt = right.node >> 3 & 0xF
        self.mas_wr_node_walk(wr)
        left.offset = 0
        left.index = mast.l.min
        wr.mas = left
        wr.mt = left.node >> 3 & 0xF
        self.mas_wr_node_walk(wr)
        mast.bn.mt = wr.mt

    def mas_mab_to_node(self, mas: MaState, bn: BigNode) -> tuple[int, int, int, int, int]:
        """Take the new nodes: (left, middle, right, split, middle split), 0 where there is none."""
        left = self.mas_new_ma_node(mas, bn)
        right = middle = middle_split = 0
        if bn.b_end < self.mt_slots[bn.mt]:
            split = bn.b_end
        else:
            split, middle_split = self.mab_calc_split(mas, bn)
            right = self.mas_new_ma_node(mas, bn)
        if middle_split:
            middle = self.mas_new_ma_node(mas, bn)
        return left, middle, right, split, middle_split

    def mas_set_split_parent(
        self, mas: MaState, left: int, right: int, slot: int, split: int
    ) -> int:
        """Give the state's node its parent, left or right of the split; returns the next slot."""
        if mas.status == MA_NONE:
            return slot
        if slot <= split:
            self.mas_set_parent(mas, mas.node, left, slot)
        elif right:
            self.mas_set_parent(mas, mas.node, right, slot - split - 1)
        return slot + 1

    def mast_set_split_parents(
        self,
        mast: SubtreeState,
        left: int,
        middle: int,
        right: int,
        split: int,
        middle_split: int,
    ) -> None:
        """Give the three new nodes of the level below their parents."""
        if mast.l.status == MA_NONE:
            return
        lower, upper = left, middle or right
        slot = mast.l.offset
        for state in (mast.l, mast.m, mast.r):
            if upper != right and slot >= middle_split:
                lower, upper, split = upper, right, middle_split
            slot = self.mas_set_split_parent(state, lower, upper, slot, split)

    def mast_cp_to_nodes(
        self,
        mast: SubtreeState,
        left: int,
        middle: int,
        right: int,
        split: int,
        middle_split: int,
    ) -> None:
        """Spread the big node over the new nodes and set their ranges."""
        bn = mast.bn
        top = self.ulong_max
        self.mas_node_or_none(mast.l, left)
        self.mas_node_or_none(mast.m, middle)
        self.mas_node_or_none(mast.r, right)
        mast.l.min = mast.orig_l.min
        new_max = True
        if split == bn.b_end:
            mast.l.max = mast.orig_r.max
            new_max = False
        self.mab_mas_cp(bn, 0, split, mast.l, new_max=new_max)
        if middle:
            self.mab_mas_cp(bn, 1 + split, middle_split, mast.m, new_max=True)
            mast.m.min = bn.words[bn.pivot0 + split] + 1 & top
            split = middle_split
        mast.r.max = mast.orig_r.max
        if right:
            self.mab_mas_cp(bn, 1 + split, bn.b_end, mast.r, new_max=False)
            mast.r.min = bn.words[bn.pivot0 + split] + 1 & top

    def mast_combine_cp_left(self, mast: SubtreeState) -> None:
        """Copy what lies left of the new nodes."""
        slot = mast.orig_l.offset
        if slot:
            self.mas_mab_cp(mast.orig_l, 0, slot - 1, mast.bn, 0)

    def mast_combine_cp_right(self, mast: SubtreeState) -> None:
        """Copy what lies right of the new nodes."""
        bn, right = mast.bn, mast.orig_r
        if bn.words[bn.pivot0 + bn.b_end - 1] >= right.max:
            return
        count = self.mt_slots[right.node >> 3 & 0xF]
        self.mas_mab_cp(right, right.offset + 1, count, bn, bn.b_end)
        right.last = right.max

    def _is_root_limits(self, mas: MaState) -> bool:
        return not mas.min and mas.max == self.ulong_max

    def mas_spanning_rebalance(self, mas: MaState, mast: SubtreeState, count: int) -> None:
        """Build new nodes from the big node, level by level, then put them into the tree.

        ``count`` is the number of levels expected. The state takes the nodes from its reserve.
        """
        mem, bn = self.mem, mast.bn
        l_mas = self.new_state(mas.tree, mas.index, mas.index)
        r_mas = self.new_state(mas.tree, mas.index, mas.last)
        m_mas = self.new_state(mas.tree, mas.index, mas.index)
        mast.l, mast.m, mast.r = l_mas, m_mas, r_mas
        l_mas.status = r_mas.status = m_mas.status = MA_NONE
        left = middle = right = 0

        not_whole = mast.orig_l.min != 0 or mast.orig_r.max != self.ulong_max
        if not_whole and bn.b_end <= self.mt_min_slots[bn.mt]:
            self.mast_spanning_rebalance(mast)
        l_mas.depth = 0

        new_root = False
        while count:
            count -= 1
            bn.b_end -= 1
            bn.mt = mast.orig_l.node >> 3 & 0xF
            left, middle, right, split, middle_split = self.mas_mab_to_node(mas, bn)
            self.mast_set_split_parents(mast, left, middle, right, split, middle_split)
            self.mast_cp_to_nodes(mast, left, middle, right, split, middle_split)
            bn.clear()
            bn.mt = left >> 3 & 0xF
            l_mas.depth += 1
            if self._is_root_limits(l_mas):
                new_root = True
                break
            self.mast_ascend(mast)
            self.mast_combine_cp_left(mast)
            l_mas.offset = bn.b_end
            self.mab_set_b_end(bn, l_mas, left)
            self.mab_set_b_end(bn, m_mas, middle)
            self.mab_set_b_end(bn, r_mas, right)
            self.mast_combine_cp_right(mast)
            mast.orig_l.last = mast.orig_l.max

            old_type = mast.orig_l.node >> 3 & 0xF
            if bn.b_end > self.mt_min_slots[old_type] or bn.b_end >= self.mt_slots[old_type]:
                continue
            if self._is_root_limits(mast.orig_l):
                break
            self.mast_spanning_rebalance(mast)
            if not count:
                count = 1

        if not new_root:
            l_mas.node = self.mas_pop_node(mas) | ((mast.orig_l.node >> 3 & 0xF) << 3 | ENODE_NULL)
            l_mas.depth += 1
            self.mab_mas_cp(bn, 0, self.mt_slots[bn.mt] - 1, l_mas, new_max=True)
            slot = 0
            for child in (left, middle, right):
                if child:
                    self.mas_set_parent(mas, child, l_mas.node, slot)
                    slot += 1
            new_root = self._is_root_limits(l_mas)
        if new_root:
            mem.set_parent(l_mas.node & ~NODE_MASK, mas.tree | ROOT_PARENT)
            for _ in range(MAX_DESCENT):
                if self.ma_is_root(mast.orig_l.node & ~NODE_MASK):
                    break
                self.mast_ascend(mast)
            else:
                self.livelock("mas_spanning_rebalance finds no root", mast.orig_l.node & ~NODE_MASK)
        else:
            mem.set_parent(l_mas.node & ~NODE_MASK, mem.parent(mast.orig_l.node & ~NODE_MASK))

        old_enode = mast.orig_l.node
        mas.depth = l_mas.depth
        mas.node = l_mas.node
        mas.min = l_mas.min
        mas.max = l_mas.max
        mas.offset = l_mas.offset
        self.mas_wmb_replace(mas, old_enode)
        self.mtree_range_walk(mas)

    def mas_rebalance(self, mas: MaState, bn: BigNode) -> None:
        """Even out a node that is too small with its right neighbour, or else its left."""
        levels = self.mas_mt_height(mas)
        bn.b_end += 1
        b_end = bn.b_end
        bn.mt = mas.node >> 3 & 0xF
        l_mas, r_mas = mas.copy(), mas.copy()
        mast = SubtreeState(l_mas, r_mas, bn)
        if self.mas_next_sibling(r_mas):
            self.mas_mab_cp(r_mas, 0, self.mt_slots[r_mas.node >> 3 & 0xF], bn, b_end)
            r_mas.last = r_mas.index = r_mas.max
        else:
            self.mas_prev_sibling(l_mas)
            shift = self.mas_data_end(l_mas) + 1
            self.mab_shift_right(bn, shift)
            mas.offset += shift
            self.mas_mab_cp(l_mas, 0, shift - 1, bn, 0)
            bn.b_end = shift + b_end
            l_mas.index = l_mas.last = l_mas.min
        self.mas_spanning_rebalance(mas, mast, levels)
