"""An address given as that of a tree, which is that of a node: told by the words that link nodes.

Only words that name each other prove it: a parent word and the slot or ma_root that points back.
So no struct maple_tree is refused, however damaged it is. What can't be proved is a doubt to tell.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from layout.memory.errors import MachineFault, UsageError
from layout.memory.pointers import (
    ARANGE_64,
    ENODE_NULL,
    LEAF_64,
    MAPLE_HEIGHT_MAX,
    MT_FLAGS_ALLOC_RANGE,
    MT_FLAGS_ALLOC_WRAPPED,
    MT_FLAGS_HEIGHT_MASK,
    MT_FLAGS_LOCK_MASK,
    MT_FLAGS_USE_RCU,
    NODE_MASK,
    PARENT_RANGE64,
    PARENT_SLOT_MASK,
    RANGE_64,
    ROOT_NODE,
    ROOT_PARENT,
    mt_height,
    mte_node_type,
    xa_is_node,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from layout.memory.node import NodeMemory

FLAGS = (
    MT_FLAGS_ALLOC_RANGE
    | MT_FLAGS_USE_RCU
    | MT_FLAGS_HEIGHT_MASK
    | MT_FLAGS_LOCK_MASK
    | MT_FLAGS_ALLOC_WRAPPED
)
"""All bits that ma_flags can have."""

_TAGS = {mt << 3 | ENODE_NULL | root for mt in (1, 2, 3) for root in (0, ROOT_NODE)}
"""The low bytes of pointers to nodes."""


def refuse_node(memories: Sequence[NodeMemory], given: int, source: str) -> None:
    """Raise UsageError where ``given`` is a node's address or a pointer to one, and no tree's.

    The ``memories`` have the same bytes; they differ in where ma_root lies.
    """
    memory = memories[0]
    node, tags = given & ~NODE_MASK, given & NODE_MASK
    if tags and tags not in _TAGS:
        return
    parent = _parent(memory, node) if node else None
    if parent is None or parent <= NODE_MASK:
        return
    what, tree = "", None
    if parent == node:
        what = "a freed node"
    elif parent & ROOT_PARENT:
        tree = parent & ~ROOT_PARENT
        if _root_of(memories, tree) == node or _holds_children(memory, node):
            what = "a root node"
    else:
        mt = _type_above(memory, node, parent)
        if mt is not None or _holds_children(memory, node):
            what = "a leaf" if mt == LEAF_64 else "an inner node"
            tree = _tree_above(memories, node)
    if not what:
        return
    is_what = f"points to {node:x}, {what}," if tags else f"is {what},"
    message = f"{source}: {given:x} {is_what} not a tree"
    if tree is None:
        message += ": give the address of a struct maple_tree as --tree"
    else:
        message += f"; its tree is at {tree:x}: give --tree {tree:x}"
    raise UsageError(message)


def doubt(memory: NodeMemory, tree: int) -> str | None:
    """What to tell of a struct maple_tree whose flags no kernel writes, or None.

    Raises MachineFault where it can't be read.
    """
    flags, root = memory.ma_flags(tree), memory.ma_root(tree)
    why = ""
    if flags & ~FLAGS:
        why = f"its ma_flags {flags:x} have bits that no tree has ({flags & ~FLAGS:x})"
    elif mt_height(flags) and not xa_is_node(root):
        why = f"its ma_flags {flags:x} say height {mt_height(flags)}, but ma_root is no node"
    return f"{tree:x} may be no struct maple_tree, or a damaged one: {why}" if why else None


def _parent(memory: NodeMemory, node: int) -> int | None:
    try:
        return memory.parent(node)
    except MachineFault:
        return None


def _root_of(memories: Sequence[NodeMemory], tree: int) -> int | None:
    """The node that a tree's ma_root points to, 0 if it points to none, None if it can't be read.

    The place of ma_root is taken whose node names the tree.
    """
    found = None
    for memory in memories:
        if tree + memory.tree_size > memory.arch.ulong_max:
            continue
        try:
            root = memory.ma_root(tree)
        except MachineFault:
            continue
        found = found or 0
        node = root & ~NODE_MASK
        if root & NODE_MASK in _TAGS and _parent(memory, node) == tree | ROOT_PARENT:
            return node
    return found


def _type_above(memory: NodeMemory, node: int, parent: int) -> int | None:
    """The type of a node as the slot has it that its parent word names; None if another is there.

    The type of the node above is not known: both that it may have are tried.
    """
    if parent & ~PARENT_SLOT_MASK & NODE_MASK != PARENT_RANGE64:
        return None
    slot = (parent & PARENT_SLOT_MASK) >> 3
    for mt in (ARANGE_64, RANGE_64):
        if slot >= memory.profile.sizes.slots[mt]:
            continue
        try:
            word = memory.slot(parent & ~NODE_MASK, mt, slot)
        except MachineFault:
            continue
        if word & ~NODE_MASK == node and word & NODE_MASK in _TAGS:
            return mte_node_type(word)
    return None


def _holds_children(memory: NodeMemory, node: int) -> bool:
    """Whether the node in its first slot names it and that slot as its parent."""
    for mt in (ARANGE_64, RANGE_64):
        try:
            word = memory.slot(node, mt, 0)
        except MachineFault:
            continue
        if (
            word & NODE_MASK in _TAGS
            and _parent(memory, word & ~NODE_MASK) == node | PARENT_RANGE64
        ):
            return True
    return False


def _tree_above(memories: Sequence[NodeMemory], node: int) -> int | None:
    """The tree that parent words lead to, if its root is where they lead; None if it is not."""
    for _ in range(MAPLE_HEIGHT_MAX):
        parent = _parent(memories[0], node)
        if parent is None:
            return None
        if parent & ROOT_PARENT:
            tree = parent & ~ROOT_PARENT
            root = _root_of(memories, tree)
            return tree if root in (node, None) else None
        if _type_above(memories[0], node, parent) is None:
            return None
        node = parent & ~NODE_MASK
    return None


__all__ = ["FLAGS", "doubt", "refuse_node"]
