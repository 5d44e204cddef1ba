"""A tree as boxes with places: what all drawings of it have in common."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from layout.host.progress import Progress
from layout.images.decode import decode
from layout.memory.nodeview import view
from layout.memory.pointers import LEAF_64, mte_to_node

if TYPE_CHECKING:
    from layout.images.image import Image
    from layout.memory.nodeview import NodeView, Visit


@dataclass
class Box:
    """One node: what was read from it, its children, and its place among the leaves.

    ``slot`` is its slot in the parent, -1 for the root. ``x`` counts leaves from the left.
    """

    visit: Visit
    view: NodeView
    slots: int
    slot: int = -1
    children: list[Box] = field(default_factory=list)
    x: float = 0

    def cell(self, i: int) -> str:
        """What slot ``i`` is: used, null, meta (the metadata lie over it) or free."""
        if i < len(self.view.ranges):
            return "used" if self.view.ranges[i].word else "null"
        return "meta" if self.view.has_meta and i == self._meta_slot else "free"

    @property
    def _meta_slot(self) -> int:
        return self.slots - 1 if self.visit.type <= LEAF_64 + 1 else -1


@dataclass
class Scene:
    """A tree's boxes in breadth-first order, and how many leaves it is wide."""

    boxes: list[Box]
    width: int
    problems: list[str]

    @property
    def height(self) -> int:
        """The number of levels."""
        return 1 + max((box.visit.depth for box in self.boxes), default=-1)


def scene(image: Image) -> Scene:
    """The boxes of the tree in an image. Raises MachineFault where it can't be read at all."""
    mem = image.memory
    found = decode(mem, image.tree)
    boxes: dict[int, Box] = {}
    nodes = Progress(f"drawing {image.source}", len(found.nodes), "nodes")
    for visit in nodes.over(found.nodes):
        seen = view(mem, visit.address, visit.type, visit.min, visit.max)
        boxes[visit.address] = Box(visit, seen, mem.profile.sizes.slots[visit.type])
    for box in boxes.values():
        if box.visit.type == LEAF_64:
            continue
        for each in box.view.ranges:
            child = boxes.get(mte_to_node(each.word))
            if child is not None and child.slot < 0 and child.visit.depth == box.visit.depth + 1:
                child.slot = each.slot
                box.children.append(child)
    order = _leaves(next(iter(boxes.values()))) if boxes else []
    for number, leaf in enumerate(order):
        leaf.x = number
    for box in reversed(boxes.values()):  # children first
        if box.children:
            box.x = (box.children[0].x + box.children[-1].x) / 2
    return Scene(list(boxes.values()), len(order), found.problems)


def _leaves(root: Box) -> list[Box]:
    """The boxes without children, from left to right."""
    found = []
    pending = [root]
    while pending:
        box = pending.pop()
        if box.children:
            pending += reversed(box.children)
        else:
            found.append(box)
    return found
