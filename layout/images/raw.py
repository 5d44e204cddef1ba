"""Raw memory: a file of bytes, and a JSON file with their addresses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layout.images.capture import file_arch
from layout.images.image import Image, require_tree
from layout.images.jsonfile import Json, parse
from layout.images.nodeastree import doubt, refuse_node
from layout.images.packed import read_bytes
from layout.images.treestruct import layout_versions
from layout.memory import structs
from layout.memory.errors import InputError, UsageError
from layout.memory.node import NodeMemory

if TYPE_CHECKING:
    from pathlib import Path

    from arches import Arch
    from layout.memory.structs import Profile

_FILE_MAX = 1 << 62
_LOCK_MAX = 4096
_MOST_TIMES = 2
"""So often may segments name a byte on average: each is a copy in memory."""


def read_raw(  # noqa: PLR0913 - what the caller may know
    data: bytes,
    source: str,
    folder: Path,
    *,
    tree: int | None,
    arch: Arch | None = None,
    kernel: str | None = None,
    lock_size: int | None = None,
    config: str | None = None,
) -> Image:
    """The tree in the memory that the JSON ``data`` describes, which lies in ``folder``.

    ``tree``, ``kernel``, ``lock_size`` and ``config`` replace what the JSON says. Raises OSError
    for the file of memory, InputError, UsageError.
    """
    doc = parse(data, source)
    machine = file_arch(doc, arch)
    word_size = doc.get("word_size")
    if word_size is not None and word_size.count(_LOCK_MAX) != machine.word_size:
        word_size.fail(f"{machine.name} has words of {machine.word_size} bytes")
    profile = _profile(doc, machine, kernel, lock_size, config)
    memory = NodeMemory(machine, profile)
    path = folder / doc["memory"].text()
    raw = read_bytes(str(path))
    left = _MOST_TIMES * len(raw)
    for segment in doc["segments"].items():
        size = segment["size"].count(_FILE_MAX)
        left -= size
        if left < 0 and size <= len(raw):  # _map() tells of a larger one
            segment.fail(
                f"the segments up to here name the same bytes of {path} more than {_MOST_TIMES} "
                "times: the list is damaged, fetch it again"
            )
        _map(memory, segment, raw, path)
    if tree is None:
        at = doc.get("tree")
        if at is None:
            message = f"{source} does not say where the tree lies: give its address as --tree ADDR"
            raise UsageError(message)
        tree = at.number(machine.ulong_max)
    refuse_node([memory], tree, source)
    require_tree(memory, tree, source)
    unlikely = doubt(memory, tree)
    return Image(machine, profile, memory, tree, source, "raw", [unlikely] if unlikely else [])


def _profile(
    doc: Json, machine: Arch, kernel: str | None, lock_size: int | None, config: str | None
) -> Profile:
    """The kernel's profile: as the caller says, else as the JSON says."""
    if lock_size is None and config is None:
        named, size = doc.get("config"), doc.get("lock_size")
        config = (named.text() or None) if named else None
        lock_size = size.count(_LOCK_MAX) if size else None
    lock_size = 4 if lock_size is None else lock_size
    version = layout_versions(kernel)[0] if kernel else _kernel(doc)
    return structs.profile(machine, version, lock_size, config=config)


def _kernel(doc: Json) -> str:
    """The kernel version that the JSON names."""
    said = doc.get("kernel")
    if said is None:
        return structs.DEFAULT_VERSION
    try:
        return layout_versions(said.text())[0]
    except UsageError:
        known = ", ".join(structs.VERSIONS)
        said.fail(f"kernel version {said.text()!r} is not known: known are {known}, try --kernel")


def _map(memory: NodeMemory, segment: Json, raw: bytes, path: Path) -> None:
    """Map one segment. Raises InputError."""
    offset, size = segment["offset"].count(_FILE_MAX), segment["size"].count(_FILE_MAX)
    address = segment["address"].number(memory.arch.ulong_max)
    if offset + size > len(raw):
        message = (
            f"{path}: {segment.where} ends at byte {offset + size} of a file of {len(raw)}: "
            "the file is cut short or of another image, fetch it again"
        )
        raise InputError(message)
    if address + size > memory.arch.ulong_max + 1:
        segment.fail(f"{size} bytes at {address:x} do not fit into the address space")
    try:
        memory.map(address, bytearray(raw[offset : offset + size]), "a segment")
    except ValueError:
        segment.fail(f"what lies at {address:x} overlaps with a segment before it")
