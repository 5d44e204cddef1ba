"""Holds the answers of a kernel's own code against a plain model of ranges, without the emulator.

Transcript lines do not say all that the model has to know. So operations that only look are put
between those of the trace: what the tree has after a store, what a root is before a search.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import arches
from layout.ckernel.execute import SECONDS, run
from layout.ckernel.programs import Programs
from layout.machine.machine import TREES
from layout.memory.errors import TraceError, UsageError
from layout.memory.pointers import (
    MT_FLAGS_ALLOC_RANGE,
    MT_FLAGS_USE_RCU,
    RANGE_64,
)
from layout.memory.structs import DEFAULT_VERSION, profile
from layout.traces.judge import Judge, WrongResultError
from layout.traces.language import NO_LIMIT
from layout.traces.operations import AREAS, GAPS
from layout.traces.quirks import QUIRKS
from layout.traces.shrink import shrink
from layout.traces.trace import Operation

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from arches import Arch
    from layout.ckernel.build import Built
    from layout.traces.session import Line

_EVERY = 5
"""Changes after which all of a tree is compared."""

_NUMBER = re.compile(r"-?\b(?=[a-f]*[0-9])[0-9a-f]+\b|\b[a-f]+\b")


@dataclass(frozen=True, slots=True)
class Wrong:
    """An operation that answers wrongly, and how."""

    operation: Operation
    message: str

    @property
    def kind(self) -> str:
        """The same for all traces that fail alike: the message without its numbers."""
        message = self.message.partition("): ")[2]
        return f"{self.operation.op}: {_NUMBER.sub('#', message)}"


@dataclass(frozen=True, slots=True)
class Meant:
    """What came out: operations judged, the first wrong answer, how often what was forgiven."""

    operations: int
    wrong: Wrong | None = None
    fault: str = ""
    forgiven: Counter[str] = field(default_factory=Counter)


def meant(
    built: Built,
    operations: Sequence[Operation],
    *,
    seconds: int = SECONDS,
    programs: Programs | None = None,
    forgiving: frozenset[str] = frozenset(QUIRKS),
) -> Meant:
    """Judge every answer, up to the first wrong one.

    Raises UsageError for a trace that overwrites bytes, and what run() raises.
    """
    if any(operation.op == "poke" for operation in operations):
        message = "a trace that overwrites bytes (poke) can't be held against a model"
        raise UsageError(message)
    steps = list(_steps(operations, arches.get(built.arch).ulong_max))
    wanted = [each for step in steps for each in step.all()]
    lines = iter(run(built, wanted, seconds=seconds, programs=programs).lines)
    trial = _Trial(built, forgiving)
    count = 0
    for step in steps:
        done = [line for _, line in zip(step.all(), lines, strict=False)]
        count += 1
        try:
            trial.take(step, done)
        except WrongResultError as error:
            return Meant(count, Wrong(step.operation, str(error)), "", trial.judge.forgiven)
        if done and "fault" in done[-1]:
            fault = done[-1]["fault"]["message"]
            return Meant(count, None, fault, trial.judge.forgiven)
    return Meant(count, None, "", trial.judge.forgiven)


def shrink_wrong(
    built: Built, operations: Sequence[Operation], wrong: Wrong, *, seconds: float
) -> list[Operation]:
    """A shorter trace at whose end the kernel answers wrongly in the same way."""

    def still(candidate: Sequence[Operation]) -> bool:
        try:
            again = meant(built, candidate, seconds=1, programs=programs).wrong
        except TraceError:
            return False
        return again is not None and again.kind == wrong.kind

    upto = [operation for operation in operations if operation.n <= wrong.operation.n]
    with Programs() as programs:
        return shrink(upto, still, seconds=seconds)


# -- what is looked at, before and after each operation


class _Step(NamedTuple):
    before: tuple[Operation, ...]
    operation: Operation
    after: tuple[Operation, ...]
    last: bool = False

    def all(self) -> tuple[Operation, ...]:
        return (*self.before, self.operation, *self.after)


def _steps(  # noqa: C901 - a case for each kind of operation
    operations: Iterable[Operation], top: int
) -> Iterator[_Step]:
    """The operations with those that look; the last step looks at all trees."""
    current = cursor_tree = writes = 0
    used = {0}
    limited = False
    operation = Operation(0, "validate", ())
    for operation in operations:
        n, op, args = operation.n, operation.op, operation.args
        before: list[Operation] = []
        after: list[Operation] = []

        if op == "sel":
            current = args[0]
        elif op == "cset":
            cursor_tree = current
        elif op in {"fail", "failnw"}:
            limited = args[0] != NO_LIMIT
        if op in {"sel", "dup", "dup_noinit"}:
            used.add(args[0])
        seen = _seen_before(operation, current, top)
        if seen is not None:
            before += _looks(n, top, current, seen, "dump")
        if op in {"cstore", "cerase"}:
            names = ["iter", *(["dump"] if cursor_tree != current else [])]
            after += _looks(n, top, current, cursor_tree, *names)
        elif op == "erase" and limited:
            after.append(Operation(n, "walk", args))
        elif operation.declared.changes:
            writes += 1
            if writes % _EVERY == 0:
                after += _looks(n, top, current, current, "iter", "validate")
        yield _Step(tuple(before), operation, tuple(after))
    n = operation.n
    looks = [
        each
        for number in sorted(used)
        for each in _looks(n, top, current, number, "iter", "validate", "dump")
    ]
    yield _Step((), Operation(n, "fail", (NO_LIMIT,)), tuple(looks), last=True)


def _seen_before(operation: Operation, current: int, top: int) -> int | None:
    """The tree whose nodes matter before an operation: they are lost, or overlooked."""
    op, args = operation.op, operation.args
    if op in {"dup", "dup_noinit"}:
        return args[0]
    searches = (op in GAPS and args[1] == top) or (op in AREAS and args[3] == top)
    return current if op == "init" or searches else None


def _looks(n: int, top: int, current: int, number: int, *names: str) -> list[Operation]:
    """Operations that look at a tree and come back to the current one."""
    looks = [Operation(n, name, (0, top) if name == "iter" else ()) for name in names]
    if number == current:
        return looks
    return [Operation(n, "sel", (number,)), *looks, Operation(n, "sel", (current,))]


class _Trial:
    """The lines of a trace, judged step by step; it is the witness of its own judge."""

    def __init__(self, built: Built, forgiving: frozenset[str]) -> None:
        arch = arches.get(built.arch)
        self.judge = Judge(arch.ulong_max, TREES, self, forgiving)
        self._shapes = _Shapes(arch)
        self._top = arch.ulong_max
        self._knows_status = "HAVE_STATUS" in built.source.features
        self._roots = [0] * TREES
        self._flags = [0] * TREES
        self._first_ends: dict[int, int] = {}
        self._cursor = ("start", 0, 0)
        self._looks: list[tuple[Operation, Line]] = []
        self._current = 0
        self._held = self._leaked = 0
        self._reading = 0

    def take(self, step: _Step, lines: list[Line]) -> None:
        """Judge a step; ``lines`` end at a fault. Raises WrongResultError."""
        nodes = 0
        self.judge.begin(step.operation)
        self._looks = list(zip(step.after, lines[len(step.before) + 1 :], strict=False))
        for operation, line in zip(step.all(), lines, strict=False):
            if "fault" in line and self._fault_forgiven(operation):
                return
            if operation is step.operation:
                self.judge.judge(operation, line)
                self._note(operation, line)
            else:
                nodes += self._look(operation, line)
        if step.operation.op in {"init", "dup"}:
            self._leaked += nodes
        held = self._held - self._leaked
        if step.last and not self._reading and held != nodes:
            self.judge.wrong(f"{held} nodes are allocated, the trees have {nodes}")

    def _look(self, operation: Operation, line: Line) -> int:
        """Judge what an operation shows that only looks; the number of nodes in a dump."""
        if "fault" in line:
            self.judge.wrong(f"then {operation.op} stops: {line['fault']['message']}")
        if operation.op == "sel":
            self._current = operation.args[0]
        elif operation.op == "iter":
            ranges = [tuple(int(text, 16) for text in found) for found in line["ranges"]]
            self.judge.compare(self._current, ranges)  # type: ignore[arg-type] # of three
        elif operation.op == "validate" and not line["ok"]:
            text = line.get("printk", "").partition("\n")[0]
            self.judge.wrong(f"tree {self._current} does not pass mt_validate: {text}")
        return self._dumped(line) if operation.op == "dump" else 0

    def _note(self, operation: Operation, line: Line) -> None:
        """Keep what a line says of the tree and the cursor."""
        op, args = operation.op, operation.args
        if op == "sel":
            self._current = args[0]
        elif op in {"dup", "dup_noinit"}:
            self._roots[args[0]] = int(line["droot"], 16)
            self._flags[args[0]] = int(line["dflags"], 16)
        elif op in {"rcu_lock", "rcu_unlock"}:
            self._reading += 1 if op == "rcu_lock" else -1
        if "root" in line and "nodes" not in line:
            self._roots[self._current] = int(line["root"], 16)
            self._flags[self._current] = int(line["flags"], 16)
            self._held = line["na"] - line["nf"]
        if op == "cset":
            self._cursor = ("start", args[0], args[-1])
        elif op == "creset":
            self._cursor = ("start", *self._cursor[1:])
        elif operation.declared.moves_cursor and "status" in line:
            self._cursor = (line["status"], int(line["index"], 16), int(line["last"], 16))

    def _dumped(self, line: Line) -> int:
        """Keep what a dump says; the number of nodes."""
        nodes = line["nodes"]
        self._roots[self._current] = int(line["root"], 16)
        self._flags[self._current] = int(line["flags"], 16)
        if nodes:
            first = self._shapes.first_pivot(nodes[0])
            self._first_ends[self._current] = first or self._top
        return len(nodes)

    def _fault_forgiven(self, operation: Operation) -> bool:
        """Whether a fault is that of the walk that frees trees in RCU mode."""
        tree = self.judge.cursor_tree if operation.declared.moves_cursor else self._current
        kind = self._flags[tree] & (MT_FLAGS_USE_RCU | MT_FLAGS_ALLOC_RANGE)
        frees = operation.declared.changes and kind == MT_FLAGS_USE_RCU
        return frees and self.judge.forgives("freed in RCU mode")

    # -- what a judge asks

    def root(self, number: int) -> int:
        """The root word before the operation."""
        return self._roots[number]

    def flags(self, number: int) -> int:
        """ma_flags before the operation."""
        return self._flags[number]

    def first_end(self, number: int) -> int:
        """The last index of the root's first slot; it was looked at where the limit is the top."""
        whole = self.judge.models[number].span(0) == (0, self._top, 0)
        return self._top if whole else self._first_ends.get(number, 0)

    def entry_at(self, number: int, index: int) -> int:
        """The entry there after the operation."""
        del number  # the one that is looked at
        for operation, line in self._looks:
            if operation.op == "walk":
                return int(line["entry"], 16)
            if operation.op == "iter":
                for first, last, entry in line["ranges"]:
                    if int(first, 16) <= index <= int(last, 16):
                        return int(entry, 16)
        return 0

    def cursor(self) -> tuple[str, int, int] | None:
        """Status, index and last of the cursor before the operation, if the kernel tells."""
        return self._cursor if self._knows_status else None


class _Shapes:
    """Where a node of a machine has its first pivot."""

    def __init__(self, arch: Arch) -> None:
        self._arch = arch
        self._profile = profile(arch, DEFAULT_VERSION)

    def first_pivot(self, node: Line) -> int:
        """The first pivot of a dumped node."""
        name = "maple_range_64" if node["type"] <= RANGE_64 else "maple_arange_64"
        at = self._profile.layout(name).offset("pivot")
        data = bytes.fromhex(node["hex"])[at : at + self._arch.word_size]
        return int.from_bytes(data, self._arch.byteorder)
