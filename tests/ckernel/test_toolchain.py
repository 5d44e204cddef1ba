import pytest

import arches
from layout.ckernel import toolchain
from layout.ckernel.toolchain import ToolMissing


@pytest.fixture
def bare(monkeypatch, tmp_path):
    """A system without any tool."""
    monkeypatch.setenv("PATH", str(tmp_path))
    toolchain.find.cache_clear()
    yield tmp_path
    toolchain.find.cache_clear()


def tool(path, output):
    path.write_text(
        f"#!/bin/sh\nif [ $1 = --version ]; then echo {path.name} 99; else echo {output}; fi\n"
    )
    path.chmod(0o755)


def test_every_machine_has_packages():
    for name in arches.names():
        assert toolchain.packages(name)
    assert toolchain.packages("powerpc64le") == [
        "gcc-powerpc64le-linux-gnu",
        "libc6-dev-ppc64el-cross",
        "qemu-user",
    ]


@pytest.mark.usefixtures("bare")
def test_all_that_is_missing_is_named():
    with pytest.raises(ToolMissing) as missing:
        toolchain.find("sparc64")
    assert str(missing.value) == (
        "sparc64 needs compiler sparc64-linux-gnu-gcc and qemu-sparc64: apt install "
        "--no-install-recommends gcc-sparc64-linux-gnu libc6-dev-sparc64-cross qemu-user"
    )
    assert toolchain.available() == []


def test_a_compiler_without_a_c_library(bare):
    tool(bare / "s390x-linux-gnu-gcc", "libc.a")
    tool(bare / "qemu-s390x", "")
    with pytest.raises(ToolMissing, match="needs C library for s390x-linux-gnu-gcc: apt"):
        toolchain.find("s390x")
    tool(bare / "s390x-linux-gnu-gcc", "/usr/s390x-linux-gnu/lib/libc.a")
    toolchain.find.cache_clear()
    found = toolchain.find("s390x")
    assert found.runner == (str(bare / "qemu-s390x"),)
    assert found.compiler_version == "s390x-linux-gnu-gcc 99"
    assert not found.native
    assert toolchain.available() == ["s390x"]


def test_this_computer_needs_no_emulator(bare, monkeypatch):
    monkeypatch.setattr("platform.machine", lambda: "ppc64le")
    tool(bare / "gcc", "/usr/lib/libc.a")
    assert toolchain.find("powerpc64le").native
    with pytest.raises(ToolMissing, match="gcc-x86-64-linux-gnu libc6-dev-amd64-cross qemu-user"):
        toolchain.find("x86_64")


def test_clang_needs_its_libfuzzer(bare, monkeypatch):
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    toolchain.find_clang.cache_clear()
    wanted = "clang with libFuzzer is missing: apt install clang libclang-rt-14-dev"
    with pytest.raises(ToolMissing, match=wanted):
        toolchain.find_clang("x86_64")
    tool(bare / "clang-14", bare)
    with pytest.raises(ToolMissing, match=wanted):
        toolchain.find_clang("x86_64")
    runtime = bare / "lib/linux/libclang_rt.fuzzer-x86_64.a"
    runtime.parent.mkdir(parents=True)
    runtime.touch()
    found = toolchain.find_clang("x86_64")
    assert (found.compiler, found.native) == (str(bare / "clang-14"), True)
    with pytest.raises(ToolMissing, match="not of s390x"):
        toolchain.find_clang("s390x")
    toolchain.find_clang.cache_clear()
    monkeypatch.setattr("platform.machine", lambda: "vax")
    with pytest.raises(ToolMissing, match="vax is none of the machines"):
        toolchain.own()
