"""DWARF in object files and kernels, read with pyelftools.

A kernel has thousands of compilation units, which take minutes. Those of the maple tree's own
source are read first. Reading ends when every wanted name has been found, or with the kernel's
own lib/maple_tree.c: it declares all that there is. A name that is no string of the file is not
looked for.
"""

from __future__ import annotations

import io
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from layout.formats.found import (
    FoundEnum,
    FoundMember,
    FoundStruct,
    Steps,
    TypeInfo,
    array_of,
    function_pointer,
    pointer_to,
)
from layout.memory.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Literal

    from elftools.dwarf.compileunit import CompileUnit
    from elftools.dwarf.die import DIE
    from elftools.dwarf.dwarfinfo import DWARFInfo

_FIRST = b"maple_tree.c\0"
"""Units of a source of this name are read before all others."""

_OWN = "lib/maple_tree.c"
"""The end of the name of the kernel's own."""

_NAMED_WITHIN = 48
"""How many bytes from its start a unit has referred to its name, generously."""

_PARSE_ERRORS = (
    *(AssertionError, AttributeError, LookupError, OverflowError),
    *(RecursionError, TypeError, ValueError),
)
"""What pyelftools lets through of damaged data."""

_STRUCTS = {"DW_TAG_structure_type": "struct", "DW_TAG_union_type": "union"}
_ENUM = "DW_TAG_enumeration_type"
_KEYWORDS = _STRUCTS | {_ENUM: "enum", "DW_TAG_base_type": "", "DW_TAG_typedef": ""}
_QUALIFIERS = {
    "DW_TAG_const_type": "const ",
    "DW_TAG_volatile_type": "volatile ",
    "DW_TAG_restrict_type": "",
    "DW_TAG_atomic_type": "",
}
_MOST_DEEP = 64
"""How deep types may nest: a cycle that C cannot have ends there."""

_MOST_UNITS = 1 << 16
"""A kernel has some thousand; each takes 1.5 KB and 70 us."""

_LONGEST_TABLE = 1 << 18
"""Bytes of one unit's table of abbreviations, which takes 400 times as many in memory.

Those of kernels have some thousand.
"""

_PLUS_UCONST = 0x23

_Found = TypeVar("_Found")


def read_dwarf(  # noqa: PLR0913 - what is looked for, where and how long
    dwarf: DWARFInfo,
    source: str,
    word_size: int,
    needed: Iterable[str],
    welcome: Iterable[str],
    steps: Steps,
) -> TypeInfo:
    """The structs, unions and enums of these names; reading goes on until all ``needed`` are found.

    Raises InputError for debug information that is damaged, or takes more ``steps`` than there are.
    """
    from elftools.common.exceptions import DWARFError, ELFError  # noqa: PLC0415 - slow to import
    from elftools.construct import ConstructError  # noqa: PLC0415

    try:
        return _read(dwarf, source, word_size, set(needed), set(welcome), steps)
    except (ELFError, DWARFError, ConstructError, *_PARSE_ERRORS) as error:
        why = " ".join(str(error).split()) or type(error).__name__
        message = f"{source}: the debug information is damaged ({why}): build it again"
        raise InputError(message) from None


def _read(  # noqa: PLR0913 - the same
    dwarf: DWARFInfo,
    source: str,
    word_size: int,
    needed: set[str],
    welcome: set[str],
    steps: Steps,
) -> TypeInfo:
    little = dwarf.config.little_endian
    section = dwarf.debug_abbrev_sec
    if section is not None:
        section.stream.seek(0)
        dwarf.debug_abbrev_sec = section._replace(stream=_Tables(section.stream.read()))
    info = TypeInfo(f"{source} (DWARF)", "little" if little else "big", word_size)
    wanted = set(_in_strings(dwarf, needed | welcome))
    needed = needed & wanted
    for unit in _units(dwarf):
        if needed <= info.structs.keys() | info.enums.keys():
            break
        steps.begin_unit()
        top = unit.get_top_DIE()
        for die in _children(top, steps):
            name = _text(die, "DW_AT_name")
            if name not in wanted or "DW_AT_declaration" in die.attributes:
                continue
            if die.tag in _STRUCTS:
                found = FoundStruct(_number(die, "DW_AT_byte_size"), tuple(_members(die, 0, steps)))
                _add(info.structs, name, found)
            elif die.tag == _ENUM:
                _add(info.enums, name, _enum(die, steps))
        if _text(top, "DW_AT_name").endswith(_OWN):
            break
        _forget(unit)
    return info


