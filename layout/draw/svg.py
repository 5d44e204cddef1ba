"""Drawings as SVG: a tree, or the bytes of one node. Colours follow light and dark mode."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from importlib import resources
from typing import TYPE_CHECKING, NamedTuple

from layout.host.progress import Progress
from layout.memory.meaning import NodeField, node_fields
from layout.memory.node import NODE_SIZE
from layout.memory.pointers import TYPE_NAMES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from layout.draw.scene import Box, Scene
    from layout.images.image import Image
    from layout.memory.nodeview import Visit

_BOX, _GAP, _LEVEL, _TALL = 200, 14, 92, 56
_CELL, _ROW = 22, 20
_WIDE = 640
"""Pixels: a box, between boxes, from level to level, a box's height; a byte; a row; a node."""
_LETTER = 7.3
"""Pixels of a character in most fonts."""
_BIT, _BITS = 19, 32
"""Pixels of a bit, and bits in a row."""

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


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture that can be part of another one: its size in pixels, its title, its elements."""

    width: float
    height: float
    title: str
    parts: Sequence[str]

    def svg(self) -> str:
        """The picture as a file."""
        return _svg(self.width, self.height, self.title, self.parts)


def stack(title: str, pictures: Sequence[Picture]) -> Picture:
    """One picture below the other."""
    height = 0.0
    parts = []
    for each in pictures:
        parts += [f'<g transform="translate(0 {height:.0f})">', *each.parts, "</g>"]
        height += each.height
    return Picture(max(each.width for each in pictures), height, title, parts)


def caption(text: str) -> Picture:
    """One line of text."""
    return Picture(8 * len(text) + 16, 26, text, [_text(8, 18, text)])


class Bits(NamedTuple):
    """Bits ``low`` to ``high`` of a word: what they are, and a style of a field's byte."""

    high: int
    low: int
    text: str
    style: str


def word_picture(title: str, word: int, size: int, fields: Sequence[Bits]) -> Picture:
    """A word of ``size`` bits, bit by bit, the highest first, with a legend."""
    parts = [_text(8, 18, title, "faint")]
    y = 28
    for top in range(size - 1, 0, -_BITS):
        for bit in range(top, top - _BITS, -1):
            x = 8 + (top - bit) * _BIT + (top - bit) // 8 * 6
            style = next((each.style for each in fields if each.low <= bit <= each.high), "f-bare")
            parts.append(_rect(style, (x, y), (_BIT - 1, _ROW - 1)))
            parts.append(_text(x + _BIT / 2, y + 14, str(word >> bit & 1), "middle"))
            if bit % 8 in {0, 7}:
                parts.append(_text(x + _BIT / 2, y + 30, str(bit), "small middle"))
        y += 40
    for each in fields:
        value = word >> each.low & (1 << each.high - each.low + 1) - 1
        bits = f"bit {each.low}" if each.high == each.low else f"bits {each.high}-{each.low}"
        parts.append(_rect(each.style, (8, y), (_BIT - 1, _ROW - 3)))
        parts.append(_text(34, y + 13, f"{bits}: {value:x}, {each.text}"))
        y += _ROW + 2
    return Picture(max(_BITS * _BIT + 40, 8 * len(title) + 16), y + 6, title, parts)


def colours() -> str:
    """The style sheet with the colours of fields and states, light and dark."""
    return (resources.files("layout.draw") / "colours.css").read_text(encoding="utf-8")


def tree_svg(scene: Scene, title: str) -> str:
    """tree_picture() as a file."""
    return tree_picture(scene, title).svg()


def tree_picture(scene: Scene, title: str) -> Picture:
    """A tree: a box for each node, with its range and a cell for each slot."""
    width = max(scene.width, 1) * (_BOX + _GAP) + _GAP
    height = max(scene.height, 1) * _LEVEL + 24
    parts = [_text(_GAP, 18, title, "faint")]
    for box in scene.boxes:
        parts += [_edge(box, child) for child in box.children]
    for box in Progress("drawing", len(scene.boxes), "boxes").over(scene.boxes):
        parts += _box(box)
    if not scene.boxes:
        parts.append(_text(_GAP, 48, "no nodes"))
    return Picture(max(width, 8 * len(title) + 2 * _GAP), height, title, parts)


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
    """node_picture() of a whole node as a file."""
    return node_picture(image, visit).svg()


def node_picture(image: Image, visit: Visit, offsets: range | None = None) -> Picture:
    """The bytes of a node, coloured by field, with names and meanings.

    ``offsets`` are the bytes that are shown, whole words; all 256 if it is left out.
    """
    shown = offsets or range(NODE_SIZE)
    mem = image.memory
    fields = node_fields(mem, visit.address, visit.type, visit.min, visit.max)
    word = mem.word_size
    title = f"{mem.arch.name}: {TYPE_NAMES[visit.type]} node {visit.address:x}, "
    title += f"{visit.min:x}-{visit.max:x}"
    parts = [_text(8, 18, title, "faint")]
    for y, at in enumerate(range(shown.start, shown.stop, word)):
        parts += _row(fields, at, word, 28 + y * _ROW)
    return Picture(_WIDE, len(shown) // word * _ROW + 34, title, parts)


def _row(fields: list[NodeField], at: int, word: int, y: int) -> Iterator[str]:
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
        room = int((_WIDE - 50 - word * _CELL) / _LETTER)
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
