"""The ground layer: tree flags, parent words, dead nodes, the end of a node's data, warnings."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from layout.errors import MachineFault
from layout.node import PIVOT
from layout.pointers import (
    ARANGE_64,
    ENODE_NULL,
    LEAF_64,
    MT_FLAGS_ALLOC_RANGE,
    MT_FLAGS_HEIGHT_MASK,
    MT_FLAGS_HEIGHT_OFFSET,
    MT_FLAGS_USE_RCU,
    NODE_MASK,
    PARENT_RANGE64,
    RANGE_64,
    ROOT_PARENT,
)
from layout.tree.peeks import peeks
from layout.tree.state import MA_ERROR, MA_START, MaState

if TYPE_CHECKING:
    from layout.node import NodeMemory, Words
    from layout.slab import NodeCache

MAPLE_HEIGHT_MAX = 31

MAX_DESCENT = 64
"""More levels than any tree has: a longer walk down goes round in a cycle."""

_PARENT_16B_SLOT_MASK = 0xFC


class Base:
    """One kernel's maple tree code at work on one machine's memory.

    ``tests`` counts evaluated debug checks as maple_tree_tests_run does, ``failures`` those
    that failed, ``warnings`` the WARN_ONs raised, ``log`` what printk printed.
    """

    def __init__(self, mem: NodeMemory, cache: NodeCache) -> None:
        self.mem = mem
        self.cache = cache
        self.ulong_max = mem.arch.ulong_max
        sizes = mem.profile.sizes
        self.node_slots = sizes.node_slots
        self.mt_slots = sizes.slots
        self.mt_pivots = sizes.pivots
        self.mt_min_slots = sizes.min_slots
        self.alloc_slots = sizes.alloc_slots
        self.slot0 = mem.slot0
        self.gap0 = mem.gap0
        self.tests = 0
        self.failures = 0
        self.warnings = 0
        self.log: list[str] = []
        self.rcu_queue: list[tuple[int, int]] = []

    # -- diagnostics

    def printk(self, text: str) -> None:
        """Append to the kernel log."""
        self.log.append(text)

    def warn_on(self) -> None:
        """WARN_ON(true)."""
        self.warnings += 1

    def livelock(self, doing: str, address: int = 0) -> NoReturn:
        """Stop a loop that the real kernel would not leave."""
        message = "the kernel would loop for ever"
        raise MachineFault("livelock", address, message, arch=self.mem.arch.name, doing=doing)

    def bug(self, doing: str, address: int = 0) -> NoReturn:
        """BUG_ON(true)."""
        raise MachineFault("bug", address, "kernel BUG", arch=self.mem.arch.name, doing=doing)

    # -- the state

    def new_state(self, tree: int, index: int = 0, last: int | None = None) -> MaState:
        """MA_STATE(): a state for [index, last] that has not walked yet."""
        return MaState(tree, index, index if last is None else last, self.ulong_max)

    def mas_set_err(self, mas: MaState, err: int) -> None:
        """Put an errno (positive here) into the state."""
        mas.node = (-err << 2 | 2) & self.ulong_max
        mas.status = MA_ERROR

    def xa_err(self, word: int) -> int:
        """The negative errno in an error word, 0 if it holds none."""
        top = self.ulong_max
        if word & 3 == 2 and word >= (-4095 << 2 | 2) & top:
            return (word - top - 1) >> 2
        return 0

    def mas_set(self, mas: MaState, index: int) -> None:
        """Move the state to ``index``; the next walk starts at the root."""
        mas.status = MA_START
        mas.node = 0
        self.tests += 1
        mas.index = mas.last = index

    # -- the tree

    def mt_init_flags(self, tree: int, flags: int) -> None:
        """Initialise an empty tree."""
        self.mem.set_ma_flags(tree, flags & 0xFFFFFFFF)
        self.mem.set_ma_root(tree, 0)

    def mt_in_rcu(self, tree: int) -> bool:
        """Whether readers may be in the tree."""
        return self.mem.ma_flags(tree) & MT_FLAGS_USE_RCU != 0

    def mt_is_alloc(self, tree: int) -> bool:
        """Whether the tree tracks gaps."""
        return self.mem.ma_flags(tree) & MT_FLAGS_ALLOC_RANGE != 0

    def mt_set_in_rcu(self, tree: int) -> None:
        """Switch the tree to RCU mode."""
        self.mem.set_ma_flags(tree, self.mem.ma_flags(tree) | MT_FLAGS_USE_RCU)

    def mt_clear_in_rcu(self, tree: int) -> None:
        """Leave RCU mode."""
        self.mem.set_ma_flags(tree, self.mem.ma_flags(tree) & ~MT_FLAGS_USE_RCU)

    def mas_mt_height(self, mas: MaState) -> int:
        """The tree's height in nodes."""
        return (self.mem.ma_flags(mas.tree) & MT_FLAGS_HEIGHT_MASK) >> MT_FLAGS_HEIGHT_OFFSET

    def mas_set_height(self, mas: MaState) -> None:
        """Write the state's depth into the tree's flags."""
        flags = self.mem.ma_flags(mas.tree) & ~MT_FLAGS_HEIGHT_MASK
        self.tests += 1
        if mas.depth > MAPLE_HEIGHT_MAX:
            self.bug("mas_set_height: the tree is too high", mas.tree)
        self.mem.set_ma_flags(mas.tree, flags | mas.depth << MT_FLAGS_HEIGHT_OFFSET)

    # -- parents

    def ma_is_root(self, node: int) -> bool:
        """Whether a node is the root, by bit 0 of its parent word."""
        return self.mem.parent(node) & ROOT_PARENT != 0

    def mte_parent(self, enode: int) -> int:
        """The address of the node's parent."""
        return self.mem.parent(enode & ~NODE_MASK) & ~NODE_MASK

    def parent_slot(self, word: int) -> int:
        """The slot that a parent word, not the root's, holds."""
        return (word & _PARENT_16B_SLOT_MASK) >> (3 if word & 2 else 2)

    def parent_type(self, tree: int, word: int) -> int:
        """The type of the node that a parent word points to: it follows from the tree's flags."""
        if word & 7 == PARENT_RANGE64:
            return ARANGE_64 if self.mem.ma_flags(tree) & MT_FLAGS_ALLOC_RANGE else RANGE_64
        if word & ROOT_PARENT:
            self.warn_on()
        return 0

    def mte_parent_slot(self, enode: int) -> int:
        """The slot of the node in its parent, 0 for the root."""
        word = self.mem.parent(enode & ~NODE_MASK)
        return 0 if word & ROOT_PARENT else self.parent_slot(word)

    def mas_parent_type(self, mas: MaState, enode: int) -> int:
        """The type of the node's parent."""
        return self.parent_type(mas.tree, self.mem.parent(enode & ~NODE_MASK))

    def mas_set_parent(self, mas: MaState, enode: int, parent: int, slot: int) -> None:
        """Make ``enode`` the child in ``slot`` of the enode ``parent``."""
        self.tests += 2
        mt = parent >> 3 & 0xF
        if mt in (0, LEAF_64):
            self.bug(f"mas_set_parent: parent of type {mt} in tree {mas.tree:x}", enode)
        word = parent & ~NODE_MASK
        if mt in (RANGE_64, ARANGE_64):
            word |= slot << 3 | PARENT_RANGE64
        self.mem.set_parent(enode & ~NODE_MASK, word)

    def mas_parent_enode(self, mas: MaState, enode: int) -> int:
        """The enode of the node's parent."""
        word = self.mem.parent(enode & ~NODE_MASK)
        return word & ~NODE_MASK | self.parent_type(mas.tree, word) << 3 | ENODE_NULL

    # -- dead nodes

    def ma_dead_node(self, node: int) -> bool:
        """Whether a node has been replaced: its parent is itself."""
        return self.mem.parent(node) & ~NODE_MASK == node

    def mte_set_node_dead(self, enode: int) -> None:
        """Mark a node as replaced."""
        node = enode & ~NODE_MASK
        self.mem.set_parent(node, node)

    # -- the end of the data

    @peeks("read past data end", why="the last pivot is 0 where there is metadata")
    def ma_data_end(self, node: int, mt: int, words: Words, limit: int) -> int:
        """The offset of the last slot in use; ``limit`` is the node's largest index."""
        if mt == ARANGE_64:
            return self.mem.meta_end(node, mt)
        pivots = self.mt_pivots[mt]
        last = words[PIVOT + pivots - 1]
        if not last:
            return self.mem.meta_end(node, mt)
        return pivots - 1 if last == limit else pivots

    def mas_data_end(self, mas: MaState) -> int:
        """The offset of the last slot in use of the state's node, 0 if the node is dead."""
        mt = mas.node >> 3 & 0xF
        node = mas.node & ~NODE_MASK
        if mt == ARANGE_64:
            return self.mem.meta_end(node, mt)
        words = self.mem.read_node(node, mt)
        if words[0] & ~NODE_MASK == node:
            return 0
        return self.ma_data_end(node, mt, words, mas.max)

    def words_of(self, mas: MaState) -> Words:
        """The words of the state's node."""
        return self.mem.read_node(mas.node & ~NODE_MASK, mas.node >> 3 & 0xF)
