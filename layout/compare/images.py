"""All differences between the trees of two images: words of the tree, ranges, nodes.

If both images have the tree at the same address (two dumps of a running system, a trace at two
lines), nodes are matched by address. Then a node that went was replaced if other nodes have its
range now, and what its memory holds now is told. Otherwise nodes are matched by depth and range.
Fields are compared as the numbers that machines read, so byte order alone is no difference.
"""

from __future__ import annotations

import itertools
from bisect import bisect_left
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from layout.compare.difference import IGNORED, Places, same_words, shown
from layout.images.decode import decode
from layout.memory.errors import MachineFault
from layout.memory.meaning import node_fields
from layout.memory.node import NODE_SIZE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from layout.images.decode import Decoded
    from layout.images.image import Image
    from layout.memory.nodeview import Visit

Range = tuple[int, int, int]
"""First index, last index (inclusive), entry."""


class WordChange(NamedTuple):
    """A word of struct maple_tree that differs."""

    name: str
    """``ma_flags`` or ``ma_root``."""
    before: int
    """What the first image has."""
    after: int
    """What the second one has."""


class RangeChange(NamedTuple):
    """A range that came, went or changed."""

    before: Range | None
    """The range in the first image; None if it came."""
    after: Range | None
    """The range in the second one; None if it went."""


class FieldChange(NamedTuple):
    """A field of a node that differs."""

    name: str
    """The field, with its index."""
    offset: int
    """Its first byte in the node."""
    before: int | None
    """Its value in the first image; None if that has another field there."""
    after: int | None
    """Its value in the second one; None if that has another field there."""
    used: bool
    """Whether the kernel would read it, on one side at least."""


class NodeChange(NamedTuple):
    """A node that came, went or changed."""

    before: Visit | None
    """The node in the first image; None if it came."""
    after: Visit | None
    """The node in the second one; None if it went."""
    fields: tuple[FieldChange, ...] = ()
    """The fields that differ, in order of their offsets."""
    successors: tuple[Visit, ...] = ()
    """Of a node that went: the nodes that have its range now."""
    fate: str | None = None
    """Of a node that went: what its memory holds now.

    It is ``dead`` (marked so, perhaps freed), ``wiped`` (zeros), ``unchanged`` or ``reused``
    (anything else), or None where the other image does not tell.
    """
    moved: bool = False
    """Whether its level, counted from the leaves, differs."""

    @property
    def kind(self) -> str:
        """One of KINDS."""
        if self.before is None:
            return "came"
        if self.after is None:
            return "replaced" if self.successors else "went"
        return "reused" if self.reused else "changed"

    @property
    def reused(self) -> bool:
        """Whether it is another node now: of another type or level, or for another range.

        The kernel never changes the range of a node, it takes new ones. Their depth changes as
        the tree grows; ``moved`` says that the level from the leaves does.
        """
        before, after = self.before, self.after
        if before is None or after is None:
            return False
        return self.moved or before[1:4] != after[1:4]


KINDS = ("came", "went", "changed", "replaced", "reused")
"""What can become of a node; ``reused`` is one at the same address in another place."""


@dataclass(frozen=True, slots=True)
class ImageDiff:
    """All that differs between two images."""

    words: tuple[WordChange, ...]
    """The words of struct maple_tree that differ."""
    ranges: tuple[RangeChange, ...]
    """The ranges that came, went or changed, in order."""
    nodes: tuple[NodeChange, ...]
    """The nodes that came, went or changed."""
    equal_nodes: int
    """How many nodes are the same."""
    sides: tuple[Decoded, Decoded]
    """The tree of each image, decoded."""

    def __bool__(self) -> bool:
        return bool(self.words or self.ranges or self.nodes)

    def as_json(self) -> dict[str, object]:
        """The diff as JSON has it: indexes, entries, addresses and words in hex."""
        return {
            "words": [
                {"name": word.name, "values": [f"{word.before:x}", f"{word.after:x}"]}
                for word in self.words
            ],
            "ranges": [
                {"before": _hex(change.before), "after": _hex(change.after)}
                for change in self.ranges
            ],
            "nodes": [
                {
                    "change": change.kind,
                    "before": _place(change.before),
                    "after": _place(change.after),
                    "replaced_by": [f"{visit.address:x}" for visit in change.successors],
                    "memory": change.fate,
                    "fields": [
                        {
                            "field": field.name,
                            "offset": field.offset,
                            "values": [
                                None if value is None else shown(field.name, value)
                                for value in (field.before, field.after)
                            ],
                            "used": field.used,
                        }
                        for field in change.fields
                    ],
                }
                for change in self.nodes
            ],
        }


def _hex(found: Range | None) -> list[str] | None:
    return None if found is None else [f"{number:x}" for number in found]


def _place(visit: Visit | None) -> dict[str, str | int] | None:
    if visit is None:
        return None
    return {
        "address": f"{visit.address:x}",
        "type": visit.type,
        "min": f"{visit.min:x}",
        "max": f"{visit.max:x}",
        "depth": visit.depth,
    }


