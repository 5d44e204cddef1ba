"""Dumps that are read by drgn: an optional extra, for formats that are not read here.

drgn translates virtual addresses with the kernel's page tables, so these are what one gives.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import arches
from layout.images.image import Image
from layout.images.mapped import MappedArena
from layout.images.packed import MappedFile
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
            try:
                data = self._prog.read(base, _PAGE)
            except (self._fault, ValueError, OverflowError):
                self._pages[base] = None
            else:
                self._pages[base] = MappedArena(base, memoryview(data), "a page")
        return self._pages[base]


def _program(data: Bytes, source: str) -> tuple[Any, type[Exception]]:
    """drgn's program for a file that is mapped. Raises InputError."""
    try:
        import drgn  # noqa: PLC0415 - an optional extra
    except ImportError:
        message = (
            f"{source} is a kdump-compressed dump, which drgn reads: "
            f"pip install 'maple-layout[drgn]', or {_HELP}"
        )
        raise InputError(message) from None
    mapped = data.obj if isinstance(data, memoryview) else None
    if not isinstance(mapped, MappedFile):
        message = f"{source} is a kdump-compressed dump, which is read from a file only: save it"
        raise InputError(message)
    prog = drgn.Program()
    try:
        prog.set_core_dump(os.dup(mapped.descriptor))  # which it closes
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
    prog, fault = _program(data, source)
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


__all__ = ["DrgnMemory", "read_by_drgn"]
