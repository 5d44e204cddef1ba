"""Struct layouts: as JSON what the machines' compilers said, as text what pahole would print."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from machines import THREE

import arches
from layout.formats.pahole import as_json, find, names, pahole
from layout.memory import structs
from layout.memory.errors import UsageError

LAYOUTS = Path(__file__).parents[2] / "fixtures" / "layouts"
KNOWN = {
    version: json.loads((LAYOUTS / f"layouts-{version}.json").read_text())
    for version in ("6.1", "6.12")
}
CASES = [
    (version, arch, name)
    for version, machines in KNOWN.items()
    for arch in THREE
    for name in machines[arch]
    if name not in ("tables", "byteorder")
]


def profile(arch="x86_64", version="6.12", lock_size=4):
    return structs.profile(arches.get(arch), version, lock_size)


def text(name, **options):
    return "\n".join(pahole(profile(**options), name))


@pytest.mark.parametrize(("version", "arch", "name"), CASES)
def test_json_is_what_the_compiler_said(version, arch, name):
    assert as_json(profile(arch, version), name) == KNOWN[version][arch][name]


def test_every_layout_is_known():
    assert len(CASES) == 3 * (14 + 16)
    for version in KNOWN:
        assert set(names(profile(version=version))) == {
            name for other, _, name in CASES if other == version
        }


def test_a_plain_struct():
    assert text("maple_arange_64") == (
        "struct maple_arange_64 {\n"
        "        struct maple_pnode *    parent;                          /*     0     8 */\n"
        "        unsigned long           pivot[9];                        /*     8    72 */\n"
        "        void *                  slot[10];                        /*    80    80 */\n"
        "        unsigned long           gap[10];                         /*   160    80 */\n"
        "        struct maple_metadata   meta;                            /*   240     2 */\n"
        "\n"
        "        /* size: 248, members: 5 */\n"
        "        /* padding: 6 */\n"
        "};"
    )


def test_holes():
    assert text("struct maple_alloc") == (
        "struct maple_alloc {\n"
        "        unsigned long           total;                           /*     0     8 */\n"
        "        unsigned char           node_count;                      /*     8     1 */\n"
        "\n"
        "        /* XXX 3 bytes hole */\n"
        "\n"
        "        unsigned int            request_count;                   /*    12     4 */\n"
        "        struct maple_alloc *    slot[30];                        /*    16   240 */\n"
        "\n"
        "        /* size: 256, members: 4, holes: 1, sum holes: 3 */\n"
        "};"
    )


def test_unions_and_function_pointers():
    lines = text("maple_node").splitlines()
    assert lines[1:6] == [
        "        union {",
        "                struct {",
        "                        struct maple_pnode *    parent;          /*     0     8 */",
        "                        void *                  slot[31];        /*     8   248 */",
        "                };                                               /*     0   256 */",
    ]
    assert lines[-2] == "        /* size: 256, members: 1 */"
    assert "void (*func)(struct rcu_head *);" in text("rcu_head")


@pytest.mark.parametrize(
    ("version", "lock_size", "flags", "root", "size"),
    [
        ("6.12", 4, 4, 8, 16),
        ("6.12", 0, 0, 8, 16),
        ("6.12", 8, 8, 16, 24),
        ("6.1", 4, 16, 8, 24),
        ("6.1", 0, 8, 0, 16),
    ],
)
def test_the_lock_moves_ma_flags(version, lock_size, flags, root, size):
    layout = as_json(profile("s390x", version, lock_size), "maple_tree")
    offsets = {member["name"]: member["offset"] for member in layout["members"]}
    assert (offsets["ma_flags"], offsets["ma_root"], layout["size"]) == (flags, root, size)


def test_an_enum():
    assert text("maple_type", version="6.1") == (
        "enum maple_type {\n"
        "        maple_dense = 0,\n"
        "        maple_leaf_64 = 1,\n"
        "        maple_range_64 = 2,\n"
        "        maple_arange_64 = 3,\n"
        "};"
    )


def test_names():
    assert find(profile(), "struct ma_state") == ("ma_state", False)
    assert find(profile(), "enum store_type") == ("store_type", True)
    for name in ("nope", "enum ma_state", "struct maple_type", "", "maple node"):
        with pytest.raises(UsageError, match=r"choose one of maple_metadata, .*enum maple_type"):
            find(profile(), name)
