"""What the tests of images share: small trees and ELF cores made by hand."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest
from machines import THREE

import arches
from layout.memory import structs
from layout.memory.node import NODE_SIZE, NodeMemory

if TYPE_CHECKING:
    from collections.abc import Callable

TREE = 0xFFFF0000
NODES = 0x1000000000
_ELF_MACHINE = {"x86_64": 62, "s390x": 22, "sparc64": 43}


class HandTree:
    """A tree written word by word; node ``i`` lies at ``NODES + i * 256``."""

    def __init__(self, arch: str) -> None:
        self.mem = NodeMemory(arches.get(arch), structs.profile(arches.get(arch)))
        self.mem.map(TREE, bytearray(16), "tree")
        self.nodes = 0

    def root(self, word: int, flags: int) -> None:
        """Write struct maple_tree."""
        self.mem.set_ma_root(TREE, word)
        self.mem.set_ma_flags(TREE, flags)

    def node(self, mt: int, pivots: list[int], slots: list[int], meta: int | None = None) -> int:
        """Add a node with a metadata end of ``meta``; returns its encoded pointer."""
        at = NODES + self.nodes * NODE_SIZE
        self.mem.map(at, bytearray(NODE_SIZE), "node")
        self.nodes += 1
        self.mem.set_parent(at, TREE | 1)
        self.mem.set_pivots(at, 0, pivots)
        self.mem.set_slots(at, mt, 0, slots)
        if meta is not None:
            self.mem.set_meta(at, mt, 0, meta)
        return at | mt << 3 | 4


def elf_core(arch: str, pieces: list[tuple[int, bytes]], **header: int) -> bytes:
    """An ELF core of these (address, bytes); ``header`` replaces fields of the ELF header.

    ``gap`` is how many bytes lie between the header and the program headers, ``shift`` what to
    take from an address for a physical one, ``memsz`` the bytes that each segment has more in
    memory than in the file; with ``many`` the number of program headers is in a section header.
    """
    machine = arches.get(arch)
    order = "<" if machine.byteorder == "little" else ">"
    fields = {"type": 4, "machine": _ELF_MACHINE[arch], "data": 1 if order == "<" else 2} | header
    gap, shift, more = (fields.get(name, 0) for name in ("gap", "shift", "memsz"))
    many = fields.get("many", 0)
    gap += 64 if many else 0
    ident = b"\x7fELF" + bytes([2, fields["data"], 1]) + bytes(9)
    head = struct.pack(
        f"{order}16sHHIQQQIHHHHHH",
        *(
            ident,
            fields["type"],
            fields["machine"],
            1,
            0,
            64 + gap,
            fields.get("shoff", 64 if many else 0),
        ),
        *(0, 64, 56, fields.get("phnum", 0xFFFF if many else len(pieces))),
        *(fields.get("shentsize", 64), fields.get("shnum", 0), fields.get("shstrndx", 0)),
    )
    between = bytearray(gap)
    if many:
        struct.pack_into(f"{order}I", between, 44, len(pieces))
    at = 64 + gap + 56 * len(pieces)
    table, body = b"", b""
    for address, raw in pieces:
        place = address - shift if "shift" in fields else 0
        size = len(raw)
        virtual = place if fields.get("physical") else address
        table += struct.pack(
            f"{order}IIQQQQQQ", 1, 6, at + len(body), virtual, place, size, size + more, 4096
        )
        body += raw
    return head + bytes(between) + table + body


@pytest.fixture(params=THREE)
def hand(request: pytest.FixtureRequest) -> HandTree:
    """An empty hand-made tree, on each machine."""
    return HandTree(request.param)


@pytest.fixture
def make_core() -> Callable[..., bytes]:
    """The function that makes ELF cores."""
    return elf_core
