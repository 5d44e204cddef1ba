"""The kernel's own validator, mt_validate, with its messages; it stops at the first failure."""

from __future__ import annotations

from layout.node import PIVOT
from layout.pointers import ARANGE_64, NODE_MASK
from layout.tree.base import MAX_DESCENT
from layout.tree.dump import Dump
from layout.tree.peeks import peeks
from layout.tree.state import MA_ACTIVE, MA_NONE, MA_OVERFLOW, MA_ROOT, MA_UNDERFLOW, MaState

_MAX_NODES = 1 << 24


class _CheckFailed(Exception):  # noqa: N818 - unwinds to mt_validate, which returns false
    pass


class Validate(Dump):
    """Debug checks of the whole tree."""

    def _check(
        self, failed: bool, where: str, tree: int, *, warning: MaState | None = None
    ) -> None:
        """MT_BUG_ON, or MAS_WARN_ON of the state ``warning``."""
        self.tests += 1
        if not failed:
            return
        self.report_failure("WARN" if warning else "BUG", where, tree, warning)
        raise _CheckFailed

    def mt_validate(self, tree: int) -> bool:
        """Check pivots, parents, gaps and NULLs of the tree; false after the first failure.

        What the kernel would print is in the log. O(n).
        """
        try:
            self._validate(tree)
        except _CheckFailed:
            return False
        return True

    def _validate(self, tree: int) -> None:
        mas = self.new_state(tree)
        self.mas_start(mas)
        if mas.status != MA_ACTIVE:
            return
        self._descend_to_leaf(mas)
        pointer = self.mem.arch.hex_pointer
        gaps = self.mt_is_alloc(tree)
        for _ in range(_MAX_NODES):
            node = mas.node & ~NODE_MASK
            self._check(self.ma_dead_node(node), "mt_validate", tree, warning=mas)
            end = self.mas_data_end(mas)
            small = end < self.mt_min_slots[mas.node >> 3 & 0xF] and mas.max != self.ulong_max
            self._check(small, "mt_validate", tree, warning=mas)
            self._validate_parent_slot(mas, pointer(node))
            self._validate_limits(mas, pointer(node))
            self._validate_child_slot(mas, pointer(node))
            if gaps:
                self._validate_gaps(mas, pointer(node))
            self._dfs_postorder(mas)
            if mas.status == MA_OVERFLOW:
                break
        else:
            self.livelock("mt_validate: the tree has a cycle", mas.node & ~NODE_MASK)
        self._validate_nulls(tree)

    def _descend_to_leaf(self, mas: MaState) -> None:
        for _ in range(MAX_DESCENT):
            if mas.node >> 3 & 0xF < 2:
                return
            self.mas_descend(mas)
        self.livelock("mt_validate: the tree has a cycle", mas.node & ~NODE_MASK)

    def _dfs_postorder(self, mas: MaState) -> None:
        """Go to the next node of this level, or to the first one of the level above."""
        enode = mas.node
        self.mas_next_node(mas, enode & ~NODE_MASK, self.ulong_max)
        if mas.status != MA_OVERFLOW or self.ma_is_root(enode & ~NODE_MASK):
            return
        mas.node = enode
        self.mas_ascend(mas)
        for _ in range(_MAX_NODES):
            first, low, high = mas.node, mas.min, mas.max
            self.mas_prev_node(mas, 0)
            if mas.status == MA_UNDERFLOW:
                mas.node, mas.min, mas.max = first, low, high
                return
        self.livelock("mt_validate: the tree has a cycle", mas.node & ~NODE_MASK)

    @peeks(
        *("read past data end", "metadata read as slot"),
        why="all slots are searched for the child, in use or not",
    )
    def _validate_parent_slot(self, mas: MaState, name: str) -> None:
        where = "mas_validate_parent_slot"
        node = mas.node & ~NODE_MASK
        if self.ma_is_root(node):
            return
        pointer = self.mem.arch.hex_pointer
        p_slot = self.mte_parent_slot(mas.node)
        p_type = self.mas_parent_type(mas, mas.node)
        parent = self.mte_parent(mas.node)
        self._check(node == parent, where, mas.tree)
        for i in range(self.mt_slots[p_type]):
            child = self.mem.slot(parent, p_type, i)
            if i == p_slot:
                if child != mas.node:
                    self.printk(f"parent {pointer(parent)}[{i}] does not have {name}\n")
                self._check(child != mas.node, where, mas.tree)
            elif child == mas.node:
                self.printk(
                    f"Invalid child {name} at parent {pointer(parent)}[{i}] p_slot {p_slot}\n"
                )
                self._check(True, where, mas.tree)

    @peeks("read past data end", why="what is behind the data is looked at to see that it is 0")
    @peeks("metadata read as slot", why="the last word is read with the rest and left out")
    def _validate_limits(self, mas: MaState, name: str) -> None:
        where = "mas_validate_limits"
        mt = mas.node >> 3 & 0xF
        words = self.words_of(mas)
        pivots, slots, slot0 = self.mt_pivots[mt], self.mt_slots[mt], self.slot0[mt]
        before = 0
        i = 0
        while i < slots:
            pivot = words[PIVOT + i] if i < pivots else mas.max
            problems = (
                (not pivot and i != 0, f"Missing node limit pivot at {name}[{i}]"),
                (before > pivot, f"{name}[{i}] piv {pivot} < prev_piv {before}\n"),
                (pivot < mas.min, f"{name}[{i}] {pivot} < {mas.min}\n"),
                (pivot > mas.max, f"{name}[{i}] {pivot} > {mas.max}\n"),
            )
            for wrong, text in problems:
                if wrong:
                    self.printk(text)
                    self._check(True, where, mas.tree, warning=mas)
            before = pivot
            if pivot == mas.max:
                break
            i += 1
        end = self.mas_data_end(mas)
        if end != i:
            self.printk(f"node{name}: data_end {end} != the last slot offset {i}\n")
            self._check(True, where, mas.tree)
        for i in range(i + 1, slots):  # noqa: B020 - goes on behind the data
            entry = words[slot0 + i]
            if entry and i != slots - 1:
                pointer = self.mem.arch.hex_pointer(entry)
                self.printk(f"{name}[{i}] should not have entry {pointer}\n")
                self._check(True, where, mas.tree)
            if i < pivots and words[PIVOT + i]:
                self.printk(f"{name}[{i}] should not have piv {words[PIVOT + i]}\n")
                self._check(i < pivots - 1, where, mas.tree, warning=mas)

    def _validate_child_slot(self, mas: MaState, name: str) -> None:
        where = "mas_validate_child_slot"
        mt = mas.node >> 3 & 0xF
        if mt < 2:
            return
        pointer = self.mem.arch.hex_pointer
        node = mas.node & ~NODE_MASK
        words = self.words_of(mas)
        for i in range(self.mt_slots[mt]):
            child = words[self.slot0[mt] + i]
            if not child:
                self.printk(f"Non-leaf node lacks child at {name}[{i}]\n")
                self._check(True, where, mas.tree)
            child_name = pointer(child & ~NODE_MASK)
            p_slot, parent = self.mte_parent_slot(child), self.mte_parent(child)
            if p_slot != i:
                self.printk(f"Slot error at {name}[{i}]: child {child_name} has pslot {p_slot}\n")
                self._check(True, where, mas.tree)
            if parent != node:
                self.printk(f"child {child_name} has parent {pointer(parent)} not {name}\n")
                self._check(True, where, mas.tree)
            if i < self.mt_pivots[mt] and words[PIVOT + i] == mas.max:
                break

    @peeks("read past data end", why="what is behind the data is looked at to see that it is 0")
    def _validate_gaps(self, mas: MaState, name: str) -> None:
        where = "mas_validate_gaps"
        top = self.ulong_max
        tree = mas.tree
        mt = mas.node >> 3 & 0xF
        node = mas.node & ~NODE_MASK
        words = self.words_of(mas)
        pivots, slots = self.mt_pivots[mt], self.mt_slots[mt]
        slot0, gap0 = self.slot0[mt], self.gap0
        has_gaps = mt == ARANGE_64
        gap = largest = 0
        low = mas.min
        i = 0
        while i < slots:
            high = words[PIVOT + i] if i < pivots else mas.max
            size = high - low + 1 & top
            if not has_gaps:
                if not words[slot0 + i]:
                    gap = size
            else:
                gap = words[gap0 + i]
                self._check(not words[slot0 + i], where, tree)
                if gap > size:
                    self.printk(f"{name}[{i}] {gap} >= {high} - {low} + 1 ({size})\n")
                    self._check(True, where, tree)
            largest = max(largest, gap)
            low = high + 1 & top
            if high >= mas.max:
                break
            i += 1
        if has_gaps:
            self._check(False, where, tree)
            offset = self.mem.meta_gap(node)
            if offset > i:
                self.printk(f"gap offset {name}[{offset}] is invalid\n")
                self._check(True, where, tree)
            if self.mem.gap(node, offset) != largest:
                self.printk(f"gap {name}[{offset}] is not the largest gap {largest}\n")
                self._check(True, where, tree)
            for j in range(i + 1, slots):
                if words[gap0 + j]:
                    self.printk(f"gap {name}[{j}] beyond node limit != 0\n")
                    self._check(True, where, tree)
        if self.ma_is_root(node):
            return
        slot, parent = self.mte_parent_slot(mas.node), self.mte_parent(mas.node)
        self._check(largest > mas.max, where, tree)
        if self.mem.gap(parent, slot) != largest:
            self.printk(f"gap {self.mem.arch.hex_pointer(parent)}[{slot}] != {largest}\n")
            self.mt_dump(tree)
            self._check(True, where, tree)

    def _validate_nulls(self, tree: int) -> None:
        mas = self.new_state(tree)
        self.mas_start(mas)
        if mas.status in (MA_NONE, MA_ROOT):
            return
        self._descend_to_leaf(mas)
        last, offset = 1, 0
        words = self.words_of(mas)
        slot0 = self.slot0[mas.node >> 3 & 0xF]
        for _ in range(_MAX_NODES):
            entry = words[slot0 + offset]
            both = not last and not entry
            if both:
                name = self.mem.arch.hex_pointer(mas.node & ~NODE_MASK)
                self.printk(f"Sequential nulls end at {name}[{offset}]\n")
            self._check(both, "mt_validate_nulls", tree)
            last = entry
            if offset == self.mas_data_end(mas):
                self.mas_next_node(mas, mas.node & ~NODE_MASK, self.ulong_max)
                if mas.status == MA_OVERFLOW:
                    return
                offset = 0
                words = self.words_of(mas)
                slot0 = self.slot0[mas.node >> 3 & 0xF]
            else:
                offset += 1
        self.livelock("mt_validate: the tree has a cycle", mas.node & ~NODE_MASK)
