"""Moving a state to the next or previous entry or range: next, prev, find, and their loops."""

from __future__ import annotations

from layout.node import PIVOT, Words
from layout.pointers import NODE_MASK, XA_ZERO_ENTRY
from layout.tree.base import MAX_DESCENT
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
from layout.tree.walk import Walk

_MAX_STEPS = 1 << 24
"""Slots visited within one call beyond which it goes round in a cycle."""

_MAX_RETRIES = 1 << 10
"""Dead nodes met within one call beyond which the restarts lead nowhere."""


class Iterate(Walk):
    """Iteration in both directions."""

    # -- one node over

    def mas_prev_node(self, mas: MaState, low: int) -> bool:
        """Go to the previous node at this level; true if a dead node was met."""
        mem = self.mem
        top = self.ulong_max
        node = mas.node & ~NODE_MASK
        if not mas.min or mas.min - 1 < low:
            return self._no_node(mas, node, MA_UNDERFLOW)
        high = mas.min - 1
        level = 0
        while True:
            if self.ma_is_root(node):
                return self._no_node(mas, node, MA_UNDERFLOW)
            if self.mas_ascend(mas):
                return True
            level += 1
            if level > MAX_DESCENT:
                self.livelock("mas_prev_node: the parents form a cycle", node)
            node = mas.node & ~NODE_MASK
            if mas.offset:
                break

        offset = mas.offset - 1
        mt = mas.node >> 3 & 0xF
        words = mem.read_node(node, mt)
        while level > 1:
            level -= 1
            mas.node = words[self.slot0[mt] + offset]
            if words[0] & ~NODE_MASK == node:
                return True
            mt = mas.node >> 3 & 0xF
            node = mas.node & ~NODE_MASK
            words = mem.read_node(node, mt)
            offset = self.ma_data_end(node, mt, words, high)
            if words[0] & ~NODE_MASK == node:
                return True
        mas.node = words[self.slot0[mt] + offset]
        if words[0] & ~NODE_MASK == node:
            return True
        if offset:
            mas.min = words[PIVOT + offset - 1] + 1 & top
        mas.max = high
        mas.offset = self.mas_data_end(mas)
        if self.ma_dead_node(mas.node & ~NODE_MASK):
            return True
        mas.end = mas.offset
        return False

    def mas_next_node(self, mas: MaState, node: int, limit: int) -> bool:
        """Go to the next node at this level; true if a dead node was met."""
        mem = self.mem
        if mas.max >= limit:
            return self._no_node(mas, node, MA_OVERFLOW)
        low = mas.max + 1
        level = 0
        while True:
            if self.ma_is_root(node):
                return self._no_node(mas, node, MA_OVERFLOW)
            if self.mas_ascend(mas):
                return True
            level += 1
            if level > MAX_DESCENT:
                self.livelock("mas_next_node: the parents form a cycle", node)
            node = mas.node & ~NODE_MASK
            mt = mas.node >> 3 & 0xF
            words = mem.read_node(node, mt)
            end = self.ma_data_end(node, mt, words, mas.max)
            if words[0] & ~NODE_MASK == node:
                return True
            if mas.offset != end:
                break

        mas.offset = mas.offset + 1 & 0xFF
        enode = words[self.slot0[mt] + mas.offset]
        if level > 1:
            mas.offset = 0
        while level > 1:
            level -= 1
            mas.node = enode
            node = mas.node & ~NODE_MASK
            mt = mas.node >> 3 & 0xF
            words = mem.read_node(node, mt)
            enode = words[self.slot0[mt]]
            if words[0] & ~NODE_MASK == node:
                return True
        if mas.offset < self.mt_pivots[mt]:
            mas.max = words[PIVOT + mas.offset]
        child, child_mt = enode & ~NODE_MASK, enode >> 3 & 0xF
        mas.end = self.ma_data_end(child, child_mt, mem.read_node(child, child_mt), mas.max)
        if self.ma_dead_node(node):
            return True
        mas.node = enode
        mas.min = low
        return False

    def _no_node(self, mas: MaState, node: int, status: int) -> bool:
        if self.ma_dead_node(node):
            return True
        mas.status = status
        return False

    # -- one slot over

    def _live_words(self, mas: MaState, index: int) -> Words:
        """The words of the state's node; walks to ``index`` anew if it is dead."""
        for _ in range(_MAX_RETRIES):
            words = self.words_of(mas)
            if words[0] & ~NODE_MASK != mas.node & ~NODE_MASK:
                return words
            self.mas_rewalk(mas, index)
        self.livelock("a dead node is reachable", mas.node & ~NODE_MASK)

    def mas_prev_slot(self, mas: MaState, low: int, *, empty: bool) -> int:
        """The entry in the previous slot, down to index ``low``; NULL ones only if ``empty``."""
        top = self.ulong_max
        save = mas.index
        for _ in range(_MAX_RETRIES):
            words = self._live_words(mas, save)
            mt = mas.node >> 3 & 0xF
            if mas.min <= low:
                offset = mas.offset
                start = words[PIVOT + offset - 1] + 1 & top if offset else mas.min
                if start <= low:
                    mas.status = MA_UNDERFLOW
                    return 0
            for _ in range(_MAX_STEPS):
                if mas.offset:
                    offset = mas.offset = mas.offset - 1
                    mas.last = mas.index - 1 & top
                    mas.index = words[PIVOT + offset - 1] + 1 & top if offset else mas.min
                else:
                    if mas.index <= low:
                        mas.status = MA_UNDERFLOW
                        return 0
                    if self.mas_prev_node(mas, low):
                        self.mas_rewalk(mas, save)
                        break
                    if mas.status == MA_UNDERFLOW:
                        self.warn_on()
                        return 0
                    mas.last = mas.max
                    mt = mas.node >> 3 & 0xF
                    words = self.words_of(mas)
                    # a node that ends at offset 0 makes the kernel read the parent word
                    mas.index = words[PIVOT + mas.offset - 1] + 1 & top
                entry = words[self.slot0[mt] + mas.offset]
                if words[0] & ~NODE_MASK == mas.node & ~NODE_MASK:
                    self.mas_rewalk(mas, save)
                    break
                if entry or empty:
                    return entry
                if mas.index <= low:
                    mas.status = MA_UNDERFLOW
                    return 0
            else:
                break
        self.livelock("mas_prev_slot finds no end", mas.node & ~NODE_MASK)

    def mas_next_slot(self, mas: MaState, limit: int, *, empty: bool) -> int:
        """The entry in the next slot, up to index ``limit``; NULL ones only if ``empty``."""
        top = self.ulong_max
        save = mas.last
        for _ in range(_MAX_RETRIES):
            words = self._live_words(mas, save)
            mt = mas.node >> 3 & 0xF
            if mas.max >= limit:
                high = words[PIVOT + mas.offset] if mas.offset < mas.end else mas.max
                if high >= limit:
                    mas.status = MA_OVERFLOW
                    return 0
            step_on = mas.offset < mas.end
            if step_on:
                mas.index = words[PIVOT + mas.offset] + 1 & top
            for _ in range(_MAX_STEPS):
                if step_on:
                    offset = mas.offset = mas.offset + 1 & 0xFF
                    mas.last = words[PIVOT + offset] if offset < mas.end else mas.max
                else:
                    if mas.last >= limit:
                        mas.status = MA_OVERFLOW
                        return 0
                    if self.mas_next_node(mas, mas.node & ~NODE_MASK, limit):
                        self.mas_rewalk(mas, save)
                        break
                    if mas.status == MA_OVERFLOW:
                        self.warn_on()
                        return 0
                    mas.offset = 0
                    mas.index = mas.min
                    mt = mas.node >> 3 & 0xF
                    words = self.words_of(mas)
                    mas.last = words[PIVOT]
                entry = words[self.slot0[mt] + mas.offset]
                if words[0] & ~NODE_MASK == mas.node & ~NODE_MASK:
                    self.mas_rewalk(mas, save)
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
        self.livelock("mas_next_slot finds no end", mas.node & ~NODE_MASK)

    # -- next and prev

    def _mas_next_setup(self, mas: MaState, limit: int) -> tuple[bool, int]:
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
            self.mas_walk(mas)
        elif status == MA_OVERFLOW:
            mas.status = MA_ACTIVE
        elif status == MA_UNDERFLOW:
            entry = self.mas_walk(mas)
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
            mas.last = self.ulong_max
            mas.status = MA_NONE
            return True, 0
        return mas.status == MA_NONE, 0

    def mas_next(self, mas: MaState, limit: int) -> int:
        """The entry after the state's, starting at or below ``limit``, or 0. O(log n)."""
        done, entry = self._mas_next_setup(mas, limit)
        return entry if done else self.mas_next_slot(mas, limit, empty=False)

    def mas_next_range(self, mas: MaState, limit: int) -> int:
        """Advance to the next range, NULL or not."""
        done, entry = self._mas_next_setup(mas, limit)
        return entry if done else self.mas_next_slot(mas, limit, empty=True)

    def mt_next(self, tree: int, index: int, limit: int) -> int:
        """The first entry after ``index``, up to ``limit``, or 0."""
        return self.mas_next(self.new_state(tree, index), limit)

    def _mas_prev_setup(self, mas: MaState, low: int) -> tuple[bool, int]:
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
            entry = self.mas_walk(mas)
            if entry:
                return True, entry
        elif status == MA_ERROR:
            return True, 0
        if mas.status == MA_START:
            self.mas_walk(mas)
        if mas.status == MA_ROOT:
            if not mas.index:
                mas.status = MA_NONE
                return True, 0
            mas.index = mas.last = 0
            return True, self.mem.ma_root(mas.tree)
        if mas.status == MA_NONE:
            if mas.index:
                mas.index = mas.last = 0
                mas.status = MA_ROOT
                return True, self.mem.ma_root(mas.tree)
            return True, 0
        return False, 0

    def mas_prev(self, mas: MaState, low: int) -> int:
        """The entry before the state's, ending at or above ``low``, or 0. O(log n)."""
        done, entry = self._mas_prev_setup(mas, low)
        return entry if done else self.mas_prev_slot(mas, low, empty=False)

    def mas_prev_range(self, mas: MaState, low: int) -> int:
        """Go back to the previous range, NULL or not."""
        done, entry = self._mas_prev_setup(mas, low)
        return entry if done else self.mas_prev_slot(mas, low, empty=True)

    def mt_prev(self, tree: int, index: int, low: int) -> int:
        """The last entry before ``index``, down to ``low``, or 0."""
        return self.mas_prev(self.new_state(tree, index), low)

    def mas_pause(self, mas: MaState) -> None:
        """Let go of the node, so that the tree may change before the next step."""
        mas.status = MA_PAUSE
        mas.node = 0

    # -- find

    def _mas_find_setup(self, mas: MaState, limit: int) -> tuple[bool, int]:
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
            entry = self.mas_walk(mas)
            if entry:
                return True, entry
        elif status == MA_OVERFLOW:
            if mas.last >= limit:
                return True, 0
            entry = self.mas_walk(mas)
            if entry:
                return True, entry
        elif status == MA_ERROR:
            return True, 0
        if mas.status == MA_START:
            if mas.index > limit:
                return True, 0
            entry = self.mas_walk(mas)
            if entry:
                return True, entry
        if mas.status == MA_ROOT:
            mas.status = MA_NONE
            mas.index = 1
            mas.last = self.ulong_max
            return True, entry
        if mas.status == MA_NONE:
            return True, entry
        return mas.index == limit, entry

    def mas_find(self, mas: MaState, limit: int) -> int:
        """At first the entry at or after the state's index, then each next one, up to ``limit``."""
        done, entry = self._mas_find_setup(mas, limit)
        if done:
            return entry
        entry = self.mas_next_slot(mas, limit, empty=False)
        mas.status = MA_ACTIVE  # an overflow is forgotten
        return entry

    def mas_find_range(self, mas: MaState, limit: int) -> int:
        """mas_find() that also stops at NULL ranges."""
        done, entry = self._mas_find_setup(mas, limit)
        return entry if done else self.mas_next_slot(mas, limit, empty=True)

    def _mas_find_rev_setup(self, mas: MaState, low: int) -> tuple[bool, int]:
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
            entry = self.mas_walk(mas)
            if entry:
                return True, entry
        if mas.status == MA_ROOT:
            mas.status = MA_NONE
            return True, 0
        if mas.status == MA_NONE:
            # nothing at the index: what is left is the entry at 0
            mas.last = mas.index = 0
            mas.status = MA_ROOT
            return True, self.mem.ma_root(mas.tree)
        return mas.index < low, 0

    def mas_find_rev(self, mas: MaState, low: int) -> int:
        """At first the entry at or below the state's index, then each one before, to ``low``."""
        done, entry = self._mas_find_rev_setup(mas, low)
        return entry if done else self.mas_prev_slot(mas, low, empty=False)

    def mas_find_range_rev(self, mas: MaState, low: int) -> int:
        """mas_find_rev() that also stops at NULL ranges."""
        done, entry = self._mas_find_rev_setup(mas, low)
        return entry if done else self.mas_prev_slot(mas, low, empty=True)

    def mt_find(self, tree: int, index: int, limit: int) -> tuple[int, int]:
        """The first entry at or after ``index``, up to ``limit``; and the index to go on from.

        XA_ZERO_ENTRY counts as none. Without an entry the index comes back unchanged.
        """
        if index > limit:
            return 0, index
        mas = self.new_state(tree, index)
        entry = self.mas_state_walk(mas)
        if mas.status == MA_START:
            self.livelock("mt_find: a dead node is reachable", tree)
        if entry == XA_ZERO_ENTRY:
            entry = 0
        if not entry:
            while mas.status == MA_ACTIVE and mas.last < limit:
                entry = self.mas_next_slot(mas, limit, empty=False)
                if entry and entry != XA_ZERO_ENTRY:
                    break
            if entry == XA_ZERO_ENTRY:
                entry = 0
        if not entry:
            return 0, index
        self.tests += 1
        return entry, mas.last + 1 & self.ulong_max

    def mt_find_after(self, tree: int, index: int, limit: int) -> tuple[int, int]:
        """mt_find(), but 0 as ``index`` ends a loop that has wrapped around."""
        return self.mt_find(tree, index, limit) if index else (0, index)
