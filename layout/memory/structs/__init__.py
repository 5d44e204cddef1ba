"""Kernel structs by machine, kernel version and configuration: declared in construct.

>>> import arches
>>> from layout.memory import structs
>>> profile = structs.profile(arches.get("s390x"), "6.12")
>>> profile.layout("maple_range_64").offset("meta")
248
>>> profile.parse("maple_metadata", bytes([14, 2])).end
14
"""

from __future__ import annotations

import re
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

from layout.memory.errors import UsageError
from layout.memory.structs.ctypes import CStruct, Layout, Member, describe
from layout.memory.structs.locks import OPTIONS, parse_config
from layout.memory.structs.maple import VERSIONS, Sizes, declare, enums, sizes
from layout.memory.structs.mm import declare_mm

if TYPE_CHECKING:
    from arches import Arch
    from layout.memory.structs.locks import Config

__all__ = [
    "DEFAULT_VERSION",
    "OPTIONS",
    "VERSIONS",
    "Layout",
    "Member",
    "Profile",
    "Sizes",
    "profile",
]

DEFAULT_VERSION = "6.12"
"""The kernel version whose operations are carried out, and that is taken where none is named."""


class Profile:
    """The structs of one kernel version and configuration on one machine.

    ``lock`` is the size of spinlock_t in bytes, or the configuration that it follows from.
    """

    def __init__(self, arch: Arch, version: str, lock: int | Config, config: str = "") -> None:
        self.arch = arch
        self.version = version
        self.lock = lock
        self.config = config
        self.sizes: Sizes = sizes(arch)

    def __str__(self) -> str:
        """Machine, version and lock in a few words."""
        lock = self.config or f"{self.lock_size}-byte lock"
        return f"{self.arch.name} {self.version} ({lock})"

    @cached_property
    def structs(self) -> dict[str, CStruct]:
        """The construct declarations, by struct name."""
        return declare(self.arch, self.version, self.lock)

    @cached_property
    def lock_size(self) -> int:
        """The size of spinlock_t in bytes."""
        return self.layout("maple_tree").member("ma_lock").size

    @cached_property
    def mm_structs(self) -> dict[str, CStruct]:
        """The declarations of what address spaces consist of, by struct name."""
        return declare_mm(self.arch, self.version)

    @cached_property
    def enums(self) -> dict[str, tuple[str, ...]]:
        """The enumerators of each enum, in order from 0."""
        return enums(self.version)

    def layout(self, name: str) -> Layout:
        """The layout of the struct called ``name``. Raises UsageError."""
        found = self._layouts.get(name)
        if found is None:
            found = self._layouts[name] = self._describe(name)
        return found

    @cached_property
    def _layouts(self) -> dict[str, Layout]:
        """What layout() found before: sizes are worked out member by member."""
        return {}

    def _describe(self, name: str) -> Layout:
        if name in self.mm_structs:
            return describe(name, self.mm_structs[name])
        if name not in self.structs:
            known = ", ".join(
                [*self.structs, *self.mm_structs, *(f"enum {enum}" for enum in self.enums)]
            )
            message = f"no struct {name!r} in {self.version}: choose one of {known}"
            raise UsageError(message)
        return describe(name, self.structs[name])

    def parse(self, name: str, data: bytes) -> Any:
        """The members of a struct in ``data``, as construct parses them."""
        return (self.structs | self.mm_structs)[name].parse(data)


@lru_cache
def short_version(version: str) -> str:
    """The first two numbers of a kernel's version or release, "" if it is neither.

    >>> short_version("6.12.95+deb13-amd64")
    '6.12'
    >>> short_version("6.12.x")
    ''
    """
    match = _RELEASE.fullmatch(version)
    return match[1] if match else ""


_RELEASE = re.compile(r"(\d{1,3}\.\d{1,3})(\.\d{1,5})?([-+~][\w.+~-]*)?", re.ASCII)


def profile(
    arch: Arch, version: str = DEFAULT_VERSION, lock_size: int = 4, *, config: str | None = None
) -> Profile:
    """The profile of a kernel: its version (``"6.12"``) and the size of spinlock_t in bytes.

    ``config`` names a configuration instead of a size: options out of OPTIONS, separated by
    commas. Raises UsageError for a version or a configuration that is not known.
    """
    short = short_version(version)
    if short not in VERSIONS:
        message = (
            f"kernel version {version[:40]!r} is not known: choose one of {', '.join(VERSIONS)}"
        )
        raise UsageError(message)
    return _made(arch, short, lock_size, config)


@lru_cache
def _made(arch: Arch, version: str, lock_size: int, config: str | None) -> Profile:
    """A profile, kept: declaring its structs takes longer than all else that makes a machine."""
    if config is None:
        return Profile(arch, version, lock_size)
    return Profile(arch, version, parse_config(config, arch), config)
