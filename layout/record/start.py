"""A trace that builds the address space of /proc/PID/maps, mapping by mapping."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layout.memory.structs import DEFAULT_VERSION
from layout.mm.manager import MemoryManager
from layout.mm.vm_flags import FILE_OPS, VM_ACCOUNT, VM_GROWSDOWN, VM_MAY_ALL, VM_SHARED, VM_WRITE
from layout.record.writing import printable, whole, writing_machine

if TYPE_CHECKING:
    from arches import Arch
    from layout.mm.addressspace import AddressSpace
    from layout.record.maps import Mapping


def from_maps(maps: list[Mapping], arch: Arch, version: str = DEFAULT_VERSION) -> list[str]:
    """The lines of a trace whose tree has one entry for each mapping, in their order.

    ``version`` is the kernel whose operations on trees are carried out.

    Mappings are linked as they stand, not merged: borders in maps are borders of VMAs.
    """
    machine, kernel = writing_machine(arch, version)
    mm = MemoryManager(machine).new_mm()
    link_maps(mm, maps, kernel.lines)
    return whole(kernel.lines)


def link_maps(mm: AddressSpace, maps: list[Mapping], comments: list[str] | None = None) -> None:
    """Give an empty address space the VMAs of a maps file, as insert_vm_struct() links them."""
    files: dict[str, int] = {}
    for mapping in maps:
        if comments is not None:
            where = f"# {mapping.start:x}-{mapping.end:x} {mapping.perms} {printable(mapping.name)}"
            comments.append(where.rstrip())
        vma = mm.manager.vm_area_alloc(mm.mm_mt)
        assert vma is not None  # nothing makes it fail here
        named = mapping.name.startswith("/") or bool(mapping.vm_flags & VM_SHARED)
        flags = mapping.vm_flags | VM_MAY_ALL
        if flags & (VM_WRITE | VM_SHARED) == VM_WRITE:
            flags |= VM_ACCOUNT
        if mapping.name == "[stack]":
            flags |= VM_GROWSDOWN
        offset = mapping.offset if named else mapping.start
        mm.vma_set_range(vma, mapping.start, mapping.end, offset // mm.page_size)
        vma.vm_flags = vma.vm_page_prot = flags
        if named:
            if mapping.name not in files:
                files[mapping.name] = mm.manager.new_file()
            vma.vm_file, vma.vm_ops = files[mapping.name], FILE_OPS
        mm.vma_link(vma)
        if mapping.name == "[heap]":
            mm.start_brk, mm.brk_end = mapping.start, mapping.end
    mm.mmap_write_unlock()
