"""A struct maple_tree for nodes that came without one, made from what they say themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from layout.memory.errors import MachineFault, UsageError
from layout.memory.nodeview import KNOWN_TYPES
from layout.memory.pointers import (
    ARANGE_64,
    ENODE_NULL,
    LEAF_64,
    MT_FLAGS_ALLOC_RANGE,
    MT_FLAGS_HEIGHT_OFFSET,
    NODE_MASK,
    RANGE_64,
    ROOT_NODE,
    ROOT_PARENT,
    TYPE_NAMES,
    mte_node_type,
)

if TYPE_CHECKING:
    from layout.memory.node import NodeMemory

MAX_HEIGHT = 31


class MadeUp(NamedTuple):
    """A tree: its address, root word and flags, and a line that says what was guessed."""

    tree: int
    root: int
    flags: int
    note: str
    struct_is_there: bool


def is_enode(word: int) -> bool:
    """Whether a word points to a node of a type that trees use."""
    tags = word & NODE_MASK
    return word > NODE_MASK and tags & ~0x18 == ENODE_NULL and tags >> 3 in KNOWN_TYPES


def guess_type(memory: NodeMemory, node: int) -> int:
    """The type of a node that nothing points to: what its slots hold tells.

    Raises MachineFault where it can't be read.
    """
    for mt in (ARANGE_64, RANGE_64):
        words = memory.read_node(node, mt)
        slots = memory.profile.sizes.slots[mt]
        slot0 = memory.slot0[mt]
        if is_enode(words[slot0]) and is_enode(words[slot0 + 1]):
            used = [word for word in words[slot0 : slot0 + slots - 1] if word]
            if all(map(is_enode, used)):
                return mt
    return LEAF_64


def height_below(memory: NodeMemory, node: int, mt: int) -> int:
    """The height in nodes from this one on down its first slots, as far as can be read."""
    height = 1
    while mt != LEAF_64 and height < MAX_HEIGHT:
        try:
            word = memory.slot(node, mt, 0)
        except MachineFault:
            break
        if not is_enode(word):
            break
        node, mt = word & ~NODE_MASK, mte_node_type(word)
        height += 1
    return height


def root_of(memory: NodeMemory, node: int, tree: int | None) -> int | None:
    """The tree whose root a node says that it is, None if of none, or of another than ``tree``.

    Raises MachineFault where its first word can't be read.
    """
    parent = memory.parent(node)
    address = parent & ~ROOT_PARENT
    if parent == address or address <= NODE_MASK or address % memory.arch.long_align:
        return None
    return address if tree in (None, address) else None


def make_up_tree(memory: NodeMemory, nodes: list[int], tree: int | None, source: str) -> MadeUp:
    """A tree for the one of ``nodes`` that says that it is a root, of ``tree`` if given.

    Raises UsageError where there is none, or more than one.
    """
    roots = {}
    for node in nodes:
        address = root_of(memory, node, tree)
        if address is not None:
            roots[node] = address
    if not roots:
        which = f" of a tree at {tree:x}" if tree is not None else ""
        message = (
            f"{source} shows {len(nodes)} whole nodes, but no root{which} (a node whose first word "
            f"is the tree's address plus 1) as {memory.arch.name} has it: add its lines, give "
            "another --arch, or, where addresses do not start at their place in memory, give "
            "--base ADDR"
        )
        raise UsageError(message)
    if len(set(roots.values())) > 1:
        known = ", ".join(f"{root:x}" for root in sorted(set(roots.values()))[:8])
        message = f"{source} shows several trees, at {known}: choose one by --tree"
        raise UsageError(message)
    node, address = next(iter(roots.items()))
    if not node:
        message = (
            f"{source}: its bytes start at address 0, which is their place in a file: give "
            "their address in memory as --base ADDR"
        )
        raise UsageError(message)
    mt = guess_type(memory, node)
    root = node | mt << 3 | ENODE_NULL | ROOT_NODE
    flags = height_below(memory, node, mt) << MT_FLAGS_HEIGHT_OFFSET
    flags |= MT_FLAGS_ALLOC_RANGE if mt == ARANGE_64 else 0
    try:
        memory.ma_root(address)
        memory.ma_flags(address)
        there = True
    except MachineFault:
        there = False
    note = (
        f"no struct maple_tree at {address:x}: made up from its root node {node:x}, taken for "
        f"{TYPE_NAMES[mt]}; flags {flags:x} are a guess"
    )
    return MadeUp(address, root, flags, note, there)
