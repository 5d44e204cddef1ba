"""Memory of any kind of file as one store of bytes, for whoever wants to look through all."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import arches
from layout.images.kinds import kind_of
from layout.images.mapped import ImageMemory, Store
from layout.images.opening import NAMES, read_image
from layout.images.scan import scan
from layout.images.segments import SegmentTable
from layout.memory.errors import InputError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from arches import Arch
    from layout.images.packed import Bytes
    from layout.images.treestruct import Known
    from layout.memory.node import NodeMemory

SAMPLE = 1 << 29
"""So many bytes are looked at to tell a machine."""

_COMMON = ("x86_64", "aarch64", "s390x", "powerpc64le", "riscv64")


class Memory(NamedTuple):
    """All bytes of an image, its machine, what is known of its kernel, and notes to tell."""

    arch: Arch
    store: Store
    known: Known
    notes: list[str]


def open_memory(  # noqa: PLR0913 - what the caller may know
    data: Bytes,
    source: str,
    folder: Path,
    *,
    arch: Arch | None,
    known: Known,
    base: int | None,
) -> Memory:
    """The memory in ``data``; its machine is guessed where nothing tells it.

    Raises OSError, InputError, UsageError.
    """
    kind = kind_of(data, source, binary=True)
    if base is not None and kind != "paste":
        kind = "memory"
    if kind == "core":
        from layout.images.core import open_core  # noqa: PLC0415 - only what is needed

        core = open_core(data, source, arch)
        if known.kernel is None and core.info and core.info.release:
            known = known._replace(kernel=core.info.release)
            core.notes.append(f"kernel {known.kernel}, as its VMCOREINFO says")
        return Memory(core.arch, core.store, known, core.notes)
    if kind == "memory":
        return _flat(data, source, arch, known, base or 0)
    if kind in {"trace", "kdump"}:
        remedy = (
            "give raw memory or a core"
            if kind == "trace"
            else (
                "decode reads it by drgn, scan does not: dump anew as an ELF core "
                "(dump-guest-memory -p FILE, makedumpfile -E)"
            )
        )
        message = f"{source} is {NAMES[kind]}: {remedy}"
        raise InputError(message)
    image = read_image(
        data,
        source,
        kind,
        folder=folder,
        tree=None,
        arch=arch,
        known=known,
        base=base,
        direct_map=None,
    )
    return Memory(image.arch, store_of(image.memory), known, image.notes)


def store_of(memory: NodeMemory) -> Store:
    """The bytes of memory that is not a file's."""
    if isinstance(memory, ImageMemory):
        return memory.backing
    table, parts = SegmentTable(), bytearray()
    for arena in memory.arenas:
        if len(arena.data):
            table.add(arena.base, len(arena.data), len(parts))
            parts += arena.data
    table.finish()
    return Store(bytes(parts), table)


def _flat(data: Bytes, source: str, arch: Arch | None, known: Known, base: int) -> Memory:
    from layout.images.flat import open_flat  # noqa: PLC0415 - only what is needed

    if arch is not None:
        return Memory(arch, open_flat(data, source, arch, base), known, [])
    found: dict[str, float] = {}
    others = [name for name in arches.names() if name not in _COMMON]
    for name in (*_COMMON, *others):
        machine = arches.get(name)
        if base + len(data) > machine.ulong_max + 1:
            continue
        store = open_flat(data[:SAMPLE], source, machine, base)
        live = [one for one in scan(store, machine, source, known).candidates if one.tree]
        if live:
            found[name] = sum(one.score * one.nodes for one in live)
    if not found:
        message = (
            f"{source}: no maple tree of any machine in its first {SAMPLE >> 20} MiB: if it is "
            "raw memory give --arch, and --base where its first byte is not at address 0"
        )
        raise UsageError(message)
    best = max(found, key=found.__getitem__)  # the first of equals
    note = f"machine taken for {best}, as trees of it are there: give --arch if it is another"
    return Memory(arches.get(best), open_flat(data, source, arches.get(best), base), known, [note])
