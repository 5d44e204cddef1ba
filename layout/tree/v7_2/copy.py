"""Building new nodes from a struct maple_copy: sources, destinations, copying, the next level.

Every store that needs new nodes takes these steps once a level, the leaf first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from layout.memory.pointers import (
    ARANGE_64,
    RANGE_64,
    ROOT_PARENT,
    Word,
    ma_is_leaf,
    mt_mk_node,
    mte_node_type,
    mte_to_node,
)
from layout.tree.peeks import is_zero, peeks
from layout.tree.v7_2.state import COPY_SLOTS, COPY_SOURCES, MAPLE_COPY, MapleCopy

if TYPE_CHECKING:
    from layout.tree.state import MaState, WrState
    from layout.tree.v7_2.kernel import Kernel72


def new_copy(k: Kernel72) -> MapleCopy:
    """A zeroed struct maple_copy on the stack."""
    sources, slots = [0] * COPY_SOURCES, [0] * COPY_SLOTS
    return MapleCopy(
        src_node=sources.copy(),
        src_mt=sources.copy(),
        src_start=sources.copy(),
        src_end=sources.copy(),
        src_max=sources,
        dst_node=slots.copy(),
        dst_mt=slots.copy(),
        dst_max=slots.copy(),
        slot=slots.copy(),
        pivot=slots.copy(),
        gap=slots,
        words=k.new_words(),
    )


# -- the new content


def cp_leaf_init(k: Kernel72, cp: MapleCopy, mas: MaState, left: WrState, right: WrState) -> None:
    """Take the new entry as content, between what stays of the entries that it cuts."""
    end = 0
    cp.height = 1
    if left.r_min < mas.index:
        end = 1
        cp.slot[0] = left.content
        cp.pivot[0] = mas.index - 1
    cp.slot[end] = left.entry
    cp.pivot[end] = mas.last
    if right.end_piv > mas.last:
        end += 1
        cp.slot[end] = k.mem.slot(right.node, right.mt, right.offset_end)
        cp.pivot[end] = right.end_piv
    cp.min = left.r_min
    cp.pivot[2] = cp.pivot[end]  # cp->max
    cp.end = end


def cp_data_calc(k: Kernel72, cp: MapleCopy, left: WrState, right: WrState) -> None:
    """Count the slots to be written: left of the content, the content, right of it."""
    cp.data = left.mas.offset + cp.end + 1 + right.mas.end - right.offset_end


# -- a sibling, if it helps


def data_fits(k: Kernel72, sib: MaState, mas: MaState, cp: MapleCopy) -> bool:
    """Whether the data and the sibling's go into two nodes with a slot to spare."""
    return sib.end + 1 + cp.data < 2 * k.mt_slots[mte_node_type(mas.node)]


def push_data_sib(k: Kernel72, cp: MapleCopy, mas: MaState, sib: MaState, parent: MaState) -> None:
    """Find the left or right sibling that takes data in; ``sib.end`` is 0 if there is none."""
    sib.end = 0
    if k.mte_is_root(mas.node):
        return
    sib.assign(parent)
    if sib.offset:
        sib.offset -= 1
        k.mas_descend(sib)
        sib.end = k.mas_data_end(sib)
        if k.data_fits(sib, mas, cp):
            return
        sib.assign(parent)
    if sib.offset < sib.end:
        sib.offset += 1
        k.mas_descend(sib)
        sib.end = k.mas_data_end(sib)
        if k.data_fits(sib, mas, cp):
            return
    sib.end = 0


# -- sources


def append_mas_cp(k: Kernel72, cp: MapleCopy, mas: MaState, start: int, end: int) -> None:
    """Add slots of a state's node to the sources."""
    node = mte_to_node(mas.node)
    limit = mas.max if mas.end <= end else k.mem.pivot(node, end)
    _append(cp, node, mte_node_type(mas.node), start, end, limit)


def append_wr_mas_cp(k: Kernel72, cp: MapleCopy, wr: WrState, start: int, end: int) -> None:
    """Add slots of a write state's node to the sources."""
    limit = wr.mas.max if wr.mas.end <= end else k.mem.pivot(wr.node, end)
    _append(cp, wr.node, wr.mt, start, end, limit)


