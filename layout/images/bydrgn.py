"""Dumps that are read by drgn: an optional extra, for formats that are not read here.

drgn translates virtual addresses with the kernel's page tables, so these are what one gives.
"""

from __future__ import annotations

import contextlib
import logging
import os
import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING, Any

import arches
from layout.host.progress import Progress
from layout.images.decode import decode
from layout.images.foreign import FLATTENED, KDUMP, foreign
from layout.images.image import Image
from layout.images.mapped import MappedArena
from layout.images.packed import as_file, temporary
from layout.images.treestruct import Known, find_struct
from layout.memory.errors import InputError, UsageError
from layout.memory.node import NodeMemory

if TYPE_CHECKING:
    from arches import Arch
    from layout.images.packed import Bytes
    from layout.memory.memory import Arena
    from layout.memory.structs import Profile

_PAGE = 4096
_MOST_PAGES = 4096
"""So many pages are kept."""

_ARCHES = {
    "X86_64": "x86_64",
    "I386": "i386",
    "AARCH64": "aarch64",
    "ARM": "arm",
    "RISCV64": "riscv64",
    "S390X": "s390x",
}
_UTSNAME, _NAME = 12, 65
"""In the header of a kdump file: where struct new_utsname lies, and the bytes of each string."""
_QEMU = {b"x86_64": b"x86_64", b"S390X": b"s390x", b"aarch64": b"aarch64"}
"""The machine as QEMU names it, and as kernels do."""
_FLAT_HEAD = 4096 + 16
"""In a flattened stream the first record's bytes are behind its header, offset and size."""
_PIECE = 1 << 20
_HELP = (
    "dump anew as an ELF core (QEMU's dump-guest-memory -p FILE without -z, -l or -s; "
    "makedumpfile -E -d 31)"
)


class DrgnMemory(NodeMemory):
    """Memory that ``prog``, a drgn.Program, reads, page by page as it is looked at."""

    def __init__(self, arch: Arch, profile: Profile, prog: Any, fault: type[Exception]) -> None:
        super().__init__(arch, profile)
        self._prog, self._fault = prog, fault
        self._pages: dict[int, Arena | None] = {}

    def arena_at(self, address: int) -> Arena | None:  # noqa: D102
        base = address & -_PAGE
        if base not in self._pages:
            if len(self._pages) >= _MOST_PAGES:
                self._pages.clear()
            data = self._read(base)
            self._pages[base] = MappedArena(base, memoryview(data), "a page") if data else None
        return self._pages[base]

    def _read(self, base: int) -> bytes | None:
        """A page; on s390x slab memory is at its physical address if nothing else is known."""
        for physical in (False, True) if self.arch.name == "s390x" else (False,):
            try:
                data: bytes = self._prog.read(base, _PAGE, physical)
            except (self._fault, ValueError, OverflowError):
                continue
            return data
        return None


def quiet() -> None:
    """Keep drgn from writing to stderr: what is wrong is told in one line."""
    logger = logging.getLogger("drgn")
    logger.addHandler(logging.NullHandler())
    logger.propagate = False


def dump_file(data: Bytes, source: str) -> int:
    """A descriptor of a dump for drgn's set_core_dump(), which closes it. Raises OSError.

    QEMU leaves all of a kdump header's utsname empty but for the machine, which libkdumpfile does
    not take for one of Linux. Then it gets a copy in which the rest is filled in.
    """
    start = _FLAT_HEAD if data[: len(FLATTENED)] == FLATTENED else 0
    at = start + _UTSNAME
    machine = bytes(data[at + 4 * _NAME : at + 5 * _NAME]).rstrip(b"\0")
    empty = not any(data[at : at + 4 * _NAME])
    if data[start : start + len(KDUMP[0])] != KDUMP[0] or not empty or machine not in _QEMU:
        return as_file(data, source)
    names = (b"Linux", b"(none)", b"6.12.0", b"#1", _QEMU[machine], b"(none)")
    with temporary(source, "for a copy"), tempfile.TemporaryFile() as file:
        progress = Progress(f"copying {source}", len(data))
        for place in range(0, len(data), _PIECE):
            file.write(data[place : place + _PIECE])
            progress.at(place)
        progress.end()
        file.seek(at)
        file.write(b"".join(name.ljust(_NAME, b"\0") for name in names))
        file.flush()
        return os.dup(file.fileno())