def diff_images(a: Image, b: Image) -> ImageDiff:
    """Everything that differs from ``a`` to ``b``.

    Raises MachineFault where a struct maple_tree can't be read. O(n log n) of both trees.
    """
    sides = decode(a.memory, a.tree), decode(b.memory, b.tree)
    pairs = list(_matched(a, b, sides))
    both = [(left, right) for left, right in pairs if left and right]
    places = Places(a, b, [(left, right) for left, right in both if left.address != right.address])
    words = tuple(
        WordChange(name, left, right)
        for name, left, right in (
            ("ma_flags", sides[0].flags, sides[1].flags),
            ("ma_root", sides[0].root, sides[1].root),
        )
        if left != right and not (name == "ma_root" and places.same(left, right))
    )
    nodes = []
    follow = _Successors(sides) if a.tree == b.tree else None
    for left, right in pairs:
        fields = _changed_fields(a, left, b, right, places) if left and right else ()
        change = NodeChange(left, right, fields)
        if follow and left:
            change = follow.told(change, a, b)
        if left is None or right is None or fields or _place_differs(left, right):
            nodes.append(change)
    changed = len([1 for change in nodes if change.before and change.after])
    ranges = tuple(_range_changes(sides[0].ranges, sides[1].ranges))
    return ImageDiff(words, ranges, tuple(nodes), len(both) - changed, sides)


def _place_differs(left: Visit, right: Visit) -> bool:
    """Whether two nodes are of another type, range or depth."""
    return left._replace(address=0) != right._replace(address=0)


class _Successors:
    """Finds the nodes that have the range of one that went, on the same level from the leaves."""

    def __init__(self, sides: tuple[Decoded, Decoded]) -> None:
        self._depths = [max((visit.depth for visit in side.nodes), default=0) for side in sides]
        old = {visit.address: visit for visit in sides[0].nodes}
        levels: dict[int, list[Visit]] = defaultdict(list)
        for visit in sides[1].nodes:
            before = old.get(visit.address)
            if before is None or self._change(before, visit).reused:
                levels[self._depths[1] - visit.depth].append(visit)
        self._levels = {
            level: sorted(visits, key=lambda visit: visit.min) for level, visits in levels.items()
        }

    def _change(self, before: Visit, after: Visit) -> NodeChange:
        levels = self._depths[0] - before.depth, self._depths[1] - after.depth
        return NodeChange(before, after, moved=levels[0] != levels[1])

    def told(self, change: NodeChange, a: Image, b: Image) -> NodeChange:
        """The change with what can be said of a node that was there before."""
        before = change.before
        assert before is not None
        if change.after is not None:
            return change._replace(moved=self._change(before, change.after).moved)
        row = self._levels.get(self._depths[0] - before.depth, [])
        at = bisect_left(row, before.min, key=lambda visit: visit.max)
        found = itertools.takewhile(lambda visit: visit.min <= before.max, row[at:])
        return change._replace(successors=tuple(found), fate=_fate(a, before, b))


def _fate(a: Image, before: Visit, b: Image) -> str | None:
    """What lies where a node was."""
    if a.arch.name != b.arch.name:
        return None
    try:
        old, new = (side.memory.read(before.address, NODE_SIZE) for side in (a, b))
        parent = b.memory.parent(before.address)
    except MachineFault:
        return None
    if new == old:
        return "unchanged"
    if not any(new):
        return "wiped"
    return "dead" if parent == before.address else "reused"


def _matched(
    a: Image, b: Image, sides: tuple[Decoded, Decoded]
) -> Iterator[tuple[Visit | None, Visit | None]]:
    """Each node of either side with the same node of the other, in order of depth and range."""
    one_space = a.tree == b.tree

    def key(visit: Visit) -> object:
        return visit.address if one_space else (visit.depth, visit.min, visit.max)

    others = {key(visit): visit for visit in sides[1].nodes}
    for visit in sides[0].nodes:
        yield visit, others.pop(key(visit), None)
    for visit in others.values():
        yield None, visit


def _changed_fields(
    a: Image, left: Visit, b: Image, right: Visit, places: Places
) -> tuple[FieldChange, ...]:
    if left == right and same_words(a.memory, b.memory, left):
        return ()
    by_name = []
    for image, visit in ((a, left), (b, right)):
        found = node_fields(image.memory, visit.address, visit.type, visit.min, visit.max)
        by_name.append({field.name: field for field in found if field.name not in IGNORED})
    changes = []
    for name in dict.fromkeys([*by_name[0], *by_name[1]]):
        one, two = by_name[0].get(name), by_name[1].get(name)
        if one and two and (one.value == two.value or places.same(one.value, two.value)):
            continue
        present = [field for field in (one, two) if field]
        changes.append(
            FieldChange(
                name,
                present[0].offset,
                one.value if one else None,
                two.value if two else None,
                any(field.used for field in present),
            )
        )
    return tuple(sorted(changes, key=lambda change: change.offset))


def _range_changes(left: Iterable[Range], right: Iterable[Range]) -> Iterator[RangeChange]:
    """In order: what is on one side only, and pairs that overlap and share an end or the entry."""
    one, two = set(left), set(right)
    gone = sorted(one - two, reverse=True)
    come = sorted(two - one, reverse=True)
    while gone or come:
        if gone and come and _same_range(gone[-1], come[-1]):
            yield RangeChange(gone.pop(), come.pop())
        elif gone and (not come or gone[-1][0] <= come[-1][0]):
            yield RangeChange(gone.pop(), None)
        else:
            yield RangeChange(None, come.pop())


def _same_range(one: Range, two: Range) -> bool:
    if one[0] > two[1] or two[0] > one[1]:
        return False
    return one[0] == two[0] or one[1] == two[1] or one[2] == two[2]
