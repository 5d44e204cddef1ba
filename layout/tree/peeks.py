"""Reads that look wrong and are right: words the kernel reads first and judges afterwards.

Such a peek is declared on the function that makes it. The declaration changes nothing but a
table, which an access checker consults before it reports what the function read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType

    F = TypeVar("F", bound="Callable[..., object]")

PEEKS: dict[CodeType, dict[str, str]] = {}
"""What each function may read although it is something else: kind of report to reason."""


def peeks(*kinds: str, why: str) -> Callable[[F], F]:
    """Declare that the function's own reads may be of these ``kinds`` of report, and why.

    A function that replaces it, as one with a defect does, is not exempt.
    """

    def declare(function: F) -> F:
        PEEKS.setdefault(function.__code__, {}).update(dict.fromkeys(kinds, why))
        return function

    return declare
