"""The rules for the bytes of a single node, except its parent word and gaps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layout.images.violation import Rule, Violation
from layout.memory.node import NODE_SIZE, PIVOT
from layout.memory.pointers import ARANGE_64, LEAF_64, xa_is_advanced
from layout.memory.structs import VERSIONS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from layout.images.reading import Reading
    from layout.memory.node import NodeMemory

LIMITS = "mas_validate_limits"
SWAPPED = "bytes swapped"
STALE = "stale tail"
META_AS_SLOT = "metadata taken for a slot"
SLOT_AS_META = "a slot taken for metadata"
TAKEN = "an entry that mtree_store() takes"


def swap(mem: NodeMemory, word: int) -> int:
    """The word with its bytes in the other order."""
    return int.from_bytes(word.to_bytes(mem.word_size, "little"), "big")


def check_node(mem: NodeMemory, reading: Reading, *, root: bool) -> Iterator[Violation]:
    """Pivots, data end, what lies behind it, metadata and minimum fill of one node."""
    if reading.cost:
        yield from _pivots(mem, reading)
    yield from _data_end(mem, reading)
    yield from _behind(mem, reading)
    yield from _metadata_gap(mem, reading)
    fewest = mem.profile.sizes.min_slots[reading.type]
    if reading.end < fewest and not _may_be_small(mem, reading, root=root):
        yield Violation(
            reading.node,
            mem.meta_offset[reading.type],
            Rule.MINIMUM_FILL,
            f"a data end of at least {fewest}",
            str(reading.end),
            "mt_validate",
        )


def _may_be_small(mem: NodeMemory, reading: Reading, *, root: bool) -> bool:
    """Whether mt_validate takes a node with few entries: the root, before 7.2 the last one."""
    if VERSIONS.index(mem.profile.version) >= VERSIONS.index("7.2"):
        return root
    return reading.maximum == mem.arch.ulong_max


def _pivots(mem: NodeMemory, reading: Reading) -> Iterator[Violation]:
    """Pivots in use that are out of order, or do not end the node."""
    pivots = mem.profile.sizes.pivots[reading.type]
    for i in range(min(reading.end, pivots)):
        if i in reading.trusted:
            continue
        pivot = reading.pivot(i)
        lower = max((j for j in reading.trusted if j < i), default=-1)
        upper = min((j for j in reading.trusted if j > i), default=reading.end)
        first = reading.minimum if lower < 0 else reading.pivot(lower) + 1
        last = (reading.maximum if upper == reading.end else reading.pivot(upper)) - 1
        low, high = first + i - lower - 1, last - (upper - i - 1)
        swapped = low <= swap(mem, pivot) <= high
        cause = SWAPPED if swapped and pivot else ""
        # two equal pivots in the middle of a node pass there
        before = reading.pivot(i - 1) if i else reading.minimum
        after = reading.pivot(i + 1) if i + 1 < pivots else reading.maximum
        sees = (
            not max(before, reading.minimum, min(i, 1)) <= pivot <= min(after, reading.maximum - 1)
        )
        yield Violation(
            reading.node,
            (PIVOT + i) * mem.word_size,
            Rule.PIVOT_ORDER if pivot or not i else Rule.PIVOT_PRESENT,
            f"{low:x} to {high:x}",
            f"{pivot:x}",
            LIMITS if sees or reading.kernel_end != reading.end else "",
            cause,
        )
    if reading.end >= pivots or reading.pivot(reading.end) == reading.maximum:
        return
    pivot = reading.pivot(reading.end)
    if mem.profile.version == "6.1" and not pivot:  # left out there
        return
    yield Violation(
        reading.node,
        (PIVOT + reading.end) * mem.word_size,
        Rule.LAST_PIVOT if pivot or not reading.end else Rule.PIVOT_PRESENT,
        f"{reading.maximum:x}",
        f"{pivot:x}",
        LIMITS,
        SWAPPED if pivot and swap(mem, pivot) == reading.maximum else "",
    )


def _data_end(mem: NodeMemory, reading: Reading) -> Iterator[Violation]:
    """Metadata that gives another end than the pivots; the kernel writes it even where unread."""
    mt, end, found = reading.type, reading.end, reading.meta_end
    pivots = mem.profile.sizes.pivots[mt]
    if found == end or (mt != ARANGE_64 and end >= pivots):
        return  # a full leaf's last slot lies there
    sees = LIMITS if reading.meta_read else ""  # not read where the last pivot tells the end
    at = mem.meta_offset[mt]
    word = mem.read(reading.node + at, mem.word_size)
    cause = ""
    if word[-1] == end and not any(word[:-1]):
        cause = SWAPPED
    elif mt != ARANGE_64 and any(word[2:]):
        cause = SLOT_AS_META
    elif found > end and any(_behind(mem, reading)):
        cause = STALE
    yield Violation(reading.node, at, Rule.DATA_END, str(end), str(found), sees, cause)


def _behind(mem: NodeMemory, reading: Reading) -> Iterator[Violation]:
    """Words behind the data end that are not 0."""
    mt, words, end, size = reading.type, reading.words, reading.end, mem.word_size
    pivots, slots, slot0 = mem.profile.sizes.pivots[mt], mem.profile.sizes.slots[mt], mem.slot0[mt]
    if any(words[PIVOT + end + 1 : PIVOT + pivots]):
        for i in range(end + 1, pivots):
            pivot = reading.pivot(i)
            if pivot:
                # a full node has no metadata: this pivot makes it look like one
                top = i == pivots - 1
                follows = top and mt != ARANGE_64
                yield Violation(
                    reading.node,
                    (PIVOT + i) * size,
                    Rule.UNUSED_PIVOT,
                    "0",
                    f"{pivot:x}",
                    LIMITS if not top or follows else "",
                    META_AS_SLOT if follows else STALE,
                )
    last = slots if mt == ARANGE_64 else slots - 1
    if any(words[slot0 + end + 1 : slot0 + last]):
        for i in range(end + 1, last):
            if words[slot0 + i]:
                yield Violation(
                    reading.node,
                    mem.slot_offset[mt] + i * size,
                    Rule.UNUSED_SLOT,
                    "0",
                    f"{words[slot0 + i]:x}",
                    LIMITS if i != slots - 1 else "",
                    STALE,
                )
    at = mem.meta_offset[mt]
    if mt == ARANGE_64 or end < pivots:
        rest = mem.read(reading.node + at + 2, NODE_SIZE - at - 2)
        if any(rest):
            byte = next(i for i, value in enumerate(rest) if value)
            held = rest[byte:].hex(" ")
            yield Violation(reading.node, at + 2 + byte, Rule.UNUSED_BYTES, "00", held, "", STALE)


def _metadata_gap(mem: NodeMemory, reading: Reading) -> Iterator[Violation]:
    """The metadata's gap of a node without gaps."""
    mt = reading.type
    if mt == ARANGE_64 or reading.end >= mem.profile.sizes.pivots[mt]:
        return
    gap = mem.meta_gap(reading.node, mt)
    if gap:
        at = mem.meta_offset[mt] + 1
        yield Violation(reading.node, at, Rule.METADATA_GAP, "0", str(gap))


def check_entries(mem: NodeMemory, reading: Reading, before: int) -> Iterator[Violation]:
    """The entries of a leaf; ``before`` is the entry before it, not 0 where there is none."""
    node, slot0, size = reading.node, mem.slot0[LEAF_64], mem.word_size
    at = mem.slot_offset[LEAF_64]
    entries = reading.words[slot0 : slot0 + reading.end + 1]
    for i, entry in enumerate(entries):
        if not entry and not before:
            expected = "an entry after NULL"
            yield Violation(
                node, at + i * size, Rule.NULL_RUN, expected, "NULL", "mt_validate_nulls"
            )
        elif xa_is_advanced(entry):
            meta = reading.end == mem.profile.sizes.pivots[LEAF_64] == i
            yield Violation(
                node,
                at + i * size,
                Rule.RESERVED_ENTRY,
                TAKEN,
                f"{entry:x}",
                "",
                META_AS_SLOT if meta and entry == mem.leaf_meta_word(i - 1) else "",
            )
        before = entry
    if not before and reading.maximum != mem.arch.ulong_max:
        yield Violation(
            node, at + reading.end * size, Rule.NULL_AT_END, "an entry in the last slot", "NULL"
        )
