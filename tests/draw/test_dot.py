"""Text for Graphviz: nodes, ports and edges."""

import re

from layout.draw.dot import tree_dot
from layout.draw.scene import scene


def test_edges_go_from_slots_to_children(run_trace):
    stores = "".join(f"store {i:x}0 {i:x}f {i + 1:x}001\n" for i in range(64))
    found = scene(run_trace(f"init 0\n{stores}"))
    text = tree_dot(found, "tree")
    edges = re.findall(r"^  n(\w+):s(\d+) -> n(\w+);$", text, re.MULTILINE)
    assert [(int(a, 16), int(slot), int(b, 16)) for a, slot, b in edges] == [
        (box.visit.address, child.slot, child.visit.address)
        for box in found.boxes
        for child in box.children
    ]
    labels = re.findall(r'^  n(\w+) \[label="\{(.*)\}"\];$', text, re.MULTILINE)
    assert [int(address, 16) for address, _ in labels] == [b.visit.address for b in found.boxes]
    leaf = labels[-1][1]
    assert "leaf_64" in leaf
    assert r"<s9> 3f0-3ff\nvalue 20000|" in leaf


def test_special_characters_of_a_title_and_of_graphviz(run_trace):
    text = tree_dot(scene(run_trace("init 0\nstore 5 6 3001\n")), 'a "b" \\ c')
    assert 'label="a \\"b\\" \\\\ c"' in text
