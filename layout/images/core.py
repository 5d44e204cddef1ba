"""ELF cores: pages of kernel memory in PT_LOAD segments, read with pyelftools.

A core does not contain the kernel's configuration. So the offset of ma_flags in struct maple_tree
comes from the caller's options, or is the word whose height agrees with the tree.
"""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from layout.images.decode import measure_height
from layout.images.elf import elf_machine
from layout.images.image import Image, require_tree
from layout.memory import structs
from layout.memory.errors import InputError, MachineFault, UsageError
from layout.memory.node import NodeMemory
from layout.memory.pointers import (
    MT_FLAGS_ALLOC_RANGE,
    MT_FLAGS_ALLOC_WRAPPED,
    MT_FLAGS_HEIGHT_MASK,
    MT_FLAGS_LOCK_MASK,
    MT_FLAGS_USE_RCU,
    mt_height,
)

if TYPE_CHECKING:
    from elftools.elf.elffile import ELFFile

    from arches import Arch
    from layout.memory.structs import Profile

MAX_MAPPED = 1 << 30
"""How many bytes of segments are mapped at most."""

_FLAGS = (
    MT_FLAGS_ALLOC_RANGE
    | MT_FLAGS_USE_RCU
    | MT_FLAGS_HEIGHT_MASK
    | MT_FLAGS_LOCK_MASK
    | MT_FLAGS_ALLOC_WRAPPED
)
"""All bits that ma_flags can have."""

# what pyelftools lets through of a damaged header
_PARSE_ERRORS = (
    AssertionError,
    AttributeError,
    LookupError,
    OverflowError,
    TypeError,
    ValueError,
    struct.error,
)

Segment = tuple[int, bytearray]
"""The address of the first byte, and the bytes."""


class _Candidate(NamedTuple):
    """One possible offset of ma_flags: ``fits`` if its height is the tree's."""

    memory: NodeMemory
    offset: int
    flags: int
    fits: bool
    plausible: bool


def read_core(  # noqa: PLR0913 - what the caller may know about a core
    data: bytes,
    source: str,
    *,
    tree: int | None,
    arch: Arch | None = None,
    kernel: str | None = None,
    lock_size: int | None = None,
    config: str | None = None,
) -> Image:
    """The tree at address ``tree`` in an ELF core.

    Raises InputError for a file that is no core, or cut short; UsageError without ``tree``.
    """
    from elftools.common.exceptions import ELFError  # noqa: PLC0415 - slow to import

    try:
        from elftools.elf.elffile import ELFFile  # noqa: PLC0415

        elf = ELFFile(io.BytesIO(data))
        machine = _machine(elf, source, arch)
        segments = _segments(elf, data, source, machine)
    except (ELFError, *_PARSE_ERRORS) as error:
        why = " ".join(str(error).split()) or type(error).__name__
        _damaged(source, f"its headers can't be read ({why})")
    if tree is None:
        message = (
            f"{source} is an ELF core, which does not tell where its trees lie: give the "
            "address of a struct maple_tree as --tree ADDR"
        )
        raise UsageError(message)
    profiles = _profiles(machine, kernel, lock_size, config)
    memories = [_memory(machine, profile, segments) for profile in profiles]
    memory, note = _choose(memories, tree, source)
    return Image(machine, memory.profile, memory, tree, source, "core", [note])


def _damaged(source: str, why: str) -> NoReturn:
    message = f"{source}: {why}: the core is cut short or damaged, fetch it again"
    raise InputError(message)


def _machine(elf: ELFFile, source: str, wanted: Arch | None) -> Arch:
    """The machine of a core. Raises InputError for an ELF file of another kind."""
    if elf["e_type"] != "ET_CORE":
        message = f"{source}: an ELF file, but no core (its e_type is {elf['e_type']}): give a core"
        raise InputError(message)
    return elf_machine(elf, source, wanted)


def _segments(elf: ELFFile, data: bytes, source: str, machine: Arch) -> list[Segment]:
    """The PT_LOAD segments by address; those without a gap between them made one."""
    found: list[Segment] = []
    mapped = 0
    for i, segment in enumerate(elf.iter_segments()):
        if segment["p_type"] != "PT_LOAD" or not segment["p_filesz"]:
            continue
        at, size, address = segment["p_offset"], segment["p_filesz"], segment["p_vaddr"]
        if at + size > len(data):
            _damaged(source, f"segment {i} ends at byte {at + size} of a file of {len(data)}")
        if address + size > machine.ulong_max + 1:
            _damaged(source, f"segment {i} at {address:x} ends beyond the last address")
        mapped += size
        if mapped > MAX_MAPPED:
            message = (
                f"{source}: more than {MAX_MAPPED >> 20} MiB of segments: keep only the pages "
                "that the tree needs"
            )
            raise InputError(message)
        found.append((address, bytearray(memoryview(data)[at : at + size])))
    if not found:
        message = f"{source}: a core without memory (no PT_LOAD segment with bytes in the file)"
        raise InputError(message)
    found.sort(key=lambda segment: segment[0])
    merged = found[:1]
    for address, piece in found[1:]:
        base, before = merged[-1]
        end = base + len(before)
        if address < end:
            _damaged(source, f"two segments overlap at {address:x}")
        if address == end:
            before += piece
        else:
            merged.append((address, piece))
    return merged


def _memory(machine: Arch, profile: Profile, segments: list[Segment]) -> NodeMemory:
    """Memory in which ``segments`` are mapped, not copied."""
    memory = NodeMemory(machine, profile)
    for address, piece in segments:
        memory.map(address, piece, "a core's segment")
    return memory


def _profiles(
    machine: Arch, kernel: str | None, lock_size: int | None, config: str | None
) -> list[Profile]:
    """What the kernel may have been, likeliest first. Raises UsageError for one not known."""
    if kernel is None and lock_size is None and config is None:
        pairs = [("6.12", 4), ("6.12", 0), ("6.1", 4)]
        return [structs.profile(machine, version, size) for version, size in pairs]
    versions = ("6.12", "6.1") if kernel is None else (kernel,)
    if config is not None:
        return [structs.profile(machine, version, config=config) for version in versions]
    sizes = (4, 0) if lock_size is None else (lock_size,)
    return [structs.profile(machine, version, size) for version in versions for size in sizes]


def _choose(memories: list[NodeMemory], tree: int, source: str) -> tuple[NodeMemory, str]:
    """The memory with the likeliest struct maple_tree, and a line that says why."""
    candidates = []
    for memory in memories:
        try:
            flags, root = memory.ma_flags(tree), memory.ma_root(tree)
        except MachineFault:
            continue
        offset = memory.profile.layout("maple_tree").offset("ma_flags")
        fits = measure_height(memory, root) == mt_height(flags)
        candidates.append(_Candidate(memory, offset, flags, fits, not flags & ~_FLAGS))
    if not candidates:
        require_tree(memories[0], tree, source)
    best = min(candidates, key=lambda c: (not c.fits, not c.plausible))  # the first of equals
    says = f"ma_flags taken at offset {best.offset} of struct maple_tree ({best.flags:x}): "
    if len(memories) == 1:
        return best.memory, says + "as the options say"
    if not best.fits:
        why = "no place agrees with the tree's height, give --kernel and --config"
        return best.memory, says + why
    why = f"its height, {mt_height(best.flags)}, is the tree's"
    others = [c for c in candidates if c.fits and c.plausible and c.flags != best.flags]
    if others:
        offsets = " and ".join(str(c.offset) for c in others)
        why += f" (offset {offsets} would fit too: give --kernel and --config)"
    return best.memory, says + why
