"""The memory of an image as segments, from which every export is made."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from layout.memory.errors import InputError

if TYPE_CHECKING:
    from layout.memory.memory import Memory

MOST = 1 << 31
"""Bytes of memory that can be exported."""


class Segment(NamedTuple):
    """Bytes that lie at ``address``."""

    address: int
    data: bytes


def segments(memory: Memory) -> list[Segment]:
    """All mapped bytes by address; arenas without a gap between them are one segment.

    Raises InputError for more than MOST bytes: they are copied in memory.
    """
    size = sum(arena.end - arena.base for arena in memory.arenas)
    if size > MOST:
        message = f"{size >> 20} MiB are more than can be exported: cut out what the tree needs"
        raise InputError(message)
    runs: list[tuple[int, bytearray]] = []
    end = -1
    for arena in memory.arenas:
        if not arena.data:
            continue
        if arena.base == end:
            runs[-1][1].extend(arena.data)
        else:
            runs.append((arena.base, bytearray(arena.data)))
        end = arena.end
    return [Segment(address, bytes(data)) for address, data in runs]
