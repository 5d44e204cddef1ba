"""What random traces are put together from: a step is one line, or some that belong together.

Steps are drawn without knowing what is in the tree; written one after the other they give a
trace that any kernel may run: cursors are not used when they are stale, bulk loads go into empty
trees, indexes can be near to ranges stored before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

from layout.machine.machine import TREES
from layout.memory.pointers import MT_FLAGS_USE_RCU
from layout.memory.structs import DEFAULT_VERSION
from layout.testing.known import sound_machine
from layout.traces.language import NO_LIMIT
from layout.traces.operations import OPERATIONS, farthest
from layout.traces.runner import Runner
from layout.traces.trace import Operation
from layout.tree.state import MA_ACTIVE, MA_OVERFLOW, MA_UNDERFLOW

if TYPE_CHECKING:
    from collections.abc import Iterable

    from layout.traces.session import Line
    from layout.tree.state import MaState


class Near(NamedTuple):
    """An index beside an end of a range stored before: the ``which``-th last end."""

    which: int
    beside: int


class Span(NamedTuple):
    """A range: where it starts, and its size in indexes or where it ends."""

    at: int | Near
    size: int | Near


def is_stuck(cursor: MaState) -> bool:
    """Whether a state met its limit before it was in the tree.

    The kernel takes such a state for active at the next step, and follows a NULL pointer.
    """
    return cursor.status in (MA_OVERFLOW, MA_UNDERFLOW) and not cursor.node


class Step(Protocol):
    """Something that writes lines."""

    def write(self, writer: Writer) -> None:
        """Add the step's lines."""


def assemble(
    arch: str, flags: int, steps: Iterable[Step], kernel: str = DEFAULT_VERSION
) -> list[Operation]:
    """The lines of these steps, after an ``init`` with these flags, for a kernel version."""
    writer = Writer(arch, flags, kernel)
    for step in steps:
        step.write(writer)
    return writer.lines


