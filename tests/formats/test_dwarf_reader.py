"""Reading DWARF of all versions, byte orders and widths, in object files that need relocation."""

from __future__ import annotations

import io
import lzma
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

import arches
from layout.formats import dwarf_reader, found
from layout.formats.found import FoundEnum, FoundMember
from layout.formats.layout_diff import check, names_of
from layout.formats.object_files import read_types
from layout.memory import structs
from layout.memory.errors import InputError

PROOF = Path(__file__).parents[2] / "fixtures" / "proof"


@pytest.mark.parametrize("name", arches.names())
def test_objects_of_all_machines_agree(name):
    profile = structs.profile(arches.get(name))
    machine, info = read_types(str(PROOF / f"maple-{name}.o.xz"), None, names_of(profile))
    assert machine.name == name
    compared = check(profile, names_of(profile), info)
    assert len(compared) == 16
    assert [one for one in compared if not one.equal] == []


@pytest.mark.parametrize(
    ("name", "word", "at"),
    [
        ("x86_64-dwarf5", 8, 12),
        ("s390x-dwarf3", 8, 12),
        ("hppa-dwarf4", 4, 8),
        ("m68k-dwarf2", 4, 6),
    ],
)
def test_a_struct_with_everything(name, word, at):
    machine, info = read_types(str(PROOF / f"probe-{name}.o.xz"), None, ["probe"], ["color"])
    assert (info.word_size, machine.word_size) == (word, word)
    [probe] = info.structs["probe"]
    bits = (at + 32) * 8
    assert list(probe.members[:9]) == [
        FoundMember("a", 0, word, "long unsigned int"),
        FoundMember("b", word, 3, "triple"),
        FoundMember("c", word, 1, "u8"),
        FoundMember("d", at, 4, "unsigned int"),
        FoundMember("grid", at + 4, 24, "struct inner [2][3]"),
        FoundMember("e", at + 28, 4, "enum color"),
        FoundMember("f1", at + 32, 4, "unsigned int", (bits, 3)),
        FoundMember("f2", at + 32, 4, "unsigned int", (bits + 3, 7)),
        probe.members[8],
    ]
    assert [(m.name, m.size, m.type) for m in probe.members[8:]] == [
        ("call", word, "void * (*)(struct probe *, int)"),
        ("p", word, "volatile const char *"),
        ("points", 16, "struct [2]"),
        ("points[0].x", 4, "int"),
        ("points[0].y", 4, "int"),
        ("either", word, "union"),
        ("either.first", word, "struct inner *"),
        ("either.second", word, "struct nowhere *"),
    ]
    assert info.enums["color"] == [FoundEnum(4, {"red": 0, "green": 5, "dark": -1})]


@pytest.mark.parametrize("name", ["x86_64", "s390x"])
def test_the_maple_trees_own_unit_is_read_first(name):
    # a unit before that of maple_tree.c has a struct of the same name
    path = str(PROOF / f"two-units-{name}.o.xz")
    _, info = read_types(path, None, ["maple_metadata"])
    [found] = info.structs["maple_metadata"]
    assert [member.name for member in found.members] == ["end", "gap"]
    _, info = read_types(path, None, ["maple_metadata", "decoy"])
    assert [s.size for s in info.structs["maple_metadata"]] == [2, 16]
    assert info.structs["decoy"][0].size == 8


@pytest.mark.parametrize("name", ["nowhere", "gap"])
def test_the_search_ends_with_the_kernels_own_source_or_a_name_in_no_string(monkeypatch, name):
    path = str(PROOF / "two-units-x86_64.o.xz")
    read = []
    real = dwarf_reader._children
    monkeypatch.setattr(
        dwarf_reader, "_children", lambda die, steps: [read.append(die), *real(die, steps)][1:]
    )
    read_types(path, None, [name])
    assert len({die.cu for die in read}) == (2 if name == "gap" else 0)
    read.clear()
    monkeypatch.setattr(dwarf_reader, "_OWN", "maple_tree.c")
    read_types(path, None, ["gap"])
    assert len({die.cu for die in read}) == 1


def test_cut_files_are_told(tmp_path):
    whole = lzma.decompress((PROOF / "maple-sparc64.o.xz").read_bytes())
    assert len(whole) > 6000
    for size in [*range(4, 400, 29), *range(400, len(whole) - 1, 797)]:
        path = tmp_path / "cut.o"
        path.write_bytes(whole[:size])
        with pytest.raises(InputError, match=r"cut\.o"):
            read_types(str(path), None, ["maple_node", "maple_tree", "nowhere"])


def test_damaged_bytes_never_escape(tmp_path):
    whole = lzma.decompress((PROOF / "maple-s390x.o.xz").read_bytes())
    path = tmp_path / "bad.o"
    wrong = 0
    for at in range(64, len(whole), 211):
        data = bytearray(whole)
        data[at] ^= 0xFF
        path.write_bytes(data)
        try:
            read_types(str(path), None, ["maple_node", "maple_tree", "nowhere"])
        except InputError:
            wrong += 1
    assert wrong


@pytest.mark.parametrize("machine", ["x86_64", "s390x"])
def test_entries_that_come_round_in_a_circle_are_damage(tmp_path, machine):
    """An entry says where the next of its parent's begins: here before itself."""
    data = bytearray(lzma.decompress((PROOF / f"maple-{machine}.o.xz").read_bytes()))
    elf = ELFFile(io.BytesIO(data))
    [unit] = elf.get_dwarf_info().iter_CUs()
    structs_ = [die for die in unit.iter_DIEs() if "DW_AT_sibling" in die.attributes]
    sibling = structs_[3].attributes["DW_AT_sibling"]
    at = elf.get_section_by_name(".debug_info")["sh_offset"] + sibling.offset
    order = "little" if elf.little_endian else "big"
    assert int.from_bytes(data[at : at + 4], order) == sibling.value
    data[at : at + 4] = structs_[1].offset.to_bytes(4, order)
    path = tmp_path / "bad.o"
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"the entry at 0x\w+ is followed by one at 0x\w+"):
        read_types(str(path), None, ["ma_flags"])  # a member


def test_units_without_number_are_not_kept(monkeypatch):
    """A unit of 11 bytes takes 1.5 KB in memory, and packs well."""
    path = str(PROOF / "two-units-x86_64.o.xz")
    monkeypatch.setattr(dwarf_reader, "_MOST_UNITS", 1)
    with pytest.raises(InputError, match="more than 1 units"):
        read_types(path, None, ["maple_metadata"])


def test_entries_of_a_unit_have_a_limit_and_are_not_kept(monkeypatch):
    path = str(PROOF / "two-units-x86_64.o.xz")
    seen = []
    real = dwarf_reader._forget
    monkeypatch.setattr(dwarf_reader, "_forget", lambda unit: (real(unit), seen.append(unit)))
    read_types(path, None, ["maple_metadata", "gap"])
    assert [len(unit._dielist) for unit in seen] == [0, 0]
    assert seen[0].dwarfinfo._abbrevtable_cache == {}
    monkeypatch.setattr(found, "_MOST_IN_UNIT", 3)
    with pytest.raises(InputError, match="more entries than a file of this size has"):
        read_types(path, None, ["maple_metadata", "gap"])


def test_a_table_of_abbreviations_ends_soon(monkeypatch):
    path = str(PROOF / "two-units-x86_64.o.xz")
    monkeypatch.setattr(dwarf_reader, "_LONGEST_TABLE", 20)
    with pytest.raises(InputError, match=r"the abbreviations at 0x\w+ are longer than 20 bytes"):
        read_types(path, None, ["maple_metadata"])
