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

import errno
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from layout.images.decode import decode
from layout.machine.machine import TREES, Machine
from layout.memory.errors import MachineFault, UsageError
from layout.memory.pointers import (
    LEAF_64,
    MT_FLAGS_HEIGHT_MASK,
    mt_is_reserved,
    mte_node_type,
    mte_to_node,
    xa_is_advanced,
    xa_is_node,
    xa_is_zero,
)
from layout.memory.structs import DEFAULT_VERSION
from layout.testing.known import sound_machine
from layout.testing.machines import find
from layout.traces.language import NO_LIMIT
from layout.traces.model import Model
from layout.traces.runner import Runner
from layout.traces.trace import Operation, parse
from layout.tree.state import MA_ACTIVE, MA_PAUSE, MA_START

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from layout.traces.session import Line


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


class WrongResultError(AssertionError):
    """An operation whose result, or the tree after it, differs from the model."""


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

    It checks the results of all operations on ranges and entries. After them it checks the ranges
    of every tree, runs the kernel's own validator, and checks that no node is lost. For operations
    on the cursor it knows the start. It checks that each range found exists and that none was
    skipped.
    """

    def __init__(self, machine: Machine, *, every: int = 1) -> None:
        super().__init__(machine)
        self.models = [Model(machine.arch.ulong_max) for _ in range(TREES)]
        self._every = every
        self._writes = 0
        self._limited = False
        self._cursor_tree = 0
        self._number = 0
        self._adopt: int | None = None
        self._leaked = 0
        self._root = 0
        self._checks: dict[str, Callable[..., None]] = {
            name[7:]: getattr(self, name) for name in dir(self) if name.startswith("_check_")
        }

    @property
    def model(self) -> Model:
        """The model of the current tree."""
        return self.models[self._number]

    def execute(self, operation: Operation) -> Line:
        """Run one operation. Raises WrongResultError; UsageError for ``poke``."""
        if operation.op == "poke":
            message = "a trace that overwrites bytes (poke) can't be held against a model"
            raise UsageError(message)
        self._at = operation
        cursor = self.cursor
        self._before = (cursor.status, cursor.index, cursor.last)
        self._leaked += self._replaced(operation)
        self._root = self.mem.ma_root(self.tree)
        line = super().execute(operation)
        if "error" in line:
            return line  # this kernel has no such function
        if self.faulted:
            self._wrong(f"the machine stops: {line['fault']['message']}")
        entry_refused = any(map(mt_is_reserved, operation.args))
        if line.get("warn") and not entry_refused:
            self._wrong(f"the kernel warns: {line.get('printk', 'WARN_ON')}")
        if operation.op in self._checks:
            self._checks[operation.op](line, *operation.args)
        if operation.declared.changes:
            self._writes += 1
            if self._adopt is not None or self._writes % self._every == 0:
                self.check_trees()
        return line

    def _replaced(self, operation: Operation) -> int:
        """The nodes that nothing leads to any more after the trace makes a tree anew."""
        if operation.op not in {"init", "dup"}:
            return 0
        number = self._number if operation.op == "init" else operation.args[0]
        return len(decode(self.mem, self.machine.tree(number)).nodes)

    def _wrong(self, message: str) -> None:
        raise WrongResultError(f"line {self._at.n} ({self._at}): {message}")

    def _equal(self, line: Line, key: str, wanted: int | str) -> None:
        wanted = f"{wanted:x}" if isinstance(wanted, int) and key != "ret" else wanted
        if line.get(key) != wanted:
            self._wrong(f"{key} is {line.get(key)}, it should be {wanted}")

    # -- whole trees

    def check_trees(self) -> None:
        """Compare every tree, read in three ways, with its model. Raises WrongResultError."""
        nodes = 0
        for number, model in enumerate(self.models):
            tree = self.machine.tree(number)
            if not model.ranges and not self.mem.ma_root(tree):
                continue
            found = decode(self.mem, tree)
            nodes += len(found.nodes)
            if number == self._adopt:
                model.ranges = {first: (last, entry) for first, last, entry in found.ranges}
            if found.problems:
                self._wrong(f"tree {number} is broken: {found.problems[0]}")
            wanted = model.items()
            try:
                for ranges in (found.ranges, *self._iterated(tree, len(wanted))):
                    if ranges != wanted:
                        self._wrong(f"tree {number} has {_compare(ranges, wanted)}")
                self._validate(number)
            except (MachineFault, IndexError) as fault:
                self._wrong(f"reading tree {number}, the machine stops: {fault}")
        self._adopt = None
        held = self.cache.allocated - self.cache.freed - self._leaked
        if held != nodes and not self.machine.held_up():
            self._wrong(f"{held} nodes are allocated, the trees have {nodes}")

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
            self._wrong(f"tree {number} does not pass mt_validate: {text}")
        del log[before:]

    # -- trees

    def _check_init(self, _line: Line, _flags: int) -> None:
        self.model.ranges.clear()

    def _check_sel(self, _line: Line, number: int) -> None:
        self._number = number

    def _check_destroy(self, _line: Line) -> None:
        self.model.ranges.clear()

    def _check_dup(self, line: Line, number: int) -> None:
        self.models[number] = Model(self.model.top)
        self._check_dup_noinit(line, number)

    def _check_dup_noinit(self, line: Line, number: int) -> None:
        flags = [self.mem.ma_flags(tree) for tree in (self.tree, self.machine.tree(number))]
        if self.models[number].ranges or (flags[0] ^ flags[1]) & ~MT_FLAGS_HEIGHT_MASK:
            self._equal(line, "ret", -errno.EINVAL)
        elif not self._is_refused(line):
            self._equal(line, "ret", 0)
            self.models[number] = self.model.copy()

    def _check_validate(self, line: Line) -> None:
        if not line["ok"]:
            self._wrong("the tree is not valid")

    def _check_fail(self, _line: Line, after: int, calls: int | None = None) -> None:
        self._limited = after != NO_LIMIT and calls != 0

    _check_failnw = _check_fail

    def _is_refused(self, line: Line) -> bool:
        return self._limited and line["ret"] == -errno.ENOMEM

    # -- writes

    def _check_store(self, line: Line, first: int, last: int, entry: int) -> None:
        if xa_is_advanced(entry) or first > last:
            self._equal(line, "ret", -errno.EINVAL)
        elif not self._is_refused(line):
            self._equal(line, "ret", 0)
            self.model.store(first, last, entry)

    _check_storenw = _check_store

    def _check_mstore(self, line: Line, first: int, last: int, entry: int) -> None:
        if first > last:
            self._equal_err(line, -errno.EINVAL)
        elif not (self._limited and line["err"] == -errno.ENOMEM):
            self._equal_err(line, 0)
            self.model.store(first, last, entry)

    def _equal_err(self, line: Line, wanted: int) -> None:
        if line["err"] != wanted:
            self._wrong(f"err is {line['err']}, it should be {wanted}")

    def _check_insert(self, line: Line, first: int, last: int, entry: int) -> None:
        if xa_is_advanced(entry) or first > last:
            self._equal(line, "ret", -errno.EINVAL)
        elif not self._is_refused(line):
            free = self.model.is_free(first, last) or self._overwrites(first, last, entry)
            self._equal(line, "ret", 0 if free else -errno.EEXIST)
            if free:
                self.model.store(first, last, entry)

    def _overwrites(self, first: int, last: int, entry: int) -> bool:
        """Whether an insertion does not ask what is there: see "Bugs in Linux 6.12"."""
        if not entry:
            first, last = self.model.widened(first, last)
        is_leaf = xa_is_node(self._root) and mte_node_type(self._root) == LEAF_64
        return is_leaf and (first, last) == (0, self.model.top)

    def _check_erase(self, line: Line, index: int) -> None:
        found = self.model.at(index)
        self._equal(line, "entry", found[2] if found else 0)
        refused = self._limited and self.kernel.mas_walk(self.kernel.new_state(self.tree, index))
        if not refused:
            self.model.erase(index)

    def _check_prealloc(self, line: Line, first: int, last: int, entry: int) -> None:
        if not self._is_refused(line):
            self._equal(line, "ret", 0)
            self.model.store(first, last, entry)

    def _check_bulk(  # noqa: PLR0913 - the operation's arguments
        self, line: Line, _expected: int, count: int, first: int, step: int, size: int, value: int
    ) -> None:
        if self._is_refused(line):
            return
        self._equal(line, "ret", 0)
        top = self.model.top
        for i in range(line.get("err_at", count)):
            index = first + i * step & top
            self.model.store(index, index + size - 1 & top, value + i * 0x1000 & top)
        if "err_at" in line and not self._limited:
            self._wrong(f"store {line['err_at']} fails")

    def _check_alloc_range(self, line: Line, entry: int, size: int, low: int, high: int) -> None:
        self._check_alloc(line, entry, size, (low, high), reverse=False)

    def _check_alloc_rrange(self, line: Line, entry: int, size: int, low: int, high: int) -> None:
        self._check_alloc(line, entry, size, (low, high), reverse=True)

    def _check_alloc(
        self, line: Line, entry: int, size: int, bounds: tuple[int, int], *, reverse: bool
    ) -> None:
        if not self.kernel.mt_is_alloc(self.tree) or mt_is_reserved(entry):
            self._equal(line, "ret", -errno.EINVAL)
        elif not self._is_refused(line):
            start = self._check_area(line, *bounds, size, reverse=reverse)
            if start is not None:
                if not entry and xa_is_node(self._root):
                    start, _ = self.model.widened(start, start + size - 1)
                self._equal(line, "start", start)
                if not entry:
                    return
                self.model.store(start, start + size - 1, entry)

    def _check_area(
        self, line: Line, low: int, high: int, size: int, *, reverse: bool = False
    ) -> int | None:
        """Where the area is that should be found, None if none should be."""
        if low > high or not size or high - low < size - 1:
            self._equal(line, "ret", -errno.EINVAL)
            return None
        start = self.model.free_area(size, low, high, reverse=reverse)
        if start is not None and line["ret"] == -errno.EBUSY and reverse:
            start = None if self._overlooked(start, high) else start
        self._equal(line, "ret", -errno.EBUSY if start is None else 0)
        return start

    def _overlooked(self, start: int, high: int) -> bool:
        """Whether a reverse search misses this run: see "Bugs in Linux 6.12"."""
        root, top = self.mem.ma_root(self.tree), self.machine.arch.ulong_max
        if not xa_is_node(root):
            return False
        node, mt = mte_to_node(root), mte_node_type(root)
        first = self.mem.pivot(node, 0) or top
        return mt != 0 and start <= first and top in (high, first)

    def _check_alloc_cyclic(self, line: Line, *_: int) -> None:
        if line["ret"] >= 0:
            self._adopt = self._number

    # -- reads

    def _check_load(self, line: Line, index: int) -> None:
        self._equal(line, "entry", self.model.load(index))

    def _check_find(self, line: Line, index: int, limit: int) -> None:
        found = [e for *_, e in self.model.items(index, limit) if not xa_is_zero(e)]
        self._equal(line, "entry", found[0] if found else 0)

    def _check_find_after(self, line: Line, index: int, limit: int) -> None:
        if index:  # 0 is what the index before wrapped to
            self._check_find(line, index, limit)
        else:
            self._equal(line, "entry", 0)

    def _check_next(self, line: Line, index: int, limit: int) -> None:
        later = [e for first, _, e in self.model.items() if index < first <= limit]
        self._equal(line, "entry", later[0] if later else 0)

    def _check_prev(self, line: Line, index: int, low: int) -> None:
        if not xa_is_node(self.mem.ma_root(self.tree)):
            # of a single entry in the root the kernel does not ask whether it is too low
            if index <= low:
                return
            low = 0
        earlier = [e for _, last, e in self.model.items() if low <= last < index]
        self._equal(line, "entry", earlier[-1] if earlier else 0)

    def _check_walk(self, line: Line, index: int) -> None:
        first, last, entry = self.model.span(index)
        self._equal(line, "entry", entry)
        self._equal(line, "index", first)
        self._equal(line, "last", last)

    def _check_iter(self, line: Line, low: int, high: int) -> None:
        wanted = [[f"{n:x}" for n in found] for found in self.model.items(low, high)]
        if line["ranges"] != wanted:
            self._wrong(f"there are {_compare(line['ranges'], wanted)}")

    def _check_empty_area(self, line: Line, low: int, high: int, size: int) -> None:
        self._check_found_area(line, low, high, size, reverse=False)

    def _check_empty_area_rev(self, line: Line, low: int, high: int, size: int) -> None:
        self._check_found_area(line, low, high, size, reverse=True)

    def _check_found_area(
        self, line: Line, low: int, high: int, size: int, *, reverse: bool
    ) -> None:
        if self.kernel.mt_is_alloc(self.tree):
            start = self._check_area(line, low, high, size, reverse=reverse)
            if start is not None:
                self._equal(line, "index", start)
                self._equal(line, "last", start + size - 1)

    # -- the cursor

    def _check_cset(self, _line: Line, _index: int, _last: int | None = None) -> None:
        self._cursor_tree = self._number

    def _check_cstore(self, line: Line, entry: int) -> None:
        status, index, last = self._before
        if self._is_refused(line):
            return
        if status in (MA_START, MA_ACTIVE) and index <= last:
            self._equal(line, "ret", 0)
            self.models[self._cursor_tree].store(index, last, entry)
        else:
            self._adopt = self._cursor_tree  # where a state stands at an end is the kernel's matter

    def _check_cerase(self, line: Line) -> None:
        model = self.models[self._cursor_tree]
        found = model.at(self._before[1])
        self._equal(line, "entry", found[2] if found else 0)
        tree = self.machine.tree(self._cursor_tree)
        if not (self._limited and self.kernel.mtree_load(tree, self._before[1])):
            model.erase(self._before[1])

    def _check_cfind(self, line: Line, limit: int) -> None:
        self._check_forward(line, limit, here=True)

    def _check_cnext(self, line: Line, limit: int) -> None:
        self._check_forward(line, limit, here=False)

    def _check_cfind_rev(self, line: Line, low: int) -> None:
        self._check_backward(line, low, here=True)

    def _check_cprev(self, line: Line, low: int) -> None:
        self._check_backward(line, low, here=False)

    def _check_forward(self, line: Line, limit: int, *, here: bool) -> None:
        status, index, last = self._before
        items = self.models[self._cursor_tree].items()
        self._check_found(line)
        if status == MA_ACTIVE and last < limit:
            after = [e for first, _, e in items if last < first <= limit]
        elif status == MA_PAUSE and here and last < limit:
            after = [e for first, end, e in items if end > last and first <= limit]
        elif status == MA_START and here and index <= limit:
            after = [e for first, end, e in items if end >= index and first <= limit]
        elif status == MA_START and not here and last < limit:
            after = [e for first, _, e in items if index < first <= limit]
        else:
            return
        self._equal(line, "entry", after[0] if after else 0)

    def _check_backward(self, line: Line, low: int, *, here: bool) -> None:
        status, index, _ = self._before
        items = self.models[self._cursor_tree].items()
        self._check_found(line)
        if not xa_is_node(self.mem.ma_root(self.machine.tree(self._cursor_tree))):
            return  # a root without nodes has rules of its own
        if status == MA_ACTIVE and index > low:
            before = [e for _, end, e in items if low <= end < index]
        elif status == MA_START and here and index >= low:
            before = [e for first, end, e in items if first <= index and end >= low]
        elif status == MA_START and not here and index > low:
            before = [e for _, end, e in items if low <= end < index]
        else:
            return
        self._equal(line, "entry", before[-1] if before else 0)

    def _check_found(self, line: Line) -> None:
        """Check that the entry and the range that a cursor found exist."""
        if entry := int(line["entry"], 16):
            found = (int(line["index"], 16), int(line["last"], 16), entry)
            if self.models[self._cursor_tree].at(found[0]) != found:
                first, last, entry = found
                self._wrong(f"{entry:x} is found at {first:x}-{last:x}, where it is not")


def _compare(found: list[Any], wanted: list[Any]) -> str:
    """The first range of two lists that differs, in words."""
    for i, item in enumerate(wanted):
        if i == len(found) or found[i] != item:
            has = _range(found[i]) if i < len(found) else "no more ranges"
            return f"{has}, it should be {_range(item)}"
    return f"{_range(found[len(wanted)])}, which should not be there"


def _range(item: tuple[int | str, ...]) -> str:
    first, last, entry = (f"{n:x}" if isinstance(n, int) else n for n in item)
    return f"{entry} at {first}-{last}"
