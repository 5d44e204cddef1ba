"""Kernel structs for an (arch, kernel version, lock size): declared in construct, then derived.

>>> import arches
>>> from layout import structs
>>> profile = structs.profile(arches.get("s390x"), "6.12")
>>> profile.layout("maple_range_64").offset("meta")
248
>>> profile.parse("maple_metadata", bytes([14, 2])).end
14
"""

from __future__ import annotations

from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

from layout.errors import UsageError
from layout.structs.ctypes import CStruct, Layout, Member, describe
from layout.structs.maple import Sizes, declare, enums, sizes
from layout.structs.mm import declare_mm

if TYPE_CHECKING:
    from arches import Arch

__all__ = ["VERSIONS", "Layout", "Member", "Profile", "Sizes", "profile"]

VERSIONS = ("6.1", "6.12")
"""The kernel versions whose layouts are known."""


class Profile:
    """The structs of one kernel version on one machine."""

    def __init__(self, arch: Arch, version: str, lock_size: int) -> None:
        self.arch = arch
        self.version = version
        self.lock_size = lock_size
        self.sizes: Sizes = sizes(arch)

    @cached_property
    def structs(self) -> dict[str, CStruct]:
        """The construct declarations, by struct name."""
        return declare(self.arch, self.version, self.lock_size)

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
def profile(arch: Arch, version: str = "6.12", lock_size: int = 4) -> Profile:
    """The profile of a kernel: its version (``"6.12"``) and size of spinlock_t in bytes.

    Raises UsageError for a version whose layouts are not known.
    """
    short = ".".join(version.split(".")[:2])
    if short not in VERSIONS:
        message = f"kernel version {version!r} is not known: choose one of {', '.join(VERSIONS)}"
        raise UsageError(message)
    return Profile(arch, short, lock_size)
