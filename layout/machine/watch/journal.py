"""The journal: every write of a run, in order, with its field, its function and its bytes.

Bytes that are written without a field's name (``poke``, a write behind the nodes) are found after
each operation, by comparing memory with the entries so far. So the entries, applied in order to
zero bytes, give the machine's nodes and trees after each operation, byte for byte.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, NamedTuple

from layout.machine.watch import shadow
from layout.machine.watch.check import CHECK, CheckedCache, CheckedMachine, CheckedMemory
from layout.machine.watch.report import STEP
from layout.machine.watch.shadow import tag
from layout.machine.watch.watch import Watch
from layout.memory.errors import UsageError
from layout.memory.memory import CELL
from layout.memory.node import NODE_SIZE

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

    from arches import Arch
    from layout.machine.machine import Machine
    from layout.memory.structs import Profile

WRITE, COPY, ALLOC, FREE = range(4)
"""Kinds of entries: fields were written; a node was copied, history included; a node was handed
out; a node was given back."""

MA_FLAGS, MA_ROOT = len(shadow.KINDS), len(shadow.KINDS) + 1
KINDS = (*shadow.KINDS, "ma_flags", "ma_root")
"""The kinds of fields in tags: those of nodes, and the words of struct maple_tree."""

_PLUMBING = (
    "layout.machine.watch",
    "layout.memory.node",
    "layout.memory.memory",
    "layout.memory.slab",
)
_CALLERS = ("layout.traces", "layout.machine.machine")


class Entry(NamedTuple):
    """One entry of the journal.

    ``address`` is the first byte; ``data`` the bytes that are there afterwards (empty for ALLOC and
    FREE). A write is of ``len(data) // width`` fields of ``width`` bytes each; ``tag`` is the
    first's (:mod:`layout.machine.watch.shadow`), its kind is an index into KINDS. The kind is 0,
    unknown, for bytes that were written without a field's name. ``function`` is the kernel's
    function, empty where the trace itself writes. ``source`` is the node that was copied.
    """

    kind: int
    address: int
    function: str
    tag: int = 0
    width: int = 1
    data: bytes = b""
    source: int = 0

    def field_at(self, address: int) -> int:
        """The tag of the field that holds this byte."""
        return _field(self.tag, (address - self.address) // self.width)


def field_name(a_tag: int) -> str:
    """The name of a tag's field: "pivot[3]", "ma_root"."""
    kind = shadow.kind_of(a_tag)
    return KINDS[kind] if kind >= MA_FLAGS else shadow.name(a_tag)


def _field(a_tag: int, number: int) -> int:
    indexed = shadow.kind_of(a_tag) in (*shadow.DATA, shadow.ALLOC_SLOT)
    return a_tag + number if indexed else a_tag


