"""BTF, the kernel's compact type format: raw, as in /sys/kernel/btf/vmlinux.

Source: Documentation/bpf/btf.rst. A header, then types numbered from 1 in one stream, then strings.
Each type starts with three 32-bit words (name, info, size or type). The data after them depends on
its kind. The file has its machine's byte order, which the magic shows.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple, NoReturn

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
    from collections.abc import Iterable
    from typing import Literal

_MAGIC = 0xEB9F
_HEADER_SIZE = 24

# the kinds, and the size in bytes of what follows the three words: once, and per element
_INT, _PTR, _ARRAY, _STRUCT, _UNION, _ENUM, _FWD, _TYPEDEF = range(1, 9)
_VOLATILE, _CONST, _RESTRICT, _FUNC, _FUNC_PROTO, _VAR, _DATASEC = range(9, 16)
_FLOAT, _DECL_TAG, _TYPE_TAG, _ENUM64 = range(16, 20)
_ONCE = {_INT: 4, _ARRAY: 12, _VAR: 4, _DECL_TAG: 4}
_EACH = {_STRUCT: 12, _UNION: 12, _ENUM: 8, _FUNC_PROTO: 8, _DATASEC: 12, _ENUM64: 12}
_QUALIFIERS = {_VOLATILE: "volatile ", _CONST: "const ", _RESTRICT: "", _TYPE_TAG: ""}
_TAGS = {_STRUCT: "struct", _UNION: "union", _ENUM: "enum", _ENUM64: "enum"}

_MOST_DEEP = 64
"""How deep types may nest: a cycle that C cannot have ends there."""


class _Type(NamedTuple):
    """One type: ``size`` is the id of another type in kinds that refer to one."""

    kind: int
    name: str
    flag: bool
    vlen: int
    size: int
    at: int
    """Where what follows the three words starts, in bytes."""


def is_btf(data: bytes) -> bool:
    """Whether ``data`` starts as raw BTF does, in either byte order."""
    return data[:2] in (_MAGIC.to_bytes(2, "little"), _MAGIC.to_bytes(2, "big"))


def read_btf(
    data: bytes, source: str, names: Iterable[str] | None = None, word_size: int = 8
) -> TypeInfo:
    """The structs, unions and enums in raw BTF; with ``names``, only those called so.

    ``word_size`` is the size of pointers in bytes where there is no long to tell it. Raises
    InputError for data that is cut short, damaged, or the BTF of a module, whose types refer to
    the kernel's.
    """
    wanted = None if names is None else set(names)
    try:
        return _Reader(data, source, word_size).read(wanted)
    except (struct.error, IndexError, UnicodeDecodeError, ValueError) as error:
        message = (
            f"{source}: the BTF is cut short or damaged ({error}), or of a module: give the "
            "kernel's own, such as /sys/kernel/btf/vmlinux"
        )
        raise InputError(message) from None


@dataclass
class _Reader:
    data: bytes
    source: str
    default_word_size: int

    @cached_property
    def byteorder(self) -> Literal["little", "big"]:
        return "little" if self.data[:2] == _MAGIC.to_bytes(2, "little") else "big"

    @cached_property
    def order(self) -> str:
        return "<" if self.byteorder == "little" else ">"

    def words(self, at: int, count: int) -> tuple[int, ...]:
        return struct.unpack_from(f"{self.order}{count}I", self.data, at)

    def fail(self, why: str) -> NoReturn:
        raise ValueError(why)

    @cached_property
    def sections(self) -> tuple[int, int, int, int]:
        """Where the types start and end, and where the strings do, in bytes."""
        _, version, _, length = struct.unpack_from(f"{self.order}HBBI", self.data)
        if version != 1 or length < _HEADER_SIZE:
            self.fail(f"version {version}, header of {length} bytes")
        types, type_length, strings, string_length = self.words(8, 4)
        ends = length + types + type_length, length + strings + string_length
        if max(ends) > len(self.data):
            self.fail(f"sections up to byte {max(ends)} of {len(self.data)}")
        return length + types, ends[0], length + strings, ends[1]

    @cached_property
    def types(self) -> list[_Type]:
        """All types; index 0 is void."""
        at, end, _, _ = self.sections
        found = [_Type(0, "void", flag=False, vlen=0, size=0, at=0)]
        head = struct.Struct(f"{self.order}III")
        while at < end:
            name, info, size = head.unpack_from(self.data, at)
            kind, count = info >> 24 & 0x1F, info & 0xFFFF
            at += head.size
            if not _INT <= kind <= _ENUM64:
                self.fail(f"type {len(found)} is of kind {kind}")
            found.append(_Type(kind, self.string(name), bool(info >> 31), count, size, at))
            at += _ONCE.get(kind, 0) + _EACH.get(kind, 0) * count
        return found

    def string(self, offset: int) -> str:
        _, _, start, end = self.sections
        at = start + offset
        if at >= end:
            self.fail(f"string at {offset} of {end - start}")
        return self.data[at : self.data.index(b"\0", at)].decode()

    def read(self, wanted: set[str] | None) -> TypeInfo:
        info = TypeInfo(f"{self.source} (BTF)", self.byteorder, self.word_size)
        for found in self.types:
            if not found.name or (wanted is not None and found.name not in wanted):
                continue
            if found.kind in (_STRUCT, _UNION):
                members = tuple(self.members(found, 0, 0))
                info.structs.setdefault(found.name, []).append(FoundStruct(found.size, members))
            elif found.kind in (_ENUM, _ENUM64):
                info.enums.setdefault(found.name, []).append(self.enum(found))
        return info

    @cached_property
    def word_size(self) -> int | None:
        """The size of a long, from the integer type of that name."""
        for found in self.types:
            if found.kind == _INT and found.name in ("long unsigned int", "unsigned long"):
                return found.size
        return None

    def members(self, of: _Type, base: int, depth: int) -> Iterable[FoundMember]:
        """The members of a struct or union at bit ``base``, those of unnamed ones as well."""
        if depth > _MOST_DEEP:
            self.fail("structs nest without end")
        for i in range(of.vlen):
            self.steps.take()
            name, number, offset = self.words(of.at + 12 * i, 3)
            bits = 0
            if of.flag:  # then the offset's high byte is the width of a bit field
                offset, bits = offset & 0xFFFFFF, offset >> 24
            offset += base
            kind = self.types[number]
            if not name and kind.kind in (_STRUCT, _UNION):
                yield from self.members(kind, offset, depth + 1)
                continue
            text = self.spell(number, depth + 1)
            where = (offset, bits) if bits else None
            label = self.string(name)
            yield FoundMember(label, offset // 8, self.size(number), text, where)
            while kind.kind == _ARRAY:
                kind, label = self.types[self.words(kind.at, 1)[0]], f"{label}[0]"
            if kind.kind in (_STRUCT, _UNION) and not kind.name:
                for inner in self.members(kind, offset, depth + 1):
                    yield replace(inner, name=f"{label}.{inner.name}")

    def enum(self, of: _Type) -> FoundEnum:
        values = {}
        for i in range(of.vlen):
            if of.kind == _ENUM:
                name, value = struct.unpack_from(f"{self.order}Ii", self.data, of.at + 8 * i)
            else:
                name, low, high = self.words(of.at + 12 * i, 3)
                value = high << 32 | low
            values[self.string(name)] = value
        return FoundEnum(of.size, values)

    def size(self, number: int, depth: int = 0) -> int:
        """The size of a type in bytes."""
        of = self.types[number]
        if depth > _MOST_DEEP:
            self.fail(f"type {number} is made of itself")
        if of.kind == _PTR:
            return self.word_size or self.default_word_size
        if of.kind == _ARRAY:
            element, _, count = self.words(of.at, 3)
            return count * self.size(element, depth + 1)
        if of.kind == _TYPEDEF or of.kind in _QUALIFIERS:
            return self.size(of.size, depth + 1)
        return 0 if of.kind in (0, _FWD, _FUNC, _FUNC_PROTO) else of.size

    @cached_property
    def steps(self) -> Steps:
        return Steps(len(self.data))

    def spell(self, number: int, depth: int = 0) -> str:
        """A type as C spells it."""
        return self.steps.take(self.spelled(number, depth))

    def spelled(self, number: int, depth: int) -> str:
        """The same; spell() counts."""
        of = self.types[number]
        if depth > _MOST_DEEP:
            self.fail(f"type {number} is made of itself")
        if of.kind == _PTR:
            return pointer_to(self.spell(of.size, depth + 1))
        if of.kind == _ARRAY:
            element, _, count = self.words(of.at, 3)
            return array_of(self.spell(element, depth + 1), count)
        if of.kind in _QUALIFIERS:
            return _QUALIFIERS[of.kind] + self.spell(of.size, depth + 1)
        if of.kind == _FUNC_PROTO:
            pairs = [self.words(of.at + 8 * i, 2) for i in range(of.vlen)]
            parameters = [self.spell(kind, depth + 1) for _, kind in pairs]
            return function_pointer(self.spell(of.size, depth + 1), parameters)
        if of.kind == _FWD:
            return f"{'union' if of.flag else 'struct'} {of.name}"
        return f"{_TAGS[of.kind]} {of.name}".rstrip() if of.kind in _TAGS else of.name
