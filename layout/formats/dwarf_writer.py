"""A file of types for debuggers, without a compiler: DWARF 4 made from the declared structs.

It contains every struct and enum of a kernel profile, with its C name and the machine's own
offsets. Tags, attributes and forms are those of the DWARF standard.
"""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING, Any

import construct

from layout.formats.elf_core import with_sections
from layout.memory.structs.ctypes import CStruct, CUnion, unwrapped

if TYPE_CHECKING:
    from layout.memory.structs import Profile

_NAME, _SIZE, _LOCATION, _TYPE = 0x03, 0x0B, 0x38, 0x49
_ENCODING, _LANGUAGE, _PRODUCER = 0x3E, 0x13, 0x25
_UPPER_BOUND, _CONST_VALUE, _DECLARATION, _PROTOTYPED = 0x2F, 0x1C, 0x3C, 0x27
_STRING, _DATA1, _UDATA, _REF4, _PRESENT = 0x08, 0x0B, 0x0F, 0x13, 0x19
_C99 = 0x0C
_SIGNED, _SIGNED_CHAR, _UNSIGNED, _UNSIGNED_CHAR = 0x05, 0x06, 0x07, 0x08

_DIES: dict[str, tuple[int, bool, tuple[tuple[int, int], ...]]] = {
    "unit": (0x11, True, ((_PRODUCER, _STRING), (_LANGUAGE, _DATA1), (_NAME, _STRING))),
    "base": (0x24, False, ((_NAME, _STRING), (_ENCODING, _DATA1), (_SIZE, _DATA1))),
    "struct": (0x13, True, ((_NAME, _STRING), (_SIZE, _UDATA))),
    "unnamed struct": (0x13, True, ((_SIZE, _UDATA),)),
    "unnamed union": (0x17, True, ((_SIZE, _UDATA),)),
    "incomplete struct": (0x13, False, ((_NAME, _STRING), (_DECLARATION, _PRESENT))),
    "member": (0x0D, False, ((_NAME, _STRING), (_TYPE, _REF4), (_LOCATION, _UDATA))),
    "unnamed member": (0x0D, False, ((_TYPE, _REF4), (_LOCATION, _UDATA))),
    "pointer": (0x0F, False, ((_SIZE, _DATA1), (_TYPE, _REF4))),
    "void pointer": (0x0F, False, ((_SIZE, _DATA1),)),
    "array": (0x01, True, ((_TYPE, _REF4),)),
    "range": (0x21, False, ((_TYPE, _REF4), (_UPPER_BOUND, _UDATA))),
    "const": (0x26, False, ((_TYPE, _REF4),)),
    "typedef": (0x16, False, ((_NAME, _STRING), (_TYPE, _REF4))),
    "enum": (0x04, True, ((_NAME, _STRING), (_SIZE, _DATA1), (_TYPE, _REF4))),
    "enumerator": (0x28, False, ((_NAME, _STRING), (_CONST_VALUE, _UDATA))),
    "function": (0x15, True, ((_PROTOTYPED, _PRESENT),)),
    "parameter": (0x05, False, ((_TYPE, _REF4),)),
}
"""What each kind of entry is: its tag, whether it has children, attributes and their forms."""

_INT_SIZE = 4
_BASES = {
    "unsigned long": (_UNSIGNED, 0),
    "unsigned int": (_UNSIGNED, _INT_SIZE),
    "unsigned char": (_UNSIGNED_CHAR, 1),
    "int": (_SIGNED, _INT_SIZE),
    "char": (_SIGNED_CHAR, 1),
}
"""Encoding and size in bytes; 0 is the size of a word."""

_CODES = {name: code for code, name in enumerate(_DIES, 1)}
_ARRAY = re.compile(r"(.*?) ?\[(\d+)\]")
_FUNCTION = "a function of "
_CONST = "const "
_CALLBACK = re.compile(r"void \(\*\)\((.*)\)")


def type_file(profile: Profile) -> bytes:
    """An ELF file with the types of a kernel profile, for gdb and drgn."""
    info = _Info(profile).data
    return with_sections(profile.arch, {".debug_abbrev": _abbreviations(), ".debug_info": info})


def _abbreviations() -> bytes:
    table = bytearray()
    for name, (tag, children, attributes) in _DIES.items():
        table += bytes([_CODES[name], tag, children])
        for attribute, form in attributes:
            table += bytes([attribute, form])
        table += b"\0\0"
    return bytes(table) + b"\0"


