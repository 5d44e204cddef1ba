"""Writing one range: walking to it, choosing how to store, and each way of storing."""

from __future__ import annotations

from layout.node import PIVOT
from layout.pointers import ENODE_NULL, LEAF_64, NODE_MASK, ROOT_NODE, ROOT_PARENT, xa_is_node
from layout.tree.base import MAX_DESCENT
from layout.tree.split import Split
from layout.tree.state import (
    MA_ACTIVE,
    MA_NONE,
    MA_ROOT,
    MA_START,
    MA_STATE_BULK,
    WR_APPEND,
    WR_EXACT_FIT,
    WR_INVALID,
    WR_NEW_ROOT,
    WR_NODE_STORE,
    WR_REBALANCE,
    WR_SLOT_STORE,
    WR_SPANNING_STORE,
    WR_SPLIT_STORE,
    WR_STORE_ROOT,
    MaState,
    SubtreeState,
    WrState,
)


class Write(Split):
    """The store types of 6.12."""

    # -- the root

    def mas_root_expand(self, mas: MaState, entry: int) -> None:
        """Make the first node, for a root that held no node or a single entry."""
        mem = self.mem
        contents = mem.ma_root(mas.tree)
        node = self.mas_pop_node(mas)
        mem.set_parent(node, mas.tree | ROOT_PARENT)
        mas.node = node | LEAF_64 << 3 | ENODE_NULL
        mas.status = MA_ACTIVE
        slot = 0
        if mas.index:
            if contents:
                mem.set_slot(node, LEAF_64, 0, contents)
                if mas.index > 1:
                    slot = 1
            mem.set_pivot(node, slot, mas.index - 1)
            slot += 1
        mem.set_slot(node, LEAF_64, slot, entry)
        mas.offset = slot
        mem.set_pivot(node, slot, mas.last)
        if mas.last != self.ulong_max:
            slot += 1
            mem.set_pivot(node, slot, self.ulong_max)
        mas.depth = 1
        self.mas_set_height(mas)
        mem.set_meta(node, LEAF_64, 0, slot)
        mem.set_ma_root(mas.tree, mas.node | ROOT_NODE)

    def mas_store_root(self, mas: MaState, entry: int) -> None:
        """Store into a tree without nodes."""
        if not entry:
            if not mas.index:
                self.mem.set_ma_root(mas.tree, 0)
        elif mas.last or mas.index or entry & 3 == 2:
            self.mas_root_expand(mas, entry)
        else:
            self.mem.set_ma_root(mas.tree, entry)
            mas.status = MA_START

    def mas_new_root(self, mas: MaState, entry: int) -> None:
        """Replace the whole tree by one range, or by nothing."""
        mem = self.mem
        root = mem.ma_root(mas.tree)
        if not entry and not mas.index and mas.last == self.ulong_max:
            mas.depth = 0
            self.mas_set_height(mas)
            mem.set_ma_root(mas.tree, entry)
            mas.status = MA_START
        else:
            node = self.mas_pop_node(mas)
            mem.set_parent(node, mas.tree | ROOT_PARENT)
            mas.node = node | LEAF_64 << 3 | ENODE_NULL
            mas.status = MA_ACTIVE
            mem.set_slot(node, LEAF_64, 0, entry)
            mem.set_pivot(node, 0, mas.last)
            mas.depth = 1
            self.mas_set_height(mas)
            mem.set_ma_root(mas.tree, mas.node | ROOT_NODE)
        if xa_is_node(root):
            self.mte_destroy_walk(root, mas.tree)

    # -- walking down for a write

    def mas_is_span_wr(self, wr: WrState) -> bool:
        """Whether the write leaves the slot's range, or would leave a NULL at a node's end."""
        limit = wr.r_max
        last = wr.mas.last
        if last < limit:
            return False
        if wr.mt < 2:
            limit = wr.mas.max
            if last < limit:
                return False
        # a leaf may end in a NULL only where the tree ends
        return not (last == limit and (wr.entry or last == self.ulong_max))

    def mas_wr_walk_descend(self, wr: WrState) -> None:
        """Find the index in the state's node."""
        wr.mt = wr.mas.node >> 3 & 0xF
        self.mas_wr_node_walk(wr)

    def mas_wr_walk_traverse(self, wr: WrState) -> None:
        """Enter the child that was found."""
        mas = wr.mas
        mas.max = wr.r_max
        mas.min = wr.r_min
        mas.node = wr.content
        mas.offset = 0
        mas.depth = mas.depth + 1 & 0xFF

    def mas_wr_walk(self, wr: WrState) -> bool:
        """Walk down to the leaf to be written; false if the write spans nodes."""
        mas = wr.mas
        for _ in range(MAX_DESCENT):
            self.mas_wr_walk_descend(wr)
            if self.mas_is_span_wr(wr):
                return False
            wr.content = wr.words[self.slot0[wr.mt] + mas.offset]
            if wr.mt < 2:
                return True
            self.mas_wr_walk_traverse(wr)
        self.livelock("mas_wr_walk: the tree has a cycle", mas.node & ~NODE_MASK)

    def mas_wr_walk_index(self, wr: WrState) -> None:
        """Walk down to the leaf that holds the state's index."""
        mas = wr.mas
        for _ in range(MAX_DESCENT):
            self.mas_wr_walk_descend(wr)
            wr.content = wr.words[self.slot0[wr.mt] + mas.offset]
            if wr.mt < 2:
                return
            self.mas_wr_walk_traverse(wr)
        self.livelock("mas_wr_walk_index: the tree has a cycle", mas.node & ~NODE_MASK)

    # -- spanning stores

    def mas_extend_spanning_null(self, left: WrState, right: WrState) -> None:
        """Widen a NULL written over several nodes by the NULLs next to it."""
        top = self.ulong_max
        l_mas, r_mas = left.mas, right.mas
        slot = l_mas.offset
        slot0 = self.slot0[left.mt]
        if not left.content:
            l_mas.index = left.r_min
        if l_mas.index == left.r_min and slot and not left.words[slot0 + slot - 1]:
            l_mas.index = left.words[PIVOT + slot - 2] + 1 & top if slot > 1 else l_mas.min
            l_mas.offset = slot - 1
        if not right.content:
            r_mas.last = max(r_mas.last, right.r_max)
            r_mas.offset += 1
        elif (
            r_mas.last == right.r_max
            and r_mas.last < r_mas.max
            and not right.words[self.slot0[right.mt] + r_mas.offset + 1]
        ):
            # unreachable: the right side was walked to one index beyond last
            self.bug("mas_extend_spanning_null", r_mas.node & ~NODE_MASK)

    def mas_wr_spanning_store(self, wr: WrState) -> None:
        """Write a range that spans nodes: new nodes replace both sides and all in between."""
        mas = wr.mas
        top = self.ulong_max
        if not mas.index and mas.last == top:
            self.mas_new_root(mas, wr.entry)
            return
        height = self.mas_mt_height(mas)

        # the right side: the slot after the write, so that NULLs and neighbours are seen
        r_mas = mas.copy()
        if r_mas.last != top:
            r_mas.last += 1
        r_mas.index = r_mas.last
        right = WrState(r_mas, wr.entry)
        self.mas_wr_walk_index(right)
        r_mas.last = r_mas.index = mas.last

        l_mas = mas.copy()
        left = WrState(l_mas, wr.entry)
        self.mas_wr_walk_index(left)

        if not wr.entry:
            self.mas_extend_spanning_null(left, right)
            mas.offset = l_mas.offset
            mas.index = l_mas.index
            mas.last = l_mas.last = r_mas.last
        if not l_mas.index and r_mas.last == top:
            mas.reset()
            self.tests += 1
            mas.index, mas.last = 0, top
            self.mas_new_root(mas, wr.entry)
            return

        bn = self.new_big_node()
        self.mas_store_b_node(left, bn, l_mas.end)
        if self.mas_right_stays(r_mas):
            self.mas_mab_cp(r_mas, r_mas.offset, r_mas.end, bn, bn.b_end + 1)
        else:
            bn.b_end += 1
        l_mas.index = l_mas.last = mas.index
        self.mas_spanning_rebalance(mas, SubtreeState(l_mas, r_mas, bn), height + 1)

    def mas_right_stays(self, r_mas: MaState) -> bool:
        """Whether a spanning store leaves data at the end of its right leaf."""
        return r_mas.max > r_mas.last

    # -- stores within one node

    def mas_wr_node_store(self, wr: WrState, new_end: int) -> None:
        """Build the leaf anew, in a new node if readers may be in the old one."""
        mem = self.mem
        mas = wr.mas
        top = self.ulong_max
        words = wr.words
        mt = wr.mt
        pivots = self.mt_pivots[mt]
        slot0 = self.slot0[mt]
        offset_end = wr.offset_end
        in_rcu = self.mt_in_rcu(mas.tree)
        if mas.last == wr.end_piv:
            offset_end += 1
        elif wr.r_max == top:
            self.mas_bulk_rebalance(mas, mas.end, mt)

        node = mas.node & ~NODE_MASK
        target = self.mas_pop_node(mas) if in_rcu else node
        offset = mas.offset
        new = [0] * mem.node_words
        new[0] = words[0]
        new[PIVOT : PIVOT + offset] = words[PIVOT : PIVOT + offset]
        new[slot0 : slot0 + offset] = words[slot0 : slot0 + offset]
        if wr.r_min < mas.index:
            new[slot0 + offset] = wr.content
            new[PIVOT + offset] = mas.index - 1
            offset += 1
            mas.offset = offset
        if offset < pivots:
            new[PIVOT + offset] = mas.last
        new[slot0 + offset] = wr.entry
        if offset_end <= mas.end:
            to = offset + 1
            count = mas.end - offset_end + 1
            source = slot0 + offset_end
            new[slot0 + to : slot0 + to + count] = words[source : source + count]
            source = PIVOT + offset_end
            new[PIVOT + to : PIVOT + to + count - 1] = words[source : source + count - 1]
            if new_end < pivots:
                new[PIVOT + new_end] = mas.max
        mem.write_leaf(target, new, new_end)
        if in_rcu:
            old_enode = mas.node
            mas.node = target | mt << 3 | ENODE_NULL
            self.mas_replace_node(mas, old_enode)
        self.mas_update_gap(mas)
        mas.end = new_end

    def mas_wr_slot_store(self, wr: WrState) -> None:
        """Move one or two borders without changing the number of slots."""
        mem = self.mem
        mas = wr.mas
        mt, node, words = wr.mt, wr.node, wr.words
        slot0 = self.slot0[mt]
        offset = mas.offset
        gap = not words[slot0 + offset] or not words[slot0 + offset + 1]
        if wr.offset_end - offset == 1:
            if mas.index == wr.r_min:
                mem.set_slot(node, mt, offset, wr.entry)
                mem.set_pivot(node, offset, mas.last)
            else:
                mem.set_slot(node, mt, offset + 1, wr.entry)
                mem.set_pivot(node, offset, mas.index - 1)
                mas.offset = offset + 1
        elif not self.mt_in_rcu(mas.tree):
            gap = gap or not words[slot0 + offset + 2]
            mem.set_slot(node, mt, offset + 1, wr.entry)
            mem.set_pivot(node, offset, mas.index - 1)
            mem.set_pivot(node, offset + 1, mas.last)
            mas.offset = offset + 1
        else:
            return
        if not wr.entry or gap:
            self.mas_update_gap(mas)

    def mas_wr_append(self, wr: WrState, new_end: int) -> None:
        """Write behind the data of a leaf that no reader is in."""
        mem = self.mem
        mas = wr.mas
        mt, node, words = wr.mt, wr.node, wr.words
        end = mas.end
        if new_end < self.mt_pivots[mt]:
            mem.set_pivot(node, new_end, words[PIVOT + end])
            mem.set_meta(node, mt, 0, new_end)
        if new_end == end + 1:
            if mas.last == wr.r_max:
                mem.set_slot(node, mt, new_end, wr.entry)
                mem.set_pivot(node, end, mas.index - 1)
                mas.offset = new_end
            else:
                mem.set_slot(node, mt, new_end, wr.content)
                mem.set_pivot(node, end, mas.last)
                mem.set_slot(node, mt, end, wr.entry)
        else:
            mem.set_slot(node, mt, new_end, wr.content)
            mem.set_pivot(node, end + 1, mas.last)
            mem.set_slot(node, mt, end + 1, wr.entry)
            mem.set_pivot(node, end, mas.index - 1)
            mas.offset = end + 1
        if not wr.content or not wr.entry:
            self.mas_update_gap(mas)
        mas.end = new_end

    def mas_wr_exact_fit(self, wr: WrState) -> None:
        """Change the entry of a range that stays as it is."""
        mas = wr.mas
        self.mem.set_slot(wr.node, wr.mt, mas.offset, wr.entry)
        if (not wr.entry) != (not wr.content):
            self.mas_update_gap(mas)

    def mas_wr_bnode(self, wr: WrState) -> None:
        """Store through a big node: a split or a rebalance."""
        bn = self.new_big_node()
        self.mas_store_b_node(wr, bn, wr.offset_end)
        self.mas_commit_b_node(wr, bn)

    # -- choosing

    def mas_wr_extend_null(self, wr: WrState) -> None:
        """Widen a NULL by the NULLs next to it: two in a row are not allowed."""
        mas = wr.mas
        words = wr.words
        slot0 = self.slot0[wr.mt]
        if not words[slot0 + wr.offset_end]:
            mas.last = wr.end_piv
        elif (
            mas.last == wr.end_piv
            and mas.end != wr.offset_end
            and not words[slot0 + wr.offset_end + 1]
        ):
            wr.offset_end += 1
            mas.last = mas.max if wr.offset_end == mas.end else words[PIVOT + wr.offset_end]
            wr.end_piv = mas.last
        if not wr.content:
            mas.index = wr.r_min
        elif mas.index == wr.r_min and mas.offset and not words[slot0 + mas.offset - 1]:
            offset = mas.offset = mas.offset - 1
            low = words[PIVOT + offset - 1] + 1 & self.ulong_max if offset else mas.min
            wr.r_min = mas.index = low
            wr.r_max = words[PIVOT + offset]

    def mas_wr_end_piv(self, wr: WrState) -> None:
        """Find the slot in which the write ends, and that slot's last index."""
        mas = wr.mas
        words = wr.words
        offset, end, last = wr.offset_end, mas.end, mas.last
        while offset < end and last > words[PIVOT + offset]:
            offset += 1
        wr.offset_end = offset
        wr.end_piv = words[PIVOT + offset] if offset < end else mas.max

    def mas_wr_new_end(self, wr: WrState) -> int:
        """The end of the data after the write."""
        mas = wr.mas
        new_end = mas.end + 2 - (wr.offset_end - mas.offset)
        if wr.r_min == mas.index:
            new_end -= 1
        if wr.end_piv == mas.last:
            new_end -= 1
        return new_end & 0xFF

    def mas_wr_store_type(self, wr: WrState) -> None:
        """Walk to the place of the write and choose the way to store."""
        mas = wr.mas
        if mas.status in (MA_NONE, MA_ROOT):
            mas.store_type = WR_STORE_ROOT
            return
        if not self.mas_wr_walk(wr):
            mas.store_type = WR_SPANNING_STORE
            return
        self.mas_wr_end_piv(wr)
        if not wr.entry:
            self.mas_wr_extend_null(wr)
        mas.store_type = self._store_type_in_leaf(wr)

    def _store_type_in_leaf(self, wr: WrState) -> int:
        mas = wr.mas
        mt = wr.mt
        new_end = self.mas_wr_new_end(wr)
        if wr.r_min == mas.index and wr.r_max == mas.last:
            return WR_EXACT_FIT
        if not mas.index and mas.last == self.ulong_max:
            return WR_NEW_ROOT
        if new_end < self.mt_min_slots[mt]:
            is_root = self.ma_is_root(mas.node & ~NODE_MASK)
            return WR_NODE_STORE if is_root or mas.mas_flags & MA_STATE_BULK else WR_REBALANCE
        if new_end >= self.mt_slots[mt]:
            return WR_SPLIT_STORE
        in_rcu = self.mt_in_rcu(mas.tree)
        if not in_rcu and mas.offset == mas.end:
            return WR_APPEND
        if new_end == mas.end and (not in_rcu or wr.offset_end - mas.offset == 1):
            return WR_SLOT_STORE
        return WR_NODE_STORE

    def mas_wr_store_entry(self, wr: WrState) -> None:
        """Store in the way that was chosen."""
        mas = wr.mas
        store_type = mas.store_type
        if store_type == WR_NODE_STORE:
            self.mas_wr_node_store(wr, self.mas_wr_new_end(wr))
        elif store_type == WR_APPEND:
            self.mas_wr_append(wr, self.mas_wr_new_end(wr))
        elif store_type == WR_SLOT_STORE:
            self.mas_wr_slot_store(wr)
        elif store_type == WR_EXACT_FIT:
            self.mas_wr_exact_fit(wr)
        elif store_type == WR_SPANNING_STORE:
            self.mas_wr_spanning_store(wr)
        elif store_type in (WR_SPLIT_STORE, WR_REBALANCE):
            self.mas_wr_bnode(wr)
        elif store_type == WR_STORE_ROOT:
            self.mas_store_root(mas, wr.entry)
        elif store_type == WR_NEW_ROOT:
            self.mas_new_root(mas, wr.entry)
        elif store_type == WR_INVALID:
            self.tests += 1
            self.bug("mas_wr_store_entry: no store type was chosen", mas.tree)
