"""Writing through a state: the nodes that a write needs, storing, inserting, erasing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layout.memory.pointers import Word, mte_is_leaf, mte_node_type, xa_is_internal
from layout.memory.slab import GFP_KERNEL
from layout.tree.peeks import ends_chain, peeks
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

if TYPE_CHECKING:
    from layout.tree.kernel import Kernel


def mas_wr_prealloc_setup(k: Kernel, wr: WrState) -> None:
    """See that the state is at a node from which the write can be walked to."""
    mas = wr.mas
    status = mas.status
    if status != MA_START and (
        status in (MA_PAUSE, MA_NONE, MA_OVERFLOW, MA_UNDERFLOW)
        or mas.last > mas.max
        or (not wr.entry and mte_is_leaf(mas.node) and mas.last == mas.max)
    ):
        mas.reset()
    wr.content = k.mas_start(mas)


def mas_prealloc_calc(k: Kernel, mas: MaState, entry: Word) -> int:
    """How many nodes the store type needs."""
    store_type = mas.store_type
    if store_type in (WR_APPEND, WR_EXACT_FIT, WR_SLOT_STORE):
        return 0
    if store_type == WR_NODE_STORE:
        return 1 if k.mt_in_rcu(mas.tree) else 0
    if store_type == WR_STORE_ROOT:
        return 1 if mas.last or mas.index or xa_is_internal(entry) else 0
    if store_type == WR_NEW_ROOT:
        return 1
    height = k.mas_mt_height(mas)
    if store_type == WR_SPLIT_STORE:
        return height * 2 + 1
    if store_type == WR_REBALANCE:
        return height * 2 - 1
    if store_type == WR_INVALID:
        k.warn_on("mas_prealloc_calc: the store has no type")
    return height * 3 + 1


def mas_wr_preallocate(k: Kernel, wr: WrState, entry: Word) -> None:
    """Choose the store type and get its nodes without blocking; may set -ENOMEM."""
    mas = wr.mas
    k.mas_wr_prealloc_setup(wr)
    k.mas_wr_store_type(wr)
    request = k.mas_prealloc_calc(mas, entry)
    if request:
        k.mas_node_count(mas, request)


def mas_preallocate(k: Kernel, mas: MaState, entry: Word, gfp: int = GFP_KERNEL) -> int:
    """Get all nodes that storing ``entry`` will need. Returns 0 or -ENOMEM."""
    wr = WrState(mas, entry)
    k.mas_wr_prealloc_setup(wr)
    k.mas_wr_store_type(wr)
    request = k.mas_prealloc_calc(mas, entry)
    if request:
        mas.mas_flags &= ~MA_STATE_PREALLOC
        k.mas_node_count_gfp(mas, request, gfp)
        if mas.status == MA_ERROR:
            k.mas_set_alloc_req(mas, 0)
            err = k.xa_err(mas.node)
            k.mas_destroy(mas)
            mas.reset()
            return err
    mas.mas_flags |= MA_STATE_PREALLOC
    return 0


@peeks(
    *("never written", "pivot read as alloc.slot"),
    holds=ends_chain,
    why="the last node of the chain holds no other: what is read is dropped",
)
def mas_destroy(k: Kernel, mas: MaState) -> None:
    """Give back the nodes in reserve; after a bulk load, mend the last leaf first."""
    mem = k.mem
    if mas.mas_flags & MA_STATE_REBALANCE:
        if mas.status == MA_ERROR:
            mas.reset()
        k.mas_start(mas)
        k.mtree_range_walk(mas)
        end = mas.end + 1
        if end < k.mt_min_slots[mte_node_type(mas.node)] - 1:
            k.mas_destroy_rebalance(mas, end)
        mas.mas_flags &= ~MA_STATE_REBALANCE
    mas.mas_flags &= ~(MA_STATE_BULK | MA_STATE_PREALLOC)

    total = k.mas_allocated(mas)
    while total:
        node = mas.alloc
        mas.alloc = mem.alloc_slot(node, 0)
        count = mem.alloc_count(node)
        if count > 1:
            k.mt_free_bulk(count - 1, node + mem.alloc_slot_offset + mem.word_size)
            total -= count - 1
        k.cache.free(node)
        total -= 1
    mas.alloc = 0


# -- storing


def mas_store(k: Kernel, mas: MaState, entry: Word) -> Word:
    """Store over the state's index and last; returns what was at the index. May set -ENOMEM."""
    wr = WrState(mas, entry)
    k.tests += 1
    if mas.index > mas.last:
        k.seam_store_backwards(mas, entry)
        return 0
    k.mas_wr_prealloc_setup(wr)
    k.mas_wr_store_type(wr)
    if mas.mas_flags & MA_STATE_PREALLOC:
        k.mas_wr_store_entry(wr)
        k.tests += 1
        if mas.status == MA_ERROR:
            k.bug("mas_store: an error in a preallocated store", mas.tree)
        return wr.content
    request = k.mas_prealloc_calc(mas, entry)
    if request:
        k.mas_node_count(mas, request)
        if mas.status == MA_ERROR:
            return 0
    k.mas_wr_store_entry(wr)
    k.mas_destroy(mas)
    return wr.content


