"""Splitting a leaf that is too full, upwards: push data to a neighbour, or make two nodes."""

from __future__ import annotations

from layout.pointers import ARANGE_64, NODE_MASK, RANGE_64
from layout.tree.base import MAX_DESCENT
from layout.tree.spanning import Spanning
from layout.tree.state import WR_REBALANCE, BigNode, MaState, SubtreeState, WrState


class Split(Spanning):
    """mas_split() and what it is made of."""

    def mas_split_final_node(self, mast: SubtreeState, mas: MaState, height: int) -> None:
        """Put what is left of the data into one last node, perhaps a new root."""
        bn = mast.bn
        if self.ma_is_root(mas.node & ~NODE_MASK):
            bn.mt = ARANGE_64 if self.mt_is_alloc(mas.tree) else RANGE_64
            mas.depth = height
        ancestor = self.mas_new_ma_node(mas, bn)
        self.mas_set_parent(mas, mast.l.node, ancestor, mast.l.offset)
        self.mas_set_parent(mas, mast.r.node, ancestor, mast.r.offset)
        self.mem.set_parent(ancestor & ~NODE_MASK, self.mem.parent(mas.node & ~NODE_MASK))
        mast.l.node = ancestor
        self.mab_mas_cp(bn, 0, self.mt_slots[bn.mt] - 1, mast.l, new_max=True)
        mas.offset = bn.b_end - 1 & 0xFF

    def mast_fill_bnode(self, mast: SubtreeState, mas: MaState, skip: int) -> None:
        """Gather the parent's data with the two new nodes in place of ``skip`` old ones."""
        bn = mast.bn
        mt = bn.mt
        bn.clear()
        bn.mt = mt
        copy = True
        if self.ma_is_root(mas.node & ~NODE_MASK):
            copy = False
        else:
            self.mas_ascend(mas)
            mas.offset = self.mte_parent_slot(mas.node)
        if copy and mast.l.offset:
            self.mas_mab_cp(mas, 0, mast.l.offset - 1, bn, 0)
        split = bn.b_end
        self.mab_set_b_end(bn, mast.l, mast.l.node)
        mast.r.offset = bn.b_end
        self.mab_set_b_end(bn, mast.r, mast.r.node)
        if bn.words[bn.pivot0 + bn.b_end - 1] == mas.max:
            copy = False
        if copy:
            count = self.mt_slots[mas.node >> 3 & 0xF]
            self.mas_mab_cp(mas, split + skip, count - 1, bn, bn.b_end)
        bn.b_end -= 1
        bn.mt = mas.node >> 3 & 0xF

    def mast_split_data(self, mast: SubtreeState, mas: MaState, split: int) -> None:
        """Spread the big node over the left and right nodes, and mend the parents below."""
        bn = mast.bn
        self.mab_mas_cp(bn, 0, split, mast.l, new_max=True)
        self.mem.set_pivot(mast.r.node & ~NODE_MASK, 0, mast.r.max)
        self.mab_mas_cp(bn, split + 1, bn.b_end, mast.r, new_max=False)
        mast.l.offset = self.mte_parent_slot(mas.node)
        mast.l.max = bn.words[bn.pivot0 + split]
        mast.r.min = mast.l.max + 1 & self.ulong_max
        if mas.node >> 3 & 0xF < 2:
            return
        slot = mast.orig_l.offset
        for state in (mast.orig_l, mast.orig_r):
            slot = self.mas_set_split_parent(state, mast.l.node, mast.r.node, slot, split)

    def mas_push_data(self, mas: MaState, height: int, mast: SubtreeState, *, left: bool) -> bool:
        """Push data into the left or right neighbour if it has room; true if done."""
        bn = mast.bn
        other = mas.copy()
        other.depth = mast.l.depth
        if not (self.mas_prev_sibling(other) if left else self.mas_next_sibling(other)):
            return False
        end = self.mas_data_end(other)
        total = bn.b_end + end
        # one less than two full nodes, so that no third is needed
        space = 2 * self.mt_slots[mas.node >> 3 & 0xF] - 2
        if bn.mt < 2:
            space -= 1
        if mas.max == self.ulong_max:
            space -= 1
        if total >= space:
            return False

        bn.b_end += 1
        if left:
            self.mab_shift_right(bn, end + 1)
            self.mas_mab_cp(other, 0, end, bn, 0)
            bn.b_end = total + 1
        else:
            self.mas_mab_cp(other, 0, end, bn, bn.b_end)

        split = self.mt_slots[bn.mt] - 2
        if left:
            mas.assign(other)
            other.node = mast.l.node
            mast.l.assign(other)
        else:
            other.node = mast.r.node
            mast.r.assign(other)
            split = total - split
        split = self.mab_no_null_split(bn, split, self.mt_slots[bn.mt])
        if left:
            mast.orig_l.offset += end + 1
        self.mast_split_data(mast, mas, split)
        self.mast_fill_bnode(mast, mas, 2)
        self.mas_split_final_node(mast, mas, height + 1)
        return True

    def mas_split(self, mas: MaState, bn: BigNode) -> None:
        """Split the data that is too much for one node, and the nodes above as needed."""
        l_mas = self.new_state(mas.tree, mas.index, mas.last)
        r_mas = self.new_state(mas.tree, mas.index, mas.last)
        prev_l = self.new_state(mas.tree, mas.index, mas.last)
        prev_r = self.new_state(mas.tree, mas.index, mas.last)
        mas.depth = self.mas_mt_height(mas)
        mast = SubtreeState(prev_l, prev_r, bn)
        mast.l, mast.r = l_mas, r_mas
        for height in range(1, MAX_DESCENT):
            if height - 1 > mas.depth:
                break
            if self.mt_slots[bn.mt] > bn.b_end:
                self.mas_split_final_node(mast, mas, height)
                break
            l_mas.assign(mas)
            r_mas.assign(mas)
            l_mas.node = self.mas_new_ma_node(mas, bn)
            r_mas.node = self.mas_new_ma_node(mas, bn)
            if self.mas_push_data(mas, height, mast, left=True):
                break
            if self.mas_push_data(mas, height, mast, left=False):
                break
            split, _ = self.mab_calc_split(mas, bn)
            self.mast_split_data(mast, mas, split)
            # mab_mas_cp() in the call above may have left another value
            r_mas.max = mas.max
            self.mast_fill_bnode(mast, mas, 1)
            prev_l.assign(l_mas)
            prev_r.assign(r_mas)
        old = mas.node
        mas.node = l_mas.node
        self.mas_wmb_replace(mas, old)
        self.mtree_range_walk(mas)

    def mas_commit_b_node(self, wr: WrState, bn: BigNode) -> None:
        """Rebalance or split, as the store type says."""
        if wr.mas.store_type == WR_REBALANCE:
            self.mas_rebalance(wr.mas, bn)
        else:
            self.mas_split(wr.mas, bn)
