"""Dumps in JSON, as ``dump --format json`` writes them, read back as images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layout.images.capture import file_arch, map_bytes, map_nodes, with_tree
from layout.images.image import Image
from layout.images.jsonfile import parse
from layout.memory import structs
from layout.memory.errors import MachineFault
from layout.memory.node import NodeMemory

if TYPE_CHECKING:
    from arches import Arch

_FLAGS_MAX = 0xFFFFFFFF


def read_dump(
    data: bytes, source: str, *, arch: Arch | None = None, tree: int | None = None
) -> Image:
    """The dump in ``data``; ``arch`` and ``tree``, where given, must agree with it.

    A dump holds no struct maple_tree, only its words: one is made up, as 6.12 lays it out.
    Raises InputError, UsageError.
    """
    doc = parse(data, source)
    machine = file_arch(doc, arch)
    profile = structs.profile(machine)
    memory = NodeMemory(machine, profile)
    address = doc["tree"].number(machine.ulong_max)
    root = doc["root"].number(machine.ulong_max)
    flags = doc["flags"].number(_FLAGS_MAX)
    map_nodes(memory, doc["nodes"])
    map_bytes(memory, doc["tree"], bytes(memory.tree_size), "struct maple_tree")
    try:
        memory.set_ma_root(address, root)
        memory.set_ma_flags(address, flags)
    except MachineFault:
        doc["tree"].fail(f"no struct maple_tree can lie at the misaligned address {address:x}")
    return with_tree(Image(machine, profile, memory, address, source, "dump"), tree)
