"""The entry at an index, read from a tree's bytes; nothing of the machine is used or changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layout.memory.errors import MachineFault
from layout.memory.nodeview import view
from layout.memory.pointers import (
    LEAF_64,
    MAPLE_HEIGHT_MAX,
    mte_node_type,
    mte_to_node,
    xa_is_node,
)

if TYPE_CHECKING:
    from layout.memory.node import NodeMemory


def entry_at(mem: NodeMemory, tree: int, index: int) -> tuple[int, int | None]:
    """The entry at ``index``, and the address of the slot that holds it.

    The entry is 0 if there is none or the way to it can't be read; the address is None if it is in
    no node.
    """
    word, low, high = mem.ma_root(tree), 0, mem.arch.ulong_max
    if not xa_is_node(word):
        return (0 if index else word), None
    for _ in range(MAPLE_HEIGHT_MAX + 1):
        node, mt = mte_to_node(word), mte_node_type(word)
        try:
            seen = view(mem, node, mt, low, high)
        except MachineFault:
            return 0, None
        slot = next((each for each in seen.ranges if each.first <= index <= each.last), None)
        if slot is None:
            return 0, None
        if mt == LEAF_64:
            at = mem.slot_offset[mt] + slot.slot * mem.word_size
            return slot.word, node + at
        word, low, high = slot.word, slot.first, slot.last
    return 0, None
