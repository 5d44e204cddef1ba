"""Type information in files: raw BTF, the .BTF section of an ELF file, or its DWARF."""

from __future__ import annotations

import contextlib
import io
import os
import platform
import struct
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import arches
from layout.formats.btf import is_btf, read_btf
from layout.formats.dwarf_reader import read_dwarf
from layout.formats.found import Steps
from layout.images.elf import elf_machine
from layout.images.packed import read_bytes
from layout.memory.errors import InputError, UsageError

if TYPE_CHECKING:
    from collections.abc import Collection
    from typing import BinaryIO

    from elftools.elf.elffile import ELFFile

    from arches import Arch
    from layout.formats.found import TypeInfo

_ELF = b"\x7fELF"
_RUNNING = "/sys/kernel/btf/"

# what pyelftools lets through of a damaged header; OSError where it seeks to nowhere
_PARSE_ERRORS = (
    *(AssertionError, AttributeError, LookupError, OSError, OverflowError),
    *(TypeError, ValueError, struct.error, zlib.error),
)

_ABSOLUTE = {
    "EM_PARISC": {1: 4},
    "EM_68K": {1: 4},
    "EM_RISCV": {1: 4, 2: 8},
    "EM_SPARCV9": {3: 4, 23: 4, 32: 8, 54: 8},
}
"""Relocations that pyelftools does not know: the types that mean symbol plus addend, and widths."""

_SMALL, _RATIO = 1 << 24, 32
"""Compressed sections may unpack to so many bytes, and as often the file's size, all together."""

_OLD_PACKED, _OLD_HEADER = ".zdebug", 12
"""Sections that say themselves that they are packed, behind "ZLIB" and a size."""
_READ = (".debug", ".BTF", ".eh_frame")
"""Sections that are read as a whole."""

_RELOCATED = (".debug_info", ".debug_types", ".debug_str_offsets")


def read_types(
    path: str, arch: Arch | None, needed: Collection[str], welcome: Collection[str] = ()
) -> tuple[Arch, TypeInfo]:
    """The machine of a file, and its structs and enums of these names; ``-`` is stdin.

    The file need not have them all; ``needed`` are looked for longest. An ELF header names the
    machine. Raw BTF does not: it is of ``arch``, or if left out of x86_64, or in /sys of the
    machine that runs. Raises OSError, InputError for a file without type information, UsageError
    where ``arch`` is another.
    """
    source = "stdin" if path == "-" else path
    with _opened(path) as file:
        head = file.read(len(_ELF))
        file.seek(0)
        if head == _ELF:
            return _read_elf(file, source, arch, needed, welcome)
        if is_btf(head):
            return _read_raw(file.read(), source, arch or _raw_machine(path), {*needed, *welcome})
    message = (
        f"{source}: neither BTF nor ELF: give /sys/kernel/btf/vmlinux, a vmlinux (not the "
        "compressed vmlinuz) or an object file with debug information"
    )
    raise InputError(message)


def _opened(path: str) -> BinaryIO:
    """An ELF file, which may be larger than memory; of any other all, unpacked if it is xz."""
    if path != "-":
        with contextlib.ExitStack() as stack:
            file = stack.enter_context(Path(path).open("rb"))
            if file.peek(len(_ELF)).startswith(_ELF):
                stack.pop_all()
                return file
    return io.BytesIO(read_bytes(path))


def _read_raw(data: bytes, source: str, machine: Arch, names: set[str]) -> tuple[Arch, TypeInfo]:
    info = read_btf(data, source, names, machine.word_size)
    word_size = info.word_size or machine.word_size
    if (info.byteorder, word_size) != (machine.byteorder, machine.word_size):
        message = (
            f"{source}: BTF of a {info.byteorder}-endian {8 * word_size}-bit machine, which "
            f"{machine.name} is not: give the machine as --arch"
        )
        raise UsageError(message)
    return machine, info


def _raw_machine(path: str) -> Arch:
    """The machine that raw BTF is taken to be of."""
    if path.startswith(_RUNNING):
        with contextlib.suppress(arches.UnknownArchError):
            return arches.get(platform.machine())
    return arches.get("x86_64")


