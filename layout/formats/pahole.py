"""Struct layouts in pahole's format, and as JSON."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, NamedTuple

import construct

from layout.memory.errors import UsageError
from layout.memory.structs.ctypes import CStruct, CUnion, unwrapped

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from layout.memory.structs import Profile

_ARRAY = re.compile(r"(.*?) ?(\[\d+\])$")
_COMMENT_COLUMN = 64
_NAME_COLUMN = 24
_INT_SIZE = 4
_LONGEST_NAME = 60


class _Tally(NamedTuple):
    """The numbers of a struct's total line: counts, and bytes of holes and padding."""

    members: int
    holes: int
    hole_bytes: int
    padding: int


def names(profile: Profile, *, with_mm: bool = False) -> list[str]:
    """All structs of a profile, then its enums as ``enum NAME``.

    ``with_mm`` adds those of address spaces, which are shown but not compared.
    """
    structs = profile.structs | profile.mm_structs if with_mm else profile.structs
    return [*structs, *(f"enum {name}" for name in profile.enums)]


def find(profile: Profile, name: str, *, with_mm: bool = False) -> tuple[str, bool]:
    """The bare name of a struct or enum, and whether it is an enum.

    ``name`` may start with ``struct`` or ``enum``; ``with_mm`` finds the structs of address
    spaces too. Raises UsageError, listing all names.
    """
    words = name.split()
    bare = words[-1] if words else ""
    keyword = " ".join(words[:-1])
    structs = profile.structs | profile.mm_structs if with_mm else profile.structs
    if keyword in ("", "struct") and bare in structs:
        return bare, False
    if keyword in ("", "enum") and bare in profile.enums:
        return bare, True
    known = names(profile, with_mm=with_mm)
    close = get_close_matches(bare[:_LONGEST_NAME], [each.split()[-1] for each in known], 1)
    hint = f"did you mean {close[0]}? or " if close else ""
    message = f"no struct {name!r} in {profile.version}: {hint}choose one of {', '.join(known)}"
    raise UsageError(message)


def as_json(profile: Profile, name: str) -> dict[str, object]:
    """A struct's size, alignment and members in bytes, or an enum's size and values.

    Raises UsageError.
    """
    bare, is_enum = find(profile, name, with_mm=True)
    if is_enum:
        values = {value: i for i, value in enumerate(profile.enums[bare])}
        return {"size": _INT_SIZE, "values": values}
    layout = profile.layout(bare)
    members = [
        {"name": m.name, "offset": m.offset, "size": m.size, "type": m.type} for m in layout.members
    ]
    return {"size": layout.size, "align": layout.align, "members": members}


def pahole(profile: Profile, name: str) -> Iterator[str]:
    """The lines of a struct's layout, offsets and sizes in bytes, or of an enum.

    Raises UsageError.
    """
    bare, is_enum = find(profile, name, with_mm=True)
    if is_enum:
        yield f"enum {bare} {{"
        for i, value in enumerate(profile.enums[bare]):
            yield f"        {value} = {i},"
        yield "};"
        return
    con = (profile.structs | profile.mm_structs)[bare]
    yield f"struct {bare} {{"
    tally = yield from _body(con, 0, 1)
    yield ""
    total = f"size: {con.sizeof()}, members: {tally.members}"
    if tally.holes:
        total += f", holes: {tally.holes}, sum holes: {tally.hole_bytes}"
    yield f"        /* {total} */"
    if tally.padding:
        yield f"        /* padding: {tally.padding} */"
    yield "};"


def _body(con: Any, base: int, level: int) -> Generator[str, None, _Tally]:
    """The members of a declared struct or union that starts at offset ``base``."""
    indent = " " * (8 * level)
    is_union = isinstance(con, CUnion)
    offset = base
    members = holes = hole_bytes = padding = 0
    for i, subcon in enumerate(con.subcons):
        size = subcon.sizeof()
        if isinstance(subcon, CStruct | CUnion):  # without a name in C
            yield f"{indent}{'union' if isinstance(subcon, CUnion) else 'struct'} {{"
            yield from _body(subcon, offset, level + 1)
            yield _commented(f"{indent}}};", offset, size)
            members += 1
        elif subcon.name is not None and (unnamed := unnamed_element(subcon)):
            yield f"{indent}struct {{"
            yield from _body(unnamed, offset, level + 1)
            yield _commented(f"{indent}}} {_array_name(subcon)};", offset, size)
            members += 1
        elif subcon.name is not None:
            yield _commented(f"{indent}{_columns(subcon.docs, subcon.name)};", offset, size)
            members += 1
        elif i == len(con.subcons) - 1:
            padding = size
        else:
            yield ""
            yield f"{indent}/* XXX {size} byte{'s' * (size > 1)} hole */"
            yield ""
            holes += 1
            hole_bytes += size
        if not is_union:
            offset += size
    return _Tally(members, holes, hole_bytes, padding)


def unnamed_element(subcon: Any) -> CStruct | None:
    """The struct without a name that a member is an array of, or None."""
    array = unwrapped(subcon)
    if isinstance(array, construct.Array) and isinstance(array.subcon, CStruct):
        return array.subcon
    return None


def _array_name(subcon: Any) -> str:
    return f"{subcon.name}[{unwrapped(subcon).count}]"


def _columns(ctype: str, name: str) -> str:
    """A member as C declares it, type and name in columns."""
    text = declaration(ctype, name)
    if "(*" in text:
        return text
    ctype, name = text.rsplit(" ", 1)
    return f"{ctype:<{_NAME_COLUMN}}{name}" if len(ctype) < _NAME_COLUMN else text


def declaration(ctype: str, name: str) -> str:
    """A member as C declares it."""
    if "(*)" in ctype:
        return ctype.replace("(*)", f"(*{name})")
    array = _ARRAY.fullmatch(ctype)
    if array:
        ctype, name = array[1], name + array[2]
    return f"{ctype} {name}"


def _commented(text: str, offset: int, size: int) -> str:
    return f"{text:<{_COMMENT_COLUMN}} /* {offset:>5} {size:>5} */"
