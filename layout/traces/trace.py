"""Traces: one operation per line, numbers in hex with or without 0x, ``#`` comments.

>>> [operation] = parse(["store 1000 1fff 2a01"], ulong_max=(1 << 64) - 1)
>>> operation.op, [hex(n) for n in operation.args]
('store', ['0x1000', '0x1fff', '0x2a01'])
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from layout.memory.errors import TraceError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

OPERATIONS: dict[str, str] = {
    "init": "F",
    "sel": "K",
    "store": "A B V",
    "storenw": "A B V",
    "mstore": "A B V",
    "insert": "A B V",
    "erase": "I",
    "load": "I",
    "find": "I MAX",
    "find_after": "I MAX",
    "next": "I MAX",
    "prev": "I MIN",
    "walk": "I",
    "empty_area": "MIN MAX SIZE",
    "empty_area_rev": "MIN MAX SIZE",
    "alloc_range": "V SIZE MIN MAX",
    "alloc_rrange": "V SIZE MIN MAX",
    "alloc_cyclic": "V LO HI NEXT",
    "prealloc": "A B V",
    "prealloc_raw": "A B V",
    "expect_raw": "N",
    "bulk": "EXPECTED COUNT FIRST STEP LEN VALUE",
    "iter": "MIN MAX",
    "dup": "K",
    "dup_noinit": "K",
    "destroy": "",
    "rcu": "on|off",
    "rcu_lock": "",
    "rcu_unlock": "",
    "fail": "N [CALLS] or -",
    "failnw": "N [CALLS] or -",
    "cset": "I [LAST]",
    "cwalk": "",
    "cnext": "MAX ...",
    "cnext_range": "MAX ...",
    "cfind": "MAX ...",
    "cfind_range": "MAX ...",
    "cprev": "MIN ...",
    "cprev_range": "MIN ...",
    "cfind_rev": "MIN ...",
    "cfind_range_rev": "MIN ...",
    "cpause": "...",
    "creset": "...",
    "cstore": "V ...",
    "cerase": "...",
    "validate": "",
    "mtdump": "",
    "dump": "",
    "memdump": "",
    "treemem": "",
    "poke": "ADDR OFFSET BYTE",
}
"""Every operation and its arguments; ``[X]`` may be left out, ``...`` is ignored."""

TREES = 8
NO_LIMIT = -1
"""The first argument of ``fail -``: no more failures."""

_HEX = re.compile(r"(?:0[xX])?[0-9A-Fa-f]+")
CURSOR = frozenset(
    {"cnext", "cnext_range", "cfind", "cfind_range", "cprev", "cprev_range", "cfind_rev"}
    | {"cfind_range_rev", "cpause", "creset", "cstore", "cerase", "cwalk"}
)
"""Operations on the one state that is kept between lines."""

_MAX_LINE = 1 << 16


@dataclass(frozen=True, slots=True)
class Operation:
    """One line of a trace: its number from 1, the operation, its arguments as numbers."""

    n: int
    op: str
    args: tuple[int, ...]

    def __str__(self) -> str:
        """The line, as parse() takes it."""
        if self.op == "rcu":
            return "rcu on" if self.args[0] else "rcu off"
        return " ".join([self.op, *("-" if arg == NO_LIMIT else f"{arg:x}" for arg in self.args)])


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
        elif operation.op in CURSOR and not self._cursor_set:
            raise TraceError(n, f"{operation.op} before any cset: put 'cset I' before it")
        return operation


def line_of(operation: Operation) -> str:
    """The trace line that an operation is parsed from."""
    op, args = operation.op, operation.args
    if op == "rcu":
        return "rcu on" if args[0] else "rcu off"
    if args[:1] == (NO_LIMIT,):
        return f"{op} -"
    return " ".join([op, *(f"{number:x}" for number in args)])


def _parse_line(n: int, words: list[str], ulong_max: int) -> Operation:
    op, *given = words
    if op not in OPERATIONS:
        close = [name for name in OPERATIONS if name.startswith(op[:3])]
        hint = f"; did you mean {' or '.join(close[:3])}?" if close else ""
        raise TraceError(n, f"unknown operation {op!r}{hint}")
    spec = OPERATIONS[op]
    if op == "rcu":
        if given not in (["on"], ["off"]):
            raise TraceError(n, "rcu takes one argument: on or off")
        return Operation(n, op, (int(given == ["on"]),))
    if op in ("fail", "failnw") and given == ["-"]:
        return Operation(n, op, (NO_LIMIT,))

    wanted = spec.removesuffix(" or -").split()
    if wanted[-1:] == ["..."]:
        wanted.pop()
        given = given[: len(wanted)]
    needed = [name for name in wanted if not name.startswith("[")]
    if not len(needed) <= len(given) <= len(wanted):
        usage = f"{op} {spec}".rstrip()
        what = "missing" if len(given) < len(needed) else "surplus"
        raise TraceError(n, f"{what} argument, the line should read: {usage}")
    names = [name.strip("[]") for name in wanted]
    args = tuple(
        _number(n, name, text, ulong_max) for name, text in zip(names, given, strict=False)
    )
    if op in ("sel", "dup", "dup_noinit") and args[0] >= TREES:
        raise TraceError(n, f"there is no tree {args[0]:x}: K is 0 to {TREES - 1}")
    if op == "poke" and (args[2] > 0xFF):
        raise TraceError(n, f"BYTE is {args[2]:x}, a byte is 0 to ff")
    return Operation(n, op, args)


def _number(n: int, name: str, text: str, ulong_max: int) -> int:
    if not _HEX.fullmatch(text):
        shown = text if len(text) <= 40 else text[:40] + "..."
        remedy = "digits 0-9 and a-f only"
        raise TraceError(n, f"{name} is {shown!r}, it should be a hex number, {remedy}")
    number = int(text, 16) if len(text) <= 64 else ulong_max + 1
    if number > ulong_max:
        bits = ulong_max.bit_length()
        raise TraceError(n, f"{name} does not fit into this machine's {bits} bits")
    return number
