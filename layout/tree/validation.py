"""The kernel's own validator, mt_validate, with its messages; it stops at the first failure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layout.memory.pointers import (
    ARANGE_64,
    Word,
    ma_is_leaf,
    mte_is_leaf,
    mte_node_type,
    mte_to_node,
)
from layout.tree.peeks import peeks
from layout.tree.state import MA_ACTIVE, MA_NONE, MA_OVERFLOW, MA_ROOT, MA_UNDERFLOW, MaState
from layout.tree.walk import MAX_DESCENT

if TYPE_CHECKING:
    from layout.tree.kernel import Kernel

_MAX_NODES = 1 << 24


class _CheckFailed(Exception):  # noqa: N818 - unwinds to mt_validate, which returns false
    pass


def _check(
    k: Kernel, failed: bool, where: str, tree: Word, *, warning: MaState | None = None
) -> None:
    """MT_BUG_ON, or MAS_WARN_ON of the state ``warning``."""
    k.tests += 1
    if not failed:
        return
    k.report_failure("WARN" if warning else "BUG", where, tree, warning)
    raise _CheckFailed


def mt_validate(k: Kernel, tree: Word) -> bool:
    """Check pivots, parents, gaps and NULLs of the tree; false after the first failure.

    What the kernel would print is in the log. O(n).
    """
    try:
        _validate(k, tree)
    except _CheckFailed:
        return False
    return True


def _validate(k: Kernel, tree: Word) -> None:
    mas = k.new_state(tree)
    k.mas_start(mas)
    if mas.status != MA_ACTIVE:
        return
    _descend_to_leaf(k, mas)
    pointer = k.mem.arch.hex_pointer
    gaps = k.mt_is_alloc(tree)
    for _ in range(_MAX_NODES):
        node = mte_to_node(mas.node)
        _check(k, k.ma_dead_node(node), "mt_validate", tree, warning=mas)
        end = k.mas_data_end(mas)
        small = end < k.mt_min_slots[mte_node_type(mas.node)] and not k.seam_may_be_small(mas)
        _check(k, small, "mt_validate", tree, warning=mas)
        _validate_parent_slot(k, mas, pointer(node))
        _validate_limits(k, mas, pointer(node))
        _validate_child_slot(k, mas, pointer(node))
        if gaps:
            _validate_gaps(k, mas, pointer(node))
        _dfs_postorder(k, mas)
        if mas.status == MA_OVERFLOW:
            break
    else:
        k.livelock("mt_validate: the tree has a cycle", mte_to_node(mas.node))
    _validate_nulls(k, tree)


def seam_may_be_small(k: Kernel, mas: MaState) -> bool:
    """Whether the state's node may have fewer entries than others: the last one of its level."""
    return mas.max == k.ulong_max


def _descend_to_leaf(k: Kernel, mas: MaState) -> None:
    for _ in range(MAX_DESCENT):
        if mte_is_leaf(mas.node):
            return
        k.mas_descend(mas)
    k.livelock("mt_validate: the tree has a cycle", mte_to_node(mas.node))


def _dfs_postorder(k: Kernel, mas: MaState) -> None:
    """Go to the next node of this level, or to the first one of the level above."""
    enode = mas.node
    k.mas_next_node(mas, mte_to_node(enode), k.ulong_max)
    if mas.status != MA_OVERFLOW or k.mte_is_root(enode):
        return
    mas.node = enode
    k.mas_ascend(mas)
    for _ in range(_MAX_NODES):
        first, low, high = mas.node, mas.min, mas.max
        k.mas_prev_node(mas, 0)
        if mas.status == MA_UNDERFLOW:
            mas.node, mas.min, mas.max = first, low, high
            return
    k.livelock("mt_validate: the tree has a cycle", mte_to_node(mas.node))


@peeks(
    *("read past data end", "metadata read as slot"),
    why="all slots are searched for the child, in use or not",
)
def _validate_parent_slot(k: Kernel, mas: MaState, name: str) -> None:
    where = "mas_validate_parent_slot"
    node = mte_to_node(mas.node)
    if k.ma_is_root(node):
        return
    pointer = k.mem.arch.hex_pointer
    p_slot = k.mte_parent_slot(mas.node)
    p_type = k.mas_parent_type(mas, mas.node)
    parent = k.mte_parent(mas.node)
    _check(k, node == parent, where, mas.tree)
    for i in range(k.mt_slots[p_type]):
        child = k.mem.slot(parent, p_type, i)
        if i == p_slot:
            if child != mas.node:
                k.printk(f"parent {pointer(parent)}[{i}] does not have {name}\n")
            _check(k, child != mas.node, where, mas.tree)
        elif child == mas.node:
            k.printk(f"Invalid child {name} at parent {pointer(parent)}[{i}] p_slot {p_slot}\n")
            _check(k, True, where, mas.tree)


