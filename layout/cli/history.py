"""``maple-layout history``: every write of a node or of a byte, from first to last."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import arches
from layout.cli.common import (
    add_arch,
    add_defect,
    add_limit,
    add_version,
    defects_of,
    limit_of,
    version_of,
)
from layout.memory.errors import UsageError

if TYPE_CHECKING:
    import argparse

    from layout.explore.history import Write
    from layout.machine.machine import Machine

_LONGEST = 40
"""Characters of an operation's line that are shown."""


def add(verbs: Any) -> None:
    """Register the verb."""
    parser = verbs.add_parser(
        "history",
        help="list every write of a node or a byte",
        description=(
            "Run a trace and list every write of a node, of one of its bytes, or of a struct "
            "maple_tree: the line, the kernel function, the field, the old and the new value."
        ),
        allow_abbrev=False,
    )
    parser.add_argument("trace", metavar="TRACE", help="a trace, packed by xz or not; - is stdin")
    parser.add_argument(
        "place",
        metavar="ADDR[+OFFSET]",
        help="a node in hex, or the byte at a decimal offset in it, as in 1000000000+248",
    )
    add_arch(parser, "the machine (default x86_64)")
    add_version(parser)
    add_defect(parser)
    add_limit(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Print the writes."""
    from layout.explore.history import History
    from layout.host.progress import Progress
    from layout.machine.equip import equip
    from layout.machine.watch.journal import JOURNAL, journal_of
    from layout.traces.inputs import read_trace
    from layout.traces.runner import Runner
    from layout.traces.snapshot import operations

    arch = arches.get("x86_64" if args.arch is None else args.arch)
    text = read_trace(args.trace)
    machine = equip(arch, kernels=defects_of(args), watch=[JOURNAL], version=version_of(args))
    journal = journal_of(machine)
    first, last = _bytes(args.place, machine)
    history = History(first, last)
    runner = Runner(machine, limit_of(args, watched=True))
    wanted = list(operations(text, arch))
    history.writes(journal.take_entries())
    found: list[tuple[int, str, Write]] = []
    with Progress(arch.name, len(wanted), "operations") as progress:
        for operation in wanted:
            runner.execute(operation)
            writes = history.writes(journal.take_entries())
            found += [(operation.n, str(operation), write) for write in writes]
            progress.step()
            if runner.faulted:
                break
    if args.json:
        writes_json = [{"line": n, "text": text, **each.as_json()} for n, text, each in found]
        print(json.dumps({"arch": arch.name, "address": f"{first:x}", "writes": writes_json}))
        return 0
    rows = [_row(n, text, write, arch.byteorder) for n, text, write in found]
    if not rows:
        print(f"no write of {args.place} in {len(wanted)} operations on {arch.name}")
        return 0
    heads = ("line", "operation", "byte", "field", "old", "new", "by")
    for row in _aligned([heads, *rows]):
        print(row)
    return 0


def _bytes(place: str, machine: Machine) -> tuple[int, int]:
    """The first and the last byte that are asked for. Raises UsageError."""
    from layout.machine.machine import TREES
    from layout.memory.memory import CELL

    address, one = parse_byte(place)
    mem = machine.mem
    size = 1
    if not one:
        trees = [machine.tree(number) for number in range(TREES)]
        size = mem.tree_size if address in trees else 1 if address % CELL else CELL
    if mem.arena_at(address) is None:
        message = (
            f"{place}: there is no memory on {mem.arch.name}: nodes start at "
            f"{machine.node_base:x}, the struct maple_tree of tree 0 is at {machine.tree(0):x}"
        )
        raise UsageError(message)
    return address, address + size - 1


def parse_byte(text: str) -> tuple[int, bool]:
    """The address that ADDR[+OFFSET] means, and whether it has an offset. Raises UsageError."""
    from layout.images.kinds import parse_address

    node, plus, offset = text.partition("+")
    if plus and not (offset.isascii() and offset.isdigit() and len(offset) <= 6):
        message = f"{text!r}: the offset is bytes in decimal, as in 1000000000+248"
        raise UsageError(message)
    return parse_address(node, "ADDR") + int(offset or 0), bool(plus)


def _row(n: int, text: str, write: Write, byteorder: str) -> tuple[str, ...]:
    from layout.explore.history import number
    from layout.memory.memory import CELL

    line = text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
    by = write.function or "the trace itself"
    if not write.new:
        return (str(n), line, "", write.kind, "", "", by)
    field = f"{write.field} (copy of {write.source:x})" if write.source else write.field
    old, new = number(write.old, byteorder), number(write.new, byteorder)
    return (str(n), line, str(write.address % CELL), field.strip() or "?", old, new, by)


def _aligned(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
