"""The fields of one node, with the names of the declared structs and their meaning.

Together the fields cover all 256 bytes of a node, each byte once. Text, JSON and comparisons use
them.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from layout.memory.node import NODE_SIZE
from layout.memory.nodeview import guess_maximum, view
from layout.memory.pointers import (
    ARANGE_64,
    LEAF_64,
    describe_enode,
    describe_entry,
    describe_parent,
)

if TYPE_CHECKING:
    from layout.memory.node import NodeMemory
    from layout.memory.nodeview import NodeView
    from layout.memory.structs import Profile


class NodeField(NamedTuple):
    """One field of a node, and its content."""

    name: str
    """The field, with its index: ``slot[3]``."""
    offset: int
    """Its first byte in the node."""
    size: int
    """Its size in bytes."""
    raw: bytes
    """Its bytes, in memory order."""
    value: int
    """The number that the machine reads there."""
    meaning: str
    """That number in words."""
    used: bool
    """Whether the kernel would read the field."""


class _Place(NamedTuple):
    """The place of a field: ``kind`` is its name without its index, ``number`` the index, or -1."""

    kind: str
    number: int
    offset: int
    size: int

    @property
    def name(self) -> str:
        return self.kind if self.number < 0 else f"{self.kind}[{self.number}]"


@lru_cache
def _places(profile: Profile, mt: int, *, has_meta: bool) -> tuple[_Place, ...]:
    """The fields of a node of type ``mt``; without metadata its last word is a slot."""
    struct = profile.layout("maple_arange_64" if mt == ARANGE_64 else "maple_range_64")
    word = profile.arch.word_size
    found = [_Place("parent", -1, struct.offset("parent"), word)]
    for name in ("pivot", "slot", "gap") if mt == ARANGE_64 else ("pivot", "slot"):
        array = struct.member(name)
        found += [_Place(name, i, array.offset + i * word, word) for i in range(array.size // word)]
    if has_meta:
        at = struct.offset("meta")
        found = [place for place in found if place.offset + place.size <= at]
        for byte in profile.layout("maple_metadata").members:
            found.append(_Place(f"meta.{byte.name}", -1, at + byte.offset, byte.size))
    end = found[-1].offset + found[-1].size
    if end < struct.size:
        found.append(_Place("pad", -1, end, struct.size - end))
        end = struct.size
    if end < NODE_SIZE:
        found.append(_Place("tail", -1, end, NODE_SIZE - end))
    return tuple(found)


def node_fields(
    mem: NodeMemory, node: int, mt: int, minimum: int = 0, maximum: int | None = None
) -> list[NodeField]:
    """The fields of the node of type ``mt`` at address ``node``, in order of their offsets.

    The node covers ``minimum`` to ``maximum``, both inclusive; a ``maximum`` that is not known
    is guessed from the node. Raises MachineFault where the node can't be read or the type is
    not one that trees use.
    """
    if maximum is None:
        maximum = guess_maximum(mem, node, mt)
    seen = view(mem, node, mt, minimum, maximum)
    data = mem.read(node, NODE_SIZE, "a node")
    found = []
    for place in _places(mem.profile, mt, has_meta=seen.has_meta):
        raw = data[place.offset : place.offset + place.size]
        value = int.from_bytes(raw, mem.arch.byteorder)
        meaning = _meaning(seen, place, value)
        used = bool(meaning)
        if not used:
            meaning = f"unused, holds {value:x}" if value else "unused"
        found.append(NodeField(place.name, place.offset, place.size, raw, value, meaning, used))
    return found


def _meaning(seen: NodeView, place: _Place, value: int) -> str:
    """What a field means; empty for one that is not used."""
    if place.kind == "parent":
        return describe_parent(value)
    if place.kind.startswith("meta."):
        return _meta_meaning(seen, place.kind, value)
    if 0 <= place.number < len(seen.ranges):
        return _used_meaning(seen, place, value)
    if 0 <= place.number <= seen.end and seen.problems:
        return f"out of order: {value:x}"
    return ""


def _used_meaning(seen: NodeView, place: _Place, value: int) -> str:
    """What a pivot, slot or gap means that belongs to a slot in use."""
    i = place.number
    if place.kind == "gap":
        return f"largest gap below slot {i}: {value:x}"
    if place.kind == "pivot":
        if not value and i:
            return f"slot {i} ends with the node, at {seen.ranges[i].last:x}"
        return f"slot {i} is for {seen.ranges[i].first:x}-{seen.ranges[i].last:x}"
    is_leaf = seen.type == LEAF_64
    word = describe_entry(value) if is_leaf else describe_enode(value)
    if not seen.has_meta and place.offset + place.size == NODE_SIZE:
        what = "an entry" if is_leaf else "a node"
        return f"{word} ({what}, no metadata: all slots are in use)"
    return word


def _meta_meaning(seen: NodeView, kind: str, value: int) -> str:
    if kind == "meta.gap":
        if seen.type == ARANGE_64:
            return f"largest gap is at slot {value}"
        return ""
    if not seen.meta_read:
        says = "" if value == seen.end else f"; metadata, which is not read, says {value}"
        return f"data ends at slot {seen.end}, as the last pivot says{says}"
    if any("metadata" in problem for problem in seen.problems):
        return f"data would end at slot {value}, which the pivots deny"
    return f"data ends at slot {value}"
