"""Raw memory without any description: what lies where is for the caller to say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layout.images.directmap import PHYSICAL_MAX, find_tree
from layout.images.mapped import Store
from layout.images.segments import SegmentTable
from layout.memory.errors import InputError, UsageError

if TYPE_CHECKING:
    from arches import Arch
    from layout.images.image import Image
    from layout.images.packed import Bytes
    from layout.images.treestruct import Known


def open_flat(data: Bytes, source: str, arch: Arch, base: int = 0) -> Store:
    """The bytes of ``data`` at addresses from ``base`` on, physical or virtual.

    Raises InputError where they do not fit into the address space.
    """
    if base + len(data) > arch.ulong_max + 1:
        message = (
            f"{source}: {len(data)} bytes from {base:x} on end beyond the last address: "
            "give another --base"
        )
        raise InputError(message)
    table = SegmentTable()
    table.add(base, len(data), 0)
    table.finish()
    store = Store(data, table)
    store.physical = base <= PHYSICAL_MAX
    return store


def read_flat(  # noqa: PLR0913 - what the caller may know
    data: Bytes,
    source: str,
    *,
    tree: int | None,
    arch: Arch | None,
    base: int | None,
    known: Known,
    direct_map: int | None = None,
) -> Image:
    """The tree at address ``tree`` in raw memory from ``base`` on. Raises InputError, UsageError.

    ``base`` is 0 if None: then addresses are physical, or shifted as find_tree() finds them.
    """
    if arch is None:
        message = f"{source} is taken for raw memory, which does not say of which machine: give "
        raise UsageError(message + "--arch A")
    if tree is None:
        message = (
            f"{source} is raw memory, which does not tell where its trees lie: give --tree ADDR "
            f"(maple-layout scan {source} --arch {arch.name} lists those that it finds)"
        )
        raise UsageError(message)
    store = open_flat(data, source, arch, base or 0)
    return find_tree(store, arch, tree, source, known, direct_map, "raw memory")
