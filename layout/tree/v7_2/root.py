"""The root and the height: the first node, a whole tree replaced, a node put in the tree."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layout.memory.pointers import (
    LEAF_64,
    MAPLE_HEIGHT_MAX,
    MT_FLAGS_HEIGHT_MASK,
    MT_FLAGS_HEIGHT_OFFSET,
    ROOT_PARENT,
    Word,
    mt_mk_node,
    mte_mk_root,
    mte_to_node,
    xa_is_node,
)
from layout.tree.state import MA_ACTIVE, MA_START, MaState

if TYPE_CHECKING:
    from layout.tree.v7_2.kernel import Kernel72


def mt_set_height(k: Kernel72, tree: Word, height: int) -> None:
    """Write the tree's height into its flags."""
    flags = k.mem.ma_flags(tree) & ~MT_FLAGS_HEIGHT_MASK
    k.tests += 1
    if height > MAPLE_HEIGHT_MAX:
        k.bug("mt_set_height: the tree is too high", tree)
    k.mem.set_ma_flags(tree, flags | height << MT_FLAGS_HEIGHT_OFFSET)


def mas_root_expand(k: Kernel72, mas: MaState, entry: Word) -> None:
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
    k.mt_set_height(mas.tree, 1)
    mem.set_meta(node, LEAF_64, 0, slot)
    mem.set_ma_root(mas.tree, mte_mk_root(mas.node))


def mas_new_root(k: Kernel72, mas: MaState, entry: Word) -> None:
    """Replace the whole tree by one range, or by nothing."""
    mem = k.mem
    root = mem.ma_root(mas.tree)
    if mas.index or mas.last != k.ulong_max:
        k.warn_on("mas_new_root: the range is not the whole tree")
    if not entry:
        k.mt_set_height(mas.tree, 0)
        mem.set_ma_root(mas.tree, entry)
        mas.status = MA_START
    else:
        node = k.mas_pop_node(mas)
        mem.set_parent(node, mas.tree | ROOT_PARENT)
        mas.node = mt_mk_node(node, LEAF_64)
        mas.status = MA_ACTIVE
        mem.set_slot(node, LEAF_64, 0, entry)
        mem.set_pivot(node, 0, mas.last)
        k.mt_set_height(mas.tree, 1)
        mem.set_ma_root(mas.tree, mte_mk_root(mas.node))
    if xa_is_node(root):
        k.mte_destroy_walk(root, mas.tree)


def mas_put_in_tree(k: Kernel72, mas: MaState, old_enode: Word, new_height: int) -> None:
    """Point the parent, or the tree, at the state's node; then mark the old one dead.

    A new root sets the tree's height to ``new_height``.
    """
    mem = k.mem
    node = mte_to_node(mas.node)
    if mem.parent(node) & ROOT_PARENT:
        mem.set_parent(node, mas.tree | ROOT_PARENT)
        mem.set_ma_root(mas.tree, mte_mk_root(mas.node))
        k.mt_set_height(mas.tree, new_height)
    else:
        offset = k.mte_parent_slot(mas.node)
        mt = k.mas_parent_type(mas, mas.node)
        mem.set_slot(k.mte_parent(mas.node), mt, offset, mas.node)
    k.mte_set_node_dead(old_enode)


def mas_replace_node(k: Kernel72, mas: MaState, old_enode: Word, new_height: int) -> None:
    """Put the state's node in place of the old one, which is freed."""
    k.mas_put_in_tree(mas, old_enode, new_height)
    k.mas_free(mas, old_enode)


def mas_topiary_replace(k: Kernel72, mas: MaState, old_enode: Word, new_height: int) -> None:
    """Put a new subtree in place of an old one and free what is not in use any more."""
    k.mas_put_in_tree(mas, old_enode, new_height)
    k.mend_replaced(mas, old_enode)
