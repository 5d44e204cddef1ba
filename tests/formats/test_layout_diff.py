"""Declared layouts against found ones, and against one another."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import arches
from layout.formats.btf import read_btf
from layout.formats.found import FoundEnum, FoundMember, FoundStruct, TypeInfo
from layout.formats.layout_diff import (
    Row,
    agreeing_profile,
    check,
    declared,
    diff,
    every_name,
    names_of,
)
from layout.memory import structs

FIXTURES = Path(__file__).parents[2] / "fixtures"
RUNNING = Path("/sys/kernel/btf/vmlinux")


def profile(arch="x86_64", version="6.12", **options):
    return structs.profile(arches.get(arch), version, **options)


def found(known) -> TypeInfo:
    """Type information as the layouts in fixtures/ tell it."""
    info = TypeInfo("a kernel", "little", 8)
    for name, one in known.items():
        if name.startswith("enum "):
            info.enums[name.removeprefix("enum ")] = [FoundEnum(one["size"], one["values"])]
        else:
            members = tuple(FoundMember(**member) for member in one["members"])
            info.structs[name] = [FoundStruct(one["size"], members)]
    return info


KERNEL_6_18 = found(json.loads((FIXTURES / "layouts" / "layouts-6.18.json").read_text())["x86_64"])


@pytest.mark.parametrize("config", [None, "smp"])
def test_6_18_is_as_its_kernels_btf_says(config):
    compared = check(p := profile(version="6.18", config=config), names_of(p), KERNEL_6_18)
    present = [one for one in compared if one.missing is None]
    assert len(present) == 16
    assert all(one.equal for one in present)


def test_differences_are_told_by_member():
    [one] = check(profile(), ["ma_wr_state"], KERNEL_6_18)
    assert not one.equal
    assert one.rows == (
        Row("size", 80, 88),
        Row("vacant_height", None, FoundMember("vacant_height", 80, 1, "unsigned char")),
        Row("sufficient_height", None, FoundMember("sufficient_height", 81, 1, "unsigned char")),
    )


def test_a_profile_that_agrees_is_found():
    assert agreeing_profile(profile(), KERNEL_6_18) == "--kernel 6.18"
    assert agreeing_profile(profile("arm", "6.1"), KERNEL_6_18) is None


def test_the_nearest_of_several_structs_of_one_name_counts():
    right = KERNEL_6_18.structs["maple_tree"][0]
    info = TypeInfo("f", "little", 8, {"maple_tree": [FoundStruct(1, right.members[:1]), right]})
    [one] = check(profile(version="6.18"), ["maple_tree"], info)
    assert one.equal


def test_a_struct_by_name_alone_is_missing():
    info = TypeInfo("f", "little", 8, {"maple_tree": [FoundStruct(0, ())]})
    [one] = check(profile(), ["maple_tree"], info)
    assert (one.missing, one.equal) == ("right", False)


def test_compilers_names_are_the_sources():
    members = (
        FoundMember("next", 0, 8, "struct callback_head *"),
        FoundMember("func", 8, 8, "void (*)(struct callback_head *)"),
    )
    info = TypeInfo("f", "little", 8, {"callback_head": [FoundStruct(16, members)]})
    [one] = check(profile(), ["rcu_head"], info)
    assert one.equal


def test_the_inside_of_a_typedef_is_left_out_and_of_an_unnamed_struct_is_not():
    tree = declared(profile(), "maple_tree")
    assert [m.name for m in tree.members] == ["ma_lock", "ma_external_lock", "ma_flags", "ma_root"]
    copy = declared(profile("arm", "7.2"), "maple_copy")
    inside = {m.name: m.offset for m in copy.members if "." in m.name}
    target = {"dst[0].node": 0, "dst[0].max": 4, "dst[0].mt": 8}
    ends = {"src[0].start": 44, "src[0].end": 45, "src[0].mt": 48}
    assert inside == {**target, "src[0].node": 36, "src[0].max": 40, **ends}


def test_machines_and_versions_against_one_another():
    [alike] = diff(profile(), profile("s390x", "6.1"), ["maple_node"])
    assert alike.equal
    [alloc] = diff(profile("arm"), profile("m68k"), ["maple_alloc"])
    assert alloc.rows == (
        Row("size", 256, 254),
        Row("alignment", 4, 2),
        Row(
            "request_count",
            FoundMember("request_count", 8, 4, "unsigned int"),
            FoundMember("request_count", 6, 4, "unsigned int"),
        ),
        Row(
            "slot",
            FoundMember("slot", 12, 244, "struct maple_alloc *[61]"),
            FoundMember("slot", 10, 244, "struct maple_alloc *[61]"),
        ),
    )
    [enum] = diff(profile(), profile(version="7.2"), ["maple_type"])
    assert enum.rows == (Row("maple_copy", None, 4),)
    [gone] = diff(profile(), profile(version="7.2"), ["maple_alloc"])
    assert gone.missing == "right"


def test_every_name_has_those_of_all_versions():
    assert {"maple_copy", "maple_alloc", "callback_head", "spinlock", "maple_type"} <= every_name()


@pytest.mark.skipif(not RUNNING.exists(), reason=f"this kernel has no {RUNNING}")
def test_the_running_kernels_nodes():
    import platform

    name = {"arm64": "aarch64"}.get(platform.machine(), platform.machine())
    version = ".".join(platform.release().split(".")[:2])
    p = profile(name, version if version in structs.VERSIONS else "6.12")
    info = read_btf(RUNNING.read_bytes(), "running", every_name())
    nodes = ["maple_metadata", "maple_range_64", "maple_arange_64"]
    assert all(one.equal for one in check(p, nodes, info))
    if p.version == version and version != "6.12":
        compared = check(p, names_of(p), info)
        assert all(one.equal or one.missing for one in compared)
