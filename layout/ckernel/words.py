"""What a line of the kernel's own code says of its warnings and of its end, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

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


_SIGNALS = {"null", "unmapped", "misaligned"}
"""Kinds of faults at an address that the code has used."""


def stopped(fault: dict[str, Any] | None) -> str:
    """How and where the code stopped: by ``fault`` of its line, which is None if it did not."""
    if fault is None:
        return "none"
    # no address: it is not one that the machine can use, and the signal has 0 for it
    known = fault["kind"] in _SIGNALS and not (
        fault["kind"] == "unmapped" and fault["address"] == "0"
    )
    at = f", address {fault['address']}" if known else ""
    kind = "" if fault["kind"] in {*_SIGNALS, "bug"} else f"{fault['kind']}: "
    return f"{kind}{fault['message']} in {fault['operation']}{at}"
