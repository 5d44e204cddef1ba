"""Text that lacks lines: the bytes of which node are not there is told."""

from __future__ import annotations

from pathlib import Path

import pytest

import arches
from layout.images.decode import decode
from layout.images.missing import missing_bytes
from layout.images.paste import read_paste
from layout.images.treestruct import Known
from layout.images.validator import validate
from layout.memory.errors import InputError
from layout.traces.inputs import load

FIXTURES = Path(__file__).parents[2] / "fixtures"
RD = (FIXTURES / "paste" / "crash-rd.txt").read_text().splitlines()
ROOT, LEAF = 0xFFFF8880053FE500, 0xFFFF8880053FE700
FIRST = {ROOT: 1, LEAF: 18}
"""The number of each node's first line in that text, from 0."""


def read(lines, arch="x86_64", tree=None):
    data = "".join(f"{line}\n" for line in lines).encode()
    return read_paste(data, "f", tree=tree, arch=arches.get(arch), known=Known())


def spoiled(node, row, line=None):
    """The text with another line, or none, in place of a row of 16 bytes of a node."""
    at = FIRST[node] + row
    assert RD[at].startswith(f"{node + 16 * row:x}:")
    return [*RD[:at], *([] if line is None else [line]), *RD[at + 1 :]]


@pytest.mark.parametrize("row", range(16))
def test_a_line_of_the_root(row):
    says = (
        f"^f: node {ROOT:x}: bytes {16 * row}-{16 * row + 15} are not in the text: add their lines$"
    )
    with pytest.raises(InputError, match=says):
        read(spoiled(ROOT, row)[:-2] if row % 2 else spoiled(ROOT, row)[:17])


@pytest.mark.parametrize("row", range(16))
def test_a_line_of_the_first_leaf(row):
    image = read(spoiled(LEAF, row))
    gone = f"{16 * row}-{16 * row + 15}"
    assert image.notes[1].startswith(
        "ma_flags taken at offset 4 of struct maple_tree (30b): its height"
    )
    assert image.notes[2:] == [f"node {LEAF:x}: bytes {gone} are not in the text: add their lines"]
    found = decode(image.memory, image.tree)
    assert found.problems == [
        f"node {ROOT:x}: slot 0 is {LEAF:x}".replace("e700", "e70c")
        + f": bytes {gone} of node {LEAF:x} are missing"
    ]
    whole = read(RD)
    assert found.ranges == decode(whole.memory, whole.tree).ranges[7:]
    [violation] = [v for v in validate(image.memory, image.tree) if "missing" in v.actual]
    assert violation.actual == f"{LEAF | 0xC:x} (bytes {gone} of the node are missing)"


@pytest.mark.parametrize(
    ("line", "gone"),
    [
        ("...", "96-111"),
        ("--More--", "96-111"),
        ("ffff8880053fe760:  000000000000z000 0000000000000000", "96-111"),
        ("ffff8880053fe760:  0000000000000000", "104-111"),
    ],
)
def test_what_takes_the_place_of_a_line(line, gone):
    notes = read(spoiled(LEAF, 6, line)).notes
    assert notes[2:] == [f"node {LEAF:x}: bytes {gone} are not in the text: add their lines"]


def test_a_text_that_ends_early():
    with pytest.raises(InputError, match=f"^f: node {ROOT:x}: bytes 208-255 are not in the text"):
        read(RD[:14])
    with pytest.raises(InputError, match=r"bytes 16-31, 48-63 are not in the text"):
        read([line for i, line in enumerate(RD[:17]) if i not in {2, 4}])


@pytest.mark.parametrize("name", ["s390x-6.12.95-sleep", "sparc64-6.12.117-sleep"])
def test_a_root_leaf_alone(name):
    image = load(str(FIXTURES / "captures" / f"{name}.json"))
    [node] = decode(image.memory, image.tree).nodes
    raw, at = image.memory.read(node.address, 256), node.address
    lines = [
        f"{at + i:x}:  {raw[i : i + 8].hex()} {raw[i + 8 : i + 16].hex()}"
        for i in range(0, 256, 16)
    ]
    assert read(lines, image.arch.name).tree == image.tree
    says = f"^f: node {at:x}: bytes 112-127 are not in the text: add their lines$"
    for tree in (None, image.tree):
        with pytest.raises(InputError, match=says):
            read([*lines[:7], *lines[8:]], image.arch.name, tree)


def test_bytes_that_memory_lacks():
    image = read(spoiled(LEAF, 3))
    assert missing_bytes(image.memory, LEAF) == "48-63"
    assert missing_bytes(image.memory, ROOT) is None  # it is whole
    assert missing_bytes(image.memory, 0x1000) is None  # nothing of it is there


def test_a_few_bytes_of_a_node_are_no_part_of_it_that_is_told():
    image = read([*RD[:17], f"{LEAF + 3:x}: 12", *RD[-2:]])
    assert missing_bytes(image.memory, LEAF) is None
    assert len(image.notes) == 2
    assert (
        decode(image.memory, image.tree).problems[0].endswith("a pointer into nowhere (unmapped)")
    )


def test_no_height_where_no_leaf_is_there():
    image = read([*RD[:17], *RD[-2:]])
    height = "the tree's height could not be measured, as no leaf below its root can be read"
    assert image.notes[1] == f"ma_flags taken at offset 4 of struct maple_tree (30b): {height}"
