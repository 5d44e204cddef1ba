"""Duplicating a tree node by node: mtree_dup."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layout.memory.pointers import (
    MT_FLAGS_HEIGHT_MASK,
    NODE_MASK,
    ROOT_PARENT,
    Word,
    mt_mk_node,
    mte_is_leaf,
    mte_mk_root,
    mte_node_type,
    mte_to_node,
)
from layout.memory.slab import GFP_KERNEL
from layout.tree.state import EINVAL, ENOMEM, MA_ERROR, MA_NONE, MA_ROOT, MaState
from layout.tree.walk import MAX_DESCENT

if TYPE_CHECKING:
    from layout.tree.kernel import Kernel

_MAX_STEPS = 1 << 26


def mas_dup_free(k: Kernel, mas: MaState) -> None:
    """Free an incomplete copy; the state points at the node whose children failed."""
    mem = k.mem
    if mas.status == MA_NONE:
        return
    while not k.mte_is_root(mas.node):
        k.mas_ascend(mas)
        if mas.offset:
            mas.offset -= 1
            while True:
                k.mas_descend(mas)
                mas.offset = k.mas_data_end(mas)
                if mte_is_leaf(mas.node):
                    break
            k.mas_ascend(mas)
        node = mte_to_node(mas.node)
        mt = mte_node_type(mas.node)
        count = k.mas_data_end(mas) + 1
        for i in range(count):
            mem.set_slot(node, mt, i, mte_to_node(mem.slot(node, mt, i)))
        k.mt_free_bulk(count, node + mem.slot_offset[mt])
    k.cache.free(mte_to_node(mas.node))


def mas_copy_node(k: Kernel, mas: MaState, new_mas: MaState, parent: Word) -> None:
    """Copy a node whole and give the copy its parent."""
    mem = k.mem
    node = mte_to_node(mas.node)
    new_node = mte_to_node(new_mas.node)
    mem.copy_node(new_node, node)
    mem.set_parent(new_node, mem.parent(node) & NODE_MASK | parent)


def mas_dup_alloc(k: Kernel, mas: MaState, new_mas: MaState, gfp: int) -> None:
    """Allocate the copy's children, with the tags of the originals; may set -ENOMEM."""
    mem = k.mem
    mt = mte_node_type(mas.node)
    node = mte_to_node(mas.node)
    new_node = mte_to_node(new_mas.node)
    count = k.mas_data_end(mas) + 1
    children = k.cache.alloc_bulk(gfp, count)
    if not children:
        mem.clear_slots(new_node, mt, 0, count)
        k.mas_set_err(mas, ENOMEM)
        return
    for i in range(count):
        mem.set_slot(new_node, mt, i, children[i] | mem.slot(node, mt, i) & NODE_MASK)


def mas_dup_build(k: Kernel, mas: MaState, new_mas: MaState, gfp: int) -> None:
    """Copy in preorder. Sets -EINVAL in ``mas`` if the trees do not fit together."""
    mem = k.mem
    flags = mem.ma_flags(mas.tree)
    new_flags = mem.ma_flags(new_mas.tree)
    if (flags ^ new_flags) & ~MT_FLAGS_HEIGHT_MASK or mem.ma_root(new_mas.tree):
        k.mas_set_err(mas, EINVAL)
        return
    root = k.mas_start(mas)
    if mas.status not in (MA_ROOT, MA_NONE):
        node = k.cache.alloc_one(gfp)
        if not node:
            new_mas.status = MA_NONE
            k.mas_set_err(mas, ENOMEM)
            return
        new_mas.node = mt_mk_node(node, mte_node_type(mas.node))
        root = mte_mk_root(new_mas.node)
        new_mas.min = 0
        new_mas.max = k.ulong_max
        if not _copy_below(k, mas, new_mas, gfp):
            return
        mem.set_parent(mte_to_node(root), new_mas.tree | ROOT_PARENT)
    mem.set_ma_flags(new_mas.tree, mem.ma_flags(mas.tree))
    mem.set_ma_root(new_mas.tree, root)


def _copy_below(k: Kernel, mas: MaState, new_mas: MaState, gfp: int) -> bool:
    parent: Word = 0
    depth = 0
    for _ in range(_MAX_STEPS):
        k.mas_copy_node(mas, new_mas, parent)
        if not mte_is_leaf(mas.node):
            k.mas_dup_alloc(mas, new_mas, gfp)
            if mas.status == MA_ERROR:
                return False
        else:
            if mas.max == k.ulong_max:
                return True
            while True:
                k.mas_ascend(mas)
                k.mas_ascend(new_mas)
                depth -= 1
                if mas.offset != k.mas_data_end(mas):
                    break
                if k.mte_is_root(mas.node):
                    k.livelock("mas_dup_build finds no last leaf", mte_to_node(mas.node))
            mas.offset += 1
            new_mas.offset += 1
        depth += 1
        if depth > MAX_DESCENT:
            break
        k.mas_descend(mas)
        parent = mte_to_node(new_mas.node)
        k.mas_descend(new_mas)
        mas.offset = 0
        new_mas.offset = 0
    k.livelock("mas_dup_build: the tree has a cycle", mte_to_node(mas.node))


def mtree_dup(k: Kernel, tree: Word, new: Word, gfp: int = GFP_KERNEL) -> int:
    """Copy a tree into the empty tree ``new``, which must have the same flags but for height.

    Returns 0, -EINVAL or -ENOMEM. O(n).
    """
    mas = k.new_state(tree)
    new_mas = k.new_state(new)
    k.mas_dup_build(mas, new_mas, gfp)
    if mas.status != MA_ERROR:
        return 0
    err = k.xa_err(mas.node)
    if err == -ENOMEM:
        k.mas_dup_free(new_mas)
    return err
