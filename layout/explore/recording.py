"""Recordings of runs: what each operation returned and wrote, as the explorer's page reads it.

A recording is a header in JSON and, for each run, a log in bytes. The log has the entries of the
journal (:mod:`layout.machine.watch.journal`), operation by operation; so only changes are stored.
Numbers in the log are unsigned LEB128. For each operation: 0 if it did the same as in the first
run, apart from byte order; else the count of its entries plus 1. For each entry: its kind, plus 4
if all its bytes are 0; the number of its cell (256 aligned bytes of memory); the number of its
function. A write goes on with offset, tag, width and count of its fields, and then with the bytes,
unless all are 0. A copy goes on with the number of the cell that it copies.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from layout.compare.lockstep import meaning
from layout.images.decode import decode
from layout.images.validator import validate
from layout.machine.equip import equip
from layout.machine.machine import TREES
from layout.machine.watch.journal import (
    ALLOC,
    COPY,
    FREE,
    JOURNAL,
    KINDS,
    WRITE,
    Entry,
    journal_of,
)
from layout.machine.watch.sections import SECTIONS
from layout.memory.limits import LIMIT
from layout.memory.memory import CELL
from layout.memory.node import NODE_SIZE
from layout.memory.structs import DEFAULT_VERSION
from layout.traces.runner import Runner

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from arches import Arch
    from layout.images.image import Image
    from layout.memory.node import NodeMemory
    from layout.traces.session import Line
    from layout.traces.trace import Operation
    from layout.tree.kernel import Kernel

_LONGEST = 2000
"""Characters of JSON from which on a value of a result is left out of the page."""

_ALL_ZERO = 4


class Mark(NamedTuple):
    """What is told about byte ``offset`` of the cell at ``address`` after operation ``step``."""

    step: int
    address: int
    offset: int
    kind: str
    text: str


class Numbers:
    """Numbers things in the order in which they are first asked for."""

    def __init__(self) -> None:
        self._known: dict[Any, int] = {}

    def __call__(self, thing: Any) -> int:
        """The number of a thing."""
        return self._known.setdefault(thing, len(self._known))

    def __iter__(self) -> Any:
        return iter(self._known)


@dataclass
class Run:
    """One run: a machine, with or without defects, and what it did.

    ``byte_count`` counts the bytes of writes that are not all 0. ``results`` has a transcript line
    for each operation, fewer if the machine stopped. ``trees`` has (step, tree number) wherever the
    current tree changes. ``meanings`` identify what each operation returned and wrote, apart from
    byte order. ``work`` identifies the journal of each step, None if it has bytes whose fields are
    not known. Step 0 is what was before the first operation, step i what operation i did.
    """

    name: str
    facts: dict[str, Any]
    defects: tuple[str, ...] = ()
    log: bytearray = field(default_factory=bytearray)
    cells: Numbers = field(default_factory=Numbers)
    entries: int = 0
    byte_count: int = 0
    results: list[Line] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    trees: list[tuple[int, int]] = field(default_factory=list)
    meanings: list[bytes] = field(default_factory=list)
    work: list[bytes | None] = field(default_factory=list)


class Recording:
    """Runs of one trace, or one image; ``title`` is what the page calls it."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.lines: list[tuple[int, str]] = []
        self.runs: list[Run] = []
        self._functions = Numbers()
        self._functions("")

    # -- making one

    def add_run(  # noqa: PLR0913 - a run's parts
        self,
        operations: Sequence[Operation],
        arch: Arch,
        *,
        name: str,
        kernels: Sequence[type[Kernel]] = (),
        defects: tuple[str, ...] = (),
        version: str = DEFAULT_VERSION,
        limit: int = LIMIT,
        progress: Callable[[], object] = lambda: None,
    ) -> Run:
        """Run the operations, the same for all runs, and record it.

        ``version`` is the kernel's, ``limit`` what one line may ask for. Raises UsageError.
        """
        self.lines = [(operation.n, str(operation)) for operation in operations]
        machine = equip(arch, kernels=kernels, watch=[JOURNAL, SECTIONS], version=version)
        journal = journal_of(machine)
        runner = Runner(machine, limit)
        run = Run(name, _facts(machine.mem), defects)
        run.facts["trees"] = [f"{machine.tree(number):x}" for number in range(TREES)]
        run.facts["nodeBase"] = f"{machine.node_base:x}"
        self.runs.append(run)
        self._log(run, journal.take_entries())
        tree = -1
        for step, operation in enumerate(operations, 1):
            line = runner.execute(operation)
            entries = journal.take_entries()
            self._log(run, entries)
            run.meanings.append(_meaning(run.work[-1], line))
            run.marks += _marks(step, line)
            run.results.append(_shortened(line))
            number = (runner.tree - machine.tree_base) // (machine.tree(1) - machine.tree_base)
            if number != tree:
                tree = number
                run.trees.append((step, number))
            progress()
            if runner.faulted:
                break
        return run

    def add_image(self, image: Image) -> Run:
        """Record an image: one moment, without a history. Violations become marks."""
        mem = image.memory
        run = Run(f"{image.arch.name} {image.profile.version}", _facts(mem))
        run.facts["trees"] = [f"{image.tree:x}"]
        tree = mem.read(image.tree, mem.tree_size, "struct maple_tree")
        entries = [Entry(WRITE, image.tree, "", data=tree)]
        for visit in decode(mem, image.tree).nodes:
            entries.append(Entry(ALLOC, visit.address, ""))
            data = mem.read(visit.address, NODE_SIZE, "a node")
            entries.append(Entry(WRITE, visit.address, "", data=data))
        self.runs.append(run)
        self._log(run, entries)
        run.marks = [
            Mark(0, *_split(each.node + each.offset), str(each.rule), str(each))
            for each in validate(mem, image.tree)
        ]
        return run

    def _log(self, run: Run, entries: list[Entry]) -> None:
        parts = [part for entry in entries for part in _in_cells(entry)]
        run.entries += len(parts)
        writes = [entry.data for entry in parts if entry.kind == WRITE]
        run.byte_count += sum(len(data) for data in writes if any(data))
        step = len(run.work)
        run.work.append(_digest(entries, run.facts))
        log = run.log
        first = self.runs[0]
        same = run is not first and step < len(first.work) and run.work[step] == first.work[step]
        if same and run.work[step] is not None:
            _put(log, 0)
            return
        _put(log, len(parts) + 1)
        for entry in parts:
            zero = entry.kind == WRITE and not any(entry.data)
            address, offset = _split(entry.address)
            _put(log, entry.kind + _ALL_ZERO * zero)
            _put(log, run.cells(address))
            _put(log, self._functions(entry.function))
            if entry.kind == WRITE:
                _put(log, offset)
                _put(log, entry.tag)
                _put(log, entry.width)
                _put(log, len(entry.data) // entry.width)
                if not zero:
                    log += entry.data
            elif entry.kind == COPY:
                _put(log, run.cells(entry.source))

    # -- writing it

    def header(self) -> dict[str, Any]:
        """All but the logs, as JSON has it."""
        return {
            "title": self.title,
            "kinds": KINDS,
            "entryKinds": {"write": WRITE, "copy": COPY, "alloc": ALLOC, "free": FREE},
            "functions": list(self._functions),
            "lines": self.lines,
            "runs": [
                {
                    **run.facts,
                    "name": run.name,
                    "defects": run.defects,
                    "entries": run.entries,
                    "logSize": len(run.log),
                    "byteCount": run.byte_count,
                    "cells": [f"{address:x}" for address in run.cells],
                    "treeSteps": run.trees,
                    "results": self._results(run),
                    "differs": self.differs(run),
                    "marks": [
                        [mark.step, f"{mark.address:x}", mark.offset, mark.kind, mark.text]
                        for mark in run.marks
                    ],
                }
                for run in self.runs
            ],
        }

    def differs(self, run: Run) -> list[int]:
        """The steps whose results or writes have another meaning than those of the first run."""
        first = self.runs[0].meanings
        own = run.meanings
        found = [step for step, (a, b) in enumerate(zip(first, own, strict=False), 1) if a != b]
        shorter, longer = sorted((len(first), len(own)))
        return [*found, *range(shorter + 1, longer + 1)][:_LONGEST]

    def _results(self, run: Run) -> list[Line | int]:
        """The results, 0 where they are those of the first run."""
        first = self.runs[0]
        if run is first:
            return [*run.results]
        known = dict(enumerate(first.results))
        return [0 if known.get(i) == line else line for i, line in enumerate(run.results)]

    def packed(self) -> bytes:
        """The recording: length of the header (4 bytes, little-endian), header, logs; deflated."""
        header = json.dumps(self.header(), separators=(",", ":")).encode()
        logs = [bytes(run.log) for run in self.runs]
        parts = [len(header).to_bytes(4, "little"), header, *logs]
        return zlib.compress(b"".join(parts), 9)


def _facts(mem: NodeMemory) -> dict[str, Any]:
    """The layout of nodes and trees on this machine: offsets and sizes in bytes."""
    sizes, tree = mem.profile.sizes, mem.profile.layout("maple_tree")
    return {
        "arch": mem.arch.name,
        "bigEndian": mem.arch.byteorder == "big",
        "word": mem.word_size,
        "slots": sizes.slots,
        "pivots": sizes.pivots,
        "slotOffset": mem.slot_offset,
        "metaOffset": mem.meta_offset,
        "gapOffset": mem.gap_offset,
        "treeSize": mem.tree_size,
        "rootOffset": tree.offset("ma_root"),
        "flagsOffset": tree.offset("ma_flags"),
    }


def _split(address: int) -> tuple[int, int]:
    """The cell that holds an address, and the offset in it."""
    offset = address & CELL - 1
    return address - offset, offset


def _in_cells(entry: Entry) -> Iterable[Entry]:
    """The entry, or one for each cell that it reaches into."""
    room = CELL - (entry.address & CELL - 1)
    while len(entry.data) > room and entry.kind == WRITE:
        width = 1 if room % entry.width else entry.width  # a field that lies across two cells
        yield entry._replace(data=entry.data[:room], width=width)
        at = entry.address + room
        rest = entry.data[room:]
        entry = entry._replace(address=at, data=rest, width=width, tag=entry.field_at(at))
        room = CELL
    yield entry


def _put(log: bytearray, number: int) -> None:
    while number >= 0x80:
        log.append(number & 0x7F | 0x80)
        number >>= 7
    log.append(number)


def _digest(entries: list[Entry], facts: dict[str, Any]) -> bytes | None:
    """Identifies what was written, as numbers; None if there are bytes of unknown fields."""
    digest = hashlib.blake2b(digest_size=8)
    big = facts["bigEndian"]
    for entry in entries:
        width = entry.width
        data: bytes = entry.data
        if entry.kind == WRITE and not entry.tag:
            return None
        if entry.kind == COPY:
            data = b""
        elif big and 1 < width < NODE_SIZE:
            data = b"".join(data[at : at + width][::-1] for at in range(0, len(data), width))
        where = entry.kind, entry.address, entry.tag, width, entry.source, entry.function
        digest.update(repr(where).encode())
        digest.update(data)
    return digest.digest()


def _meaning(work: bytes | None, line: Line) -> bytes:
    """Identifies what an operation returned and wrote, apart from byte order."""
    return (work or b"") + json.dumps(meaning(line)).encode()


def _marks(step: int, line: Line) -> Iterable[Mark]:
    """The reports of an operation and its fault, each at its byte."""
    for report in line.get("reports", ()):
        node, offset = _split(int(report["node"], 16) + report["offset"])
        read = "" if "value" not in report else f", value {report['value']}"
        text = (
            f"{report['kind']}: {report['function']} used it as {report['read_as']}{read}; "
            f"it is {report['written_as']}"
        )
        yield Mark(step, node, offset, report["kind"], text)
    if "fault" in line:
        fault = line["fault"]
        yield Mark(step, *_split(int(fault["address"], 16)), fault["kind"], fault["message"])


def _shortened(line: Line) -> Line:
    """A result without its reports, which are marks, and without very long values."""
    kept = {}
    for key, value in line.items():
        if key in {"n", "op", "reports"}:
            continue
        size = len(json.dumps(value)) if isinstance(value, str | list | dict) else 0
        kept[key] = value if size <= _LONGEST else f"{size} characters, see maple-layout run"
    return kept