def seam_store_backwards(k: Kernel, mas: MaState, entry: Word) -> None:
    """Warn of a range whose first index is above its last, and refuse it."""
    k.report_failure("WARN", "mas_store", mas.tree, mas)
    pointer = k.mem.arch.hex_pointer(entry)
    k.printk(f"Error {mas.index:X} > {mas.last:X} {pointer}\n")
    k.mas_set_err(mas, EINVAL)


def mas_store_gfp(k: Kernel, mas: MaState, entry: Word, gfp: int = GFP_KERNEL) -> int:
    """Store over the state's index and last. Returns 0 or a negative errno."""
    index = mas.index
    last = mas.last
    wr = WrState(mas, entry)
    while True:
        k.mas_wr_preallocate(wr, entry)
        if not k.mas_nomem(mas, gfp):
            break
        if not entry:
            k.tests += 1
            mas.index = index
            mas.last = last
    err = 0
    if mas.status == MA_ERROR:
        err = k.xa_err(mas.node)
    else:
        k.mas_wr_store_entry(wr)
    k.mas_destroy(mas)
    return err


def mas_store_prealloc(k: Kernel, mas: MaState, entry: Word) -> None:
    """Store with the nodes that mas_preallocate() got; cannot fail."""
    wr = WrState(mas, entry)
    if mas.store_type == WR_STORE_ROOT:
        k.mas_wr_prealloc_setup(wr)
    else:
        k.mas_wr_walk_descend(wr)
        if mas.store_type != WR_SPANNING_STORE:
            wr.content = k.mem.slot(wr.node, wr.mt, mas.offset)
            k.mas_wr_end_piv(wr)
    k.mas_wr_store_entry(wr)
    k.tests += 1
    if mas.status == MA_ERROR:
        k.bug("mas_store_prealloc: an error in a preallocated store", mas.tree)
    k.mas_destroy(mas)


def mas_insert(k: Kernel, mas: MaState, entry: Word) -> Word:
    """Store only where nothing is; sets -EEXIST and returns the entry otherwise."""
    wr = WrState(mas, entry)
    wr.content = k.mas_start(mas)
    if wr.content:
        k.mas_set_err(mas, EEXIST)
        return wr.content
    k.mas_wr_preallocate(wr, entry)
    if mas.status == MA_ERROR:
        return 0
    exists = mas.store_type == WR_SPANNING_STORE
    if not exists and mas.store_type not in (WR_NEW_ROOT, WR_STORE_ROOT):
        wr.offset_end = mas.offset
        wr.end_piv = wr.r_max
        exists = wr.content != 0 or mas.last > wr.r_max
    if exists:
        k.mas_set_err(mas, EEXIST)
        return wr.content
    k.mas_wr_store_entry(wr)
    return wr.content


def mas_erase(k: Kernel, mas: MaState) -> Word:
    """Erase the whole range around the state's index; returns its entry. May set -ENOMEM."""
    index = mas.index
    wr = WrState(mas, 0)
    mas.status = MA_START
    while True:
        entry = k.mas_state_walk(mas)
        if not entry:
            return 0
        mas.reset()  # so that a write of the last slot is seen to span nodes
        k.mas_wr_preallocate(wr, 0)
        if not k.mas_nomem(mas, GFP_KERNEL):
            break
        mas.index = mas.last = index
    if mas.status != MA_ERROR:
        k.mas_wr_store_entry(wr)
    k.mas_destroy(mas)
    return entry
