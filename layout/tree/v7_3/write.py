"""Small roots that are written in place, gaps that are known, erasing that cannot fail."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layout.memory.pointers import (
    ARANGE_64,
    MT_FLAGS_LOCK_EXTERN,
    MT_FLAGS_LOCK_MASK,
    PARENT_RANGE64,
    RANGE_64,
    Word,
    mte_node_type,
    mte_to_node,
)
from layout.memory.slab import DIRECT_RECLAIM, GFP_KERNEL, GFP_NOFAIL
from layout.tree.state import (
    ENOMEM,
    MA_ACTIVE,
    MA_START,
    WR_APPEND,
    WR_EXACT_FIT,
    WR_NEW_ROOT,
    WR_NODE_STORE,
    WR_REBALANCE,
    WR_SLOT_STORE,
    WR_SPLIT_STORE,
    MaState,
    WrState,
)

if TYPE_CHECKING:
    from layout.tree.v7_2.state import MapleCopy
    from layout.tree.v7_3.kernel import Kernel73


def seam_store_type_in_leaf(k: Kernel73, wr: WrState) -> int:
    """The way to store within the leaf that was found: a small root is not built anew."""
    mas = wr.mas
    mt = wr.mt
    if wr.r_min == mas.index and wr.r_max == mas.last:
        return WR_EXACT_FIT
    if not mas.index and mas.last == k.ulong_max:
        return WR_NEW_ROOT
    new_end = k.mas_wr_new_end(wr)
    in_rcu = k.mt_in_rcu(mas.tree)
    appending = mas.offset == mas.end
    one_slot = wr.offset_end - mas.offset == 1
    if new_end < k.mt_min_slots[mt]:
        if not k.mte_is_root(mas.node):
            return WR_REBALANCE
        if not in_rcu and appending:
            return WR_APPEND
        if not in_rcu and new_end == mas.end and one_slot:
            return WR_SLOT_STORE
        return WR_NODE_STORE
    if new_end >= k.mt_slots[mt]:
        return WR_SPLIT_STORE
    if not in_rcu and appending:
        return WR_APPEND
    if new_end == mas.end and (not in_rcu or one_slot):
        return WR_SLOT_STORE
    return WR_NODE_STORE


def seam_first_overwritten(k: Kernel73, wr: WrState) -> Word:
    """The entry that a slot store overwrites first, as the walk found it."""
    return wr.content


# -- gaps and parents


def mas_update_gap_known(k: Kernel73, mas: MaState, gap: Word) -> None:
    """Bring the gap of the state's node in its parent up to date."""
    slot = k.mte_parent_slot(mas.node)
    if k.mem.gap(k.mte_parent(mas.node), slot) != gap:
        k.mas_parent_gap(mas, slot, gap)


def seam_gap_of_replaced(k: Kernel73, mas: MaState, cp: MapleCopy) -> None:
    """Tell the parent the gap of a new subtree, which its content has."""
    if k.mt_is_alloc(mas.tree) and not k.mte_is_root(mas.node):
        k.mas_update_gap_known(mas, cp.gap[0])


def mas_set_parent_slots(k: Kernel73, mas: MaState, parent: Word, first: int, count: int) -> None:
    """Make ``parent`` the parent of its children from slot ``first`` on."""
    mem = k.mem
    node = mte_to_node(parent)
    mt = mte_node_type(parent)
    k.tests += 1
    if mt not in (RANGE_64, ARANGE_64):
        k.bug(f"mas_set_parent_slots: parent of type {mt} in tree {mas.tree:x}", parent)
    for offset in range(first, first + count):
        child = mte_to_node(mem.slot(node, mt, offset))
        mem.set_parent(child, node | offset << 3 | PARENT_RANGE64)


def mas_adopt_children(k: Kernel73, mas: MaState, parent: Word) -> None:
    """Make ``parent`` the parent of all nodes in its slots."""
    end = k.ma_data_end(mte_to_node(parent), mte_node_type(parent), mas.max)
    k.mas_set_parent_slots(mas, parent, 0, end + 1)


# -- memory that is refused


def mas_nomem(k: Kernel73, mas: MaState, gfp: int) -> bool:
    """After -ENOMEM, ask once more with the caller's flags; true if it is worth a retry."""
    if mas.node != k.ma_error(ENOMEM):
        return False
    lock = k.mem.ma_flags(mas.tree) & MT_FLAGS_LOCK_MASK
    if lock == MT_FLAGS_LOCK_EXTERN and not gfp & DIRECT_RECLAIM:
        k.warn_on("mas_nomem: the caller may neither wait nor let the lock go")
    k.mas_alloc_nodes(mas, gfp)
    if not mas.sheaf and not mas.alloc:
        return False
    mas.reset()
    return True


def mas_nomem_nofail(k: Kernel73, mas: MaState, index: Word, last: Word) -> bool:
    """After -ENOMEM, ask until there is memory and go back to [index, last]; true then."""
    if mas.node != k.ma_error(ENOMEM):
        return False
    k.mas_alloc_nodes(mas, GFP_KERNEL | GFP_NOFAIL)
    k.mas_set_range(mas, index, last)
    return True


def mas_erase(k: Kernel73, mas: MaState) -> Word:
    """Erase the whole range around the state's index; returns its entry. Cannot fail."""
    index = mas.index
    wr = WrState(mas, 0)
    if mas.status not in (MA_ACTIVE, MA_START):
        mas.status = MA_START
    while True:
        entry = k.mas_state_walk(mas)
        if not entry:
            break
        mas.reset()  # so that a write of the last slot is seen to span nodes
        k.mas_wr_preallocate(wr, 0)
        if not k.mas_nomem_nofail(mas, index, index):
            k.mas_wr_store_entry(wr)
            break
    k.mas_destroy(mas)
    return entry
