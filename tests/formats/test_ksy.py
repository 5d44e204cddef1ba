"""Kaitai Struct files, without their compiler: what stands in them."""

from __future__ import annotations

import pytest

import arches
from layout.formats.ksy import kaitai
from layout.memory import structs
from layout.memory.errors import UsageError


def lines(name, arch="s390x", version="6.12", **options):
    return list(kaitai(structs.profile(arches.get(arch), version, **options), name))


def test_a_struct_without_a_union_is_a_sequence():
    assert lines("maple_alloc") == [
        "# Made by maple-layout struct --format ksy.",
        "meta:",
        "  id: maple_alloc",
        "  title: struct maple_alloc on s390x 6.12 (4-byte lock)",
        "  endian: be",
        "seq:",
        "  - id: total",
        "    type: u8",
        "  - id: node_count",
        "    type: u1",
        "  - size: 3",
        "  - id: request_count",
        "    type: u4",
        "  - id: slot",
        "    repeat: expr",
        "    repeat-expr: 30",
        "    type: u8",
    ]


def test_a_union_makes_instances():
    told = lines("maple_range_64", "arm")
    assert "  endian: le" in told
    at = told.index("instances:")
    assert [line for line in told[at:] if "doc:" not in line] == [
        "instances:",
        "  slot:",
        "    pos: 128",
        "    repeat: expr",
        "    repeat-expr: 32",
        "    type: u4",
        "  meta:",
        "    pos: 252",
        "    type: maple_metadata",
        "    size: 2",
        "types:",
        "  maple_metadata:",
        "    seq:",
        "      - id: end",
        "        type: u1",
        "      - id: gap",
        "        type: u1",
    ]


def test_tagged_pointers_are_explained_and_enums_listed():
    told = "\n".join(lines("maple_node"))
    assert (
        "parent:\n    pos: 0\n    doc: 'Address of the parent node | slot in it << 3 | 6." in told
    )
    assert "as address of the node | type of the node (enum maple_type) << 3 | 4." in told
    assert told.endswith(
        "enums:\n  maple_type:\n    0: maple_dense\n    1: maple_leaf_64\n"
        "    2: maple_range_64\n    3: maple_arange_64"
    )


def test_members_after_a_union_keep_their_place():
    told = lines("maple_tree", config="debug-spinlock")
    at = told.index("  ma_flags:")
    assert told[at + 1] == "    pos: 24"
    assert "  ma_lock:" in told
    assert "  ma_external_lock:" not in told  # empty


def test_structs_without_a_name_get_one():
    told = lines("maple_copy", version="7.2")
    assert told[told.index("  - id: dst") + 1 :][:4] == [
        "    repeat: expr",
        "    repeat-expr: 3",
        "    type: maple_copy_dst",
        "    size: 24",
    ]
    assert "  maple_copy_src:" in told


def test_enums_have_none():
    with pytest.raises(UsageError, match="enum maple_type has no layout of its own"):
        lines("maple_type")
