"""ELF cores: pages of kernel memory in PT_LOAD segments, as kernels, QEMU and makedumpfile write.

Addresses are virtual, or physical where a dump was made without the guest's page tables.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from layout.host.progress import Progress
from layout.images.directmap import PHYSICAL_MAX, find_tree
from layout.images.elf import Elf, ElfError, elf_machine
from layout.images.mapped import Store, Window
from layout.images.segments import SegmentTable
from layout.images.treestruct import Known
from layout.images.vmcoreinfo import NOTE, VmcoreInfo
from layout.memory.errors import InputError, UsageError

if TYPE_CHECKING:
    from arches import Arch
    from layout.images.image import Image
    from layout.images.packed import Bytes


_ROWS, _ROW = 4096, 56
"""After how many program headers to tell how far it is, and the bytes of one."""


class Core(NamedTuple):
    """An ELF core: its machine and bytes, what the kernel says of itself, and notes to tell."""

    arch: Arch
    store: Store
    info: VmcoreInfo | None
    notes: list[str]


def open_core(data: Bytes, source: str, arch: Arch | None = None) -> Core:
    """The core in ``data``. Raises InputError, UsageError."""
    try:
        elf = Elf(data)
        machine = _machine(elf, source, arch)
        store, overlaps = _read_segments(elf, source, machine)
        info = next((VmcoreInfo(text) for name, text in elf.notes() if name == NOTE), None)
    except (ElfError, struct.error, OverflowError) as error:
        _damaged(source, f"its headers can't be read ({' '.join(str(error).split())})")
    if info and store.physical:
        window = info.kernel_image(machine)
        store.windows += [Window(*window)] if window else []
        store.shift = info.direct_map(machine) or 0
    notes = []
    if overlaps:
        notes.append(f"{overlaps} segments overlap with others before them: the first are taken")
    return Core(machine, store, info, notes)


def read_core(  # noqa: PLR0913 - what the caller may know about a core
    data: Bytes,
    source: str,
    *,
    tree: int | None,
    arch: Arch | None = None,
    kernel: str | None = None,
    lock_size: int | None = None,
    config: str | None = None,
    direct_map: int | None = None,
) -> Image:
    """The tree at address ``tree`` in an ELF core.

    ``direct_map`` is the virtual address of physical address 0 in the direct map. Raises
    InputError for a file that is no core, or cut short; UsageError without ``tree``.
    """
    core = open_core(data, source, arch)
    if tree is None:
        message = (
            f"{source} is an ELF core, which does not tell where its trees lie: give the "
            f"address of a struct maple_tree as --tree ADDR (maple-layout scan {source} lists "
            "those that it finds)"
        )
        raise UsageError(message)
    if kernel is None and core.info and core.info.release:
        kernel = core.info.release
        core.notes.append(f"kernel {kernel}, as its VMCOREINFO says")
    known = Known(kernel, lock_size, config)
    return find_tree(core.store, core.arch, tree, source, known, direct_map, "core", core.notes)


def _damaged(source: str, why: str) -> NoReturn:
    message = f"{source}: {why}: the core is cut short or damaged, fetch it again"
    raise InputError(message)


def _machine(elf: Elf, source: str, wanted: Arch | None) -> Arch:
    """The machine of a core. Raises InputError for an ELF file of another kind."""
    if elf["e_type"] != "ET_CORE":
        message = f"{source}: an ELF file, but no core (its e_type is {elf['e_type']}): give a core"
        raise InputError(message)
    return elf_machine(elf, source, wanted)


def _read_segments(elf: Elf, source: str, machine: Arch) -> tuple[Store, int]:
    """The bytes of the PT_LOAD segments, and how many of these overlap with others."""
    table, excluded = SegmentTable(), SegmentTable()
    physical = _is_physical(elf, machine)
    size, most = len(elf.data), machine.ulong_max
    progress = Progress(f"reading the segments of {source}")
    for i, (offset, virtual, place, here, whole) in enumerate(elf.segments()):
        if not i % _ROWS:
            progress.at(i * _ROW)
        address = place if physical else virtual
        if here:
            if offset + here > size:
                _damaged(source, f"segment {i} ends at byte {offset + here} of a file of {size}")
            if address + here > most + 1:
                _damaged(source, f"segment {i} at {address:x} ends beyond the last address")
            table.add(address, here, offset)
        if whole > here and address + here <= most:
            excluded.add(address + here, min(whole, most + 1 - address) - here, 0)
    progress.end()
    if not len(table):
        message = f"{source}: a core without memory (no PT_LOAD segment with bytes in the file)"
        raise InputError(message)
    table.finish()
    excluded.finish()
    store = Store(elf.data, table, excluded)
    store.physical = physical
    return store, table.overlaps


def _is_physical(elf: Elf, machine: Arch) -> bool:
    """Whether the addresses of segments are physical: the same twice, or the virtual one left out.

    Physical addresses have 52 bits at most.
    """
    equal = alone = True
    for _, virtual, place, here, _ in elf.segments():
        if here:
            equal = equal and virtual == place
            alone = alone and not virtual
            if not (equal or alone) or place > PHYSICAL_MAX:
                return False
    return machine.word_size == 4 or equal or alone
