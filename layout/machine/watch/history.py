"""Memory with a history for every byte: as which field it was last written, by which operation.

Reads and writes are those of :class:`layout.memory.node.NodeMemory`. Each names a field, so a read
can be compared with the last write. Bytes outside the nodes have no history. Nodes that were
written as a whole (``Machine.restore``) have none either.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from layout.machine.watch import shadow
from layout.machine.watch.shadow import Shadow, tag
from layout.memory.memory import ZEROS
from layout.memory.node import NODE_SIZE, PIVOT, Behind, NodeMemory, Pivots
from layout.memory.pointers import ARANGE_64, LEAF_64, NODE_MASK

if TYPE_CHECKING:
    from array import array
    from collections.abc import Sequence

    from arches import Arch
    from layout.memory.structs import Profile


_SLOT_LEN, _META_END = tag(shadow.SLOT_LEN), tag(shadow.META_END)


class View:
    """A node's history at one moment: the tags of its bytes, and its data end."""

    __slots__ = ("dead", "end", "node", "tags")

    def __init__(self, memory: HistoryMemory, node: int) -> None:
        at = node - memory.near_base
        self.node = node
        self.tags = memory.shadow.tags.cell(at)[:]
        self.end = memory.data_end(node)
        self.dead = memory.is_dead(node) or memory.is_freed(node)

    def past_end(self, a_tag: int) -> bool:
        """Whether a pivot, slot or gap lies behind the node's data."""
        data = shadow.kind_of(a_tag) in shadow.DATA
        return data and self.end is not None and shadow.index_of(a_tag) > self.end


class WatchedRun(Behind):
    """Fields of a node, with its history when they were read: each is checked when it is used."""

    def __init__(
        self, memory: HistoryMemory, node: int, offset: int, a_tag: int, plain: Pivots
    ) -> None:
        self._memory, self._view, self._plain = memory, View(memory, node), plain
        self._offset, self._tag, self._width = offset, a_tag, memory.word_size

    def __getitem__(self, i: int) -> int:
        value = self._plain[i]
        at = self._offset + i * self._width
        return self._memory.look(self._view, at, self._tag + i, (value,))[0]


@cache
def _run(a_tag: int, width: int, count: int) -> array[int]:
    """The tags of ``count`` fields of ``width`` bytes each, ``a_tag`` the first."""
    if count == 1:
        return shadow.tags(a_tag, width)
    first = shadow.index_of(a_tag)
    run = shadow.fields(shadow.kind_of(a_tag), width)
    return run[first * width : (first + count) * width]


@cache
def _expected(a_tag: int, width: int, count: int) -> tuple[array[int], int]:
    """The same, and the last field's index; -1 for what no data end puts out of use."""
    data = shadow.kind_of(a_tag) in shadow.DATA
    return _run(a_tag, width, count), shadow.index_of(a_tag) + count - 1 if data else -1


@cache
def _fresh(width: int) -> tuple[array[int], array[int]]:
    """The tags of ``width`` bytes that any field may be written to."""
    return shadow.tags(tag(shadow.ZEROED), width), shadow.tags(tag(shadow.NEVER), width)


