"""Shortens a trace while it still shows the same thing."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from layout.traces.trace import Operation


def shrink(
    operations: Sequence[Operation],
    still: Callable[[Sequence[Operation]], bool],
    *,
    seconds: float,
) -> list[Operation]:
    """The operations without those that ``still`` is true without; lines are numbered anew.

    Takes out halves, then quarters, and so on down to single operations, until none can go or
    the time is up. The last operation stays. O(n log n) calls of ``still``, which gets traces
    that parse.
    """
    end = time.monotonic() + seconds
    kept = numbered(operations)
    size = max(1, len(kept) // 2)
    while True:
        changed = False
        at = 0
        while at < len(kept) - 1 and time.monotonic() < end:
            rest = numbered([*kept[:at], *kept[min(at + size, len(kept) - 1) :]])
            if _parses(rest) and still(rest):
                kept, changed = rest, True
            else:
                at += size
        if time.monotonic() >= end or (size == 1 and not changed):
            return kept
        size = max(1, size // 2)


def numbered(operations: Iterable[Operation]) -> list[Operation]:
    """The operations as lines 1, 2, 3, ..."""
    return [replace(operation, n=n) for n, operation in enumerate(operations, 1)]


def _parses(operations: Sequence[Operation]) -> bool:
    """Whether every use of the cursor has a cset before it."""
    for operation in operations:
        if operation.op == "cset":
            return True
        if operation.declared.moves_cursor:
            return False
    return True
