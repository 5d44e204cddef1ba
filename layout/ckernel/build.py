"""Builds the harness with a kernel's maple_tree.c, and caches the builds.

The name of a build in the cache is the hash of all its inputs: the kernel's two files, the harness,
the compiler and its options. So a changed kernel is built again, and an unchanged one is not.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from layout.ckernel import toolchain
from layout.ckernel.source import cache_directory
from layout.host import children
from layout.host.files import named
from layout.host.signals import held
from layout.memory.errors import InputError, UsageError
from layout.traces.language import Kind
from layout.traces.operations import OPERATIONS

if TYPE_CHECKING:
    from layout.ckernel.source import KernelSource
    from layout.ckernel.testcase import TestCase

PLAIN, SANITIZE, COVERAGE, GUIDED = "plain", "sanitize", "coverage", "guided"
MODES = (PLAIN, SANITIZE, COVERAGE, GUIDED)

# as the kernel's own Makefile has them, where they change what the code means
_FLAGS = (
    "-std=gnu11",
    "-g",
    "-D_FILE_OFFSET_BITS=64",
    "-fno-strict-aliasing",
    "-fno-strict-overflow",
    "-fno-delete-null-pointer-checks",
    "-w",
)
_MODE_FLAGS = {
    PLAIN: ("-O2", "-static"),
    SANITIZE: ("-O1", "-fsanitize=address,undefined", "-fno-omit-frame-pointer"),
    COVERAGE: ("-O0", "--coverage", "-DKEEP_COVERAGE", "-static"),
    # comparisons are not traced: the mutator has no use for them, and they take half of the time
    GUIDED: ("-O2", "-fsanitize=fuzzer", "-fno-sanitize-coverage=trace-cmp"),
}
_MAIN = {GUIDED: "guided.c"}
_ZEROED_STACK = {
    False: ("-ftrivial-auto-var-init=zero",),
    True: (  # clang up to 15 wants to hear that it is an experiment
        "-ftrivial-auto-var-init=zero",
        "-enable-trivial-auto-var-init-zero-knowing-it-will-be-removed-from-clang",
    ),
}
"""As kernels are configured (INIT_STACK_ALL_ZERO): 7.3 writes parts of a local to a node."""

_PROGRAM = "harness"
_COMPLAINTS = 1 << 22
"""Bytes that a compiler may write: the first complaint is told."""

_LETTERS = {
    Kind.INDEX: "i",
    Kind.ENTRY: "e",
    Kind.COUNT: "c",
    Kind.TREE: "t",
    Kind.FLAGS: "f",
    Kind.SWITCH: "s",
    Kind.ADDRESS: "a",
    Kind.BYTE: "b",
}
"""What arguments stand for, as operations.c has it."""


@dataclass(frozen=True, slots=True)
class Built:
    """A program that runs traces on a kernel's code: for which machine, from what, and where.

    ``cached`` tells that an earlier build was used.
    """

    arch: str
    mode: str
    source: KernelSource
    directory: Path
    runner: tuple[str, ...]
    cached: bool

    @property
    def command(self) -> list[str]:
        """The words that start it."""
        return [*self.runner, str(self.directory / _PROGRAM)]

    def as_json(self) -> dict[str, object]:
        """The build as JSON has it."""
        return {
            "arch": self.arch,
            "mode": self.mode,
            "version": self.source.version,
            "sha256": self.source.sha256,
            "emulator": None if self.source.unlike else self.source.emulator,
            "program": str(self.directory / _PROGRAM),
            "cached": self.cached,
        }


def build(
    source: KernelSource, arch: str, mode: str = PLAIN, *, test: TestCase | None = None
) -> Built:
    """The program for a machine, compiled if the cache does not have it.

    With ``test`` it runs that test function, and no traces.

    Raises ToolMissing; UsageError for a mode that needs the machine itself; InputError, with
    the compiler's first complaint, for a kernel that the harness does not fit.
    """
    tools = toolchain.find_clang(arch) if mode == GUIDED else toolchain.find(arch)
    if mode != PLAIN and not tools.native:
        message = f"{mode} is for this computer's own architecture: leave it out for {arch}"
        raise UsageError(message)
    harness = {**_harness(), "table.h": _table(source)}
    flags = [*_MODE_FLAGS[mode], *flags_of(source, clang=mode == GUIDED)]
    main = _MAIN.get(mode, "main.c")
    if test is not None:
        main = "testcase.c"
        harness["case.c"] = test.text
        flags += ['-DTEST_CASE="case.c"', f"-DTEST_FUNCTION={test.name}"]
    identity = hashlib.sha256()
    for part in (
        *(text for item in sorted(harness.items()) for text in item),
        source.code.read_text(errors="surrogateescape"),
        source.header.read_text(errors="surrogateescape"),
        arch,
        tools.compiler_version,
        " ".join(flags),
    ):
        identity.update(part.encode(errors="surrogateescape") + b"\0")
    directory = cache_directory() / "builds" / identity.hexdigest()[:32]
    cached = (directory / _PROGRAM).is_file()
    if not cached:
        _compile(source, harness, [tools.compiler, *flags], main, directory)
    return Built(arch, mode, source, directory, tools.runner, cached)


def flags_of(source: KernelSource, *, clang: bool = False) -> list[str]:
    """The compiler's options that change what a kernel's code means."""
    flags = [*_FLAGS, *(f"-D{name}" for name in sorted(source.features))]
    if "HAVE_MAPLE_COPY" in source.features:
        flags += _ZEROED_STACK[clang]
    return flags


def around_code(code: str) -> list[str]:
    """The options that put a file of code into the harness, in a directory of a build."""
    return ["-idirafter", "include", f'-DMAPLE_TREE_C="{code}"']


def _harness() -> dict[str, str]:
    """The harness's files, name and text."""
    folder = resources.files("layout.ckernel") / "harness"
    return {
        file.name: file.read_text() for file in folder.iterdir() if file.name.endswith((".c", ".h"))
    }


