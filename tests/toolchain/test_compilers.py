"""The C header, compiled for every machine: its own assertions, and what the objects say."""

from __future__ import annotations

import shutil
import subprocess

import pytest

import arches
from layout.ckernel.toolchain import compiler_name, packages
from layout.formats.cheader import header
from layout.formats.layout_diff import check, names_of
from layout.formats.object_files import read_types
from layout.memory import structs

pytestmark = pytest.mark.toolchain

KERNELS = [
    ("6.12", {}),
    ("6.12", {"lock_size": 0}),
    ("6.12", {"config": "rt,lock-stat"}),
    ("6.1", {"config": "lockdep"}),
    ("6.18", {"config": "smp"}),
    ("7.2", {"config": "up,lockdep"}),
]
IDS = ["-".join([version, *map(str, options.values())]) for version, options in KERNELS]


def kernel(arch, version, options):
    words = options.get("config", "")
    if arch == "m68k" and words == "smp":
        options = {"config": "up"}
    return structs.profile(arches.get(arch), version, **options)


@pytest.fixture
def compiled(missing, tmp_path):
    """An object file made of a profile's header; every struct and enum in it is used."""

    def make(profile, *flags):
        compiler = shutil.which(name := compiler_name(profile.arch.name))
        if not compiler:
            package = packages(profile.arch.name)[0]
            missing(name, f"apt install --no-install-recommends {package}")
        lines = list(header(profile, names_of(profile)))
        uses = [f"struct {name} use_{name};" for name in profile.structs]
        uses += [f"enum {name} use_{name};" for name in profile.enums]
        source, target = tmp_path / "maple.c", tmp_path / "maple.o"
        source.write_text("\n".join([*lines, *uses, ""]))
        warnings = ("-std=gnu11", "-Wall", "-Wextra", "-Werror")
        words = [compiler, *warnings, *flags, "-c", str(source), "-o", str(target)]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return target

    return make


@pytest.mark.parametrize(("version", "options"), KERNELS, ids=IDS)
@pytest.mark.parametrize("arch", arches.names())
def test_the_header_compiles_and_its_object_agrees(compiled, arch, version, options):
    profile = kernel(arch, version, options)
    machine, info = read_types(str(compiled(profile, "-g")), None, names_of(profile))
    assert machine.name == arch
    compared = check(profile, names_of(profile), info)
    assert len(compared) >= 14
    assert [one for one in compared if not one.equal] == []


def test_an_assertion_that_does_not_hold_is_an_error(compiled):
    profile = structs.profile(arches.get("x86_64"))
    with pytest.raises(AssertionError, match=r"offset of struct maple_alloc\.request_count"):
        compiled(profile, "-fpack-struct")


def test_the_header_of_another_machine_is_refused(compiled):
    with pytest.raises(AssertionError, match="x86_64 is little-endian"):
        compiled(structs.profile(arches.get("x86_64")), "-D__BYTE_ORDER__=4321")


@pytest.mark.parametrize("arch", ["x86_64", "s390x", "arm", "powerpc64"])
def test_btf_that_pahole_makes_agrees(compiled, missing, arch):
    pahole = shutil.which("pahole")
    if not pahole:
        missing("pahole", "apt install dwarves")
    profile = structs.profile(arches.get(arch))
    target = compiled(profile, "-g")
    subprocess.run([pahole, "-J", str(target)], check=True)
    _, info = read_types(str(target), None, names_of(profile))
    assert info.source.endswith("(BTF)")
    assert all(one.equal for one in check(profile, names_of(profile), info))
