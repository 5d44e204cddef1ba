"""Decoding the tree in an image: its ranges and entries, as far as they can be read.

The walk keeps a list of nodes to visit. It visits no node twice and goes no deeper than ma_flags
can represent. So it ends on any memory.
"""

from __future__ import annotations

import gc
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from layout import compiled
from layout.images.missing import missing_bytes
from layout.memory.errors import MachineFault
from layout.memory.nodeview import KNOWN_TYPES, Visit, view
from layout.memory.pointers import (
    ENODE_NULL,
    LEAF_64,
    MAPLE_HEIGHT_MAX,
    NODE_MASK,
    ROOT_NODE,
    TYPE_MASK,
    TYPE_NAMES,
    mt_height,
    mte_node_type,
    mte_to_node,
    xa_is_node,
)

if TYPE_CHECKING:
    from layout.memory.node import NodeMemory

MAX_PROBLEMS = 100
"""So many problems are told; more would say nothing new."""

_MOST_MEASURED = 256
"""So many nodes are looked at for a path to a leaf."""


@dataclass(slots=True)
class Decoded:
    """The content of a tree."""

    flags: int
    """The word ma_flags."""
    root: int
    """The word ma_root: 0, an entry, or a pointer to a node."""
    height: int
    """The height that ma_flags has, in nodes."""
    complete: bool = True
    """Whether all of the tree could be read: there is no problem."""
    cyclic: bool = False
    """Whether a node was found twice."""
    problems: list[str] = field(default_factory=list)
    """What is wrong, a line for each; at most MAX_PROBLEMS."""
    ranges: list[tuple[int, int, int]] = field(default_factory=list)
    """(first, last, entry) in order, both ends inclusive, NULL left out.

    Of an incomplete tree the part that could be read.
    """
    nodes: list[Visit] = field(default_factory=list)
    """The nodes, in breadth-first order."""

    def problem(self, text: str) -> None:
        """Record something that is wrong."""
        self.complete = False
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(text)
        elif len(self.problems) == MAX_PROBLEMS:
            self.problems.append(f"more than {MAX_PROBLEMS} problems: the rest is not told")

    def as_json(self, arch: str) -> dict[str, object]:
        """The tree as JSON has it, of the machine called ``arch``: numbers in strings are hex."""
        return {
            "arch": arch,
            "flags": f"{self.flags:x}",
            "root": f"{self.root:x}",
            "height": self.height,
            "complete": self.complete,
            "ranges": [[f"{number:x}" for number in found] for found in self.ranges],
        }


class _Pending(NamedTuple):
    """An encoded node to visit; ``where`` says which word points to it."""

    word: int
    min: int
    max: int
    depth: int
    where: str


def decode(mem: NodeMemory, tree: int) -> Decoded:
    """Decode the struct maple_tree at ``tree``.

    Raises MachineFault only where that struct itself can't be read; whatever is wrong further
    down is a problem in the result.
    """
    root, flags = mem.ma_root(tree), mem.ma_flags(tree)
    found = Decoded(flags, root, mt_height(flags))
    if not xa_is_node(root):
        if root:
            found.ranges.append((0, 0, root))
        _check_height(found, tree, {0})
        return found

    if compiled.can_decode(mem) and _decoded_at_once(mem, found):
        return found
    pending = [_Pending(root, 0, mem.arch.ulong_max, 0, f"tree {tree:x}: ma_root")]
    seen: set[int] = set()
    leaf_depths: set[int] = set()
    while pending:
        item = pending.pop()
        problem = _refusal(item, seen)
        if problem:
            found.problem(problem)
            found.cyclic |= mte_to_node(item.word) in seen
            continue
        node, mt = mte_to_node(item.word), mte_node_type(item.word)
        seen.add(node)
        try:
            seen_as = view(mem, node, mt, item.min, item.max)
        except MachineFault as fault:
            found.problem(_unread(mem, item, fault, known=len(found.problems) >= MAX_PROBLEMS))
            continue
        found.nodes.append(Visit(node, mt, item.min, item.max, item.depth))
        for problem in seen_as.problems:
            found.problem(problem)
        if mte_to_node(seen_as.words[0]) == node:
            found.problem(f"node {node:x}: its parent word marks it as freed")
        if mt == LEAF_64:
            leaf_depths.add(item.depth + 1)
            found.ranges += [(r.first, r.last, r.word) for r in seen_as.ranges if r.word]
            continue
        pending += [
            _Pending(r.word, r.first, r.last, item.depth + 1, f"node {node:x}: slot {r.slot}")
            for r in reversed(seen_as.ranges)
        ]
    found.nodes.sort(key=lambda visit: visit.depth)  # stable: in order on each level
    _check_height(found, tree, leaf_depths)
    return found


