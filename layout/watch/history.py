"""Memory that keeps every byte's history: what was written there last, and by which operation.

Reads and writes are those of :class:`layout.node.NodeMemory`; each names the field it means, so
what is read can be held against what was written. Bytes outside the nodes have no history, nor
have nodes that were put in place whole (``Machine.restore``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, SupportsIndex, overload

from layout.node import NODE_SIZE, PIVOT, NodeMemory
from layout.pointers import ARANGE_64, LEAF_64, NODE_MASK
from layout.watch import shadow
from layout.watch.shadow import Shadow, tag

if TYPE_CHECKING:
    from collections.abc import Sequence

    from arches import Arch
    from layout.structs import Profile


class SlotIndex(int):
    """The index of a slot's word in a node: what is added to it stays one."""

    def __add__(self, other: int) -> SlotIndex:
        return SlotIndex(int(self) + other)

    def __sub__(self, other: int) -> SlotIndex:
        return SlotIndex(int(self) - other)


class GapIndex(int):
    """The index of a gap's word in a node."""

    def __add__(self, other: int) -> GapIndex:
        return GapIndex(int(self) + other)

    def __sub__(self, other: int) -> GapIndex:
        return GapIndex(int(self) - other)


class View:
    """A node's history at one moment: the tags of its bytes, and its data end."""

    __slots__ = ("dead", "end", "node", "tags")

    def __init__(self, memory: HistoryMemory, node: int) -> None:
        at = node - memory.near_base
        self.node = node
        self.tags = memory.shadow.tags[at : at + NODE_SIZE]
        self.end = memory.data_end(node)
        self.dead = memory.is_dead(node) or memory.is_freed(node)

    def past_end(self, a_tag: int) -> bool:
        """Whether a pivot, slot or gap lies behind the node's data."""
        data = shadow.kind_of(a_tag) in shadow.DATA
        return data and self.end is not None and shadow.index_of(a_tag) > self.end


class WatchedWords(tuple[int, ...]):  # noqa: SLOT001 - a tuple's subclass can't have slots
    """A node's words, with the node's history when they were read.

    A plain index means the parent word or a pivot, as it does for ``NodeMemory.read_node``.
    """

    memory: HistoryMemory
    view: View
    mt: int

    @overload
    def __getitem__(self, key: SupportsIndex) -> int: ...
    @overload
    def __getitem__(self, key: slice) -> tuple[int, ...]: ...
    def __getitem__(self, key: SupportsIndex | slice) -> int | tuple[int, ...]:
        if isinstance(key, slice):
            values = tuple.__getitem__(self, key)
            self._look(key.start, len(values))
            return values
        self._look(key, 1)  # type: ignore[arg-type] # always an int
        return tuple.__getitem__(self, key)

    def _look(self, at: int, count: int) -> None:
        memory, view = self.memory, self.view
        word = int(at)
        if isinstance(at, SlotIndex):
            kind, first = shadow.SLOT, word - int(memory.slot0[self.mt])
        elif isinstance(at, GapIndex):
            kind, first = shadow.GAP, word - int(memory.gap0)
        elif word:
            kind, first = shadow.PIVOT, word - PIVOT
        else:
            memory.tested(view.node)
            return
        w = memory.word_size
        start, end = word * w, view.end
        wanted = shadow.fields(kind, w)[first * w : (first + count) * w]
        if (
            not view.dead
            and (end is None or first + count - 1 <= end)
            and view.tags[start : start + count * w] == wanted
        ):
            return
        for i in range(count):
            value = tuple.__getitem__(self, word + i)
            memory.judge(view, start + i * w, w, tag(kind, first + i), value)


