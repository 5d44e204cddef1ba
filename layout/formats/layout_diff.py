"""Compares two layouts: a declared one with one found in a file, or two declared ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from layout.formats.found import FoundEnum, FoundMember, FoundStruct
from layout.memory import structs
from layout.memory.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from layout.formats.found import TypeInfo
    from layout.memory.structs import Profile

ALIASES = {"rcu_head": "callback_head"}
"""Names that are macros in the kernel's source, and what compilers see."""

_BASE_TYPES = {"long unsigned int": "unsigned long", "callback_head": "rcu_head"}
"""What compilers call types, and what the source does."""

_LOCKS = (4, "up", "smp", "debug-spinlock", "lockdep", "lock-stat", "rt")

_ENUM_SIZE = 4


@dataclass(frozen=True, slots=True)
class Row:
    """One difference: its subject (``size``, or a member or enumerator), and both sides.

    A side is None where it has no such member.
    """

    what: str
    left: FoundMember | int | None
    right: FoundMember | int | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """A struct or enum on both sides; ``missing`` names the side that lacks it."""

    name: str
    rows: tuple[Row, ...] = ()
    missing: str | None = None
    size: int = 0
    members: int = 0

    @property
    def equal(self) -> bool:
        """Whether both sides have it, and alike."""
        return not self.rows and self.missing is None


def names_of(profile: Profile) -> list[str]:
    """The names of all structs and enums of a profile, enums without ``enum``."""
    return [*profile.structs, *profile.enums]


def every_name() -> set[str]:
    """The names of all structs and enums of all versions, as compilers see them."""
    import arches  # noqa: PLC0415 - any machine will do

    found = set(ALIASES.values())
    for version in structs.VERSIONS:
        for config in ("smp", "lockdep,rt"):
            machine = arches.get("x86_64")
            found.update(names_of(structs.profile(machine, version, config=config)))
    return found


def check(profile: Profile, names: Iterable[str], info: TypeInfo) -> list[Comparison]:
    """The declared structs and enums of these names against those of a file."""
    return [_check_one(profile, name, info) for name in names]


def diff(a: Profile, b: Profile, names: Iterable[str]) -> list[Comparison]:
    """The structs and enums of these names in two profiles."""
    compared = []
    for name in names:
        left, right = declared(a, name), declared(b, name)
        if left is None or right is None:
            compared.append(Comparison(name, missing="left" if left is None else "right"))
        else:
            compared.append(_compare(name, left, right))
    return compared


def agreeing_profile(profile: Profile, info: TypeInfo) -> str | None:
    """The options of another profile that agrees with all that the file has, if there is one."""
    for version in sorted(structs.VERSIONS, key=lambda version: version != profile.version):
        for lock in _LOCKS:
            try:
                if isinstance(lock, int):
                    other = structs.profile(profile.arch, version, lock)
                else:
                    other = structs.profile(profile.arch, version, config=lock)
            except UsageError:  # no SMP kernels on this machine
                continue
            compared = check(other, names_of(other), info)
            present = [one for one in compared if one.missing is None]
            if present and all(one.equal for one in present):
                return f"--kernel {version}" + (f" --config {lock}" if lock != 4 else "")
    return None


def declared(profile: Profile, name: str) -> FoundStruct | FoundEnum | None:
    """A struct or enum of a profile, as type information would tell it."""
    if name in profile.enums:
        return FoundEnum(_ENUM_SIZE, {value: i for i, value in enumerate(profile.enums[name])})
    if name not in profile.structs:
        return None
    layout = profile.layout(name)
    types = {member.name: member.type for member in layout.members}
    members = [
        FoundMember(member.name, member.offset, member.size, member.type)
        for member in layout.members
        if not _inside_a_typedef(member.name, types)
    ]
    return FoundStruct(layout.size, tuple(members), layout.align)


def _inside_a_typedef(name: str, types: dict[str, str]) -> bool:
    """Whether a member belongs to a type of its own, whose inside is not this struct's matter."""
    parent = name.rpartition(".")[0]
    return bool(parent) and not types[parent.removesuffix("[0]")].startswith(("struct", "union"))


def _check_one(profile: Profile, name: str, info: TypeInfo) -> Comparison:
    left = declared(profile, name)
    found: list[FoundStruct | FoundEnum] = []
    if isinstance(left, FoundEnum):
        found += info.enums.get(name, [])
    else:
        structs_found = info.structs.get(name) or info.structs.get(ALIASES.get(name, ""), [])
        # by name alone the kernel has structs that are configured out
        found += [one for one in structs_found if one.members]
    if left is None or not found:
        return Comparison(name, missing="right" if left else "left")
    # of several structs of this name, the one that it can be
    return min((_compare(name, left, one) for one in found), key=lambda one: len(one.rows))


def _compare(
    name: str, left: FoundStruct | FoundEnum, right: FoundStruct | FoundEnum
) -> Comparison:
    rows = tuple(_rows(left, right))
    count = len(left.members if isinstance(left, FoundStruct) else left.values)
    return Comparison(name, rows, size=left.size, members=count)


def _rows(left: FoundStruct | FoundEnum, right: FoundStruct | FoundEnum) -> Iterator[Row]:
    if left.size != right.size:
        yield Row("size", left.size, right.size)
    aligns = getattr(left, "align", None), getattr(right, "align", None)
    if None not in aligns and aligns[0] != aligns[1]:
        yield Row("alignment", *aligns)
    ours, theirs = _by_name(left), _by_name(right)
    for what in [*ours, *(name for name in theirs if name not in ours)]:
        a, b = ours.get(what), theirs.get(what)
        if a != b:
            yield Row(what, a, b)


def _by_name(side: FoundStruct | FoundEnum) -> dict[str, FoundMember] | dict[str, int]:
    if isinstance(side, FoundEnum):
        return side.values
    return {member.name: _plain(member) for member in side.members}


def _plain(member: FoundMember) -> FoundMember:
    """The member with its type as the kernel's source spells it."""
    text = member.type
    for spelling, plain in _BASE_TYPES.items():
        text = text.replace(spelling, plain)
    return FoundMember(member.name, member.offset, member.size, text, member.bits)
