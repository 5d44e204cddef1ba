"""The first difference in meaning between two nodes, trees or results.

Fields are compared as the numbers that each machine reads, so byte order alone is no difference. If
both machines run the same trace, their nodes have the same addresses. Two images can contain the
same tree at different addresses. Then pointers are equal if they point to nodes at the same
position in their trees.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from layout.images.decode import decode
from layout.memory.meaning import node_fields
from layout.memory.nodeview import end_by_pivot
from layout.memory.pointers import NODE_MASK, ROOT_PARENT

if TYPE_CHECKING:
    from collections.abc import Iterable

    from layout.images.image import Image
    from layout.memory.node import NodeMemory
    from layout.memory.nodeview import Visit

IGNORED = frozenset({"pad", "tail"})
"""Fields that no kernel code reads or writes one by one."""


@dataclass(frozen=True, slots=True)
class Difference:
    """The first difference between two sides."""

    arches: tuple[str, str]
    """The names of the sides: machines, or left and right."""
    field: str
    """A field of a struct, or a key of a transcript line."""
    values: tuple[Any, Any]
    """The values of both sides."""
    line: int | None = None
    """The line of the trace, if a trace was run."""
    op: str = ""
    """The operation of that line."""
    node: int | None = None
    """The address of the node, if the difference is in one."""
    offset: int | None = None
    """The byte in that node where the field begins."""
    sides: tuple[tuple[NodeMemory, Visit], tuple[NodeMemory, Visit]] | None = None
    """The memory and the node of each side, for output."""
    places: Places | None = None
    """Pointers to the same position in these are equal."""

    def as_json(self) -> dict[str, Any]:
        """The difference as JSON has it: addresses and words in hex."""
        return {
            "line": self.line,
            "arches": list(self.arches),
            "node": None if self.node is None else f"{self.node:x}",
            "offset": self.offset,
            "field": self.field,
            "values": list(self.values),
        }


class Places:
    """Maps the nodes of two images that have the same position in their trees."""

    def __init__(self, a: Image, b: Image, nodes: Iterable[tuple[Visit, Visit]]) -> None:
        self._roots = (a.tree | ROOT_PARENT, b.tree | ROOT_PARENT)
        self._nodes = {left.address: right.address for left, right in nodes}

    def same(self, left: int, right: int) -> bool:
        """Whether two words are equal, or point to the same place with the same tags."""
        if left == right or (left, right) == self._roots:
            return True
        if left & NODE_MASK != right & NODE_MASK:
            return False
        return self._nodes.get(left & ~NODE_MASK) == right & ~NODE_MASK


def same_words(a: NodeMemory, b: NodeMemory, visit: Visit) -> bool:
    """Whether a node's words and metadata are equal; quicker than looking at each field."""
    node, mt = visit.address, visit.type
    words_a, words_b = a.read_node(node, mt), b.read_node(node, mt)
    if end_by_pivot(a, words_a, mt, visit.max) == a.profile.sizes.pivots[mt]:
        return words_a == words_b  # the last word is a slot
    meta_word = a.meta_offset[mt] // a.word_size
    return (
        words_a[:meta_word] == words_b[:meta_word]
        and a.meta_end(node, mt) == b.meta_end(node, mt)
        and a.meta_gap(node, mt) == b.meta_gap(node, mt)
    )


def between_nodes(
    a: tuple[NodeMemory, Visit],
    b: tuple[NodeMemory, Visit],
    places: Places | None = None,
    *,
    exact: bool = True,
) -> Difference | None:
    """The first field that differs; without ``places`` pointers have to be equal.

    Unless ``exact`` what is left over in fields that neither side uses does not count.
    """
    fields = []
    for mem, visit in (a, b):
        found = node_fields(mem, visit.address, visit.type, visit.min, visit.max)
        fields.append({field.name: field for field in found})
    names = (a[0].arch.name, b[0].arch.name)
    for name, left in fields[0].items():
        right = fields[1].get(name)
        if name in IGNORED or not (exact or left.used or (right and right.used)):
            continue
        if right is None:  # one side has metadata where the other has a slot
            other = next(f for f in fields[1].values() if f.offset + f.size > left.offset)
            values = (shown(name, left.value), f"{other.name} {shown(other.name, other.value)}")
        elif left.value == right.value or (places and places.same(left.value, right.value)):
            continue
        else:
            values = (shown(name, left.value), shown(name, right.value))
        where, at = a[1].address, left.offset
        return Difference(names, name, values, node=where, offset=at, sides=(a, b), places=places)
    return None


def shown(name: str, value: int) -> str:
    """A field's value in text: slot numbers of the metadata in decimal, words in hex."""
    return str(value) if name.startswith("meta.") else f"{value:x}"


def between_images(a: Image, b: Image, *, exact: bool = True) -> Difference | None:
    """The first difference between the trees of two images, in breadth-first order.

    Unless ``exact`` neither addresses nor what is left over in unused fields count.
    """
    found = decode(a.memory, a.tree), decode(b.memory, b.tree)
    names = (a.arch.name, b.arch.name)
    tree = a.profile.layout("maple_tree")
    pairs = list(zip(found[0].nodes, found[1].nodes, strict=False))
    same_space = a.tree == b.tree or not pairs or pairs[0][0].address == pairs[0][1].address
    places = Places(a, b, pairs[:1] if same_space and exact else pairs)
    words = {
        "ma_flags": (found[0].flags, found[1].flags),
        "ma_root": (found[0].root, found[1].root),
    }
    for field, (left, right) in words.items():
        if left != right and not (field == "ma_root" and places.same(left, right)):
            values = (f"{left:x}", f"{right:x}")
            return Difference(names, field, values, node=a.tree, offset=tree.offset(field))
    for pair in pairs:
        if pair[0].type == pair[1].type:
            difference = between_nodes(
                (a.memory, pair[0]), (b.memory, pair[1]), places, exact=exact
            )
            if difference is not None:
                return difference
    if found[0].ranges != found[1].ranges or len(found[0].nodes) != len(found[1].nodes):
        counts = (f"{len(found[0].nodes)} nodes", f"{len(found[1].nodes)} nodes")
        return Difference(names, "nodes that can be reached", counts)
    return None
