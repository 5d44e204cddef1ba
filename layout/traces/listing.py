"""Transcript lines for people: columns for the operation, what it returned, and its nodes.

:mod:`layout.traces.language` says what the keys of a line mean; nothing is shown that is not there.
"""

from __future__ import annotations

import errno
import re
import textwrap
from typing import TYPE_CHECKING

from layout.memory.pointers import describe_entry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from layout.traces.session import Line
    from layout.traces.trace import Operation

_NUMBER, _OPERATION, _RETURNED = 5, 30, 20
"""Widths of the columns; the last one, of nodes, takes what is left of 80."""

_WIDTH = 80 - _NUMBER - 4
"""Characters of a sentence below a row."""

_CALL = re.compile(r"(!?)[kn][a-z]?(\d+)")
_HIDDEN = frozenset({"active", "start"})
_COUNTS = {
    "requested": "requested",
    "leftover": "left over",
    "total": "held",
    "left": "left",
}
"""Numbers of nodes, and what to call them."""


def heading() -> str:
    """The line above the columns."""
    return _row("line", "operation", "returned", "nodes")


def listing(operation: Operation, line: Line, warned: str = "") -> Iterator[str]:
    """An operation's lines: a row of columns, and below it what is longer than a column.

    ``warned`` is the text of the last warning, if the operation raised any.
    """
    yield _row(
        str(operation.n), str(operation), "; ".join(_returned(line)), ", ".join(_nodes(line))
    )
    for first, last, entry in line.get("ranges", ()):
        yield _below(f"{first}-{last} {describe_entry(int(entry, 16))}")
    if "warn" in line:
        times = f" ({line['warn']} warnings)" if line["warn"] > 1 else ""
        yield from _wrapped(f"kernel warning: {warned}{times}")
    for key in ("printk", "text"):
        for text in line.get(key, "").splitlines():
            yield _below(text)
    if "fault" in line:
        yield from _wrapped(f"{line['fault']['kind']}: {line['fault']['message']}")
    for report in line.get("reports", ()):
        place = f"byte {report['offset']} of node {report['node']}"
        yield _below(f"report: {report['kind']}, {place}")
    for text in line.get("ledger", {}).get("warnings", ()):
        yield from _wrapped(f"ledger: {text}")


def _row(number: str, operation: str, returned: str, nodes: str) -> str:
    start = f"{number:>{_NUMBER}}  {operation:<{_OPERATION}}"
    if len(start) > _NUMBER + 2 + _OPERATION and (returned or nodes):
        start += "\n" + " " * (_NUMBER + 2 + _OPERATION)
    return f"{start}  {returned:<{_RETURNED}}  {nodes}".rstrip()


def _below(text: str) -> str:
    return f"{'':{_NUMBER + 4}}{text}"


def _wrapped(text: str) -> list[str]:
    return [_below(each) for each in textwrap.wrap(text, _WIDTH, subsequent_indent="  ")]


def _returned(line: Line) -> Iterator[str]:  # noqa: C901, PLR0912 - one a key
    if "fault" in line:
        yield "stopped"
        return
    if "error" in line:
        yield line["error"]
    if "ok" in line:
        yield "valid" if line["ok"] else "not valid"
    if "entry" in line:
        yield describe_entry(int(line["entry"], 16))
    if "ret" in line:
        yield _error(line["ret"])
    if line.get("err"):
        yield f"state: {_error(line['err'])}"
    if "start" in line:
        yield f"at {line['start']}"
    if "next" in line:
        yield f"next {line['next']}"
    if "index" in line:
        yield f"{line['index']}-{line['last']}" if "last" in line else f"index {line['index']}"
    if line.get("status", "active") not in _HIDDEN:
        yield line["status"]
    if "ranges" in line:
        yield _many(len(line["ranges"]), "range")
    for key in ("nodes", "mem"):
        if key in line:
            yield _many(len(line[key]), "node")
    for key in ("tree", "hex", "was"):
        if key in line:
            yield f"{key} {line[key]}"
    if "err_at" in line:
        yield f"store {line['err_at']} failed"


def _error(number: int) -> str:
    """An errno by its name, any other number as it is."""
    return f"-{errno.errorcode[-number]}" if -number in errno.errorcode else str(number)


def _nodes(line: Line) -> Iterator[str]:
    """What an operation did with nodes, in words."""
    for key, name in _COUNTS.items():
        if line.get(key):
            yield f"{line[key]} {name}"
    calls = [
        (match[1], int(match[2])) for match in map(_CALL.fullmatch, line.get("ac", ())) if match
    ]
    taken = sum(count for refused, count in calls if not refused)
    if taken:
        yield f"{taken} taken"
    refused = sum(1 for refused, _ in calls if refused)
    if refused:
        yield f"{_many(refused, 'request')} refused"
    if line.get("fr"):
        yield f"{len(line['fr'])} freed"
    if line.get("rcu"):
        yield f"{_many(line['rcu'], 'callback')} ran"


def _many(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