class _Tables(io.BytesIO):
    """The section of abbreviations; raises ValueError where one table does not end."""

    _start = 0

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """BytesIO.seek(): a table begins here."""
        self._start = super().seek(offset, whence)
        return self._start

    def read(self, size: int | None = -1, /) -> bytes:
        """BytesIO.read(), as long as the table may be."""
        if self.tell() - self._start > _LONGEST_TABLE:
            message = (
                f"the abbreviations at {self._start:#x} are longer than {_LONGEST_TABLE} bytes"
            )
            raise ValueError(message)
        return super().read(size)


def _forget(unit: CompileUnit) -> None:
    """Let go of a unit's entries and abbreviations: pyelftools would keep those of all units.

    It has no other way. A version that keeps them elsewhere takes more memory, and works.
    """
    for holder, kept in (
        *((unit, "_dielist"), (unit, "_diemap")),
        (unit.dwarfinfo, "_abbrevtable_cache"),
    ):
        getattr(holder, kept, []).clear()


def _in_strings(dwarf: DWARFInfo, names: set[str]) -> Iterator[str]:
    """Those of the names that the file has as a string, or as the end of one."""
    sections = [s.stream for s in (dwarf.debug_str_sec, dwarf.debug_info_sec) if s is not None]
    for section in sections:
        section.seek(0)
    texts = [section.read() for section in sections]
    for name in names:
        if any(f"{name}\0".encode() in text for text in texts):
            yield name


def _units(dwarf: DWARFInfo) -> Iterator[CompileUnit]:
    """All compilation units, those of the maple tree first.

    Which these are is guessed from the first bytes of each, since reading a unit's name takes
    its whole table of abbreviations: half a minute for all of a kernel's.
    """
    signs = [_FIRST, *_references(dwarf)]
    if dwarf.debug_info_sec is None:
        return
    info = dwarf.debug_info_sec.stream
    likely: list[CompileUnit] = []
    later: list[CompileUnit] = []
    for number, unit in enumerate(dwarf.iter_CUs()):
        if number >= _MOST_UNITS:
            message = f"more than {_MOST_UNITS} units"
            raise ValueError(message)
        info.seek(unit.cu_die_offset)
        start = info.read(_NAMED_WITHIN)
        (likely if any(sign in start for sign in signs) else later).append(unit)
    yield from likely
    yield from later


def _references(dwarf: DWARFInfo) -> Iterator[bytes]:
    """How a unit refers to the name of the maple tree's source in the sections of strings."""
    order: Literal["little", "big"] = "little" if dwarf.config.little_endian else "big"
    for section in (dwarf.debug_str_sec, dwarf.debug_line_str_sec):
        if section is None:
            continue
        section.stream.seek(0)
        strings = section.stream.read()
        at = strings.find(_FIRST)
        if at >= 0:
            yield (strings.rfind(b"\0", 0, at) + 1).to_bytes(4, order)


def _add(found: dict[str, list[_Found]], name: str, one: _Found) -> None:
    """Keep ``one``, if no unit before had the same."""
    same = found.setdefault(name, [])
    if one not in same:
        same.append(one)


def _children(of: DIE, steps: Steps) -> Iterator[DIE]:
    """The entries right below one. Raises ValueError where these come round in a circle.

    An entry may say where the next one begins. pyelftools follows that, even back.
    """
    last = of.offset
    for die in of.iter_children():
        steps.take()
        if die.offset <= last:
            message = f"the entry at {last:#x} is followed by one at {die.offset:#x}"
            raise ValueError(message)
        last = die.offset
        yield die
        if die.has_children and "DW_AT_sibling" not in die.attributes:
            for _ in _children(die, steps):  # or pyelftools does so, without this check
                pass


def _text(die: DIE, attribute: str) -> str:
    value = die.attributes.get(attribute)
    return "" if value is None else bytes(value.value).decode(errors="replace")


def _number(die: DIE, attribute: str, default: int = 0) -> int:
    value = die.attributes.get(attribute)
    return default if value is None else int(value.value)


def _target(die: DIE) -> DIE | None:
    """The DIE of an entry's type; None is void."""
    return die.get_DIE_from_attribute("DW_AT_type") if "DW_AT_type" in die.attributes else None


