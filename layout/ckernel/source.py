"""Finds the kernel's maple tree in a source tree or in Debian's source package.

This project contains no kernel source. Three files of a Debian package are unpacked into the user's
cache, once.
"""

from __future__ import annotations

import hashlib
import os
import re
import tarfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING

from layout.ckernel.debian import source_tarball
from layout.host.files import named, write
from layout.memory.errors import InputError, UsageError
from layout.memory.structs import DEFAULT_VERSION
from layout.traces.operations import OPERATIONS

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_DEB = "linux-source-6.12"

TARBALLS = Path("/usr/src")
"""Where Debian puts them."""

CODE = "lib/maple_tree.c"
HEADER = "include/linux/maple_tree.h"
_MAKEFILE = "Makefile"
_LARGEST = 1 << 24
"""Bytes of a file: the kernel's have 230,000."""

_FEATURES = {
    "HAVE_EXPECTED_ENTRIES": r"\bmas_expected_entries\(",
    "HAVE_STATUS": r"enum maple_status\b",
    "HAVE_STORE_TYPE": r"enum store_type\s+store_type\b",
    "HAVE_VACANT_HEIGHT": r"\bvacant_height\b",
    "HAVE_MAS_INIT": r"\bmas_init\(",
    "HAVE_MT_DUMP_FORMAT": r"enum mt_dump_format\b",
    **{
        f"HAVE_{operation.needs.upper()}": rf"\b{operation.needs}\("
        for operation in OPERATIONS.values()
        if operation.needs
    },
}
"""What the harness asks of a kernel, and how its maple_tree.h shows that it has it."""

_CODE_FEATURES = {
    "HAVE_CACHE_ARGS": r"\bstruct kmem_cache_args\b",
    "HAVE_MT_FREE_RCU": r"\bmt_free_rcu\(struct rcu_head\b",
    "HAVE_SHEAVES": r"\bkmem_cache_prefill_sheaf\(",
    "HAVE_MAPLE_COPY": r"\bcp_data_write\(",
    "HAVE_NOMEM_NOFAIL": r"\bmas_nomem_nofail\(",
}
"""The same for what lib/maple_tree.c shows."""

_EMULATORS = (
    ("7.3", {"HAVE_SHEAVES", "HAVE_MAPLE_COPY", "HAVE_NOMEM_NOFAIL"}),
    ("7.2", {"HAVE_SHEAVES", "HAVE_MAPLE_COPY"}),
)
"""The version whose operations a kernel's are compared with, by the features that it has."""

_FIELDS = {
    "HAVE_STATUS": ("status", "end", "node", "hex"),  # hex: struct maple_tree is another
    "HAVE_STORE_TYPE": ("store_type",),
    "HAVE_MT_DUMP_FORMAT": ("text", "printk"),
}
"""Fields of transcript lines that mean something else, or nothing, without a feature."""

_INCLUDE = re.compile(r"^[ \t]*#[ \t]*include[ \t]*<([^>\n]+)>", re.MULTILINE)
_QUOTED = re.compile(r'^[ \t]*#[ \t]*include[ \t]*"([^"\n]+)"', re.MULTILINE)
_MOST_INCLUDES = 500
"""Headers that the two files ask for: the kernel's ask for 20. Each becomes an empty one."""
_LONGEST_INCLUDE = 200
"""Characters of a header's path."""


@dataclass(frozen=True, slots=True)
class KernelSource:
    """One kernel's maple tree: its directory, its version and its features.

    ``sha256`` is of lib/maple_tree.c, ``includes`` are the headers that the two files ask for,
    ``emulator`` is the version of the operations that it is compared with.
    """

    root: Path
    version: str
    sha256: str
    features: frozenset[str]
    includes: frozenset[str]
    emulator: str = DEFAULT_VERSION

    @property
    def code(self) -> Path:
        """lib/maple_tree.c."""
        return self.root / CODE

    @property
    def header(self) -> Path:
        """include/linux/maple_tree.h."""
        return self.root / HEADER

    @property
    def unlike(self) -> str:
        """Why no version of the emulator is like this kernel; "" if one is.

        It is told by what the source has, not by its version.
        """
        copies = "HAVE_MAPLE_COPY" in self.features
        if copies and "HAVE_SHEAVES" in self.features:
            return ""
        if copies:
            return "it has struct maple_copy but no sheaves"
        if "HAVE_SHEAVES" in self.features:
            return "it has sheaves but no struct maple_copy"
        if "HAVE_VACANT_HEIGHT" in self.features:
            return "it has vacant_height but no sheaves"
        return "" if "HAVE_STORE_TYPE" in self.features else "its states have no store_type"

    @property
    def missing_operations(self) -> frozenset[str]:
        """Trace operations that this kernel can't carry out."""
        return frozenset(
            name
            for name, operation in OPERATIONS.items()
            if operation.needs and f"HAVE_{operation.needs.upper()}" not in self.features
        )

    @property
    def missing_fields(self) -> frozenset[str]:
        """Fields of the transcript that can't be compared with the emulator's."""
        return frozenset(
            name
            for feature, names in _FIELDS.items()
            if feature not in self.features
            for name in names
        )

    def __str__(self) -> str:
        return f"Linux {self.version}, {CODE} sha256 {self.sha256}"


def open_source(
    directory: str | None = None, deb: str | None = None, *, download: bool = False
) -> KernelSource:
    """The kernel in a directory, or in an installed Debian package (6.12's if neither is given).

    With ``download`` a package that is not installed is fetched from Debian's archive.
    Raises UsageError, InputError; each says what to do.
    """
    if directory is not None and deb is not None:
        message = "--source and --deb are two ways to name one kernel: give one of them"
        raise UsageError(message)
    if directory is None:
        return _read(_unpacked(deb or DEFAULT_DEB, download=download))
    root = Path(directory)
    for name in (CODE, HEADER):
        if not (root / name).is_file():
            message = f"{directory} has no {name}: give the top directory of a kernel source tree"
            raise UsageError(message)
    return _read(root.resolve())


