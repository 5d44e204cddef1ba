"""A validator for damaged trees: finds every violation in any image, not only the first.

The walk keeps the path from the root and the set of visited nodes. It visits no node twice and goes
no deeper than ma_flags can represent. So it ends on any memory. Where words contradict each other,
it takes the reading with the fewest contradictions (``layout.images.reading``).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from layout.host.progress import Progress
from layout.images.links import (
    CHILD_SLOT,
    GAPS,
    MAX_VIOLATIONS,
    GaveUpError,
    Links,
    Place,
)
from layout.images.nodeastree import FLAGS
from layout.images.nodecheck import (
    STALE,
    SWAPPED,
    TAKEN,
    check_entries,
    check_node,
    swap,
)
from layout.images.reading import slot_bounds
from layout.images.violation import Report, Rule, Violation
from layout.memory.errors import MachineFault
from layout.memory.pointers import (
    ARANGE_64,
    ENODE_NULL,
    LEAF_64,
    MAPLE_HEIGHT_MAX,
    MT_FLAGS_ALLOC_RANGE,
    NODE_MASK,
    RANGE_64,
    ROOT_NODE,
    mt_height,
    xa_is_advanced,
    xa_is_node,
)

if TYPE_CHECKING:
    from layout.images.reading import Reading
    from layout.memory.node import NodeMemory


def validate(mem: NodeMemory, tree: int) -> list[Violation]:
    """Every violation in the tree whose struct maple_tree is at ``tree``; empty if it is valid.

    Never raises, whatever the bytes. O(n) for n nodes.
    """
    return check(mem, tree).violations


def check(mem: NodeMemory, tree: int) -> Report:
    """The violations of a tree, and how many nodes were visited. Never raises. O(n)."""
    return _Validator(mem, tree).run()


@dataclass(slots=True)
class _Frame:
    """A node above the leaves; its slots from ``slot`` on are not visited yet.

    ``gaps`` are the largest NULL ranges below the earlier slots, None if unknown.
    """

    reading: Reading
    place: Place
    visit: int
    slot: int = 0
    gaps: list[int | None] = field(default_factory=list)


class _Validator(Links):
    """One walk of a tree."""

    progress: Progress

    def run(self) -> Report:
        """Walk the tree."""
        try:
            with Progress("validating", unit="nodes") as self.progress:
                self._run()
        except GaveUpError:
            end = Violation(
                self.tree,
                0,
                Rule.TOO_MANY,
                f"at most {MAX_VIOLATIONS} violations",
                "more: the rest is not told",
            )
            self.found.append((self.visits + 1, 0, end))
        self.found.sort(key=lambda item: item[:2])
        return Report([item[2] for item in self.found], len(self.seen), self.height)

    def _run(self) -> None:
        mem, tree = self.mem, self.tree
        try:
            flags, root = mem.ma_flags(tree), mem.ma_root(tree)
        except MachineFault as fault:
            self.add(Violation(tree, 0, Rule.TREE_READABLE, "a struct maple_tree", fault.kind))
            return
        self.inner = ARANGE_64 if flags & MT_FLAGS_ALLOC_RANGE else RANGE_64
        self.height = mt_height(flags)
        struct = mem.profile.layout("maple_tree")
        flags_at, root_at = struct.offset("ma_flags"), struct.offset("ma_root")
        if flags & ~FLAGS:
            swapped = int.from_bytes(flags.to_bytes(4, "little"), "big")
            self.add(
                Violation(
                    tree,
                    flags_at,
                    Rule.TREE_FLAGS,
                    f"no bits beside {FLAGS:x}",
                    f"{flags:x}",
                    "",
                    SWAPPED if not swapped & ~FLAGS else "",
                )
            )
        if not xa_is_node(root):
            self._check_single(root, root_at, flags_at)
            return
        place = Place(root, tree, root_at, 0, 1, 0, mem.arch.ulong_max, exact=True)
        self.check_height(flags_at, root)
        self._walk(place)

    def _check_single(self, root: int, root_at: int, flags_at: int) -> None:
        """A root word that is an entry or NULL."""
        mem, tree = self.mem, self.tree
        if xa_is_advanced(root):
            self.add(Violation(tree, root_at, Rule.RESERVED_ENTRY, TAKEN, f"{root:x}"))
        if not self.height:
            return
        cause = ""
        for word, why in ((root | ROOT_NODE, "the root's bit 1 lost"), (swap(mem, root), SWAPPED)):
            if root and word & 7 == ENODE_NULL | ROOT_NODE and self.parent(word) == tree | 1:
                cause = why
        if cause:
            expected = "a node, as the height says"
            self.add(Violation(tree, root_at, Rule.NODE_WORD, expected, f"{root:x}", "", cause))
        else:
            self.add(Violation(tree, flags_at, Rule.TREE_HEIGHT, "0", str(self.height)))

    # -- the walk

    def _walk(self, root: Place) -> None:
        """Visit all nodes, in the order of their indexes on each level."""
        path: list[_Frame] = []
        frame, gap = self._visit(root)
        if frame:
            path.append(frame)
        while path:
            frame = path[-1]
            if frame.slot > frame.reading.end:
                path.pop()
                gap = self._check_gaps(frame)
                if path:
                    path[-1].gaps.append(gap)
                continue
            below, gap = self._visit(self._next_place(frame))
            frame.slot += 1
            if below:
                path.append(below)
            else:
                frame.gaps.append(gap)

    def _next_place(self, frame: _Frame) -> Place:
        """The slot that a frame comes to next."""
        reading, i = frame.reading, frame.slot
        first, last = slot_bounds(reading, i)
        if i == 0:
            minimum, exact = reading.minimum, frame.place.exact
        elif first is not None:
            minimum, exact = first, True
        else:
            below = [j for j in reading.trusted if j < i]
            minimum = reading.pivot(below[-1]) + 1 if below else reading.minimum
            exact = False
        return Place(
            word=reading.words[self.mem.slot0[reading.type] + i],
            holder=reading.node,
            offset=self.mem.slot_offset[reading.type] + i * self.mem.word_size,
            slot=i,
            depth=frame.place.depth + 1,
            minimum=minimum,
            maximum=last,
            exact=exact,
        )

    def _visit(self, place: Place) -> tuple[_Frame | None, int | None]:
        """Check one node: a frame for what is below it, or the largest gap of a leaf."""
        word = place.word
        if not word:
            expected = "a node"
            self.refuse(place, Rule.CHILD_PRESENT, expected, "NULL", CHILD_SLOT)
            return None, None
        if place.depth > MAPLE_HEIGHT_MAX:
            expected = f"at most {MAPLE_HEIGHT_MAX} levels"
            self.refuse(place, Rule.LEAF_DEPTH, expected, "more")
            return None, None
        node = word & ~NODE_MASK
        if not self.is_first(place, node):
            return None, None
        reading = self.read(place)
        if reading is None:
            self.before = 1
            return None, None
        self.seen.add(node)
        self.visits += 1
        self.progress.at(self.visits)
        self.check_parent(place, reading)
        for violation in check_node(self.mem, reading, root=place.depth == 1):
            self.add(violation)
        if reading.type != LEAF_64:
            return _Frame(reading, place, self.visits), None
        for violation in check_entries(self.mem, reading, self.before):
            self.add(violation)
        self.before = reading.words[self.mem.slot0[LEAF_64] + reading.end]
        return None, self._leaf_gap(place, reading)

    # -- gaps

    def _leaf_gap(self, place: Place, reading: Reading) -> int | None:
        """The largest NULL range of a leaf, None where its bounds are not known."""
        slot0 = self.mem.slot0[LEAF_64]
        largest = 0
        for i, entry in enumerate(reading.words[slot0 : slot0 + reading.end + 1]):
            if entry:
                continue
            first, last = slot_bounds(reading, i)
            if first is None or last is None or not (i or place.exact):
                return None
            largest = max(largest, last - first + 1)
        return largest

    def _check_gaps(self, frame: _Frame) -> int | None:
        """Check the gaps of a node whose children were visited; its largest gap, if known."""
        reading, gaps = frame.reading, frame.gaps
        known = [gap for gap in gaps if gap is not None]
        largest = max(known) if len(known) == len(gaps) else None
        if reading.type != ARANGE_64 or self.inner != ARANGE_64:
            return largest
        mem, words, node = self.mem, reading.words, reading.node
        stored = words[mem.gap0 : mem.gap0 + mem.profile.sizes.slots[ARANGE_64]]
        for i, held in enumerate(stored):
            behind = i > reading.end
            wanted = 0 if behind else gaps[i]
            if wanted is None or held == wanted:
                continue
            cause = STALE if behind else ""
            if not behind and swap(mem, held) == wanted:
                cause = SWAPPED
            rule = Rule.UNUSED_GAP if behind else Rule.GAP
            at = mem.gap_offset + i * mem.word_size
            self.add(
                Violation(node, at, rule, f"{wanted:x}", f"{held:x}", GAPS, cause), frame.visit
            )
        believed = [held if gap is None else gap for gap, held in zip(gaps, stored, strict=False)]
        offset = mem.meta_gap(node)
        if offset > reading.end or believed[offset] != max(believed):
            best = believed.index(max(believed))
            at = mem.meta_offset[ARANGE_64] + 1
            self.add(
                Violation(node, at, Rule.METADATA_GAP, str(best), str(offset), GAPS), frame.visit
            )
        return largest
