"""The words that link the nodes of a tree, down and up, and their checks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from layout.images.missing import missing_bytes
from layout.images.nodecheck import SWAPPED, swap
from layout.images.reading import Reading, read_as
from layout.images.violation import Rule, Violation
from layout.memory.errors import MachineFault
from layout.memory.nodeview import KNOWN_TYPES
from layout.memory.pointers import (
    ENODE_NULL,
    LEAF_64,
    MAPLE_HEIGHT_MAX,
    NODE_MASK,
    PARENT_RANGE64,
    PARENT_SLOT_MASK,
    RANGE_64,
    ROOT_NODE,
    ROOT_PARENT,
    TYPE_MASK,
    TYPE_NAMES,
    describe_parent,
    mte_node_type,
)

if TYPE_CHECKING:
    from layout.memory.node import NodeMemory

MAX_VIOLATIONS = 10_000
"""After so many the walk is given up: what lies there is no tree."""

PARENT_SLOT, CHILD_SLOT = "mas_validate_parent_slot", "mas_validate_child_slot"
GAPS, DEAD = "mas_validate_gaps", "mt_validate"


class GaveUpError(Exception):
    """There were too many violations."""


@dataclass(frozen=True, slots=True)
class Place:
    """A word that points to a node: at byte ``offset`` of ``holder``, as its slot ``slot``.

    The node is at ``depth`` (1 for the root) and covers ``minimum`` to ``maximum``; ``maximum`` is
    None if unknown. ``exact`` is False if ``minimum`` is only a lower bound.
    """

    word: int
    holder: int
    offset: int
    slot: int
    depth: int
    minimum: int
    maximum: int | None
    exact: bool


class Links:
    """Checks of pointers to nodes and of parent words, during the walk of a tree.

    ``inner`` is the type of the nodes above the leaves, ``height`` that of the tree in nodes,
    ``seen`` the addresses of the visited nodes, ``visits`` their number.
    """

    def __init__(self, mem: NodeMemory, tree: int) -> None:
        """Start at the struct maple_tree at ``tree``."""
        self.mem = mem
        self.tree = tree
        self.inner = RANGE_64
        self.height = 0
        self.seen: set[int] = set()
        self.found: list[tuple[int, int, Violation]] = []
        self.visits = 0
        self.before = 1
        """The entry before the next leaf; not 0 where there is none."""

    def add(self, violation: Violation, visit: int | None = None) -> None:
        """Record a violation of the node of this visit, without one of the latest."""
        if len(self.found) >= MAX_VIOLATIONS:
            raise GaveUpError
        number = self.visits if visit is None else visit
        self.found.append((number, violation.offset, violation))

    def parent(self, word: int) -> int | None:
        """The parent word of the node that ``word`` points to, None where there is none."""
        try:
            return self.mem.parent(word & ~NODE_MASK)
        except MachineFault:
            return None

    # -- height and types

    def check_height(self, flags_at: int, root: int) -> None:
        """Where two paths agree on a height, ma_flags are wrong."""
        first, second = self._measure(root, 0), self._measure(root, 1)
        if first is None or first != second or first == self.height:
            return
        held = str(self.height)
        self.add(Violation(self.tree, flags_at, Rule.TREE_HEIGHT, str(first), held))
        self.height = first

    def _measure(self, word: int, slot: int) -> int | None:
        """The height in nodes down a path that takes ``slot`` where there is one, else slot 0."""
        mem = self.mem
        for depth in range(1, MAPLE_HEIGHT_MAX + 1):
            mt = mte_node_type(word)
            if mt not in KNOWN_TYPES:
                return None
            try:
                words = mem.read_node(word & ~NODE_MASK, mt)
            except MachineFault:
                return None
            if mt == LEAF_64:
                return depth
            word = words[mem.slot0[mt] + slot] or words[mem.slot0[mt]]
        return None

    def _implied_type(self, depth: int) -> int:
        """The type of the nodes at this depth, as ma_flags have it."""
        return LEAF_64 if depth >= self.height else self.inner

    def read(self, place: Place) -> Reading | None:
        """The node that a place's word points to, of the type that fits it best."""
        mem, word = self.mem, place.word
        node, mt, implied = word & ~NODE_MASK, mte_node_type(word), self._implied_type(place.depth)
        root_bit = ROOT_NODE if place.depth == 1 else 0
        tags = word & NODE_MASK & ~TYPE_MASK
        try:
            if mt == implied:
                best = read_as(mem, node, mt, place.minimum, place.maximum)
            else:
                kinds = [kind for kind in (mt, implied) if kind in KNOWN_TYPES]
                readings = [read_as(mem, node, k, place.minimum, place.maximum) for k in kinds]
                best = min(readings, key=lambda reading: reading.cost)
        except MachineFault as fault:
            gone = missing_bytes(mem, node)
            why = fault.kind if gone is None else f"bytes {gone} of the node are missing"
            other = swap(mem, word)
            found = other & 7 & ~root_bit == ENODE_NULL and self.parent(other) is not None
            self.add(
                Violation(
                    place.holder,
                    place.offset,
                    Rule.NODE_READABLE,
                    "a pointer to a node in memory",
                    f"{word:x} ({why})",
                    "",
                    SWAPPED if found else "",
                )
            )
            return None
        if mt != implied:
            self._report_type(place, best, implied)
        if tags != ENODE_NULL | root_bit:
            good = node | best.type << 3 | ENODE_NULL | root_bit
            held = f"{word:x}"
            self.add(Violation(place.holder, place.offset, Rule.NODE_WORD, f"{good:x}", held))
        return best

    def _report_type(self, place: Place, best: Reading, implied: int) -> None:
        mt = mte_node_type(place.word)
        name = TYPE_NAMES[mt] if mt < len(TYPE_NAMES) else str(mt)
        cause = ""
        rule = Rule.NODE_TYPE
        expected = TYPE_NAMES[implied]
        if best.type != mt:
            cause = f"the node reads as {TYPE_NAMES[best.type]}: the pointer's tag is wrong"
        elif LEAF_64 in (mt, implied):
            rule = Rule.LEAF_DEPTH
            name = f"{name} at depth {place.depth}"
            expected = f"{expected}, leaves being at depth {self.height}"
        else:
            cause = "MT_FLAGS_ALLOC_RANGE and the node types disagree"
        sees = "" if LEAF_64 in (mt, implied) else (GAPS if mt == RANGE_64 else PARENT_SLOT)
        self.add(Violation(place.holder, place.offset, rule, expected, name, sees, cause))

    def refuse(  # noqa: PLR0913 - the fields of a violation
        self, place: Place, rule: Rule, expected: str, actual: str, sees: str = "", cause: str = ""
    ) -> None:
        """Record what is wrong with a slot, behind which nothing is visited."""
        self.before = 1
        self.add(Violation(place.holder, place.offset, rule, expected, actual, sees, cause))

    def is_first(self, place: Place, node: int) -> bool:
        """Whether the node was not seen yet and no other slot has a better claim to it."""
        if node in self.seen:
            sees, cause = CHILD_SLOT, "a cycle" if node == place.holder else ""
        else:
            owner = self._other_owner(place, node)
            if owner is None:
                return True
            sees = PARENT_SLOT if owner[0] == place.holder else CHILD_SLOT
            cause = f"the node belongs to slot {owner[1]} of node {owner[0]:x}"
        expected = "a node that no other slot holds"
        self.refuse(place, Rule.NODE_ONCE, expected, f"{place.word:x}", sees, cause)
        return False

    def _other_owner(self, place: Place, node: int) -> tuple[int, int] | None:
        """The node and slot, other than this place, that hold ``node`` and that it names."""
        parent = self.parent(node)
        if place.depth == 1 or parent is None or parent & 7 != PARENT_RANGE64:
            return None
        owner, slot = parent & ~NODE_MASK, (parent & PARENT_SLOT_MASK) >> 3
        if (owner, slot) == (place.holder, place.slot) or owner == node:
            return None
        if slot >= self.mem.profile.sizes.slots[self.inner]:
            return None
        try:
            claimed = self.mem.slot(owner, self.inner, slot)
        except MachineFault:
            return None
        return (owner, slot) if claimed & ~NODE_MASK == node else None

    def check_parent(self, place: Place, reading: Reading) -> None:
        """Check the parent word of a node reached from ``place``."""
        mem, parent = self.mem, reading.words[0]
        expected = place.holder | place.slot << 3 | PARENT_RANGE64
        if place.depth == 1:
            expected = place.holder | ROOT_PARENT
        # mt_validate() ends at any node with a root's mark, and looks no further
        sees = "" if parent & ROOT_PARENT else PARENT_SLOT
        if parent == expected:
            return
        if parent & ~NODE_MASK == reading.node:
            rule, sees, cause = Rule.LIVE_NODE, DEAD, "dead node reachable"
        else:
            rule, cause = Rule.PARENT_WORD, ""
            if swap(mem, parent) == expected:
                cause = SWAPPED
            elif parent & ROOT_PARENT and place.depth == 1:
                cause = "a node of another tree, or the tree was moved"
            elif parent & ROOT_PARENT:
                cause = "the kernel takes the node for a root"
            elif (parent ^ expected) & ~PARENT_SLOT_MASK == 0:
                cause = "wrong parent slot"
            elif not (parent ^ expected) & NODE_MASK:
                cause = "wrong parent node"
        says = f"{parent:x} ({describe_parent(parent)})"
        wanted = f"{expected:x} ({describe_parent(expected)})"
        self.add(Violation(reading.node, 0, rule, wanted, says, sees, cause))
