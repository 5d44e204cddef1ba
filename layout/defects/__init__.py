"""Historical bugs of the maple tree, which can be enabled: one small file for each.

A defect is a subclass of :class:`layout.tree.kernel.Kernel` that replaces single operations by the
old code. It has a description, a trigger and the expected outcome on each machine. The correct code
does not import defects. :func:`operations` returns the classes for
:func:`layout.machine.equip.equip`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from layout.defects import (
    d1,
    d2,
    d3,
    d4,
    d5,
    d6,
    d7,
    d8,
    d9,
    d10,
    r1,
    r1process,
    r2,
    r3,
    r4,
    r5,
    r6,
)
from layout.defects.defect import SHOWN_ON, Defect, Shows
from layout.memory.errors import UsageError
from layout.memory.structs import DEFAULT_VERSION
from layout.tree.kernel import Kernel

if TYPE_CHECKING:
    from collections.abc import Iterable

DEFECTS: dict[str, Defect] = {
    defect.id: defect
    for defect in (
        r1.DEFECT,
        *r1process.DEFECTS,
        r2.DEFECT,
        *r3.DEFECTS,
        r4.DEFECT,
        r5.DEFECT,
        r6.DEFECT,
        d1.DEFECT,
        d2.DEFECT,
        d3.DEFECT,
        *d4.DEFECTS,
        d5.DEFECT,
        d6.DEFECT,
        d7.DEFECT,
        d8.DEFECT,
        d9.DEFECT,
        d10.DEFECT,
    )
}
"""All defects by id, in order."""


def names() -> tuple[str, ...]:
    """The ids of all defects."""
    return tuple(DEFECTS)


def get(name: str) -> Defect:
    """The defect with this id; upper and lower case count the same. Raises UsageError."""
    found = find(name)
    exact = [defect for defect in found if defect.id.lower() == name.lower()]
    if not exact:
        variants = ", ".join(defect.id for defect in found)
        message = f"{name} has variants: name one of {variants}"
        raise UsageError(message)
    return exact[0]


def find(name: str) -> list[Defect]:
    """The defect with this id, or all variants of a bug for the name they have in common.

    R1 is both. Raises UsageError that lists the names.
    """
    wanted = name.lower()
    found = [d for d in DEFECTS.values() if wanted in (d.id.lower(), d.bug.lower())]
    if not found:
        message = f"unknown defect {name!r}: there are {', '.join(DEFECTS)}"
        raise UsageError(message)
    return found


def operations(names: Iterable[str], version: str = DEFAULT_VERSION) -> list[type[Kernel]]:
    """What these defects put in place, in this order.

    Raises UsageError for a name that is no defect's, where the mistake is not the tree's, and
    where kernel ``version`` has other code than that which the defect changes.
    """
    found = [get(name) for name in names]
    for defect in found:
        defect.check_fits(version)
    for defect in found:
        if defect.kernel is Kernel:
            message = (
                f"{defect.id} is a mistake of the tree's callers, no operation is different: "
                f"`maple-layout defects {defect.id}` shows it"
            )
            raise UsageError(message)
    return [defect.kernel for defect in found]


__all__ = ["DEFECTS", "SHOWN_ON", "Defect", "Shows", "find", "get", "names", "operations"]
