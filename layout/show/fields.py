"""The fields of a node as text and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layout.show.text import NAME, UNUSED, Line, Span

if TYPE_CHECKING:
    from collections.abc import Iterator

    from layout.memory.meaning import NodeField


def fields_text(fields: list[NodeField], *, empty: bool = True) -> Iterator[Line]:
    """One line for each field: offset in bytes, the bytes, name and meaning.

    Unless ``empty`` fields are left out that are not used and 0.
    """
    bytes_width = 3 * max(field.size for field in fields) - 1
    name_width = max(len(field.name) for field in fields)
    for field in fields:
        if not (empty or field.used or field.value):
            continue
        style = "" if field.used else UNUSED
        yield (
            Span(f"{field.offset:>5}  {field.raw.hex(' '):<{bytes_width}}  ", style),
            Span(f"{field.name:<{name_width}}", style or NAME),
            Span(f"  {field.meaning}", style),
        )


def fields_json(fields: list[NodeField]) -> dict[str, str | int]:
    """The fields by name: words as hex strings, the metadata's slot numbers as integers."""
    return {
        field.name: field.value if field.name.startswith("meta.") else f"{field.value:x}"
        for field in fields
    }