def _table(source: KernelSource) -> str:
    """The operations as the harness lists them: those that this kernel can carry out."""
    kinds = {False: "READS", True: "CHANGES"}
    on_cursor = {False: "false", True: "true"}
    return "".join(
        f'{{ "{name}", op_{name}, {kinds[operation.changes]}, {on_cursor[operation.moves_cursor]}, '
        f'"{"".join(_LETTERS[argument.kind] for argument in operation.arguments)}", '
        f"{operation.required} }},\n"
        for name, operation in OPERATIONS.items()
        if name not in source.missing_operations
    )


def _compile(
    source: KernelSource,
    harness: dict[str, str],
    compiler: list[str],
    main: str,
    directory: Path,
) -> None:
    """Compile in a directory of its own, which then takes its place in the cache."""
    directory.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(dir=directory.parent, prefix="building-"))
    try:
        with named(work):
            _fill(work, source, harness)
        around = around_code("maple_tree.c")
        for step in ([*around, "-c", main, "-o", "main.o"], ["main.o", "-o", _PROGRAM]):
            done = children.run([*compiler, *step], cwd=work, most=_COMPLAINTS)
            if done.returncode:
                raise InputError(_complaint(source, done.stderr.decode(errors="replace")))
        try:
            work.rename(directory)
        except OSError:  # another process was quicker
            if not (directory / _PROGRAM).is_file():
                raise
    finally:
        with held():
            shutil.rmtree(work, ignore_errors=True)


def _fill(work: Path, source: KernelSource, harness: dict[str, str]) -> None:
    """Write the harness's files, the kernel's two and empty headers into a directory."""
    for name, text in harness.items():
        (work / name).write_text(text)
    for name in source.includes:  # kernel.h has it all; the C library has its own of some
        stub = work / "include" / name
        stub.parent.mkdir(parents=True, exist_ok=True)
        stub.touch()
    (work / "include" / "linux").mkdir(parents=True, exist_ok=True)
    shutil.copy(source.header, work / "include" / "linux" / "maple_tree.h")
    shutil.copy(source.code, work / "maple_tree.c")


def _complaint(source: KernelSource, stderr: str) -> str:
    lines = [line for line in stderr.splitlines() if "error" in line or "undefined" in line]
    first = (lines or stderr.splitlines() or ["the compiler said nothing"])[0]
    return (
        f"{source.code} does not compile in the harness: {first}: "
        "the harness knows kernels from 6.1 to 7.3"
    )
