"""Drawings as SVG: a tree, or the bytes of one node. Colours follow light and dark mode."""

from __future__ import annotations

from html import escape
from importlib import resources
from typing import TYPE_CHECKING

from layout.memory.meaning import NodeField, node_fields
from layout.memory.node import NODE_SIZE
from layout.memory.pointers import TYPE_NAMES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from layout.draw.scene import Box, Scene
    from layout.images.image import Image
    from layout.memory.nodeview import Visit

_BOX, _GAP, _LEVEL, _TALL = 200, 14, 92, 56
_CELL, _ROW = 22, 20
_WIDE = 620
"""Pixels: a box, between boxes, from level to level, a box's height; a byte; a row; a node."""

_STYLE = """
text { font: 12px ui-monospace, "DejaVu Sans Mono", Menlo, monospace; fill: var(--ink); }
text.small { font-size: 10px; } text.small, text.faint { fill: var(--faint); }
text.middle { text-anchor: middle; } text.end { text-anchor: end; }
.box { fill: var(--panel); stroke: var(--faint); } .edge { stroke: var(--faint); fill: none; }
.back { fill: var(--back); } .used { fill: var(--slot); stroke: var(--faint); }
.null { fill: var(--back); stroke: var(--faint); }
.meta { fill: var(--meta); stroke: var(--faint); }
.free { fill: none; stroke: var(--line); stroke-dasharray: 2 2; }
.f-parent { fill: var(--parent); } .f-pivot { fill: var(--pivot); } .f-slot { fill: var(--slot); }
.f-gap { fill: var(--gap); } .f-meta { fill: var(--meta); } .f-bare { fill: none; }
"""


def colours() -> str:
    """The style sheet with the colours of fields and states, light and dark."""
    return (resources.files("layout.draw") / "colours.css").read_text(encoding="utf-8")


def tree_svg(scene: Scene, title: str) -> str:
    """A tree: a box for each node, with its range and a cell for each slot."""
    width = max(scene.width, 1) * (_BOX + _GAP) + _GAP
    height = max(scene.height, 1) * _LEVEL + 24
    parts = [_text(_GAP, 18, title, "faint")]
    for box in scene.boxes:
        parts += [_edge(box, child) for child in box.children]
    for box in scene.boxes:
        parts += _box(box)
    if not scene.boxes:
        parts.append(_text(_GAP, 48, "no nodes"))
    return _svg(max(width, 8 * len(title) + 2 * _GAP), height, title, parts)


def _place(box: Box) -> tuple[float, float]:
    return _GAP + box.x * (_BOX + _GAP), 30 + box.visit.depth * _LEVEL


def _step(box: Box) -> float:
    return (_BOX - 12) / box.slots


def _edge(box: Box, child: Box) -> str:
    x, y = _place(box)
    a, b = x + 6 + (child.slot + 0.5) * _step(box), y + _TALL
    c, d = _place(child)[0] + _BOX / 2, _place(child)[1]
    m = (b + d) / 2
    return f'<path class="edge" d="M{a:.1f},{b} C{a:.1f},{m} {c:.1f},{m} {c:.1f},{d}"/>'


def _box(box: Box) -> Iterator[str]:
    x, y = _place(box)
    visit = box.visit
    yield f'<rect class="box" x="{x:.1f}" y="{y}" width="{_BOX}" height="{_TALL}" rx="4"/>'
    yield _text(x + 6, y + 15, f"{TYPE_NAMES[visit.type]} {visit.address:x}")
    bounds = f"{visit.min:x}-{visit.max:x}"
    yield _text(x + 6, y + 29, bounds if len(bounds) <= 23 else bounds[:22] + "\u2026", "small")
    step = _step(box)
    for i in range(box.slots):
        at = x + 6 + i * step
        yield _rect(box.cell(i), (at, y + 37), (step - 1, 13))


def node_svg(image: Image, visit: Visit) -> str:
    """The 256 bytes of a node, coloured by field, with names and meanings."""
    mem = image.memory
    fields = node_fields(mem, visit.address, visit.type, visit.min, visit.max)
    word = mem.word_size
    title = f"{mem.arch.name}: {TYPE_NAMES[visit.type]} node {visit.address:x}, "
    title += f"{visit.min:x}-{visit.max:x}"
    parts = [_text(8, 18, title, "faint")]
    for at in range(0, NODE_SIZE, word):
        parts += _row(fields, at, word)
    return _svg(_WIDE, NODE_SIZE // word * _ROW + 34, title, parts)


def _row(fields: list[NodeField], at: int, word: int) -> Iterator[str]:
    y = 28 + at // word * _ROW
    yield _text(34, y + 14, str(at), "faint end")
    for field in fields:
        for offset in range(max(field.offset, at), min(field.offset + field.size, at + word)):
            kind = field.name.partition("[")[0].partition(".")[0]
            style = kind if field.used and kind not in {"pad", "tail"} else "bare"
            x = 42 + (offset - at) * _CELL
            yield _rect(f"f-{style}", (x, y), (_CELL - 1, _ROW - 1))
            shade = " faint" if style == "bare" else ""
            byte = f"{field.raw[offset - field.offset]:02x}"
            yield _text(x + _CELL / 2 - 0.5, y + 14, byte, f"middle{shade}")
    here = [field for field in fields if at <= field.offset < at + word]
    used = [field for field in here if field.used] or here[:1]
    text = "; ".join(f"{field.name}  {field.meaning}" for field in used)
    if text:
        shade = "" if used[0].used else "faint"
        room = (_WIDE - 50 - word * _CELL) // 8
        yield _text(
            50 + word * _CELL,
            y + 14,
            text if len(text) <= room else text[: room - 1] + "\u2026",
            shade,
        )


def _rect(style: str, place: tuple[float, float], size: tuple[float, float]) -> str:
    x, y = place
    width, height = size
    return f'<rect class="{style}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height}"/>'


def _text(x: float, y: float, text: str, style: str = "") -> str:
    name = f' class="{style}"' if style else ""
    return f'<text x="{x:.1f}" y="{y:.1f}"{name}>{escape(text)}</text>'


def _svg(width: float, height: float, title: str, parts: Iterable[str]) -> str:
    start = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" role="img">'
    )
    return "\n".join(
        [
            start,
            f"<title>{escape(title)}</title>",
            f"<style>{colours()}{_STYLE}</style>",
            '<rect class="back" width="100%" height="100%"/>',
            *parts,
            "</svg>",
            "",
        ]
    )