class Writer:
    """The lines so far; they are carried out too, to know what may follow."""

    def __init__(self, arch: str, flags: int, kernel: str = DEFAULT_VERSION) -> None:
        machine = sound_machine(arch, kernel)
        self.runner = Runner(machine)
        self.top = machine.arch.ulong_max
        self.lines: list[Operation] = []
        self.trees = 1
        self.tree = 0
        self._ends: list[int] = []
        self.add("init", flags)

    def add(self, op: str, *args: int) -> Line:
        """Add a line; the result of the operation."""
        operation = Operation(len(self.lines) + 1, op, args)
        self.lines.append(operation)
        return self.runner.execute(operation)

    def index(self, at: int | Near) -> int:
        """The index that is meant."""
        if isinstance(at, int):
            return at
        if not self._ends:
            return at.which
        return min(max(self._ends[-1 - at.which % len(self._ends)] + at.beside, 0), self.top)

    def span(self, span: Span) -> tuple[int, int]:
        """First and last index of a range; later indexes can be near them."""
        first = self.index(span.at)
        if isinstance(span.size, int):
            last = min(first + span.size - 1, self.top)
        else:
            last = self.index(span.size)
        found = min(first, last), max(first, last)
        self._ends += found
        return found

    @property
    def flags(self) -> int:
        """The flags of the current tree."""
        return self.runner.mem.ma_flags(self.runner.tree)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is in the current tree."""
        return not self.runner.mem.ma_root(self.runner.tree)


@dataclass(frozen=True, slots=True)
class Store:
    """One of store, storenw, mstore, insert, prealloc."""

    op: str
    span: Span
    entry: int

    def write(self, writer: Writer) -> None:
        """Add the line."""
        writer.add(self.op, *writer.span(self.span), self.entry)


@dataclass(frozen=True, slots=True)
class Fill:
    """``count`` ranges of ``size`` indexes, in order, ``gap`` indexes apart."""

    at: int | Near
    count: int
    size: int
    gap: int
    entry: int

    def write(self, writer: Writer) -> None:
        """Add the lines, up to the last that fits."""
        first = writer.index(self.at)
        for i in range(self.count):
            at = first + i * (self.size + self.gap)
            if at + self.size - 1 > writer.top:
                break
            writer.span(Span(at, self.size))
            writer.add("store", at, at + self.size - 1, self.entry + i * 0x100 & writer.top)


@dataclass(frozen=True, slots=True)
class Bulk:
    """A bulk load, where the tree is empty and has no readers."""

    count: int
    spare: int
    size: int
    gap: int

    def write(self, writer: Writer) -> None:
        """Add the line."""
        if writer.is_empty and not writer.flags & MT_FLAGS_USE_RCU:
            expected, step = self.count + self.spare, self.size + self.gap
            writer.add("bulk", expected, self.count, 0, step, self.size, 1)


@dataclass(frozen=True, slots=True)
class Erase:
    """Erase a range."""

    at: int | Near

    def write(self, writer: Writer) -> None:
        """Add the line."""
        writer.add("erase", writer.index(self.at))


@dataclass(frozen=True, slots=True)
class Read:
    """One of the reads with one index (load, walk) or two."""

    op: str
    at: int | Near
    limit: int | Near

    def write(self, writer: Writer) -> None:
        """Add the line."""
        args = [writer.index(self.at)]
        if len(OPERATIONS[self.op].arguments) > 1:
            args.append(writer.index(self.limit))
        writer.add(self.op, *args)


@dataclass(frozen=True, slots=True)
class Cursor:
    """Set the cursor, move it, and maybe write where it stands.

    ``moves`` are operations, each with its limit, or None for as far as there is. ``entry`` is
    stored at the end, if the last move has found a range; with -1 the range is erased, with
    None nothing is done.
    """

    span: Span
    moves: tuple[tuple[str, int | Near | None], ...]
    entry: int | None

    def write(self, writer: Writer) -> None:
        """Add the lines."""
        writer.add("cset", *writer.span(self.span))
        cursor = writer.runner.cursor
        for op, limit in self.moves:
            if is_stuck(cursor):
                break
            writer.add(op, farthest(op, writer.top) if limit is None else writer.index(limit))
        if self.entry == -1:
            writer.add("cerase")
        elif self.entry is not None and (cursor.status == MA_ACTIVE or not self.moves):
            writer.add("cstore", self.entry)


@dataclass(frozen=True, slots=True)
class Area:
    """Look for a free area, or allocate in one; where the tree tracks gaps."""

    op: str
    size: int
    span: Span
    entry: int

    def write(self, writer: Writer) -> None:
        """Add the line."""
        low, high = writer.span(self.span)
        given = {"V": self.entry, "SIZE": self.size, "MIN": low, "MAX": high}
        writer.add(self.op, *(given[argument.name] for argument in OPERATIONS[self.op].arguments))


@dataclass(frozen=True, slots=True)
class Dup:
    """Copy the current tree into the next one; ``go_on`` with the copy, or with the original."""

    go_on: bool

    def write(self, writer: Writer) -> None:
        """Add the lines, while there are trees."""
        if writer.trees == TREES:
            return
        writer.add("dup", writer.trees)
        if self.go_on:
            writer.add("sel", writer.trees)
        writer.trees += 1


@dataclass(frozen=True, slots=True)
class Destroy:
    """Destroy the current tree."""

    def write(self, writer: Writer) -> None:
        """Add the line."""
        writer.add("destroy")


@dataclass(frozen=True, slots=True)
class Rcu:
    """Switch RCU mode."""

    on: bool

    def write(self, writer: Writer) -> None:
        """Add the line."""
        writer.add("rcu", int(self.on))


@dataclass(frozen=True, slots=True)
class Fail:
    """A step with little memory: ``granted`` nodes, then ``refusals`` refusals."""

    op: str
    granted: int
    refusals: int
    step: Step

    def write(self, writer: Writer) -> None:
        """Add the lines."""
        writer.add(self.op, self.granted, self.refusals)
        self.step.write(writer)
        writer.add(self.op, NO_LIMIT)