class HistoryMemory(NodeMemory):
    """Node memory with a shadow, which passes mismatches to :meth:`judge`.

    It can be combined with other watches: every method calls ``super()``.
    """

    def __init__(self, arch: Arch, profile: Profile) -> None:
        super().__init__(arch, profile)
        self.shadow = Shadow()
        self.freed_map = bytearray()
        """The node cache's map of free nodes."""
        self.last_slot = profile.sizes.slots[LEAF_64] - 1
        self._last_slot_tag = tag(shadow.SLOT, self.last_slot)
        self._meta_offsets = self.meta_offset[LEAF_64], self.meta_offset[ARANGE_64]

    # -- what it is for

    def judge(self, view: View, offset: int, width: int, expected: int, value: int) -> int:
        """A read at ``offset`` of the node, as the field of tag ``expected``, that may be wrong.

        Returns the value, as the reader is to get it.
        """
        raise NotImplementedError

    def judge_write(self, node: int, offset: int, a_tag: int) -> None:
        """A write, before its history is noted."""
        raise NotImplementedError

    def tested(self, node: int) -> None:
        """The node's parent word was read, which tells whether the node is dead."""
        raise NotImplementedError

    # -- the nodes as they are; nobody watches how these are read

    def handed_out(self, node: int) -> None:
        """A node is handed out again: what lies in it is nobody's."""
        self.shadow.wrote(node - self.near_base, shadow.tags(tag(shadow.NEVER), NODE_SIZE))

    def forget(self, cell: int) -> None:
        """Memory.forget(), with the history."""
        super().forget(cell)
        self.shadow.drop(cell - self.near_base)

    def data_end(self, node: int) -> int | None:
        """The last slot in use, None if that is unknown."""
        return self._data_end(node, self.shadow.tags.cell(node - self.near_base))

    def _data_end(self, node: int, tags: array[int]) -> int | None:
        if tags[self._slot_len] == _SLOT_LEN:  # it is destroyed
            return NodeMemory.read_u8(self, node + self._slot_len) - 1
        for place in self._meta_offsets:
            if tags[place] == _META_END:
                cell = self._cells.get(node)
                return NodeMemory.read_u8(self, node + place) if cell is None else cell[place]
        return self.last_slot if tags[self._meta_offsets[0]] == self._last_slot_tag else None

    def is_dead(self, node: int) -> bool:
        """Whether the node was marked as replaced."""
        return self._unpack_word(self._cells.get(node, ZEROS), 0)[0] & ~NODE_MASK == node

    def is_freed(self, node: int) -> bool:
        """Whether the node cache has the node back."""
        number = (node - self.near_base) // NODE_SIZE
        return number < len(self.freed_map) and self.freed_map[number] != 0

    def _watched(self, node: int) -> bool:
        return 0 <= node - self.near_base < len(self.freed_map) * NODE_SIZE

    def _in_order(self, node: int, offset: int, a_tag: int, count: int, width: int = 0) -> bool:
        """Whether fields of a node in use were written as such, up to its data end.

        So are those of memory that is not watched. Each read of a field comes here, so this has no
        calls of :meth:`_watched`, :meth:`is_freed` and :meth:`is_dead`.
        """
        at = node - self.near_base
        number = at // NODE_SIZE
        if not 0 <= number < len(self.freed_map):
            return True
        run, last = _expected(a_tag, width or self.word_size, count)
        tags = self.shadow.tags.cell(at)
        if (
            tags[offset : offset + len(run)] != run
            or self.freed_map[number]
            or self._unpack_word(self._cells.get(node, ZEROS), 0)[0] & ~NODE_MASK == node
        ):
            return False
        if last < 0:
            return True
        end = self._data_end(node, tags)
        return end is None or last <= end

    def look(self, view: View, offset: int, a_tag: int, values: Sequence[int]) -> Sequence[int]:
        """Look at words that were read when the node was as in ``view``, ``a_tag`` the first.

        Returns them, as the reader is to get them.
        """
        w, count = self.word_size, len(values)
        if (
            not view.dead
            and not view.past_end(a_tag + count - 1)
            and view.tags[offset : offset + count * w] == _run(a_tag, w, count)
        ):
            return values
        return [
            self.judge(view, offset + i * w, w, a_tag + i, value) for i, value in enumerate(values)
        ]

    def _note_read(self, node: int, offset: int, expected: int, value: int, width: int = 0) -> int:
        """Look at a field read just now; returns its value."""
        if self._in_order(node, offset, expected, 1, width):
            return value
        return self.judge(View(self, node), offset, width or self.word_size, expected, value)

    def _note_run(self, node: int, offset: int, a_tag: int, values: Sequence[int]) -> Sequence[int]:
        """Look at words read just now, ``a_tag`` the first; returns them."""
        if self._in_order(node, offset, a_tag, len(values)):
            return values
        return self.look(View(self, node), offset, a_tag, values)

    def _later(self, node: int, offset: int, a_tag: int, plain: Pivots) -> Pivots:
        """Fields to be looked at when they are used, unless all of them are in order."""
        if isinstance(plain, tuple) and self._in_order(node, offset, a_tag, len(plain)):
            return plain
        if not self._watched(node):
            return plain
        return WatchedRun(self, node, offset, a_tag, plain)

    def _note_write(
        self, node: int, offset: int, a_tag: int, width: int = 0, count: int = 1
    ) -> None:
        """Note ``count`` fields written from ``offset`` on, ``a_tag`` the first."""
        at = node - self.near_base
        if count <= 0 or not 0 <= at < len(self.freed_map) * NODE_SIZE:
            return
        width = width or self.word_size
        new = _run(a_tag, width, count)
        was = self.shadow.tags.cell(at)[offset : offset + len(new)]  # shorter: past the node
        if (was != new and was not in _fresh(len(new))) or self.freed_map[at // NODE_SIZE]:
            for i in range(count):
                self.judge_write(node, offset + i * width, a_tag + i)
        self.shadow.wrote(at + offset, new)

    # -- the arenas

    def replace_near(self, cells: Sequence[bytes]) -> None:
        """Replace the nodes; what their bytes are is then unknown."""
        super().replace_near(cells)
        self.shadow.forget()

    # -- reading

    def parent(self, node: int) -> int:  # noqa: D102
        value = self._note_read(node, 0, tag(shadow.PARENT), super().parent(node))
        self.tested(node)
        return value

    def slot(self, node: int, mt: int, i: int) -> int:  # noqa: D102
        offset = self.slot_offset[mt] + i * self.word_size
        return self._note_read(node, offset, tag(shadow.SLOT, i), super().slot(node, mt, i))

    def pivot(self, node: int, i: int) -> int:  # noqa: D102
        value = super().pivot(node, i)
        expected = tag(shadow.PIVOT, i if i >= 0 else shadow.BEFORE)
        return self._note_read(node, (PIVOT + i) * self.word_size, expected, value)

    def pivots(self, node: int, mt: int, count: int) -> Pivots:  # noqa: D102
        plain = super().pivots(node, mt, count)
        return self._later(node, PIVOT * self.word_size, tag(shadow.PIVOT), plain)

    def slots(self, node: int, mt: int, count: int) -> Pivots:  # noqa: D102
        plain = super().slots(node, mt, count)
        return self._later(node, self.slot_offset[mt], tag(shadow.SLOT), plain)

    def gap(self, node: int, i: int) -> int:  # noqa: D102
        offset = self.gap_offset + i * self.word_size
        return self._note_read(node, offset, tag(shadow.GAP, i), super().gap(node, i))

    def meta_end(self, node: int, mt: int) -> int:  # noqa: D102
        end = super().meta_end(node, mt)
        return self._note_read(node, self.meta_offset[mt], tag(shadow.META_END), end, 1)

    def meta_gap(self, node: int, mt: int = ARANGE_64) -> int:  # noqa: D102
        gap = super().meta_gap(node, mt)
        return self._note_read(node, self.meta_offset[mt] + 1, tag(shadow.META_GAP), gap, 1)

    def alloc_slot(self, node: int, i: int) -> int:  # noqa: D102
        offset = self.alloc_slot_offset + i * self.word_size
        return self._note_read(node, offset, tag(shadow.ALLOC_SLOT, i), super().alloc_slot(node, i))

    # -- reading runs

    def load_pivots(self, words: list[int], at: int, node: int, first: int, count: int) -> None:  # noqa: D102
        super().load_pivots(words, at, node, first, count)
        offset = (PIVOT + first) * self.word_size
        words[at : at + count] = self._note_run(
            node, offset, tag(shadow.PIVOT, first), words[at : at + count]
        )

    def load_slots(  # noqa: D102, PLR0913 - as in NodeMemory
        self, words: list[int], at: int, node: int, mt: int, first: int, count: int
    ) -> None:
        super().load_slots(words, at, node, mt, first, count)
        offset = self.slot_offset[mt] + first * self.word_size
        words[at : at + count] = self._note_run(
            node, offset, tag(shadow.SLOT, first), words[at : at + count]
        )

    def load_gaps(self, words: list[int], at: int, node: int, first: int, count: int) -> None:  # noqa: D102
        super().load_gaps(words, at, node, first, count)
        offset = self.gap_offset + first * self.word_size
        words[at : at + count] = self._note_run(
            node, offset, tag(shadow.GAP, first), words[at : at + count]
        )

    def note_addresses(self, address: int, count: int) -> None:
        """Look at ``count`` addresses of nodes, slots of whatever the first one belongs to."""
        node, offset = address & ~NODE_MASK, address & NODE_MASK
        values = self.read_words(address, count, "nodes to free")
        if self._watched(node):
            seen = self.shadow.tags[address - self.near_base]
            kind = shadow.ALLOC_SLOT if shadow.kind_of(seen) == shadow.ALLOC_SLOT else shadow.SLOT
            self._note_run(node, offset, tag(kind, shadow.index_of(seen)), values)

    # -- writing

    def store_leaf(self, node: int, words: list[int], end: int) -> None:  # noqa: D102
        self._note_write(node, 0, tag(shadow.ZEROED), NODE_SIZE)
        self._note_write(node, 0, tag(shadow.PARENT))
        self._note_write(
            node, self.word_size, tag(shadow.PIVOT), count=min(end + 1, self.last_slot)
        )
        self._note_write(node, self.slot_offset[LEAF_64], tag(shadow.SLOT), count=end + 1)
        super().store_leaf(node, words, end)  # which notes the metadata

    def copy_node(self, target: int, source: int) -> None:  # noqa: D102
        super().copy_node(target, source)
        if self._watched(target) and self._watched(source):
            to, at = target - self.near_base, source - self.near_base
            self.shadow.copied(to, at, NODE_SIZE)

    def zero(self, address: int, count: int) -> None:  # noqa: D102
        super().zero(address, count)
        if count:
            self._note_write(address & ~NODE_MASK, address & NODE_MASK, tag(shadow.ZEROED), count)

    def set_parent(self, node: int, parent: int) -> None:  # noqa: D102
        super().set_parent(node, parent)
        self._note_write(node, 0, tag(shadow.PARENT))

    def set_slot(self, node: int, mt: int, i: int, value: int) -> None:  # noqa: D102
        super().set_slot(node, mt, i, value)
        self._note_write(node, self.slot_offset[mt] + i * self.word_size, tag(shadow.SLOT, i))

    def set_pivot(self, node: int, i: int, value: int) -> None:  # noqa: D102
        super().set_pivot(node, i, value)
        self._note_write(node, (PIVOT + i) * self.word_size, tag(shadow.PIVOT, i))

    def set_gap(self, node: int, i: int, value: int) -> None:  # noqa: D102
        super().set_gap(node, i, value)
        self._note_write(node, self.gap_offset + i * self.word_size, tag(shadow.GAP, i))

    def store_pivots(self, node: int, first: int, words: list[int], at: int, count: int) -> None:  # noqa: D102
        super().store_pivots(node, first, words, at, count)
        self._note_pivots(node, first, count)

    def store_slots(  # noqa: D102, PLR0913 - as in NodeMemory
        self, node: int, mt: int, first: int, words: list[int], at: int, count: int
    ) -> None:
        super().store_slots(node, mt, first, words, at, count)
        self._note_slots(node, mt, first, count)

    def store_gaps(self, node: int, first: int, words: list[int], at: int, count: int) -> None:  # noqa: D102
        super().store_gaps(node, first, words, at, count)
        offset = self.gap_offset + first * self.word_size
        self._note_write(node, offset, tag(shadow.GAP, first), count=count)

    def clear_pivots(self, node: int, first: int, count: int) -> None:
        """NodeMemory.clear_pivots(): what is cleared are pivots still, all 0."""
        super().zero(node + (PIVOT + first) * self.word_size, count * self.word_size)
        self._note_pivots(node, first, count)

    def clear_slots(self, node: int, mt: int, first: int, count: int) -> None:
        """NodeMemory.clear_slots(): what is cleared are slots still, all NULL."""
        address = node + self.slot_offset[mt] + first * self.word_size
        super().zero(address, count * self.word_size)
        self._note_slots(node, mt, first, count)

    def _note_pivots(self, node: int, first: int, count: int) -> None:
        offset = (PIVOT + first) * self.word_size
        self._note_write(node, offset, tag(shadow.PIVOT, first), count=count)

    def _note_slots(self, node: int, mt: int, first: int, count: int) -> None:
        offset = self.slot_offset[mt] + first * self.word_size
        self._note_write(node, offset, tag(shadow.SLOT, first), count=count)

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

    def set_alloc_slot(self, node: int, i: int, value: int) -> None:  # noqa: D102
        super().set_alloc_slot(node, i, value)
        offset = self.alloc_slot_offset + i * self.word_size
        self._note_write(node, offset, tag(shadow.ALLOC_SLOT, i))

    def set_alloc_slots(self, node: int, first: int, nodes: Sequence[int]) -> None:  # noqa: D102
        super().set_alloc_slots(node, first, nodes)
        offset = self.alloc_slot_offset + first * self.word_size
        self._note_write(node, offset, tag(shadow.ALLOC_SLOT, first), count=len(nodes))


_OVERLAYS = (
    ("topiary_next", "_topiary_next", shadow.TOPIARY, 0),
    ("piv_parent", "_piv_parent", shadow.PIV_PARENT, 0),
    ("parent_slot", "_parent_slot", shadow.PARENT_SLOT, 1),
    ("dead_type", "_type", shadow.DEAD_TYPE, 4),
    ("slot_len", "_slot_len", shadow.SLOT_LEN, 1),
    ("alloc_total", "_alloc_total", shadow.ALLOC_TOTAL, 0),
    ("alloc_count", "_alloc_count", shadow.ALLOC_COUNT, 1),
    ("alloc_request", "_alloc_request", shadow.ALLOC_REQUEST, 4),
)
"""Fields of nodes out of use: what reads one, what has its offset, its kind, its size in bytes.

A size of 0 is a word; ``set_`` before the name is what writes the field.
"""


def _watch_field(name: str, offset: str, kind: int, width: int) -> None:
    """Give HistoryMemory the two methods of a field, which note what the next ones do."""
    a_tag, setter = tag(kind), f"set_{name}"

    def read(self: HistoryMemory, node: int) -> int:
        value: int = getattr(super(HistoryMemory, self), name)(node)
        return self._note_read(node, getattr(self, offset), a_tag, value, width)

    def write(self: HistoryMemory, node: int, value: int) -> None:
        getattr(super(HistoryMemory, self), setter)(node, value)
        self._note_write(node, getattr(self, offset), a_tag, width)

    setattr(HistoryMemory, name, read)
    setattr(HistoryMemory, setter, write)


for _overlay in _OVERLAYS:
    _watch_field(*_overlay)
