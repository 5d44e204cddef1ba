"""Dumps in JSON, read back as images."""

from __future__ import annotations

import json

import pytest

from layout.images.decode import decode
from layout.images.dumpfile import read_dump
from layout.memory.errors import InputError, UsageError

LEAF = (
    "0000000fffff0001"
    + "0000000000000009" + "ffffffffffffffff" + "00" * 8 * 13
    + "0000000000000011" + "00" * 8 * 14
    + "0100000000000000"
)  # fmt: skip


def dump(**changes):
    doc = {
        "arch": "sparc64",
        "tree": "fffff0000",
        "root": "100000000e",
        "flags": "4",
        "nodes": [{"addr": "1000000000", "type": 1, "hex": LEAF, "fields": {}}],
    } | changes
    return json.dumps({key: value for key, value in doc.items() if value is not None}).encode()


def test_a_dump_is_an_image():
    image = read_dump(dump(), "d")
    assert (image.kind, image.tree, image.arch.name) == ("dump", 0xFFFFF0000, "sparc64")
    assert image.memory.read(0x1000000000, 256).hex() == LEAF
    found = decode(image.memory, image.tree)
    assert (found.problems, found.ranges, found.height) == ([], [(0, 9, 0x11)], 1)


def test_only_its_own_tree():
    assert read_dump(dump(), "d", tree=0xFFFFF0000).tree == 0xFFFFF0000
    with pytest.raises(UsageError, match=r"d holds one tree, at fffff0000, and none at 0"):
        read_dump(dump(), "d", tree=0)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"tree": None}, r"^d: 'tree' is missing"),
        ({"root": "zz"}, r"^d: root: a hex number is needed"),
        ({"flags": "100000000"}, r"^d: flags: a number from 0 to ffffffff"),
        ({"arch": "z80"}, r"^d: arch: unknown architecture"),
        ({"tree": "1000000010"}, r"^d: tree: what lies at 1000000010 overlaps"),
        ({"tree": "fffff0004"}, r"^d: tree: .* misaligned address fffff0004"),
        ({"nodes": [{"addr": "0", "hex": "00"}]}, r"^d: nodes\[0\].hex: a node has 256 bytes"),
    ],
)
def test_damage(changes, text):
    with pytest.raises(InputError, match=text):
        read_dump(dump(**changes), "d")
