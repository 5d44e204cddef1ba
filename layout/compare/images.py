"""All differences between the trees of two images: words of the tree, ranges, nodes.

If both images have the tree at the same address (two dumps of a running system, a trace at two
lines), nodes are matched by address. Otherwise they are matched by depth and range. Fields are
compared as the numbers that machines read, so byte order alone is no difference.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from layout.compare.difference import IGNORED, Places, same_words, shown
from layout.images.decode import decode
from layout.memory.meaning import node_fields

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from layout.images.decode import Decoded
    from layout.images.image import Image
    from layout.memory.nodeview import Visit

Range = tuple[int, int, int]
"""First index, last index (inclusive), entry."""


class WordChange(NamedTuple):
    """A word of struct maple_tree, as each side has it."""

    name: str
    before: int
    after: int


class RangeChange(NamedTuple):
    """A range that came (``before`` is None), went (``after`` is None) or changed."""

    before: Range | None
    after: Range | None


class FieldChange(NamedTuple):
    """A field at ``offset`` bytes in its node; None where one side has another field there."""

    name: str
    offset: int
    before: int | None
    after: int | None
    used: bool


class NodeChange(NamedTuple):
    """A node that came, went or changed; ``fields`` are in order of their offsets."""

    before: Visit | None
    after: Visit | None
    fields: tuple[FieldChange, ...] = ()

    @property
    def reused(self) -> bool:
        """Whether it is another node now: of another type, range or depth."""
        if self.before is None or self.after is None:
            return False
        return self.before._replace(address=0) != self.after._replace(address=0)


@dataclass(frozen=True, slots=True)
class ImageDiff:
    """What differs between two images; ``equal_nodes`` counts those that are the same."""

    words: tuple[WordChange, ...]
    ranges: tuple[RangeChange, ...]
    nodes: tuple[NodeChange, ...]
    equal_nodes: int
    sides: tuple[Decoded, Decoded]

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
                    "before": _place(change.before),
                    "after": _place(change.after),
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
    for left, right in pairs:
        fields = _changed_fields(a, left, b, right, places) if left and right else ()
        change = NodeChange(left, right, fields)
        if left is None or right is None or fields or change.reused:
            nodes.append(change)
    changed = len([1 for change in nodes if change.before and change.after])
    ranges = tuple(_range_changes(sides[0].ranges, sides[1].ranges))
    return ImageDiff(words, ranges, tuple(nodes), len(both) - changed, sides)


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
