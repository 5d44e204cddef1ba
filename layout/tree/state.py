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
    """struct ma_state: where an operation is in a tree.

    One that has not walked yet is made with the largest index as ``max``.
    """

    tree: Word
    """The address of the struct maple_tree."""
    index: Word
    """The first index of the range of interest; after a walk that of the range found."""
    last: Word
    """The last index of it, inclusive."""
    max: Word
    """The last index of the node, inclusive."""
    node: Word = 0
    """The enode, or an error word; 0 before the walk."""
    min: Word = 0
    """The first index of the node."""
    sheaf: Word = 0
    """From 6.18 on: the sheaf with the nodes of a request of more than one; 0 is none."""
    alloc: Word = 0
    """The chain of preallocated nodes, or a request (count << 1 | 1); from 6.18 on a node."""
    node_request: Word = 0
    """From 6.18 on: how many nodes are still wanted."""
    status: int = MA_START
    """One of MA_ACTIVE to MA_ERROR; STATUS_NAMES has their names."""
    depth: int = 0
    """How many levels the walk has gone down; 0 is the root."""
    offset: int = 0
    """The slot of the node that the state is at."""
    mas_flags: int = 0
    """MA_STATE_BULK, MA_STATE_REBALANCE and MA_STATE_PREALLOC, or-ed."""
    end: int = 0
    """The last slot of the node that is in use."""
    store_type: int = WR_INVALID
    """What kind of write was chosen, by its number in STORE_TYPE_NAMES."""

    def assign(self, other: MaState) -> None:
        """``*self = *other``."""
        self.tree = other.tree  # one by one: a loop over the fields takes ten times as long
        self.index = other.index
        self.last = other.last
        self.node = other.node
        self.min = other.min
        self.max = other.max
        self.sheaf = other.sheaf
        self.alloc = other.alloc
        self.node_request = other.node_request
        self.status = other.status
        self.depth = other.depth
        self.offset = other.offset
        self.mas_flags = other.mas_flags
        self.end = other.end
        self.store_type = other.store_type

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
    """struct ma_wr_state: what a write found out about its leaf before it changes it."""

    mas: MaState
    """The state of the write."""
    entry: Word
    """What is written; 0 is NULL."""
    content: Word = 0
    """What the first slot of the range holds before."""
    node: Word = 0
    """The address of the leaf."""
    r_min: Word = 0
    """The first index of the slot at ``mas.offset``."""
    r_max: Word = 0
    """The last index of that slot, inclusive."""
    mt: int = 0
    """The type of the leaf, an enum maple_type."""
    offset_end: int = 0
    """The slot that holds the last index of the write."""
    end_piv: Word = 0
    """The last index of that slot, inclusive."""
    vacant_height: int = 0
    """From 6.18 on: the level of the deepest internal node with a free slot; 0 is none."""
    sufficient_height: int = 0
    """From 6.18 on: that of the deepest one with more data than it needs; 0 is none."""


@dataclass(slots=True, eq=False)
class BigNode:
    """struct maple_big_node: room for the data of two nodes, laid out as in C."""

    pivot0: int
    """The index of the first pivot in ``words``."""
    slot0: int
    """The index of the first slot in ``words``."""
    gap0: int
    """The index of the first gap in ``words``."""
    words: list[int]
    """Pivots and, overlapping as in the struct's union, slots and gaps."""
    b_end: int = 0
    """The end of the data, as the kernel's function left it."""
    mt: int = 0
    """The type of the nodes that the data are for, an enum maple_type."""

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
    """The state at the old left side."""
    orig_r: MaState
    """The state at the old right side."""
    bn: BigNode
    """The data between them."""
    l: MaState
    """The state at the new left node."""
    m: MaState
    """The state at the new middle node."""
    r: MaState
    """The state at the new right node."""


@dataclass(slots=True, eq=False)
class MaTopiary:
    """struct ma_topiary: a list of dead subtrees, linked in their top nodes."""

    head: Word = 0
    """The first enode; 0 if the list is empty."""
    tail: Word = 0
    """The last one."""
