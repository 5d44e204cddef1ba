"""Captures: JSON files with one tree's nodes as read from the memory of a booted kernel."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import arches
from layout.images.image import Image, require_tree
from layout.images.jsonfile import Json, parse
from layout.memory import structs
from layout.memory.errors import UsageError
from layout.memory.node import NODE_SIZE, NodeMemory

if TYPE_CHECKING:
    from arches import Arch
    from layout.memory.structs import Profile

_MAX_TREE_SIZE = 4096
_LOCK_SIZES = (4, 0, 8)
"""Sizes of spinlock_t to try before the one that the offsets spell out, in bytes."""


def read_capture(
    data: bytes, source: str, *, arch: Arch | None = None, tree: int | None = None
) -> Image:
    """The capture in ``data``; ``arch`` and ``tree``, where given, must agree with it.

    Raises InputError, UsageError.
    """
    doc = parse(data, source)
    machine = file_arch(doc, arch)
    flags_at, root_at = _offsets(doc)
    holder = doc.get("mm_mt") or doc.get("mtree")
    if holder is None:
        doc.fail("neither 'mm_mt' nor 'mtree' is there: this is no capture of a tree")
    raw = holder["hex"].data()
    if len(raw) < max(root_at + machine.word_size, flags_at + 4):
        holder["hex"].fail(f"{len(raw)} bytes hold no ma_root at {root_at}, ma_flags at {flags_at}")
    kernel = doc.get("kernel")
    profile = _profile(doc, machine, kernel.text() if kernel else "", (flags_at, root_at))
    memory = NodeMemory(machine, profile)
    address = holder["addr"].number(machine.ulong_max)
    map_bytes(memory, holder["addr"], raw, "struct maple_tree")
    map_nodes(memory, doc["nodes"])
    require_tree(memory, address, source)
    image = Image(machine, profile, memory, address, source, "capture")
    _compare_words(image, holder)
    return with_tree(image, tree)


def file_arch(doc: Json, wanted: Arch | None) -> Arch:
    """The machine that a JSON file names; ``wanted`` must be the same. Raises InputError."""
    name = doc["arch"].text()
    try:
        machine = arches.get(name)
    except arches.UnknownArchError:
        known = ", ".join(arches.names())
        doc["arch"].fail(f"unknown architecture {name!r}: known are {known}")
    if wanted is not None and wanted.name != machine.name:
        message = f"{doc.source} is of {machine.name}, not {wanted.name}: leave out --arch"
        raise UsageError(message)
    order = doc.get("byteorder")
    if order is not None and order.text() != machine.byteorder:
        order.fail(f"{machine.name} is {machine.byteorder}-endian, not {order.text()!r}")
    return machine


def map_bytes(memory: NodeMemory, place: Json, raw: bytes, name: str) -> None:
    """Map ``raw`` at the address that stands at ``place``. Raises InputError."""
    address = place.number(memory.arch.ulong_max)
    if address + len(raw) > memory.arch.ulong_max + 1:
        place.fail(f"{len(raw)} bytes at {address:x} do not fit into the address space")
    try:
        memory.map(address, bytearray(raw), name)
    except ValueError:
        place.fail(f"what lies at {address:x} overlaps with something before it in this file")


def map_nodes(memory: NodeMemory, nodes: Json) -> None:
    """Map each node of the list as an arena of its own. Raises InputError."""
    for node in nodes.items():
        raw = node["hex"].data()
        if len(raw) != NODE_SIZE:
            node["hex"].fail(f"a node has {NODE_SIZE} bytes, these are {len(raw)}")
        map_bytes(memory, node["addr"], raw, "a node")


def with_tree(image: Image, tree: int | None) -> Image:
    """The image, if ``tree`` is None or the tree that it holds. Raises UsageError."""
    if tree is not None and tree != image.tree:
        message = (
            f"{image.source} holds one tree, at {image.tree:x}, and none at {tree:x}: "
            "leave out --tree"
        )
        raise UsageError(message)
    return image


def _offsets(doc: Json) -> tuple[int, int]:
    """Where ma_flags and ma_root lie in struct maple_tree, in bytes."""
    offsets = doc["offsets"]
    return (
        offsets["ma_flags"].count(_MAX_TREE_SIZE),
        offsets["ma_root"].count(_MAX_TREE_SIZE),
    )


def _profile(doc: Json, machine: Arch, kernel: str, offsets: tuple[int, int]) -> Profile:
    """The profile whose struct maple_tree has ma_flags and ma_root at these offsets.

    The file's kernel version decides where it is known, else the offsets alone: the layouts
    of nodes are the same in all versions.
    """
    match = re.match(r"\d+\.\d+", kernel)
    short = match[0] if match else ""
    versions = sorted(structs.VERSIONS, key=lambda version: (version != short, version))
    fitting = (
        profile
        for version in versions
        for lock_size in (*_LOCK_SIZES, *offsets)
        if _tree_offsets(profile := structs.profile(machine, version, lock_size)) == offsets
    )
    found = next(fitting, None)
    if found is None:
        doc["offsets"].fail(
            f"no known struct maple_tree has ma_flags at {offsets[0]} and ma_root at {offsets[1]}"
        )
    return found


def _tree_offsets(profile: Profile) -> tuple[int, int]:
    """Where ma_flags and ma_root lie in this profile, in bytes."""
    tree = profile.layout("maple_tree")
    return tree.offset("ma_flags"), tree.offset("ma_root")


def _compare_words(image: Image, holder: Json) -> None:
    """Note where the words spelled out beside the raw bytes are not what the bytes hold."""
    memory, most = image.memory, image.arch.ulong_max
    for key, held in (
        ("ma_root", memory.ma_root(image.tree)),
        ("ma_flags", memory.ma_flags(image.tree)),
    ):
        said = holder.get(key)
        if said is not None and said.number(most) != held:
            image.notes.append(
                f"{said.where} says {said.number(most):x}, the bytes hold {held:x}: bytes taken"
            )