@peeks("read past data end", why="what is behind the data is looked at to see that it is 0")
@peeks("metadata read as slot", why="the last word is read with the rest and left out")
def _validate_limits(k: Kernel, mas: MaState, name: str) -> None:
    where = "mas_validate_limits"
    mt = mte_node_type(mas.node)
    mem = k.mem
    node = mte_to_node(mas.node)
    mem.check_pivots(node, mt)
    pivots, slots = k.mt_pivots[mt], k.mt_slots[mt]
    before = 0
    i = 0
    while i < slots:
        pivot = mem.pivot(node, i) if i < pivots else mas.max
        problems = (
            (not pivot and i != 0, f"Missing node limit pivot at {name}[{i}]"),
            (before > pivot, f"{name}[{i}] piv {pivot} < prev_piv {before}\n"),
            (pivot < mas.min, f"{name}[{i}] {pivot} < {mas.min}\n"),
            (pivot > mas.max, f"{name}[{i}] {pivot} > {mas.max}\n"),
        )
        for wrong, text in problems:
            if wrong:
                k.printk(text)
                _check(k, True, where, mas.tree, warning=mas)
        before = pivot
        if pivot == mas.max:
            break
        i += 1
    end = k.mas_data_end(mas)
    if end != i:
        k.printk(f"node{name}: data_end {end} != the last slot offset {i}\n")
        _check(k, True, where, mas.tree)
    for i in range(i + 1, slots):  # noqa: B020 - goes on behind the data
        entry = mem.slot(node, mt, i)
        if entry and i != slots - 1:
            pointer = k.mem.arch.hex_pointer(entry)
            k.printk(f"{name}[{i}] should not have entry {pointer}\n")
            _check(k, True, where, mas.tree)
        if i < pivots and mem.pivot(node, i):
            k.printk(f"{name}[{i}] should not have piv {mem.pivot(node, i)}\n")
            _check(k, i < pivots - 1, where, mas.tree, warning=mas)


def _validate_child_slot(k: Kernel, mas: MaState, name: str) -> None:
    where = "mas_validate_child_slot"
    mt = mte_node_type(mas.node)
    if ma_is_leaf(mt):
        return
    pointer = k.mem.arch.hex_pointer
    mem = k.mem
    node = mte_to_node(mas.node)
    mem.check_pivots(node, mt)
    for i in range(k.mt_slots[mt]):
        child = mem.slot(node, mt, i)
        if not child:
            k.printk(f"Non-leaf node lacks child at {name}[{i}]\n")
            _check(k, True, where, mas.tree)
        child_name = pointer(mte_to_node(child))
        p_slot, parent = k.mte_parent_slot(child), k.mte_parent(child)
        if p_slot != i:
            k.printk(f"Slot error at {name}[{i}]: child {child_name} has pslot {p_slot}\n")
            _check(k, True, where, mas.tree)
        if parent != node:
            k.printk(f"child {child_name} has parent {pointer(parent)} not {name}\n")
            _check(k, True, where, mas.tree)
        if i < k.mt_pivots[mt] and mem.pivot(node, i) == mas.max:
            break


@peeks("read past data end", why="what is behind the data is looked at to see that it is 0")
def _validate_gaps(k: Kernel, mas: MaState, name: str) -> None:
    where = "mas_validate_gaps"
    top = k.ulong_max
    tree = mas.tree
    mt = mte_node_type(mas.node)
    node = mte_to_node(mas.node)
    mem = k.mem
    mem.check_pivots(node, mt)
    pivots, slots = k.mt_pivots[mt], k.mt_slots[mt]
    has_gaps = mt == ARANGE_64
    gap = largest = 0
    low = mas.min
    i = 0
    while i < slots:
        high = mem.pivot(node, i) if i < pivots else mas.max
        size = high - low + 1 & top
        if not has_gaps:
            if not mem.slot(node, mt, i):
                gap = size
        else:
            gap = mem.gap(node, i)
            _check(k, not mem.slot(node, mt, i), where, tree)
            if gap > size:
                k.printk(f"{name}[{i}] {gap} >= {high} - {low} + 1 ({size})\n")
                _check(k, True, where, tree)
        largest = max(largest, gap)
        low = high + 1 & top
        if high >= mas.max:
            break
        i += 1
    if has_gaps:
        _check(k, False, where, tree)
        offset = k.mem.meta_gap(node)
        if offset > i:
            k.printk(f"gap offset {name}[{offset}] is invalid\n")
            _check(k, True, where, tree)
        if k.mem.gap(node, offset) != largest:
            k.printk(f"gap {name}[{offset}] is not the largest gap {largest}\n")
            _check(k, True, where, tree)
        for j in range(i + 1, slots):
            if mem.gap(node, j):
                k.printk(f"gap {name}[{j}] beyond node limit != 0\n")
                _check(k, True, where, tree)
    if k.ma_is_root(node):
        return
    slot, parent = k.mte_parent_slot(mas.node), k.mte_parent(mas.node)
    _check(k, largest > mas.max, where, tree)
    if k.mem.gap(parent, slot) != largest:
        k.printk(f"gap {k.mem.arch.hex_pointer(parent)}[{slot}] != {largest}\n")
        k.mt_dump(tree)
        _check(k, True, where, tree)


def _validate_nulls(k: Kernel, tree: Word) -> None:
    mas = k.new_state(tree)
    k.mas_start(mas)
    if mas.status in (MA_NONE, MA_ROOT):
        return
    _descend_to_leaf(k, mas)
    last, offset = 1, 0
    for _ in range(_MAX_NODES):
        node = mte_to_node(mas.node)
        entry = k.mem.slot(node, mte_node_type(mas.node), offset)
        both = not last and not entry
        if both:
            name = k.mem.arch.hex_pointer(mte_to_node(mas.node))
            k.printk(f"Sequential nulls end at {name}[{offset}]\n")
        _check(k, both, "mt_validate_nulls", tree)
        last = entry
        if offset == k.mas_data_end(mas):
            k.mas_next_node(mas, mte_to_node(mas.node), k.ulong_max)
            if mas.status == MA_OVERFLOW:
                return
            offset = 0
        else:
            offset += 1
    k.livelock("mt_validate: the tree has a cycle", mte_to_node(mas.node))
