"""Tests whether a node is in a tree: up its parents to the root, and down again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layout.memory.node import PIVOT
from layout.memory.nodeview import KNOWN_TYPES, Visit
from layout.memory.pointers import MAPLE_HEIGHT_MAX, NODE_MASK, ROOT_PARENT

if TYPE_CHECKING:
    from layout.machine.machine import Machine


def live_node(machine: Machine, node: int) -> Visit | None:
    """The node at this address if a tree of the machine holds it, else None."""
    found = _ancestors(machine, node)
    if found is None:
        return None
    tree, path = found
    mem = machine.mem
    arena = mem.arena_at(tree)
    if arena is None or tree + mem.tree_size > arena.end or mem.arena_at(node) is arena:
        return None
    sizes = machine.profile.sizes
    word = mem.ma_root(tree)
    low, high = 0, mem.arch.ulong_max
    for parent, slot in reversed(path):
        mt = word >> 3 & 0xF
        if word & ~NODE_MASK != parent or mt not in KNOWN_TYPES or slot >= sizes.slots[mt]:
            return None
        words = mem.read_node(parent, mt)
        low = words[PIVOT + slot - 1] + 1 if slot else low
        high = (words[PIVOT + slot] or high) if slot < sizes.pivots[mt] else high
        word = words[mem.slot0[mt] + slot]
    mt = word >> 3 & 0xF
    if word & ~NODE_MASK != node or mt not in KNOWN_TYPES:
        return None
    return Visit(node, mt, low, high, len(path))


def _ancestors(machine: Machine, node: int) -> tuple[int, list[tuple[int, int]]] | None:
    """The tree that the parent words lead to, and (parent, slot) of each step from below."""
    mem = machine.mem
    path: list[tuple[int, int]] = []
    while 0 <= node - machine.node_base < mem.near_size and len(path) <= MAPLE_HEIGHT_MAX:
        word = mem.parent(node)
        if word & ROOT_PARENT:
            return word & ~ROOT_PARENT, path
        node = word & ~NODE_MASK
        path.append((node, (word & NODE_MASK) >> 3))
    return None
