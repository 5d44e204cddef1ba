"""Reading ELF cores: the machine, the segments, the place of ma_flags, and damage."""

from __future__ import annotations

import json
import lzma
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from machines import THREE

import arches
from layout.images.core import read_core
from layout.images.decode import decode
from layout.memory.errors import InputError, UsageError

CAPTURES = Path(__file__).parents[2] / "fixtures" / "captures"


def pieces_of(name):
    """A capture's tree and nodes as (address, bytes), tree first."""
    doc = json.loads((CAPTURES / name).read_text())
    holder = doc.get("mm_mt") or doc["mtree"]
    return doc["arch"], [
        (int(item["addr"], 16), bytes.fromhex(item["hex"])) for item in (holder, *doc["nodes"])
    ]


@pytest.mark.parametrize(
    ("name", "offset"),
    [
        ("x86_64-6.1.0-sleep.json", 16),
        ("s390x-6.1.0-sleep.json", 16),
        ("x86_64-6.12.117-medium.json", 4),
        ("s390x-6.12.95-level3.json", 4),
        ("sparc64-6.12.117-medium.json", 0),
        ("sparc64-6.12.117-mt_plain200.json", 0),
        ("x86_64-6.12.117-mt_plain200.json", 4),
    ],
)
def test_the_place_of_ma_flags_is_found(make_core, name, offset):
    arch, pieces = pieces_of(name)
    tree = pieces[0][0]
    image = read_core(make_core(arch, pieces), "x.core", tree=tree)
    found = decode(image.memory, image.tree)
    assert image.arch.name == arch
    assert found.problems == []
    assert found.height == found.nodes[-1].depth + 1
    [note] = image.notes
    assert note == (
        f"ma_flags taken at offset {offset} of struct maple_tree ({found.flags:x}): "
        f"its height, {found.height}, is the tree's"
    )


def test_a_lock_that_is_held_does_not_mislead(make_core):
    """Offset 0 holds a lock word that would be flags, but of another height."""
    arch, pieces = pieces_of("x86_64-6.12.117-medium.json")
    tree, raw = pieces[0]
    pieces[0] = (tree, (1).to_bytes(4, "little") + raw[4:])
    assert "offset 4 " in read_core(make_core(arch, pieces), "x", tree=tree).notes[0]


def test_places_that_fit_alike_are_told(make_core):
    arch, pieces = pieces_of("x86_64-6.12.117-medium.json")
    tree, raw = pieces[0]
    pieces[0] = (tree, (2 << 2 | 1).to_bytes(4, "little") + raw[4:])
    [note] = read_core(make_core(arch, pieces), "x", tree=tree).notes
    assert "offset 4 " in note
    assert note.endswith("(offset 0 would fit too: give --kernel and --config)")


def test_implausible_flags_lose(make_core):
    arch, pieces = pieces_of("x86_64-6.12.117-medium.json")
    tree, raw = pieces[0]
    odd = (2 << 2 | 1 << 20).to_bytes(4, "little")
    pieces[0] = (tree, raw[4:8] + odd + raw[8:])
    assert "offset 0 " in read_core(make_core(arch, pieces), "x", tree=tree).notes[0]


@pytest.mark.parametrize(
    ("options", "offset"),
    [
        ({"kernel": "6.12", "lock_size": 0}, 0),
        ({"kernel": "6.12.117", "lock_size": 4}, 4),
        ({"kernel": "6.1.0-50-amd64", "lock_size": 4}, 16),
        ({"kernel": "6.1"}, 16),
        ({"kernel": "6.18.44"}, 4),
        ({"kernel": "7.0-rc1"}, 4),
        ({"kernel": "7.3.4+deb14-amd64"}, 4),
        ({"kernel": "6.6", "lock_size": 4}, 16),
        ({"lock_size": 0}, 0),
    ],
)
def test_the_caller_may_know_the_place(make_core, options, offset):
    arch, pieces = pieces_of("x86_64-6.1.0-sleep.json")
    pieces[0] = (pieces[0][0], pieces[0][1][:24])
    image = read_core(make_core(arch, pieces), "x", tree=pieces[0][0], **options)
    assert f"at offset {offset} " in image.notes[0]
    assert image.profile.layout("maple_tree").offset("ma_flags") == offset


