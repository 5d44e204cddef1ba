"""Finding maple trees in memory of which nothing is known but its bytes.

A tree is *live* if a struct maple_tree points to its root and the root back to it. What looks
like nodes, but no tree holds, is *freed*; a node whose parent word is its own address is *dead*:
it was taken out of its tree and waits for, or was through, its grace period.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from layout.images.decode import decode
from layout.images.directmap import Votes
from layout.images.madeup import guess_type, is_enode
from layout.images.mapped import ImageMemory, Store, image_memory
from layout.images.nodeastree import FLAGS
from layout.images.nodefinder import DEAD, INNER, ROOT, Finder, Found, parent_slot, walk
from layout.images.structfinder import STRUCT, adopt
from layout.images.treestruct import Known, choose, profiles
from layout.memory.errors import InputError, MachineFault, UsageError
from layout.memory.nodeview import KNOWN_TYPES, view
from layout.memory.pointers import (
    ENODE_NULL,
    LEAF_64,
    NODE_MASK,
    ROOT_NODE,
    ROOT_PARENT,
    mte_node_type,
)

if TYPE_CHECKING:
    from arches import Arch

_MOST_NODES = 1 << 20
"""So many nodes of one tree that is not live are counted at most."""


@dataclass(slots=True)
class Candidate:
    """What may be a tree.

    ``tree`` is the address of its struct maple_tree, None where nothing points to its root;
    ``root_node`` that of the node at its top, ``nodes`` and ``entries`` are how many there are,
    ``height`` is in nodes. ``state`` is live, freed or dead, ``score`` from 0 to 1 how sure it is
    that this is, or was, a tree. ``physical`` is the root node's address in the file's terms.
    """

    tree: int | None
    root_node: int
    nodes: int
    entries: int
    height: int
    state: str
    score: float
    physical: int
    flags: int | None = None

    def as_json(self, arch: str) -> dict[str, object]:
        """The candidate as JSON has it: numbers in strings are hex."""
        return {
            "tree": None if self.tree is None else f"{self.tree:x}",
            "root_node": f"{self.root_node:x}",
            "arch": arch,
            "nodes": self.nodes,
            "entries": self.entries,
            "height": self.height,
            "flags": None if self.flags is None else f"{self.flags:x}",
            "state": self.state,
            "score": self.score,
            "physical": f"{self.physical:x}",
        }


class Scan(NamedTuple):
    """What a scan found, best first; ``agreeing`` pairs of parent and child speak for ``shift``."""

    candidates: list[Candidate]
    shift: int
    agreeing: int


class _Survey(NamedTuple):
    """A subtree that no tree is known to hold: its nodes' addresses, entries, height, problems."""

    nodes: set[int]
    entries: int
    height: int
    problems: int


def scan(
    store: Store,
    arch: Arch,
    source: str,
    known: Known = Known(),  # noqa: B008 - never changed
    direct_map: int | None = None,
) -> Scan:
    """All that may be trees in ``store``, whose shift is set if it was not given. O(n)."""
    finder = Finder(arch)
    votes = Votes(finder)
    found: list[Found] = []
    for one in walk(finder, store, source):
        found.append(one)
        if store.physical and direct_map is None:
            votes.add(one)
    agreeing = 0
    if direct_map is not None:
        store.shift = direct_map
    elif store.physical and (best := votes.best()):
        store.shift, agreeing = best
    return _Scanner(store, arch, known, finder, source).run(found, agreeing)


