"""A struct as a Kaitai Struct file, from which readers in many languages are generated.

The struct starts at the first byte of the stream. Members of unions are instances, which are read
on demand: the pointer to the node determines which of them are valid, not the node.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import construct

from layout.formats import pahole
from layout.memory.errors import UsageError
from layout.memory.structs.ctypes import CStruct, CUnion, unwrapped

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from layout.memory.structs import Profile

_FILLERS = ("pad", "_pad", "padding", "__padding")
"""Members that only move others."""

_PARENT = (
    "Address of the parent node | slot in it << 3 | 6. With bit 0 set this is the root, and the "
    "rest is the address of its struct maple_tree. The node's own address: the node is dead."
)
_SLOT = (
    "In a leaf the entries; in other nodes the children, as address of the node | type of the "
    "node (enum maple_type) << 3 | 4. A node has 256 bytes and is aligned to them."
)
_PIVOT = "The last index of each slot, inclusive; that of the last slot in use may be left out."
_DOCS = {
    ("maple_node", "parent"): _PARENT,
    ("maple_node", "mr64"): "Means something if the pointer to the node has type 1 or 2.",
    ("maple_node", "ma64"): "Means something if the pointer to the node has type 3.",
    ("maple_node", "rcu"): "Of a dead node that waits to be freed, as all that follows it.",
    ("maple_node", "alloc"): "Of a node that waits for its use in a struct ma_state.",
    ("maple_range_64", "parent"): _PARENT,
    ("maple_range_64", "pivot"): _PIVOT,
    ("maple_range_64", "slot"): f"{_SLOT} The last is metadata unless all slots are in use.",
    ("maple_range_64", "meta"): "Lies over the last slot, and means something if that is free.",
    ("maple_arange_64", "parent"): _PARENT,
    ("maple_arange_64", "pivot"): _PIVOT,
    ("maple_arange_64", "slot"): _SLOT,
    ("maple_arange_64", "gap"): "The largest run of free indices below each slot.",
    ("maple_metadata", "end"): "The last slot in use.",
    ("maple_metadata", "gap"): "The slot with the largest gap, in arange_64 nodes.",
    ("maple_tree", "ma_flags"): "The height is in bits 2 to 6.",
    ("maple_tree", "ma_root"): (
        "0, or the entry of index 0, or with bit 1 set the root node: its address | "
        "type of the node (enum maple_type) << 3 | 6."
    ),
    ("ma_state", "node"): "Address of the node | type of the node (enum maple_type) << 3 | 4.",
}


def kaitai(profile: Profile, name: str) -> Iterator[str]:
    """The lines of a .ksy file for the struct called ``name``. Raises UsageError."""
    bare, is_enum = pahole.find(profile, name)
    if is_enum:
        message = f"enum {bare} has no layout of its own: choose a struct for --format ksy"
        raise UsageError(message)
    writer = _Writer(profile)
    yield "# Made by maple-layout struct --format ksy."
    yield "meta:"
    yield f"  id: {bare}"
    yield f"  title: struct {bare} on {profile}"
    yield f"  endian: {'le' if profile.arch.byteorder == 'little' else 'be'}"
    yield from writer.body(bare, profile.structs[bare], 0)
    types = list(writer.types())
    if types:
        yield "types:"
        yield from types
    if writer.enums:
        yield "enums:"
        for enum in sorted(writer.enums):
            yield f"  {enum}:"
            for i, value in enumerate(profile.enums[enum]):
                yield f"    {i}: {value}"


class _Writer:
    """Writes types, and collects the types and enums that they use."""

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self.enums: set[str] = set()
        self.wanted: dict[str, Any] = {}
        self.names = {id(con): name for name, con in profile.structs.items()}

    def types(self) -> Iterator[str]:
        """All types that the top one needs, those that they need included."""
        written: set[str] = set()
        while waiting := [name for name in self.wanted if name not in written]:
            for name in waiting:
                written.add(name)
                yield f"  {name}:"
                yield from self.body(name, self.wanted[name], 4)

    def body(self, owner: str, con: Any, indent: int) -> Iterator[str]:
        """``seq`` up to the first union, and ``instances`` from there on."""
        space = " " * indent
        fields = list(con.subcons)
        first = next((i for i, f in enumerate(fields) if isinstance(f, CUnion)), len(fields))
        if first:
            yield f"{space}seq:"
        offset = 0
        for field in fields[:first]:
            if field.name is None:
                yield f"{space}  - size: {field.sizeof()}"
            elif field.sizeof():
                yield f"{space}  - id: {field.name.lstrip('_')}"
                yield from _indented(self._field(owner, field), indent + 4)
            offset += field.sizeof()
        instances = list(self._instances(owner, fields[first:], offset, indent))
        if instances:
            yield f"{space}instances:"
            yield from instances

    def _instances(
        self, owner: str, fields: Iterable[Any], base: int, indent: int, *, union: bool = False
    ) -> Iterator[str]:
        offset = base
        for field in fields:
            if isinstance(field, CStruct | CUnion):
                inside = isinstance(field, CUnion)
                yield from self._instances(owner, field.subcons, offset, indent, union=inside)
            elif field.name is not None and field.name not in _FILLERS and field.sizeof():
                yield f"{' ' * indent}  {field.name.lstrip('_')}:"
                yield f"{' ' * indent}    pos: {offset}"
                yield from _indented(self._field(owner, field), indent + 4)
            offset += 0 if union else field.sizeof()

    def _field(self, owner: str, field: Any) -> Iterator[str]:
        """What is said of one member, without its name and place."""
        doc = _DOCS.get((owner, field.name))
        if doc:
            yield f"doc: '{doc.replace(chr(39), 2 * chr(39))}'"
        inner = unwrapped(field)
        if isinstance(inner, construct.Array):
            yield "repeat: expr"
            yield f"repeat-expr: {inner.count}"
            inner = unwrapped(inner.subcon)
        if isinstance(inner, CStruct):
            name = self.names.get(id(inner))
            if field.docs.startswith("struct ["):
                name = f"{owner}_{field.name}"
            if name is not None:
                self.wanted[name] = inner
                yield f"type: {name}"
            yield f"size: {inner.sizeof()}"
            return
        yield f"type: u{inner.sizeof()}"
        if field.docs.startswith("enum "):
            self.enums.add(field.docs.removeprefix("enum "))
            yield f"enum: {field.docs.removeprefix('enum ')}"


def _indented(lines: Iterable[str], indent: int) -> Iterator[str]:
    for line in lines:
        yield " " * indent + line
