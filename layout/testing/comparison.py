"""What ``assert a == b`` tells of trees and nodes: the fields of the first node that differs."""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING

from layout.compare.side_by_side import heading, lines
from layout.mapletree import MapleTree, Node
from layout.show.text import plain

if TYPE_CHECKING:
    from layout.compare.difference import Difference


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
    told = [plain(line) for line in lines(found)]
    if not full:
        fields = [line for line in told if line.startswith("!")]
        told = [heading(found), *fields]
        if fields:
            told.append("(-vv shows all fields)")
    return [what, "", *told]
