"""Structs as a C header with static assertions of every size and offset.

The header needs no kernel header. It compiles only if the compiler's layout equals the declared
one, so it is valid only for its machine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import construct

from layout.formats import pahole
from layout.memory.structs.ctypes import CStruct, CUnion, alignof, unwrapped

if TYPE_CHECKING:
    from collections.abc import Iterator

    from layout.memory.structs import Profile

_INDENT = "\t"
_PLAIN = ("struct ", "enum ", "unsigned ", "void", "const ", "int", "u8 [")
"""How types start that need no typedef."""


def header(profile: Profile, names: list[str]) -> Iterator[str]:
    """The lines of a header with these structs and enums, and what they are made of.

    ``names`` are as :func:`layout.formats.pahole.find` takes them. Raises UsageError.
    """
    wanted = [pahole.find(profile, name)[0] for name in names]
    order = profile.arch.byteorder
    yield f"/* The maple tree's structs on {profile}. Made by maple-layout struct --format c. */"
    yield "#ifndef MAPLE_LAYOUT_H"
    yield "#define MAPLE_LAYOUT_H"
    yield ""
    yield "#include <stddef.h>"
    yield ""
    yield (
        f"_Static_assert(__BYTE_ORDER__ == __ORDER_{order.upper()}_ENDIAN__, "
        f'"{profile.arch.name} is {order}-endian");'
    )
    yield ""
    yield "typedef unsigned char u8;"
    yield from _Writer(profile).define(wanted)
    yield ""
    yield "#endif"


class _Writer:
    """Writes each definition once, after those that it needs."""

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self.written = {"u8"}
        self.names = {id(con): name for name, con in profile.structs.items()}

    def define(self, wanted: list[str]) -> Iterator[str]:
        for name in wanted:
            if name in self.profile.enums:
                yield from self._enum(name)
            else:
                yield from self._struct(name)

    def _enum(self, name: str) -> Iterator[str]:
        if f"enum {name}" in self.written:
            return
        self.written.add(f"enum {name}")
        yield ""
        yield f"enum {name} {{"
        for i, value in enumerate(self.profile.enums[name]):
            yield f"{_INDENT}{value} = {i},"
        yield "};"
        yield f'_Static_assert(sizeof(enum {name}) == 4, "size of enum {name}");'

    def _struct(self, name: str) -> Iterator[str]:
        if f"struct {name}" in self.written:
            return
        self.written.add(f"struct {name}")
        con = self.profile.structs[name]
        yield from self._needs(con)
        yield ""
        yield f"struct {name} {{"
        yield from self._body(con, 1)
        natural = max((alignof(subcon) for subcon in con.subcons), default=1)
        aligned = f" __attribute__((aligned({con.align})))" if con.align > natural else ""
        yield f"}}{aligned};"
        yield from self._asserts(name)

    def _needs(self, con: Any) -> Iterator[str]:
        """The definitions that the members of a struct or union need before them."""
        for subcon in con.subcons:
            inner = unwrapped(subcon)
            while isinstance(inner, construct.Array):
                inner = unwrapped(inner.subcon)
            declared = self.names.get(id(inner))
            if declared:
                yield from self._struct(declared)
            elif isinstance(inner, CStruct | CUnion):
                yield from self._needs(inner)
            if subcon.name is None:
                continue
            if subcon.docs.startswith("enum "):
                yield from self._enum(subcon.docs.removeprefix("enum "))
            elif not subcon.docs.startswith(_PLAIN):
                yield from self._typedef(subcon.docs, inner, declared)

    def _typedef(self, ctype: str, con: Any, declared: str | None) -> Iterator[str]:
        if ctype in self.written:
            return
        self.written.add(ctype)
        yield ""
        if declared:
            yield f"typedef struct {declared} {ctype};"
        elif isinstance(con, CStruct):
            yield "typedef struct {"
            yield from self._body(con, 1, padding=True)
            yield f"}} {ctype};"
        else:  # a pointer, called so by the kernel: lockdep_map_p
            yield f"typedef struct {ctype.removesuffix('_p')} *{ctype};"

    def _body(self, con: Any, level: int, *, padding: bool = False) -> Iterator[str]:
        indent = _INDENT * level
        for subcon in con.subcons:
            inner = unwrapped(subcon)
            if isinstance(subcon, CStruct | CUnion):
                yield f"{indent}{'union' if isinstance(subcon, CUnion) else 'struct'} {{"
                yield from self._body(subcon, level + 1)
                yield f"{indent}}};"
            elif subcon.name is None:
                if padding:  # that no alignment explains
                    yield f"{indent}u8 rest[{subcon.sizeof()}];"
            elif isinstance(inner, construct.Array) and pahole.unnamed_element(subcon):
                yield f"{indent}struct {{"
                yield from self._body(pahole.unnamed_element(subcon), level + 1)
                yield f"{indent}}} {subcon.name}[{inner.count}];"
            else:
                text = pahole.declaration(subcon.docs, subcon.name).replace("* ", "*")
                yield f"{indent}{text};"

    def _asserts(self, name: str) -> Iterator[str]:
        layout = self.profile.layout(name)
        of = f"struct {name}"
        yield f'_Static_assert(sizeof({of}) == {layout.size}, "size of {of}");'
        yield f'_Static_assert(_Alignof({of}) == {layout.align}, "alignment of {of}");'
        for member in layout.members:
            what = f"{of}.{member.name}"
            place = f"offsetof({of}, {member.name}) == {member.offset}"
            yield f'_Static_assert({place}, "offset of {what}");'
            size = f"sizeof((({of} *)0)->{member.name}) == {member.size}"
            yield f'_Static_assert({size}, "size of {what}");'
