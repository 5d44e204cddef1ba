"""The types that exports give to debuggers, against what the machines' compilers lay out."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

import arches
from layout.formats.dwarf_writer import type_file
from layout.formats.isf import symbols
from layout.formats.layout_diff import check, names_of
from layout.formats.object_files import read_types
from layout.memory import structs

LAYOUTS = Path(__file__).parents[2] / "fixtures/layouts"
BASES = {1: "unsigned char", 4: "unsigned int"}


def truth(name, version):
    doc = json.loads((LAYOUTS / f"layouts-{version}.json").read_text())[name]
    return {key: value for key, value in doc.items() if key != "tables"}


def spelling(die):
    """A type as C spells it, read out of DWARF."""
    if die.tag == "DW_TAG_pointer_type":
        if "DW_AT_type" not in die.attributes:
            return "void *"
        to = die.get_DIE_from_attribute("DW_AT_type")
        if to.tag == "DW_TAG_subroutine_type":
            [parameter] = to.iter_children()
            return f"void (*)({spelling(parameter.get_DIE_from_attribute('DW_AT_type'))})"
        text = spelling(to)
        return f"{text}*" if text.endswith("*") else f"{text} *"
    if die.tag == "DW_TAG_array_type":
        [bounds] = die.iter_children()
        of = spelling(die.get_DIE_from_attribute("DW_AT_type"))
        count = bounds.attributes["DW_AT_upper_bound"].value + 1
        return f"{of}[{count}]" if of.endswith("*") else f"{of} [{count}]"
    name = die.attributes["DW_AT_name"].value.decode()
    keyword = {"DW_TAG_structure_type": "struct ", "DW_TAG_enumeration_type": "enum "}
    return keyword.get(die.tag, "") + name


def members(die, base=0, prefix=""):
    """Names, offsets and types of a struct's members, those of unnamed ones included."""
    for child in die.iter_children():
        offset = base + child.attributes["DW_AT_data_member_location"].value
        of = child.get_DIE_from_attribute("DW_AT_type")
        if "DW_AT_name" not in child.attributes:
            yield from members(of, offset, prefix)
            continue
        name = prefix + child.attributes["DW_AT_name"].value.decode()
        yield name, offset, spelling(of)
        if of.tag == "DW_TAG_typedef":
            yield from members(of.get_DIE_from_attribute("DW_AT_type"), offset, f"{name}.")


@pytest.mark.parametrize("version", ["6.1", "6.12"])
@pytest.mark.parametrize("name", arches.names())
def test_dwarf_equals_the_compilers(name, version):
    elf = ELFFile(io.BytesIO(type_file(structs.profile(arches.get(name), version))))
    assert elf["e_type"] == "ET_EXEC"
    [unit] = elf.get_dwarf_info().iter_CUs()
    assert unit["address_size"] == arches.get(name).word_size
    found = {}
    enums = {}
    for die in unit.get_top_DIE().iter_children():
        if die.tag == "DW_TAG_structure_type" and "DW_AT_name" in die.attributes:
            if "DW_AT_declaration" not in die.attributes:
                key = die.attributes["DW_AT_name"].value.decode()
                found[key] = (die.attributes["DW_AT_byte_size"].value, list(members(die)))
        elif die.tag == "DW_TAG_enumeration_type":
            enums[die.attributes["DW_AT_name"].value.decode()] = tuple(
                value.attributes["DW_AT_name"].value.decode() for value in die.iter_children()
            )
    profile = structs.profile(arches.get(name), version)
    assert enums == profile.enums
    for key, layout in truth(name, version).items():
        if "members" in layout:
            wanted = [(m["name"], m["offset"], m["type"]) for m in layout["members"]]
            assert found[key] == (layout["size"], wanted), key


@pytest.mark.parametrize("version", ["6.1", "6.12"])
@pytest.mark.parametrize("name", arches.names())
def test_isf_equals_the_compilers(name, version):
    doc = symbols(structs.profile(arches.get(name), version), 0x1234)
    arch = arches.get(name)
    assert doc["symbols"]["maple_tree"]["address"] == 0x1234
    assert {t["endian"] for t in doc["base_types"].values()} == {arch.byteorder}
    assert doc["base_types"]["pointer"]["size"] == arch.word_size
    for key, layout in truth(name, version).items():
        if "members" not in layout:
            continue
        found = doc["user_types"][key]
        assert found["size"] == layout["size"]
        assert {field: at["offset"] for field, at in found["fields"].items()} == {
            m["name"]: m["offset"]
            for m in layout["members"]
            if "." not in m["name"] and not m["type"].endswith(("_t", "_p"))
        }
    slot = doc["user_types"]["maple_range_64"]["fields"]["slot"]["type"]
    assert slot == {
        "kind": "array",
        "count": 16 if arch.word_size == 8 else 32,
        "subtype": {"kind": "pointer", "subtype": {"kind": "base", "name": "void"}},
    }


@pytest.mark.parametrize("version", structs.VERSIONS)
@pytest.mark.parametrize("config", ["up", "smp", "lock-stat", "rt,lockdep"])
@pytest.mark.parametrize("name", ["sparc64", "hppa"])
def test_types_of_every_kernel_are_as_declared(name, version, config, tmp_path):
    profile = structs.profile(arches.get(name), version, config=config)
    (tmp_path / "types").write_bytes(type_file(profile))
    machine, info = read_types(str(tmp_path / "types"), None, names_of(profile))
    assert machine.name == name
    assert all(one.equal for one in check(profile, names_of(profile), info))


def test_isf_of_every_kernel_refers_only_to_what_it_has():
    for version in structs.VERSIONS:
        doc = symbols(structs.profile(arches.get("arm"), version, config="lockdep"), 0)
        fields = [f["type"] for t in doc["user_types"].values() for f in t["fields"].values()]
        while fields:
            kind = fields.pop()
            assert kind["kind"] != "base" or kind["name"] in doc["base_types"]
            assert kind["kind"] not in {"struct", "enum"} or kind["name"].isidentifier()
            fields += [kind["subtype"]] if "subtype" in kind else []
