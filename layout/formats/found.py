"""Structs and enums from type information, independent of its format."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Literal

_POINTER_TO_FUNCTION = "(*)"
_FEW = 1 << 16
"""Types that may be looked at in a file of any size."""
_MOST_IN_UNIT = 1 << 20
"""And in a unit of DWARF, which takes 300 bytes for each."""
_CHARACTERS = 6
"""A name of 1 << _CHARACTERS characters counts as two types."""


@dataclass(frozen=True, slots=True)
class FoundMember:
    """One member: offset and size in bytes, its C type; ``bits`` only of a bit field.

    ``bits`` is (first bit counted from the start of the struct, number of bits).
    """

    name: str
    offset: int
    size: int
    type: str
    bits: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class FoundStruct:
    """A struct or union: its size in bytes, members of unnamed structs and unions included.

    ``align`` is its alignment in bytes, None if it is unknown, as in BTF and DWARF.
    """

    size: int
    members: tuple[FoundMember, ...]
    align: int | None = None


@dataclass(frozen=True, slots=True)
class FoundEnum:
    """An enum: its size in bytes and its values by name."""

    size: int
    values: dict[str, int]


@dataclass(slots=True)
class TypeInfo:
    """The structs and enums of one file, by name.

    ``source`` names the file and its format for messages; ``word_size`` is the size of unsigned
    long in bytes, None if the file does not contain it. If several different structs have the same
    name, all are listed, in the order of the file.
    """

    source: str
    byteorder: Literal["little", "big"]
    word_size: int | None = None
    structs: dict[str, list[FoundStruct]] = field(default_factory=dict)
    enums: dict[str, list[FoundEnum]] = field(default_factory=dict)


class Steps:
    """How many entries may be looked at in type information of a file of so many bytes.

    Damaged types may refer to each other so that the ways through them are without number, and
    packed ones may be as many as a small file unpacks to.
    """

    def __init__(self, size: int) -> None:
        self._left = _FEW + size
        self._in_unit = self._left

    def begin_unit(self) -> None:
        """From here on entries are of another unit, whose entries are all kept."""
        self._in_unit = _MOST_IN_UNIT

    def take(self, text: str = "") -> str:
        """One step more, for a type whose name is ``text``; returns it. Raises ValueError."""
        self._left -= 1 + (len(text) >> _CHARACTERS)
        self._in_unit -= 1
        if min(self._left, self._in_unit) < 0:
            message = "more entries than a file of this size has, or types without end"
            raise ValueError(message)
        return text


def pointer_to(target: str) -> str:
    """The C type of a pointer to ``target``, spelled as in declarations (``void *``)."""
    if _POINTER_TO_FUNCTION in target:  # of a function type, which is spelled with its star
        return target
    return f"{target}*" if target.endswith("*") else f"{target} *"


def array_of(target: str, count: int) -> str:
    """The C type of an array."""
    if target.endswith("]"):  # of arrays: the outer count comes first
        base, bracket, inner = target.partition("[")
        return f"{base}[{count}]{bracket}{inner}"
    return f"{target}[{count}]" if target.endswith("*") else f"{target} [{count}]"


def function_pointer(result: str, parameters: list[str]) -> str:
    """The C type of a pointer to a function."""
    return f"{result} (*)({', '.join(parameters) or 'void'})"