def _read_elf(
    file: BinaryIO,
    source: str,
    arch: Arch | None,
    needed: Collection[str],
    welcome: Collection[str],
) -> tuple[Arch, TypeInfo]:
    from elftools.common.exceptions import DWARFError, ELFError  # noqa: PLC0415 - slow to import
    from elftools.construct import ConstructError  # noqa: PLC0415

    try:
        from elftools.elf.elffile import ELFFile  # noqa: PLC0415

        elf = ELFFile(file)
        machine = elf_machine(elf, source, arch, "a file")
        size = file.seek(0, os.SEEK_END)
        _check_packed(elf, source, size)
        section = elf.get_section_by_name(".BTF")
        if section is not None:
            names = {*needed, *welcome}
            return machine, read_btf(section.data(), source, names, machine.word_size)
        if not elf.has_dwarf_info(strict=True):
            message = (
                f"{source} has no type information: build it with -g, or take a kernel's vmlinux "
                "with CONFIG_DEBUG_INFO"
            )
            raise InputError(message)
        # a vmlinux may keep its relocations, millions of them, which the linker has applied
        apply = elf["e_type"] == "ET_REL"
        if apply and elf["e_machine"] in _ABSOLUTE:
            elf = ELFFile(io.BytesIO(_relocated(elf, file)))
            apply = False
        dwarf = elf.get_dwarf_info(relocate_dwarf_sections=apply)
    except (ELFError, DWARFError, ConstructError, *_PARSE_ERRORS) as error:
        why = " ".join(str(error).split()) or type(error).__name__
        message = f"{source}: its headers or sections can't be read ({why}): fetch it again"
        raise InputError(message) from None
    return machine, read_dwarf(dwarf, source, machine.word_size, needed, welcome, Steps(size))


def _check_packed(elf: ELFFile, source: str, size: int) -> None:
    """Refuse sections that are, or claim to be, much larger than the file of ``size`` bytes."""
    left = _SMALL + _RATIO * size
    for section in elf.iter_sections():
        name = section.name
        if section.compressed:
            left -= section.data_size
        elif name.startswith(_OLD_PACKED):  # what it claims binds nobody
            left -= _unpacked_size(section.data(), left)
        elif section["sh_type"] == "SHT_NOBITS" and name.startswith(_READ):
            left -= section.data_size  # would be so many zeros
        if left < 0:
            message = (
                f"{source}: with section {name[:40]} more than {_SMALL + _RATIO * size >> 20} MiB "
                "after unpacking, which no debug information has: fetch the file again"
            )
            raise InputError(message)


def _unpacked_size(data: bytes, most: int) -> int:
    """How large a section of the form before ELF had one is unpacked; ``most`` + 1 if larger."""
    decoder = zlib.decompressobj()
    size, rest = 0, data[_OLD_HEADER:]
    while rest and not decoder.eof and size <= most:
        size += len(decoder.decompress(rest, 1 << 20))
        rest = decoder.unconsumed_tail
    return min(size, most + 1)


def _relocated(elf: ELFFile, file: BinaryIO) -> bytes:
    """An object file whose debug sections have been relocated."""
    from elftools.elf.relocation import RelocationSection  # noqa: PLC0415 - slow to import
    from elftools.elf.sections import SymbolTableSection  # noqa: PLC0415

    file.seek(0)
    patched = bytearray(file.read())
    widths = _ABSOLUTE[elf["e_machine"]]
    order = "little" if elf.little_endian else "big"
    for section in elf.iter_sections():
        if not isinstance(section, RelocationSection) or not section.is_RELA():
            continue
        target = elf.get_section(section["sh_info"])
        if target.name not in _RELOCATED or target.compressed:
            continue
        symbols = elf.get_section(section["sh_link"])
        if not isinstance(symbols, SymbolTableSection):
            raise ValueError(f"section {section.name} has no symbol table")  # noqa: TRY004
        for relocation in section.iter_relocations():
            width = widths.get(relocation["r_info_type"])
            if width is None:  # differences of labels: lengths of code, which no type needs
                continue
            symbol = symbols.get_symbol(relocation["r_info_sym"])
            value = (symbol["st_value"] + relocation["r_addend"]) & ((1 << 8 * width) - 1)
            at = target["sh_offset"] + relocation["r_offset"]
            patched[at : at + width] = value.to_bytes(width, order)
    return bytes(patched)
