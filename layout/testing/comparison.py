"""The output of ``assert a == b``: fields of nodes that differ, and the slots of numbers."""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING

from layout.compare.side_by_side import heading, lines
from layout.images.decode import decode
from layout.mapletree import MapleTree, Node
from layout.memory.errors import MapleLayoutError
from layout.memory.nodeview import view
from layout.memory.pointers import LEAF_64
from layout.show.text import plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from layout.compare.difference import Difference

_PLACES = 2
"""Slots that hold a number which are told."""


def explain(left: object, right: object, *, full: bool) -> list[str] | None:
    """Lines on two trees, nodes or lists of nodes that are not equal; None for anything else.

    The fields that differ, or with ``full`` all fields of both nodes side by side.
    """
    if isinstance(left, MapleTree) and isinstance(right, MapleTree):
        return _told(f"{left!r} == {right!r}", left.difference(right), full=full)
    if isinstance(left, Node) and isinstance(right, Node):
        return _told(f"{_name(left)} == {_name(right)}", left.difference(right), full=full)
    if isinstance(left, list) and isinstance(right, list):
        return _lists(left, right, full=full)
    return None


def explain_numbers(op: str, left: int, right: int, values: Iterable[object]) -> list[str] | None:
    """Two numbers in decimal and hex, and where the trees among ``values`` hold them as entries.

    None if there is no tree, or nothing to tell that decimal digits do not.
    """
    trees = [value for value in values if isinstance(value, MapleTree)]
    if not trees or isinstance(left, bool) or isinstance(right, bool):
        return None
    if max(abs(left), abs(right)) < 10:
        return None
    told = [f"{left} {op} {right}", "", f"{left:#x} {op} {right:#x}"]
    for number in (left, right):
        places = [place for tree in trees for place in _places(tree, number)]
        told += places[:_PLACES]
        if len(places) > _PLACES:
            told.append(f"{number:#x} is in {len(places) - _PLACES} more slots")
    return told


def _places(tree: MapleTree, number: int) -> Iterator[str]:
    """The slots of leaves that hold this entry."""
    if not number:
        return
    try:
        visits = decode(tree.machine.mem, tree.address).nodes
    except MapleLayoutError:
        return
    for visit in visits:
        if visit.type != LEAF_64:
            continue
        seen = view(tree.machine.mem, visit.address, visit.type, visit.min, visit.max)
        for slot in seen.ranges:
            if slot.word == number:
                where = f"slot[{slot.slot}] of leaf {visit.address:x}"
                yield f"{number:#x} is the entry of {slot.first:#x}-{slot.last:#x}, {where}"


def _lists(left: list[object], right: list[object], *, full: bool) -> list[str] | None:
    if not all(isinstance(node, Node) for node in [*left, *right]):
        return None
    for i, (a, b) in enumerate(zip_longest(left, right)):
        if not (isinstance(a, Node) and isinstance(b, Node)):
            break
        if a != b:
            return _told(f"{_name(a)} == {_name(b)}, at index {i}", a.difference(b), full=full)
    return [f"{len(left)} nodes == {len(right)} nodes", "", "the nodes that both have are equal"]


def _name(node: Node) -> str:
    return f"<Node {node.address:x} on {node.profile.arch.name}, {node.first:x}-{node.last:x}>"


def _told(what: str, found: Difference | None, *, full: bool) -> list[str]:
    if found is None:  # equal now: they have changed since they were compared
        return [what, "", "no field differs any more"]
    told = [plain(line) for line in lines(found, full=full)]
    if not full:
        fields = [line for line in told if line.startswith("!")]
        told = [heading(found), *fields]
        if fields:
            told.append("(-vv shows all fields)")
    return [what, "", *told]
