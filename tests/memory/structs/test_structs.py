import json
from pathlib import Path

import construct
import pytest

import arches
from layout.memory import structs
from layout.memory.errors import UsageError
from layout.memory.structs.ctypes import CModel, CStruct, CUnion, alignof, describe

LAYOUTS = Path(__file__).parents[3] / "fixtures/layouts"
X86 = arches.get("x86_64")


def test_padding_goes_where_the_compiler_puts_it():
    m = CModel(X86)
    struct = CStruct(m.uchar_("a"), m.uint_("b"), m.uchar_("c"), m.ulong_("d"), m.uchar_("e"))
    layout = describe("s", struct)
    assert [(member.name, member.offset) for member in layout.members] == [
        ("a", 0),
        ("b", 4),
        ("c", 8),
        ("d", 16),
        ("e", 24),
    ]
    assert (layout.size, layout.align) == (32, 8)


def test_unions_are_as_long_as_their_longest_member():
    m = CModel(X86)
    struct = CStruct(CUnion(m.uchar_("a"), m.ulongs("b", 3)), m.uchar_("c"))
    layout = describe("s", struct)
    assert [(member.name, member.offset, member.size) for member in layout.members] == [
        ("a", 0, 1),
        ("b", 0, 24),
        ("c", 24, 1),
    ]


def test_padding_has_no_alignment_of_its_own():
    assert alignof(construct.Padding(4)) == 1


def test_members_by_name():
    layout = structs.profile(X86).layout("maple_arange_64")
    assert layout.member("gap").size == 80
    with pytest.raises(KeyError, match="struct maple_arange_64 has no member nothing"):
        layout.member("nothing")


@pytest.mark.parametrize("version", ["6.1", "6.12"])
@pytest.mark.parametrize("name", arches.names())
def test_tables_equal_the_compilers(name, version):
    truth = json.loads((LAYOUTS / f"layouts-{version}.json").read_text())[name]["tables"]
    sizes = structs.profile(arches.get(name), version).sizes
    assert list(sizes.slots) == truth["mt_slots"]
    assert list(sizes.pivots) == truth["mt_pivots"]
    assert list(sizes.min_slots) == truth["mt_min_slots"]


@pytest.mark.parametrize(
    ("lock", "flags", "root", "size"), [(0, 0, 8, 16), (4, 4, 8, 16), (64, 64, 72, 80)]
)
def test_lock_size_moves_the_flags(lock, flags, root, size):
    layout = structs.profile(X86, "6.12", lock).layout("maple_tree")
    assert (layout.offset("ma_flags"), layout.offset("ma_root"), layout.size) == (flags, root, size)


def test_full_version_is_understood_and_unknown_ones_are_named():
    assert structs.profile(X86, "6.12.117").version == "6.12"
    with pytest.raises(UsageError, match=r"'5\.4'.*6\.1, 6\.12"):
        structs.profile(X86, "5.4")


def test_parse_reads_in_the_machines_byte_order():
    data = bytes([0] * 7 + [1]) + bytes(248)
    assert structs.profile(arches.get("s390x")).parse("maple_range_64", data).parent == 1
    assert structs.profile(X86).parse("maple_range_64", data).parent == 1 << 56
