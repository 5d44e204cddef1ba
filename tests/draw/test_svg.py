"""SVG: what is drawn are the node's own bytes, fields and ranges."""

from xml.etree import ElementTree as ET

import pytest

import arches
from layout import defects
from layout.draw.scene import scene
from layout.draw.svg import Bits, caption, node_picture, node_svg, stack, tree_svg, word_picture
from layout.images.decode import decode
from layout.memory.meaning import node_fields

SVG = "{http://www.w3.org/2000/svg}"


def texts(svg, style=None):
    return [
        each.text
        for each in ET.fromstring(svg).iter(f"{SVG}text")
        if style is None or style in (each.get("class") or "")
    ]


def styles(svg):
    return [each.get("class") for each in ET.fromstring(svg).iter(f"{SVG}rect")]


@pytest.mark.parametrize("arch", ["x86_64", "s390x", "sparc64", "i386", "m68k"])
def test_a_node_shows_all_its_bytes_in_order(run_trace, arch):
    trace = defects.get("R1").trace.replace("ffffffffffffffff", "ffffffff")
    image = run_trace(trace, arch=arches.get(arch))
    [leaf] = decode(image.memory, image.tree).nodes
    svg = node_svg(image, leaf)
    raw = image.memory.read(leaf.address, 256)
    assert texts(svg, "middle") == [f"{byte:02x}" for byte in raw]
    shown = styles(svg)
    for field in node_fields(image.memory, leaf.address, leaf.type, leaf.min, leaf.max):
        if field.name in {"parent", "pivot[0]", "slot[0]", "meta.end"}:
            assert f"f-{field.name.partition('[')[0].partition('.')[0]}" in shown
            assert any(text.startswith(f"{field.name}  ") for text in texts(svg))


def test_the_metadata_of_r1_lie_at_byte_248_on_both_orders(run_trace):
    for arch, byte in (("x86_64", 0), ("s390x", 0)):
        image = run_trace(defects.get("R1").trace, arch=arches.get(arch))
        [leaf] = decode(image.memory, image.tree).nodes
        root = ET.fromstring(node_svg(image, leaf))
        boxes = [e for e in root.iter(f"{SVG}rect") if e.get("class") == "f-meta"]
        last = max(float(e.get("y")) for e in root.iter(f"{SVG}rect") if e.get("y"))
        assert {float(e.get("y")) for e in boxes} == {last}
        assert min(float(e.get("x")) for e in boxes) == 42 + 22 * byte
        assert image.memory.read(leaf.address + 248, 2) == b"\x0e\x00"


def test_a_tree_shows_each_node_and_joins_it_to_its_parent(run_trace):
    stores = "".join(f"store {i:x}0 {i:x}f {i + 1:x}001\n" for i in range(64))
    found = scene(run_trace(f"init 1\n{stores}"))
    svg = tree_svg(found, "a <title> & more")
    assert len(found.boxes) > 4
    for box in found.boxes:
        assert any(text.endswith(f" {box.visit.address:x}") for text in texts(svg))
    paths = list(ET.fromstring(svg).iter(f"{SVG}path"))
    assert len(paths) == len(found.boxes) - 1
    cells = [box.cell(i) for box in found.boxes for i in range(box.slots)]
    shown = styles(svg)
    assert {kind: shown.count(kind) for kind in set(cells)} == {
        kind: cells.count(kind) for kind in set(cells)
    }
    assert texts(svg)[0] == "a <title> & more"


def test_an_empty_tree_is_a_picture_too(run_trace):
    assert "no nodes" in texts(tree_svg(scene(run_trace("init 0\n")), "t"))


@pytest.mark.parametrize("size", [32, 64])
def test_a_word_bit_by_bit(size):
    word = 0x8000_010C
    fields = [Bits(size - 1, 8, "address", "f-slot"), Bits(6, 3, "type", "f-pivot")]
    picture = word_picture("a word", word, size, fields)
    every = ET.fromstring(picture.svg()).iter(f"{SVG}text")
    assert "".join(e.text for e in every if e.get("class") == "middle") == f"{word:0{size}b}"
    marks = texts(picture.svg(), "small middle")
    assert marks == [str(bit) for top in range(size - 1, 0, -8) for bit in (top, top - 7)]
    assert f"bits {size - 1}-8: 800001, address" in texts(picture.svg())
    assert "bits 6-3: 1, type" in texts(picture.svg())
    assert styles(picture.svg()).count("f-slot") == size - 8 + 1


def test_a_stack_is_as_high_as_its_parts(run_trace):
    image = run_trace(defects.get("R1").trace)
    [leaf] = decode(image.memory, image.tree).nodes
    part = node_picture(image, leaf, range(240, 256))
    assert texts(part.svg(), "middle") == [
        f"{b:02x}" for b in image.memory.read(leaf.address + 240, 16)
    ]
    both = stack("both", [part, caption("between"), part])
    assert both.height == 2 * part.height + caption("between").height
    assert texts(both.svg(), "middle") == 2 * texts(part.svg(), "middle")
