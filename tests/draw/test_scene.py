"""Boxes of a drawing: every node once, at its slot, with what each slot is."""

from itertools import pairwise
from pathlib import Path

import pytest

from layout.draw.scene import scene
from layout.images.decode import decode
from layout.traces.inputs import load

CAPTURES = Path(__file__).parents[2] / "fixtures/captures"


@pytest.mark.parametrize("path", sorted(CAPTURES.glob("*level3.json")), ids=lambda path: path.stem)
def test_every_node_stands_once_below_its_parent(path):
    image = load(str(path))
    nodes = decode(image.memory, image.tree).nodes
    found = scene(image)
    assert [box.visit for box in found.boxes] == nodes
    assert found.height == 3
    children = [child.visit.address for box in found.boxes for child in box.children]
    assert sorted(children) == sorted(node.address for node in nodes[1:])
    for box in found.boxes:
        assert [child.slot for child in box.children] == sorted({c.slot for c in box.children})
        for child in box.children:
            assert box.view.ranges[child.slot].first == child.visit.min
        assert not box.children or box.children[0].x <= box.x <= box.children[-1].x
    leaves = [box.x for box in found.boxes if not box.children]
    assert sorted(leaves) == list(range(found.width))
    for depth in range(3):
        level = [box.x for box in found.boxes if box.visit.depth == depth]
        assert all(b - a >= 1 for a, b in pairwise(level))


def leaf(run_trace, count):
    stores = "".join(f"store {i:x}0 {i:x}f {i + 1:x}001\n" for i in range(count))
    [box] = scene(run_trace(f"init 0\n{stores}")).boxes
    return [box.cell(i) for i in range(box.slots)]


def test_slots_are_told_apart(run_trace):
    used = ["used"] * 3 + ["null"] + ["free"] * 11
    assert leaf(run_trace, 3) == [*used, "meta"]
    assert leaf(run_trace, 14) == ["used"] * 14 + ["null", "meta"]
    assert leaf(run_trace, 15) == ["used"] * 15 + ["null"]


def test_a_tree_without_nodes(run_trace):
    found = scene(run_trace("init 0\nstore 0 0 3001\n"))
    assert (found.boxes, found.width, found.height, found.problems) == ([], 0, 0, [])