def init_cp_src(k: Kernel72, cp: MapleCopy) -> None:
    """Add the new content to the sources."""
    _append(cp, 0, MAPLE_COPY, 0, cp.end, cp.pivot[2])


def _append(cp: MapleCopy, node: Word, mt: int, start: int, end: int, limit: Word) -> None:
    count = cp.s_count
    cp.src_node[count] = node
    cp.src_mt[count] = mt
    cp.src_max[count] = limit
    cp.src_start[count] = start
    cp.src_end[count] = end
    cp.s_count = count + 1


def multi_src_setup(
    k: Kernel72, cp: MapleCopy, left: WrState, right: WrState, sib: MaState
) -> None:
    """List the sources from left to right; ``sib.end`` is 0 if there is no sibling."""
    cp.s_count = 0
    if sib.end and sib.max < left.mas.min:
        k.append_mas_cp(cp, sib, 0, sib.end)
    if left.mas.offset:
        k.append_wr_mas_cp(cp, left, 0, left.mas.offset - 1)
        cp.src_max[cp.s_count - 1] = cp.min - 1 & k.ulong_max
    k.init_cp_src(cp)
    if right.mas.end != right.offset_end:
        k.append_wr_mas_cp(cp, right, right.offset_end + 1, right.mas.end)
    if sib.end and sib.min > right.mas.max:
        k.append_mas_cp(cp, sib, 0, sib.end)


def _first(cp: MapleCopy, s: int) -> int:
    """The first slot of source ``s``."""
    return cp.src_start[s]


def _last(cp: MapleCopy, s: int) -> int:
    """The last slot of source ``s``."""
    return cp.src_end[s]


def _type(cp: MapleCopy, s: int) -> int:
    """The node type of source ``s``."""
    return cp.src_mt[s]


def _new_type(cp: MapleCopy, d: int) -> int:
    """The node type of new node ``d``."""
    return cp.dst_mt[d]


def _slot_at(k: Kernel72, cp: MapleCopy, offset: int) -> Word:
    """The entry at ``offset`` of all sources together."""
    for s in range(cp.s_count):
        count = _last(cp, s) - _first(cp, s) + 1
        if offset < count:
            at = _first(cp, s) + offset
            mt = _type(cp, s)
            return cp.slot[at] if mt == MAPLE_COPY else k.mem.slot(cp.src_node[s], mt, at)
        offset -= count
    k.bug("dst_setup: the data ends before its split")


# -- destinations


def dst_setup(k: Kernel72, cp: MapleCopy, mas: MaState, mt: int) -> None:
    """Choose how many new nodes there are and where they are split, and take them."""
    slots = k.mt_slots[mt]
    if cp.data <= slots:
        cp.split = cp.data - 1
        cp.d_count = 1
    else:
        cp.split = (cp.data - 1) // 2
        cp.d_count = 2
        if cp.data > 2 * slots or (
            cp.data == 2 * slots and ma_is_leaf(mt) and not _slot_at(k, cp, cp.split)
        ):
            # a leaf must not end in NULL, and with all slots used no other split helps
            cp.split = (cp.data + 2) // 3
            cp.d_count = 3
    for i in range(cp.d_count):
        cp.dst_mt[i] = mt
        cp.dst_node[i] = k.mas_pop_node(mas)


# -- copying