class HistoryMemory(NodeMemory):
    """Node memory with a shadow, which hands what looks odd to :meth:`judge`.

    The memory mixes with others that watch: every method calls the next one.
    """

    def __init__(self, arch: Arch, profile: Profile) -> None:
        super().__init__(arch, profile)
        self.shadow = Shadow()
        self.freed_map = bytearray()
        """The node cache's map of free nodes."""
        self.slot0 = tuple(SlotIndex(i) for i in self.slot0)
        self.gap0 = GapIndex(self.gap0)
        self.last_slot = profile.sizes.slots[LEAF_64] - 1

    # -- what it is for

    def judge(self, view: View, offset: int, width: int, expected: int, value: int) -> None:
        """A read at ``offset`` of the node, as the field of tag ``expected``, that may be wrong."""
        raise NotImplementedError

    def judge_write(self, node: int, offset: int, a_tag: int) -> None:
        """A write, before its history is noted."""
        raise NotImplementedError

    def tested(self, node: int) -> None:
        """The node's parent word was read, which tells whether the node is dead."""
        raise NotImplementedError

    # -- the nodes as they are

    def handed_out(self, node: int) -> None:
        """A node is handed out again: what lies in it is nobody's."""
        self.shadow.wrote(node - self.near_base, shadow.tags(tag(shadow.NEVER), NODE_SIZE))

    def data_end(self, node: int) -> int | None:
        """The last slot in use, None if that is unknown."""
        at, tags = node - self.near_base, self.shadow.tags
        for mt in (LEAF_64, ARANGE_64):
            place = at + self.meta_offset[mt]
            if shadow.kind_of(tags[place]) == shadow.META_END:
                return self.near[place]
        full = tags[at + self.meta_offset[LEAF_64]] == tag(shadow.SLOT, self.last_slot)
        return self.last_slot if full else None

    def is_dead(self, node: int) -> bool:
        """Whether the node was marked as replaced."""
        return self._unpack_word(self.near, node - self.near_base)[0] & ~NODE_MASK == node

    def is_freed(self, node: int) -> bool:
        """Whether the node cache has the node back."""
        number = (node - self.near_base) // NODE_SIZE
        return number < len(self.freed_map) and self.freed_map[number] != 0

    def _watched(self, node: int) -> bool:
        return 0 <= node - self.near_base < len(self.freed_map) * NODE_SIZE

    def _note_read(self, node: int, offset: int, expected: int, value: int, width: int = 0) -> int:
        """Look at a field read just now; returns its value."""
        if self._watched(node):
            width = width or self.word_size
            at = node - self.near_base + offset
            if (
                shadow.kind_of(expected) in shadow.DATA
                or self.shadow.tags[at : at + width] != shadow.tags(expected, width)
                or self.is_freed(node)
                or self.is_dead(node)
            ):
                self.judge(View(self, node), offset, width, expected, value)
        return value

    def _note_write(
        self, node: int, offset: int, a_tag: int, width: int = 0, count: int = 1
    ) -> None:
        """Note ``count`` fields written from ``offset`` on, ``a_tag`` the first."""
        if not self._watched(node) or not count:
            return
        width = width or self.word_size
        at = node - self.near_base + offset
        if count == 1:
            new = shadow.tags(a_tag, width)
        else:
            first = shadow.index_of(a_tag)
            kind = shadow.kind_of(a_tag)
            new = shadow.fields(kind, width)[first * width : (first + count) * width]
        was = self.shadow.tags[at : at + len(new)]
        if (
            (was != new and was != shadow.tags(tag(shadow.ZEROED), len(new)))
            or offset + len(new) > NODE_SIZE
            or self.is_freed(node)
        ):
            for i in range(count):
                self.judge_write(node, offset + i * width, a_tag + i)
        self.shadow.wrote(at, new)

    # -- the arenas

    def grow_near(self, count: int) -> None:
        """Append bytes that nobody wrote."""
        super().grow_near(count)
        self.shadow.grow(count)

    def replace_near(self, data: bytes) -> None:
        """Replace the nodes; what their bytes are is then unknown."""
        super().replace_near(data)
        self.shadow.forget(len(data))

    # -- reading

    def read_node(self, node: int, mt: int) -> tuple[int, ...]:  # noqa: D102
        plain = super().read_node(node, mt)
        if not self._watched(node):
            return plain
        words = WatchedWords(plain)
        words.memory, words.view, words.mt = self, View(self, node), mt
        return words

    def read_words(self, address: int, count: int, doing: str = "words") -> tuple[int, ...]:  # noqa: D102
        values = super().read_words(address, count, doing)
        node, offset = address & ~NODE_MASK, address & NODE_MASK
        if self._watched(node):
            # slots of whatever the first one belongs to
            seen = self.shadow.tags[address - self.near_base]
            first = seen if shadow.kind_of(seen) == shadow.ALLOC_SLOT else tag(shadow.SLOT)
            first += shadow.index_of(seen) - shadow.index_of(first)
            for i, value in enumerate(values):
                self._note_read(node, offset + i * self.word_size, first + i, value)
        return values

    def parent(self, node: int) -> int:  # noqa: D102
        value = self._note_read(node, 0, tag(shadow.PARENT), super().parent(node))
        self.tested(node)
        return value

    def slot(self, node: int, mt: int, i: int) -> int:  # noqa: D102
        offset = self.slot_offset[mt] + i * self.word_size
        return self._note_read(node, offset, tag(shadow.SLOT, i), super().slot(node, mt, i))

    def pivot(self, node: int, i: int) -> int:  # noqa: D102
        offset = (PIVOT + i) * self.word_size
        return self._note_read(node, offset, tag(shadow.PIVOT, i), super().pivot(node, i))

    def gap(self, node: int, i: int) -> int:  # noqa: D102
        offset = self.gap_offset + i * self.word_size
        return self._note_read(node, offset, tag(shadow.GAP, i), super().gap(node, i))

    def meta_end(self, node: int, mt: int) -> int:  # noqa: D102
        end = super().meta_end(node, mt)
        return self._note_read(node, self.meta_offset[mt], tag(shadow.META_END), end, 1)

    def meta_gap(self, node: int, mt: int = ARANGE_64) -> int:  # noqa: D102
        gap = super().meta_gap(node, mt)
        return self._note_read(node, self.meta_offset[mt] + 1, tag(shadow.META_GAP), gap, 1)

    def topiary_next(self, node: int) -> int:  # noqa: D102
        enode = super().topiary_next(node)
        return self._note_read(node, self._topiary_next, tag(shadow.TOPIARY), enode)

    def piv_parent(self, node: int) -> int:  # noqa: D102
        enode = super().piv_parent(node)
        return self._note_read(node, self._piv_parent, tag(shadow.PIV_PARENT), enode)

    def parent_slot(self, node: int) -> int:  # noqa: D102
        slot = super().parent_slot(node)
        return self._note_read(node, self._parent_slot, tag(shadow.PARENT_SLOT), slot, 1)

    def dead_type(self, node: int) -> int:  # noqa: D102
        mt = super().dead_type(node)
        return self._note_read(node, self._type, tag(shadow.DEAD_TYPE), mt, 4)

    def slot_len(self, node: int) -> int:  # noqa: D102
        count = super().slot_len(node)
        return self._note_read(node, self._slot_len, tag(shadow.SLOT_LEN), count, 1)

    def alloc_total(self, node: int) -> int:  # noqa: D102
        total = super().alloc_total(node)
        return self._note_read(node, self._alloc_total, tag(shadow.ALLOC_TOTAL), total)

    def alloc_count(self, node: int) -> int:  # noqa: D102
        count = super().alloc_count(node)
        return self._note_read(node, self._alloc_count, tag(shadow.ALLOC_COUNT), count, 1)

    def alloc_request(self, node: int) -> int:  # noqa: D102
        count = super().alloc_request(node)
        return self._note_read(node, self._alloc_request, tag(shadow.ALLOC_REQUEST), count, 4)

    def alloc_slot(self, node: int, i: int) -> int:  # noqa: D102
        offset = self.alloc_slot_offset + i * self.word_size
        return self._note_read(node, offset, tag(shadow.ALLOC_SLOT, i), super().alloc_slot(node, i))

    # -- writing

    def write_leaf(self, node: int, words: Sequence[int], end: int) -> None:  # noqa: D102
        super().write_leaf(node, words, end)
        self._note_write(node, 0, tag(shadow.ZEROED), NODE_SIZE)
        self._note_write(node, 0, tag(shadow.PARENT))
        self._note_write(
            node, self.word_size, tag(shadow.PIVOT), count=min(end + 1, self.last_slot)
        )
        self._note_write(node, self.slot_offset[LEAF_64], tag(shadow.SLOT), count=end + 1)
        if end < self.last_slot:
            self._note_meta(node, LEAF_64)

    def copy_node(self, target: int, source: int) -> None:  # noqa: D102
        super().copy_node(target, source)
        if self._watched(target) and self._watched(source):
            to, at = target - self.near_base, source - self.near_base
            self.shadow.copied(to, at, NODE_SIZE)

    def zero(self, address: int, count: int) -> None:  # noqa: D102
        super().zero(address, count)
        self._note_write(address & ~NODE_MASK, address & NODE_MASK, tag(shadow.ZEROED), count)

    def set_parent(self, node: int, parent: int) -> None:  # noqa: D102
        super().set_parent(node, parent)
        self._note_write(node, 0, tag(shadow.PARENT))

    def set_slot(self, node: int, mt: int, i: int, value: int) -> None:  # noqa: D102
        super().set_slot(node, mt, i, value)
        self._note_write(node, self.slot_offset[mt] + i * self.word_size, tag(shadow.SLOT, i))

    def set_slots(self, node: int, mt: int, first: int, values: Sequence[int]) -> None:  # noqa: D102
        super().set_slots(node, mt, first, values)
        offset = self.slot_offset[mt] + first * self.word_size
        self._note_write(node, offset, tag(shadow.SLOT, first), count=len(values))

    def set_pivot(self, node: int, i: int, value: int) -> None:  # noqa: D102
        super().set_pivot(node, i, value)
        self._note_write(node, (PIVOT + i) * self.word_size, tag(shadow.PIVOT, i))

    def set_pivots(self, node: int, first: int, values: Sequence[int]) -> None:  # noqa: D102
        super().set_pivots(node, first, values)
        offset = (PIVOT + first) * self.word_size
        self._note_write(node, offset, tag(shadow.PIVOT, first), count=len(values))

    def set_gap(self, node: int, i: int, value: int) -> None:  # noqa: D102
        super().set_gap(node, i, value)
        self._note_write(node, self.gap_offset + i * self.word_size, tag(shadow.GAP, i))

    def set_gaps(self, node: int, first: int, values: Sequence[int]) -> None:  # noqa: D102
        super().set_gaps(node, first, values)
        offset = self.gap_offset + first * self.word_size
        self._note_write(node, offset, tag(shadow.GAP, first), count=len(values))

    def set_meta(self, node: int, mt: int, gap: int, end: int) -> None:  # noqa: D102
        super().set_meta(node, mt, gap, end)
        self._note_meta(node, mt)

    def set_meta_gap(self, node: int, mt: int, gap: int) -> None:  # noqa: D102
        super().set_meta_gap(node, mt, gap)
        self._note_write(node, self.meta_offset[mt] + 1, tag(shadow.META_GAP), 1)

    def _note_meta(self, node: int, mt: int) -> None:
        self._note_write(node, self.meta_offset[mt], tag(shadow.META_END), 1)
        self._note_write(node, self.meta_offset[mt] + 1, tag(shadow.META_GAP), 1)

    def rcu_enqueue(self, node: int, func: int) -> None:  # noqa: D102
        super().rcu_enqueue(node, func)
        self._note_write(node, self._rcu_next, tag(shadow.RCU_HEAD))
        self._note_write(node, self._rcu_func, tag(shadow.RCU_HEAD))

    def set_topiary_next(self, node: int, enode: int) -> None:  # noqa: D102
        super().set_topiary_next(node, enode)
        self._note_write(node, self._topiary_next, tag(shadow.TOPIARY))

    def set_piv_parent(self, node: int, enode: int) -> None:  # noqa: D102
        super().set_piv_parent(node, enode)
        self._note_write(node, self._piv_parent, tag(shadow.PIV_PARENT))

    def set_parent_slot(self, node: int, slot: int) -> None:  # noqa: D102
        super().set_parent_slot(node, slot)
        self._note_write(node, self._parent_slot, tag(shadow.PARENT_SLOT), 1)

    def set_dead_type(self, node: int, mt: int) -> None:  # noqa: D102
        super().set_dead_type(node, mt)
        self._note_write(node, self._type, tag(shadow.DEAD_TYPE), 4)

    def set_slot_len(self, node: int, count: int) -> None:  # noqa: D102
        super().set_slot_len(node, count)
        self._note_write(node, self._slot_len, tag(shadow.SLOT_LEN), 1)

    def set_alloc_total(self, node: int, total: int) -> None:  # noqa: D102
        super().set_alloc_total(node, total)
        self._note_write(node, self._alloc_total, tag(shadow.ALLOC_TOTAL))

    def set_alloc_count(self, node: int, count: int) -> None:  # noqa: D102
        super().set_alloc_count(node, count)
        self._note_write(node, self._alloc_count, tag(shadow.ALLOC_COUNT), 1)

    def set_alloc_request(self, node: int, count: int) -> None:  # noqa: D102
        super().set_alloc_request(node, count)
        self._note_write(node, self._alloc_request, tag(shadow.ALLOC_REQUEST), 4)

    def set_alloc_slot(self, node: int, i: int, value: int) -> None:  # noqa: D102
        super().set_alloc_slot(node, i, value)
        offset = self.alloc_slot_offset + i * self.word_size
        self._note_write(node, offset, tag(shadow.ALLOC_SLOT, i))

    def set_alloc_slots(self, node: int, first: int, nodes: Sequence[int]) -> None:  # noqa: D102
        super().set_alloc_slots(node, first, nodes)
        offset = self.alloc_slot_offset + first * self.word_size
        self._note_write(node, offset, tag(shadow.ALLOC_SLOT, first), count=len(nodes))
