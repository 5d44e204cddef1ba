"""Finds the data end of a node that may be damaged.

The metadata, the pivots and the words behind them each determine a data end. If they disagree, each
of these ends is tried, and the one with the fewest contradictions is taken. So one damaged word is
one violation, without its consequences.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from layout.memory.node import PIVOT
from layout.memory.nodeview import end_by_pivot
from layout.memory.pointers import ARANGE_64, ENODE_NULL, LEAF_64, NODE_MASK, RANGE_64

if TYPE_CHECKING:
    from collections.abc import Sequence

    from layout.memory.node import NodeMemory, Words

_TYPE_TAGS = {mt << 3 | ENODE_NULL for mt in (LEAF_64, RANGE_64, ARANGE_64)}


class Reading(NamedTuple):
    """A node of type ``type`` that covers ``minimum`` to ``maximum``, and how it was read.

    ``end`` is the last slot in use, ``kernel_end`` the one that the kernel uses. ``trusted`` are
    the pivots in use that are in order, by their offsets. ``meta_read`` is True if the kernel reads
    the end from the metadata. ``cost`` counts the contradictions.
    """

    node: int
    type: int
    minimum: int
    maximum: int
    words: Words
    end: int
    kernel_end: int
    meta_end: int
    meta_read: bool
    trusted: tuple[int, ...]
    cost: int

    def pivot(self, i: int) -> int:
        """Pivot ``i``."""
        return self.words[PIVOT + i]


def read_as(mem: NodeMemory, node: int, mt: int, minimum: int, maximum: int | None) -> Reading:
    """Read a node of type ``mt`` from ``minimum`` on; it covers up to ``maximum``, if known.

    Raises MachineFault where the node can't be read or trees use no nodes of that type.
    """
    words = mem.read_node(node, mt)
    sizes = mem.profile.sizes
    pivots, slots = sizes.pivots[mt], sizes.slots[mt]
    meta_end = mem.meta_end(node, mt)
    if maximum is None:
        maximum = _own_maximum(words, meta_end, pivots, minimum, mem.arch.ulong_max)
    by_pivot = end_by_pivot(mem, words, mt, maximum)
    meta_read = by_pivot is None
    kernel_end = meta_end if by_pivot is None else by_pivot
    base = Reading(
        node, mt, minimum, maximum, words, 0, kernel_end, meta_end, meta_read, (), slots * slots
    )
    best = _try_end(mem, base, kernel_end) if kernel_end < slots else base
    if best.cost == 0:
        return best
    inner = words[PIVOT : PIVOT + pivots]
    named = [inner.index(maximum)] if maximum in inner else []
    named += [end for end in (kernel_end, meta_end, pivots) if end < slots and end not in named]
    tops = [i for i, pivot in enumerate(inner) if pivot]
    if tops and tops[-1] not in named:
        named.append(tops[-1])
    # the first of equals: the kernel stops at the first pivot that is the node's last index
    return min((_try_end(mem, base, end) for end in named), key=lambda reading: reading.cost)


def _own_maximum(words: Words, meta_end: int, pivots: int, minimum: int, top: int) -> int:
    """The last index of a node by its own words."""
    if meta_end < pivots and words[PIVOT + meta_end] >= minimum:
        return words[PIVOT + meta_end] or top
    return top


def _try_end(mem: NodeMemory, base: Reading, end: int) -> Reading:
    """The node read as if its last slot in use were ``end``."""
    sizes = mem.profile.sizes
    mt, words, low, high = base.type, base.words, base.minimum, base.maximum
    pivots, slots, slot0 = sizes.pivots[mt], sizes.slots[mt], mem.slot0[mt]
    has_last = end < pivots
    count = end if has_last else pivots
    values = words[PIVOT : PIVOT + count]
    trusted: tuple[int, ...] = tuple(range(count))
    cost = 0 if end == base.kernel_end else 1
    if not _in_order(values, low, high):
        trusted = _longest_chain(values, low, high, end)
        cost += count - len(trusted)
    if has_last:
        if words[PIVOT + end] == high:
            trusted = (*trusted, end)
        elif not (_leaves_last_out(mem) and end and not words[PIVOT + end]):
            cost += 1
        if end and words[PIVOT + end - 1] == high:
            cost += slots  # the kernel stops at the first pivot that is the node's last index
    cost += sum(map(bool, words[PIVOT + end + 1 : PIVOT + pivots]))
    cost += sum(map(bool, words[slot0 + end + 1 : slot0 + slots - 1]))
    if mt != LEAF_64:
        children = words[slot0 : slot0 + end + 1]
        cost += sum(word & NODE_MASK not in _TYPE_TAGS for word in children)
    return base._replace(end=end, trusted=trusted, cost=cost)


def _in_order(pivots: Sequence[int], low: int, high: int) -> bool:
    """Whether pivots ascend from ``low`` on, and stay below ``high``."""
    before = low - 1
    for pivot in pivots:
        if pivot <= before:
            return False
        before = pivot
    return before < high or not pivots


def _leaves_last_out(mem: NodeMemory) -> bool:
    """Whether this kernel leaves the last pivot of a node 0."""
    return mem.profile.version == "6.1"


def _longest_chain(values: Sequence[int], low: int, high: int, end: int) -> tuple[int, ...]:
    """The most pivots that can be right at once, of a node that covers ``low`` to ``high``.

    They ascend, and leave at least one index to each slot between them. Of as many, those
    that come first: the kernel, too, trips at the later one.
    """
    chains: list[tuple[int, ...]] = [()]
    for i, value in enumerate(values):
        if value - low < i or high - value < max(end - i, 1):
            continue
        fitting = [
            chain for chain in chains if not chain or value - values[chain[-1]] >= i - chain[-1]
        ]
        chains.append((*max(fitting, key=len), i))
    return max(chains, key=len)


def slot_bounds(reading: Reading, i: int) -> tuple[int | None, int | None]:
    """First and last index of slot ``i``, both inclusive; None where a pivot is not trusted."""
    first: int | None
    last: int | None
    if i == 0:
        first = reading.minimum
    else:
        first = reading.pivot(i - 1) + 1 if i - 1 in reading.trusted else None
    if i == reading.end:
        last = reading.maximum
    else:
        last = reading.pivot(i) if i in reading.trusted else None
    return first, last
