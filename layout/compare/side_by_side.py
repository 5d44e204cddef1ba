"""Prints a difference between two nodes byte by byte, with field names."""

from __future__ import annotations

from itertools import groupby
from operator import eq
from typing import TYPE_CHECKING

from layout.compare.difference import IGNORED
from layout.memory.meaning import NodeField, node_fields
from layout.show.text import HEADING, NAME, UNUSED, Line, Span

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from layout.compare.difference import Difference

DIFFERENT = "bold red"

_FOLDED = 2
"""Equal fields in a row that are shown; longer runs are counted."""

Row = tuple[NodeField | None, NodeField | None]
"""The fields at one offset; None where a side has another field there."""


def heading(difference: Difference) -> str:
    """One line: where, which field, and what each side has."""
    left, right = difference.arches
    place = "" if difference.line is None else f"line {difference.line} ({difference.op}): "
    where = difference.field
    if difference.node is not None:
        where += f" of {difference.node:x}, byte {difference.offset}"
    a, b = difference.values
    return f"{place}{where}: {left} has {a}, {right} has {b}"


def lines(difference: Difference, *, full: bool = False) -> Iterator[Line]:
    """The heading, then both nodes side by side; fields that differ are marked with ``!``.

    Runs of fields that are equal are folded, unless ``full``.
    """
    yield (Span(heading(difference), HEADING),)
    if difference.sides is None:
        return
    tables: list[dict[int, NodeField]] = []
    for mem, visit in difference.sides:
        found = node_fields(mem, visit.address, visit.type, visit.min, visit.max)
        tables.append({field.offset: field for field in found if field.name not in IGNORED})
    left, right = tables
    width = 3 * max(field.size for field in left.values()) - 1
    arch_a, arch_b = (
        name if len(name) <= width else f"...{name[3 - width :]}" for name in difference.arches
    )
    same = difference.places.same if difference.places else eq
    rows = [(left.get(offset), right.get(offset)) for offset in sorted(left.keys() | right.keys())]
    yield ()
    yield (Span(f"       {arch_a:<{width}}  {arch_b:<{width}}  field"),)
    for equal, run in groupby(rows, lambda row: _equal(row, same)):
        together = list(run)
        if equal and not full and len(together) > _FOLDED:
            yield (Span(f"       ... {len(together)} fields are equal", UNUSED),)
            continue
        for row in together:
            yield _row(row, width, differs=not equal)


def _equal(row: Row, same: Callable[[int, int], bool]) -> bool:
    a, b = row
    return a is not None and b is not None and same(a.value, b.value)


def _row(row: Row, width: int, *, differs: bool) -> Line:
    a, b = row
    field = a or b
    assert field is not None
    style = DIFFERENT if differs else "" if field.used else UNUSED
    raw_a, raw_b = (f.raw.hex(" ") if f else "" for f in row)
    meaning = field.meaning
    if differs and a and b and a.meaning != b.meaning:
        meaning = f"{a.meaning} | {b.meaning}"
    mark = "!" if differs else " "
    return (
        Span(f"{mark} {field.offset:>3}  {raw_a:<{width}}  {raw_b:<{width}}  ", style),
        Span(f"{field.name:<9}", style or NAME),
        Span(f"  {meaning}", style),
    )
