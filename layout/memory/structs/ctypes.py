"""C structs declared in construct: members are placed by the machine's alignment rules.

Each member is a construct field whose ``docs`` hold its C type. :func:`describe` reads offsets,
sizes and alignment from the construct declaration; they are not stated anywhere else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import construct

if TYPE_CHECKING:
    from arches import Arch


@dataclass(frozen=True, slots=True)
class Member:
    """One member of a struct: offset and size in bytes, and its C type."""

    name: str
    offset: int
    size: int
    type: str


@dataclass(frozen=True, slots=True)
class Layout:
    """The layout of a struct on a machine; sizes and offsets in bytes."""

    name: str
    size: int
    align: int
    members: tuple[Member, ...]

    def offset(self, name: str) -> int:
        """The offset in bytes of the member called ``name``. Raises KeyError."""
        return self.member(name).offset

    def member(self, name: str) -> Member:
        """The member called ``name``. Raises KeyError."""
        for member in self.members:
            if member.name == name:
                return member
        raise KeyError(f"struct {self.name} has no member {name}")


class CScalar(construct.FormatField):
    """An integer or pointer with the alignment that C gives it inside a struct."""

    def __init__(self, endianity: str, format_char: str, align: int) -> None:
        super().__init__(endianity, format_char)
        self.align = align


class CStruct(construct.Struct):
    """A struct whose padding has been made explicit; ``transparent`` if C gives it no name."""

    def __init__(self, *members: Any, align: int = 1, transparent: bool = False) -> None:
        placed: list[Any] = []
        offset = 0
        self.align = max([align, *(alignof(member) for member in members)])
        for member in members:
            gap = -offset % alignof(member)
            if gap:
                placed.append(construct.Padding(gap))
            placed.append(member)
            offset += gap + member.sizeof()
        if -offset % self.align:
            placed.append(construct.Padding(-offset % self.align))
        super().__init__(*placed)
        self.transparent = transparent


class CUnion(construct.Union):
    """A union: all members at offset 0, as long as the longest."""

    def __init__(self, *members: Any) -> None:
        self.align = max(alignof(member) for member in members)
        longest = max(range(len(members)), key=lambda i: members[i].sizeof())
        super().__init__(longest, *members)
        self.transparent = True

    def _sizeof(self, context: Any, path: str) -> int:
        return max(int(member._sizeof(context, path)) for member in self.subcons)  # noqa: SLF001


def alignof(con: Any) -> int:
    """The alignment in bytes of a declared field; padding has none."""
    while not hasattr(con, "align"):
        if not hasattr(con, "subcon"):
            return 1
        con = con.subcon
    return int(con.align)


def unwrapped(con: Any) -> Any:
    """A declared field without the name and type that it was given."""
    while isinstance(con, construct.Renamed):
        con = con.subcon
    return con


class CModel:
    """The C data model of one machine: its scalars, ready to be named and placed."""

    def __init__(self, arch: Arch) -> None:
        order = arch.order_char
        word = "Q" if arch.word_size == 8 else "L"
        self.arch = arch
        self.uchar = CScalar(order, "B", 1)
        self.uint = CScalar(order, "L", arch.int_align)
        self.ulong = CScalar(order, word, arch.long_align)

    def pointer(self, name: str, target: str) -> Any:
        """A pointer member; ``target`` is what it points to (``"struct maple_node"``)."""
        stars = "*" if target.endswith("*") else " *"
        return name / self.ulong * f"{target}{stars}"

    def pointers(self, name: str, target: str, count: int) -> Any:
        """An array of pointers."""
        return name / construct.Array(count, self.ulong) * f"{target} *[{count}]"

    def ulong_(self, name: str) -> Any:
        """An unsigned long member."""
        return name / self.ulong * "unsigned long"

    def ulongs(self, name: str, count: int) -> Any:
        """An array of unsigned long."""
        return name / construct.Array(count, self.ulong) * f"unsigned long [{count}]"

    def uchar_(self, name: str) -> Any:
        """An unsigned char member."""
        return name / self.uchar * "unsigned char"

    def uint_(self, name: str) -> Any:
        """An unsigned int member."""
        return name / self.uint * "unsigned int"

    def enum(self, name: str, enum: str) -> Any:
        """An enum member, an int to every compiler here."""
        return name / self.uint * f"enum {enum}"


def _members(con: Any, base: int, prefix: str) -> list[Member]:
    found = []
    offset = base
    for subcon in con.subcons:
        size = subcon.sizeof()
        inner = unwrapped(subcon)
        if subcon.name is not None:
            name = prefix + subcon.name
            found.append(Member(name, offset, size, subcon.docs))
            while isinstance(inner, construct.Array):
                inner, name = unwrapped(inner.subcon), f"{name}[0]"
            if getattr(inner, "transparent", False):  # a struct without a name of its own
                found += _members(inner, offset, f"{name}.")
        elif getattr(subcon, "transparent", False):
            found += _members(subcon, offset, prefix)
        if not isinstance(con, CUnion):
            offset += size
    return found


def describe(name: str, con: CStruct) -> Layout:
    """The layout of a declared struct, members of unnamed structs and unions included."""
    return Layout(name, con.sizeof(), con.align, tuple(_members(con, 0, "")))
