"""How much one line of a trace may ask for: a few bytes must not keep a computer busy."""

from __future__ import annotations

from layout.memory.errors import UsageError
from layout.memory.node import NODE_SIZE

LIMIT = 1 << 20
"""The entries that one line may store, expect or list, unless more are asked for."""


def too_many(limit: int, what: str) -> UsageError:
    """What stops a line that stores, expects or lists more than the limit."""
    return UsageError(f"more than {limit} {what}, the limit of a line: --limit N raises it")


def nodes_for(entries: int) -> int:
    """More nodes than mas_expected_entries(), which 7.2 has no more, reserves for entries."""
    return entries // 4 + 16


def most_ranges(nodes: int) -> int:
    """More ranges than a tree of so many nodes can hold: it has a cycle."""
    return (nodes + 1) * (NODE_SIZE // 4)
