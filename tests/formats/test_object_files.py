"""Which type information a file has, and of which machine it is."""

from __future__ import annotations

import lzma
import resource
import struct
import zlib
from pathlib import Path

import pytest
from elftools.elf.relocation import RelocationHandler

import arches
from layout.formats import object_files
from layout.formats.object_files import read_types
from layout.memory.errors import InputError, UsageError

FIXTURES = Path(__file__).parents[2] / "fixtures"
PROOF = FIXTURES / "proof"


def read(name, arch=None):
    return read_types(str(PROOF / name), arches.get(arch) if arch else None, ["maple_node"])


def test_the_btf_of_an_elf_file():
    machine, info = read("maple-powerpc64-btf.o.xz")
    assert (machine.name, info.source.endswith("(BTF)")) == ("powerpc64", True)
    assert info.structs["maple_node"][0].size == 256


def test_dwarf():
    machine, info = read("maple-powerpc64.o.xz")
    assert (machine.name, info.source.endswith("(DWARF)")) == ("powerpc64", True)


def test_raw_btf_is_of_the_machine_that_was_given():
    machine, info = read("maple-s390x.btf", "s390x")
    assert (machine.name, info.byteorder) == ("s390x", "big")
    assert read("maple-x86_64.btf")[0].name == "x86_64"


def test_the_running_kernels_btf_is_of_the_running_machine(monkeypatch):
    monkeypatch.setattr(object_files, "_RUNNING", str(PROOF))
    monkeypatch.setattr("platform.machine", lambda: "s390x")
    assert read("maple-s390x.btf")[0].name == "s390x"
    monkeypatch.setattr("platform.machine", lambda: "riscv32")
    assert read("maple-x86_64.btf")[0].name == "x86_64"


@pytest.mark.parametrize(
    ("name", "arch", "why"),
    [
        ("maple-s390x.btf", None, "BTF of a big-endian 64-bit machine, which x86_64 is not"),
        ("maple-arm.btf", "x86_64", "BTF of a little-endian 32-bit machine, which x86_64 is not"),
        ("maple-arm.o.xz", "mips", "is a file of arm, not mips: leave out --arch"),
    ],
)
def test_the_wrong_machine(name, arch, why):
    with pytest.raises(UsageError, match=why):
        read(name, arch)


def test_files_without_type_information(tmp_path):
    with pytest.raises(InputError, match=r"probe\.c: neither BTF nor ELF: give /sys/kernel/btf"):
        read("probe.c")
    with pytest.raises(InputError, match="has no type information: build it with -g"):
        read_types(str(FIXTURES / "captures" / "s390x-6.12.95.core.xz"), None, ["maple_node"])
    elf = bytearray(lzma.decompress((PROOF / "maple-arm.o.xz").read_bytes()))
    elf[18] = 0xAA  # e_machine
    (tmp_path / "odd.o").write_bytes(elf)
    with pytest.raises(InputError, match="a file of a machine that is not known"):
        read_types(str(tmp_path / "odd.o"), None, ["maple_node"])


def _packed(how, size, claimed):
    """An object file for x86_64 whose .debug_info is packed: ``size`` zeros, so many claimed."""
    elf = bytearray(lzma.decompress((PROOF / "maple-x86_64.o.xz").read_bytes()))
    [table] = struct.unpack_from("<Q", elf, 40)
    step, count, names = struct.unpack_from("<3H", elf, 58)
    [names_at] = struct.unpack_from("<Q", elf, table + names * step + 24)
    for at in range(table, table + count * step, step):
        [name] = struct.unpack_from("<I", elf, at)
        label = names_at + name
        if elf[label : label + 12] == b".debug_info\0":
            break
    packed = zlib.compress(bytes(size))
    flags, kind, data = 0, 1, b""
    if how == "compressed":
        flags, data = 0x800, struct.pack("<IIQQ", 1, 0, claimed, 1) + packed
    elif how == "zdebug":
        [length] = struct.unpack_from("<Q", elf, table + names * step + 32)
        struct.pack_into("<QQ", elf, table + names * step + 24, len(elf), length + 13)
        struct.pack_into("<I", elf, at, length)
        elf += elf[names_at : names_at + length] + b".zdebug_info\0"
        data = b"ZLIB" + struct.pack(">Q", claimed) + packed
    elif how == "nobits":
        kind = 8
    struct.pack_into("<IQ", elf, at + 4, kind, flags)
    length = claimed if how == "nobits" else len(data)
    struct.pack_into("<QQ", elf, at + 24, len(elf), length)
    return bytes(elf) + data


@pytest.mark.parametrize(
    ("how", "size", "claimed"),
    [
        ("compressed", 1 << 25, 1 << 25),
        ("compressed", 64, 1 << 60),
        ("zdebug", 1 << 25, 1 << 25),
        ("zdebug", 1 << 25, 64),
        ("nobits", 0, 1 << 60),
    ],
)
def test_debug_information_much_larger_than_its_file(how, size, claimed, tmp_path):
    """What is not there, or is there only once it is unpacked, takes no memory."""
    path = tmp_path / "bomb.o"
    path.write_bytes(_packed(how, size, claimed))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(InputError, match=r"bomb\.o: with section \.z?debug_info more than \d+ MiB"):
        read_types(str(path), None, ["maple_node"])
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10


@pytest.mark.parametrize("how", ["compressed", "zdebug"])
def test_packed_debug_information_that_is_none(how, tmp_path):
    path = tmp_path / "zeros.o"
    path.write_bytes(_packed(how, 4096, 4096))
    with pytest.raises(InputError, match=r"zeros\.o: "):
        read_types(str(path), None, ["maple_node"])
    path.write_bytes(_packed(how, 4096, 4096)[:-40] + bytes(40))
    with pytest.raises(InputError, match=r"zeros\.o: "):
        read_types(str(path), None, ["maple_node"])


def test_relocations_that_a_linked_file_keeps_are_not_applied_again(monkeypatch):
    """A vmlinux keeps millions: 10^7 took pyelftools more than five minutes."""
    monkeypatch.delattr(RelocationHandler, "apply_section_relocations")
    _, info = read_types(str(PROOF / "linked-x86_64.xz"), None, ["maple_node"])
    assert [node.size for node in info.structs["maple_node"]] == [256]
    with pytest.raises(InputError, match="apply_section_relocations"):
        read_types(str(PROOF / "maple-x86_64.o.xz"), None, ["maple_node"])
