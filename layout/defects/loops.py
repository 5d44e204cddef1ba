"""The iteration of 2022, which 6.6 replaced, with the code of R1 and D5.

The code here is correct; each defect omits one test.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from layout.memory.pointers import mte_node_type, mte_to_node
from layout.tree.kernel import Kernel
from layout.tree.state import MA_ACTIVE, MA_OVERFLOW, MA_UNDERFLOW

if TYPE_CHECKING:
    from layout.tree.state import MaState


class Next2022(Kernel):
    """mas_find() and mas_next() with the states and the loop of 2022.

    A move that finds nothing leaves index and last at its limit.
    """

    def mas_find(self, mas: MaState, limit: int) -> int:
        """Leave the state at the limit when nothing is found."""
        entry = super().mas_find(mas, limit)
        if not entry and mas.status == MA_ACTIVE:
            mas.index = mas.last = limit
        return entry

    def mas_next(self, mas: MaState, limit: int) -> int:
        """Move on by mas_next_entry() in place of mas_next_slot()."""
        done, entry = self.mas_next_setup(mas, limit)
        return entry if done else self.mas_next_entry(mas, limit)

    def mas_next_entry(self, mas: MaState, limit: int) -> int:
        """The next entry, node by node; 0 leaves index and last at ``limit``."""
        last = mas.last
        before = mas.offset
        mas.offset += 1
        while True:
            node = mas.node
            if mas.offset < self.mt_slots[mte_node_type(node)]:
                entry = self.mas_next_nentry(mas, limit)
                if entry:
                    return entry
                if mas.index > limit:
                    break
            if self.mas_next_node(mas, mte_to_node(node), limit):
                self.mas_rewalk(mas, last)
                before = mas.offset
                mas.offset += 1
                continue
            if mas.status == MA_OVERFLOW:
                mas.status = MA_ACTIVE
                break
            before = mas.offset = 0
        mas.index = mas.last = limit
        self.seam_next_nothing(mas, before)
        return 0

    def seam_next_nothing(self, mas: MaState, before: int) -> None:
        """Put the state back on the slot it was on in its node."""
        mas.offset = before

    def mas_next_nentry(self, mas: MaState, limit: int) -> int:
        """The next entry within the state's node, from its offset on."""
        top = self.ulong_max
        mt = mte_node_type(mas.node)
        if mas.last == mas.max:
            mas.index = mas.max
            return 0
        mem, node, offset = self.mem, mte_to_node(mas.node), mas.offset
        mas.index = mem.pivot(node, offset - 1) + 1 & top if offset else mas.min
        if mas.index > limit:
            return 0
        count = self.ma_data_end(node, mt, mas.max)
        if self.seam_beyond(offset, count):
            return 0
        while mas.offset < count:
            pivot = mem.pivot(node, mas.offset)
            entry = mem.slot(node, mt, mas.offset)
            if entry:
                mas.last = pivot
                return entry
            if pivot >= limit:
                return 0
            mas.index = pivot + 1
            mas.offset += 1
        if mas.index > mas.max:
            mas.index = mas.last
            return 0
        offset = mas.offset
        entry = mem.slot(node, mt, offset)
        if entry:
            mas.last = mem.pivot(node, offset) if offset < self.mt_pivots[mt] else mas.max
        return entry

    def seam_beyond(self, offset: int, count: int) -> bool:
        """Whether ``offset`` is above the end of the node's data."""
        return offset > count


class Loops2022(Next2022):
    """mas_prev() with the loop of 2022, too."""

    def mas_prev(self, mas: MaState, low: int) -> int:
        """Move back by mas_prev_entry() in place of mas_prev_slot()."""
        done, entry = self.mas_prev_setup(mas, low)
        return entry if done else self.mas_prev_entry(mas, low)

    def mas_prev_entry(self, mas: MaState, low: int) -> int:
        """The previous entry, node by node; 0 leaves index and last at ``low``."""
        index = mas.index
        while True:
            entry = self.mas_prev_nentry(mas, low)
            if entry:
                return entry
            if mas.index <= low:
                break
            if self.mas_prev_node(mas, low):
                self.mas_rewalk(mas, index)
                continue
            if mas.status == MA_UNDERFLOW:
                mas.status = MA_ACTIVE
                break
            mas.offset += 1
        mas.index = mas.last = low
        return 0

    def mas_prev_nentry(self, mas: MaState, low: int) -> int:
        """The previous entry within the state's node, from below its offset on."""
        top = self.ulong_max
        mt = mte_node_type(mas.node)
        node = mte_to_node(mas.node)
        pivots = self.mt_pivots[mt]
        offset = self.seam_into_node(mas.offset, mt)
        while offset:
            offset -= 1
            entry = self.mem.slot(node, mt, offset)
            first = self.mem.pivot(node, offset - 1) + 1 & top if offset else mas.min
            last = self.mem.pivot(node, offset) if offset < pivots else mas.max
            if last < low:
                mas.index = low
                return 0
            if entry:
                mas.offset, mas.index, mas.last = offset, first, last
                return entry
            if first <= low:
                mas.index = low
                return 0
        return 0

    def seam_into_node(self, offset: int, mt: int) -> int:
        """``offset``, or the number of slots that the node has if that is less."""
        return min(offset, self.mt_slots[mt])
