"""The memory of an image as segments, from which every export is made."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from layout.memory.memory import Memory


class Segment(NamedTuple):
    """Bytes that lie at ``address``."""

    address: int
    data: bytes


def segments(memory: Memory) -> list[Segment]:
    """All mapped bytes by address; arenas without a gap between them are one segment."""
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
