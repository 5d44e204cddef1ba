"""Moving a state by one node or one slot, and next and prev made of that."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layout.memory.pointers import DENSE, Word, mte_node_type, mte_to_node
from layout.tree.state import (
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
from layout.tree.walk import MAX_DESCENT

if TYPE_CHECKING:
    from layout.tree.kernel import Kernel

_MAX_STEPS = 1 << 24
"""Slots visited within one call beyond which it goes round in a cycle."""

_MAX_RETRIES = 1 << 10
"""Dead nodes met within one call beyond which the restarts lead nowhere."""


# -- one node over


def mas_prev_node(k: Kernel, mas: MaState, low: Word) -> bool:
    """Go to the previous node at this level; true if a dead node was met."""
    mem = k.mem
    node = mte_to_node(mas.node)
    if not mas.min or mas.min - 1 < low:
        return _no_node(k, mas, node, MA_UNDERFLOW)
    high = mas.min - 1
    level = 0
    while True:
        if k.ma_is_root(node):
            return _no_node(k, mas, node, MA_UNDERFLOW)
        if k.mas_ascend(mas):
            return True
        level += 1
        if level > MAX_DESCENT:
            k.livelock("mas_prev_node: the parents form a cycle", node)
        node = mte_to_node(mas.node)
        if mas.offset:
            break

    offset = mas.offset - 1
    mt = mte_node_type(mas.node)
    while level > 1:
        level -= 1
        mas.node = mem.slot(node, mt, offset)
        if k.ma_dead_node(node):
            return True
        mt = mte_node_type(mas.node)
        node = mte_to_node(mas.node)
        offset = k.ma_data_end(node, mt, high)
        if k.ma_dead_node(node):
            return True
    mas.node = mem.slot(node, mt, offset)
    low_of_child = mas.min
    if offset:
        low_of_child = mem.pivot(node, offset - 1) + 1 & k.ulong_max
    if k.ma_dead_node(node):
        return True
    mas.min = low_of_child
    mas.max = high
    mas.offset = k.mas_data_end(mas)
    if k.mte_dead_node(mas.node):
        return True
    mas.end = mas.offset
    return False


def mas_next_node(k: Kernel, mas: MaState, node: Word, limit: Word) -> bool:
    """Go to the next node at this level; true if a dead node was met."""
    mem = k.mem
    if mas.max >= limit:
        return _no_node(k, mas, node, MA_OVERFLOW)
    low = mas.max + 1
    level = 0
    mt = 0
    while True:
        if k.ma_is_root(node):
            return _no_node(k, mas, node, MA_OVERFLOW)
        if k.mas_ascend(mas):
            return True
        level += 1
        if level > MAX_DESCENT:
            k.livelock("mas_next_node: the parents form a cycle", node)
        node = mte_to_node(mas.node)
        mt = mte_node_type(mas.node)
        end = k.ma_data_end(node, mt, mas.max)
        if k.ma_dead_node(node):
            return True
        if mas.offset != end:
            break

    mas.offset = mas.offset + 1 & 0xFF
    enode = mem.slot(node, mt, mas.offset)
    if level > 1:
        mas.offset = 0
    while level > 1:
        level -= 1
        mas.node = enode
        node = mte_to_node(mas.node)
        mt = mte_node_type(mas.node)
        if mt != DENSE:  # its only pivot is the limit above
            mem.check_pivots(node, mt)
        enode = mem.slot(node, mt, 0)
        if k.ma_dead_node(node):
            return True
    if mas.offset < k.mt_pivots[mt]:
        mas.max = mem.pivot(node, mas.offset)
    mas.end = k.ma_data_end(mte_to_node(enode), mte_node_type(enode), mas.max)
    if k.ma_dead_node(node):
        return True
    mas.node = enode
    mas.min = low
    return False


def _no_node(k: Kernel, mas: MaState, node: Word, status: int) -> bool:
    if k.ma_dead_node(node):
        return True
    mas.status = status
    return False


# -- one slot over


def _live_node(k: Kernel, mas: MaState, index: Word) -> Word:
    """The state's node; walks to ``index`` anew while it is dead."""
    for _ in range(_MAX_RETRIES):
        node = mte_to_node(mas.node)
        k.mem.check_pivots(node, mte_node_type(mas.node))
        if not k.ma_dead_node(node):
            return node
        k.mas_rewalk(mas, index)
    k.livelock("a dead node is reachable", mte_to_node(mas.node))


