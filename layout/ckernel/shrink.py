"""Shortens a trace while it still shows the same difference."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from layout.ckernel.diff import compare
from layout.memory.errors import TraceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from layout.ckernel.build import Built
    from layout.ckernel.diff import Mismatch
    from layout.traces.trace import Operation

_SECONDS_FOR_OPERATION = 1
"""Shorter than usual: a livelock is met again and again."""


def shrink_mismatch(
    built: Built,
    operations: Sequence[Operation],
    mismatch: Mismatch,
    *,
    seconds: float,
    results_only: bool = False,
) -> list[Operation]:
    """A shorter trace at whose end kernel and emulator still part in the same fields."""

    def still(candidate: Sequence[Operation]) -> bool:
        try:
            verdict = compare(
                built, candidate, results_only=results_only, seconds=_SECONDS_FOR_OPERATION
            )
        except TraceError:
            return False
        found = verdict.mismatch
        return (
            found is not None
            and found.kind == mismatch.kind
            and verdict.operations == len(candidate)
        )

    upto = [operation for operation in operations if operation.n <= mismatch.operation.n]
    return shrink(upto, still, seconds=seconds)


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
