"""Traces: one operation per line, numbers in hex with or without 0x, ``#`` comments.

>>> [operation] = parse(["store 1000 1fff 2a01"], ulong_max=(1 << 64) - 1)
>>> operation.op, [hex(n) for n in operation.args]
('store', ['0x1000', '0x1fff', '0x2a01'])
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from layout.machine.machine import TREES
from layout.memory.errors import TraceError
from layout.traces.language import NO_LIMIT, Kind
from layout.traces.operations import OPERATIONS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from layout.traces.language import Argument, Declaration

_HEX = re.compile(r"(?:0[xX])?[0-9A-Fa-f]+")
_SWITCH = ("off", "on")
_MAX_LINE = 1 << 16
_SHOWN = 40
"""How many characters of a wrong word an error shows."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One line of a trace."""

    n: int
    """The number of the line, from 1."""
    op: str
    """The operation's name."""
    args: tuple[int, ...]
    """Its arguments as numbers."""

    @property
    def declared(self) -> Declaration:
        """What the operation is, and what it does."""
        return OPERATIONS[self.op]

    def __str__(self) -> str:
        """The line, as parse() takes it."""
        pairs = zip(self.declared.arguments, self.args, strict=False)
        return " ".join([self.op, *(_text(argument, value) for argument, value in pairs)])


def _text(argument: Argument, value: int) -> str:
    if argument.kind is Kind.SWITCH:
        return _SWITCH[value]
    return "-" if value == NO_LIMIT else f"{value:x}"


_UNSIGNED_INT = (1 << 32) - 1
"""What a flag that a kernel's function takes is cut to."""


def parse(lines: Iterable[str], ulong_max: int) -> Iterator[Operation]:
    """The operations of a trace for a machine whose largest number is ``ulong_max``.

    Raises TraceError at the first line that can't be understood; those before it are yielded.
    """
    reader = TraceReader(ulong_max)
    for n, line in enumerate(lines, 1):
        operation = reader.read(n, line)
        if operation is not None:
            yield operation


class TraceReader:
    """Reads a trace line by line; it remembers whether there was a ``cset``."""

    def __init__(self, ulong_max: int) -> None:
        self.ulong_max = ulong_max
        self._cursor_set = False

    def read(self, n: int, line: str) -> Operation | None:
        """The operation of line ``n``; None if it has none. Raises TraceError."""
        if len(line) > _MAX_LINE:
            raise TraceError(n, f"longer than {_MAX_LINE} characters: this is no trace")
        words = line.split()
        if not words or words[0].startswith("#"):
            return None
        operation = _parse_line(n, words, self.ulong_max)
        if operation.op == "cset":
            self._cursor_set = True
        elif operation.declared.moves_cursor and not self._cursor_set:
            raise TraceError(n, f"{operation.op} before any cset: put 'cset I' before it")
        return operation


def _parse_line(n: int, words: list[str], ulong_max: int) -> Operation:
    op, *given = words
    if op not in OPERATIONS:
        close = [name for name in OPERATIONS if name.startswith(op[:3])]
        op = op if len(op) <= _SHOWN else f"{op[:_SHOWN]}..."
        hint = f"; did you mean {' or '.join(close[:3])}?" if close else ""
        raise TraceError(n, f"unknown operation {op!r}{hint}")
    declared = OPERATIONS[op]
    wanted = declared.arguments
    if declared.ignores_more:
        given = given[: len(wanted)]
    if any(word.startswith("#") for word in given):
        raise TraceError(n, f"a comment needs a line of its own: put it before the {op}")
    if wanted and wanted[0].kind is Kind.SWITCH:
        if given not in ([word] for word in _SWITCH):
            raise TraceError(n, f"{op} takes one argument: on or off")
        return Operation(n, op, (_SWITCH.index(given[0]),))
    if declared.may_be_off and given == ["-"]:
        return Operation(n, op, (NO_LIMIT,))
    if not declared.required <= len(given) <= len(wanted):
        what = "missing" if len(given) < declared.required else "surplus"
        raise TraceError(n, f"{what} argument, the line should read: {declared.line}")
    pairs = zip(wanted, given, strict=False)
    return Operation(n, op, tuple(_number(n, *pair, ulong_max) for pair in pairs))


def _number(n: int, argument: Argument, text: str, ulong_max: int) -> int:
    name, kind, _ = argument
    if not _HEX.fullmatch(text):
        shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
        raise TraceError(
            n, f"{name} is {shown!r}, it should be a hex number, digits 0-9 and a-f only"
        )
    number = int(text, 16) if len(text) <= 64 else ulong_max + 1
    if number > ulong_max:
        bits = ulong_max.bit_length()
        raise TraceError(n, f"{name} does not fit into this machine's {bits} bits")
    if kind is Kind.TREE and number >= TREES:
        raise TraceError(n, f"there is no tree {number:x}: {name} is 0 to {TREES - 1}")
    if kind is Kind.BYTE and number > 0xFF:
        raise TraceError(n, f"{name} is {number:x}, a byte is 0 to ff")
    return number & _UNSIGNED_INT if kind is Kind.FLAGS else number
