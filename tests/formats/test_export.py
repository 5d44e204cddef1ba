"""Exports: what lies in the files, and that reading them back gives the same tree."""

from __future__ import annotations

import itertools
import json
import os
import struct
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

import arches
from layout.formats import elf_core
from layout.formats.export import FORMATS, export
from layout.formats.segments import Segment, segments
from layout.host import files
from layout.images.decode import decode
from layout.images.image import Image
from layout.mapletree import MapleTree
from layout.memory import structs
from layout.memory.errors import UsageError
from layout.memory.memory import Memory
from layout.memory.node import NodeMemory
from layout.testing.conformance.cases import corpus
from layout.testing.conformance.command import write_case
from layout.traces.inputs import load

CAPTURES = Path(__file__).parents[2] / "fixtures" / "captures"


def an_image(arch: str) -> Image:
    tree = MapleTree(arch, alloc_range=True)
    for i in range(40):
        tree.store(0x10000 + 0x3000 * i, 0x11FFF + 0x3000 * i, 0x2A0001 + 0x100 * i)
    machine = tree.machine
    return Image(machine.arch, machine.profile, machine.mem, tree.address, "here", "trace")


def the_same(read: Image, wanted: Image) -> None:
    """The same tree, in the same bytes."""
    found, truth = decode(read.memory, read.tree), decode(wanted.memory, wanted.tree)
    assert found.ranges == truth.ranges
    assert len(found.ranges) == 40 or wanted.kind != "trace"
    assert [(node.address, read.memory.read(node.address, 256)) for node in found.nodes] == [
        (node.address, wanted.memory.read(node.address, 256)) for node in truth.nodes
    ]


def a_second_for_each_write(monkeypatch):
    """As if the closing of each file took a second."""
    seconds = itertools.count(1_000_000_000)
    close = files._Part.close

    def closed(part, *, durable):
        close(part, durable=durable)
        now = next(seconds)
        os.utime(part.name, (now, now))

    monkeypatch.setattr(files._Part, "close", closed)


def test_no_core_is_older_than_its_types(tmp_path, monkeypatch):
    a_second_for_each_write(monkeypatch)
    for kind, name in (("elf", "a"), ("gdb", "b.core"), ("drgn", "c.core")):
        export(an_image("s390x"), kind, tmp_path / name.removesuffix(".core"))
    [case] = corpus(["s390x"], ["one-range"])
    with files.Output() as output:
        write_case(case.build(), tmp_path / "d", output)
    for name in ("a", "b.core", "c.core", "d"):
        core, types = tmp_path / name, tmp_path / f"{name}.types"
        assert core.stat().st_mtime > types.stat().st_mtime, name  # gdb warns otherwise


def test_arenas_without_a_gap_are_one_segment():
    memory = Memory(arches.get("s390x"))
    for base, data in ((0x3000, b"cc"), (0x1000, b"aa"), (0x1002, b"bb"), (0x5000, b"")):
        memory.map(base, bytearray(data), "test")
    assert segments(memory) == [Segment(0x1000, b"aabb"), Segment(0x3000, b"cc")]


@pytest.mark.parametrize("name", arches.names())
def test_core_and_raw_round_trip(name, tmp_path):
    image = an_image(name)
    export(image, "elf", tmp_path / "a.core")
    the_same(load(str(tmp_path / "a.core"), tree=f"{image.tree:x}"), image)
    export(image, "raw", tmp_path / "a.raw")
    back = load(str(tmp_path / "a.raw.json"))
    assert (back.tree, back.arch) == (image.tree, image.arch)
    the_same(back, image)


@pytest.mark.parametrize(
    "path",
    [*sorted(CAPTURES.glob("*6.1.0*")), CAPTURES / "sparc64-6.12.117-level3.json"],
    ids=lambda path: path.stem,
)
def test_captures_round_trip(path, tmp_path):
    image = load(str(path))
    for kind, name in (("elf", "a"), ("raw", "a.json")):
        export(image, kind, tmp_path / "a")
        profile = {"kernel": image.profile.version, "lock_size": image.profile.lock_size}
        back = load(str(tmp_path / name), tree=f"{image.tree:x}", **profile)
        assert back.profile.layout("maple_tree") == image.profile.layout("maple_tree")
        the_same(back, image)


