"""struct maple_copy: what a store gathers, level by level, to build new nodes from."""

from __future__ import annotations

MAPLE_COPY = 4
"""The node type of a struct maple_copy, which is never in a tree."""

COPY_SLOTS = 3
COPY_SOURCES = 4


class MapleCopy:
    """struct maple_copy, a local of a store.

    ``src_*`` are runs of slots to copy, left to right: a node's address (0 for this struct's
    own slots), its type, the run's first and last slot and its largest index. ``dst_*`` are the
    new nodes and their largest indexes. ``slot``, ``pivot`` and ``gap`` are the new content of
    this level, ``end`` its last slot, ``min`` its first index. ``data`` counts the slots to be
    written, ``split`` is the last slot of each new node but the last, ``height`` counts levels
    from the leaf. ``max`` is pivot 2, as in the struct's union. ``words`` is room for a copy.
    """

    __slots__ = (
        *("src_node", "src_mt", "src_start", "src_end", "src_max"),
        *("dst_node", "dst_mt", "dst_max", "slot", "pivot", "gap", "words"),
        *("min", "end", "s_count", "d_count", "split", "data", "height"),
    )

    def __init__(self, node_words: int) -> None:
        self.src_node = [0] * COPY_SOURCES
        self.src_mt = [0] * COPY_SOURCES
        self.src_start = [0] * COPY_SOURCES
        self.src_end = [0] * COPY_SOURCES
        self.src_max = [0] * COPY_SOURCES
        self.dst_node = [0] * COPY_SLOTS
        self.dst_mt = [0] * COPY_SLOTS
        self.dst_max = [0] * COPY_SLOTS
        self.slot = [0] * COPY_SLOTS
        self.pivot = [0] * COPY_SLOTS
        self.gap = [0] * COPY_SLOTS
        self.words = [0] * node_words
        self.min = 0
        self.end = 0
        self.s_count = 0
        self.d_count = 0
        self.split = 0
        self.data = 0
        self.height = 0
