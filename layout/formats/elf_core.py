"""ELF files: cores that gdb, drgn and crash open, and the ELF headers of a file of types.

A core has one PT_LOAD segment for each run of memory. Physical addresses equal the virtual ones
(volatility3 maps by them). It has the notes that programs require, empty: NT_AUXV for ``drgn -c``,
NT_PRSTATUS for gdb, which crashes on cores of mips without one. For m68k and hppa gdb also needs a
mark that this is Linux.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from elftools.elf.enums import ENUM_E_MACHINE

from layout.images.elf import MACHINES
from layout.memory.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from arches import Arch
    from layout.formats.segments import Segment

_LINUX = 3
_ET_EXEC, _ET_CORE = 2, 4
_PT_LOAD, _PT_NOTE = 1, 4
_SHT_PROGBITS, _SHT_STRTAB = 1, 3
_READ_WRITE = 6
_NT_PRSTATUS, _NT_AUXV = 1, 6
_PRSTATUS = {
    "aarch64": 392,
    "arm": 148,
    "hppa": 396,
    "i386": 144,
    "m68k": 154,
    "mips": 256,
    "powerpc64": 504,
    "powerpc64le": 504,
    "riscv64": 376,
    "s390x": 336,
    "x86_64": 336,
}
"""The size in bytes of a thread's struct elf_prstatus; gdb reads none of sparc64's."""
_MAX_SEGMENTS = 0xFFFE
"""The count has 16 bits, and 0xffff means something else."""

_E_MACHINE = {name: ENUM_E_MACHINE[number] for (number, _), name in MACHINES.items()}
_E_MACHINE["powerpc64"] = _E_MACHINE["powerpc64le"] = ENUM_E_MACHINE["EM_PPC64"]
_E_FLAGS = {"mips": 0x1000, "powerpc64": 1, "powerpc64le": 2, "arm": 0x5000000, "hppa": 0x210}
"""The ABI, where gdb takes it from the flags: o32, ELFv1, ELFv2, EABI 5, PA-RISC 1.1."""


def core(arch: Arch, pieces: Sequence[Segment]) -> bytes:
    """An ELF core of these segments. Raises UsageError for more than the format has room for."""
    if len(pieces) > _MAX_SEGMENTS:
        message = (
            f"an ELF core holds at most {_MAX_SEGMENTS} separate pieces of memory, "
            f"this image has {len(pieces)}: use --format raw"
        )
        raise UsageError(message)
    note = _notes(arch)
    count = len(pieces) + 1
    at = _header_size(arch) + count * _program_size(arch)
    table = [_program(arch, _PT_NOTE, at, 0, len(note))]
    at += len(note)
    for address, data in pieces:
        table.append(_program(arch, _PT_LOAD, at, address, len(data)))
        at += len(data)
    head = _header(arch, _ET_CORE, programs=count)
    return b"".join([head, *table, note, *(data for _, data in pieces)])


def with_sections(arch: Arch, sections: dict[str, bytes]) -> bytes:
    """A linked ELF file that has these sections and no code: what holds debugging information."""
    names = b"\0" + b"".join(name.encode() + b"\0" for name in (*sections, ".shstrtab"))
    bodies = [*sections.values(), names]
    at = _header_size(arch)
    table = [_section(arch, 0, 0, 0, 0)]
    for name, body in zip((*sections, ".shstrtab"), bodies, strict=True):
        kind = _SHT_STRTAB if name == ".shstrtab" else _SHT_PROGBITS
        table.append(_section(arch, names.index(name.encode() + b"\0"), kind, at, len(body)))
        at += len(body)
    padding = bytes(-at % arch.word_size)
    head = _header(arch, _ET_EXEC, sections=len(table), sections_at=at + len(padding))
    return b"".join([head, *bodies, padding, *table])


def _notes(arch: Arch) -> bytes:
    """NT_PRSTATUS of zeros, and NT_AUXV that holds AT_NULL alone."""
    notes = b""
    for kind, size in ((_NT_PRSTATUS, _PRSTATUS.get(arch.name, 0)), (_NT_AUXV, 2 * arch.word_size)):
        if size:
            notes += struct.pack(f"{arch.order_char}3I", 5, size, kind) + b"CORE\0\0\0\0"
            notes += bytes(size + -size % 4)
    return notes


def _header_size(arch: Arch) -> int:
    return 64 if arch.word_size == 8 else 52


def _program_size(arch: Arch) -> int:
    return 56 if arch.word_size == 8 else 32


def _section_size(arch: Arch) -> int:
    return 64 if arch.word_size == 8 else 40


def _header(
    arch: Arch, kind: int, *, programs: int = 0, sections: int = 0, sections_at: int = 0
) -> bytes:
    wide = arch.word_size == 8
    ident = b"\x7fELF" + bytes(
        [2 if wide else 1, 1 if arch.byteorder == "little" else 2, 1, _LINUX]
    )
    word = "Q" if wide else "I"
    return struct.pack(
        f"{arch.order_char}16sHHI3{word}I6H",
        ident,
        kind,
        _E_MACHINE[arch.name],
        1,
        0,
        _header_size(arch) if programs else 0,
        sections_at,
        _E_FLAGS.get(arch.name, 0),
        _header_size(arch),
        _program_size(arch) if programs else 0,
        programs,
        _section_size(arch) if sections else 0,
        sections,
        sections - 1 if sections else 0,
    )


def _program(arch: Arch, kind: int, at: int, address: int, size: int) -> bytes:
    order, flags = arch.order_char, _READ_WRITE if kind == _PT_LOAD else 0
    if arch.word_size == 8:
        return struct.pack(f"{order}2I6Q", kind, flags, at, address, address, size, size, 1)
    return struct.pack(f"{order}8I", kind, at, address, address, size, size, flags, 1)


def _section(arch: Arch, name: int, kind: int, at: int, size: int) -> bytes:
    word = "Q" if arch.word_size == 8 else "I"
    fields = (name, kind, 0, 0, at, size, 0, 0, 1 if kind else 0, 0)
    return struct.pack(f"{arch.order_char}2I4{word}2I2{word}", *fields)
