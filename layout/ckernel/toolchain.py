"""Compilers and user-mode emulators: those that a machine needs, and their packages."""

from __future__ import annotations

import platform
import shutil
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import arches
from layout.host import children
from layout.memory.errors import UsageError


class ToolMissing(UsageError):  # noqa: N818 - a finding about the user's system
    """A compiler, C library or qemu is not installed; the message has the command that does it."""


@dataclass(frozen=True, slots=True)
class _Cross:
    """Debian's names for one machine: GNU triplet, its architecture, qemu's suffix."""

    triplet: str
    debian: str
    qemu: str


_LATEST_CLANG = 30
_ANSWER = 1 << 16
"""Bytes that a compiler says of itself, at most."""

_CROSS = {
    "aarch64": _Cross("aarch64-linux-gnu", "arm64", "aarch64"),
    "arm": _Cross("arm-linux-gnueabihf", "armhf", "arm"),
    "hppa": _Cross("hppa-linux-gnu", "hppa", "hppa"),
    "i386": _Cross("i686-linux-gnu", "i386", "i386"),
    "m68k": _Cross("m68k-linux-gnu", "m68k", "m68k"),
    "mips": _Cross("mips-linux-gnu", "mips", "mips"),
    "powerpc64": _Cross("powerpc64-linux-gnu", "ppc64", "ppc64"),
    "powerpc64le": _Cross("powerpc64le-linux-gnu", "ppc64el", "ppc64le"),
    "riscv64": _Cross("riscv64-linux-gnu", "riscv64", "riscv64"),
    "s390x": _Cross("s390x-linux-gnu", "s390x", "s390x"),
    "sparc64": _Cross("sparc64-linux-gnu", "sparc64", "sparc64"),
    "x86_64": _Cross("x86_64-linux-gnu", "amd64", "x86_64"),
}


@dataclass(frozen=True, slots=True)
class Toolchain:
    """The commands that compile and start programs for one machine, without arguments."""

    arch: str
    compiler: str
    runner: tuple[str, ...]
    compiler_version: str

    @property
    def native(self) -> bool:
        """Whether the programs run without an emulator."""
        return not self.runner


def packages(arch: str) -> list[str]:
    """The Debian packages that a machine's programs are built and run with."""
    if is_native(arch):
        return ["gcc", "libc6-dev"]
    cross = _CROSS[arch]
    compiler = f"gcc-{cross.triplet.replace('_', '-')}"
    return [compiler, f"libc6-dev-{cross.debian}-cross", "qemu-user"]


def compiler_name(arch: str) -> str:
    """What the machine's compiler is called on every Debian, native there or not."""
    return f"{_CROSS[arch].triplet}-gcc"


def is_native(arch: str) -> bool:
    """Whether this computer is such a machine."""
    try:
        return arches.get(platform.machine()).name == arch
    except arches.UnknownArchError:
        return False


def own() -> str:
    """What this computer is. Raises ToolMissing where it is none of the machines."""
    name = next((name for name in sorted(_CROSS) if is_native(name)), "")
    if not name:
        message = f"{platform.machine()} is none of the machines: give --arch"
        raise ToolMissing(message)
    return name


@lru_cache
def find(arch: str) -> Toolchain:
    """The tools for a machine. Raises ToolMissing, which names all packages that it needs."""
    native = is_native(arch)
    names = ("gcc", "cc") if native else (f"{_CROSS[arch].triplet}-gcc",)
    compiler = _first(*names)
    emulator = f"qemu-{_CROSS[arch].qemu}"
    runner = "" if native else _first(emulator, f"{emulator}-static")
    missing = []
    if not compiler:
        missing.append(f"compiler {names[0]}")
    elif not _static_libc(compiler):
        missing.append(f"C library for {names[0]}")
    if not native and not runner:
        missing.append(emulator)
    if missing:
        message = (
            f"{arch} needs {' and '.join(missing)}: "
            f"apt install --no-install-recommends {' '.join(packages(arch))}"
        )
        raise ToolMissing(message)
    version = _output(compiler, "--version").partition("\n")[0]
    return Toolchain(arch, compiler, (runner,) if runner else (), version)


@lru_cache
def find_clang(arch: str) -> Toolchain:
    """clang with libFuzzer, for this computer's own programs. Raises ToolMissing.

    Of Debian's versions the one without a number is taken first, then the latest.
    """
    compiler = _first("clang", *(f"clang-{number}" for number in range(_LATEST_CLANG, 13, -1)))
    if not is_native(arch):
        message = f"clang's libFuzzer runs programs of this computer, not of {arch}"
        raise ToolMissing(message)
    if not compiler or not _fuzzer(compiler):
        message = "clang with libFuzzer is missing: apt install clang libclang-rt-14-dev"
        raise ToolMissing(message)
    version = _output(compiler, "--version").partition("\n")[0]
    return Toolchain(arch, compiler, (), version)


def available() -> list[str]:
    """The machines whose tools are all here, x86_64 first and the others by name."""
    found = []
    for arch in sorted(_CROSS, key=lambda name: (name != "x86_64", name)):
        try:
            find(arch)
        except ToolMissing:
            continue
        found.append(arch)
    return found


def _first(*names: str) -> str:
    return next((path for name in names if (path := shutil.which(name))), "")


def _static_libc(compiler: str) -> str:
    """The path of libc.a, empty if the compiler finds none."""
    path = _output(compiler, "-print-file-name=libc.a").strip()
    return path if Path(path).is_absolute() else ""


def _fuzzer(compiler: str) -> bool:
    """Whether clang has its libFuzzer, a package of its own on Debian."""
    folder = Path(_output(compiler, "-print-resource-dir").strip()) / "lib"
    return any(folder.rglob("libclang_rt.fuzzer*.a"))


def _output(*words: str) -> str:
    return children.run(words, most=_ANSWER).stdout.decode(errors="replace")
