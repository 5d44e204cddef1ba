"""Finding entries: mas_find and mas_find_rev, which also start where a state has not walked yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layout.memory.pointers import Word, xa_is_zero
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

if TYPE_CHECKING:
    from layout.tree.kernel import Kernel

MAX_RANGES = 1 << 24
"""Ranges beyond which an iteration is taken for one that does not end."""


def mas_find_setup(k: Kernel, mas: MaState, limit: Word) -> tuple[bool, Word]:
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
    elif status == MA_UNDERFLOW:
        if mas.index >= limit:
            mas.status = MA_OVERFLOW
            return True, 0
        entry = k.mas_walk(mas)
        if entry:
            return True, entry
    elif status == MA_OVERFLOW:
        if mas.last >= limit:
            return True, 0
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


def mas_find(k: Kernel, mas: MaState, limit: Word) -> Word:
    """At first the entry at or after the state's index, then each next one, up to ``limit``."""
    done, entry = k.mas_find_setup(mas, limit)
    if done:
        return entry
    entry = k.mas_next_slot(mas, limit, empty=False)
    mas.status = MA_ACTIVE  # an overflow is forgotten
    return entry


def mas_find_range(k: Kernel, mas: MaState, limit: Word) -> Word:
    """mas_find() that also stops at NULL ranges."""
    done, entry = k.mas_find_setup(mas, limit)
    return entry if done else k.mas_next_slot(mas, limit, empty=True)


def mas_find_rev_setup(k: Kernel, mas: MaState, low: Word) -> tuple[bool, Word]:
    """Bring the state into the tree. (True, entry) if that is the answer already."""
    status = mas.status
    if status == MA_PAUSE:
        if mas.index <= low:
            mas.status = MA_UNDERFLOW
            return True, 0
        mas.last = mas.index = mas.index - 1
        mas.status = MA_START
    elif status == MA_NONE:
        if mas.index <= low:
            return True, 0
        mas.last = mas.index
        mas.status = MA_START
    elif status == MA_OVERFLOW:
        if mas.index <= low:
            mas.status = MA_UNDERFLOW
            return True, 0
        mas.status = MA_ACTIVE
    elif status == MA_UNDERFLOW:
        if mas.index <= low:
            return True, 0
        mas.status = MA_ACTIVE
    elif status == MA_ERROR:
        return True, 0
    if mas.status == MA_START:
        if mas.index < low:
            return True, 0
        entry = k.mas_walk(mas)
        if entry:
            return True, entry
    if mas.status == MA_ROOT:
        mas.status = MA_NONE
        return True, 0
    if mas.status == MA_NONE:
        # nothing at the index: what is left is the entry at 0
        mas.last = mas.index = 0
        mas.status = MA_ROOT
        return True, k.mem.ma_root(mas.tree)
    return mas.index < low, 0


def mas_find_rev(k: Kernel, mas: MaState, low: Word) -> Word:
    """At first the entry at or below the state's index, then each one before, to ``low``."""
    done, entry = k.mas_find_rev_setup(mas, low)
    return entry if done else k.mas_prev_slot(mas, low, empty=False)


def mas_find_range_rev(k: Kernel, mas: MaState, low: Word) -> Word:
    """mas_find_rev() that also stops at NULL ranges."""
    done, entry = k.mas_find_rev_setup(mas, low)
    return entry if done else k.mas_prev_slot(mas, low, empty=True)


def mt_find(k: Kernel, tree: Word, index: Word, limit: Word) -> tuple[Word, Word]:
    """The first entry at or after ``index``, up to ``limit``; and the index to go on from.

    XA_ZERO_ENTRY counts as none. Without an entry the index comes back unchanged.
    """
    if index > limit:
        return 0, index
    mas = k.new_state(tree, index)
    entry = k.mas_state_walk(mas)
    if mas.status == MA_START:
        k.livelock("mt_find: a dead node is reachable", tree)
    if xa_is_zero(entry):
        entry = 0
    if not entry:
        while mas.status == MA_ACTIVE and mas.last < limit:
            entry = k.mas_next_slot(mas, limit, empty=False)
            if entry and not xa_is_zero(entry):
                break
        if xa_is_zero(entry):
            entry = 0
    if not entry:
        return 0, index
    k.tests += 1
    following = mas.last + 1 & k.ulong_max
    if following and following <= index:
        k.report_index_not_increased(tree, index, following)
    return entry, following


def mt_find_after(k: Kernel, tree: Word, index: Word, limit: Word) -> tuple[Word, Word]:
    """mt_find(), but 0 as ``index`` ends a loop that has wrapped around."""
    if not index:
        return 0, index
    return k.mt_find(tree, index, limit)
