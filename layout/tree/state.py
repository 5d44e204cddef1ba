"""The states an operation carries: struct ma_state, ma_wr_state, maple_subtree_state.

They are locals of a C caller and so live outside the simulated memory. Here alone is it said what
they hold: the compiled twin makes C structs of these classes, a ``Word`` an unsigned and an ``int``
a signed number of 64 bits. Fields without a default are what a state is made from.
"""

from __future__ import annotations

from dataclasses import dataclass
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


@dataclass(slots=True, eq=False, repr=False)
class MaState:
    """struct ma_state: where an operation is in the tree at address ``tree``.

    ``index`` and ``last`` are the inclusive range of interest, ``node`` an enode (or an error
    word), ``min`` and ``max`` the node's inclusive range, ``offset`` and ``end`` slots of the
    node. ``alloc`` is the chain of preallocated nodes or a request (count << 1 | 1); from 6.18
    on it is one node, ``sheaf`` holds requests of more, ``node_request`` is what is still wanted.
    One that has not walked yet is made with the largest index as ``max``.
    """

    tree: Word
    index: Word
    last: Word
    max: Word
    node: Word = 0
    min: Word = 0
    sheaf: Word = 0
    alloc: Word = 0
    node_request: Word = 0
    status: int = MA_START
    depth: int = 0
    offset: int = 0
    mas_flags: int = 0
    end: int = 0
    store_type: int = WR_INVALID

    def assign(self, other: MaState) -> None:
        """``*self = *other``."""
        for name in self.__dataclass_fields__:
            setattr(self, name, getattr(other, name))

    def copy(self) -> MaState:
        """A state like this one."""
        new = self.__class__.__new__(self.__class__)
        new.assign(self)
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


@dataclass(slots=True, eq=False)
class WrState:
    """struct ma_wr_state: what a write found out about its leaf before it changes it.

    ``vacant_height`` and ``sufficient_height``, from 6.18 on, count levels from the root: the
    deepest internal node with a free slot, and with more data than it needs; 0 is none.
    """

    mas: MaState
    entry: Word
    content: Word = 0
    node: Word = 0
    r_min: Word = 0
    r_max: Word = 0
    mt: int = 0
    offset_end: int = 0
    end_piv: Word = 0
    vacant_height: int = 0
    sufficient_height: int = 0


@dataclass(slots=True, eq=False)
class BigNode:
    """struct maple_big_node: room for the data of two nodes, laid out as in C.

    ``words`` holds pivots and, overlapping as in the struct's union, slots and gaps;
    ``pivot0``, ``slot0`` and ``gap0`` are the indexes of their first elements.
    """

    pivot0: int
    slot0: int
    gap0: int
    words: list[int]
    b_end: int = 0
    mt: int = 0

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


@dataclass(slots=True, eq=False)
class SubtreeState:
    """struct maple_subtree_state: the old sides, the data between them, and the new nodes."""

    orig_l: MaState
    orig_r: MaState
    bn: BigNode
    l: MaState
    m: MaState
    r: MaState


@dataclass(slots=True, eq=False)
class MaTopiary:
    """struct ma_topiary: a list of dead subtrees, linked in their top nodes; 0 is empty."""

    head: Word = 0
    tail: Word = 0
