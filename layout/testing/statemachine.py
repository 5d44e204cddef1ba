"""A state machine for hypothesis: random operations on a tree, compared with a plain model.

>>> import arches
>>> from layout.machine.machine import Machine
>>> from layout.tree.kernel import Kernel
>>> class Mine(MapleTreeMachine):
...     arch = "s390x"
...     def make_machine(self):
...         return Machine(arches.get(self.arch), kernel=Kernel)  # or a changed one
>>> TestMine = Mine.TestCase  # for pytest and unittest to find

A failure prints the steps, and all that was done as a trace.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from layout.machine.machine import TREES, Machine
from layout.memory.pointers import MT_FLAGS_ALLOC_RANGE, MT_FLAGS_USE_RCU
from layout.memory.structs import DEFAULT_VERSION
from layout.testing.checked import CheckedRunner, Trace
from layout.testing.known import sound_machine
from layout.testing.steps import is_stuck
from layout.testing.strategies import either, entries, indexes, sizes
from layout.traces.language import NO_LIMIT
from layout.traces.operations import AREAS, BACKWARD, FORWARD, GAPS, OPERATIONS, READS, farthest
from layout.traces.trace import Operation

if TYPE_CHECKING:
    from collections.abc import Callable

    from hypothesis.strategies import SearchStrategy

    from layout.traces.session import Line

_NEVER = 1 << 62
_LIMITED = [op for op in READS if len(OPERATIONS[op].arguments) > 1]
"""Reads that have a limit."""


def _of_machine(
    strategy: Callable[[str], SearchStrategy[Any]],
) -> SearchStrategy[Any]:
    """What a strategy gives for the architecture of the state machine at hand."""
    made = cache(strategy)
    return st.runner().flatmap(lambda self: made(self.arch))


_near = st.builds(
    lambda self, which, beside: self.near(which, beside),
    st.runner(),
    st.integers(0, 40),
    st.sampled_from((0, -1, 1)),
)
_index = _of_machine(lambda arch: either(indexes(arch), _near))
_size = _of_machine(sizes)
_entry = _of_machine(entries)
_entry_or_null = _of_machine(lambda arch: entries(arch, null=True))
_moves = st.lists(st.tuples(st.sampled_from((*FORWARD, *BACKWARD)), st.none() | _index), max_size=6)
_refusals = st.tuples(st.integers(0, 3), st.integers(1, 3))


class MapleTreeMachine(RuleBasedStateMachine):
    """Operations on one tree at a time; after each step all trees are compared with their models.

    Set ``arch`` (a machine's name), ``kernel`` (a version), ``alloc_range`` and ``rcu``. Override
    :meth:`make_machine` for a changed kernel or memory. Your own rules run operations with
    :meth:`do`.
    """

    arch = "x86_64"
    kernel = DEFAULT_VERSION
    alloc_range = False
    rcu = False

    def make_machine(self) -> Machine:
        """The machine to use: that of ``arch`` and ``kernel``, without the known bug."""
        return sound_machine(self.arch, self.kernel)

    def __init__(self) -> None:
        super().__init__()
        self.runner = CheckedRunner(self.make_machine(), every=_NEVER)
        self.top = self.runner.machine.arch.ulong_max
        self.operations: list[Operation] = []
        self._number = 0
        self._checked = 0
        self._sound = True
        flags = MT_FLAGS_ALLOC_RANGE if self.alloc_range else 0
        self.do("init", flags | (MT_FLAGS_USE_RCU if self.rcu else 0))

    def do(self, op: str, *args: int) -> Line:
        """Run one line of a trace on the current tree. Raises WrongResultError."""
        operation = Operation(len(self.operations) + 1, op, args)
        self.operations.append(operation)
        self._sound = False  # unless what follows comes back
        line = self.runner.execute(operation)
        self._sound = True
        return line

    def near(self, which: int, beside: int) -> int:
        """An index beside an end of the current tree's ``which``-th range, back from the newest."""
        ranges = self.runner.model.ranges
        ends = [end for first, (last, _) in ranges.items() for end in (first, last)] or [0]
        return min(max(ends[-1 - which % len(ends)] + beside, 0), self.top)

    def trace(self) -> Trace:
        """The trace of all operations so far."""
        return Trace.of(self.operations, self.arch, self.runner.kernel.version)

    @property
    def is_empty(self) -> bool:
        """Whether the current tree is empty."""
        return not self.runner.model.ranges

    def _last(self, first: int, size: int) -> int:
        return min(first + size - 1, self.top)

    @invariant()
    def trees_are_what_they_should_be(self) -> None:
        """Every tree has the ranges of its model, is valid, and no node is lost."""
        if self._checked != len(self.operations):
            self._checked = len(self.operations)
            self._sound = False
            self.runner.check_trees()
            self._sound = True

    def teardown(self) -> None:
        """Destroy the tree, which frees every node; print the trace of a failing example."""
        try:
            if self._sound:
                self.do("destroy")
                self.runner.check_trees()
        finally:
            text, version = self.trace().text, self.runner.kernel.version
            options = "" if version == DEFAULT_VERSION else f" --kernel {version}"
            note(f"As a trace, for maple-layout run - --arch {self.arch}{options}:\n{text}")

    # -- writing

    @rule(first=_index, size=_size, entry=_entry_or_null)
    def store(self, first: int, size: int, entry: int) -> None:
        """Store over a range, NULL too."""
        self.do("store", first, self._last(first, size), entry)

    @rule(first=_index, size=_size, entry=_entry_or_null)
    def mas_store(self, first: int, size: int, entry: int) -> None:
        """The same through the advanced API."""
        self.do("mstore", first, self._last(first, size), entry)

    @rule(first=_index, count=st.integers(1, 60), size=st.integers(1, 20), gap=st.integers(0, 1))
    def fill(self, first: int, count: int, size: int, gap: int) -> None:
        """Ranges in order, which fill nodes."""
        for i in range(count):
            start = first + i * (size + gap)
            if start > self.top:
                break
            self.do("store", start, self._last(start, size), i << 1 | 1)

    @rule(first=_index, size=_size, entry=_entry)
    def insert(self, first: int, size: int, entry: int) -> None:
        """Store into a free range."""
        self.do("insert", first, self._last(first, size), entry)

    @rule(first=_index, size=_size, entry=_entry_or_null)
    def store_preallocated(self, first: int, size: int, entry: int) -> None:
        """Allocate nodes, then store."""
        self.do("prealloc", first, self._last(first, size), entry)

    @rule(at=_index)
    def erase(self, at: int) -> None:
        """Erase the range around an index."""
        self.do("erase", at)

    @rule(at=_index, steps=st.integers(0, 3), entry=_entry_or_null)
    def store_at_a_cursor(self, at: int, steps: int, entry: int) -> None:
        """Find a range and store over exactly that range."""
        if self._found(at, steps):
            self.do("cstore", entry)

    @rule(at=_index, steps=st.integers(0, 3))
    def erase_at_a_cursor(self, at: int, steps: int) -> None:
        """Find a range and erase it."""
        if self._found(at, steps):
            self.do("cerase")

    def _found(self, at: int, steps: int) -> bool:
        self.do("cset", at)
        return all(self.do("cfind", self.top)["entry"] != "0" for _ in range(steps + 1))

    @precondition(lambda self: self.is_empty and not self.rcu)
    @precondition(lambda self: "mas_expected_entries" not in self.runner.kernel.gone)
    @rule(
        count=st.integers(1, 200),
        spare=st.integers(0, 50),
        size=st.integers(1, 9),
        gap=st.integers(0, 9),
    )
    def load_in_bulk(self, count: int, spare: int, size: int, gap: int) -> None:
        """Many ascending stores into an empty tree, with nodes for all of them."""
        self.do("bulk", count + spare, count, 0, size + gap, size, 1)

    @precondition(lambda self: self.alloc_range)
    @rule(size=_size, low=_index, span=_size, entry=_entry, reverse=st.booleans())
    def allocate(self, size: int, low: int, span: int, entry: int, *, reverse: bool) -> None:
        """Store in the lowest or highest free area."""
        self.do(AREAS[reverse], entry, size, low, min(low + span + size, self.top))

    @precondition(lambda self: self._number < TREES - 2)
    @rule()
    def continue_with_a_copy(self) -> None:
        """Copy the tree, destroy it, continue with the copy."""
        self._number += 1
        self.do("dup", self._number)
        self.do("destroy")
        self.do("sel", self._number)

    @rule()
    def destroy(self) -> None:
        """Free everything."""
        self.do("destroy")

    # -- with little memory

    @rule(first=_index, size=_size, entry=_entry_or_null, limit=_refusals)
    def store_with_little_memory(
        self, first: int, size: int, entry: int, limit: tuple[int, int]
    ) -> None:
        """A store whose allocation fails does not change the tree."""
        self.do("fail", *limit)
        self.do("storenw", first, self._last(first, size), entry)
        self.do("fail", NO_LIMIT)

    @rule(first=_index, size=_size, entry=_entry_or_null)
    def store_that_has_to_block(self, first: int, size: int, entry: int) -> None:
        """A store that must wait for memory."""
        self.do("failnw", 0)
        self.do("store", first, self._last(first, size), entry)
        self.do("failnw", NO_LIMIT)

    @rule(at=_index, limit=_refusals)
    def erase_with_little_memory(self, at: int, limit: tuple[int, int]) -> None:
        """An erase repeats its request until it has all nodes, or fails without a change."""
        self.do("fail", *limit)
        self.do("erase", at)
        self.do("fail", NO_LIMIT)

    @rule(granted=st.integers(0, 40))
    def copy_with_little_memory(self, granted: int) -> None:
        """A copy whose allocation fails frees all its nodes."""
        copy = TREES - 1
        self.do("fail", granted)
        self.do("dup", copy)
        self.do("fail", NO_LIMIT)
        self.runner.check_trees()
        self.do("sel", copy)
        self.do("destroy")
        self.do("sel", self._number)

    # -- reading

    @rule(at=_index)
    def load(self, at: int) -> None:
        """The entry at an index."""
        self.do("load", at)

    @rule(at=_index)
    def walk(self, at: int) -> None:
        """The range around an index."""
        self.do("walk", at)

    @rule(op=st.sampled_from(_LIMITED), at=_index, end=_index)
    def look(self, op: str, at: int, end: int) -> None:
        """The reads that have a limit."""
        self.do(op, at, end)

    @precondition(lambda self: self.alloc_range)
    @rule(size=_size, low=_index, span=_size, reverse=st.booleans())
    def find_empty_area(self, size: int, low: int, span: int, *, reverse: bool) -> None:
        """The lowest or highest free area."""
        self.do(GAPS[reverse], low, min(low + span + size, self.top), size)

    @rule(at=_index, moves=_moves)
    def move_a_cursor(self, at: int, moves: list[tuple[str, int | None]]) -> None:
        """Step forward and backward; None means no limit."""
        self.do("cset", at)
        for op, limit in moves:
            if is_stuck(self.runner.cursor):
                break
            self.do(op, farthest(op, self.top) if limit is None else limit)
