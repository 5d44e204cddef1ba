"""The shadow of the nodes: for each byte the field and the operation of its last write.

A *tag* is a kind of field and its index; tags of a word's bytes are all alike.
"""

from __future__ import annotations

import zlib
from array import array
from functools import cache
from itertools import islice
from typing import overload

KINDS = (
    *("unknown", "never written", "zeroed", "parent", "pivot", "slot", "gap"),
    *("metadata end", "metadata gap", "rcu_head", "topiary link", "piv_parent", "parent_slot"),
    *("type", "slot_len", "alloc.total", "alloc.node_count", "alloc.request_count", "alloc.slot"),
)
(UNKNOWN, NEVER, ZEROED, PARENT, PIVOT, SLOT, GAP, META_END, META_GAP, RCU_HEAD, TOPIARY) = range(
    11
)
(PIV_PARENT, PARENT_SLOT, DEAD_TYPE, SLOT_LEN) = range(11, 15)
(ALLOC_TOTAL, ALLOC_COUNT, ALLOC_REQUEST, ALLOC_SLOT) = range(15, 19)

DATA = frozenset({PIVOT, SLOT, GAP})
"""Kinds of fields that are in use only up to the node's data end."""

SINGLE_BYTES = frozenset({NEVER, ZEROED, META_END, META_GAP, PARENT_SLOT, SLOT_LEN, ALLOC_COUNT})
"""Kinds whose bytes in memory do not depend on the byte order."""

_INDEXED = frozenset({PIVOT, SLOT, GAP, ALLOC_SLOT})
_INDEX_BITS = 9
"""An offset is an unsigned char, and the slot after it may be looked at."""

BEFORE = (1 << _INDEX_BITS) - 1
"""Index -1: the field before the first one."""


def tag(kind: int, index: int = 0) -> int:
    """The tag of field ``index`` of a kind."""
    return kind << _INDEX_BITS | index


def kind_of(a_tag: int) -> int:
    """The kind of field that a tag names."""
    return a_tag >> _INDEX_BITS


def index_of(a_tag: int) -> int:
    """The index of the field that a tag names."""
    return a_tag & (1 << _INDEX_BITS) - 1


def name(a_tag: int) -> str:
    """The field's name: "pivot[3]", "metadata end"."""
    kind, index = kind_of(a_tag), index_of(a_tag)
    return f"{KINDS[kind]}[{-1 if index == BEFORE else index}]" if kind in _INDEXED else KINDS[kind]


def group(a_tag: int) -> str:
    """The name of such fields in a report: both metadata bytes are "metadata"."""
    kind = kind_of(a_tag)
    return "metadata" if kind in {META_END, META_GAP} else KINDS[kind]


@cache
def fields(kind: int, width: int) -> array[int]:
    """The tags of a run of fields of ``width`` bytes each, from index 0 on."""
    run = array("H")
    for index in range(1 << _INDEX_BITS):
        run.extend(tags(tag(kind, index), width))
    return run


@cache
def tags(a_tag: int, width: int) -> array[int]:
    """``width`` bytes with this tag."""
    return array("H", [a_tag]) * width


_CELL = 256
_HOT = 4096
"""So many cells are kept as they are, those used last; all others are packed."""
_MOST_KNOWN = 1 << 14
"""So many packed cells are compared with new ones."""


