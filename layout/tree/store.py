"""The writing operations: store, preallocate, insert, erase, allocate a range, bulk loading."""

from __future__ import annotations

from layout.node import PIVOT
from layout.pointers import (
    ENODE_NULL,
    MT_FLAGS_ALLOC_WRAPPED,
    NODE_MASK,
    mt_is_reserved,
    xa_is_advanced,
)
from layout.slab import GFP_KERNEL
from layout.tree.peeks import peeks
from layout.tree.state import (
    EEXIST,
    EINVAL,
    MA_ERROR,
    MA_NONE,
    MA_OVERFLOW,
    MA_PAUSE,
    MA_START,
    MA_STATE_BULK,
    MA_STATE_PREALLOC,
    MA_STATE_REBALANCE,
    MA_UNDERFLOW,
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
    WrState,
)
from layout.tree.write import Write

_RESTART = frozenset((MA_PAUSE, MA_NONE, MA_OVERFLOW, MA_UNDERFLOW))


def _as_int(number: int) -> int:
    """``number`` truncated to a C int."""
    number &= 0xFFFFFFFF
    return number - (1 << 32) if number >> 31 else number


def _div_round_up(number: int, divisor: int) -> int:
    """DIV_ROUND_UP on C ints: the division truncates towards 0."""
    number = _as_int(number + divisor - 1)  # wraps, as compiled
    return number // divisor if number >= 0 else -(-number // divisor)


