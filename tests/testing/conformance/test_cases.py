"""The corpus: what its cases hold, in bytes."""

from __future__ import annotations

import lzma
from importlib import resources
from pathlib import Path

import pytest

import arches
from layout.images.decode import decode
from layout.images.validator import validate
from layout.memory import structs
from layout.memory.pointers import ARANGE_64, LEAF_64, RANGE_64, mte_node_type, mte_to_node
from layout.testing.conformance.cases import corpus
from layout.testing.conformance.suspects import SUSPECTS
from layout.testing.conformance.walker import Reader

CAPTURES = Path(__file__).parents[3] / "fixtures" / "captures"
PACKAGED = resources.files("layout.testing.conformance") / "captures"


def built(name):
    [case] = [case for case in corpus([name.split("-")[0]], [name]) if case.name == name]
    return case.build()


def root_words(name):
    """The root's type and words, and its last four bytes in memory order from the metadata on."""
    case = built(name)
    mem = case.image.memory
    word = mem.ma_root(case.image.tree)
    mt = mte_node_type(word)
    return mt, mem.read_node(mte_to_node(word), mt), mem.read(mte_to_node(word) + 248, 8)


def test_names_are_unique_and_every_machine_and_kernel_is_there():
    names = [case.name for case in corpus()]
    assert len(set(names)) == len(names) > 12 * 40
    for arch in arches.names():
        for version in structs.VERSIONS:
            assert any(name.startswith(f"{arch}-{version}-") for name in names)
        assert f"{arch}-6.12-up-root-entry" in names


def test_building_twice_gives_the_same_bytes():
    one, two = built("sparc64-6.12-process-map"), built("sparc64-6.12-process-map")
    assert [bytes(a.data) for a in one.image.memory.arenas] == [
        bytes(a.data) for a in two.image.memory.arenas
    ]
    assert one.expected == two.expected


@pytest.mark.parametrize("path", sorted(PACKAGED.iterdir()), ids=lambda path: path.stem)
def test_packaged_captures_are_the_fixtures(path):
    assert lzma.decompress(path.read_bytes()) == (CAPTURES / path.stem).read_bytes()


def test_leaves_full_and_almost():
    mt, words, last = root_words("s390x-6.12-almost-full-leaf")
    assert (mt, words[15], last.hex()) == (LEAF_64, (1 << 64) - 1, "0e00000000000000")
    mt, words, last = root_words("s390x-6.12-full-leaf")
    assert (mt, words[15] < (1 << 64) - 1, last.hex()) == (LEAF_64, True, "0000000002900850")
    mt, words, last = root_words("s390x-6.12-full-leaf-gap")
    assert (mt, 0 < words[15] < (1 << 64) - 1, last.hex()) == (LEAF_64, True, "0000000000000000")
    _, words, _ = root_words("mips-6.12-full-leaf")
    assert all(words[1:32] + words[33:])


def test_roots_full_and_almost():
    mt, words, last = root_words("sparc64-6.12-almost-full-range-root")
    assert (mt, words[15], last.hex()) == (RANGE_64, (1 << 64) - 1, "0e00000000000000")
    mt, words, last = root_words("sparc64-6.12-full-range-root")
    assert (mt, words[15] < (1 << 64) - 1, last[:4].hex()) == (RANGE_64, True, "fffff800")
    mt, words, _ = root_words("x86_64-6.12-almost-full-arange-root")
    assert (mt, words[9], words[30] & 0xFF) == (ARANGE_64, (1 << 64) - 1, 8)
    mt, words, _ = root_words("x86_64-6.12-full-arange-root")
    assert (mt, words[9] < (1 << 64) - 1, words[30] & 0xFF) == (ARANGE_64, True, 9)


def test_nodes_lie_where_the_machine_has_them():
    case = built("s390x-6.12-process-map")
    highest = max(arena.end for arena in case.image.memory.arenas)
    assert highest < case.expected[-1][0]
    case = built("sparc64-6.12-process-map")
    assert any(first >> 63 and last >> 63 for first, last, _ in case.expected)


def test_a_cut_file_lacks_its_end():
    case = built("arm-6.12-truncated")
    assert case.kept < 1


@pytest.mark.long
def test_every_suspect_fails_somewhere_and_the_right_reader_nowhere():
    machines = ["s390x", "x86_64", "m68k"]
    cases = [case.build() for case in corpus(machines, ["6.1"]) if not case.damaged]
    for case in cases:
        reader = Reader(case.image)
        assert tuple(reader.run()) == case.expected
        assert not reader.crashed
    for suspect in SUSPECTS:
        assert suspect.CAUSE
        readers = ((suspect(case.image), case.expected) for case in cases)
        assert any(tuple(reader.run()) != right or reader.crashed for reader, right in readers), (
            suspect
        )


@pytest.mark.parametrize("version", ["7.2", "7.3"])
def test_later_kernels_make_the_trees(version):
    cases = corpus(["s390x", "m68k"], kernel=version)
    names = [case.name for case in cases]
    assert f"s390x-{version}-two-levels-range" in names
    assert not any("full-leaves" in name for name in names)
    for case in cases:
        built = case.build()
        found = decode(built.image.memory, built.image.tree)
        if not case.damaged:
            assert tuple(found.ranges) == built.expected, case.name
            if "stale" not in case.name:
                assert validate(built.image.memory, built.image.tree) == [], case.name
        elif built.kept == 1:
            assert not found.complete or tuple(found.ranges) != built.expected, case.name


def test_trees_of_other_kernels_are_made_by_them():
    bytes_of = {}
    for version in ("6.12", "7.3"):
        case, *_ = corpus(["s390x"], ["full-arange-root"], kernel=version)
        image = case.build().image
        bytes_of[version] = [
            image.memory.read(visit.address, 256)
            for visit in decode(image.memory, image.tree).nodes
        ]
    assert bytes_of["6.12"] != bytes_of["7.3"]