class JournalMemory(CheckedMemory):
    """Checked node memory that notes every write in ``entries``."""

    def __init__(self, arch: Arch, profile: Profile) -> None:
        self.entries: list[Entry] = []
        self._dirty: set[int] = set()
        self._copies: dict[int, bytearray] = {}
        self._late: list[tuple[int, int, int, int]] | None = None
        super().__init__(arch, profile)

    def take_entries(self) -> list[Entry]:
        """The entries since the last call; what was written without a name comes last."""
        for cell in sorted(self._dirty):
            self._unnamed(cell)
        self._dirty.clear()
        entries, self.entries = self.entries, []
        return entries

    def _unnamed(self, cell: int) -> None:
        arena = self.arena_at(cell)
        if arena is None:
            return
        now = arena.read(cell - arena.base, min(CELL, arena.end - cell))
        before = self._copies.get(cell, bytes(CELL))
        if now == before[: len(now)]:
            return
        at = 0
        while at < len(now):
            end = at
            while end < len(now) and now[end] != before[end]:
                end += 1
            if end > at:
                self._enter(Entry(WRITE, cell + at, "", data=bytes(now[at:end])))
            at = end + 1

    def _enter(self, entry: Entry) -> None:
        self.entries.append(entry)
        done = 0
        while done < len(entry.data):
            offset = entry.address + done & CELL - 1
            cell = entry.address + done - offset
            part = entry.data[done : done + CELL - offset]
            copy = self._copies.get(cell)
            if copy is None:
                copy = self._copies[cell] = bytearray(CELL)
            copy[offset : offset + len(part)] = part
            done += len(part)

    def _wrote(self, address: int, a_tag: int, width: int, count: int) -> None:
        data = self.read(address, width * count)
        self._enter(Entry(WRITE, address, _function(), a_tag, width, data))

    def event(self, kind: int, node: int) -> None:
        """Note that a node was handed out or given back."""
        self.entries.append(Entry(kind, node, _function()))

    # -- writes of fields

    def _note_write(
        self, node: int, offset: int, a_tag: int, width: int = 0, count: int = 1
    ) -> None:
        super()._note_write(node, offset, a_tag, width, count)
        if count > 0 and self._watched(node):
            note = node + offset, a_tag, width or self.word_size, count
            if self._late is None:
                self._wrote(*note)
            else:
                self._late.append(note)

    def store_leaf(self, node: int, words: list[int], end: int) -> None:  # noqa: D102
        self._late = []
        try:
            super().store_leaf(node, words, end)
        finally:
            notes, self._late = self._late, None
            for note in notes:
                if shadow.kind_of(note[1]) == shadow.ZEROED:  # what is written next is no zero
                    zeros = bytes(note[2] * note[3])
                    self._enter(Entry(WRITE, note[0], _function(), note[1], note[2], zeros))
                else:
                    self._wrote(*note)

    def copy_node(self, target: int, source: int) -> None:  # noqa: D102
        super().copy_node(target, source)
        data = self.read(target, NODE_SIZE)
        self._enter(Entry(COPY, target, _function(), 0, 1, data, source))

    def set_ma_flags(self, tree: int, flags: int) -> None:  # noqa: D102
        super().set_ma_flags(tree, flags)
        self._wrote(tree + self._flags, tag(MA_FLAGS), 4, 1)

    def set_ma_root(self, tree: int, root: int) -> None:  # noqa: D102
        super().set_ma_root(tree, root)
        self._wrote(tree + self._root, tag(MA_ROOT), self.word_size, 1)

    # -- writes of bytes

    def write(self, address: int, data: bytes, doing: str = "bytes", *, align: int = 1) -> None:
        """Memory.write(), noted."""
        self._dirty.update(range(address & -CELL, address + len(data), CELL))
        super().write(address, data, doing, align=align)

    def write_words(self, address: int, values: Sequence[int], doing: str = "words") -> None:
        """Memory.write_words(), noted."""
        self._dirty.update(range(address & -CELL, address + len(values) * self.word_size, CELL))
        super().write_words(address, values, doing)

    def write_word(self, address: int, value: int, doing: str = "a word") -> None:
        """Memory.write_word(), noted."""
        self._dirty.update(range(address & -CELL, address + self.word_size, CELL))
        super().write_word(address, value, doing)

    def write_u8(self, address: int, value: int, doing: str = "a byte") -> None:
        """Memory.write_u8(), noted."""
        self._dirty.add(address & -CELL)
        super().write_u8(address, value, doing)


def _function() -> str:
    """The kernel's function that does what is noted; steps of a function are part of it."""
    frame: FrameType | None = sys._getframe(2)  # noqa: SLF001
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        if module.startswith(_CALLERS):
            return ""
        name = frame.f_code.co_name
        if not module.startswith(_PLUMBING) and not name.startswith(STEP):
            return name
        frame = frame.f_back
    return ""


class JournalCache(CheckedCache):
    """A node cache that notes nodes handed out and given back."""

    mem: JournalMemory

    def _take(self, count: int) -> list[int]:
        nodes = super()._take(count)
        for node in nodes:
            self.mem.event(ALLOC, node)
        return nodes

    def free(self, node: int) -> None:
        """NodeCache.free(), noted."""
        super().free(node)
        self.mem.event(FREE, node)


class JournalMachine(CheckedMachine):
    """A machine with a journal."""

    mem: JournalMemory

    def take_entries(self) -> list[Entry]:
        """The journal since the last call: what the operation that has just ended did."""
        return self.mem.take_entries()


JOURNAL = Watch(JournalMachine, JournalMemory, JournalCache, CHECK.kernel)
"""The journal and the access checker, for :func:`layout.machine.equip.equip`."""


def journal_of(machine: Machine) -> JournalMachine:
    """The machine as one with a journal. Raises UsageError."""
    if not isinstance(machine, JournalMachine):
        message = "this machine has no journal: equip(arch, watch=[JOURNAL]) makes one that has"
        raise UsageError(message)
    return machine
