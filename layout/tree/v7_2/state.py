"""struct maple_copy: what a store gathers, level by level, to build new nodes from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from layout.memory.pointers import Word

MAPLE_COPY = 4
"""The node type of a struct maple_copy, which is never in a tree."""

COPY_SLOTS = 3
COPY_SOURCES = 4


@dataclass(slots=True, eq=False)
class MapleCopy:
    """struct maple_copy, a local of a store.

    ``src_*`` are runs of slots to copy, left to right: a node's address (0 for this struct's
    own slots), its type, the run's first and last slot and its largest index. ``dst_*`` are the
    new nodes and their largest indexes. ``slot``, ``pivot`` and ``gap`` are the new content of
    this level, ``end`` its last slot, ``min`` its first index. ``data`` counts the slots to be
    written, ``split`` is the last slot of each new node but the last, ``height`` counts levels
    from the leaf. ``max`` is pivot 2, as in the struct's union. ``words`` is room for a copy.
    """

    src_node: list[int]
    src_mt: list[int]
    src_start: list[int]
    src_end: list[int]
    src_max: list[int]
    dst_node: list[int]
    dst_mt: list[int]
    dst_max: list[int]
    slot: list[int]
    pivot: list[int]
    gap: list[int]
    words: list[int]
    min: Word = 0
    end: int = 0
    s_count: int = 0
    d_count: int = 0
    split: int = 0
    data: int = 0
    height: int = 0
