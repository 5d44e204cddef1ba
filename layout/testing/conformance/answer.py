"""The answer of a reader: its ranges, and its exit status."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

Row = tuple[int, ...]
"""A range: first, last, entry; or an entry alone, from readers that tell no ranges."""

_NUMBER = r"(?:0[xX])?([0-9a-fA-F]+)"
_SIGNED = r"(-?)(?:0[xX])?([0-9a-fA-F]+)"
_RANGE = re.compile(rf"{_SIGNED}\s+{_SIGNED}\s+{_SIGNED}")
_RANGE_WITH_DASH = re.compile(rf"{_NUMBER}-{_NUMBER}\s+{_NUMBER}")
_ENTRY = re.compile(_SIGNED)


@dataclass(slots=True)
class Answer:
    """``rows`` are the lines of the reader; ``status`` is 0, or describes the failure.

    ``said`` is the last line of its errors, ``strange`` the first line that could not be
    understood. ``stopped`` is the reason if the reader was stopped, and empty if it ended.
    """

    rows: list[Row] = field(default_factory=list)
    status: int = 0
    said: str = ""
    strange: str | None = None
    stopped: str = ""
    seconds: float = 0.0


def too_slow(seconds: float) -> str:
    """What is wrong with a reader that was stopped after so many seconds."""
    return f"did not end within {seconds:g} s"


def parse(text: str, *, entries: bool) -> tuple[list[Row], str | None]:
    """The rows in a reader's output, and the first line that is none.

    A row is ``first last entry`` (or ``first-last entry``) in hex; with ``entries`` an entry
    alone. Empty lines and lines that start with # are passed over.
    """
    rows: list[Row] = []
    for line in text.splitlines():
        words = line.strip()
        if not words or words.startswith("#"):
            continue
        if (entries and (match := _ENTRY.fullmatch(words))) or (
            not entries and (match := _RANGE.fullmatch(words))
        ):
            rows.append(_signed(match.groups()))
        elif not entries and (match := _RANGE_WITH_DASH.fullmatch(words)):
            rows.append(tuple(int(number, 16) for number in match.groups()))
        else:
            return rows, line
    return rows, None


def _signed(groups: tuple[str, ...]) -> Row:
    """Numbers from pairs of sign and digits."""
    return tuple(
        int(sign + digits, 16) for sign, digits in zip(groups[::2], groups[1::2], strict=True)
    )
