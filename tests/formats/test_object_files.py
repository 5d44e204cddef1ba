"""Which type information a file has, and of which machine it is."""

from __future__ import annotations

import lzma
from pathlib import Path

import pytest

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
