"""The big node: gathering the data of one or two nodes and spreading it over new ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layout import structs
from layout.node import PIVOT, NodeMemory
from layout.pointers import ENODE_NULL, NODE_MASK
from layout.tree.destroy import Destroy
from layout.tree.peeks import peeks
from layout.tree.state import MA_STATE_BULK, MA_STATE_REBALANCE, BigNode, MaState, WrState

if TYPE_CHECKING:
    from layout.slab import NodeCache


class BigNodes(Destroy):
    """Copying between nodes and struct maple_big_node."""

    def __init__(self, mem: NodeMemory, cache: NodeCache) -> None:
        super().__init__(mem, cache)
        layout = structs.profile(mem.arch).layout("maple_big_node")  # whatever kernel is read
        word = mem.word_size
        self._big = (
            layout.offset("pivot") // word,
            layout.offset("slot") // word,
            layout.offset("gap") // word,
            -(-layout.size // word),
        )

    def new_big_node(self) -> BigNode:
        """A zeroed big node on the stack."""
        return BigNode(*self._big)

    def mab_shift_right(self, bn: BigNode, shift: int) -> None:
        """Move all data ``shift`` places up; what was there stays below."""
        words, size = bn.words, bn.b_end
        bases = [bn.pivot0, bn.slot0]
        if bn.mt == 3:
            bases.append(bn.gap0)
        for base in bases:
            words[base + shift : base + shift + size] = words[base : base + size]

    def mab_middle_node(self, bn: BigNode, split: int, slot_count: int) -> bool:
        """Whether the data needs a third node."""
        size = bn.b_end
        if size >= 2 * slot_count:
            return True
        return not bn.words[bn.slot0 + split] and size >= 2 * slot_count - 1

    def mab_no_null_split(self, bn: BigNode, split: int, slot_count: int) -> int:
        """Move a split that would leave a NULL at the end of the left node."""
        if bn.words[bn.slot0 + split]:
            return split
        if split < slot_count - 1 and bn.b_end - split > self.mt_min_slots[bn.mt]:
            return split + 1
        return split - 1

    def mab_calc_split(self, mas: MaState, bn: BigNode) -> tuple[int, int]:
        """Where to split the data, and where to split it again (0: only two nodes)."""
        slot_count = self.mt_slots[bn.mt]
        if mas.mas_flags & MA_STATE_BULK:
            split = bn.b_end - self.mt_min_slots[bn.mt]
            if bn.mt < 2:
                mas.mas_flags |= MA_STATE_REBALANCE
                if not bn.words[bn.slot0 + split]:
                    split -= 1
            return split, 0
        split = bn.b_end // 2
        middle = 0
        if self.mab_middle_node(bn, split, slot_count):
            split = bn.b_end // 3
            middle = split * 2
        split = self.mab_no_null_split(bn, split, slot_count)
        if middle:
            middle = self.mab_no_null_split(bn, middle, slot_count)
        return split, middle

    def mas_mab_cp(self, mas: MaState, first: int, last: int, bn: BigNode, at: int) -> None:
        """Copy slots ``first`` to ``last`` of the state's node to ``at``; stops at the data's end.

        Leaves the next free place in b_end.
        """
        mt = mas.node >> 3 & 0xF
        node = mas.node & ~NODE_MASK
        words = self.mem.read_node(node, mt)
        big, pivot0 = bn.words, bn.pivot0
        i, j = first, at
        complete = False
        if not i:
            big[pivot0 + j] = words[PIVOT]
            i = 1
            if i > last:
                complete = True
            else:
                j += 1
        if not complete:
            pivots = self.mt_pivots[mt]
            limit = mas.max
            stop = min(last, pivots)
            while i < stop:
                pivot = words[PIVOT + i]
                big[pivot0 + j] = pivot
                if not pivot:
                    break
                if pivot == limit:
                    complete = True
                    break
                i += 1
                j += 1
            if not complete and i <= last:
                big[pivot0 + j] = words[PIVOT + i] if i < pivots else limit
        bn.b_end = j + 1
        count = j + 1 - at
        slot0 = self.slot0[mt] + first
        big[bn.slot0 + at : bn.slot0 + at + count] = words[slot0 : slot0 + count]
        if mt >= 2 and self.mt_is_alloc(mas.tree):
            gap0 = self.gap0 + first
            big[bn.gap0 + at : bn.gap0 + at + count] = words[gap0 : gap0 + count]

    def mas_leaf_set_meta(self, node: int, mt: int, end: int) -> None:
        """Write a leaf's metadata unless its last slot is in use."""
        if end < self.mt_slots[mt] - 1:
            self.mem.set_meta(node, mt, 0, end)

    @peeks("pivot overwritten as slot", why="of 16 pivots the last lies where slot 0 goes next")
    def mab_mas_cp(
        self, bn: BigNode, first: int, last: int, mas: MaState, *, new_max: bool
    ) -> None:
        """Copy places ``first`` to ``last`` into the state's node, and write its metadata."""
        mem = self.mem
        mt = mas.node >> 3 & 0xF
        node = mas.node & ~NODE_MASK
        pivots = self.mt_pivots[mt]
        big, pivot0 = bn.words, bn.pivot0
        if last - first > pivots:
            last -= 1
        if not mem.pivot(node, pivots - 1):
            mem.set_slot(node, mt, pivots, 0)
        i = first + 1
        while i <= last and big[pivot0 + i]:
            i += 1
        count = i - first
        mem.set_pivots(node, 0, big[pivot0 + first : pivot0 + i])
        mem.set_slots(node, mt, 0, big[bn.slot0 + first : bn.slot0 + i])
        if new_max:
            mas.max = big[pivot0 + i - 1]
        end = count - 1
        if mt >= 2 and self.mt_is_alloc(mas.tree):
            gaps = big[bn.gap0 + first : bn.gap0 + i]
            mem.set_gaps(node, 0, gaps)
            largest = max(gaps)
            # the highest offset wins ties; no gap at all is recorded as offset 0
            offset = len(gaps) - 1 - gaps[::-1].index(largest) if largest else 0
            mem.set_meta(node, mt, offset, end)
        else:
            self.mas_leaf_set_meta(node, mt, end)

    def mas_bulk_rebalance(self, mas: MaState, end: int, mt: int) -> None:
        """In bulk mode, note that the rightmost node is big enough."""
        if not mas.mas_flags & MA_STATE_BULK or self.ma_is_root(mas.node & ~NODE_MASK):
            return
        if end > self.mt_min_slots[mt]:
            mas.mas_flags &= ~MA_STATE_REBALANCE

    def mas_store_b_node(self, wr: WrState, bn: BigNode, offset_end: int) -> None:
        """Fill the big node with the leaf's data and the new entry."""
        top = self.ulong_max
        mas = wr.mas
        big, pivot0, slot0, gap0 = bn.words, bn.pivot0, bn.slot0, bn.gap0
        bn.mt = wr.mt
        b_end = 0
        slot = mas.offset
        if slot:
            self.mas_mab_cp(mas, 0, slot - 1, bn, 0)
            b_end = bn.b_end
            pivot = big[pivot0 + b_end - 1]
        else:
            pivot = mas.min - 1 & top
        if (pivot + 1 & top) < mas.index:
            big[slot0 + b_end] = wr.content
            if not wr.content:
                big[gap0 + b_end] = mas.index - 1 - pivot & top
            big[pivot0 + b_end] = mas.index - 1
            b_end += 1

        mas.offset = b_end
        big[slot0 + b_end] = wr.entry
        big[pivot0 + b_end] = mas.last
        if mas.last >= mas.max:
            bn.b_end = b_end
            return

        pivot = wr.words[PIVOT + offset_end] if offset_end < self.mt_pivots[wr.mt] else mas.max
        if pivot > mas.last:
            if pivot == top:
                self.mas_bulk_rebalance(mas, bn.b_end, wr.mt)
            if offset_end != slot:
                wr.content = wr.words[self.slot0[wr.mt] + offset_end]
            b_end += 1
            big[slot0 + b_end] = wr.content
            if not wr.content:
                big[gap0 + b_end] = pivot - mas.last + 1
            big[pivot0 + b_end] = pivot

        slot = offset_end + 1
        if slot > mas.end:
            bn.b_end = b_end
            return
        self.mas_mab_cp(mas, slot, mas.end + 1, bn, b_end + 1)
        bn.b_end -= 1

    def mas_new_ma_node(self, mas: MaState, bn: BigNode) -> int:
        """Take a node from the state; its enode has the big node's type."""
        return self.mas_pop_node(mas) | bn.mt << 3 | ENODE_NULL

    def mab_set_b_end(self, bn: BigNode, mas: MaState, enode: int) -> None:
        """Append a child, with its gap and largest index, to the big node."""
        if not enode:
            return
        bn.words[bn.slot0 + bn.b_end] = enode
        if self.mt_is_alloc(mas.tree):
            bn.words[bn.gap0 + bn.b_end] = self.mas_max_gap(mas)
        bn.words[bn.pivot0 + bn.b_end] = mas.max
        bn.b_end += 1