class Cells:
    """Numbers, one for each byte of a range, in cells of 256.

    A cell in which nothing was set takes no memory, and one that was not used for long takes
    little: the shadow of a large tree is much larger than the tree. ``alike`` tells that many
    cells have the very same numbers, which are then kept once.
    """

    def __init__(self, code: str, default: int, *, alike: bool) -> None:
        self._code = code
        self._blank = array(code, [default]) * _CELL
        self.hot: dict[int, array[int]] = {}
        self._cold: list[bytes] = []
        self._known: dict[bytes, bytes] | None = {} if alike else None

    @overload
    def __getitem__(self, at: int) -> int: ...
    @overload
    def __getitem__(self, at: slice[int, int, None]) -> array[int]: ...
    def __getitem__(self, at: int | slice[int, int, None]) -> int | array[int]:
        if isinstance(at, int):
            return self._cell(at // _CELL)[at % _CELL]
        number, first = divmod(at.start, _CELL)
        width = at.stop - at.start
        if first + width <= _CELL:
            return self._cell(number)[first : first + width]
        found = array(self._code)
        while len(found) < first + width:
            found += self._cell(number)
            number += 1
        return found[first : first + width]

    def put(self, at: int, new: array[int]) -> None:
        """Set the numbers from ``at`` on."""
        number, first = divmod(at, _CELL)
        hot = self.hot.get(number)
        if hot is not None and first + len(new) <= _CELL:
            hot[first : first + len(new)] = new
            return
        done = 0
        while done < len(new):
            cell = self._cell(number)
            if number not in self.hot:
                cell = self.hot[number] = self._blank[:]
                if len(self.hot) > _HOT:
                    self._cool()
            part = new[done : done + _CELL - first]
            cell[first : first + len(part)] = part
            done += len(part)
            number, first = number + 1, 0

    def cell(self, at: int) -> array[int]:
        """256 numbers from ``at`` on, to be looked at; not copied where a cell begins there."""
        if at % _CELL:
            return self[at : at + _CELL]
        found = self.hot.get(at // _CELL)
        return self._cell(at // _CELL) if found is None else found

    def _cell(self, number: int) -> array[int]:
        """The numbers of a cell, for reading; for writing if it is hot."""
        found = self.hot.get(number)
        if found is not None:
            return found
        packed = self._cold[number] if 0 <= number < len(self._cold) else b""
        if not packed:
            return self._blank
        self._cold[number] = b""
        found = array(self._code, zlib.decompress(packed))
        self.hot[number] = found
        if len(self.hot) > _HOT:
            self._cool()
        return found

    def _cool(self) -> None:
        """Pack the older half of the cells."""
        for number in list(islice(self.hot, _HOT // 2)):
            if number < 0:  # nothing lies below the nodes
                del self.hot[number]
                continue
            packed = zlib.compress(self.hot.pop(number).tobytes(), 1)
            if self._known is not None:
                if len(self._known) > _MOST_KNOWN:
                    self._known.clear()
                packed = self._known.setdefault(packed, packed)
            if number >= len(self._cold):
                self._cold += [b""] * (number + 1 - len(self._cold))
            self._cold[number] = packed

    def drop(self, at: int) -> None:
        """The numbers of the cell at ``at`` are not needed any more."""
        number = at // _CELL
        self.hot.pop(number, None)
        if 0 <= number < len(self._cold):
            self._cold[number] = b""


class Shadow:
    """Tags and writers of a range of bytes; offsets are into that range."""

    def __init__(self) -> None:
        self.tags = Cells("H", tag(NEVER), alike=True)
        self.writers = Cells("I", 0, alike=False)
        self._writer = array("I")
        self.operation = 0

    def begin(self, operation: int) -> None:
        """Attribute all writes from now on to this operation."""
        self.operation = operation
        self._writer = array("I", [operation])

    def forget(self) -> None:
        """Start anew with bytes of unknown history."""
        self.tags = Cells("H", tag(UNKNOWN), alike=True)
        self.writers = Cells("I", 0, alike=False)

    def drop(self, at: int) -> None:
        """Nobody will ask for the bytes of the node at ``at`` any more."""
        self.tags.drop(at)
        self.writers.drop(at)

    def wrote(self, at: int, new: array[int]) -> None:
        """Bytes from ``at`` on were written as fields with these tags."""
        width = len(new)
        number, first = divmod(at, _CELL)
        tags, writers = self.tags.hot.get(number), self.writers.hot.get(number)
        if tags is not None and writers is not None and first + width <= _CELL:
            tags[first : first + width] = new
            writers[first : first + width] = self._writer * width
        else:
            self.tags.put(at, new)
            self.writers.put(at, self._writer * width)

    def copied(self, to: int, at: int, width: int) -> None:
        """Bytes were copied; their tags are copied too."""
        self.tags.put(to, self.tags[at : at + width])
        self.writers.put(to, self._writer * width)
