"""Reads and writes the fields of one node. Only this module contains their offsets.

An access names the field and its index. The index is not limited: pivot 15 of a node with 15
pivots, or slot 40, is at the address that the machine would use. Offsets come from the declared
structs. ``mt`` is the node's type (enum maple_type). A tool can read a whole node as a tuple of
words (:meth:`NodeMemory.read_node`); the kernel's operations do not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from layout.memory import structs
from layout.memory.memory import CELL, ZEROS, Memory
from layout.memory.pointers import ARANGE_64, LEAF_64, Word

if TYPE_CHECKING:
    from collections.abc import Sequence

    from arches import Arch
    from layout.memory.structs import Profile

PIVOT = 1
"""The word that holds pivot 0, in every node type and on every machine."""

NODE_SIZE = CELL

Words = tuple[int, ...]


class NodeMemory(Memory):
    """Memory that holds maple nodes and trees of one kernel profile.

    ``twin`` names the compiled class of :mod:`layout.compiled.twin` that can replace this one. A
    subclass has none unless it sets the attribute itself.
    """

    twin: ClassVar[str] = "CoreMemory"

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

        self.node_words = NODE_SIZE // w
        slots = node.offset("slot"), r64.offset("slot"), r64.offset("slot"), a64.offset("slot")
        self.slot_offset = slots
        self.slot0 = tuple(offset // w for offset in slots)
        self.gap_offset = a64.offset("gap")
        self.gap0 = self.gap_offset // w
        meta = r64.offset("meta")
        self.meta_offset = (meta, meta, meta, a64.offset("meta"))
        self._meta_end_shift = 0 if arch.byteorder == "little" else 8 * w - 8
        self.leaf_slots = profile.sizes.slots[LEAF_64]
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

    # -- whole nodes, for tools

    def read_node(self, node: int, mt: int) -> Words:
        """All words of a node, parent first. A dense node has no pivots: NULL is followed."""
        self.check_pivots(node, mt)
        return self.read_words(node, self.node_words, "a node")

    def set_pivots(self, node: int, first: int, values: Sequence[int]) -> None:
        """Write pivots from ``first`` on, in one go."""
        self.write_words(node + (PIVOT + first) * self.word_size, values, "pivot")

    def set_slots(self, node: int, mt: int, first: int, values: Sequence[int]) -> None:
        """Write slots from ``first`` on, in one go."""
        self.write_words(node + self.slot_offset[mt] + first * self.word_size, values, "slot")

    def leaf_meta_word(self, end: int) -> int:
        """The last word of a leaf that is zero but for its metadata: end, and gap 0."""
        return end << self._meta_end_shift

    # -- words between a node and a local struct

    def check_pivots(self, node: int, mt: int) -> None:  # noqa: ARG002 - for whoever watches
        """Fault unless nodes of this type have pivots: ma_pivots() gives NULL for a dense one."""
        if not 0 < mt < 4:
            self.fault("null", 0, self.word_size, f"pivots of a node of type {mt}", write=False)

    def pivots(self, node: int, mt: int, count: int) -> Pivots:
        """The first ``count`` pivots of a node, behind its end where there are not so many.

        Of a dense node ma_pivots() gives NULL, which is followed where a pivot is used.
        """
        if not 0 < mt < 4:
            return Behind(self, 0, "pivot")
        at = node - self.near_base
        w = self.word_size
        if 0 <= at < self.near_size and not node & 255 and count * w < CELL - w:
            return self._unpack_run[count](self._cells.get(node, ZEROS), w)
        return Behind(self, node + w, "pivot")

    def slots(self, node: int, mt: int, count: int) -> Pivots:
        """The first ``count`` slots of a node, behind its end where there are not so many."""
        offset = self.slot_offset[mt]
        at = node - self.near_base
        if 0 <= at < self.near_size and not node & 255 and offset + count * self.word_size <= CELL:
            return self._unpack_run[count](self._cells.get(node, ZEROS), offset)
        return Behind(self, node + offset, "slot")

    def load(self, words: list[int], at: int, address: int, count: int, doing: str) -> None:
        """Copy ``count`` words at ``address`` to ``words[at]`` and on. Raises IndexError."""
        if at < 0 or at + count > len(words):
            message = f"{count} words at {at} do not fit into a local struct"
            raise IndexError(message)
        if count > 0:
            words[at : at + count] = self.read_words(address, count, doing)

    def store(self, address: int, words: list[int], at: int, count: int, doing: str) -> None:
        """Copy ``count`` words from ``words[at]`` on to ``address``. Raises IndexError."""
        if at < 0 or at + count > len(words):
            message = f"{count} words at {at} are not in a local struct"
            raise IndexError(message)
        if count > 0:
            self.write_words(address, words[at : at + count], doing)

    # -- struct maple_tree

    def ma_flags(self, tree: Word) -> int:
        """tree->ma_flags."""
        return self.read_u32(tree + self._flags, "ma_flags")

    def set_ma_flags(self, tree: Word, flags: int) -> None:
        """Write tree->ma_flags."""
        self.write_u32(tree + self._flags, flags, "ma_flags")

    def ma_root(self, tree: Word) -> Word:
        """tree->ma_root."""
        return self.read_word(tree + self._root, "ma_root")

    def set_ma_root(self, tree: Word, root: Word) -> None:
        """Write tree->ma_root."""
        self.write_word(tree + self._root, root, "ma_root")

    # -- fields of a node in use

    def parent(self, node: Word) -> Word:
        """node->parent: the parent's address with the slot, or the tree's with bit 0."""
        return self.read_word(node, "parent")

    def set_parent(self, node: Word, parent: Word) -> None:
        """Write node->parent."""
        self.write_word(node, parent, "parent")

    def slot(self, node: Word, mt: int, i: int) -> Word:
        """Slot ``i``, whatever lies there."""
        return self.read_word(node + self.slot_offset[mt] + i * self.word_size, "slot")

    def set_slot(self, node: Word, mt: int, i: int, value: Word) -> None:
        """Write slot ``i``."""
        self.write_word(node + self.slot_offset[mt] + i * self.word_size, value, "slot")

    def pivot(self, node: Word, i: int) -> Word:
        """Pivot ``i``, whatever lies there."""
        return self.read_word(node + (PIVOT + i) * self.word_size, "pivot")

    def ma_pivot(self, node: Word, mt: int, i: int) -> Word:
        """Pivot ``i`` of a node that may be of a type without pivots: NULL is followed."""
        self.check_pivots(node, mt)
        return self.pivot(node, i)

    def set_pivot(self, node: Word, i: int, value: Word) -> None:
        """Write pivot ``i``."""
        self.write_word(node + (PIVOT + i) * self.word_size, value, "pivot")

    def gap(self, node: Word, i: int) -> Word:
        """Gap ``i`` of an arange_64 node."""
        return self.read_word(node + self.gap_offset + i * self.word_size, "gap")

    def set_gap(self, node: Word, i: int, value: Word) -> None:
        """Write gap ``i`` of an arange_64 node."""
        self.write_word(node + self.gap_offset + i * self.word_size, value, "gap")

    def meta_end(self, node: Word, mt: int) -> int:
        """The metadata's data end (ma_meta_end)."""
        return self.read_u8(node + self.meta_offset[mt], "metadata end")

    def meta_gap(self, node: Word, mt: int = ARANGE_64) -> int:
        """The metadata's offset of the largest gap (ma_meta_gap)."""
        return self.read_u8(node + self.meta_offset[mt] + 1, "metadata gap")

    def set_meta(self, node: Word, mt: int, gap: int, end: int) -> None:
        """Write both metadata bytes (ma_set_meta)."""
        self.write_u8(node + self.meta_offset[mt], end, "metadata")
        self.write_u8(node + self.meta_offset[mt] + 1, gap, "metadata")

    def set_meta_gap(self, node: Word, mt: int, gap: int) -> None:
        """Write the metadata's gap byte (ma_set_meta_gap)."""
        self.write_u8(node + self.meta_offset[mt] + 1, gap, "metadata gap")

    # -- runs of fields

    def load_pivots(self, words: list[int], at: int, node: Word, first: int, count: int) -> None:
        """Copy pivots from ``first`` on to ``words[at]`` and on."""
        self.load(words, at, node + (PIVOT + first) * self.word_size, count, "pivot")

    def load_slots(
        self, words: list[int], at: int, node: Word, mt: int, first: int, count: int
    ) -> None:
        """Copy slots from ``first`` on to ``words[at]`` and on."""
        address = node + self.slot_offset[mt] + first * self.word_size
        self.load(words, at, address, count, "slot")

    def load_gaps(self, words: list[int], at: int, node: Word, first: int, count: int) -> None:
        """Copy gaps from ``first`` on to ``words[at]`` and on."""
        self.load(words, at, node + self.gap_offset + first * self.word_size, count, "gap")

    def store_pivots(self, node: Word, first: int, words: list[int], at: int, count: int) -> None:
        """Write pivots from ``first`` on with ``words[at]`` and on."""
        self.store(node + (PIVOT + first) * self.word_size, words, at, count, "pivot")

    def store_slots(
        self, node: Word, mt: int, first: int, words: list[int], at: int, count: int
    ) -> None:
        """Write slots from ``first`` on with ``words[at]`` and on."""
        address = node + self.slot_offset[mt] + first * self.word_size
        self.store(address, words, at, count, "slot")

    def store_gaps(self, node: Word, first: int, words: list[int], at: int, count: int) -> None:
        """Write gaps from ``first`` on with ``words[at]`` and on."""
        self.store(node + self.gap_offset + first * self.word_size, words, at, count, "gap")

    def store_leaf(self, node: Word, words: list[int], end: int) -> None:
        """Replace a leaf whose data ends at slot ``end``; its metadata too, if it has any."""
        self.store(node, words, 0, self.node_words, "a node")
        if end < self.leaf_slots - 1:
            self.set_meta(node, LEAF_64, 0, end)

    def copy_node(self, target: Word, source: Word) -> None:
        """memcpy of a whole node."""
        self.copy(target, source, NODE_SIZE, "a node")

    def clear_pivots(self, node: Word, first: int, count: int) -> None:
        """memset of ``count`` pivots from ``first`` on to 0."""
        self.zero(node + (PIVOT + first) * self.word_size, count * self.word_size)

    def clear_slots(self, node: Word, mt: int, first: int, count: int) -> None:
        """memset of ``count`` slots from ``first`` on to 0."""
        address = node + self.slot_offset[mt] + first * self.word_size
        self.zero(address, count * self.word_size)

    def clear_gaps(self, node: Word, first: int, count: int) -> None:
        """memset of ``count`` gaps from ``first`` on to 0."""
        self.zero(node + self.gap_offset + first * self.word_size, count * self.word_size)

    # -- overlays of a dead node

    def rcu_enqueue(self, node: Word, func: int) -> None:
        """What call_rcu() writes into node->rcu."""
        self.write_word(node + self._rcu_next, 0, "rcu.next")
        self.write_word(node + self._rcu_func, func, "rcu.func")

    def topiary_next(self, node: Word) -> Word:
        """The next enode in a list of dead subtrees."""
        return self.read_word(node + self._topiary_next, "topiary next")

    def set_topiary_next(self, node: Word, enode: Word) -> None:
        """Write the link of a list of dead subtrees."""
        self.write_word(node + self._topiary_next, enode, "topiary next")

    def piv_parent(self, node: Word) -> Word:
        """The enode that a walk of a dead tree goes back to."""
        return self.read_word(node + self._piv_parent, "piv_parent")

    def set_piv_parent(self, node: Word, enode: Word) -> None:
        """Write node->piv_parent."""
        self.write_word(node + self._piv_parent, enode, "piv_parent")

    def parent_slot(self, node: Word) -> int:
        """The byte node->parent_slot of a dead node."""
        return self.read_u8(node + self._parent_slot, "parent_slot")

    def set_parent_slot(self, node: Word, slot: int) -> None:
        """Write node->parent_slot."""
        self.write_u8(node + self._parent_slot, slot, "parent_slot")

    def dead_type(self, node: Word) -> int:
        """The int node->type of a dead node."""
        return self.read_u32(node + self._type, "type")

    def set_dead_type(self, node: Word, mt: int) -> None:
        """Write node->type."""
        self.write_u32(node + self._type, mt, "type")

    def slot_len(self, node: Word) -> int:
        """The byte node->slot_len of a dead node."""
        return self.read_u8(node + self._slot_len, "slot_len")

    def set_slot_len(self, node: Word, count: int) -> None:
        """Write node->slot_len."""
        self.write_u8(node + self._slot_len, count, "slot_len")

    # -- struct maple_alloc in a node that waits for its use

    def alloc_total(self, node: Word) -> Word:
        """alloc->total."""
        return self.read_word(node + self._alloc_total, "alloc.total")

    def set_alloc_total(self, node: Word, total: Word) -> None:
        """Write alloc->total."""
        self.write_word(node + self._alloc_total, total, "alloc.total")

    def alloc_count(self, node: Word) -> int:
        """alloc->node_count."""
        return self.read_u8(node + self._alloc_count, "alloc.node_count")

    def set_alloc_count(self, node: Word, count: int) -> None:
        """Write alloc->node_count."""
        self.write_u8(node + self._alloc_count, count, "alloc.node_count")

    def alloc_request(self, node: Word) -> int:
        """alloc->request_count."""
        return self.read_u32(node + self._alloc_request, "alloc.request_count")

    def set_alloc_request(self, node: Word, count: int) -> None:
        """Write alloc->request_count."""
        self.write_u32(node + self._alloc_request, count, "alloc.request_count")

    def alloc_slot(self, node: Word, i: int) -> Word:
        """alloc->slot[i]."""
        return self.read_word(node + self.alloc_slot_offset + i * self.word_size, "alloc.slot")

    def set_alloc_slot(self, node: Word, i: int, value: Word) -> None:
        """Write alloc->slot[i]."""
        self.write_word(node + self.alloc_slot_offset + i * self.word_size, value, "alloc.slot")

    def set_alloc_slots(self, node: int, first: int, nodes: Sequence[int]) -> None:
        """Write alloc->slot[] from ``first`` on, in one go."""
        address = node + self.alloc_slot_offset + first * self.word_size
        self.write_words(address, nodes, "alloc.slot")

    def clear_alloc_slots(self, node: Word, first: int, count: int) -> None:
        """memset of alloc->slot[] from ``first`` on to 0."""
        self.zero(node + self.alloc_slot_offset + first * self.word_size, count * self.word_size)


class Behind:
    """Words at an address, each read on access: outside of a node, or beyond its end."""

    def __init__(self, mem: NodeMemory, address: int, doing: str) -> None:
        self._mem = mem
        self._address = address
        self._doing = doing

    def __getitem__(self, i: int) -> int:
        return self._mem.read_word(self._address + i * self._mem.word_size, self._doing)


Pivots = tuple[int, ...] | Behind
"""Pivots of a node, by their index."""

__all__ = ["NODE_SIZE", "PIVOT", "NodeMemory", "Pivots", "Words"]
