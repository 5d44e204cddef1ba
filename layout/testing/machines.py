"""Selects the machines to test on: names, aliases and groups, separated by commas.

>>> select("be,64bit")[:3]
('hppa', 'm68k', 'mips')
>>> select("amd64,s390x")
('x86_64', 's390x')
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import arches
from layout.memory.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from arches import Arch

DEFAULT = arches.THREE
"""The machines that are tested on unless others are asked for."""

GROUPS: dict[str, Callable[[Arch], bool]] = {
    "all": lambda _: True,
    "be": lambda arch: arch.byteorder == "big",
    "le": lambda arch: arch.byteorder == "little",
    "32bit": lambda arch: arch.word_size == 4,
    "64bit": lambda arch: arch.word_size == 8,
}
"""Names of groups, and which machines are in each."""


def select(*texts: str) -> tuple[str, ...]:
    """The names of all machines that any of the words asks for, in that order, each once.

    Raises UsageError that lists the names there are.
    """
    found: dict[str, None] = {}
    for word in (word.strip().lower() for text in texts for word in text.split(",")):
        if word in GROUPS:
            found |= dict.fromkeys(n for n in arches.names() if GROUPS[word](arches.get(n)))
            continue
        try:
            found[arches.get(word).name] = None
        except arches.UnknownArchError as error:
            if word in arches.AMBIGUOUS:
                raise UsageError(str(error)) from None
            known = ", ".join([*GROUPS, *arches.names()])
            message = f"no machine and no group is called {word!r}: choose from {known}"
            raise UsageError(message) from None
    return tuple(found)


def find(arch: str | Arch) -> Arch:
    """The machine itself, given it or its name. Raises UnknownArchError."""
    return arches.get(arch) if isinstance(arch, str) else arch
