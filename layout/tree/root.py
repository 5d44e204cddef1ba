"""The root: the first node, a root without nodes, a whole tree replaced."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layout.memory.pointers import (
    LEAF_64,
    ROOT_PARENT,
    Word,
    mt_mk_node,
    mte_mk_root,
    xa_is_internal,
    xa_is_node,
)
from layout.tree.state import MA_ACTIVE, MA_START, MaState

if TYPE_CHECKING:
    from layout.tree.kernel import Kernel


def mas_root_expand(k: Kernel, mas: MaState, entry: Word) -> None:
    """Make the first node, for a root that held no node or a single entry."""
    mem = k.mem
    contents = mem.ma_root(mas.tree)
    node = k.mas_pop_node(mas)
    mem.set_parent(node, mas.tree | ROOT_PARENT)
    mas.node = mt_mk_node(node, LEAF_64)
    mas.status = MA_ACTIVE
    slot = 0
    if mas.index:
        if contents:
            mem.set_slot(node, LEAF_64, 0, contents)
            if mas.index > 1:
                slot = 1
        mem.set_pivot(node, slot, mas.index - 1)
        slot += 1
    mem.set_slot(node, LEAF_64, slot, entry)
    mas.offset = slot
    mem.set_pivot(node, slot, mas.last)
    if mas.last != k.ulong_max:
        slot += 1
        mem.set_pivot(node, slot, k.ulong_max)
    mas.depth = 1
    k.mas_set_height(mas)
    mem.set_meta(node, LEAF_64, 0, slot)
    mem.set_ma_root(mas.tree, mte_mk_root(mas.node))


def mas_store_root(k: Kernel, mas: MaState, entry: Word) -> None:
    """Store into a tree without nodes."""
    if not entry:
        if not mas.index:
            k.mem.set_ma_root(mas.tree, 0)
    elif mas.last or mas.index or xa_is_internal(entry):
        k.mas_root_expand(mas, entry)
    else:
        k.mem.set_ma_root(mas.tree, entry)
        mas.status = MA_START


def mas_new_root(k: Kernel, mas: MaState, entry: Word) -> None:
    """Replace the whole tree by one range, or by nothing."""
    mem = k.mem
    root = mem.ma_root(mas.tree)
    if not entry and not mas.index and mas.last == k.ulong_max:
        mas.depth = 0
        k.mas_set_height(mas)
        mem.set_ma_root(mas.tree, entry)
        mas.status = MA_START
    else:
        node = k.mas_pop_node(mas)
        mem.set_parent(node, mas.tree | ROOT_PARENT)
        mas.node = mt_mk_node(node, LEAF_64)
        mas.status = MA_ACTIVE
        mem.set_slot(node, LEAF_64, 0, entry)
        mem.set_pivot(node, 0, mas.last)
        mas.depth = 1
        k.mas_set_height(mas)
        mem.set_ma_root(mas.tree, mte_mk_root(mas.node))
    if xa_is_node(root):
        k.mte_destroy_walk(root, mas.tree)