def mas_prev_slot(k: Kernel, mas: MaState, low: Word, *, empty: bool) -> Word:
    """The entry in the previous slot, down to index ``low``; NULL ones only if ``empty``."""
    mem = k.mem
    top = k.ulong_max
    save = mas.index
    for _ in range(_MAX_RETRIES):
        node = _live_node(k, mas, save)
        if mas.min <= low:
            start = mas.min
            if mas.offset:
                start = mem.pivot(node, mas.offset - 1) + 1 & top
            if start <= low:
                mas.status = MA_UNDERFLOW
                return 0
        for _step in range(_MAX_STEPS):
            if mas.offset:
                mas.offset -= 1
                mas.last = mas.index - 1 & top
                mas.index = mas.min
                if mas.offset:
                    mas.index = mem.pivot(node, mas.offset - 1) + 1 & top
            else:
                if mas.index <= low:
                    mas.status = MA_UNDERFLOW
                    return 0
                if k.mas_prev_node(mas, low):
                    k.mas_rewalk(mas, save)
                    break
                if mas.status == MA_UNDERFLOW:
                    k.warn_on("mas_prev_slot: the node before is beyond the limit")
                    return 0
                mas.last = mas.max
                node = mte_to_node(mas.node)
                # a node that ends at offset 0 makes the kernel read the parent word
                mas.index = mem.ma_pivot(node, mte_node_type(mas.node), mas.offset - 1) + 1 & top
            entry = mem.slot(node, mte_node_type(mas.node), mas.offset)
            if k.ma_dead_node(node):
                k.mas_rewalk(mas, save)
                break
            if entry or empty:
                return entry
            if mas.index <= low:
                mas.status = MA_UNDERFLOW
                return 0
        else:
            break
    k.livelock("mas_prev_slot finds no end", mte_to_node(mas.node))


def mas_next_slot(k: Kernel, mas: MaState, limit: Word, *, empty: bool) -> Word:
    """The entry in the next slot, up to index ``limit``; NULL ones only if ``empty``."""
    mem = k.mem
    top = k.ulong_max
    save = mas.last
    for _ in range(_MAX_RETRIES):
        node = _live_node(k, mas, save)
        if mas.max >= limit:
            high = mem.pivot(node, mas.offset) if mas.offset < mas.end else mas.max
            if high >= limit:
                mas.status = MA_OVERFLOW
                return 0
        step_on = mas.offset < mas.end
        if step_on:
            mas.index = mem.pivot(node, mas.offset) + 1 & top
        for _step in range(_MAX_STEPS):
            if step_on:
                mas.offset = mas.offset + 1 & 0xFF
                mas.last = mem.pivot(node, mas.offset) if mas.offset < mas.end else mas.max
            else:
                if mas.last >= limit:
                    mas.status = MA_OVERFLOW
                    return 0
                if k.mas_next_node(mas, mte_to_node(mas.node), limit):
                    k.mas_rewalk(mas, save)
                    break
                if mas.status == MA_OVERFLOW:
                    k.warn_on("mas_next_slot: the next node is beyond the limit")
                    return 0
                mas.offset = 0
                mas.index = mas.min
                node = mte_to_node(mas.node)
                mas.last = mem.ma_pivot(node, mte_node_type(mas.node), 0)
            entry = mem.slot(node, mte_node_type(mas.node), mas.offset)
            if k.ma_dead_node(node):
                k.mas_rewalk(mas, save)
                break
            if entry or empty:
                return entry
            if mas.last >= limit:
                mas.status = MA_OVERFLOW
                return 0
            mas.index = mas.last + 1
            step_on = True  # a NULL is never the last slot of a node that has a next one
        else:
            break
    k.livelock("mas_next_slot finds no end", mte_to_node(mas.node))


# -- next and prev


def mas_next_setup(k: Kernel, mas: MaState, limit: Word) -> tuple[bool, Word]:
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
        mas.status = MA_ACTIVE
    elif status == MA_UNDERFLOW:
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


def mas_next(k: Kernel, mas: MaState, limit: Word) -> Word:
    """The entry after the state's, starting at or below ``limit``, or 0. O(log n)."""
    done, entry = k.mas_next_setup(mas, limit)
    return entry if done else k.mas_next_slot(mas, limit, empty=False)


def mas_next_range(k: Kernel, mas: MaState, limit: Word) -> Word:
    """Advance to the next range, NULL or not."""
    done, entry = k.mas_next_setup(mas, limit)
    return entry if done else k.mas_next_slot(mas, limit, empty=True)


def mt_next(k: Kernel, tree: Word, index: Word, limit: Word) -> Word:
    """The first entry after ``index``, up to ``limit``, or 0."""
    mas = k.new_state(tree, index)
    return k.mas_next(mas, limit)


def mas_prev_setup(k: Kernel, mas: MaState, low: Word) -> tuple[bool, Word]:
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
        mas.status = MA_ACTIVE
    elif status == MA_OVERFLOW:
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


def mas_prev(k: Kernel, mas: MaState, low: Word) -> Word:
    """The entry before the state's, ending at or above ``low``, or 0. O(log n)."""
    done, entry = k.mas_prev_setup(mas, low)
    return entry if done else k.mas_prev_slot(mas, low, empty=False)


def mas_prev_range(k: Kernel, mas: MaState, low: Word) -> Word:
    """Go back to the previous range, NULL or not."""
    done, entry = k.mas_prev_setup(mas, low)
    return entry if done else k.mas_prev_slot(mas, low, empty=True)


def mt_prev(k: Kernel, tree: Word, index: Word, low: Word) -> Word:
    """The last entry before ``index``, down to ``low``, or 0."""
    mas = k.new_state(tree, index)
    return k.mas_prev(mas, low)


def mas_pause(k: Kernel, mas: MaState) -> None:
    """Let go of the node, so that the tree may change before the next step."""
    mas.status = MA_PAUSE
    mas.node = 0
