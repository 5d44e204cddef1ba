"""Builds the compiled twin of layout/tree, the manual page, and the README for package indexes.

All else about the package is in pyproject.toml.

The translator makes a Cython module out of the sources, Cython makes C of it, and the compiler an
extension that all Pythons from 3.11 on can load. Without a compiler the package is pure Python
and does the same, slower. ``MAPLE_LAYOUT_NO_EXT=1`` asks for that; with
``MAPLE_LAYOUT_REQUIRE_EXT=1`` an extension that cannot be built is an error.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from setuptools import Extension, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent
WORK = Path("build/twin")
"""Where the generated text, its C and the last extension stay."""

LOG = WORK / "log.txt"

MANUAL = Path("build/man/maple-layout.1")

URLS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"]

FORBIDDEN = os.environ.get("MAPLE_LAYOUT_NO_EXT", "") not in {"", "0"}
REQUIRED = os.environ.get("MAPLE_LAYOUT_REQUIRE_EXT", "") not in {"", "0"}

GIL = not sysconfig.get_config_var("Py_GIL_DISABLED")
"""Without it there is no stable ABI yet, and the twin was not made for threads."""

sys.path.insert(0, str(ROOT))
try:
    from layout.compiled import TABLES
finally:
    sys.path.remove(str(ROOT))

TWINS = [
    Extension(
        f"layout.compiled.{name}",
        sources=[],  # made by BuildTwin
        define_macros=[("Py_LIMITED_API", "0x030b0000"), ("NDEBUG", None)],
        extra_compile_args=[] if os.name == "nt" else ["-O3", "-fwrapv", "-g0", "-w"],
        py_limited_api=True,
    )
    for name in TABLES
]
"""An extension for each table of operations."""


class BuildTwin(build_ext):
    """Builds the extension, or says why the package goes without."""

    def run(self) -> None:
        """Build it; drop it where that fails."""
        why = "MAPLE_LAYOUT_NO_EXT is set" if FORBIDDEN else "this Python has no GIL"
        if not FORBIDDEN and GIL:
            try:
                super().run()
            except (Exception, SystemExit) as error:  # noqa: BLE001 - Cython, or any compiler
                why = _said() or str(error) or type(error).__name__
            else:
                return
        if REQUIRED:
            raise SystemExit(f"MAPLE_LAYOUT_REQUIRE_EXT is set, but there is no extension: {why}")
        self._drop()
        if not FORBIDDEN:
            print(f"maple-layout: installed as pure Python, which is slower: {why}")

    def build_extensions(self) -> None:
        """Build all at once: translating and compiling takes a minute for each."""
        WORK.mkdir(parents=True, exist_ok=True)
        with _quiet(), ThreadPoolExecutor() as pool:
            digests = {ext.name: _generate(_short(ext)) for ext in self.extensions}
            list(pool.map(lambda ext: self._build(ext, digests[ext.name]), self.extensions))

    def _build(self, ext: Extension, made_from: str) -> None:
        """Translate and compile, unless the last extension was made from the same text."""
        target, name = Path(self.get_ext_fullpath(ext.name)), _short(ext)
        kept, key = WORK / target.name, WORK / f"{name}.key"
        if not (kept.exists() and key.exists() and key.read_text() == made_from):
            key.unlink(missing_ok=True)
            pyx, c = WORK / f"{name}.pyx", WORK / f"{name}.c"
            # not cythonize(): its processes would import this file again
            cython = [sys.executable, "-m", "cython", "-3", "-o", str(c), str(pyx)]
            subprocess.run(cython, check=True)  # noqa: S603 - made of our own names
            ext.sources = [str(c)]
            self.build_extension(ext)
            shutil.copyfile(target, kept)
            key.write_text(made_from)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(kept, target)

    def _drop(self) -> None:
        """Go on without the extension; what an earlier build left in the checkout goes too."""
        if self.inplace:
            for twin in TWINS:
                name = Path(self.get_ext_filename(twin.name)).name
                (ROOT / "layout" / "compiled" / name).unlink(missing_ok=True)
        self.extensions = []
        self.distribution.ext_modules = []


class Wheel(bdist_wheel):
    """A wheel that is named for what is in it."""

    def run(self) -> None:
        """Build the extension first: only then is it known whether there is one."""
        build = self.get_finalized_command("build")
        shutil.rmtree(build.build_lib, ignore_errors=True)  # an older tree's modules
        self.run_command("build_ext")
        self.root_is_pure = not self.distribution.has_ext_modules()
        _write_manual(self.distribution.get_version())
        super().run()


def _short(ext: Extension) -> str:
    return ext.name.rpartition(".")[2]


def _generate(name: str) -> str:
    """Write a Cython module; returns a digest of all that the extension depends on."""
    import Cython  # noqa: PLC0415 - may be missing

    with _sources():
        from layout.compiled import translate  # noqa: PLC0415 - needs the path

        text = translate.module(TABLES[name])
    (WORK / f"{name}.pyx").write_text(text)
    flags = Path(__file__).read_text()
    parts = (text, flags, Cython.__version__, sysconfig.get_platform())
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _write_manual(version: str) -> None:
    with _sources():
        from layout.cli import manpage  # noqa: PLC0415 - needs the path

        manpage.write(MANUAL, version, URLS["Source"])


def _readme() -> str:
    """README.md, in which links to files of this tree lead to its repository."""
    text = (ROOT / "README.md").read_text()
    return re.sub(r"\]\((?!https?:|#)", f"]({URLS['Source']}/blob/main/", text)


@contextmanager
def _sources() -> Iterator[None]:
    """This tree's packages can be imported."""
    sys.path.insert(0, str(ROOT))
    try:
        yield
    finally:
        sys.path.remove(str(ROOT))


@contextmanager
def _quiet() -> Iterator[None]:
    """What Cython and the compiler print goes to LOG."""
    sys.stdout.flush()
    sys.stderr.flush()
    kept = os.dup(1), os.dup(2)
    with LOG.open("wb") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for number, old in zip((1, 2), kept, strict=True):
            os.dup2(old, number)
            os.close(old)


def _said() -> str:
    """The first error that the compiler reported, and where all it said is."""
    lines = LOG.read_text(errors="replace").splitlines() if LOG.exists() else []
    first = next((line.strip() for line in lines if re.search(r"error:|\.pyx:\d+:", line)), "")
    return f"{first} ({LOG} has all)" if first else ""


setup(
    ext_modules=TWINS,
    cmdclass={"build_ext": BuildTwin, "bdist_wheel": Wheel},
    data_files=[("share/man/man1", [str(MANUAL)])],
    long_description=_readme(),
    long_description_content_type="text/markdown",
    options={"bdist_wheel": {"py_limited_api": "cp311"}} if GIL else {},
)