def node_copy(
    k: Kernel72,
    cp: MapleCopy,
    mas: MaState,
    s: int,
    start: int,
    size: int,
    dst: Word,
    d_start: int,
    d_mt: int,
) -> Word:
    """Copy ``size`` slots of source ``s`` from ``start`` on; returns the largest index copied.

    Children that come from the new content get ``dst`` as their parent.
    """
    mem = k.mem
    words = cp.words
    src = cp.src_node[s]
    s_mt = _type(cp, s)
    last = start + size - 1
    if size > 1:
        mem.check_pivots(dst, d_mt)
    if s_mt == MAPLE_COPY:
        for i in range(size):
            mem.set_slot(dst, d_mt, d_start + i, cp.slot[start + i])
            if d_mt == ARANGE_64:
                mem.set_gap(dst, d_start + i, cp.gap[start + i])
            if i < size - 1:
                mem.set_pivot(dst, d_start + i, cp.pivot[start + i])
        if not ma_is_leaf(d_mt):
            k.mas_set_parent_slots(mas, mt_mk_node(dst, d_mt), d_start, size)
        d_max = cp.pivot[last]
    else:
        mem.load_slots(words, 0, src, s_mt, start, size)
        mem.store_slots(dst, d_mt, d_start, words, 0, size)
        if d_mt == ARANGE_64:
            mem.load_gaps(words, 0, src, start, size)
            mem.store_gaps(dst, d_start, words, 0, size)
        if size > 1:
            mem.check_pivots(src, s_mt)
            mem.load_pivots(words, 0, src, start, size - 1)
            mem.store_pivots(dst, d_start, words, 0, size - 1)
        d_max = mem.pivot(src, last) if last < k.mt_pivots[s_mt] else cp.src_max[s]
    if d_start + size <= k.mt_pivots[d_mt]:
        mem.set_pivot(dst, d_start + size - 1, d_max)
    return d_max


@peeks(
    *("read past data end", "metadata read as gap"),
    holds=is_zero,
    why="one gap more than there are is compared; it is 0 in a new node",
)
def node_finalise(k: Kernel72, node: Word, mt: int, count: int) -> None:
    """Clear what is behind the first ``count`` slots, and write the metadata."""
    mem = k.mem
    slots = k.mt_slots[mt]
    if count < slots - 1:
        mem.clear_slots(node, mt, count, slots - count)
        if mt == ARANGE_64:
            mem.clear_gaps(node, count, slots - count)
        mem.check_pivots(node, mt)
        mem.clear_pivots(node, count, slots - count - 1)
    gap_slot = 0
    if mt == ARANGE_64:
        largest = 0
        for i in range(count + 1):
            gap = mem.gap(node, i)
            if gap > largest:
                gap_slot = i
                largest = gap
    if mt == ARANGE_64 or count <= slots - 1:
        mem.set_meta(node, mt, gap_slot, count - 1)


def cp_data_write(k: Kernel72, cp: MapleCopy, mas: MaState) -> None:
    """Copy all sources to the new nodes; a node that would end in NULL gives that slot on."""
    mem = k.mem
    data_offset = 0
    s = 0
    s_offset = _first(cp, 0)
    split = cp.split
    for d in range(cp.d_count):
        if d and d == cp.d_count - 1:
            split = cp.data - data_offset
        dst = cp.dst_node[d]
        d_mt = _new_type(cp, d)
        dst_offset = 0
        d_max = 0
        left = split + 1
        while left:
            size = min(_last(cp, s) - s_offset + 1, left)
            d_max = k.node_copy(cp, mas, s, s_offset, size, dst, dst_offset, d_mt)
            dst_offset += size
            s_offset += size
            if s_offset > _last(cp, s):
                s += 1
                if s >= cp.s_count:
                    cp.dst_max[d] = d_max
                    k.node_finalise(dst, d_mt, dst_offset)
                    return
                s_offset = _first(cp, s)
            left -= size
            data_offset += size
        split = cp.split
        cp.dst_max[d] = d_max
        if d_max != k.ulong_max and not mem.slot(dst, d_mt, dst_offset - 1):
            if s_offset == _first(cp, s):
                s -= 1
                s_offset = _last(cp, s)
            else:
                s_offset -= 1
            split += 1
            data_offset -= 1
            dst_offset -= 1
            cp.dst_max[d] = mem.ma_pivot(dst, d_mt, dst_offset - 1)
        k.node_finalise(dst, d_mt, dst_offset)
    if data_offset < cp.data:
        k.warn_on("cp_data_write: data is left over")


# -- the next level


