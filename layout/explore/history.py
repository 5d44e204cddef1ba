"""The history of bytes: every write of a node, of one byte or of a struct maple_tree in a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from layout.machine.watch import shadow
from layout.machine.watch.journal import ALLOC, COPY, FREE, WRITE, field_name
from layout.memory.memory import CELL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from layout.machine.watch.journal import Entry

NAMES = {WRITE: "write", COPY: "copy", ALLOC: "handed out", FREE: "given back"}
"""Entries of the journal, in words."""

_WORD = 8


class Write(NamedTuple):
    """One write of one field, of the part of it that was asked for.

    ``old`` and ``new`` are in memory order, and empty where a node is handed out or given back.
    """

    kind: str
    """One of NAMES."""
    function: str
    """The kernel's function; empty where the trace itself writes."""
    address: int
    """The first byte that was asked for."""
    field: str
    """The field; empty for bytes that are written without a field's name."""
    old: bytes
    """The bytes before."""
    new: bytes
    """The bytes after."""
    source: int = 0
    """Of a copy: the address that it was copied from."""

    def as_json(self) -> dict[str, Any]:
        """The write as JSON has it: addresses and bytes in hex, bytes in memory order."""
        return {
            "kind": self.kind,
            "function": self.function,
            "address": f"{self.address:x}",
            "size": len(self.new),
            "field": self.field,
            "old": self.old.hex(),
            "new": self.new.hex(),
            **({"source": f"{self.source:x}"} if self.source else {}),
        }


def number(data: bytes, byteorder: str) -> str:
    """Bytes as a machine reads them, in hex; of more than a word only how many, and if all are 0.

    >>> number(bytes.fromhex("00000fff"), "big"), number(bytes(256), "big")
    ('fff', '256 bytes of 0')
    """
    if len(data) <= _WORD:
        big = byteorder == "big"
        return f"{int.from_bytes(data if big else data[::-1]):x}"
    return f"{len(data)} bytes" + ("" if any(data) else " of 0")


class History:
    """Follows the journal of a run, and tells the writes of the bytes ``first`` to ``last``."""

    def __init__(self, first: int, last: int) -> None:
        self._first, self._last = first, last
        self._bytes = bytearray(last + 1 - first)
        self._tags: dict[int, list[int]] = {}

    def writes(self, entries: list[Entry]) -> list[Write]:
        """The writes among the entries of one operation, in order. Call it for all operations."""
        return [write for entry in entries for write in self._of(entry)]

    def _of(self, entry: Entry) -> Iterator[Write]:
        if entry.kind in {ALLOC, FREE}:
            cell = self._first - self._first % CELL
            if entry.address == cell:
                yield Write(NAMES[entry.kind], entry.function, cell, "", b"", b"")
            return
        width = len(entry.data) if entry.kind == COPY else entry.width
        for at in range(entry.address, entry.address + len(entry.data), width):
            yield from self._field(entry, at, width)
        self._tag(entry)

    def _tag(self, entry: Entry) -> None:
        """Keep which field each byte is of, for copies that are still to come."""
        if entry.kind == COPY:  # a whole node
            self._tags[entry.address] = list(self._cell(entry.source))
            return
        size = len(entry.data)
        tags: list[int] = []
        for at in range(entry.address, entry.address + size, entry.width):
            tags += [entry.field_at(at)] * entry.width
        done = 0
        while done < size:
            offset = (entry.address + done) % CELL
            part = tags[done : done + CELL - offset]
            self._cell(entry.address + done - offset)[offset : offset + len(part)] = part
            done += len(part)

    def _cell(self, address: int) -> list[int]:
        return self._tags.setdefault(address, [0] * CELL)

    def _field(self, entry: Entry, at: int, width: int) -> Iterator[Write]:
        first, last = max(at, self._first), min(at + width - 1, self._last)
        if first > last:
            return
        here = slice(first - self._first, last + 1 - self._first)
        part = slice(first - entry.address, last + 1 - entry.address)
        old, new = bytes(self._bytes[here]), entry.data[part]
        self._bytes[here] = new
        if entry.kind == COPY:
            tags = set(self._cell(entry.source)[part])
            a_tag = tags.pop() if len(tags) == 1 else 0
        else:
            a_tag = entry.field_at(first)
        field = field_name(a_tag) if shadow.kind_of(a_tag) else ""
        kind = NAMES[entry.kind]
        yield Write(kind, entry.function, first, field, old, new, entry.source)
