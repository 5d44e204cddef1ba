"""The states an operation carries: struct ma_state, ma_wr_state, maple_subtree_state.

They are locals of a C caller and so live outside the simulated memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from layout.memory.pointers import Word

MA_ACTIVE, MA_START, MA_ROOT, MA_NONE, MA_PAUSE, MA_OVERFLOW, MA_UNDERFLOW, MA_ERROR = range(8)
STATUS_NAMES = ("active", "start", "root", "none", "pause", "overflow", "underflow", "error")

(
    WR_INVALID,
    WR_NEW_ROOT,
    WR_STORE_ROOT,
    WR_EXACT_FIT,
    WR_SPANNING_STORE,
    WR_SPLIT_STORE,
    WR_REBALANCE,
    WR_APPEND,
    WR_NODE_STORE,
    WR_SLOT_STORE,
) = range(10)
STORE_TYPE_NAMES = (
    *("invalid", "new_root", "store_root", "exact_fit", "spanning_store"),
    *("split_store", "rebalance", "append", "node_store", "slot_store"),
)

MA_STATE_BULK, MA_STATE_REBALANCE, MA_STATE_PREALLOC = 1, 2, 4

EINVAL, ENOMEM, EEXIST, EBUSY = 22, 12, 17, 16


class MaState:
    """struct ma_state: where an operation is in the tree at address ``tree``.

    ``index`` and ``last`` are the inclusive range of interest, ``node`` an enode (or an error
    word), ``min`` and ``max`` the node's inclusive range, ``alloc`` the chain of preallocated
    nodes or a request (count << 1 | 1), ``offset`` and ``end`` slots of the node.
    """

    __slots__ = (
        *("tree", "index", "last", "node", "min", "max", "alloc", "status"),
        *("depth", "offset", "mas_flags", "end", "store_type"),
    )

    def __init__(self, tree: Word, index: Word, last: Word, ulong_max: Word) -> None:
        self.tree = tree
        self.index = index
        self.last = last
        self.node = 0
        self.min = 0
        self.max = ulong_max
        self.alloc = 0
        self.status = MA_START
        self.depth = 0
        self.offset = 0
        self.mas_flags = 0
        self.end = 0
        self.store_type = WR_INVALID

    def assign(self, other: MaState) -> None:
        """``*self = *other``."""
        self.tree = other.tree
        self.index = other.index
        self.last = other.last
        self.node = other.node
        self.min = other.min
        self.max = other.max
        self.alloc = other.alloc
        self.status = other.status
        self.depth = other.depth
        self.offset = other.offset
        self.mas_flags = other.mas_flags
        self.end = other.end
        self.store_type = other.store_type

    def copy(self) -> MaState:
        """A state like this one."""
        new = MaState.__new__(MaState)
        new.tree = self.tree
        new.index = self.index
        new.last = self.last
        new.node = self.node
        new.min = self.min
        new.max = self.max
        new.alloc = self.alloc
        new.status = self.status
        new.depth = self.depth
        new.offset = self.offset
        new.mas_flags = self.mas_flags
        new.end = self.end
        new.store_type = self.store_type
        return new

    def reset(self) -> None:
        """mas_reset: start again from the root."""
        self.status = MA_START
        self.node = 0

    def __repr__(self) -> str:
        return (
            f"<MaState tree={self.tree:x} index={self.index:x} last={self.last:x} "
            f"{STATUS_NAMES[self.status]} node={self.node:x} min={self.min:x} max={self.max:x} "
            f"offset={self.offset} end={self.end} depth={self.depth}>"
        )


class WrState:
    """struct ma_wr_state: what a write found out about its leaf before it changes it."""

    __slots__ = (
        *("mas", "node", "r_min", "r_max", "mt", "offset_end", "end_piv"),
        *("entry", "content"),
    )

    def __init__(self, mas: MaState, entry: Word) -> None:
        self.mas = mas
        self.entry = entry
        self.content = 0
        self.node = 0
        self.r_min = 0
        self.r_max = 0
        self.mt = 0
        self.offset_end = 0
        self.end_piv = 0


class BigNode:
    """struct maple_big_node: room for the data of two nodes, laid out as in C.

    ``words`` holds pivots and, overlapping as in the struct's union, slots and gaps;
    ``pivot0``, ``slot0`` and ``gap0`` are the indexes of their first elements.
    """

    __slots__ = ("b_end", "gap0", "mt", "pivot0", "slot0", "words")

    def __init__(self, pivot0: int, slot0: int, gap0: int, count: int) -> None:
        self.pivot0 = pivot0
        self.slot0 = slot0
        self.gap0 = gap0
        self.words = [0] * count
        self.b_end = 0
        self.mt = 0

    def move(self, base: int, count: int, shift: int) -> None:
        """memmove of ``count`` words from ``base`` on, ``shift`` places up. Raises IndexError."""
        if base + count + shift > len(self.words):
            message = f"{count} words do not fit into the big node at {base + shift}"
            raise IndexError(message)
        self.words[base + shift : base + shift + count] = self.words[base : base + count]

    def clear(self) -> None:
        """memset of the whole struct to 0."""
        self.words = [0] * len(self.words)
        self.b_end = 0
        self.mt = 0


class SubtreeState:
    """struct maple_subtree_state: the old sides, the new nodes and the data between them."""

    __slots__ = ("bn", "l", "m", "orig_l", "orig_r", "r")

    def __init__(self, orig_l: MaState, orig_r: MaState, bn: BigNode) -> None:
        self.orig_l = orig_l
        self.orig_r = orig_r
        self.bn = bn
        self.l = orig_l
        self.m = orig_l
        self.r = orig_r


class MaTopiary:
    """struct ma_topiary: a list of dead subtrees, linked in their top nodes; 0 is empty."""

    __slots__ = ("head", "tail")

    def __init__(self) -> None:
        self.head = 0
        self.tail = 0
