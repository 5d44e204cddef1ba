"""The fields of nodes: names, places, values and meanings, over real and made bytes."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from machines import ARANGE, LEAF, RANGE, THREE

import arches
from layout.images.decode import decode
from layout.memory import structs
from layout.memory.errors import MachineFault
from layout.memory.meaning import node_fields
from layout.memory.node import NodeMemory
from layout.show.fields import fields_text
from layout.show.text import plain
from layout.traces.inputs import load

CAPTURES = Path(__file__).parents[2] / "fixtures" / "captures"
NODE = 0x1000000400
ULONG_MAX = 0xFFFFFFFFFFFFFFFF


def memory(arch, raw=bytes(256)):
    machine = arches.get(arch)
    mem = NodeMemory(machine, structs.profile(machine))
    mem.map(NODE, bytearray(raw), "node")
    return mem


def by_name(fields):
    return {field.name: field for field in fields}


@pytest.mark.parametrize("arch", THREE)
@pytest.mark.parametrize("mt", [LEAF, RANGE, ARANGE])
@settings(deadline=None, max_examples=25)
@given(raw=st.binary(min_size=256, max_size=256), zero_pivot=st.booleans())
def test_the_fields_cover_every_byte_once(arch, mt, raw, zero_pivot):
    if zero_pivot:
        raw = raw[:120] + bytes(8) + raw[128:]
    mem = memory(arch, raw)
    fields = node_fields(mem, NODE, mt, 0x10, ULONG_MAX)
    at = 0
    for field in fields:
        assert field.offset == at
        assert field.raw == raw[at : at + field.size]
        assert field.value == int.from_bytes(field.raw, mem.arch.byteorder)
        assert field.meaning
        at += field.size
    assert at == 256
    assert len(by_name(fields)) == len(fields)
    for line in fields_text(fields):
        assert plain(line)


def test_a_captured_arange_node():
    image = load(str(CAPTURES / "s390x-6.12.95-medium.json"))
    fields = node_fields(image.memory, 0x2A51800, ARANGE, 0, ULONG_MAX)
    assert [plain(line) for line in fields_text(fields)][:6] == [
        "    0  00 00 00 00 02 03 a4 01  parent    root of tree 203a400",
        "    8  00 00 03 ff b3 fd 5f ff  pivot[0]  slot 0 is for 0-3ffb3fd5fff",
        "   16  00 00 03 ff b4 01 2f ff  pivot[1]  slot 1 is for 3ffb3fd6000-3ffb4012fff",
        "   24  00 00 03 ff b4 03 7f ff  pivot[2]  slot 2 is for 3ffb4013000-3ffb4037fff",
        "   32  ff ff ff ff ff ff ff ff  pivot[3]  slot 3 is for 3ffb4038000-ffffffffffffffff",
        "   40  00 00 00 00 00 00 00 00  pivot[4]  unused",
    ]
    named = by_name(fields)
    assert (named["slot[2]"].offset, named["slot[2]"].meaning) == (96, "leaf_64 node 2a52100")
    assert (named["gap[1]"].value, named["gap[1]"].meaning) == (
        0x9000,
        "largest gap below slot 1: 9000",
    )
    assert (named["meta.end"].offset, named["meta.end"].meaning) == (240, "data ends at slot 3")
    assert (named["meta.gap"].offset, named["meta.gap"].meaning) == (
        241,
        "largest gap is at slot 3",
    )
    assert (named["pad"].offset, named["pad"].size, named["pad"].used) == (242, 6, False)
    assert (named["tail"].offset, named["tail"].size, named["tail"].used) == (248, 8, False)


def test_a_captured_leaf():
    image = load(str(CAPTURES / "x86_64-6.12.117-mt_plain200.json"))
    visit = decode(image.memory, image.tree).nodes[-1]
    named = by_name(node_fields(image.memory, visit.address, visit.type, visit.min, visit.max))
    assert named["parent"].raw.hex() == "5650320580" + "88ffff"
    assert named["parent"].meaning == "slot 10 of node ffff888005325000"
    assert (named["slot[1]"].value, named["slot[1]"].meaning) == (0x18B, "value c5")
    assert named["slot[0]"].meaning == "NULL"
    assert (named["meta.end"].offset, named["meta.end"].value) == (248, 6)
    assert (named["meta.gap"].offset, named["meta.gap"].meaning) == (249, "unused")
    assert (named["pad"].offset, named["pad"].size) == (250, 6)
    assert "slot[15]" not in named


@pytest.mark.parametrize("arch", THREE)
def test_a_full_leaf_has_slot_15_and_no_metadata(arch):
    mem = memory(arch)
    mem.set_pivots(NODE, 0, [16 * (i + 1) - 1 for i in range(15)])
    mem.set_slots(NODE, LEAF, 0, [0x1000 * (i + 1) for i in range(16)])
    named = by_name(node_fields(mem, NODE, LEAF, 0, 0xFFF))
    assert not {"meta.end", "meta.gap", "pad"} & set(named)
    assert named["slot[15]"].offset == 248
    assert named["slot[15]"].raw == (0x10000).to_bytes(8, mem.arch.byteorder)
    assert named["slot[15]"].meaning == (
        "entry 10000 (an entry, no metadata: all slots are in use)"
    )


@pytest.mark.parametrize("arch", THREE)
@pytest.mark.parametrize(
    ("end", "meaning"),
    [
        (14, "data ends at slot 14, as the last pivot says"),
        (3, "data ends at slot 14, as the last pivot says; metadata, which is not read, says 3"),
    ],
)
def test_a_leaf_that_ends_at_pivot_14(arch, end, meaning):
    mem = memory(arch)
    mem.set_pivots(NODE, 0, [16 * (i + 1) - 1 for i in range(15)])
    mem.set_meta(NODE, LEAF, 0, end)
    assert by_name(node_fields(mem, NODE, LEAF, 0, 239))["meta.end"].meaning == meaning


def test_leftovers_and_damage_are_told():
    mem = memory("s390x")
    mem.set_pivots(NODE, 0, [9, 0x13, 0x77])
    mem.set_slots(NODE, LEAF, 0, [0x11, 0x406, 0x5500])
    mem.set_meta(NODE, LEAF, 7, 1)
    named = by_name(node_fields(mem, NODE, LEAF, 0, 0x13))
    assert named["slot[1]"].meaning == "XA_ZERO"
    assert named["pivot[2]"].meaning == "unused, holds 77"
    assert named["slot[2]"].meaning == "unused, holds 5500"
    assert named["meta.gap"].meaning == "unused, holds 7"
    mem.set_pivot(NODE, 0, 0x15)
    named = by_name(node_fields(mem, NODE, LEAF, 0, 0x13))
    assert named["pivot[0]"].meaning == "out of order: 15"
    mem.set_pivot(NODE, 0, 9)
    mem.set_meta(NODE, LEAF, 0, 0xEE)
    named = by_name(node_fields(mem, NODE, LEAF, 0, 0x13))
    assert named["meta.end"].meaning == "data would end at slot 238, which the pivots deny"


def test_a_last_pivot_that_was_left_out():
    mem = memory("x86_64")
    mem.set_pivots(NODE, 0, [9, 0])
    mem.set_meta(NODE, LEAF, 0, 1)
    named = by_name(node_fields(mem, NODE, LEAF, 0, 0x13))
    assert named["pivot[1]"].meaning == "slot 1 ends with the node, at 13"


@pytest.mark.parametrize("arch", THREE)
def test_the_last_index_is_guessed(arch):
    """Without a walk, a node's own data end tells whether the last word is metadata."""
    for name, visits in _visits(arch):
        for visit in visits:
            known = node_fields(name.memory, visit.address, visit.type, visit.min, visit.max)
            guessed = node_fields(name.memory, visit.address, visit.type)
            assert [field.name for field in guessed] == [field.name for field in known]


def _visits(arch):
    for path in sorted(CAPTURES.glob(f"{arch}-*.json*")):
        image = load(str(path))
        yield image, decode(image.memory, image.tree).nodes


def test_a_node_of_no_type():
    with pytest.raises(MachineFault):
        node_fields(memory("x86_64"), NODE, 0)
    with pytest.raises(MachineFault):
        node_fields(memory("x86_64"), NODE + 0x1000, LEAF)