class _Scanner:
    """Puts blocks that look like nodes together to trees."""

    def __init__(self, store: Store, arch: Arch, known: Known, finder: Finder, source: str) -> None:
        self._store, self._arch, self._finder = store, arch, finder
        self._source = source
        self._most = arch.ulong_max
        self._memories = [image_memory(arch, p, store) for p in profiles(arch, known)]
        self._memory = self._memories[0]
        self._claimed: set[int] = set()
        self._claimed_places: set[int] = set()
        self._candidates: list[Candidate] = []

    def run(self, found: list[Found], agreeing: int) -> Scan:
        """All candidates."""
        by_role: tuple[list[Found], ...] = ([], [], [])
        for one in found:
            by_role[one.role].append(one)
        loose = [one for one in by_role[ROOT] if not self._live(one)]
        lost = [one for one in loose if not self._known(one) and self._struct_is_missing(one)]
        places = [(self._virtual(one), one.words[0]) for one in lost]
        adopt(self._store, self._arch, places, self._source)
        for one in lost:
            self._live(one)
        tops = [one for one in loose if not self._known(one)]
        tops += [one for one in by_role[INNER] if not self._known(one) and not self._held(one)]
        for one in tops:
            self._freed(one)
        for one in by_role[DEAD]:
            if not self._known(one):
                self._dead(one)
        self._candidates.sort(key=lambda c: (-c.score, -c.nodes, c.root_node))
        return Scan(self._candidates, self._store.shift, agreeing)

    def _virtual(self, one: Found) -> int:
        return one.address + self._store.shift & self._most

    def _place(self, address: int) -> int | None:
        """Where in the file a virtual address lies."""
        for place in self._store.places(address, self._most):
            row = self._store.table.find(place)
            if row:
                return place - row.start + row.offset
        return None

    def _known(self, one: Found) -> bool:
        """Whether the block belongs to a candidate already, perhaps at another address."""
        if self._virtual(one) in self._claimed:
            return True
        row = self._store.table.find(one.address)
        return row is not None and one.address - row.start + row.offset in self._claimed_places

    def _claim(self, nodes: set[int]) -> None:
        self._claimed |= nodes
        places = (self._place(node) for node in nodes)
        self._claimed_places.update(place for place in places if place is not None)

    def _live(self, one: Found) -> bool:
        """Add a live tree, if this block is the root of one."""
        node, tree = self._virtual(one), one.words[0] & ~ROOT_PARENT
        root = self._root_word(node, tree)
        if root is None:
            return False
        try:
            memory, _ = choose(self._memories, tree, "")
            if memory.ma_root(tree) != root:
                return False
            tree_found = decode(memory, tree)
        except (InputError, UsageError, MachineFault):
            return False
        score = 1.0 if tree_found.complete else 0.9
        if not tree_found.complete and len(tree_found.problems) >= len(tree_found.nodes):
            score = 0.6
        if tree_found.flags & ~FLAGS:
            score = round(score - 0.2, 2)
        self._claim({visit.address for visit in tree_found.nodes})
        self._candidates.append(
            Candidate(
                tree,
                node,
                len(tree_found.nodes),
                len(tree_found.ranges),
                tree_found.height,
                "live",
                score,
                one.address,
                tree_found.flags,
            )
        )
        return True

    def _struct_is_missing(self, one: Found) -> bool:
        """Whether there is no memory where the root says that its tree is."""
        try:
            self._memory.read_word(one.words[0] & ~ROOT_PARENT)
        except MachineFault:
            return guess_type(self._memory, self._virtual(one)) != LEAF_64 or self._good_leaf(
                one, self._survey(self._virtual(one), LEAF_64, self._memory)
            )
        return False

    def _root_word(self, node: int, tree: int) -> int | None:
        """The word in a struct maple_tree that points to its root node."""
        w = self._arch.word_size
        for at in range(0, STRUCT, w):
            try:
                word = self._memory.read_word(tree + at & self._most)
            except MachineFault:
                continue
            if (
                word & ~NODE_MASK == node
                and word & 7 == ENODE_NULL | ROOT_NODE
                and mte_node_type(word) in KNOWN_TYPES
            ):
                return word
        return None

    def _held(self, one: Found) -> bool:
        """Whether the node that the parent word names holds this one in that slot."""
        parent, slot = one.words[0] & ~NODE_MASK, parent_slot(one.words[0])
        node = self._virtual(one)
        for mt in KNOWN_TYPES[1:]:
            try:
                word = self._memory.slot(parent, mt, slot)
            except MachineFault:
                return False
            if word & ~NODE_MASK == node and is_enode(word):
                return True
        return False

    def _survey(self, node: int, mt: int, memory: ImageMemory) -> _Survey:
        """Count what is below a node whose range is not known, and is taken for everything."""
        seen: set[int] = set()
        entries = height = problems = 0
        pending = [(node, mt, 0, self._most, 1)]
        while pending and len(seen) < _MOST_NODES:
            at, kind, low, high, depth = pending.pop()
            if at in seen or depth > 31:
                problems += 1
                continue
            try:
                seen_as = view(memory, at, kind, low, high)
            except MachineFault:
                problems += 1
                continue
            seen.add(at)
            height = max(height, depth)
            problems += len(seen_as.problems)
            for slot in seen_as.ranges:
                if kind == LEAF_64:
                    entries += slot.word != 0
                elif is_enode(slot.word):
                    child = slot.word & ~NODE_MASK, mte_node_type(slot.word)
                    pending.append((*child, slot.first, slot.last, depth + 1))
                else:
                    problems += 1
        return _Survey(seen, entries, height, problems)

    def _freed(self, one: Found) -> None:
        """Add what is left of a tree below this node, if it is anything."""
        node = self._virtual(one)
        if node in self._claimed:
            return
        try:
            mt = guess_type(self._memory, node)
        except MachineFault:
            return
        if mt != LEAF_64 and not self._linked(one, mt):
            return
        found = self._survey(node, mt, self._memory)
        score = self._likelihood(one, mt, found)
        if not score:
            return
        self._claim(found.nodes)
        self._candidates.append(
            Candidate(
                None,
                node,
                len(found.nodes),
                found.entries,
                found.height,
                "freed",
                score,
                one.address,
            )
        )

    def _likelihood(self, one: Found, mt: int, found: _Survey) -> float:
        """How sure it is that a node was one; 0 where little speaks for it."""
        if mt != LEAF_64:
            return 0.7 if not found.problems else 0.5
        return 0.4 if self._good_leaf(one, found) else 0.0

    def _linked(self, one: Found, mt: int) -> bool:
        """Whether a child names this node as its parent, in the right slot."""
        node = self._virtual(one)
        for kind, slot, word in self._finder.children(one.words):
            if kind != mt:
                continue
            try:
                parent = self._memory.parent(word & ~NODE_MASK)
            except MachineFault:
                continue
            if parent & ~NODE_MASK == node and parent_slot(parent) == slot:
                return True
        return False

    def _good_leaf(self, one: Found, found: _Survey) -> bool:
        """Whether a leaf without a tree has three ranges or more and nothing against it."""
        if found.problems or found.entries < 3:
            return False
        sizes = self._finder
        pivots = [p for p in one.words[1 : 1 + sizes.pivots[LEAF_64]] if p]
        slots = one.words[sizes.slot0[LEAF_64] :][: len(pivots)]
        low, high = self._arch.kernel_nodes
        entries = [word for word in slots if word]
        pointers = sum(low <= word <= high and not word & 3 for word in entries)
        return len(pivots) >= 3 and pointers == len(entries) == len(set(entries))

    def _dead(self, one: Found) -> None:
        """Add a node whose parent word is its own address."""
        node = self._virtual(one)
        words = one.words
        if words[0] != node or node in words[1:3]:  # a list head points to itself, too
            return
        sizes = self._finder
        slots = words[sizes.slot0[LEAF_64] :]
        if not self._dead_pivots(words) or not any(slots):
            return
        self._claim({node})
        entries = sum(1 for word in slots[:-1] if word)
        self._candidates.append(Candidate(None, node, 1, entries, 1, "dead", 0.3, one.address))

    def _dead_pivots(self, words: tuple[int, ...]) -> bool:
        """Whether what call_rcu() left of the pivots ascends, three of them at least."""
        before, count = 0, 0
        for pivot in words[3 : 1 + self._finder.pivots[LEAF_64]]:
            if pivot <= before:
                break
            before, count = pivot, count + 1
        return count >= 3
