"""Looking through memory for what may be a maple node, at every multiple of 256 bytes.

Most blocks are told apart by single bytes of their first word, the parent: these are taken out
of a chunk with a stride, translated and combined as large numbers, all in C. What is left is
looked at word by word.
"""

from __future__ import annotations

import struct
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from layout.host.progress import Progress
from layout.memory import structs
from layout.memory.errors import InputError
from layout.memory.node import NODE_SIZE, PIVOT, NodeMemory
from layout.memory.pointers import (
    ARANGE_64,
    ENODE_NULL,
    LEAF_64,
    NODE_MASK,
    PARENT_RANGE64,
    PARENT_SLOT_MASK,
    RANGE_64,
    ROOT_PARENT,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from arches import Arch
    from layout.images.mapped import Store

CHUNK = 1 << 20
"""Bytes looked at in one go, a multiple of 64 KiB: they stay in the processor's caches."""

_ENTRY_TAGS = 3
_TYPE_TAGS = frozenset(mt << 3 | ENODE_NULL for mt in (LEAF_64, RANGE_64, ARANGE_64))
_PAGE = 4096
_PATTERN = bytes(range(16))
"""The second lowest byte of the addresses of a page's blocks, in its low four bits."""
_ZERO = b"\1" + bytes(255)
_IMAGE_AT = {"sparc64": (0,)}
"""Highest bytes of addresses in the kernel's image, where they are unlike those of nodes."""


MOST_TIMES = 64
"""How often all bytes of a file may be named by its segments, to be looked through."""


class Found(NamedTuple):
    """A block that may be a node: its address in the file's terms, and its words.

    ``role`` is one of INNER (has a parent node), ROOT, DEAD (its parent word may be itself).
    """

    address: int
    words: tuple[int, ...]
    role: int


INNER, ROOT, DEAD = range(3)


class Finder:
    """What nodes look like on one machine."""

    def __init__(self, arch: Arch) -> None:
        self.arch = arch
        self.profile = structs.profile(arch)
        self.memory = NodeMemory(arch, self.profile)
        w = arch.word_size
        char = "Q" if w == 8 else "L"
        self._unpack = struct.Struct(f"{arch.order_char}{NODE_SIZE // w}{char}").unpack_from
        self._unpack_word = struct.Struct(f"{arch.order_char}{char}").unpack_from
        little = arch.byteorder == "little"
        self._low = 0 if little else w - 1
        self._second = 1 if little else w - 2
        self._top = w - 1 if little else 0
        sizes = self.profile.sizes
        self.slots, self.pivots = sizes.slots, sizes.pivots
        self.slot0 = self.memory.slot0

    @cached_property
    def _tables(self) -> tuple[bytes, bytes, bytes, bytes, bytes]:
        """Translations of a first word's bytes: not 0 where the byte may be what is asked for.

        The lowest byte of an inner node's parent and of a root's; the highest of a pointer to
        a node, and of one to a tree; the second lowest, less the block's place in its page.
        """
        w = self.arch.word_size
        low, high = (bound >> 8 * w - 8 for bound in self.arch.kernel_nodes)
        align = min(self.arch.long_align, w)
        slots = self.slots[RANGE_64]
        # trees may lie in the kernel's image: at the top of the address space, or near 0
        image = 0xFF if low >= 0x80 else 0
        trees = {*range(low, high + 1), image, *_IMAGE_AT.get(self.arch.name, ())}
        return (
            bytes(int(v & 7 == PARENT_RANGE64 and v >> 3 < slots) for v in range(256)),
            bytes(int(v & align - 1 == ROOT_PARENT) for v in range(256)),
            bytes(int(low <= v <= high) for v in range(256)),
            bytes(int(v in trees) for v in range(256)),
            bytes(int(v & 15 == 0) for v in range(256)),
        )

    def in_chunk(self, chunk: memoryview, address: int) -> Iterator[Found]:
        """What may be a node in ``chunk``, which lies at ``address``, a multiple of 256."""
        count = len(chunk) // NODE_SIZE
        size = count * NODE_SIZE
        lowest = bytes(chunk[self._low : size : NODE_SIZE])
        highest = bytes(chunk[self._top : size : NODE_SIZE])
        if not any(lowest) and not any(highest):
            return
        inner, root, pointer, tree, place = self._tables
        nodes = int.from_bytes(highest.translate(pointer), "little")
        trees = int.from_bytes(highest.translate(tree), "little")
        # the address of the block itself: its low 12 bits tell most of it
        second = int.from_bytes(chunk[self._second : size : NODE_SIZE], "little")
        first = address // NODE_SIZE % 16
        second ^= int.from_bytes((_PATTERN * (count // 16 + 2))[first : first + count], "little")
        own = int.from_bytes(second.to_bytes(count, "little").translate(place), "little")
        found = (
            (int.from_bytes(lowest.translate(inner), "little") & nodes, INNER),
            (int.from_bytes(lowest.translate(root), "little") & trees, ROOT),
            (int.from_bytes(lowest.translate(_ZERO), "little") & nodes & own, DEAD),
        )
        low, high = self.arch.kernel_nodes
        for marks, role in found:
            for hit in hits(marks, count):
                at = hit * NODE_SIZE
                [parent] = self._unpack_word(chunk, at)
                if parent <= NODE_MASK or (role != ROOT and not low <= parent <= high):
                    continue
                words = self._unpack(chunk, at)
                if self.plausible(words, role):
                    yield Found(address + at, words, role)

    def plausible(self, words: tuple[int, ...], role: int) -> bool:
        """Whether the words behind the first may be a node's, whatever its type."""
        if role == DEAD:
            # call_rcu() wrote over the first two pivots, the slab over one word in the middle
            return words[3] > 0 and self._ascends(words[3:8])
        return self._as_leaf(words) or self._as_inner(words)

    @staticmethod
    def _ascends(pivots: tuple[int, ...]) -> bool:
        """Whether pivots ascend up to the first 0 behind the first, after which all are 0."""
        before = -1
        for i, pivot in enumerate(pivots):
            if pivot <= before:
                return i > 0 and not any(pivots[i:])
            before = pivot
        return True

    def _as_leaf(self, words: tuple[int, ...]) -> bool:
        """Whether a leaf may look like this."""
        count = self.pivots[LEAF_64]
        if not self._ascends(words[PIVOT : PIVOT + count]):
            return False
        slots = words[self.slot0[LEAF_64] :]
        last = self._last_slot(words[PIVOT : PIVOT + count])
        # an entry is a pointer, a value or a reserved word, and no two neighbours are NULL
        return any(slots[: last + 1])

    def _as_inner(self, words: tuple[int, ...]) -> bool:
        """Whether a node above the leaves may look like this: its slots are pointers to nodes."""
        for mt in (ARANGE_64, RANGE_64):
            pivots = words[PIVOT : PIVOT + self.pivots[mt]]
            if not self._ascends(pivots):
                continue
            last = self._last_slot(pivots)
            slot0 = self.slot0[mt]
            if all(word & NODE_MASK in _TYPE_TAGS for word in words[slot0 : slot0 + last + 1]):
                return True
        return False

    @staticmethod
    def _last_slot(pivots: tuple[int, ...]) -> int:
        """The last slot that has a pivot, as far as the pivots tell."""
        for i in range(len(pivots) - 1, 0, -1):
            if pivots[i]:
                return i
        return 0

    def children(self, words: tuple[int, ...]) -> Iterator[tuple[int, int, int]]:
        """(type, slot, word) of each slot that points to a node, for each type that may have it.

        Stops at the first slot that holds no such pointer.
        """
        for mt in (ARANGE_64, RANGE_64):
            slot0 = self.slot0[mt]
            for slot in range(self.slots[mt]):
                word = words[slot0 + slot]
                if word & NODE_MASK not in _TYPE_TAGS or word <= NODE_MASK:
                    break
                yield mt, slot, word


def parent_slot(word: int) -> int:
    """The slot that the parent word of a node below another names."""
    return (word & PARENT_SLOT_MASK) >> 3


def hits(marks: int, count: int) -> Iterator[int]:
    """Which of ``count`` bytes of a little-endian number are 1; the others are 0."""
    if not marks:
        return
    found = marks.to_bytes(count, "little")
    at = found.find(1)
    while at >= 0:
        yield at
        at = found.find(1, at + 1)


def walk(finder: Finder, store: Store, source: str) -> Iterator[Found]:
    """What may be a node in the whole of ``store``, by address; holes in a file are skipped.

    Raises InputError for a table of segments that would take for ever.
    """
    if store.table.size() > MOST_TIMES * len(store.data):
        message = (
            f"{source}: its segments name the same bytes of the file more than {MOST_TIMES} "
            "times: the table of segments is damaged, fetch the file again"
        )
        raise InputError(message)
    with Progress(f"scanning {source}", store.table.size()) as progress:
        done = 0
        for start, end, offset in store.table:
            for at, stop in store.parts(offset, offset + end - start):
                # blocks lie at multiples of 256 of the address
                address = start + at - offset
                skip = -address % NODE_SIZE
                position = at + skip
                while position + NODE_SIZE <= stop:
                    size = min(CHUNK - (start + position - offset) % _PAGE, stop - position)
                    chunk = store.data[position : position + size]
                    yield from finder.in_chunk(chunk, start + position - offset)
                    store.release(position, size)
                    position += size
                progress.at(done + at - offset)
            done += end - start


__all__ = ["DEAD", "INNER", "ROOT", "Finder", "Found", "hits", "parent_slot", "walk"]
