"""Tagged words: encoded nodes (enodes), parent words and entries, as the kernel packs them.

A node is 256-byte aligned, so the low byte of every word that points to one is free for tags:

- an *enode* holds the node's type in bits 3 to 6, and bit 2; the root's word also has bit 1
- a *parent* word holds the slot in the parent in bits 3 to 7 and 6 (a range node) below, or,
  for the root, the address of the tree with bit 0 set
- an *entry* with the low bits 10 is internal; below 4096 it is reserved; with bit 0 a value

Source: include/linux/maple_tree.h, include/linux/xarray.h.

>>> word = mt_mk_node(0x1000000200, ARANGE_64)
>>> hex(word), describe_enode(word)
('0x100000021c', 'arange_64 node 1000000200')
>>> describe_parent(0x100000021e)
'slot 3 of node 1000000200'
"""

from __future__ import annotations

Word = int
"""An unsigned long: an index, an entry, an enode or an address."""

NODE_MASK = 0xFF
"""MAPLE_NODE_MASK: the low bits of a word that are not the node's address."""

DENSE, LEAF_64, RANGE_64, ARANGE_64 = range(4)
TYPE_NAMES = ("dense", "leaf_64", "range_64", "arange_64")

ROOT_PARENT = 1
"""MA_ROOT_PARENT: bit 0 of a parent word, set on the root."""
ROOT_NODE = 2
"""MAPLE_ROOT_NODE: bit 1 of the root word when it is a node."""
ENODE_NULL = 4
"""MAPLE_ENODE_NULL: bit 2 of every enode."""
TYPE_MASK = 0xF << 3
"""MAPLE_NODE_TYPE_MASK, in its place: the bits of an enode that hold the node's type."""
PARENT_RANGE64 = 6
PARENT_SLOT_MASK = 0xF8
PARENT_16B_SLOT_MASK = 0xFC
RESERVED_RANGE = 4096
XA_ZERO_ENTRY = 257 << 2 | 2

MT_FLAGS_ALLOC_RANGE = 0x01
MT_FLAGS_USE_RCU = 0x02
MT_FLAGS_HEIGHT_OFFSET = 2
MT_FLAGS_HEIGHT_MASK = 0x7C
MAPLE_HEIGHT_MAX = 31
"""The greatest height in nodes that ma_flags can hold."""
MT_FLAGS_LOCK_MASK = 0x300
MT_FLAGS_LOCK_EXTERN = 0x300
MT_FLAGS_ALLOC_WRAPPED = 0x800


def mte_to_node(enode: Word) -> Word:
    """The address of the node that an enode, or any tagged word, points to."""
    return enode & ~NODE_MASK


def mte_node_type(enode: Word) -> int:
    """The type in an enode: 0 dense, 1 leaf_64, 2 range_64, 3 arange_64; up to 15 if damaged."""
    return enode >> 3 & 0xF


def ma_is_leaf(mt: int) -> bool:
    """Whether nodes of this type hold entries, and no nodes."""
    return mt < RANGE_64


def mte_is_leaf(enode: Word) -> bool:
    """Whether an enode is of a type that holds entries."""
    return enode >> 3 & 0xF < RANGE_64


def mt_mk_node(node: Word, node_type: int) -> Word:
    """The enode of a node of this type."""
    return node | node_type << 3 | ENODE_NULL


def mte_mk_root(enode: Word) -> Word:
    """The root word that holds an enode."""
    return enode | ROOT_NODE


def mte_safe_root(root: Word) -> Word:
    """The enode in a root word."""
    return root & ~ROOT_NODE


def mt_height(flags: int) -> int:
    """The height of a tree in nodes, from ma_flags."""
    return (flags & MT_FLAGS_HEIGHT_MASK) >> MT_FLAGS_HEIGHT_OFFSET


def xa_is_node(entry: Word) -> bool:
    """Whether a root word is a node and not an entry."""
    return entry & 3 == 2 and entry > RESERVED_RANGE


def xa_is_internal(entry: Word) -> bool:
    """Whether the two low bits of an entry are those of a node or a reserved entry."""
    return entry & 3 == 2


def xa_is_value(entry: Word) -> bool:
    """Whether an entry is a tagged number (bit 0)."""
    return entry & 1 == 1


def xa_is_zero(entry: Word) -> bool:
    """Whether an entry is XA_ZERO_ENTRY, a reservation that ordinary loads hide."""
    return entry == XA_ZERO_ENTRY


def xa_is_advanced(entry: Word) -> bool:
    """Whether only the advanced API may store this internal entry."""
    return entry & 3 == 2 and entry <= (256 << 2 | 2)


def mt_is_reserved(entry: Word) -> bool:
    """Whether the tree keeps this entry value for itself."""
    return entry < RESERVED_RANGE and entry & 3 == 2


def describe_enode(word: int) -> str:
    """An enode in words, for annotated dumps."""
    node, node_type = mte_to_node(word), mte_node_type(word)
    kind = TYPE_NAMES[node_type] if node_type < len(TYPE_NAMES) else f"type {node_type}"
    return f"{kind} node {node:x}"


def describe_parent(word: int) -> str:
    """A parent word in words, for annotated dumps."""
    if word & ROOT_PARENT:
        return f"root of tree {word & ~ROOT_PARENT:x}"
    return f"slot {(word & PARENT_SLOT_MASK) >> 3} of node {mte_to_node(word):x}"


def describe_entry(entry: int) -> str:
    """An entry in words, as a dump prints it."""
    if entry == 0:
        return "NULL"
    if xa_is_zero(entry):
        return "XA_ZERO"
    if xa_is_value(entry):
        return f"value {entry >> 1:x}"
    if mt_is_reserved(entry):
        return "reserved"
    return f"entry {entry:x}"