def try_out(number: int, tree: int | None, arch: Arch | None, source: str) -> None:
    """Let another process decode the tree first: libkdumpfile may crash on a damaged file.

    Raises InputError if that process died of a signal.
    """
    words = [str(number), str(tree or 0), arch.name if arch else ""]
    done = subprocess.run(  # noqa: S603 - this module
        [sys.executable, "-m", __name__, *words],
        pass_fds=[number],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,
    )
    if done.returncode < 0:
        message = (
            f"{source}: libkdumpfile, which drgn uses, ends with signal {-done.returncode} on this "
            "dump: it is cut short or damaged, fetch it again"
        )
        raise InputError(message)


def _tried_out(number: str, tree: str, arch: str) -> None:
    """What the other process does; what it finds is for the first to find again."""
    with contextlib.suppress(Exception):
        prog, fault = _program(int(number), "")
        machine = arches.get(arch) if arch else None
        image = _read(prog, fault, "", tree=int(tree), arch=machine, known=Known())
        decode(image.memory, image.tree)


def _require_drgn(data: Bytes, source: str) -> None:
    """Raise InputError where drgn is missing."""
    try:
        import drgn  # noqa: F401, PLC0415 - an optional extra
    except ImportError:
        name, remedy = foreign(data) or ("a kdump-compressed dump", _HELP)
        message = f"{source} is {name}: {remedy}"
        raise InputError(message) from None


def _program(number: int, source: str) -> tuple[Any, type[Exception]]:
    """drgn's program for the file with this descriptor, which it closes. Raises InputError."""
    import drgn  # noqa: PLC0415 - an optional extra

    quiet()
    prog = drgn.Program()
    try:
        prog.set_core_dump(number)
    except OSError:
        raise
    except Exception as error:  # noqa: BLE001 - libkdumpfile's complaints come as several types
        why = " ".join(str(error).split()) or type(error).__name__
        message = f"{source} is a kdump-compressed dump that drgn can't read ({why}): {_HELP}"
        raise InputError(message) from None
    return prog, drgn.FaultError


def _machine(prog: Any, source: str, wanted: Arch | None) -> Arch:
    """The machine that drgn names. Raises InputError, UsageError."""
    name = None if prog.platform is None else prog.platform.arch.name
    if name == "PPC64":
        little = "IS_LITTLE_ENDIAN" in str(prog.platform.flags)
        name = "powerpc64le" if little else "powerpc64"
    else:
        name = _ARCHES.get(str(name))
    if name is None:
        if wanted is None:
            message = f"{source}: drgn does not know the machine of this dump: give --arch A"
            raise InputError(message)
        return wanted
    if wanted is not None and wanted.name != name:
        message = f"{source} is a dump of {name}, not {wanted.name}: leave out --arch"
        raise UsageError(message)
    return arches.get(name)


def read_by_drgn(
    data: Bytes, source: str, *, tree: int | None, arch: Arch | None, known: Known
) -> Image:
    """The tree at address ``tree`` in a kdump-compressed dump. Raises InputError, UsageError."""
    _require_drgn(data, source)
    number = dump_file(data, source)
    try_out(number, tree, arch, source)
    prog, fault = _program(number, source)
    return _read(prog, fault, source, tree=tree, arch=arch, known=known)


def _read(  # noqa: PLR0913 - what the caller may know
    prog: Any,
    fault: type[Exception],
    source: str,
    *,
    tree: int | None,
    arch: Arch | None,
    known: Known,
) -> Image:
    machine = _machine(prog, source, arch)
    if tree is None:
        message = (
            f"{source} is a kdump-compressed dump, which does not tell where its trees lie: give "
            "the address of a struct maple_tree as --tree ADDR"
        )
        raise UsageError(message)
    notes = ["read by drgn"]
    if known.kernel is None:
        try:
            release = prog["VMCOREINFO"].string_().decode().split("OSRELEASE=")[1].split("\n")[0]
        except (LookupError, UnicodeDecodeError, fault):
            pass
        else:
            known = known._replace(kernel=release)
            notes.append(f"kernel {release}, as its VMCOREINFO says")
    memory, note = find_struct(
        lambda profile: DrgnMemory(machine, profile, prog, fault), machine, tree, source, known
    )
    return Image(machine, memory.profile, memory, tree, source, "kdump", [*notes, note])


__all__ = ["DrgnMemory", "dump_file", "quiet", "read_by_drgn", "try_out"]

if __name__ == "__main__":
    _tried_out(*sys.argv[1:])