def _members(of: DIE, base: int, steps: Steps, depth: int = 0) -> Iterator[FoundMember]:
    """The members of a struct or union at byte ``base``, unnamed ones taken apart."""
    if depth > _MOST_DEEP:
        raise ValueError("structs nest without end")
    for die in _children(of, steps):
        if die.tag != "DW_TAG_member":
            continue
        name, kind = _text(die, "DW_AT_name"), _target(die)
        offset = base + _location(die)
        if not name and kind is not None and kind.tag in _STRUCTS:
            yield from _members(kind, offset, steps, depth + 1)
            continue
        size = _size(kind, steps)
        bits = _bits(die, base, offset, size)
        if bits:  # the storage unit is not always told, the bits are
            offset = bits[0] // 8
        yield FoundMember(name, offset, size, _spell(kind, steps), bits)
        while kind is not None and kind.tag == "DW_TAG_array_type":
            name += "[0]" * len(_counts(kind, steps))
            kind = _target(kind)
        if kind is not None and kind.tag in _STRUCTS and not _text(kind, "DW_AT_name"):
            for inner in _members(kind, offset, steps, depth + 1):
                yield replace(inner, name=f"{name}.{inner.name}")


def _location(die: DIE) -> int:
    """Where a member lies in its struct, in bytes."""
    value = die.attributes.get("DW_AT_data_member_location")
    if value is None:
        return 0
    if isinstance(value.value, int):
        return value.value
    operation, *operand = value.value  # DWARF 2 writes an expression
    if operation != _PLUS_UCONST:
        raise ValueError(f"member location by operation {operation:#x}")
    return sum((byte & 0x7F) << 7 * i for i, byte in enumerate(operand))


def _bits(die: DIE, base: int, offset: int, size: int) -> tuple[int, int] | None:
    """First bit and width of a bit field, counted in the struct from its lowest address."""
    if "DW_AT_bit_size" not in die.attributes:
        return None
    width = _number(die, "DW_AT_bit_size")
    if "DW_AT_data_bit_offset" in die.attributes:
        return 8 * base + _number(die, "DW_AT_data_bit_offset"), width
    start = _number(die, "DW_AT_bit_offset")  # DWARF 3: from the most significant bit
    if die.cu.structs.little_endian:
        start = 8 * _number(die, "DW_AT_byte_size", size) - start - width
    return 8 * offset + start, width


def _enum(die: DIE, steps: Steps) -> FoundEnum:
    values = {
        _text(child, "DW_AT_name"): _number(child, "DW_AT_const_value")
        for child in _children(die, steps)
        if child.tag == "DW_TAG_enumerator"
    }
    return FoundEnum(_number(die, "DW_AT_byte_size"), values)


def _counts(array: DIE, steps: Steps) -> list[int]:
    """How many elements an array has in each dimension; 0 where C leaves it open."""
    return [
        _number(child, "DW_AT_count", _number(child, "DW_AT_upper_bound", -1) + 1)
        for child in _children(array, steps)
        if child.tag == "DW_TAG_subrange_type"
    ]


def _size(die: DIE | None, steps: Steps, depth: int = 0) -> int:
    """The size of a type in bytes."""
    if die is None:
        return 0
    if depth > _MOST_DEEP:
        raise ValueError("a type is made of itself")
    if die.tag == "DW_TAG_array_type":
        size = _size(_target(die), steps, depth + 1)
        for count in _counts(die, steps):
            size *= count
        return size
    if die.tag == "DW_TAG_typedef" or die.tag in _QUALIFIERS:
        return _size(_target(die), steps, depth + 1)
    missing = die.cu.header.address_size if die.tag == "DW_TAG_pointer_type" else 0
    return _number(die, "DW_AT_byte_size", missing)


def _spell(die: DIE | None, steps: Steps, depth: int = 0) -> str:
    """A type as C spells it."""
    return steps.take(_spelled(die, steps, depth))


def _spelled(die: DIE | None, steps: Steps, depth: int) -> str:
    if die is None:
        return "void"
    if depth > _MOST_DEEP:
        raise ValueError("a type is made of itself")
    if die.tag in _KEYWORDS:
        return f"{_KEYWORDS[die.tag]} {_text(die, 'DW_AT_name')}".strip()
    target = _spell(_target(die), steps, depth + 1)
    if die.tag == "DW_TAG_pointer_type":
        return pointer_to(target)
    if die.tag == "DW_TAG_array_type":
        for count in reversed(_counts(die, steps)):
            target = array_of(target, count)
        return target
    if die.tag == "DW_TAG_subroutine_type":
        parameters = [
            _spell(_target(child), steps, depth + 1)
            for child in _children(die, steps)
            if child.tag == "DW_TAG_formal_parameter"
        ]
        return function_pointer(target, parameters)
    return _QUALIFIERS.get(str(die.tag), "") + target