def _decoded_at_once(mem: NodeMemory, found: Decoded) -> bool:
    """Whether compiled code found the whole tree, without any problem."""
    from layout.compiled import _core  # noqa: PLC0415 - where it was built

    core: _core.Core | None = getattr(mem, "core", None)
    extension = _core if core is None else core.extension
    collecting = gc.isenabled()
    gc.disable()  # it would look through millions of tuples of numbers, time and again
    try:
        decoder = extension.Decoder(mem, found.height)
        whole: bool = decoder.decode(found.root, mem.arch.ulong_max)
        if whole:
            found.ranges = decoder.ranges
            found.nodes = [Visit._make(visit) for level in decoder.levels for visit in level]
    finally:
        if collecting:
            gc.enable()
    return whole


def _refusal(item: _Pending, seen: set[int]) -> str | None:
    """Why the node is not to be visited, or None."""
    node, mt = mte_to_node(item.word), mte_node_type(item.word)
    if not item.word:
        return f"{item.where} is NULL where a node is needed"
    # the root word may differ by one bit: it marks a node
    if item.word & NODE_MASK & ~TYPE_MASK & ~ROOT_NODE != ENODE_NULL:
        return f"{item.where} is {item.word:x}, which points to no node"
    if mt not in KNOWN_TYPES:
        name = TYPE_NAMES[mt] if mt < len(TYPE_NAMES) else "unknown"
        return f"{item.where} is {item.word:x}, of node type {mt} ({name}), which trees don't use"
    if node in seen:
        return f"{item.where} points to node {node:x} again: a cycle, or a node with two parents"
    if item.depth >= MAPLE_HEIGHT_MAX:
        return f"{item.where} leads deeper than {MAPLE_HEIGHT_MAX} nodes"
    return None


def _unread(mem: NodeMemory, item: _Pending, fault: MachineFault, *, known: bool) -> str:
    """What to tell of a node that can't be read; ``known`` where nobody will see it."""
    node = mte_to_node(item.word)
    gone = None if known else missing_bytes(mem, node)
    if gone is None:
        return f"{item.where} is {item.word:x}, a pointer into nowhere ({fault.kind})"
    return f"{item.where} is {item.word:x}: bytes {gone} of node {node:x} are missing"


def _check_height(found: Decoded, tree: int, heights: set[int]) -> None:
    """``heights`` are the heights in nodes at which leaves were found; none tell nothing."""
    if heights and heights != {found.height}:
        seen = ", ".join(map(str, sorted(heights)))
        found.problem(
            f"tree {tree:x}: ma_flags {found.flags:x} say height {found.height}, "
            f"but the tree's height is {seen}"
        )


def measure_height(mem: NodeMemory, root: int) -> int | None:
    """The height in nodes of the tree below a root word, down the first path to a leaf.

    0 for an empty tree or a single entry; None where no leaf is reached.
    """
    if not xa_is_node(root):
        return 0
    pending = [(root, 1)]
    seen: set[int] = set()
    while pending and len(seen) < _MOST_MEASURED:
        word, depth = pending.pop()
        mt = mte_node_type(word)
        if mte_to_node(word) in seen:
            continue
        seen.add(mte_to_node(word))
        try:
            words = mem.read_node(mte_to_node(word), mt)
        except MachineFault:
            continue
        if mt == LEAF_64:
            return depth
        if depth < MAPLE_HEIGHT_MAX:
            slots = words[mem.slot0[mt] : mem.slot0[mt] + mem.profile.sizes.slots[mt]]
            pending += [(slot, depth + 1) for slot in reversed(slots) if _is_enode(slot)]
    return None


def _is_enode(word: int) -> bool:
    """Whether a slot points to a node of a type that trees use."""
    tags = word & NODE_MASK
    return word > NODE_MASK and tags & ~TYPE_MASK == ENODE_NULL and tags >> 3 in KNOWN_TYPES