def test_the_header_of_a_big_endian_core():
    core = elf_core.core(arches.get("s390x"), [Segment(0x299B900, b"\x0e\0")])
    assert core[:20] == b"\x7fELF\x02\x02\x01\x03" + bytes(8) + b"\0\4" + b"\0\x16"
    load_at = 64 + 56
    kind, flags, at, virtual, physical, size, in_memory, _ = struct.unpack_from(
        ">2I6Q", core, load_at
    )
    assert (kind, flags, virtual, physical, size, in_memory) == (1, 6, 0x299B900, 0x299B900, 2, 2)
    assert core[at : at + size] == b"\x0e\0"


@pytest.mark.parametrize("name", arches.names())
def test_the_notes_are_whole_and_empty(name, tmp_path):
    path = tmp_path / "core"
    path.write_bytes(elf_core.core(arches.get(name), [Segment(0x1000, b"x")]))
    with path.open("rb") as file:
        [notes, _] = ELFFile(file).iter_segments()
        found = {note["n_type"]: note["n_descdata"] for note in notes.iter_notes()}
    assert set(found) == {"NT_AUXV"} | ({"NT_PRSTATUS"} if name != "sparc64" else set())
    assert not any(b"".join(found.values()).strip(b"\0"))


def test_more_pieces_than_a_core_can_have():
    pieces = [Segment(i * 512, b"x") for i in range(65535)]
    with pytest.raises(UsageError, match=r"at most 65534 .* has 65535: use --format raw"):
        elf_core.core(arches.get("x86_64"), pieces)


def test_the_json_beside_raw_memory(tmp_path):
    export(an_image("sparc64"), "raw", tmp_path / "a.raw")
    doc = json.loads((tmp_path / "a.raw.json").read_text())
    segments = doc.pop("segments")
    assert doc == {
        "arch": "sparc64",
        "byteorder": "big",
        "word_size": 8,
        "page_size": 8192,
        "kernel": "6.12",
        "lock_size": 4,
        "config": "",
        "tree": "fffff0000",
        "memory": "a.raw",
    }
    [whole] = segments  # the nodes follow upon the trees
    assert (whole["address"], whole["offset"]) == ("fffff0000", 0)
    assert (tmp_path / "a.raw").stat().st_size == whole["size"] > 0x10000


@pytest.mark.parametrize("kind", FORMATS)
def test_scripts_carry_the_tree_and_nothing_of_this_place(kind, tmp_path):
    image = an_image("s390x")
    commands = export(image, kind, tmp_path / "it's here")
    assert (
        all("'it'\"'\"'s here" in command for command in commands) or str(tmp_path) in commands[0]
    )
    scripts = {"drgn": "it's here", "gdb": "it's here", "isf": "it's here.py"}
    if kind in scripts:
        text = (tmp_path / scripts[kind]).read_text()
        assert f'\nTREE = "{image.tree:x}"\n' in text
        assert str(tmp_path) not in text


def test_a_configuration_goes_along(tmp_path):
    lockdep = structs.profile(arches.get("s390x"), config="up,lockdep")
    memory = NodeMemory(lockdep.arch, lockdep)
    memory.map(0x1000, bytearray(lockdep.layout("maple_tree").size), "tree")
    memory.set_ma_root(0x1000, 0x2001)
    image = Image(lockdep.arch, lockdep, memory, 0x1000, "here", "core")
    [*_, command] = export(image, "elf", tmp_path / "a")
    assert command.endswith("--kernel 6.12 --config up,lockdep")
    back = load(str(tmp_path / "a"), tree="1000", kernel="6.12", config="up,lockdep")
    assert decode(back.memory, 0x1000).ranges == [(0, 0, 0x2001)]
    export(image, "raw", tmp_path / "b")
    back = load(str(tmp_path / "b.json"))
    assert back.profile.layout("maple_tree") == lockdep.layout("maple_tree")
    assert decode(back.memory, 0x1000).ranges == [(0, 0, 0x2001)]


def test_profiles_are_the_images(tmp_path):
    """A 6.1 tree gets 6.1 types."""
    image = load(str(CAPTURES / "x86_64-6.1.0-sleep.json"))
    export(image, "isf", tmp_path / "isf")
    doc = json.loads((tmp_path / "isf").read_text())
    assert doc["user_types"]["maple_tree"]["fields"]["ma_flags"]["offset"] == 16
    assert structs.profile(image.arch).layout("maple_tree").offset("ma_flags") == 4
