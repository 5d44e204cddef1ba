"""The machines: one module each, and a registry that finds them by name or alias.

>>> import arches
>>> len(arches.names())
12
>>> arches.get("s390x").byteorder
'big'
>>> arches.get("amd64").name
'x86_64'
"""

from __future__ import annotations

import difflib

from arches import (
    aarch64,
    arm,
    hppa,
    i386,
    m68k,
    mips,
    powerpc64,
    powerpc64le,
    riscv64,
    s390x,
    sparc64,
    x86_64,
)
from arches.arch import Access, AddressRange, Arch, ByteOrder, UserSpace

__distribution__ = "maple-layout"
"""Tells this package from others of its name: see _maple_layout.py."""

__all__ = [
    "AMBIGUOUS",
    "THREE",
    "Access",
    "AddressRange",
    "Arch",
    "ByteOrder",
    "UnknownArchError",
    "UserSpace",
    "get",
    "names",
]

_64_BIT = (aarch64, powerpc64, powerpc64le, riscv64, s390x, sparc64, x86_64)
_32_BIT = (arm, hppa, i386, m68k, mips)
_ARCHES: dict[str, Arch] = {module.ARCH.name: module.ARCH for module in (*_64_BIT, *_32_BIT)}
_SHOWN = 40
"""How many characters of a wrong name an error shows."""
_BY_NAME = {name: arch for arch in _ARCHES.values() for name in (arch.name, *arch.aliases)}

AMBIGUOUS = {
    "x86": ("x86_64", "i386"),
    "powerpc": ("powerpc64", "powerpc64le"),
    "ppc": ("powerpc64", "powerpc64le"),
}
"""Names that stand for several machines, as ARCH does in the kernel's build: they mean none."""

THREE = ("x86_64", "s390x", "sparc64")
"""The machines that are meant where none is named: those with transcripts of whole traces."""


class UnknownArchError(LookupError):
    """No machine has this name; the message lists those that exist."""


def names() -> tuple[str, ...]:
    """The names of all machines, sorted."""
    return tuple(sorted(_ARCHES))


def get(name: str) -> Arch:
    """The machine called ``name``, or known by that alias.

    Raises UnknownArchError, also for a name that stands for several machines.
    """
    if several := AMBIGUOUS.get(name.lower()):
        message = f"architecture {name!r} may be {' or '.join(several)}: give one of these names"
        raise UnknownArchError(message)
    try:
        return _BY_NAME[name.lower()]
    except KeyError:
        shown = name if len(name) <= _SHOWN else f"{name[:_SHOWN]}..."
        close = difflib.get_close_matches(name[:_SHOWN].lower(), _BY_NAME, 1)
        hint = f"did you mean {close[0]}? or " if close else ""
        message = f"unknown architecture {shown!r}: {hint}choose one of {', '.join(names())}"
        raise UnknownArchError(message) from None