class Store(Write):
    """Writes with their memory: what may fail, and what is given back."""

    # -- memory for a write

    def mas_wr_prealloc_setup(self, wr: WrState) -> None:
        """See that the state is at a node from which the write can be walked to."""
        mas = wr.mas
        status = mas.status
        if status != MA_START and (
            status in _RESTART
            or mas.last > mas.max
            or (not wr.entry and mas.node >> 3 & 0xF < 2 and mas.last == mas.max)
        ):
            mas.reset()
        wr.content = self.mas_start(mas)

    def mas_prealloc_calc(self, mas: MaState, entry: int) -> int:
        """How many nodes the store type needs."""
        store_type = mas.store_type
        if store_type in (WR_APPEND, WR_EXACT_FIT, WR_SLOT_STORE):
            return 0
        if store_type == WR_NODE_STORE:
            return 1 if self.mt_in_rcu(mas.tree) else 0
        if store_type == WR_STORE_ROOT:
            return 1 if mas.last or mas.index or entry & 3 == 2 else 0
        if store_type == WR_NEW_ROOT:
            return 1
        height = self.mas_mt_height(mas)
        if store_type == WR_SPLIT_STORE:
            return height * 2 + 1
        if store_type == WR_REBALANCE:
            return height * 2 - 1
        if store_type == WR_INVALID:
            self.warn_on()
        return height * 3 + 1

    def mas_wr_preallocate(self, wr: WrState, entry: int) -> None:
        """Choose the store type and get its nodes without blocking; may set -ENOMEM."""
        mas = wr.mas
        self.mas_wr_prealloc_setup(wr)
        self.mas_wr_store_type(wr)
        request = self.mas_prealloc_calc(mas, entry)
        if request:
            self.mas_node_count(mas, request)

    def mas_preallocate(self, mas: MaState, entry: int, gfp: int = GFP_KERNEL) -> int:
        """Get all nodes that storing ``entry`` will need. Returns 0 or -ENOMEM."""
        wr = WrState(mas, entry)
        self.mas_wr_prealloc_setup(wr)
        self.mas_wr_store_type(wr)
        request = self.mas_prealloc_calc(mas, entry)
        if request:
            mas.mas_flags &= ~MA_STATE_PREALLOC
            self.mas_node_count_gfp(mas, request, gfp)
            if mas.status == MA_ERROR:
                self.mas_set_alloc_req(mas, 0)
                err = self.xa_err(mas.node)
                self.mas_destroy(mas)
                mas.reset()
                return err
        mas.mas_flags |= MA_STATE_PREALLOC
        return 0

    @peeks(
        *("never written", "pivot read as alloc.slot"),
        why="the last node of the chain holds no other: what is read is dropped",
    )
    def mas_destroy(self, mas: MaState) -> None:
        """Give back the nodes in reserve; after a bulk load, mend the last leaf first."""
        mem = self.mem
        if mas.mas_flags & MA_STATE_REBALANCE:
            if mas.status == MA_ERROR:
                mas.reset()
            self.mas_start(mas)
            self.mtree_range_walk(mas)
            end = mas.end + 1
            if end < self.mt_min_slots[mas.node >> 3 & 0xF] - 1:
                self.mas_destroy_rebalance(mas, end)
            mas.mas_flags &= ~MA_STATE_REBALANCE
        mas.mas_flags &= ~(MA_STATE_BULK | MA_STATE_PREALLOC)

        total = self.mas_allocated(mas)
        while total:
            node = mas.alloc
            mas.alloc = mem.alloc_slot(node, 0)
            count = mem.alloc_count(node)
            if count > 1:
                self.mt_free_bulk(count - 1, node + mem.alloc_slot_offset + mem.word_size)
                total -= count - 1
            self.cache.free(node)
            total -= 1
        mas.alloc = 0

    def mas_destroy_rebalance(self, mas: MaState, end: int) -> None:
        """Fill up the last leaf of a bulk load from the one before it."""
        mem = self.mem
        mt = mas.node >> 3 & 0xF
        slot0, pivots, slots = self.slot0[mt], self.mt_pivots[mt], self.mt_slots[mt]
        in_rcu = self.mt_in_rcu(mas.tree)
        l_mas = mas.copy()
        self.mas_prev_sibling(l_mas)
        node, left = mas.node & ~NODE_MASK, l_mas.node & ~NODE_MASK
        new_node = self.mas_pop_node(mas) if in_rcu else 0

        words, l_words = mem.read_node(node, mt), mem.read_node(left, mt)
        split = slots // 2
        if not l_words[slot0 + split]:
            split += 1
        moved = self.mas_data_end(l_mas) - split
        if moved < 0:
            # an unsigned char in C: it copies some 250 words over its own stack
            self.bug("mas_destroy_rebalance: too little data to the left", left)
        new = [0] * mem.node_words
        new[0] = words[0]
        first = slot0 + split + 1
        new[slot0 : slot0 + moved] = l_words[first : first + moved]
        first = PIVOT + split + 1
        new[PIVOT : PIVOT + moved] = l_words[first : first + moved]
        new[PIVOT + moved] = l_mas.max
        at = slot0 + moved
        new[at : at + end] = words[slot0 : slot0 + end]
        at = PIVOT + moved
        new[at : at + end] = words[PIVOT : PIVOT + end]

        l_mas.max = l_words[PIVOT + split]
        mas.min = l_mas.max + 1
        old_parent = self.mas_parent_enode(l_mas, l_mas.node)
        count = moved + end
        if in_rcu:
            mem.write_leaf(new_node, new, count - 1)
            mem.set_meta(new_node, mt, 0, count)
            eparent = self._replace_last_two(mas, l_mas, old_parent, new_node, split)
        else:
            if count < pivots:
                new[PIVOT + count : PIVOT + pivots] = [0] * (pivots - count)
            if count < slots:
                new[slot0 + count : slot0 + slots] = [0] * (slots - count)
            mem.write_leaf(node, new, count - 1)
            mem.set_pivot(
                old_parent & ~NODE_MASK, self.mte_parent_slot(l_mas.node), l_words[PIVOT + split]
            )
            first = split + 1
            mem.set_pivots(left, first, [0] * (pivots - first))
            mem.set_slots(left, mt, first, [0] * (slots - first))
            mem.set_meta(left, mt, 0, split)
            eparent = old_parent

        for state in (mas, l_mas):
            gap = self.mas_leaf_max_gap(state)
            if eparent >> 3 & 0xF == 3:
                mem.set_gap(eparent & ~NODE_MASK, self.mte_parent_slot(state.node), gap)
        self.mas_ascend(mas)
        if in_rcu:
            self.mas_replace_node(mas, old_parent)
            self.mas_adopt_children(mas, mas.node)
        self.mas_update_gap(mas)

    def _replace_last_two(
        self, mas: MaState, l_mas: MaState, old_parent: int, new_node: int, split: int
    ) -> int:
        """New nodes for the last two leaves and their parent; returns the parent's enode."""
        mem = self.mem
        mt = mas.node >> 3 & 0xF
        mas.node = new_node | mt << 3 | ENODE_NULL
        left = l_mas.node & ~NODE_MASK
        words = mem.read_node(left, mt)
        slot0 = self.slot0[mt]
        new_left = self.mas_pop_node(mas)
        mem.set_parent(new_left, words[0])
        mem.set_slots(new_left, mt, 0, words[slot0 : slot0 + split])
        mem.set_pivots(new_left, 0, words[PIVOT : PIVOT + split])
        mem.set_meta(new_left, mt, 0, split)
        l_mas.node = new_left | mt << 3 | ENODE_NULL

        offset = self.mte_parent_slot(mas.node)
        mt = self.mas_parent_type(l_mas, l_mas.node)
        parent = self.mas_pop_node(mas)
        mem.copy_node(parent, old_parent & ~NODE_MASK)
        mem.set_slot(parent, mt, offset, mas.node)
        mem.set_slot(parent, mt, offset - 1, l_mas.node)
        mem.set_pivot(parent, offset - 1, l_mas.max)
        return parent | mt << 3 | ENODE_NULL

    # -- storing

    def mas_store(self, mas: MaState, entry: int) -> int:
        """Store over the state's index and last; returns what was at the index. May set -ENOMEM."""
        wr = WrState(mas, entry)
        self.tests += 1
        if mas.index > mas.last:
            self.mas_store_backwards(mas, entry)
            return 0
        self.mas_wr_prealloc_setup(wr)
        self.mas_wr_store_type(wr)
        if mas.mas_flags & MA_STATE_PREALLOC:
            self.mas_wr_store_entry(wr)
            self.tests += 1
            if mas.status == MA_ERROR:
                self.bug("mas_store: an error in a preallocated store", mas.tree)
            return wr.content
        request = self.mas_prealloc_calc(mas, entry)
        if request:
            self.mas_node_count(mas, request)
            if mas.status == MA_ERROR:
                return 0
        self.mas_wr_store_entry(wr)
        self.mas_destroy(mas)
        return wr.content

    def mas_store_backwards(self, mas: MaState, entry: int) -> None:
        """Refuse a range whose first index is above its last."""
        pointer = self.mem.arch.hex_pointer(entry)
        self.printk(f"Error {mas.index:X} > {mas.last:X} {pointer}\n")
        self.mas_set_err(mas, EINVAL)

    def mas_store_gfp(self, mas: MaState, entry: int, gfp: int = GFP_KERNEL) -> int:
        """Store over the state's index and last. Returns 0 or a negative errno."""
        index, last = mas.index, mas.last
        wr = WrState(mas, entry)
        while True:
            self.mas_wr_preallocate(wr, entry)
            if not self.mas_nomem(mas, gfp):
                break
            if not entry:
                self.tests += 1
                mas.index, mas.last = index, last
        err = 0
        if mas.status == MA_ERROR:
            err = self.xa_err(mas.node)
        else:
            self.mas_wr_store_entry(wr)
        self.mas_destroy(mas)
        return err

    def mas_store_prealloc(self, mas: MaState, entry: int) -> None:
        """Store with the nodes that mas_preallocate() got; cannot fail."""
        wr = WrState(mas, entry)
        if mas.store_type == WR_STORE_ROOT:
            self.mas_wr_prealloc_setup(wr)
        else:
            self.mas_wr_walk_descend(wr)
            if mas.store_type != WR_SPANNING_STORE:
                wr.content = wr.words[self.slot0[wr.mt] + mas.offset]
                self.mas_wr_end_piv(wr)
        self.mas_wr_store_entry(wr)
        self.tests += 1
        if mas.status == MA_ERROR:
            self.bug("mas_store_prealloc: an error in a preallocated store", mas.tree)
        self.mas_destroy(mas)

    def mas_insert(self, mas: MaState, entry: int) -> int:
        """Store only where nothing is; sets -EEXIST and returns the entry otherwise."""
        wr = WrState(mas, entry)
        wr.content = self.mas_start(mas)
        if wr.content:
            self.mas_set_err(mas, EEXIST)
            return wr.content
        self.mas_wr_preallocate(wr, entry)
        if mas.status == MA_ERROR:
            return 0
        exists = mas.store_type == WR_SPANNING_STORE
        if not exists and mas.store_type not in (WR_NEW_ROOT, WR_STORE_ROOT):
            wr.offset_end = mas.offset
            wr.end_piv = wr.r_max
            exists = wr.content != 0 or mas.last > wr.r_max
        if exists:
            self.mas_set_err(mas, EEXIST)
            return wr.content
        self.mas_wr_store_entry(wr)
        return wr.content

    def mas_erase(self, mas: MaState) -> int:
        """Erase the whole range around the state's index; returns its entry. May set -ENOMEM."""
        index = mas.index
        wr = WrState(mas, 0)
        mas.status = MA_START
        while True:
            entry = self.mas_state_walk(mas)
            if not entry:
                return 0
            mas.reset()  # so that a write of the last slot is seen to span nodes
            self.mas_wr_preallocate(wr, 0)
            if not self.mas_nomem(mas, GFP_KERNEL):
                break
            mas.index = mas.last = index
        if mas.status != MA_ERROR:
            self.mas_wr_store_entry(wr)
        self.mas_destroy(mas)
        return entry

    def mas_expected_entries(self, mas: MaState, count: int) -> int:
        """Get the nodes for ``count`` ascending stores into an empty tree. Returns 0 or -ENOMEM."""
        sizes = self.mem.profile.sizes
        enode = mas.node
        mas.mas_flags |= MA_STATE_BULK
        capacity = sizes.arange64_slots if self.mt_is_alloc(mas.tree) else sizes.range64_slots
        nodes = _as_int(max(count, count * 2 + 1 & self.ulong_max))
        nodes = _div_round_up(nodes, sizes.range64_slots - 2)
        nodes = _as_int(nodes + _div_round_up(nodes, capacity - 2))
        self.mas_node_count_gfp(mas, nodes + 3 & self.ulong_max, GFP_KERNEL)
        mas.mas_flags |= MA_STATE_PREALLOC
        if mas.status != MA_ERROR:
            return 0
        err = self.xa_err(mas.node)
        mas.node = enode
        self.mas_destroy(mas)
        return err

    # -- the ordinary API

    def mtree_store_range(
        self, tree: int, index: int, last: int, entry: int, gfp: int = GFP_KERNEL
    ) -> int:
        """Store ``entry`` over [index, last]. Returns 0, -EINVAL or -ENOMEM. O(log n)."""
        if xa_is_advanced(entry):
            self.warn_on()
            return -EINVAL
        if index > last:
            return -EINVAL
        return self.mas_store_gfp(self.new_state(tree, index, last), entry, gfp)

    def mtree_insert_range(
        self, tree: int, index: int, last: int, entry: int, gfp: int = GFP_KERNEL
    ) -> int:
        """Store ``entry`` over [index, last] if that is free. Returns 0 or a negative errno."""
        if xa_is_advanced(entry):
            self.warn_on()
            return -EINVAL
        if index > last:
            return -EINVAL
        mas = self.new_state(tree, index, last)
        while True:
            self.mas_insert(mas, entry)
            if not self.mas_nomem(mas, gfp):
                break
        err = self.xa_err(mas.node) if mas.status == MA_ERROR else 0
        self.mas_destroy(mas)
        return err

    def mtree_erase(self, tree: int, index: int) -> int:
        """Erase the whole range around ``index``; returns its entry. O(log n)."""
        return self.mas_erase(self.new_state(tree, index))

    def _mtree_alloc(
        self, tree: int, entry: int, size: int, low: int, high: int, gfp: int, *, reverse: bool
    ) -> tuple[int, int]:
        if not self.mt_is_alloc(tree):
            return -EINVAL, 0
        if mt_is_reserved(entry):
            self.warn_on()
            return -EINVAL, 0
        mas = self.new_state(tree, 0)
        search = self.mas_empty_area_rev if reverse else self.mas_empty_area
        start = 0
        while True:
            ret = search(mas, low, high, size)
            if ret:
                break
            self.mas_insert(mas, entry)
            if self.mas_nomem(mas, gfp):
                continue
            if mas.status == MA_ERROR:
                ret = self.xa_err(mas.node)
            else:
                start = mas.index
            break
        self.mas_destroy(mas)
        return ret, start

    def mtree_alloc_range(
        self, tree: int, entry: int, size: int, low: int, high: int, gfp: int = GFP_KERNEL
    ) -> tuple[int, int]:
        """Store ``entry`` in the lowest free run of ``size`` within [low, high].

        Returns (0, start), or (a negative errno, 0).
        """
        return self._mtree_alloc(tree, entry, size, low, high, gfp, reverse=False)

    def mtree_alloc_rrange(
        self, tree: int, entry: int, size: int, low: int, high: int, gfp: int = GFP_KERNEL
    ) -> tuple[int, int]:
        """mtree_alloc_range() for the highest free run."""
        return self._mtree_alloc(tree, entry, size, low, high, gfp, reverse=True)

    def mtree_alloc_cyclic(
        self, tree: int, entry: int, low: int, high: int, following: int, gfp: int = GFP_KERNEL
    ) -> tuple[int, int, int]:
        """Store ``entry`` at the first free index from ``following`` on, wrapping to ``low``.

        Returns (0 or 1 if it wrapped, index, next following), or (a negative errno, 0,
        ``following``).
        """
        if not self.mt_is_alloc(tree):
            return -EINVAL, 0, following
        if mt_is_reserved(entry):
            self.warn_on()
            return -EINVAL, 0, following
        mas = self.new_state(tree, 0)
        start = 0
        floor = low
        while True:
            low = max(floor, following)
            ret = self.mas_empty_area(mas, low, high, 1)
            if ret < 0 and low > floor:
                mas.reset()
                ret = self.mas_empty_area(mas, floor, high, 1)
                if ret == 0:
                    ret = 1
            if ret < 0:
                self.mas_destroy(mas)
                return ret, start, following
            self.mas_insert(mas, entry)
            if not self.mas_nomem(mas, gfp):
                break
        if mas.status == MA_ERROR:
            ret = self.xa_err(mas.node)
        else:
            mem = self.mem
            if mem.ma_flags(tree) & MT_FLAGS_ALLOC_WRAPPED and ret == 0:
                mem.set_ma_flags(tree, mem.ma_flags(tree) & ~MT_FLAGS_ALLOC_WRAPPED)
                ret = 1
            start = mas.index
            following = start + 1 & self.ulong_max
            if following == 0:
                mem.set_ma_flags(tree, mem.ma_flags(tree) | MT_FLAGS_ALLOC_WRAPPED)
        self.mas_destroy(mas)
        return ret, start, following