def test_a_kernel_that_is_not_known(make_core):
    arch, pieces = pieces_of("x86_64-6.1.0-sleep.json")
    with pytest.raises(UsageError, match=r"'5.4' is not known: choose one of 6.1, 6.12"):
        read_core(make_core(arch, pieces), "x", tree=pieces[0][0], kernel="5.4")


def test_a_tree_without_an_agreeing_height(make_core):
    arch, pieces = pieces_of("x86_64-6.12.117-medium.json")
    core = make_core(arch, pieces[:1])
    [note] = read_core(core, "x", tree=pieces[0][0]).notes
    assert "offset 4 " in note
    assert note.endswith("could not be measured, as no leaf below its root can be read")
    tree, raw = pieces[0]
    wrong = (tree, raw[:4] + (0x30F).to_bytes(4, "little") + raw[8:])  # height 3
    [note] = read_core(make_core(arch, [wrong, *pieces[1:]]), "x", tree=tree).notes
    assert note.endswith("no place agrees with the tree's height, give --kernel and --config")


def test_a_tree_across_two_segments(make_core):
    arch, pieces = pieces_of("x86_64-6.12.117-sleep.json")
    tree, raw = pieces[0]
    split = [(tree + 6, raw[6:]), (tree, raw[:6]), *pieces[1:]]
    image = read_core(make_core(arch, split), "x", tree=tree)
    assert decode(image.memory, tree).complete


@pytest.mark.parametrize("tree", [0, 5, 0xFFFFFFFFFFFFFFFF, 0x123456000])
@pytest.mark.parametrize("arch", ["x86_64", "sparc64"])
def test_a_tree_that_is_not_in_the_core(make_core, arch, tree):
    core = make_core(arch, [(0x1000, bytes(0x1000))])
    with pytest.raises(InputError, match=rf"^x: a struct maple_tree at {tree:x} is .*--tree"):
        read_core(core, "x", tree=tree)


def test_a_misaligned_tree_on_a_machine_that_traps(make_core):
    core = make_core("sparc64", [(0x4000, bytes(0x1000))])
    with pytest.raises(InputError, match=r"at 4003 is misaligned"):
        read_core(core, "x", tree=0x4003)


def test_without_tree(make_core):
    with pytest.raises(UsageError, match=r"as --tree ADDR"):
        read_core(make_core("s390x", [(0x1000, bytes(16))]), "x", tree=None)


def test_machines(make_core):
    zeros = [(0x1000, bytes(64))]
    for arch in THREE:
        assert read_core(make_core(arch, zeros), "x", tree=0x1000).arch.name == arch
    unknown = make_core("s390x", zeros, machine=0x1234)
    with pytest.raises(InputError, match=r"a machine that is not known \(e_machine 4660\).*--arch"):
        read_core(unknown, "x", tree=0x1000)
    sparc64 = arches.get("sparc64")
    assert read_core(unknown, "x", tree=0x1000, arch=sparc64).arch is sparc64
    with pytest.raises(InputError, match=r"a core of a big-endian 64-bit machine, which x86_64 is"):
        read_core(unknown, "x", tree=0x1000, arch=arches.get("x86_64"))
    with pytest.raises(UsageError, match=r"x is a core of s390x, not sparc64"):
        read_core(make_core("s390x", zeros), "x", tree=0x1000, arch=sparc64)


@pytest.mark.parametrize(
    ("pieces", "header", "text"),
    [
        ([], {}, r"without memory"),
        ([(0x1000, bytes(16))], {"type": 2}, r"no core \(its e_type is ET_EXEC\)"),
        ([(0xFFFFFFFFFFFFFFF8, bytes(16))], {}, r"ends beyond the last address"),
    ],
)
def test_cores_that_make_no_sense(make_core, pieces, header, text):
    with pytest.raises(InputError, match=text):
        read_core(make_core("x86_64", pieces, **header), "x", tree=0x1000)


