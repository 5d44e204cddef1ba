"""How much one line of a trace may ask for: a few bytes must not keep a computer busy."""

from __future__ import annotations

from layout.memory.errors import UsageError
from layout.memory.node import NODE_SIZE

LIMIT = 1 << 20
"""The entries that one line may store, expect or list, unless more are asked for."""


def check(name: str, number: int, limit: int) -> None:
    """Refuse a count in a trace that is beyond the limit. Raises UsageError."""
    if number > limit:
        shown = f"{number:x}, {number} in decimal"
        message = f"{name} is {shown}: the limit is {limit} a line, --limit {number} raises it"
        raise UsageError(message)


def too_many(limit: int) -> UsageError:
    """What stops a line that lists more than the limit."""
    return UsageError(f"more than {limit} ranges, the limit of a line: --limit N raises it")


def most_ranges(nodes: int) -> int:
    """More ranges than a tree of so many nodes can hold: it has a cycle."""
    return (nodes + 1) * (NODE_SIZE // 4)
