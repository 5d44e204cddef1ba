"""Fields as JSON, and single nodes of a dump."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from machines import LEAF

import arches
from layout.images.decode import decode
from layout.memory import structs
from layout.memory.errors import UsageError
from layout.memory.meaning import node_fields
from layout.memory.node import NodeMemory
from layout.show import dump
from layout.show.fields import fields_json
from layout.traces.inputs import load

CAPTURES = Path(__file__).parents[2] / "fixtures" / "captures"
NODE = 0x1000000400


def memory(arch):
    machine = arches.get(arch)
    mem = NodeMemory(machine, structs.profile(machine))
    mem.map(NODE, bytearray(256), "node")
    return mem


def test_json_values():
    image = load(str(CAPTURES / "x86_64-6.12.117-mt_plain200.json"))
    visits = decode(image.memory, image.tree).nodes[:1]
    doc = json.loads("".join(dump.json_text(image.memory, image.tree, visits)))
    assert (doc["arch"], doc["tree"], doc["flags"]) == ("x86_64", "ffffffffc0203590", "c")
    [node] = doc["nodes"]
    assert (node["addr"], node["type"]) == ("ffff888005325c00", 2)
    assert node["hex"] == image.memory.read(0xFFFF888005325C00, 256).hex()
    assert node["fields"]["pivot[0]"] == "4a6"
    assert node["fields"]["slot[1]"] == "ffff888005325014"
    assert node["fields"]["meta.end"] == 1


def test_fields_json_keeps_the_order():
    fields = node_fields(memory("s390x"), NODE, LEAF)
    assert list(fields_json(fields)) == [field.name for field in fields]


def test_one_node():
    image = load(str(CAPTURES / "s390x-6.12.95-medium.json"))
    visits = decode(image.memory, image.tree).nodes
    assert dump.one_node(image.memory, visits, 0x2A51200) == visits[1]
    assert dump.one_node(image.memory, visits, 0x2A5120C) == visits[1]
    assert dump.one_node(image.memory, [], 0x2A5120C) == (0x2A51200, LEAF, 0, 0x3FFB3FD5FFF, -1)
    with pytest.raises(
        UsageError, match=r"node 2a51200 is not in the tree: .* 2a5120c \(leaf_64\)"
    ):
        dump.one_node(image.memory, [], 0x2A51200)
    with pytest.raises(UsageError, match=r"a node of type 5"):
        dump.one_node(image.memory, visits, 0x2A5122C | 0x100000)
    with pytest.raises(UsageError, match=r"no memory for a node at 500"):
        dump.one_node(image.memory, visits, 0x50C)


def test_headings():
    image = load(str(CAPTURES / "s390x-6.12.95-medium.json"))
    assert dump.tree_heading(image.memory, image.tree) == (
        "s390x tree 203a400, flags 30b (height 2, alloc range, RCU, external lock), "
        "root arange_64 node 2a51800"
    )
    assert dump.describe_flags(0x800) == "height 0, alloc wrapped"
    visits = decode(image.memory, image.tree).nodes
    assert dump.node_heading(visits[1]) == "leaf_64 node 2a51200, depth 1, 0-3ffb3fd5fff"
