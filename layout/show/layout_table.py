"""Layouts side by side, as a table of two columns and as JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from layout.formats.found import FoundMember

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from layout.formats.layout_diff import Comparison, Row

_WIDEST = 44


def table(compared: Sequence[Comparison], left: str, right: str) -> Iterator[str]:
    """A line for each struct or enum that is equal, a table for each that is not."""
    for one in compared:
        if one.missing:
            where = left if one.missing == "left" else right
            yield f"{one.name}: not in {where}"
        elif one.equal:
            plural = "" if one.members == 1 else "s"
            yield f"{one.name}: equal, {one.size} bytes, {one.members} member{plural}"
        else:
            yield f"{one.name}: differs"
            yield from _columns(one.rows, left, right)


def _columns(rows: Sequence[Row], left: str, right: str) -> Iterator[str]:
    lines = [("", left, right), *((row.what, _cell(row.left), _cell(row.right)) for row in rows)]
    first = max(len(line[0]) for line in lines)
    second = min(max(len(line[1]) for line in lines), _WIDEST)
    for what, a, b in lines:
        yield f"    {what:<{first}}  {a:<{second}}  {b}".rstrip()


def _cell(side: FoundMember | int | None) -> str:
    if side is None:
        return "-"
    if isinstance(side, int):
        return str(side)
    if side.bits:
        return f"bit {side.bits[0]}, {side.bits[1]} bits, {side.type}"
    return f"at {side.offset}, {side.size} byte{'' if side.size == 1 else 's'}, {side.type}"


def as_json(compared: Sequence[Comparison], left: str, right: str) -> dict[str, object]:
    """All of it: ``equal``, the two sides' names, and each struct with its differences."""
    return {
        "equal": all(one.equal for one in compared),
        "left": left,
        "right": right,
        "structs": [
            {
                "name": one.name,
                "equal": one.equal,
                "missing": one.missing,
                "differences": [
                    {"what": row.what, "left": _value(row.left), "right": _value(row.right)}
                    for row in one.rows
                ],
            }
            for one in compared
        ],
    }


def _value(side: FoundMember | int | None) -> object:
    return asdict(side) if isinstance(side, FoundMember) else side
