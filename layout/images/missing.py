"""Which bytes of a node memory does not have, where it has some: a line is missing in a text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layout.memory.errors import MachineFault
from layout.memory.node import NODE_SIZE

if TYPE_CHECKING:
    from layout.memory.node import NodeMemory

_SHOWN = 4
"""So many runs of bytes are named."""


def missing_bytes(memory: NodeMemory, node: int) -> str | None:
    """The offsets that are not there, such as ``96-111``; None where all are, or no word is."""
    word = memory.word_size
    starts = range(0, NODE_SIZE, word)
    torn = [start for start in starts if not has(memory, node + start, word)]
    if len(torn) in {0, len(starts)}:
        return None
    gone = [
        at for start in torn for at in range(start, start + word) if not has(memory, node + at, 1)
    ]
    firsts = [at for at in gone if at - 1 not in gone]
    lasts = [at for at in gone if at + 1 not in gone]
    runs = [f"{first}-{last}" for first, last in zip(firsts, lasts, strict=True)]
    more = f" and {len(runs) - _SHOWN} more runs" if len(runs) > _SHOWN else ""
    return ", ".join(runs[:_SHOWN]) + more


def has(memory: NodeMemory, address: int, width: int) -> bool:
    """Whether all of ``width`` bytes at an address can be read."""
    try:
        memory.read(address, width)
    except MachineFault:
        return False
    return True
