"""The shadow of the nodes: for each byte the field and the operation of its last write.

A *tag* is a kind of field and its index; tags of a word's bytes are all alike.
"""

from __future__ import annotations

from array import array
from functools import cache

KINDS = (
    *("unknown", "never written", "zeroed", "parent", "pivot", "slot", "gap"),
    *("metadata end", "metadata gap", "rcu_head", "topiary link", "piv_parent", "parent_slot"),
    *("type", "slot_len", "alloc.total", "alloc.node_count", "alloc.request_count", "alloc.slot"),
)
(UNKNOWN, NEVER, ZEROED, PARENT, PIVOT, SLOT, GAP, META_END, META_GAP, RCU_HEAD, TOPIARY) = range(
    11
)
(PIV_PARENT, PARENT_SLOT, DEAD_TYPE, SLOT_LEN) = range(11, 15)
(ALLOC_TOTAL, ALLOC_COUNT, ALLOC_REQUEST, ALLOC_SLOT) = range(15, 19)

DATA = frozenset({PIVOT, SLOT, GAP})
"""Kinds of fields that are in use only up to the node's data end."""

SINGLE_BYTES = frozenset({NEVER, ZEROED, META_END, META_GAP, PARENT_SLOT, SLOT_LEN, ALLOC_COUNT})
"""Kinds whose bytes in memory do not depend on the byte order."""

_INDEXED = frozenset({PIVOT, SLOT, GAP, ALLOC_SLOT})
_INDEX_BITS = 9
"""An offset is an unsigned char, and the slot after it may be looked at."""


def tag(kind: int, index: int = 0) -> int:
    """The tag of field ``index`` of a kind."""
    return kind << _INDEX_BITS | index


def kind_of(a_tag: int) -> int:
    """The kind of field that a tag names."""
    return a_tag >> _INDEX_BITS


def index_of(a_tag: int) -> int:
    """The index of the field that a tag names."""
    return a_tag & (1 << _INDEX_BITS) - 1


def name(a_tag: int) -> str:
    """The field's name: "pivot[3]", "metadata end"."""
    kind = kind_of(a_tag)
    return f"{KINDS[kind]}[{index_of(a_tag)}]" if kind in _INDEXED else KINDS[kind]


def group(a_tag: int) -> str:
    """The name of such fields in a report: both metadata bytes are "metadata"."""
    kind = kind_of(a_tag)
    return "metadata" if kind in {META_END, META_GAP} else KINDS[kind]


@cache
def fields(kind: int, width: int) -> array[int]:
    """The tags of a run of fields of ``width`` bytes each, from index 0 on."""
    run = array("H")
    for index in range(1 << _INDEX_BITS):
        run.extend(tags(tag(kind, index), width))
    return run


@cache
def tags(a_tag: int, width: int) -> array[int]:
    """``width`` bytes with this tag."""
    return array("H", [a_tag]) * width


class Shadow:
    """Tags and writers of a range of bytes that grows at its end; offsets are into that range."""

    def __init__(self) -> None:
        self.tags = array("H")
        self.writers = array("I")
        self._writer = array("I")
        self.operation = 0

    def begin(self, operation: int) -> None:
        """Attribute all writes from now on to this operation."""
        self.operation = operation
        self._writer = array("I", [operation])

    def grow(self, count: int) -> None:
        """Append bytes that were never written."""
        self.tags.extend(tags(tag(NEVER), 1) * count)
        self.writers.extend(array("I", [0]) * count)

    def forget(self, size: int) -> None:
        """Start again with ``size`` bytes of unknown history."""
        self.tags = tags(tag(UNKNOWN), 1) * size
        self.writers = array("I", [0]) * size

    def wrote(self, at: int, new: array[int]) -> None:
        """Bytes from ``at`` on were written as fields with these tags."""
        self.tags[at : at + len(new)] = new
        self.writers[at : at + len(new)] = self._writer * len(new)

    def copied(self, to: int, at: int, width: int) -> None:
        """Bytes were copied; their tags are copied too."""
        self.tags[to : to + width] = self.tags[at : at + width]
        self.writers[to : to + width] = self._writer * width
