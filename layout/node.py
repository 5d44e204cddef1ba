"""Reading and writing the bytes of one node: the only place that knows where its fields lie.

A node is read as a tuple of words in one go, so pivot *i* is ``words[PIVOT + i]`` and slot *i*
``words[slot0[type] + i]``: a snapshot, to be read anew after a write. Writes name the field.
Offsets come from the declared structs. ``mt`` is the node's type (enum maple_type).
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from layout import structs
from layout.memory import Memory
from layout.pointers import ARANGE_64, LEAF_64

if TYPE_CHECKING:
    from collections.abc import Sequence

    from arches import Arch
    from layout.memory import Unpack
    from layout.structs import Profile

PIVOT = 1
"""The word that holds pivot 0, in every node type and on every machine."""

NODE_SIZE = 256

Words = tuple[int, ...]


class NodeMemory(Memory):
    """Memory that holds maple nodes and trees of one kernel profile."""

    def __init__(self, arch: Arch, profile: Profile) -> None:
        super().__init__(arch)
        self.profile = profile
        w = self.word_size
        node, r64 = profile.layout("maple_node"), profile.layout("maple_range_64")
        a64 = profile.layout("maple_arange_64")
        alloc = structs.profile(arch).layout("maple_alloc")  # 6.12's, as the operations are
        tree, rcu = profile.layout("maple_tree"), profile.layout("rcu_head")
        if node.size != NODE_SIZE or not r64.offset("pivot") == a64.offset("pivot") == w:
            message = f"{arch.name}: nodes of this layout cannot be read as words"
            raise ValueError(message)

        words = struct.Struct(f"{arch.order_char}{NODE_SIZE // w}{'Q' if w == 8 else 'L'}")
        self.node_words = NODE_SIZE // w
        self._unpack_node: Unpack = words.unpack_from
        self._pack_node = words.pack_into
        self._pack_words = [
            struct.Struct(f"{arch.order_char}{n}{'Q' if w == 8 else 'L'}").pack_into
            for n in range(self.node_words + 1)
        ]
        slots = node.offset("slot"), r64.offset("slot"), r64.offset("slot"), a64.offset("slot")
        self.slot_offset = slots
        self.slot0 = tuple(offset // w for offset in slots)
        self.gap_offset = a64.offset("gap")
        self.gap0 = self.gap_offset // w
        meta = r64.offset("meta")
        self.meta_offset = (meta, meta, meta, a64.offset("meta"))
        self._meta_end_shift = 0 if arch.byteorder == "little" else 8 * w - 8
        self._leaf_slots = profile.sizes.slots[LEAF_64]
        self._rcu_next = node.offset("rcu") + rcu.offset("next")
        self._rcu_func = node.offset("rcu") + rcu.offset("func")
        self._piv_parent = node.offset("piv_parent")
        self._parent_slot = node.offset("parent_slot")
        self._type = node.offset("type")
        self._slot_len = node.offset("slot_len")
        self._topiary_next = profile.layout("maple_topiary").offset("next")
        self._alloc_total = alloc.offset("total")
        self._alloc_count = alloc.offset("node_count")
        self._alloc_request = alloc.offset("request_count")
        self.alloc_slot_offset = alloc.offset("slot")
        self.alloc_size = alloc.size
        self._flags = tree.offset("ma_flags")
        self._root = tree.offset("ma_root")
        self.tree_size = tree.size

    # -- struct maple_tree

    def ma_flags(self, tree: int) -> int:
        """tree->ma_flags."""
        arena = self._last  # where the trees are, while near holds the nodes
        at = tree + self._flags - arena.base
        if at >= 0 and tree + self.tree_size <= arena.end and not at & 3:
            return self._unpack_u32(arena.data, at)[0]
        return self.read_u32(tree + self._flags, "ma_flags")

    def set_ma_flags(self, tree: int, flags: int) -> None:
        """Write tree->ma_flags."""
        self.write_u32(tree + self._flags, flags, "ma_flags")

    def ma_root(self, tree: int) -> int:
        """tree->ma_root."""
        return self.read_word(tree + self._root, "ma_root")

    def set_ma_root(self, tree: int, root: int) -> None:
        """Write tree->ma_root."""
        self.write_word(tree + self._root, root, "ma_root")

    # -- whole nodes

    def read_node(self, node: int, mt: int) -> Words:
        """All words of a node, parent first. A dense node has no pivots: NULL is followed."""
        at = node - self.near_base
        if 0 <= at < self.near_size and 0 < mt < 4:
            return self._unpack_node(self.near, at)
        if not 0 < mt < 4:
            self.fault("null", 0, self.word_size, f"pivots of a node of type {mt}", write=False)
        data, at = self.locate(node, NODE_SIZE, "a node", write=False, align=self.word_size)
        return self._unpack_node(data, at)

    def write_leaf(self, node: int, words: Sequence[int], end: int) -> None:
        """Replace a leaf whose data ends at slot ``end``; its metadata too, if it has any."""
        data, at = self.locate(node, NODE_SIZE, "a node", write=True, align=self.word_size)
        self._pack_node(data, at, *words)
        if end < self._leaf_slots - 1:
            at += self.meta_offset[LEAF_64]
            data[at] = end
            data[at + 1] = 0

    def copy_node(self, target: int, source: int) -> None:
        """memcpy of a whole node."""
        self.write(target, self.read(source, NODE_SIZE, "a node"), "a node")

    def zero(self, address: int, count: int) -> None:
        """memset of ``count`` bytes to 0."""
        data, at = self.locate(address, count, "a node", write=True)
        data[at : at + count] = bytes(count)

    # -- fields of a node in use

    def parent(self, node: int) -> int:
        """node->parent: the parent's address with the slot, or the tree's with bit 0.

        ``node`` is 256-byte aligned.
        """
        at = node - self.near_base
        if 0 <= at < self.near_size:
            return self._unpack_word(self.near, at)[0]
        return self.read_word(node, "parent")

    def set_parent(self, node: int, parent: int) -> None:
        """Write node->parent."""
        at = node - self.near_base
        if 0 <= at < self.near_size:
            self._pack_word(self.near, at, parent)
        else:
            self.write_word(node, parent, "parent")

    def slot(self, node: int, mt: int, i: int) -> int:
        """Slot ``i``, whatever lies there."""
        return self.read_word(node + self.slot_offset[mt] + i * self.word_size, "slot")

    def set_slot(self, node: int, mt: int, i: int, value: int) -> None:
        """Write slot ``i``."""
        self.write_word(node + self.slot_offset[mt] + i * self.word_size, value, "slot")

    def set_slots(self, node: int, mt: int, first: int, values: Sequence[int]) -> None:
        """Write slots from ``first`` on, in one go."""
        self._write_words(node + self.slot_offset[mt] + first * self.word_size, values, "slot")

    def pivot(self, node: int, i: int) -> int:
        """Pivot ``i``, whatever lies there."""
        return self.read_word(node + (PIVOT + i) * self.word_size, "pivot")

    def set_pivot(self, node: int, i: int, value: int) -> None:
        """Write pivot ``i``."""
        self.write_word(node + (PIVOT + i) * self.word_size, value, "pivot")

    def set_pivots(self, node: int, first: int, values: Sequence[int]) -> None:
        """Write pivots from ``first`` on, in one go."""
        self._write_words(node + (PIVOT + first) * self.word_size, values, "pivot")

    def gap(self, node: int, i: int) -> int:
        """Gap ``i`` of an arange_64 node."""
        return self.read_word(node + self.gap_offset + i * self.word_size, "gap")

    def set_gap(self, node: int, i: int, value: int) -> None:
        """Write gap ``i`` of an arange_64 node."""
        self.write_word(node + self.gap_offset + i * self.word_size, value, "gap")

    def set_gaps(self, node: int, first: int, values: Sequence[int]) -> None:
        """Write gaps from ``first`` on, in one go."""
        self._write_words(node + self.gap_offset + first * self.word_size, values, "gap")

    def meta_end(self, node: int, mt: int) -> int:
        """The metadata's data end (ma_meta_end)."""
        at = node - self.near_base
        if 0 <= at < self.near_size:
            return self.near[at + self.meta_offset[mt]]
        return self.read_u8(node + self.meta_offset[mt], "metadata end")

    def meta_gap(self, node: int, mt: int = ARANGE_64) -> int:
        """The metadata's offset of the largest gap (ma_meta_gap)."""
        return self.read_u8(node + self.meta_offset[mt] + 1, "metadata gap")

    def set_meta(self, node: int, mt: int, gap: int, end: int) -> None:
        """Write both metadata bytes (ma_set_meta)."""
        address = node + self.meta_offset[mt]
        data, at = self.locate(address, 2, "metadata", write=True)
        data[at] = end
        data[at + 1] = gap

    def set_meta_gap(self, node: int, mt: int, gap: int) -> None:
        """Write the metadata's gap byte (ma_set_meta_gap)."""
        self.write_u8(node + self.meta_offset[mt] + 1, gap, "metadata gap")

    def _write_words(self, address: int, values: Sequence[int], doing: str) -> None:
        if not values:
            return
        width = len(values) * self.word_size
        data, at = self.locate(address, width, doing, write=True, align=self.word_size)
        self._pack_words[len(values)](data, at, *values)

    def leaf_meta_word(self, end: int) -> int:
        """The last word of a leaf that is zero but for its metadata: end, and gap 0."""
        return end << self._meta_end_shift

    # -- overlays of a dead node

    def rcu_enqueue(self, node: int, func: int) -> None:
        """What call_rcu() writes into node->rcu."""
        self.write_word(node + self._rcu_next, 0, "rcu.next")
        self.write_word(node + self._rcu_func, func, "rcu.func")

    def topiary_next(self, node: int) -> int:
        """The next enode in a list of dead subtrees."""
        return self.read_word(node + self._topiary_next, "topiary next")

    def set_topiary_next(self, node: int, enode: int) -> None:
        """Write the link of a list of dead subtrees."""
        self.write_word(node + self._topiary_next, enode, "topiary next")

    def piv_parent(self, node: int) -> int:
        """The enode that a walk of a dead tree goes back to."""
        return self.read_word(node + self._piv_parent, "piv_parent")

    def set_piv_parent(self, node: int, enode: int) -> None:
        """Write node->piv_parent."""
        self.write_word(node + self._piv_parent, enode, "piv_parent")

    def parent_slot(self, node: int) -> int:
        """The byte node->parent_slot of a dead node."""
        return self.read_u8(node + self._parent_slot, "parent_slot")

    def set_parent_slot(self, node: int, slot: int) -> None:
        """Write node->parent_slot."""
        self.write_u8(node + self._parent_slot, slot, "parent_slot")

    def dead_type(self, node: int) -> int:
        """The int node->type of a dead node."""
        return self.read_u32(node + self._type, "type")

    def set_dead_type(self, node: int, mt: int) -> None:
        """Write node->type."""
        self.write_u32(node + self._type, mt, "type")

    def slot_len(self, node: int) -> int:
        """The byte node->slot_len of a dead node."""
        return self.read_u8(node + self._slot_len, "slot_len")

    def set_slot_len(self, node: int, count: int) -> None:
        """Write node->slot_len."""
        self.write_u8(node + self._slot_len, count, "slot_len")

    # -- struct maple_alloc in a node that waits for its use

    def alloc_total(self, node: int) -> int:
        """alloc->total."""
        return self.read_word(node + self._alloc_total, "alloc.total")

    def set_alloc_total(self, node: int, total: int) -> None:
        """Write alloc->total."""
        self.write_word(node + self._alloc_total, total, "alloc.total")

    def alloc_count(self, node: int) -> int:
        """alloc->node_count."""
        return self.read_u8(node + self._alloc_count, "alloc.node_count")

    def set_alloc_count(self, node: int, count: int) -> None:
        """Write alloc->node_count."""
        self.write_u8(node + self._alloc_count, count, "alloc.node_count")

    def alloc_request(self, node: int) -> int:
        """alloc->request_count."""
        return self.read_u32(node + self._alloc_request, "alloc.request_count")

    def set_alloc_request(self, node: int, count: int) -> None:
        """Write alloc->request_count."""
        self.write_u32(node + self._alloc_request, count, "alloc.request_count")

    def alloc_slot(self, node: int, i: int) -> int:
        """alloc->slot[i]."""
        return self.read_word(node + self.alloc_slot_offset + i * self.word_size, "alloc.slot")

    def set_alloc_slot(self, node: int, i: int, value: int) -> None:
        """Write alloc->slot[i]."""
        self.write_word(node + self.alloc_slot_offset + i * self.word_size, value, "alloc.slot")

    def set_alloc_slots(self, node: int, first: int, nodes: Sequence[int]) -> None:
        """Write alloc->slot[] from ``first`` on, in one go."""
        address = node + self.alloc_slot_offset + first * self.word_size
        self._write_words(address, nodes, "alloc.slot")


__all__ = ["NODE_SIZE", "PIVOT", "NodeMemory", "Words"]