def _uleb(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


class _Info:
    """The section .debug_info.

    Types are identified by their C spelling and written on first use; references come last.
    """

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._order = profile.arch.order_char
        self._out = bytearray()
        self._at: dict[str, int] = {}
        self._wanted: list[str] = []
        self._references: list[tuple[int, str]] = []
        self._typedefs = {"u8": "unsigned char"}
        self._declared = {id(con): f"struct {name}" for name, con in profile.structs.items()}
        self._bodies: dict[str, Any] = {
            f"struct {name}": con for name, con in profile.structs.items()
        }
        header = struct.Struct(f"{self._order}IHIB")
        self._out += bytes(header.size)
        self._die("unit", "maple-layout", _C99, f"the maple tree of Linux {profile.version}")
        for ctype in [*self._bodies]:
            self._want(ctype)
        for name in profile.enums:
            self._want(f"enum {name}")
        while self._wanted:
            self._define(self._wanted.pop(0))
        self._end()
        for place, ctype in self._references:
            struct.pack_into(f"{self._order}I", self._out, place, self._at[ctype])
        word_size = profile.arch.word_size
        header.pack_into(self._out, 0, len(self._out) - 4, 4, 0, word_size)

    @property
    def data(self) -> bytes:
        """The section's bytes."""
        return bytes(self._out)

    def _die(self, name: str, *values: str | int) -> None:
        """Write one entry; a reference is given as the C spelling of its type."""
        self._out += _uleb(_CODES[name])
        given = iter(values)
        for _, form in _DIES[name][2]:
            if form == _PRESENT:
                continue
            value = next(given)
            if isinstance(value, str):
                if form == _REF4:
                    self._references.append((len(self._out), value))
                    self._want(value)
                    self._out += bytes(4)
                else:
                    self._out += value.encode() + b"\0"
            else:
                self._out += bytes([value]) if form == _DATA1 else _uleb(value)

    def _end(self) -> None:
        """End the children of an entry."""
        self._out.append(0)

    def _want(self, ctype: str) -> None:
        if ctype not in self._at and ctype not in self._wanted:
            self._wanted.append(ctype)

    def _define(self, ctype: str) -> None:
        """Write the type that C spells ``ctype``, between other types of the unit."""
        self._at[ctype] = len(self._out)
        word_size = self._profile.arch.word_size
        if ctype in self._bodies:
            self._define_body(ctype)
        elif ctype in self._typedefs:
            self._die("typedef", ctype, self._typedefs[ctype])
        elif ctype.startswith("enum "):
            self._define_enum(ctype.removeprefix("enum "))
        elif array := _ARRAY.fullmatch(ctype):
            self._die("array", array[1])
            self._die("range", "unsigned long", int(array[2]) - 1)
            self._end()
        elif ctype.startswith(_FUNCTION):
            self._die("function")
            self._die("parameter", ctype.removeprefix(_FUNCTION))
            self._end()
        elif ctype.endswith("*") or "(*)" in ctype:
            self._define_pointer(ctype, word_size)
        elif ctype.startswith(_CONST):
            self._die("const", ctype.removeprefix(_CONST))
        elif ctype.startswith("struct "):
            self._die("incomplete struct", ctype.removeprefix("struct "))
        else:
            encoding, size = _BASES[ctype]
            self._die("base", ctype, encoding, size or word_size)

    def _define_pointer(self, ctype: str, size: int) -> None:
        if ctype == "void *":
            self._die("void pointer", size)
        elif callback := _CALLBACK.fullmatch(ctype):
            self._die("pointer", size, _FUNCTION + callback[1])
        else:
            self._die("pointer", size, ctype[:-1].rstrip())

    def _define_enum(self, name: str) -> None:
        self._die("enum", name, _INT_SIZE, "unsigned int")
        for value, enumerator in enumerate(self._profile.enums[name]):
            self._die("enumerator", enumerator, value)
        self._end()

    def _define_body(self, ctype: str) -> None:
        """Write a struct or union and its members, as construct has placed them."""
        con = self._bodies[ctype]
        if ctype.startswith("unnamed "):
            self._die(f"unnamed {_keyword(con)}", con.sizeof())
        else:
            self._die("struct", ctype.removeprefix("struct "), con.sizeof())
        offset = 0
        for subcon in con.subcons:
            if isinstance(subcon, CStruct | CUnion):
                self._die("unnamed member", self._unnamed(subcon), offset)
            elif subcon.name is not None:
                self._die("member", subcon.name, self._type_of(subcon), offset)
            if not isinstance(con, CUnion):
                offset += subcon.sizeof()
        self._end()

    def _type_of(self, subcon: Any) -> str:
        """The type of a named member; a typedef is noted with what it stands for."""
        ctype, inner = str(subcon.docs), unwrapped(subcon)
        if isinstance(inner, construct.Array) and isinstance(inner.subcon, CStruct):
            return f"{self._unnamed(inner.subcon)} [{inner.count}]"
        if ctype.isidentifier() and ctype not in {*self._typedefs, *_BASES}:
            if id(inner) in self._declared:
                self._typedefs[ctype] = self._declared[id(inner)]
            elif isinstance(inner, CStruct):
                self._typedefs[ctype] = self._unnamed(inner)
            else:  # lockdep_map_p
                self._typedefs[ctype] = f"struct {ctype.removesuffix('_p')} *"
        return ctype

    def _unnamed(self, con: Any) -> str:
        """What a struct or union without a name is known by here."""
        key = f"unnamed {len(self._bodies)}"
        self._bodies[key] = con
        return key


def _keyword(con: Any) -> str:
    return "union" if isinstance(con, CUnion) else "struct"
