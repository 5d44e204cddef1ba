"""C headers, without a compiler: what stands in them and in which order."""

from __future__ import annotations

import pytest

import arches
from layout.formats.cheader import header
from layout.memory import structs
from layout.memory.errors import UsageError


def text(names, arch="x86_64", version="6.12", **options):
    return "\n".join(header(structs.profile(arches.get(arch), version, **options), names))


def test_a_struct_and_what_it_needs():
    assert text(["maple_arange_64"]) == (
        "/* The maple tree's structs on x86_64 6.12 (4-byte lock). "
        "Made by maple-layout struct --format c. */\n"
        "#ifndef MAPLE_LAYOUT_H\n"
        "#define MAPLE_LAYOUT_H\n"
        "\n"
        "#include <stddef.h>\n"
        "\n"
        '_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "x86_64 is little-endian");\n'
        "\n"
        "typedef unsigned char u8;\n"
        "\n"
        "struct maple_metadata {\n"
        "\tunsigned char end;\n"
        "\tunsigned char gap;\n"
        "};\n"
        '_Static_assert(sizeof(struct maple_metadata) == 2, "size of struct maple_metadata");\n'
        '_Static_assert(_Alignof(struct maple_metadata) == 1, "alignment of struct maple_metadata");\n'
        '_Static_assert(offsetof(struct maple_metadata, end) == 0, "offset of struct maple_metadata.end");\n'
        '_Static_assert(sizeof(((struct maple_metadata *)0)->end) == 1, "size of struct maple_metadata.end");\n'
        '_Static_assert(offsetof(struct maple_metadata, gap) == 1, "offset of struct maple_metadata.gap");\n'
        '_Static_assert(sizeof(((struct maple_metadata *)0)->gap) == 1, "size of struct maple_metadata.gap");\n'
        "\n"
        "struct maple_arange_64 {\n"
        "\tstruct maple_pnode *parent;\n"
        "\tunsigned long pivot[9];\n"
        "\tvoid *slot[10];\n"
        "\tunsigned long gap[10];\n"
        "\tstruct maple_metadata meta;\n"
        "};\n"
        '_Static_assert(sizeof(struct maple_arange_64) == 248, "size of struct maple_arange_64");\n'
        '_Static_assert(_Alignof(struct maple_arange_64) == 8, "alignment of struct maple_arange_64");\n'
        '_Static_assert(offsetof(struct maple_arange_64, parent) == 0, "offset of struct maple_arange_64.parent");\n'
        '_Static_assert(sizeof(((struct maple_arange_64 *)0)->parent) == 8, "size of struct maple_arange_64.parent");\n'
        '_Static_assert(offsetof(struct maple_arange_64, pivot) == 8, "offset of struct maple_arange_64.pivot");\n'
        '_Static_assert(sizeof(((struct maple_arange_64 *)0)->pivot) == 72, "size of struct maple_arange_64.pivot");\n'
        '_Static_assert(offsetof(struct maple_arange_64, slot) == 80, "offset of struct maple_arange_64.slot");\n'
        '_Static_assert(sizeof(((struct maple_arange_64 *)0)->slot) == 80, "size of struct maple_arange_64.slot");\n'
        '_Static_assert(offsetof(struct maple_arange_64, gap) == 160, "offset of struct maple_arange_64.gap");\n'
        '_Static_assert(sizeof(((struct maple_arange_64 *)0)->gap) == 80, "size of struct maple_arange_64.gap");\n'
        '_Static_assert(offsetof(struct maple_arange_64, meta) == 240, "offset of struct maple_arange_64.meta");\n'
        '_Static_assert(sizeof(((struct maple_arange_64 *)0)->meta) == 2, "size of struct maple_arange_64.meta");\n'
        "\n"
        "#endif"
    )


def test_each_definition_comes_once_and_before_its_use():
    lines = text(["maple_node", "maple_tree", "enum maple_type"], "s390x").splitlines()
    starts = [line for line in lines if line.startswith(("struct ", "enum ", "typedef "))]
    assert starts == [
        "typedef unsigned char u8;",
        "struct rcu_head {",
        "enum maple_type {",
        "struct maple_metadata {",
        "struct maple_range_64 {",
        "struct maple_arange_64 {",
        "struct maple_alloc {",
        "struct maple_node {",
        "typedef struct {",
        "typedef struct {",
        "struct maple_tree {",
    ]
    assert "\tvoid (*func)(struct rcu_head *);" in lines
    assert '_Static_assert(sizeof(enum maple_type) == 4, "size of enum maple_type");' in lines


def test_locks():
    plain = text(["maple_tree"], lock_size=12).splitlines()
    at = plain.index("typedef struct {")
    assert plain[at + 1 : at + 4] == ["\tunsigned int lock;", "\tu8 rest[8];", "} spinlock_t;"]
    debugged = text(["maple_tree"], config="lockdep")
    assert "typedef struct spinlock spinlock_t;" in debugged
    assert "typedef struct lockdep_map *lockdep_map_p;" in debugged
    assert "\t\t\tu8 __padding[24];" in debugged
    assert "typedef struct raw_spinlock raw_spinlock_t;" in text(["maple_tree"], config="rt")


def test_alignment_that_an_attribute_asks_for():
    assert "} __attribute__((aligned(4)));" in text(["rcu_head"], "m68k")
    assert "__attribute__" not in text(["rcu_head"], "arm")


def test_arrays_of_structs_without_a_name():
    lines = text(["maple_copy"], version="7.2").splitlines()
    at = lines.index("struct maple_copy {")
    assert lines[at + 1 : at + 6] == [
        "\tstruct {",
        "\t\tstruct maple_node *node;",
        "\t\tunsigned long max;",
        "\t\tenum maple_type mt;",
        "\t} dst[3];",
    ]
    assert any("offsetof(struct maple_copy, src[0].mt) == 92" in line for line in lines)


def test_names_that_do_not_exist():
    with pytest.raises(UsageError, match=r"no struct 'nothing' in 6\.12"):
        text(["nothing"])
