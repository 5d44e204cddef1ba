"""What a line of the kernel's own code says of its warnings, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from layout.traces.session import Line


def warned(line: Line) -> str:
    """How many warnings, and where in the C code the last one is, where the line has that."""
    number = line.get("warn")
    if number is None:
        return "none"
    place = line.get("warn_last")
    if place is None:
        return str(number)
    return f"{number}, at {place}" if number == 1 else f"{number}, the last at {place}"
