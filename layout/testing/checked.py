"""Runs a trace and compares every result and every tree with a plain model.

>>> trace = Trace('''
... init 0
... store 10 1f 3001
... load 18
... ''', "s390x")
>>> [line["op"] for line in check(trace)]
['init', 'store', 'load']
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from layout.images.decode import decode
from layout.machine.machine import TREES, Machine
from layout.memory.errors import MachineFault, UsageError
from layout.memory.pointers import mte_to_node
from layout.memory.structs import DEFAULT_VERSION
from layout.testing.known import sound_machine
from layout.testing.machines import find
from layout.traces.meaning import Judge, WrongResultError
from layout.traces.runner import Runner
from layout.traces.trace import Operation, parse
from layout.tree.state import STATUS_NAMES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from layout.traces.model import Model
    from layout.traces.session import Line

__all__ = ["CheckedRunner", "Trace", "WrongResultError", "check"]


@dataclass(frozen=True)
class Trace:
    """The text of a trace, and the name of the machine and the kernel that it is for."""

    text: str
    arch: str = "x86_64"
    kernel: str = DEFAULT_VERSION

    @classmethod
    def of(cls, operations: Iterable[Operation], arch: str, kernel: str = DEFAULT_VERSION) -> Trace:
        """The trace of these operations, without regard to their line numbers."""
        return cls("".join(f"{operation}\n" for operation in operations), arch, kernel)

    def operations(self) -> list[Operation]:
        """Its operations. Raises TraceError."""
        return list(parse(self.text.split("\n"), find(self.arch).ulong_max))

    def __repr__(self) -> str:
        text = self.text.strip("\n")
        kernel = "" if self.kernel == DEFAULT_VERSION else f', "{self.kernel}"'
        return f'Trace("""\n{text}\n""", "{self.arch}"{kernel})'

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:  # noqa: FBT001, ARG002
        """How hypothesis prints it: as Python that gives the same trace, line by line."""
        printer.text(repr(self))


def check(trace: Trace, machine: Machine | None = None, *, every: int = 1) -> list[Line]:
    """Run a trace on its machine, or on ``machine``, against the model; the transcript.

    Whole trees are compared after every ``every``-th line that writes, and at the end. Raises
    WrongResultError at the first line that is wrong, TraceError, UsageError.
    """
    runner = CheckedRunner(machine or sound_machine(trace.arch, trace.kernel), every=every)
    lines = [runner.execute(operation) for operation in trace.operations()]
    runner.check_trees()
    return lines


class CheckedRunner(Runner):
    """A Runner that compares each line with a model of each tree.

    A :class:`layout.traces.meaning.Judge` checks the results of all operations. After them this
    checks the ranges of every tree, runs the kernel's own validator, and checks that no node is
    lost.
    """

    def __init__(self, machine: Machine, *, every: int = 1) -> None:
        super().__init__(machine)
        self.judge = Judge(machine.arch.ulong_max, TREES, _Machine(self))
        self._every = every
        self._writes = 0
        self._leaked = 0
        self.before = _Before(("start", 0, 0), 0, 0)

    @property
    def model(self) -> Model:
        """The model of the current tree."""
        return self.judge.model

    def execute(self, operation: Operation) -> Line:
        """Run one operation. Raises WrongResultError; UsageError for ``poke``."""
        if operation.op == "poke":
            message = "a trace that overwrites bytes (poke) can't be held against a model"
            raise UsageError(message)
        cursor = self.cursor
        self._leaked += self._replaced(operation)
        self.before = _Before(
            (STATUS_NAMES[cursor.status], cursor.index, cursor.last),
            self.mem.ma_root(self.tree),
            self.mem.ma_flags(self.tree),
        )
        line = super().execute(operation)
        self.judge.judge(operation, line)
        if operation.declared.changes:
            self._writes += 1
            if self.judge.adopt is not None or self._writes % self._every == 0:
                self.check_trees()
        return line

    def _replaced(self, operation: Operation) -> int:
        """The nodes that nothing leads to any more after the trace makes a tree anew."""
        if operation.op not in {"init", "dup"}:
            return 0
        number = self.judge.number if operation.op == "init" else operation.args[0]
        return len(decode(self.mem, self.machine.tree(number)).nodes)

    def check_trees(self) -> None:
        """Compare every tree, read in three ways, with its model. Raises WrongResultError."""
        nodes = 0
        judge = self.judge
        for number, model in enumerate(judge.models):
            tree = self.machine.tree(number)
            if not model.ranges and not self.mem.ma_root(tree):
                continue
            found = decode(self.mem, tree)
            nodes += len(found.nodes)
            if found.problems:
                judge.wrong(f"tree {number} is broken: {found.problems[0]}")
            judge.compare(number, found.ranges)
            try:
                for ranges in self._iterated(tree, len(found.ranges)):
                    judge.compare(number, ranges)
                self._validate(number)
            except (MachineFault, IndexError) as fault:
                judge.wrong(f"reading tree {number}, the machine stops: {fault}")
        judge.adopt = None
        held = self.cache.allocated - self.cache.freed - self._leaked
        if held != nodes and not self.machine.held_up():
            judge.wrong(f"{held} nodes are allocated, the trees have {nodes}")

    def _iterated(self, tree: int, count: int) -> Iterator[list[tuple[int, int, int]]]:
        """The ranges of a tree as mas_find() and mas_find_rev() find them; one too many at most."""
        kernel, top = self.kernel, self.machine.arch.ulong_max
        for find_next, start, limit in ((kernel.mas_find, 0, top), (kernel.mas_find_rev, top, 0)):
            mas = kernel.new_state(tree, start)
            seen: list[tuple[int, int, int]] = []
            while len(seen) <= count and (entry := find_next(mas, limit)):
                seen.append((mas.index, mas.last, entry))
            yield seen if start == 0 else seen[::-1]

    def _validate(self, number: int) -> None:
        log = self.kernel.log
        before = len(log)
        if not self.kernel.mt_validate(self.machine.tree(number)):
            text = "".join(log[before:]).split("\n", 1)[0]
            self.judge.wrong(f"tree {number} does not pass mt_validate: {text}")
        del log[before:]


class _Before(NamedTuple):
    """The cursor and the current tree, as they were before an operation."""

    cursor: tuple[str, int, int]
    root: int
    flags: int


class _Machine:
    """What a judge asks, of the machine of a runner."""

    def __init__(self, runner: CheckedRunner) -> None:
        self._runner = runner

    def _tree(self, number: int) -> int:
        return self._runner.machine.tree(number)

    def root(self, number: int) -> int:
        """The root word before the operation; of another tree than the current one, after it."""
        runner = self._runner
        current = self._tree(number) == runner.tree
        return runner.before.root if current else runner.mem.ma_root(self._tree(number))

    def flags(self, number: int) -> int:
        """ma_flags before the operation; of another tree than the current one, after it."""
        runner = self._runner
        current = self._tree(number) == runner.tree
        return runner.before.flags if current else runner.mem.ma_flags(self._tree(number))

    def first_end(self, number: int) -> int:
        """The last index of the first slot of a root that is a node."""
        node = mte_to_node(self.root(number))
        return self._runner.mem.pivot(node, 0) or self._runner.machine.arch.ulong_max

    def entry_at(self, number: int, index: int) -> int:
        """The entry there after the operation."""
        kernel = self._runner.kernel
        return kernel.mas_walk(kernel.new_state(self._tree(number), index))

    def cursor(self) -> tuple[str, int, int]:
        """Status, index and last of the cursor before the operation."""
        return self._runner.before.cursor