def test_segments_that_overlap(make_core):
    """The first one is taken, as crash and gdb do."""
    core = make_core("x86_64", [(0x1000, bytes(16)), (0x1008, b"\x77" * 16)])
    image = read_core(core, "x", tree=0x1000)
    assert image.notes[0] == "1 segments overlap with others before them: the first are taken"
    assert image.memory.read(0x1000, 24) == bytes(16) + b"\x77" * 8


@pytest.mark.parametrize(
    "header",
    [
        {"gap": 128},
        {"many": 1},
        {"shoff": 64, "shentsize": 0x4000, "shnum": 2, "shstrndx": 1, "gap": 128},
        {"shoff": 1 << 40, "shnum": 3, "shstrndx": 7},
        {"shift": 0xFFFF888000000000},
    ],
)
def test_headers_as_tools_write_them(make_core, header):
    arch, pieces = pieces_of("x86_64-6.12.117-medium.json")
    image = read_core(make_core(arch, pieces, **header), "x", tree=pieces[0][0])
    assert decode(image.memory, image.tree).complete


def test_physical_addresses(make_core):
    """The direct map's place is found, given, or asked for; the tree's address is either."""
    arch, pieces = pieces_of("x86_64-6.12.117-level3.json")
    shift, tree = 0xFFFF888000000000, pieces[0][0]
    core = make_core(arch, pieces, shift=shift, physical=1)
    for address, options in ((tree, {}), (tree - shift, {}), (tree, {"direct_map": shift})):
        image = read_core(core, "x", tree=address, **options)
        assert (image.tree, decode(image.memory, image.tree).complete) == (tree, True)
    few = make_core(arch, pieces[:1], shift=shift, physical=1)
    with pytest.raises(InputError, match=r"^x holds physical addresses.*give that as --direct-map"):
        read_core(few, "x", tree=tree)


def test_pages_that_the_dump_leaves_out(make_core):
    arch, pieces = pieces_of("x86_64-6.12.117-medium.json")
    core = make_core(arch, pieces[:2], memsz=0x1000)
    image = read_core(core, "x", tree=pieces[0][0])
    found = decode(image.memory, image.tree)
    assert all("(a page that the dump leaves out)" in text for text in found.problems[:2])
    lone = make_core(arch, [(pieces[0][0] - 64, bytes(64))], memsz=0x1000)
    with pytest.raises(
        InputError, match=r"lies in a page that the dump leaves out: .*makedumpfile"
    ):
        read_core(lone, "x", tree=pieces[0][0])


@pytest.mark.parametrize("arch", THREE)
def test_every_cut_is_noticed(make_core, arch):
    core = make_core(arch, [(0x1000, bytes(64)), (0x3000, bytes(range(64)))])
    assert read_core(core, "x", tree=0x1000).tree == 0x1000
    for length in range(1, len(core)):
        with pytest.raises(InputError, match=r"^x: "):
            read_core(core[:length], "x", tree=0x1000)


def test_a_program_header_table_beyond_any_file(make_core):
    core = bytearray(make_core("x86_64", [(0x1000, bytes(64))]))
    core[39] = 0x80  # the highest byte of e_phoff
    with pytest.raises(InputError, match=r"^x: its headers can't be read"):
        read_core(bytes(core), "x", tree=0x1000)


@settings(deadline=None, max_examples=150)
@given(
    st.sampled_from(["x86_64-6.12.117.core.xz", "s390x-6.12.95.core.xz"]),
    st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 255)), min_size=1, max_size=6),
    st.sampled_from([0xFFFF8880040585C0, 0x2038100, 0x299B900]),
)
def test_damaged_headers_are_read_or_refused(name, changes, tree):
    core = bytearray(_core(name))
    for at, value in changes:
        core[at] = value
    try:
        image = read_core(bytes(core), "x", tree=tree)
    except (InputError, UsageError) as error:
        assert "\n" not in str(error)
    else:
        found = decode(image.memory, image.tree)
        assert found.complete == (not found.problems)


_cores = {}


def _core(name):
    if name not in _cores:
        _cores[name] = lzma.decompress((CAPTURES / name).read_bytes())
    return _cores[name]