def cp_dst_to_slots(k: Kernel72, cp: MapleCopy, low: Word, high: Word, mas: MaState) -> None:
    """Make the new nodes, which cover [low, high], the content of the level above."""
    mem = k.mem
    first = low
    for d in range(cp.d_count):
        node = cp.dst_node[d]
        mt = _new_type(cp, d)
        last = cp.dst_max[d]
        cp.slot[d] = mt_mk_node(node, mt)
        cp.pivot[d] = last
        if k.mt_is_alloc(mas.tree):
            if ma_is_leaf(mt):
                cp.gap[d] = k.ma_leaf_max_gap(node, mt, first, last)
            elif mt == ARANGE_64:
                cp.gap[d] = mem.gap(node, mem.meta_gap(node))
        first = last + 1 & k.ulong_max
    cp.end = cp.d_count - 1
    cp.min = low
    cp.pivot[2] = high  # cp->max


def cp_is_new_root(k: Kernel72, cp: MapleCopy, mas: MaState) -> bool:
    """Whether all indexes are covered: then the new node, or one more above, is the root."""
    mem = k.mem
    if cp.min or cp.pivot[2] != k.ulong_max:
        return False
    if cp.d_count != 1:
        mt = ARANGE_64 if k.mt_is_alloc(mas.tree) else RANGE_64
        cp.data = cp.d_count
        cp.s_count = 0
        k.dst_setup(cp, mas, mt)
        k.init_cp_src(cp)
        k.node_copy(cp, mas, 0, 0, cp.data, cp.dst_node[0], 0, mt)
        k.node_finalise(cp.dst_node[0], mt, cp.end + 1)
        cp.slot[0] = mt_mk_node(cp.dst_node[0], mt)
        cp.height += 1
    mem.set_parent(cp.dst_node[0], mas.tree | ROOT_PARENT)
    mas.min = 0
    mas.max = k.ulong_max
    mas.depth = 0
    mas.node = mem.ma_root(mas.tree)
    return True


def cp_converged(k: Kernel72, cp: MapleCopy, mas: MaState, sib: MaState) -> bool:
    """Whether one new node replaces one old one, so that no level above changes."""
    if cp.d_count != 1 or sib.end:
        return False
    k.mem.set_parent(cp.dst_node[0], k.mem.parent(mte_to_node(mas.node)))
    return True


def copy_tree_location(k: Kernel72, source: MaState, target: MaState) -> None:
    """Move a state to where another one is."""
    target.node = source.node
    target.offset = source.offset
    target.min = source.min
    target.max = source.max
    target.end = source.end
    target.depth = source.depth


def wr_mas_setup(k: Kernel72, wr: WrState, mas: MaState) -> None:
    """Point a write state at the state's node and slot."""
    wr.node = mte_to_node(mas.node)
    wr.mt = mte_node_type(mas.node)
    k.mem.check_pivots(wr.node, wr.mt)
    wr.r_min = k.mas_safe_min(mas, wr.node, mas.offset)
    wr.r_max = k.mas_safe_pivot(mas, wr.node, mas.offset, wr.mt)


def wr_mas_ascend(k: Kernel72, wr: WrState) -> None:
    """Take a write state one level up."""
    mas = wr.mas
    k.mas_ascend(mas)
    k.wr_mas_setup(wr, mas)
    mas.end = k.ma_data_end(wr.node, wr.mt, mas.max)
    wr.end_piv = wr.r_max
    wr.offset_end = mas.offset


def mas_wmb_replace(k: Kernel72, mas: MaState, cp: MapleCopy) -> None:
    """Put the new subtree in place and walk the state down to its leaf."""
    old_enode = mas.node
    mas.node = cp.slot[0]
    k.mas_topiary_replace(mas, old_enode, cp.height)
    k.seam_gap_of_replaced(mas, cp)
    k.mtree_range_walk(mas)


def seam_gap_of_replaced(k: Kernel72, mas: MaState, cp: MapleCopy) -> None:
    """Tell the parent the gap of a new subtree."""
    if not ma_is_leaf(mte_node_type(mas.node)):
        k.mas_update_gap(mas)


def mas_set_parent_slots(k: Kernel72, mas: MaState, parent: Word, first: int, count: int) -> None:
    """Make ``parent`` the parent of its children from slot ``first`` on."""
    node = mte_to_node(parent)
    mt = mte_node_type(parent)
    for offset in range(first, first + count):
        k.mas_set_parent(mas, k.mem.slot(node, mt, offset), parent, offset)
