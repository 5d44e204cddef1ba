"""ELF files: which machine one is of, its program headers and its notes.

Only what memory needs is read. Section headers are left alone, but for the first where it holds
the number of program headers: what writes cores does not always write them right.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import arches
from layout.memory.errors import InputError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from arches import Arch
    from layout.images.packed import Bytes

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


_MANY = 0xFFFF
"""PN_XNUM: the number of program headers is in the first section header."""
_PT_LOAD, _PT_NOTE = 1, 4
_NOTE_ALIGN = 4
MAX_NOTES = 1 << 24
"""So many bytes of one segment of notes are looked at."""


class Header(Protocol):
    """What elf_machine() needs of an ELF header."""

    elfclass: int
    little_endian: bool

    def __getitem__(self, name: str) -> Any:
        """A field of the ELF header."""


class Segment(NamedTuple):
    """A PT_LOAD program header: places and sizes in bytes."""

    offset: int
    address: int
    physical: int
    size: int
    memory_size: int


Fields = Sequence[int]
"""The fields of a Segment, of which there may be too many to make one each."""


class ElfError(Exception):
    """An ELF file's headers can't be read; the message says why."""


class Elf:
    """The header of an ELF file whose bytes are ``data``. Raises ElfError."""

    def __init__(self, data: Bytes) -> None:
        from elftools.construct import ConstructError  # noqa: PLC0415 - slow to import
        from elftools.elf.structs import ELFStructs  # noqa: PLC0415

        self.data = data
        ident = bytes(data[:16])
        if len(ident) < 16 or ident[:4] != b"\x7fELF":
            raise ElfError("no ELF header")
        if ident[4] not in (1, 2) or ident[5] not in (1, 2):
            raise ElfError(f"class {ident[4]}, data encoding {ident[5]}")
        self.elfclass = 32 * ident[4]
        self.little_endian = ident[5] == 1
        self._structs = ELFStructs(self.little_endian, self.elfclass)
        self._structs.create_basic_structs()
        self._structs.create_advanced_structs()
        try:
            self._header = self._structs.Elf_Ehdr.parse(bytes(data[:64]))
        except ConstructError as error:
            raise ElfError(str(error)) from None
        self._order = "<" if self.little_endian else ">"

    def __getitem__(self, name: str) -> Any:
        """A field of the ELF header."""
        return self._header[name]

    def _count(self) -> int:
        """The number of program headers."""
        count = int(self["e_phnum"])
        if count == _MANY and self["e_shoff"]:
            at = self["e_shoff"] + (44 if self.elfclass == 64 else 28)  # sh_info of the first
            if at + 4 > len(self.data):
                raise ElfError("the section header that counts the program headers is missing")
            count = int(struct.unpack(f"{self._order}I", self.data[at : at + 4])[0])
        return count

    def _program_headers(self) -> Iterable[tuple[int, Fields]]:
        """Type and content of each program header: the fields of a Segment."""
        wide = self.elfclass == 64
        # p_type, p_flags, p_offset, p_vaddr, p_paddr, p_filesz, p_memsz, p_align
        row = struct.Struct(self._order + ("II6Q" if wide else "8I"))
        count, start, step = self._count(), int(self["e_phoff"]), int(self["e_phentsize"])
        if not count:
            return ()
        if step < row.size:
            raise ElfError(f"program headers of {step} bytes, they have {row.size}")
        if start + count * step > len(self.data):
            raise ElfError(f"{count} program headers at {start} of {len(self.data)} bytes")
        table = memoryview(self.data)[start : start + count * step]
        rows = (
            row.iter_unpack(table)
            if step == row.size
            else (row.unpack_from(table, at) for at in range(0, count * step, step))
        )
        if wide:
            return ((kind, rest[1:6]) for kind, *rest in rows)
        return ((kind, rest[:5]) for kind, *rest in rows)

    def segments(self) -> Iterator[Fields]:
        """The PT_LOAD segments in the order of the table: fields as Segment has them.

        Raises ElfError.
        """
        return (fields for kind, fields in self._program_headers() if kind == _PT_LOAD)

    def notes(self) -> Iterator[tuple[str, bytes]]:
        """Name and content of each note that can be read. Raises ElfError."""
        for kind, fields in self._program_headers():
            if kind == _PT_NOTE:
                segment = Segment(*fields)
                end = segment.offset + min(segment.size, MAX_NOTES)
                yield from self._notes_in(bytes(self.data[segment.offset : end]))

    def _notes_in(self, data: bytes) -> Iterator[tuple[str, bytes]]:
        at = 0
        while at + 12 <= len(data):
            name_size, size, _ = struct.unpack_from(f"{self._order}3I", data, at)
            name_at = at + 12
            content_at = name_at + (name_size + _NOTE_ALIGN - 1) // _NOTE_ALIGN * _NOTE_ALIGN
            name = data[name_at : name_at + name_size].rstrip(b"\0").decode("latin-1")
            yield name, data[content_at : content_at + size]
            at = content_at + (size + _NOTE_ALIGN - 1) // _NOTE_ALIGN * _NOTE_ALIGN


def elf_machine(elf: Header, source: str, wanted: Arch | None, what: str = "a core") -> Arch:
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
