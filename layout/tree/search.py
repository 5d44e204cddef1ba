"""Finding a gap: mas_empty_area and mas_empty_area_rev."""

from __future__ import annotations

from layout.node import PIVOT
from layout.pointers import ARANGE_64, NODE_MASK
from layout.tree.base import MAX_DESCENT
from layout.tree.gaps import Gaps
from layout.tree.state import EBUSY, EINVAL, MA_ERROR, MA_NONE, MA_ROOT, MA_START, MaState

_MAX_TURNS = 1 << 20
"""Steps of one search beyond which it goes to and fro for ever."""


class Search(Gaps):
    """Searches for unmapped ranges; quick in trees that track gaps, linear in others."""

    def _mas_rev_awalk(self, mas: MaState, size: int) -> tuple[bool, int, int]:
        """One step down, or up, towards the highest gap: (arrived, gap's first, gap's last)."""
        top = self.ulong_max
        if mas.status == MA_ERROR:
            return True, 0, 0
        mt = mas.node >> 3 & 0xF
        if mt == 0:
            mas.offset = mas.index - mas.min & 0xFF
            return True, 0, 0
        node = mas.node & ~NODE_MASK
        words = self.mem.read_node(node, mt)
        slot0, gap0 = self.slot0[mt], self.gap0
        has_gaps = mt == ARANGE_64
        offset = mas.offset
        low = words[PIVOT + offset - 1] + 1 & top if offset else mas.min
        while mas.last < low:
            offset = offset - 1 & 0xFF
            low = words[PIVOT + offset - 1] + 1 & top if offset else mas.min
        high = words[PIVOT + offset] if offset < self.mt_pivots[mt] else mas.max
        gap = 0
        while mas.index <= high:
            if has_gaps:
                gap = words[gap0 + offset]
            else:
                gap = 0 if words[slot0 + offset] else high - low + 1 & top
            if gap:
                if size <= gap and size <= (mas.last - low + 1 & top):
                    break
                if not has_gaps:
                    if offset < 2:
                        return self._rev_ascend(mas, node)
                    offset -= 2  # the next slot cannot be a gap as well
                    high = words[PIVOT + offset]
                    low = words[PIVOT + offset - 1] + 1 & top if offset else mas.min
                    continue
            if not offset:
                return self._rev_ascend(mas, node)
            offset -= 1
            high = low - 1 & top
            low = words[PIVOT + offset - 1] + 1 & top if offset else mas.min

        if mas.index > high or size - 1 > high - mas.index:
            self.mas_set_err(mas, EBUSY)
            return False, 0, 0
        if mt < 2:
            mas.offset = offset
            return True, low, low + gap - 1 & top
        mas.node = words[slot0 + offset]
        mas.min = low
        mas.max = high
        mas.offset = self.mas_data_end(mas)
        return False, 0, 0

    def _rev_ascend(self, mas: MaState, node: int) -> tuple[bool, int, int]:
        if self.ma_is_root(node):
            self.mas_set_err(mas, EBUSY)
        return False, 0, 0

    def _mas_anode_descend(self, mas: MaState, size: int) -> bool:
        """Look through the state's node for a gap and go down into it; true when done."""
        top = self.ulong_max
        mt = mas.node >> 3 & 0xF
        if mt == 0:
            mas.offset = mas.index - mas.min & 0xFF
            return True
        node = mas.node & ~NODE_MASK
        words = self.mem.read_node(node, mt)
        slot0, gap0 = self.slot0[mt], self.gap0
        pivots = self.mt_pivots[mt]
        found = False
        offset = mas.offset
        low = words[PIVOT + offset - 1] + 1 & top if offset else mas.min
        end = self.ma_data_end(node, mt, words, mas.max)
        while offset <= end:
            pivot = words[PIVOT + offset] if offset < pivots else mas.max
            if mas.index <= pivot:
                if mt == ARANGE_64:
                    gap = words[gap0 + offset]
                elif not words[slot0 + offset]:
                    gap = min(pivot, mas.last) - max(mas.index, low) + 1 & top
                else:
                    gap = -1
                if gap >= size:
                    if mt < 2:
                        mas.offset = offset
                        return True
                    mas.node = words[slot0 + offset]
                    mas.min = low
                    mas.max = pivot
                    offset = 0
                    break
            low = pivot + 1 & top
            if mas.last <= pivot:
                self.mas_set_err(mas, EBUSY)
                return True
            offset += 1
        if self.ma_is_root(mas.node & ~NODE_MASK):
            found = True
        mas.offset = offset
        return found

    def _mas_rewind_node(self, mas: MaState) -> bool:
        """Go to the slot before, ascending as needed; false at the start of the tree."""
        for _ in range(MAX_DESCENT):
            if self.ma_is_root(mas.node & ~NODE_MASK):
                if not mas.offset:
                    return False
            else:
                self.mas_ascend(mas)
            if mas.offset:
                mas.offset -= 1
                return True
        self.livelock("mas_rewind_node", mas.node & ~NODE_MASK)

    def _mas_skip_node(self, mas: MaState) -> bool:
        """Go to the slot after, ascending as needed; false (-EBUSY) at the end of the tree."""
        if mas.status == MA_ERROR:
            return False
        for _ in range(MAX_DESCENT):
            if self.ma_is_root(mas.node & ~NODE_MASK):
                if mas.offset >= self.mas_data_end(mas):
                    self.mas_set_err(mas, EBUSY)
                    return False
            else:
                self.mas_ascend(mas)
            if mas.offset < self.mas_data_end(mas):
                mas.offset += 1
                return True
        self.livelock("mas_skip_node", mas.node & ~NODE_MASK)

    def _mas_awalk(self, mas: MaState, size: int) -> None:
        """Search upwards in address for a gap of ``size`` between the state's index and last."""
        last = 0
        for _ in range(_MAX_TURNS):
            if mas.status == MA_ERROR or self._mas_anode_descend(mas, size):
                return
            if last == mas.node:
                self._mas_skip_node(mas)
            else:
                last = mas.node
        self.livelock("mas_awalk finds no end", mas.node & ~NODE_MASK)

    def _mas_sparse_area(
        self, mas: MaState, low: int, high: int, size: int, *, forward: bool
    ) -> int:
        """The answer in a tree without nodes."""
        top = self.ulong_max
        if mas.status != MA_NONE and low == 0:
            low = 1  # index 0 is taken
            if low > high or (high - low + 1 & top) < size:
                return -EBUSY
        if forward:
            mas.index = low
            mas.last = low + size - 1 & top
        else:
            mas.last = high
            mas.index = high - size + 1 & top
        return 0

    def mas_empty_area(self, mas: MaState, low: int, high: int, size: int) -> int:
        """Find the lowest run of ``size`` NULL indexes within [low, high].

        Returns 0 with the run in the state's index and last, -EINVAL or -EBUSY.
        """
        top = self.ulong_max
        if low > high or size == 0 or high - low < size - 1:
            return -EINVAL
        if mas.status == MA_START:
            self.mas_start(mas)
        elif mas.offset >= 2:
            mas.offset -= 2
        elif not self._mas_skip_node(mas):
            return -EBUSY
        if mas.status in (MA_NONE, MA_ROOT):
            return self._mas_sparse_area(mas, low, high, size, forward=True)
        mas.index = low
        mas.last = high
        self._mas_awalk(mas, size)
        if mas.status == MA_ERROR:
            return self.xa_err(mas.node)
        offset = mas.offset
        if offset == self.node_slots:
            return -EBUSY
        mt = mas.node >> 3 & 0xF
        node = mas.node & ~NODE_MASK
        words = self.mem.read_node(node, mt)
        low = words[PIVOT + offset - 1] + 1 & top if offset else mas.min
        mas.index = max(mas.index, low)
        mas.last = mas.index + size - 1 & top
        mas.end = self.ma_data_end(node, mt, words, mas.max)
        return 0

    def mas_empty_area_rev(self, mas: MaState, low: int, high: int, size: int) -> int:
        """Find the highest run of ``size`` NULL indexes within [low, high].

        Returns 0 with the run in the state's index and last, -EINVAL or -EBUSY.
        """
        last = mas.node
        if low > high or size == 0 or high - low < size - 1:
            return -EINVAL
        if mas.status == MA_START:
            self.mas_start(mas)
        elif mas.offset < 2 and not self._mas_rewind_node(mas):
            return -EBUSY
        if mas.status in (MA_NONE, MA_ROOT):
            return self._mas_sparse_area(mas, low, high, size, forward=False)
        mas.offset = mas.offset - 2 if mas.offset >= 2 else self.mas_data_end(mas)
        mas.index = low
        mas.last = high
        for _ in range(_MAX_TURNS):
            arrived, _gap_first, gap_last = self._mas_rev_awalk(mas, size)
            if arrived:
                break
            if last == mas.node:
                if not self._mas_rewind_node(mas):
                    return -EBUSY
            else:
                last = mas.node
        else:
            self.livelock("mas_empty_area_rev finds no end", mas.node & ~NODE_MASK)
        if mas.status == MA_ERROR:
            return self.xa_err(mas.node)
        if mas.offset == self.node_slots:
            return -EBUSY
        mas.last = min(mas.last, gap_last)
        mas.index = mas.last - size + 1 & self.ulong_max
        mas.end = self.mas_data_end(mas)
        return 0
