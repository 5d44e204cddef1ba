"""Walks that go on from where an active state is, and the search for a gap."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layout.memory.pointers import (
    ARANGE_64,
    Word,
    ma_is_leaf,
    mte_node_type,
    mte_safe_root,
    mte_to_node,
    xa_is_node,
)
from layout.tree.state import (
    EBUSY,
    EINVAL,
    MA_ACTIVE,
    MA_ERROR,
    MA_NONE,
    MA_OVERFLOW,
    MA_PAUSE,
    MA_ROOT,
    MA_START,
    MA_UNDERFLOW,
    MaState,
)

if TYPE_CHECKING:
    from layout.tree.v7_2.kernel import Kernel72


def mas_start(k: Kernel72, mas: MaState) -> Word:
    """Point a starting state at the root, whose depth is 0.

    The status becomes active (a node), none (empty) or root (a single entry, which is
    returned if the state's index is 0).
    """
    if mas.status != MA_START:
        return 0
    mas.min = 0
    mas.max = k.ulong_max
    mas.depth = 0
    root = k.mem.ma_root(mas.tree)
    if xa_is_node(root):
        mas.status = MA_ACTIVE
        mas.node = mte_safe_root(root)
        mas.offset = 0
        if k.ma_dead_node(mte_to_node(root)):
            k.livelock("mas_start: the root is a dead node", mte_to_node(root))
        return 0
    mas.node = 0
    mas.offset = k.node_slots
    if not root:
        mas.status = MA_NONE
        return 0
    mas.status = MA_ROOT
    return 0 if mas.index > 0 else root


def mas_walk(k: Kernel72, mas: MaState) -> Word:
    """Find the entry at the state's index, from its node on; index and last become its range."""
    if mas.status not in (MA_ACTIVE, MA_START):
        mas.status = MA_START
    entry = k.mas_state_walk(mas)
    if mas.status == MA_START:  # its node was dead: once more, from the root
        entry = k.mas_state_walk(mas)
    if mas.status == MA_START:
        k.livelock("mas_walk: a dead node is reachable", mas.tree)
    if mas.status == MA_NONE:
        mas.index = 0
        mas.last = k.ulong_max
    elif mas.status == MA_ROOT:
        if not mas.index:
            mas.last = 0
            return entry
        mas.index = 1
        mas.last = k.ulong_max
        mas.status = MA_NONE
        return 0
    return entry


def mas_may_activate(k: Kernel72, mas: MaState) -> None:
    """After an overflow or underflow: use the state's node again if it covers the index."""
    if not mas.node or mas.index > mas.max or mas.index < mas.min:
        mas.status = MA_START
    else:
        mas.status = MA_ACTIVE


def mas_next_setup(k: Kernel72, mas: MaState, limit: Word) -> tuple[bool, Word]:
    """Bring the state into the tree. (True, entry) if that is the answer already."""
    was_none = mas.status == MA_NONE
    if mas.last >= limit:
        mas.status = MA_OVERFLOW
        return True, 0
    status = mas.status
    if status == MA_ACTIVE:
        return False, 0
    if status in (MA_NONE, MA_PAUSE, MA_START):
        mas.status = MA_START
        k.mas_walk(mas)
    elif status == MA_OVERFLOW:
        k.mas_may_activate(mas)
    elif status == MA_UNDERFLOW:
        k.mas_may_activate(mas)
        entry = k.mas_walk(mas)
        if entry:
            return True, entry
    elif status == MA_ERROR:
        return True, 0
    if mas.status == MA_ACTIVE:
        return False, 0
    if mas.status == MA_ROOT:
        if was_none and mas.index == 0:
            mas.index = mas.last = 0
            return True, 0
        mas.index = 1
        mas.last = k.ulong_max
        mas.status = MA_NONE
        return True, 0
    return mas.status == MA_NONE, 0


def mas_prev_setup(k: Kernel72, mas: MaState, low: Word) -> tuple[bool, Word]:
    """Bring the state into the tree. (True, entry) if that is the answer already."""
    if mas.index <= low:
        mas.status = MA_UNDERFLOW
        return True, 0
    status = mas.status
    if status == MA_ACTIVE:
        return False, 0
    if status in (MA_NONE, MA_PAUSE):
        mas.status = MA_START
    elif status == MA_UNDERFLOW:
        k.mas_may_activate(mas)
    elif status == MA_OVERFLOW:
        k.mas_may_activate(mas)
        entry = k.mas_walk(mas)
        if entry:
            return True, entry
    elif status == MA_ERROR:
        return True, 0
    if mas.status == MA_START:
        k.mas_walk(mas)
    if mas.status == MA_ROOT:
        if not mas.index:
            mas.status = MA_NONE
            return True, 0
        mas.index = mas.last = 0
        return True, k.mem.ma_root(mas.tree)
    if mas.status == MA_NONE:
        if mas.index:
            mas.index = mas.last = 0
            mas.status = MA_ROOT
            return True, k.mem.ma_root(mas.tree)
        return True, 0
    return False, 0


def mas_find_setup(k: Kernel72, mas: MaState, limit: Word) -> tuple[bool, Word]:
    """Bring the state into the tree. (True, entry) if that is the answer already."""
    entry = 0
    status = mas.status
    if status == MA_ACTIVE:
        return mas.last >= limit, 0
    if status == MA_PAUSE:
        if mas.last >= limit:
            return True, 0
        mas.last = mas.index = mas.last + 1
        mas.status = MA_START
    elif status == MA_NONE:
        if mas.last >= limit:
            return True, 0
        mas.index = mas.last
        mas.status = MA_START
    elif status in (MA_UNDERFLOW, MA_OVERFLOW):
        if status == MA_UNDERFLOW and mas.index >= limit:
            mas.status = MA_OVERFLOW
            return True, 0
        if status == MA_OVERFLOW and mas.last >= limit:
            return True, 0
        k.mas_may_activate(mas)
        entry = k.mas_walk(mas)
        if entry:
            return True, entry
    elif status == MA_ERROR:
        return True, 0
    if mas.status == MA_START:
        if mas.index > limit:
            return True, 0
        entry = k.mas_walk(mas)
        if entry:
            return True, entry
    if mas.status == MA_ROOT:
        mas.status = MA_NONE
        mas.index = 1
        mas.last = k.ulong_max
        return True, entry
    if mas.status == MA_NONE:
        return True, entry
    return mas.index == limit, entry


# -- the search for a gap


def mas_anode_descend(k: Kernel72, mas: MaState, size: Word) -> bool:
    """Look through the state's node for a gap and go down into it; true when done."""
    mem = k.mem
    top = k.ulong_max
    mt = mte_node_type(mas.node)
    if mt == 0:
        mas.offset = mas.index - mas.min & 0xFF
        return True
    node = mte_to_node(mas.node)
    mem.check_pivots(node, mt)
    offset = mas.offset
    low = k.mas_safe_min(mas, node, offset)
    end = k.ma_data_end(node, mt, mas.max)
    while offset <= end:
        pivot = k.mas_safe_pivot(mas, node, offset, mt)
        if mas.index <= pivot:
            gap = 0
            if mt == ARANGE_64:
                gap = mem.gap(node, offset)
            elif not mem.slot(node, mt, offset):
                gap = min(pivot, mas.last) - max(mas.index, low) + 1 & top
            if gap >= size:
                if ma_is_leaf(mt):
                    mas.offset = offset
                    return True
                mas.node = mem.slot(node, mt, offset)
                mas.min = low
                mas.max = pivot
                offset = 0
                break
        low = pivot + 1 & top
        if mas.last <= pivot:
            k.mas_set_err(mas, EBUSY)
            return True
        offset += 1
    mas.offset = offset
    return False


def mas_empty_area(k: Kernel72, mas: MaState, low: Word, high: Word, size: Word) -> int:
    """Find the lowest run of ``size`` NULL indexes within [low, high].

    Returns 0 with the run in the state's index and last, -EINVAL or -EBUSY.
    """
    if low > high or size == 0 or high - low < size - 1:
        return -EINVAL
    if mas.status == MA_START:
        k.mas_start(mas)
    elif mas.offset >= 2:
        mas.offset -= 2
    elif not k.mas_skip_node(mas):
        return -EBUSY
    if mas.status in (MA_NONE, MA_ROOT):
        return k.mas_sparse_area(mas, low, high, size, forward=True)
    mas.index = low
    mas.last = high
    k.mas_awalk(mas, size)
    if mas.status == MA_ERROR:
        return k.xa_err(mas.node)
    mt = mte_node_type(mas.node)
    node = mte_to_node(mas.node)
    if mas.offset:
        k.mem.check_pivots(node, mt)
    mas.index = max(mas.index, k.mas_safe_min(mas, node, mas.offset))
    mas.last = mas.index + size - 1 & k.ulong_max
    mas.end = k.ma_data_end(node, mt, mas.max)
    return 0
