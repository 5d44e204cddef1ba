"""A tree as text for Graphviz: a record for each node, with a port for each slot in use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layout.memory.pointers import LEAF_64, TYPE_NAMES, describe_entry

if TYPE_CHECKING:
    from layout.draw.scene import Box, Scene


def tree_dot(scene: Scene, title: str) -> str:
    """The digraph of a tree."""
    label = title.replace("\\", "\\\\").replace('"', '\\"')
    lines = [
        "digraph maple_tree {",
        f'  label="{label}"; labelloc=t; fontname=monospace;',
        "  node [shape=record, fontname=monospace, fontsize=10];",
    ]
    for box in scene.boxes:
        lines.append(f'  n{box.visit.address:x} [label="{_label(box)}"];')
        lines += [
            f"  n{box.visit.address:x}:s{child.slot} -> n{child.visit.address:x};"
            for child in box.children
        ]
    return "\n".join([*lines, "}", ""])


def _label(box: Box) -> str:
    visit = box.visit
    head = f"{TYPE_NAMES[visit.type]} {visit.address:x}\\n{visit.min:x}-{visit.max:x}"
    slots = []
    for each in box.view.ranges:
        what = f"\\n{describe_entry(each.word)}" if visit.type == LEAF_64 else ""
        slots.append(f"<s{each.slot}> {each.first:x}-{each.last:x}{what}")
    return "{" + head + "|{" + "|".join(slots) + "}}"
