"""Lines of text with styles. Renderers return these; the caller decides about colour."""

from __future__ import annotations

from typing import NamedTuple

ADDRESS = "cyan"
NAME = "green"
HEADING = "bold"
UNUSED = "dim"


class Span(NamedTuple):
    """A piece of a line; ``style`` is a style as rich writes it, empty for none."""

    text: str
    style: str = ""


Line = tuple[Span, ...]
"""One line, without its newline."""


def plain(line: Line) -> str:
    """The line without styles and without blanks at its end."""
    return "".join(span.text for span in line).rstrip()
