"""Interprets the words of one node: the slots in use, their ranges, and contradictions.

The pivots determine the slots in use. The metadata, if there is any, must agree with them. Readers
of images and annotated dumps share this view. The kernel's own code does not use it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from layout.memory.node import PIVOT
from layout.memory.pointers import ARANGE_64, LEAF_64, RANGE_64

if TYPE_CHECKING:
    from layout.memory.node import NodeMemory, Words

KNOWN_TYPES = (LEAF_64, RANGE_64, ARANGE_64)


class SlotRange(NamedTuple):
    """One slot of a node that is in use."""

    slot: int
    """The number of the slot."""
    first: int
    """The first index that it is for."""
    last: int
    """The last index, inclusive."""
    word: int
    """What it holds: an entry, or a pointer to a child."""


class Visit(NamedTuple):
    """A node that was read."""

    address: int
    """Where it is."""
    type: int
    """The enum maple_type: 1 leaf_64, 2 range_64, 3 arange_64."""
    min: int
    """The first index of its range."""
    max: int
    """The last index, inclusive."""
    depth: int
    """Levels below the root, which has 0; -1 if not known."""


@dataclass(frozen=True, slots=True)
class NodeView:
    """One node, and which of its slots are in use."""

    address: int
    """Where it is."""
    type: int
    """The enum maple_type."""
    minimum: int
    """The first index of its range."""
    maximum: int
    """The last index, inclusive."""
    words: Words
    """Its parent word, pivots, slots and gaps, as the machine reads them."""
    end: int
    """The last slot in use according to the kernel."""
    has_meta: bool
    """Whether the node has metadata."""
    meta_read: bool
    """Whether the kernel reads ``end`` there."""
    ranges: tuple[SlotRange, ...]
    """The slots in use, as far as the pivots are valid."""
    problems: tuple[str, ...]
    """The contradictions, a line for each."""

    def pivot(self, i: int) -> int:
        """Pivot ``i``."""
        return self.words[PIVOT + i]


def end_by_pivot(mem: NodeMemory, words: Words, mt: int, maximum: int) -> int | None:
    """The last slot in use as the last pivot tells it; None where the metadata tells it.

    The metadata lies over the last slot of a leaf_64 or range_64 node, so it is there only if
    that slot is not in use: if the last pivot is 0, or is ``maximum``, the node's last index.
    Source: ma_data_end() in lib/maple_tree.c.
    """
    pivots = mem.profile.sizes.pivots[mt]
    last_pivot = words[PIVOT + pivots - 1]
    if mt == ARANGE_64 or not last_pivot:
        return None
    return pivots - 1 if last_pivot == maximum else pivots


def data_end(mem: NodeMemory, address: int, mt: int, maximum: int) -> int:
    """The last slot in use of a node whose last index is ``maximum``, as the kernel takes it.

    Raises MachineFault where the node can't be read.
    """
    by_pivot = end_by_pivot(mem, mem.read_node(address, mt), mt, maximum)
    return mem.meta_end(address, mt) if by_pivot is None else by_pivot


def view(mem: NodeMemory, address: int, mt: int, minimum: int, maximum: int) -> NodeView:
    """Read the node of type ``mt`` at ``address``, which covers ``minimum`` to ``maximum``.

    Raises MachineFault where the node can't be read or ``mt`` is not one of KNOWN_TYPES.
    """
    words = mem.read_node(address, mt)
    by_pivot = end_by_pivot(mem, words, mt, maximum)
    meta_read = by_pivot is None
    has_meta = by_pivot != mem.profile.sizes.pivots[mt]
    end = mem.meta_end(address, mt) if by_pivot is None else by_pivot
    ranges, problems = _follow_pivots(mem, words, mt, (minimum, maximum), end)
    return NodeView(
        address,
        mt,
        minimum,
        maximum,
        words,
        end,
        has_meta,
        meta_read,
        tuple(ranges),
        tuple(f"node {address:x}: {problem}" for problem in problems),
    )


def _follow_pivots(
    mem: NodeMemory, words: Words, mt: int, bounds: tuple[int, int], end: int
) -> tuple[list[SlotRange], list[str]]:
    sizes = mem.profile.sizes
    slots, pivots, slot0 = sizes.slots[mt], sizes.pivots[mt], mem.slot0[mt]
    first, maximum = bounds
    found: list[SlotRange] = []
    problems: list[str] = []
    if end >= slots:
        problems.append(f"metadata says that data ends at slot {end}, beyond the last, {slots - 1}")
    for i in range(slots):
        last = words[PIVOT + i] if i < pivots else maximum
        if last == 0 and 0 < i == end:  # older kernels leave the last pivot out
            last = maximum
        if last > maximum:
            problems.append(f"pivot {i} is {last:x}, beyond the node's last index {maximum:x}")
            break
        if last < first:
            problems.append(f"pivot {i} is {last:x}, but slot {i} starts at {first:x}")
            break
        found.append(SlotRange(i, first, last, words[slot0 + i]))
        if last == maximum:
            if i != end < slots:
                problems.append(f"metadata says that data ends at slot {end}, pivots say {i}")
            break
        first = last + 1
    return found, problems


def guess_maximum(mem: NodeMemory, address: int, mt: int) -> int:
    """The last index of a node that no tree was walked to reach: what its data end suggests.

    Raises MachineFault where the node can't be read.
    """
    words = mem.read_node(address, mt)
    top = mem.profile.sizes.pivots[mt] - 1
    end = mem.meta_end(address, mt)
    last_pivot = words[PIVOT + top]
    meta_read = end_by_pivot(mem, words, mt, mem.arch.ulong_max) is None
    if meta_read and end <= top:
        return words[PIVOT + end] or mem.arch.ulong_max
    if not meta_read:
        offset = mem.meta_offset[mt]
        word = mem.read(address + offset, mem.word_size)
        # a full node's last word is an entry, which hardly ever looks like this
        if word == bytes([top]) + bytes(mem.word_size - 1):
            return last_pivot
    return mem.arch.ulong_max


__all__ = [
    "KNOWN_TYPES",
    "NodeView",
    "SlotRange",
    "Visit",
    "data_end",
    "end_by_pivot",
    "guess_maximum",
    "view",
]
