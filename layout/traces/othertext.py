"""Text that is no trace: told from one by its first line, and called what it looks like."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from layout.images.packed import first_unpacked
from layout.memory.errors import InputError
from layout.traces.operations import OPERATIONS

if TYPE_CHECKING:
    from collections.abc import Callable

    from layout.traces.source import TraceText

_SHOWN = 40

_LIKE_A_TRACE = re.compile(r"[a-z_]+(?:\s+(?:0[xX])?[0-9A-Fa-f]+|\s+-|\s+on|\s+off)*")
"""An operation, perhaps misspelt, and its numbers."""

_KNOWN: tuple[tuple[Callable[[str], object], str], ...] = (
    (
        re.compile(r"(?:\[pid +\d+\] +|\d+ +)?(?:[\d.:]+ )?[a-z_0-9]+\(.*(?:= |<unfinished)").match,
        "a log of strace: maple-layout record makes a trace of it",
    ),
    (
        re.compile(r"[0-9a-f]+-[0-9a-f]+ [-r][-w][-x][-sp] [0-9a-f]+ ").match,
        "a /proc/PID/maps: maple-layout record --from-maps makes a trace of it",
    ),
    (
        re.compile(
            r"[0-9a-f]{6,7}(?: +(?:[0-9a-f]{4}|[0-9a-f]{8}|[0-9a-f]{16}))+(?: +>.*<)?$"
        ).match,
        "text of hexdump or od in groups of unknown byte order: print bytes, with hexdump -C",
    ),
    (
        re.compile(r"[0-9a-f]+-[0-9a-f]+ [0-9a-f]+$").match,
        "the ranges that decode prints, which hold no nodes: give what they were decoded from",
    ),
)


def refuse_other_text(trace: TraceText) -> None:
    """Raise InputError for text whose first line is nothing that a trace could start with."""
    like = other_text(trace)
    if like is not None:
        message = f"{trace.source} is {like}"
        raise InputError(message)


def other_text(trace: TraceText) -> str | None:
    """What text is whose first line is nothing that a trace could start with, else None."""
    text = first_unpacked(trace.head).decode(errors="replace").removeprefix("\ufeff")
    for n, line in enumerate(text.split("\n"), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if words[0] in OPERATIONS or _LIKE_A_TRACE.fullmatch(line.strip()):
            return None
        like = next((name for matches, name in _KNOWN if matches(line.strip())), None)
        if like is not None:
            return f"no trace; by line {n} it is {like}"
        shown = line.strip()[:_SHOWN]
        return (
            f"no trace, as line {n}, {shown!r}, starts with no operation, and no memory in "
            "text, as no line is one of hexdump -C, xxd, crash rd, gdb x, drgn or mt_dump"
        )
    return None


__all__ = ["other_text", "refuse_other_text"]
