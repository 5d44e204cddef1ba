"""Kernel sources out of Debian's archive by apt: no root, no change to the system's sources.

The suite's index and the package go into a directory of their own in the user's cache; the
package is deleted once what is wanted was unpacked of it.
"""

from __future__ import annotations

import shutil
import subprocess
import tarfile
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from layout.host import children
from layout.host.files import named
from layout.host.signals import held
from layout.memory.errors import InputError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

SUITE = "trixie-backports"
"""Where linux-source-7.2 and -7.3 are."""

_ARCHIVE = "http://deb.debian.org/debian/"
_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_TOOLS = {"apt-get": "apt", "dpkg-deb": "dpkg"}


@contextmanager
def source_tarball(package: str, cache: Path) -> Iterator[IO[bytes]]:
    """The tarball in the latest version of a linux-source package, fetched into ``cache``.

    Some 165 MB are loaded. Raises UsageError where a tool or the archive is out of reach.
    """
    for tool, belongs_to in _TOOLS.items():
        if not shutil.which(tool):
            message = f"{tool} is not here: apt install {belongs_to}, or give --source DIR"
            raise UsageError(message)
    if not _KEYRING.is_file():
        message = f"{_KEYRING} is not here: apt install debian-archive-keyring"
        raise UsageError(message)
    cache.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(dir=cache, prefix="apt-"))
    try:
        with _opened(_download(package, work), package) as tarball:
            yield tarball
    finally:
        with held():
            shutil.rmtree(work, ignore_errors=True)


def _download(package: str, work: Path) -> Path:
    """The package's file, in a directory of its own."""
    for name in ("parts", "lists/partial", "cache/archives/partial"):
        (work / name).mkdir(parents=True)
    listed = f"deb [signed-by={_KEYRING}] {_mirror()} {SUITE} main\n"
    with named(work):
        (work / "sources.list").write_text(listed)
    options = {
        "Dir::Etc::SourceList": work / "sources.list",
        "Dir::Etc::SourceParts": work / "parts",
        "Dir::State::Lists": work / "lists",
        "Dir::Cache": work / "cache",
        "Debug::NoLocking": 1,
        "APT::Sandbox::User": "",  # the directory is the user's own
    }
    apt = ["apt-get", "-qq", *(f"-o{name}={value}" for name, value in options.items())]
    for action in (["update"], ["download", package]):
        done = children.run([*apt, *action], cwd=work)
        if done.returncode:
            said = done.stderr.decode(errors="replace").strip()
            first = (said.splitlines() or ["no reason was given"])[0]
            message = (
                f"apt-get {' '.join(action)} failed ({first}): look at the network, or give a "
                "kernel tree with --source DIR"
            )
            raise UsageError(message)
    return next(work.glob("*.deb"))


def _mirror() -> str:
    """The address that this machine's own Debian archive has, or the usual one."""
    wanted = ["Created-By: Packages", "Origin: Debian", "Component: main"]
    done = children.run(["apt-get", "indextargets", "--format", "$(REPO_URI)", *wanted])
    found = [
        line for line in done.stdout.decode().split() if not line.rstrip("/").endswith("-security")
    ]
    return found[0] if found else _ARCHIVE


@contextmanager
def _opened(deb: Path, package: str) -> Iterator[IO[bytes]]:
    """The tarball inside a .deb, as a stream."""
    name = f"usr/src/{package}.tar.xz"
    command = ["dpkg-deb", "--fsys-tarfile", str(deb)]
    with children.child(command, stdout=subprocess.PIPE) as unpacking:
        assert unpacking.stdout is not None
        with tarfile.open(fileobj=unpacking.stdout, mode="r|") as archive:
            for member in archive:
                if member.name.removeprefix("./") == name:
                    tarball = archive.extractfile(member)
                    assert tarball is not None
                    yield tarball
                    return
    message = f"the package {package} has no {name}: is it a kernel's source?"
    raise InputError(message)
