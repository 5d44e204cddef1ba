"""Keeping gaps: the largest gap of a node, and telling the parents when it changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layout.node import PIVOT
from layout.pointers import ARANGE_64, NODE_MASK, ROOT_PARENT
from layout.tree.base import MAX_DESCENT
from layout.tree.iterate import Iterate

if TYPE_CHECKING:
    from layout.tree.state import MaState


class Gaps(Iterate):
    """Gap values of arange_64 nodes; they do nothing in a tree that does not track gaps."""

    def mas_leaf_max_gap(self, mas: MaState) -> int:
        """The longest run of NULL indexes in the state's leaf."""
        top = self.ulong_max
        mt = mas.node >> 3 & 0xF
        node = mas.node & ~NODE_MASK
        words = self.mem.read_node(node, mt)
        slot0 = self.slot0[mt]
        largest = 0
        i = 1
        if not words[slot0]:
            largest = words[PIVOT] - mas.min + 1 & top
            i = 2
        last = self.ma_data_end(node, mt, words, mas.max) - 1 & 0xFF
        if slot0 + last + 1 >= len(words):
            words = self.mem.read_words(node, slot0 + 257)  # C reads on behind the node
        # only the rightmost leaf may end in a gap, whose pivot is implied
        if mas.max == top and not words[slot0 + last + 1]:
            pivot = words[PIVOT + last]
            gap = top - pivot
            largest = max(largest, gap)
            if largest > (pivot - mas.min & top):
                return largest
        if last == 0xFF:
            self.livelock("mas_leaf_max_gap: its unsigned char never exceeds 255", node)
        while i <= last:
            if not words[slot0 + i]:
                gap = words[PIVOT + i] - words[PIVOT + i - 1] & top
                largest = max(largest, gap)
                i += 1  # two gaps never meet
            i += 1
        return largest

    def ma_max_gap(self, node: int, mt: int) -> tuple[int, int]:
        """The largest gap that the node records, and its offset; the highest offset wins ties."""
        offset = i = self.mem.meta_end(node, mt)
        largest = 0
        words = self.mem.read_node(node, mt)
        while i >= 0:
            gap = words[self.gap0 + i]
            if gap > largest:
                largest = gap
                offset = i
            i -= 1
        return largest, offset

    def mas_max_gap(self, mas: MaState) -> int:
        """The largest gap in or below the state's node."""
        mt = mas.node >> 3 & 0xF
        if mt < 2:
            return self.mas_leaf_max_gap(mas)
        self.tests += 1
        node = mas.node & ~NODE_MASK
        if mt != ARANGE_64:
            self.bug("mas_max_gap: the node tracks no gaps", node)
        return self.mem.gap(node, self.mem.meta_gap(node))

    def mas_parent_gap(self, mas: MaState, offset: int, new: int) -> None:
        """Set gap ``offset`` of the parent to ``new``, and those above that change with it."""
        mem = self.mem
        enode = mas.node
        for _ in range(MAX_DESCENT):
            parent = self.mte_parent(enode)
            mt = self.mas_parent_type(mas, enode)
            self.tests += 1
            if mt != ARANGE_64:
                self.bug("mas_parent_gap: the parent tracks no gaps", parent)
            largest_at = mem.meta_gap(parent)
            largest = mem.gap(parent, largest_at)
            mem.set_gap(parent, offset, new)
            if largest == new:
                return
            if offset != largest_at:
                if largest > new:
                    return
                mem.set_meta_gap(parent, mt, offset)
            elif new < largest:
                new, largest_at = self.ma_max_gap(parent, mt)
                mem.set_meta_gap(parent, mt, largest_at)
            if mem.parent(parent) & ROOT_PARENT:
                return
            enode = parent | mt << 3 | 4
            offset = self.mte_parent_slot(enode)
        self.livelock("mas_parent_gap: the parents form a cycle", mas.node & ~NODE_MASK)

    def mas_update_gap(self, mas: MaState) -> None:
        """After a change in the state's node, bring its gap in the parent up to date."""
        if not self.mt_is_alloc(mas.tree):
            return
        node = mas.node & ~NODE_MASK
        if self.ma_is_root(node):
            return
        largest = self.mas_max_gap(mas)
        slot = self.mte_parent_slot(mas.node)
        if self.mem.gap(self.mte_parent(mas.node), slot) != largest:
            self.mas_parent_gap(mas, slot, largest)
