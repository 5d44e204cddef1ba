"""Trees that record their operations as a trace.

Calls through ``tree.kernel``, and changes of the machine's memory or its node cache, are not
recorded. ``replays`` returns whether the trace gives the same trees without them.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from layout.images.decode import decode
from layout.machine.machine import TREE_STRIDE, TREES, Machine
from layout.mapletree import MapleTree
from layout.memory.errors import MapleLayoutError
from layout.memory.node import NODE_SIZE
from layout.traces.operations import GAPS
from layout.traces.runner import Runner
from layout.traces.trace import Operation

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Self

    from layout.mapletree import Preallocated, Range


class Recorder:
    """Makes trees on one machine, and records the trace of all their operations.

    >>> import arches
    >>> recorder = Recorder(Machine(arches.get("s390x")))
    >>> tree = recorder(rcu=True)
    >>> tree.store(0x10, 0x1F, 0x3001)
    >>> [str(operation) for operation in recorder.operations]
    ['init 2', 'store 10 1f 3001']
    """

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.trees: list[RecordedTree] = []
        self.operations: list[Operation] = []
        self._current = 0

    def __call__(self, *, alloc_range: bool = False, rcu: bool = False) -> RecordedTree:
        """A new tree; the arguments are those of MapleTree."""
        return RecordedTree(self, alloc_range=alloc_range, rcu=rcu)

    def number(self, tree: int) -> int:
        """The number of the tree at this address, as ``sel`` takes it."""
        return (tree - self.machine.tree_base) // TREE_STRIDE

    def record(self, tree: int, op: str, *args: int) -> None:
        """Add a line, after one that selects the tree at this address where needed."""
        number = self.number(tree)
        if number != self._current:
            self._current = number
            self._add("sel", number)
        self._add(op, *args)

    def _add(self, op: str, *args: int) -> None:
        self.operations.append(Operation(len(self.operations) + 1, op, args))

    def of_tree(self, tree: int) -> list[Operation]:
        """The operations on the tree at this address, in order."""
        found, current = [], 0
        for operation in self.operations:
            if operation.op == "sel":
                current = operation.args[0]
            elif current == self.number(tree):
                found.append(operation)
        return found

    def replays(self) -> bool:
        """Whether the trace, run on a new machine with the same code, gives the same trees.

        They have to be made of as many nodes, handed out and freed.
        """
        machine = self.machine
        if any(self.number(tree.address) >= TREES for tree in self.trees):
            return False
        runner = Runner(Machine(machine.arch, machine.memory_class, machine.kernel_class))
        try:
            for operation in self.operations:
                runner.execute(operation)
                if runner.faulted:
                    break
            cache = runner.machine.cache
            if (cache.allocated, cache.freed) != (machine.cache.allocated, machine.cache.freed):
                return False
            return all(
                _tree_bytes(machine, tree.address) == _tree_bytes(runner.machine, tree.address)
                for tree in self.trees
            )
        except MapleLayoutError:
            return False


def _tree_bytes(machine: Machine, tree: int) -> list[tuple[int, bytes]]:
    """The struct maple_tree and all nodes of a tree, with their addresses."""
    mem = machine.mem
    nodes = [visit.address for visit in decode(mem, tree).nodes]
    head = (tree, mem.read(tree, mem.tree_size, "struct maple_tree"))
    return [head, *((node, mem.read(node, NODE_SIZE, "a node")) for node in nodes)]


class RecordedTree(MapleTree):
    """A MapleTree whose operations ``recorder`` records, each before it runs."""

    def __init__(self, recorder: Recorder, *, alloc_range: bool = False, rcu: bool = False) -> None:
        super().__init__(machine=recorder.machine, alloc_range=alloc_range, rcu=rcu)
        self.recorder = recorder
        recorder.trees.append(self)
        self._record("init", self.machine.mem.ma_flags(self.address))

    def _record(self, op: str, *args: int) -> None:
        if all(0 <= arg <= self.ulong_max for arg in args):  # others are refused before they start
            self.recorder.record(self.address, op, *args)

    def load(self, index: int) -> int:
        """MapleTree.load(), recorded."""
        self._record("load", index)
        return super().load(index)

    def store(self, first: int, last: int, entry: int) -> None:
        """MapleTree.store(), recorded."""
        self._record("store", first, last, entry)
        super().store(first, last, entry)

    def insert(self, first: int, last: int, entry: int) -> None:
        """MapleTree.insert(), recorded."""
        self._record("insert", first, last, entry)
        super().insert(first, last, entry)

    def erase(self, index: int) -> int:
        """MapleTree.erase(), recorded."""
        self._record("erase", index)
        return super().erase(index)

    def clear(self) -> None:
        """MapleTree.clear(), recorded."""
        self._record("destroy")
        super().clear()

    def range_at(self, index: int) -> Range:
        """MapleTree.range_at(), recorded."""
        self._record("walk", index)
        return super().range_at(index)

    def ranges(self, first: int = 0, last: int | None = None) -> Iterator[Range]:
        """MapleTree.ranges(), recorded as one iteration where it starts."""
        self._record("iter", first, self.ulong_max if last is None else last)
        yield from super().ranges(first, last)

    def ranges_reversed(self, first: int = 0, last: int | None = None) -> Iterator[Range]:
        """MapleTree.ranges_reversed(), recorded step by step."""
        index = self.ulong_max if last is None else last
        self._record("cset", index)
        self._record("cfind_rev", first)
        for found in super().ranges_reversed(first, last):
            yield found
            if found.first > first:
                self._record("cset", found.first - 1)
                self._record("cfind_rev", first)

    def find_empty_area(
        self, size: int, first: int = 0, last: int | None = None, *, reverse: bool = False
    ) -> Range:
        """MapleTree.find_empty_area(), recorded."""
        if self.kernel.mt_is_alloc(self.address):
            self._record(GAPS[reverse], first, self.ulong_max if last is None else last, size)
        return super().find_empty_area(size, first, last, reverse=reverse)

    @contextmanager
    def preallocate(self, first: int, last: int, entry: int) -> Iterator[Preallocated]:
        """MapleTree.preallocate(), recorded: with its store if that is done."""
        self._record("prealloc_raw", first, last, entry)
        lines = self.recorder.operations
        at = len(lines) - 1
        with super().preallocate(first, last, entry) as write:
            try:
                yield write
            finally:
                if write.spent:
                    lines[at] = Operation(lines[at].n, "prealloc", lines[at].args)

    def check(self) -> None:
        """MapleTree.check(), recorded."""
        self._record("validate")
        super().check()

    def _sibling(self, *, alloc_range: bool, rcu: bool) -> Self:
        new = type(self)(self.recorder, alloc_range=alloc_range, rcu=rcu)
        self._record("dup_noinit", self.recorder.number(new.address))
        return new
