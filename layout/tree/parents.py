"""Parent words, dead nodes, and the end of a node's data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layout.memory.pointers import (
    ARANGE_64,
    DENSE,
    LEAF_64,
    MT_FLAGS_ALLOC_RANGE,
    NODE_MASK,
    PARENT_16B_SLOT_MASK,
    PARENT_RANGE64,
    RANGE_64,
    ROOT_PARENT,
    Word,
    mt_mk_node,
    mte_node_type,
    mte_to_node,
)
from layout.tree.peeks import is_zero, peeks

if TYPE_CHECKING:
    from layout.tree.kernel import Kernel
    from layout.tree.state import MaState


def ma_is_root(k: Kernel, node: Word) -> bool:
    """Whether a node is the root, by bit 0 of its parent word."""
    return k.mem.parent(node) & ROOT_PARENT != 0


def mte_is_root(k: Kernel, enode: Word) -> bool:
    """Whether an enode's node is the root."""
    return k.mem.parent(enode & ~NODE_MASK) & ROOT_PARENT != 0


def mte_parent(k: Kernel, enode: Word) -> Word:
    """The address of the node's parent."""
    return mte_to_node(k.mem.parent(mte_to_node(enode)))


def seam_slot_of_parent_word(k: Kernel, word: Word) -> int:
    """The slot that a parent word, not the root's, holds."""
    return (word & PARENT_16B_SLOT_MASK) >> (3 if word & 2 else 2)


def type_of_parent(k: Kernel, tree: Word, word: Word) -> int:
    """What mas_parent_type() makes of a parent word: the type follows from the tree's flags."""
    if word & 7 == PARENT_RANGE64:
        return ARANGE_64 if k.mem.ma_flags(tree) & MT_FLAGS_ALLOC_RANGE else RANGE_64
    if word & ROOT_PARENT:
        k.warn_on("mas_parent_type: the parent of a node that is not the root is marked as a tree")
    return 0


def mte_parent_slot(k: Kernel, enode: Word) -> int:
    """The slot of the node in its parent, 0 for the root."""
    word = k.mem.parent(mte_to_node(enode))
    return 0 if word & ROOT_PARENT else k.seam_slot_of_parent_word(word)


def mas_parent_type(k: Kernel, mas: MaState, enode: Word) -> int:
    """The type of the node's parent."""
    return k.type_of_parent(mas.tree, k.mem.parent(mte_to_node(enode)))


def mas_set_parent(k: Kernel, mas: MaState, enode: Word, parent: Word, slot: int) -> None:
    """Make ``enode`` the child in ``slot`` of the enode ``parent``."""
    k.tests += 2
    mt = mte_node_type(parent)
    if mt in (0, LEAF_64):
        k.bug(f"mas_set_parent: parent of type {mt} in tree {mas.tree:x}", enode)
    word = mte_to_node(parent)
    if mt in (RANGE_64, ARANGE_64):
        word |= slot << 3 | PARENT_RANGE64
    k.mem.set_parent(mte_to_node(enode), word)


def parent_enode(k: Kernel, mas: MaState, enode: Word) -> Word:
    """The enode of the node's parent, as mas_ascend() puts it together."""
    word = k.mem.parent(mte_to_node(enode))
    return mt_mk_node(mte_to_node(word), k.type_of_parent(mas.tree, word))


# -- dead nodes


def ma_dead_node(k: Kernel, node: Word) -> bool:
    """Whether a node has been replaced: its parent is itself."""
    return k.mem.parent(node) & ~NODE_MASK == node


def mte_dead_node(k: Kernel, enode: Word) -> bool:
    """Whether an enode's node has been replaced."""
    return k.ma_dead_node(mte_to_node(enode))


def mte_set_node_dead(k: Kernel, enode: Word) -> None:
    """Mark a node as replaced."""
    k.mem.set_parent(mte_to_node(enode), mte_to_node(enode))


# -- the end of the data


@peeks("read past data end", holds=is_zero, why="the last pivot is 0 where there is metadata")
def ma_data_end(k: Kernel, node: Word, mt: int, limit: Word) -> int:
    """The offset of the last slot in use; ``limit`` is the node's largest index.

    It is 0 for a dense node, which has no pivots.
    """
    mem = k.mem
    if mt == DENSE:
        return 0
    if mt == ARANGE_64:
        return mem.meta_end(node, mt)
    offset = k.mt_pivots[mt] - 1
    last = mem.ma_pivot(node, mt, offset)
    if not last:
        return mem.meta_end(node, mt)
    return offset if last == limit else offset + 1


def mas_data_end(k: Kernel, mas: MaState) -> int:
    """The offset of the last slot in use of the state's node, 0 if the node is dead."""
    mt = mte_node_type(mas.node)
    node = mte_to_node(mas.node)
    if mt == ARANGE_64:
        return k.mem.meta_end(node, mt)
    k.mem.check_pivots(node, mt)
    if k.ma_dead_node(node):
        return 0
    return k.ma_data_end(node, mt, mas.max)
