"""A difference between two nodes, shown byte by byte with field names."""

from __future__ import annotations

from operator import eq
from typing import TYPE_CHECKING

from layout.show.fields import NodeField, node_fields
from layout.show.text import HEADING, NAME, UNUSED, Line, Span

if TYPE_CHECKING:
    from collections.abc import Iterator

    from layout.compare.difference import Difference

DIFFERENT = "bold red"


def heading(difference: Difference) -> str:
    """One line: where, which field, and what each side has."""
    left, right = difference.arches
    place = "" if difference.line is None else f"line {difference.line} ({difference.op}): "
    where = difference.field
    if difference.node is not None:
        where += f" of {difference.node:x}, byte {difference.offset}"
    a, b = difference.values
    return f"{place}{where}: {left} has {a}, {right} has {b}"


def lines(difference: Difference) -> Iterator[Line]:
    """The heading, then both nodes side by side; fields that differ are marked with ``!``."""
    yield (Span(heading(difference), HEADING),)
    if difference.sides is None:
        return
    tables: list[dict[int, NodeField]] = []
    for mem, visit in difference.sides:
        found = node_fields(mem, visit.address, visit.type, visit.min, visit.max)
        tables.append({field.offset: field for field in found})
    left, right = tables
    width = 3 * max(f.size for f in left.values() if f.name != "tail") - 1
    arch_a, arch_b = (
        name if len(name) <= width else f"...{name[3 - width :]}" for name in difference.arches
    )
    same = difference.places.same if difference.places else eq
    yield ()
    yield (Span(f"       {arch_a:<{width}}  {arch_b:<{width}}  field"),)
    for offset in sorted(left.keys() | right.keys()):
        a, b = left.get(offset), right.get(offset)
        field = a or b
        if field is None or field.name in ("pad", "tail"):
            continue
        differs = a is None or b is None or not same(a.value, b.value)
        style = DIFFERENT if differs else "" if field.used else UNUSED
        raw_a, raw_b = (f.raw.hex(" ") if f else "" for f in (a, b))
        meaning = field.meaning
        if differs and a and b and a.meaning != b.meaning:
            meaning = f"{a.meaning} | {b.meaning}"
        yield (
            Span(
                f"{'!' if differs else ' '} {offset:>3}  {raw_a:<{width}}  {raw_b:<{width}}  ",
                style,
            ),
            Span(f"{field.name:<9}", style or NAME),
            Span(f"  {meaning}", style),
        )
