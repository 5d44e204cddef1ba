"""The kernel's read operations as readers without a lock carry them out: loads and retries.

:mod:`layout.tree` reads a word once where C reads it again to see that it is still the same, and
takes a dead node that a walk meets from the root for an endless loop. Alone that makes no
difference. Here loads stand as in C, and a walk that meets a dead node is made again.
Source: lib/maple_tree.c of 6.12 and 7.3, which do not differ in these functions but for the depth.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from layout.memory.pointers import (
    NODE_MASK,
    mt_mk_node,
    mte_node_type,
    mte_safe_root,
    mte_to_node,
    xa_is_node,
    xa_is_zero,
)
from layout.tree.kernel import Kernel
from layout.tree.state import (
    MA_ACTIVE,
    MA_NONE,
    MA_OVERFLOW,
    MA_ROOT,
    MA_START,
    MA_UNDERFLOW,
    MaState,
)

if TYPE_CHECKING:
    from layout.interleave.view import ViewMemory


class ReaderKernel(Kernel):
    """The operations of a reader, for a machine whose memory is a ViewMemory."""

    mem: ViewMemory

    # -- dead nodes

    def ma_dead_node(self, node: int) -> bool:
        """Whether a node has been replaced; all reads before are done before this one."""
        self.mem.read_barrier("ma_dead_node")
        return self.mem.parent(node) & ~NODE_MASK == node

    def mte_dead_node(self, enode: int) -> bool:
        """Whether an enode's node has been replaced; after 6.12 this calls ma_dead_node()."""
        node = mte_to_node(enode)
        if self.version != Kernel.version:
            return self.ma_dead_node(node)
        self.mem.read_barrier("mte_dead_node")
        return self.mem.parent(node) & ~NODE_MASK == node

    # -- walks from the root

    def mas_start(self, mas: MaState) -> int:
        """Point a starting state at the root; again while that is dead."""
        if mas.status != MA_START:
            return 0
        mas.min = 0
        mas.max = self.ulong_max
        while True:
            mas.depth = 0
            root = self.mem.ma_root(mas.tree)
            if not xa_is_node(root):
                break
            mas.depth = int(self.version == Kernel.version)  # after 6.12 the root's depth is 0
            mas.status = MA_ACTIVE
            mas.node = mte_safe_root(root)
            mas.offset = 0
            if not self.mte_dead_node(mas.node):
                return 0
            self.mem.restart("mas_start", mte_to_node(root))
        mas.node = 0
        mas.offset = self.node_slots
        if not root:
            mas.status = MA_NONE
            return 0
        mas.status = MA_ROOT
        return 0 if mas.index > 0 else root

    def mas_state_walk(self, mas: MaState) -> int:
        """Start and walk to the state's index; again while a node is dead, as all callers do."""
        while True:
            entry = super().mas_state_walk(mas)
            if mas.status != MA_START:
                return entry
            self.mem.restart("mas_state_walk", mas.tree)

    def mas_rewalk(self, mas: MaState, index: int) -> None:
        """Walk to ``index`` anew, after a dead node was met."""
        self.mem.restart("mas_rewalk", mas.tree)
        self.mas_set(mas, index)
        self.mas_state_walk(mas)

    def mtree_load(self, tree: int, index: int) -> int:
        """The entry at ``index``; XA_ZERO_ENTRY counts as none."""
        mas = self.new_state(tree, index)
        while True:
            entry = self.mas_start(mas)
            if mas.status == MA_NONE:
                break
            if mas.status == MA_ROOT:
                entry = 0 if index else entry
                break
            entry = self.mtree_lookup_walk(mas)
            if entry or mas.status != MA_START:
                break
            self.mem.restart("mtree_load", tree)
        return 0 if xa_is_zero(entry) else entry

    # -- up

    def mas_ascend(self, mas: MaState) -> bool:
        """Go up one level and find that node's range; true if a dead node was met."""
        mem = self.mem
        top = self.ulong_max
        node = mte_to_node(mas.node)
        if self.ma_is_root(node):
            mas.offset = 0
            return False
        parent = self.mte_parent(mas.node)
        if node == parent:
            return True
        mt = self.mas_parent_type(mas, mas.node)
        mas.offset = self.mte_parent_slot(mas.node)
        if parent != self.mte_parent(mas.node):
            return True
        above = mas.node = mt_mk_node(parent, mt)
        if self.mte_is_root(above):
            mas.max = top
            mas.min = 0
            return False
        set_low = not mas.offset
        low = mas.min if set_low else 0
        set_high = mas.max == top
        high = top
        while True:
            below = above
            mt = self.mas_parent_type(mas, below)
            node = self.mte_parent(below)
            slot = self.mte_parent_slot(below)
            above = mt_mk_node(node, mt)
            if self.ma_dead_node(node):
                return True
            if not set_low and slot:
                set_low = True
                low = mem.ma_pivot(node, mt, slot - 1) + 1 & top
            if not set_high and slot < self.mt_pivots[mt]:
                set_high = True
                high = mem.ma_pivot(node, mt, slot)
            if self.ma_dead_node(node):
                return True
            if self.ma_is_root(node) or (set_low and set_high):
                break
        mas.max = high
        mas.min = low
        return False

    # -- one node over

    def mas_prev_node(self, mas: MaState, low: int) -> bool:
        """Go to the previous node at this level; true if a dead node was met."""
        mem = self.mem
        node = mte_to_node(mas.node)
        if not mas.min or mas.min - 1 < low:
            return self._no_node(mas, node, MA_UNDERFLOW)
        high = mas.min - 1
        level = 0
        while True:
            if self.ma_is_root(node):
                return self._no_node(mas, node, MA_UNDERFLOW)
            if self.mas_ascend(mas):
                return True
            offset = mas.offset
            level += 1
            node = mte_to_node(mas.node)
            if offset:
                break
        offset -= 1
        mt = mte_node_type(mas.node)
        while level > 1:
            level -= 1
            mas.node = mem.slot(node, mt, offset)
            if self.ma_dead_node(node):
                return True
            mt = mte_node_type(mas.node)
            node = mte_to_node(mas.node)
            offset = self.ma_data_end(node, mt, high)
            if self.ma_dead_node(node):
                return True
        mas.node = mem.slot(node, mt, offset)
        if self.ma_dead_node(node):
            return True
        if offset:
            mas.min = mem.ma_pivot(node, mt, offset - 1) + 1 & self.ulong_max
        mas.max = high
        mas.offset = self.mas_data_end(mas)
        if self.mte_dead_node(mas.node):
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
            node = mte_to_node(mas.node)
            mt = mte_node_type(mas.node)
            end = self.ma_data_end(node, mt, mas.max)
            if self.ma_dead_node(node):
                return True
            if mas.offset != end:
                break
        mas.offset = mas.offset + 1 & 0xFF
        enode = mem.slot(node, mt, mas.offset)
        if self.ma_dead_node(node):
            return True
        if level > 1:
            mas.offset = 0
        while level > 1:
            level -= 1
            mas.node = enode
            node = mte_to_node(mas.node)
            mt = mte_node_type(mas.node)
            enode = mem.slot(node, mt, 0)
            if self.ma_dead_node(node):
                return True
        if mas.offset < self.mt_pivots[mt]:
            mas.max = mem.ma_pivot(node, mt, mas.offset)
        mas.end = self.ma_data_end(mte_to_node(enode), mte_node_type(enode), mas.max)
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

    def _rewalk_if_dead(self, mas: MaState, node: int, index: int) -> bool:
        if self.ma_dead_node(node):
            self.mas_rewalk(mas, index)
            return True
        return False

    def mas_prev_slot(self, mas: MaState, low: int, *, empty: bool) -> int:
        """The entry in the previous slot, down to index ``low``; NULL ones only if ``empty``."""
        save = mas.index
        while True:
            entry = self._prev_slot(mas, low, save, empty=empty)
            if entry is not None:
                return entry

    def _prev_slot(self, mas: MaState, low: int, save: int, *, empty: bool) -> int | None:
        """One try of mas_prev_slot(); None to try again."""
        mem = self.mem
        top = self.ulong_max
        node = mte_to_node(mas.node)
        if self._rewalk_if_dead(mas, node, save):
            return None
        if mas.min <= low:
            first = mem.pivot(node, mas.offset - 1) + 1 & top if mas.offset else mas.min
            if self._rewalk_if_dead(mas, node, save):
                return None
            if first <= low:
                mas.status = MA_UNDERFLOW
                return 0
        while True:
            if mas.offset:
                mas.offset -= 1
                mas.last = mas.index - 1 & top
                mas.index = mem.pivot(node, mas.offset - 1) + 1 & top if mas.offset else mas.min
            else:
                if mas.index <= low:
                    mas.status = MA_UNDERFLOW
                    return 0
                if self.mas_prev_node(mas, low):
                    self.mas_rewalk(mas, save)
                    return None
                if mas.status == MA_UNDERFLOW:
                    self.warn_on("mas_prev_slot: the node before is beyond the limit")
                    return 0
                mas.last = mas.max
                node = mte_to_node(mas.node)
                mas.index = mem.ma_pivot(node, mte_node_type(mas.node), mas.offset - 1) + 1 & top
            entry = mem.slot(node, mte_node_type(mas.node), mas.offset)
            if self._rewalk_if_dead(mas, node, save):
                return None
            if entry or empty:
                return entry
            if mas.index <= low:
                mas.status = MA_UNDERFLOW
                return 0

    def mas_next_slot(self, mas: MaState, limit: int, *, empty: bool) -> int:
        """The entry in the next slot, up to index ``limit``; NULL ones only if ``empty``."""
        save = mas.last
        while True:
            entry = self._next_slot(mas, limit, save, empty=empty)
            if entry is not None:
                return entry

    def _next_slot(self, mas: MaState, limit: int, save: int, *, empty: bool) -> int | None:
        """One try of mas_next_slot(); None to try again."""
        mem = self.mem
        top = self.ulong_max
        node = mte_to_node(mas.node)
        if self._rewalk_if_dead(mas, node, save):
            return None
        if mas.max >= limit:
            high = mem.pivot(node, mas.offset) if mas.offset < mas.end else mas.max
            if self._rewalk_if_dead(mas, node, save):
                return None
            if high >= limit:
                mas.status = MA_OVERFLOW
                return 0
        step_on = mas.offset < mas.end
        if step_on:
            mas.index = mem.pivot(node, mas.offset) + 1 & top
        while True:
            if step_on:
                mas.offset = mas.offset + 1 & 0xFF
                mas.last = mem.pivot(node, mas.offset) if mas.offset < mas.end else mas.max
            else:
                if mas.last >= limit:
                    mas.status = MA_OVERFLOW
                    return 0
                if self.mas_next_node(mas, node, limit):
                    self.mas_rewalk(mas, save)
                    return None
                if mas.status == MA_OVERFLOW:
                    self.warn_on("mas_next_slot: the next node is beyond the limit")
                    return 0
                mas.offset = 0
                mas.index = mas.min
                node = mte_to_node(mas.node)
                mas.last = mem.ma_pivot(node, mte_node_type(mas.node), 0)
            entry = mem.slot(node, mte_node_type(mas.node), mas.offset)
            if self._rewalk_if_dead(mas, node, save):
                return None
            if entry or empty:
                return entry
            if mas.last >= limit:
                mas.status = MA_OVERFLOW
                return 0
            mas.index = mas.last + 1
            step_on = True
