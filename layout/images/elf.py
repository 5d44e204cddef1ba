"""Finds the machine of an ELF file from its header."""

from __future__ import annotations

from typing import TYPE_CHECKING

import arches
from layout.memory.errors import InputError, UsageError

if TYPE_CHECKING:
    from elftools.elf.elffile import ELFFile

    from arches import Arch

MACHINES = {
    ("EM_X86_64", 64): "x86_64",
    ("EM_S390", 64): "s390x",
    ("EM_SPARCV9", 64): "sparc64",
    ("EM_AARCH64", 64): "aarch64",
    ("EM_RISCV", 64): "riscv64",
    ("EM_386", 32): "i386",
    ("EM_ARM", 32): "arm",
    ("EM_MIPS", 32): "mips",
    ("EM_PARISC", 32): "hppa",
    ("EM_68K", 32): "m68k",
}
"""The machine for each e_machine and word size in bits; PowerPC's also needs the byte order."""

_PPC64 = {True: "powerpc64le", False: "powerpc64"}


def elf_machine(elf: ELFFile, source: str, wanted: Arch | None, what: str = "a core") -> Arch:
    """The machine that the ELF header names, or ``wanted``; ``what`` names the kind of file.

    Raises UsageError where ``wanted`` is another one, InputError for one that is not known.
    """
    number = elf["e_machine"]
    name = MACHINES.get((number, elf.elfclass))
    if (number, elf.elfclass) == ("EM_PPC64", 64):
        name = _PPC64[elf.little_endian]
    if wanted is None:
        try:
            machine = arches.get(name or str(number))
        except arches.UnknownArchError:
            known = ", ".join(arches.names())
            message = (
                f"{source}: {what} of a machine that is not known (e_machine {number}): "
                f"say what it is like with --arch, one of {known}"
            )
            raise InputError(message) from None
    else:
        machine = wanted
        if name is not None and name != wanted.name and name in arches.names():
            message = f"{source} is {what} of {name}, not {wanted.name}: leave out --arch"
            raise UsageError(message)
    order = "little" if elf.little_endian else "big"
    if machine.byteorder != order or 8 * machine.word_size != elf.elfclass:
        message = (
            f"{source}: {what} of a {order}-endian {elf.elfclass}-bit machine, which "
            f"{machine.name} is not: the file is damaged, or another --arch is needed"
        )
        raise InputError(message)
    return machine