def receive_source(files: Mapping[str, bytes], version: str, emulator: str) -> KernelSource:
    """A kernel's two files that came from another computer, by name; kept in the cache."""
    digest = hashlib.sha256(b"\0".join(files[name] for name in (CODE, HEADER))).hexdigest()
    root = cache_directory() / "received" / digest[:32]
    for name in (CODE, HEADER):
        path = root / name
        if not path.is_file() or path.read_bytes() != files[name]:
            path.parent.mkdir(parents=True, exist_ok=True)
            write(path, files[name])
    return replace(_read(root), version=version, emulator=emulator)


def cache_directory() -> Path:
    """Where unpacked sources and built programs are kept: in XDG_CACHE_HOME or ~/.cache.

    Raises UsageError for a user without a home, such as one of a container.
    """
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    try:
        return Path(base).expanduser() / "maple-layout"
    except RuntimeError:
        message = "this user has no home directory: set XDG_CACHE_HOME to a directory"
        raise UsageError(message) from None


def _read(root: Path) -> KernelSource:
    code, header = (_contents(root / name) for name in (CODE, HEADER))
    text, body = header.decode(errors="replace"), code.decode(errors="replace")
    features = frozenset(
        name
        for signs, where in ((_FEATURES, text), (_CODE_FEATURES, body))
        for name, sign in signs.items()
        if re.search(sign, where)
    )
    includes = frozenset(_INCLUDE.findall(text) + _INCLUDE.findall(body))
    if len(includes) > _MOST_INCLUDES:
        message = f"{root / CODE} includes {len(includes)} headers: it is no source of the kernel's"
        raise InputError(message)
    for name in sorted(includes | {*_QUOTED.findall(text), *_QUOTED.findall(body)}):
        outside = name.startswith("/") or ".." in name.split("/")
        if outside or "\0" in name or len(name) > _LONGEST_INCLUDE:
            message = f"{root / CODE} includes <{name}>, which is no header of the kernel"
            raise InputError(message)
    digest = hashlib.sha256(code).hexdigest()
    emulator = next((name for name, needed in _EMULATORS if needed <= features), DEFAULT_VERSION)
    return KernelSource(root, _version(root), digest, features, includes, emulator)


def _contents(path: Path) -> bytes:
    with named(path), path.open("rb") as file:
        data = file.read(_LARGEST + 1)
    if len(data) > _LARGEST:
        message = f"{path} has more than {_LARGEST >> 20} MiB: it is no source of the kernel's"
        raise InputError(message)
    return data


def _version(root: Path) -> str:
    """The version that the top Makefile gives, or "of unknown version"."""
    makefile = root / _MAKEFILE
    try:  # a pipe would be waited for
        text = _contents(makefile).decode(errors="replace") if makefile.is_file() else ""
    except (OSError, InputError):
        return "of unknown version"
    names = ("VERSION", "PATCHLEVEL", "SUBLEVEL")
    found = [re.search(rf"^{name} *= *(\d{{1,9}})", text, re.MULTILINE) for name in names]
    extra = re.search(r"^EXTRAVERSION *= *([\w.+~-]{1,64})", text, re.ASCII | re.MULTILINE)
    version = ".".join(match[1] for match in found if match)
    return version + (extra[1] if extra else "") or "of unknown version"


# -- Debian's linux-source packages: one tarball under /usr/src


def _unpacked(deb: str, *, download: bool) -> Path:
    """The directory in the cache with the package's three files."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.+-]*", deb):
        message = f"--deb {deb!r} is no package name: give one like {DEFAULT_DEB}"
        raise UsageError(message)
    tarball = TARBALLS / f"{deb}.tar.xz"
    target = cache_directory() / deb
    stamp = target / ".tarball"
    whole = all((target / name).is_file() for name in (CODE, HEADER, _MAKEFILE))
    if not tarball.is_file():
        if whole:  # the package is gone, what was unpacked of it is not
            return target
        if download:
            with source_tarball(deb, cache_directory()) as stream:
                _unpack(stream, tarball.name, target)
            return target
        message = (
            f"{tarball} is not there: apt install {deb}, or give a kernel tree with --source DIR; "
            "--download gets the package without root"
        )
        raise UsageError(message)
    found = tarball.stat()
    identity = f"{found.st_size} {found.st_mtime_ns}"
    if not whole or not stamp.is_file() or stamp.read_bytes() != identity.encode():
        with tarball.open("rb") as stream:
            _unpack(stream, str(tarball), target)
        write(stamp, identity)
    return target


def _unpack(stream: IO[bytes], tarball: str, target: Path) -> None:
    missing = {CODE, HEADER, _MAKEFILE}
    try:
        with tarfile.open(fileobj=stream, mode="r|xz") as archive:
            for member in archive:
                name = member.name.removeprefix("./").partition("/")[2]
                if name not in missing:
                    continue
                file = archive.extractfile(member)
                if file is None:
                    continue
                (target / name).parent.mkdir(parents=True, exist_ok=True)
                write(target / name, file.read())
                missing.discard(name)
                if not missing:
                    return
    except (tarfile.TarError, EOFError) as error:
        message = f"{tarball} can't be unpacked ({error}): install its package again"
        raise InputError(message) from None
    message = f"{tarball} has no {min(missing)}: is it a kernel's source?"
    raise InputError(message)
