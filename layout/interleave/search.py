"""Readers beside each line of a trace that changes a tree in RCU mode."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import comb
from typing import TYPE_CHECKING, NamedTuple

from layout.interleave.barriers import order_of
from layout.interleave.judge import Contents, Judge, contents
from layout.interleave.programs import POINTS, programs
from layout.interleave.readers import ReaderKernel
from layout.interleave.schedule import executions
from layout.interleave.stores import POISON, Store, Writer
from layout.interleave.view import OBJECT, Plan, ViewMemory
from layout.machine.equip import in_front
from layout.machine.machine import Machine
from layout.memory.errors import MachineFault, UsageError
from layout.memory.node import NODE_SIZE
from layout.memory.pointers import MT_FLAGS_USE_RCU
from layout.memory.structs import DEFAULT_VERSION
from layout.traces.language import Group
from layout.traces.trace import Operation
from layout.tree.versions import kernel_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from arches import Arch
    from layout.interleave.programs import Answer, Program
    from layout.interleave.schedule import Schedule
    from layout.interleave.stores import Writing
    from layout.interleave.view import Load
    from layout.tree.kernel import Kernel

MAX_READERS = 3
ENOUGH = 20
"""Wrong executions beside one line after which the search leaves it."""
BOUND = 10_000
"""Executions of one reader, from one state, beyond which the search leaves it."""

_BELOW = 0x10000
"""Bytes below the nodes that trees lie in; the object of a new entry lies below these."""

_WRITES = frozenset(
    {Group.TREES, Group.STORES, Group.ALLOCATIONS, Group.RESERVES, Group.CURSOR_STORES}
)
_NO_WRITES = frozenset({"init", "rcu", "sel", "rcu_lock", "rcu_unlock"})


@dataclass(frozen=True, slots=True)
class Setting:
    """What is searched: the machine, its kernel, and how far readers may differ from the writer.

    ``order`` is the memory order, by default the machine's. ``without`` are barriers that are taken
    out. ``readers`` is how many come one after another. ``reload`` lets compilers load a pivot
    again. ``rcu`` turns every tree into RCU mode. ``fresh`` wants that a step which begins after
    the operation shows the new tree. ``only`` is the number of the one line that is looked at.
    After ``enough`` wrong executions a line is left; ``known`` has for lines the readers and
    mistakes that do not count. ``wanted`` are the readers if not those that fit the change.
    """

    arch: Arch
    kernels: tuple[type[Kernel], ...] = ()
    version: str = DEFAULT_VERSION
    order: str = ""
    without: frozenset[str] = frozenset()
    readers: int = 2
    bound: int | None = BOUND
    reload: bool = False
    rcu: bool = False
    fresh: bool = False
    only: int | None = None
    enough: int = ENOUGH
    known: Mapping[int, frozenset[tuple[str, str]]] = field(default_factory=dict)
    wanted: tuple[Program, ...] = ()

    @property
    def memory_order(self) -> str:
        """The memory order: the one given, or the machine's."""
        return self.order or order_of(self.arch.name)


class Wrong(NamedTuple):
    """A bad execution: what is wrong, which reader it was, what it loaded, and its answers.

    ``earlier`` are readers that ended before it began, with their answers.
    """

    what: str
    reader: str
    loads: tuple[Load, ...]
    answers: tuple[str, ...]
    earlier: tuple[str, ...] = ()


@dataclass(slots=True)
class Beside:
    """The result for one line: its stores, how much was searched, and what was wrong.

    ``executions`` ran, ``pruned`` options were left out because others do the same, ``cut`` readers
    reached the bound. ``loads`` are those of the longest reader.
    """

    writing: Writing
    readers: int = 0
    executions: int = 0
    pruned: int = 0
    cut: int = 0
    loads: int = 0
    wrong: list[Wrong] = field(default_factory=list)

    @property
    def orders(self) -> int:
        """How many orders of the longest reader's loads and of the stores there are."""
        stores = len(self.writing.stores)
        return comb(self.loads + stores, stores)

    @property
    def shortest(self) -> Wrong:
        """The wrong execution with the fewest loads."""
        return min(self.wrong, key=lambda each: len(each.loads))


class _State(NamedTuple):
    """What is so when a reader begins: what it must see, and where the new tree was seen."""

    view: int
    news: frozenset[tuple[int, int]]


class _Ended(NamedTuple):
    answers: tuple[Answer, ...]
    stopped: str
    loads: tuple[Load, ...]
    view: int
    done: int


class Search:
    """One trace on one machine. :meth:`lines` gives the results, line by line."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        arch, version = setting.arch, setting.version
        self.writer = Writer(arch, setting.kernels, version)
        reading = in_front(kernel_of(version), [*setting.kernels, ReaderKernel])
        self._side = Machine(arch, ViewMemory, reading, in_python=True)
        memory = self._side.mem
        assert isinstance(memory, ViewMemory)
        self._mem = memory
        self._object = self._side.node_base - 2 * _BELOW
        memory.map(self._object, bytearray(memory.word_size), "what a new entry points to")
        self.stopped = ""
        """The fault that ended the trace, if one did."""

    def lines(self, wanted: Iterable[Operation]) -> Iterator[Beside | None]:
        """Carry out a trace: each line's result, None if it changes no tree in RCU mode.

        Raises TraceError.
        """
        for operation in wanted:
            yield self._line(self._in_rcu(operation))
            if self.stopped:
                return

    def _in_rcu(self, operation: Operation) -> Operation:
        if self.setting.rcu and operation.op == "init":
            return Operation(operation.n, "init", (operation.args[0] | MT_FLAGS_USE_RCU,))
        if self.setting.rcu and operation.op == "rcu":
            return Operation(operation.n, "rcu", (1,))
        return operation

    def _line(self, operation: Operation) -> Beside | None:
        machine, runner = self.writer.machine, self.writer.runner
        declared = operation.declared
        looked_at = (
            declared.changes
            and declared.group in _WRITES
            and operation.op not in _NO_WRITES
            and self.setting.only in (None, operation.n)
            and machine.kernel.mt_in_rcu(runner.tree)
            and not machine.reading
            and not machine.kernel.rcu_queue
        )
        if not looked_at:
            line = self.writer.run(operation)
            self.stopped = line.get("fault", {}).get("message", "")
            return None
        line, writing = self.writer.record(operation)
        self.stopped = line.get("fault", {}).get("message", "")
        if not writing.stores or self.stopped:
            return None
        return self._beside(writing)

    # -- one line

    def _beside(self, writing: Writing) -> Beside:
        setting, mem, kernel = self.setting, self._mem, self._side.kernel
        old = self.start(writing)
        mem.begin(None, 0)
        mem.see_everything()
        new = contents(kernel, writing.tree)
        mem.end()
        judge = Judge(old, new)
        result = Beside(writing)
        readers = list(setting.wanted) or _programs(
            judge, writing, kernel.ulong_max, fresh=setting.fresh
        )
        result.readers = len(readers)
        states: dict[_State, tuple[str, ...]] = {_State(0, frozenset()): ()}
        for number in range(setting.readers):
            last = number + 1 == setting.readers
            following: dict[_State, tuple[str, ...]] = {}
            for state, earlier in states.items():
                for reader in readers:
                    if len(result.wrong) >= setting.enough:
                        return result
                    ends = self._explore(writing.tree, reader, state, earlier, judge, result)
                    for end, told in ends if not last else ():
                        following.setdefault(end, told)
            states = following
            if result.wrong:
                break
        return result

    def start(self, writing: Writing) -> Contents:
        """Let readers of an operation begin; what the tree held before. Completes the stores."""
        mem = self._mem
        self._prepare(writing)
        mem.begin(None, 0)
        old = contents(self._side.kernel, writing.tree)
        mem.end()
        if writing.entry and all(each.entry != writing.entry for each in old.ranges):
            made = (1).to_bytes(mem.word_size, self.setting.arch.byteorder)
            writing.stores.insert(0, Store(self._object, made, "the writer's caller", OBJECT))
        self._watch(writing)
        return old

    def _prepare(self, writing: Writing) -> None:
        side, mem = self._side, self._mem
        mem.end()
        side.restore(writing.before)
        for node in writing.taken:
            missing = node + NODE_SIZE - mem.near_base - mem.near_size
            if missing > 0:
                mem.grow_near(missing)
            mem.poison(node, bytes([POISON]) * NODE_SIZE)
        self._watch(writing)

    def _watch(self, writing: Writing) -> None:
        setting, mem = self.setting, self._mem
        order = setting.memory_order
        new = writing.entry if any(each.field == OBJECT for each in writing.stores[:1]) else 0
        closed = writing.before_each(order, setting.without)
        mem.watch(
            Plan(
                *(writing.stores, closed, order, setting.without, setting.reload),
                *(new, self._object),
            )
        )

    def _explore(  # noqa: PLR0913 - a reader, and all that is known when it begins
        self,
        tree: int,
        reader: Program,
        state: _State,
        earlier: tuple[str, ...],
        judge: Judge,
        result: Beside,
    ) -> list[tuple[_State, tuple[str, ...]]]:
        """Carry out a reader in every way; how things are when it has ended."""
        ends: dict[_State, tuple[str, ...]] = {}
        number = result.writing.operation.n
        done = 0
        bound = self.setting.bound
        schedule: Schedule | None = None
        for schedule, ended in executions(lambda each: self._run(tree, reader, state, each), bound):
            done += 1
            result.pruned += schedule.pruned
            result.loads = max(result.loads, ended.done)
            what = self._wrong(ended, state, judge)
            told = tuple(str(answer) for answer in ended.answers)
            if what:
                if (reader.name, what) not in self.setting.known.get(number, ()):
                    result.wrong.append(Wrong(what, reader.name, ended.loads, told, earlier))
                if len(result.wrong) >= self.setting.enough:
                    break
                continue
            news = set(state.news)
            for answer in ended.answers:
                news.update(judge.news(answer))
            end = _State(ended.view, frozenset(news))
            ends.setdefault(end, (*earlier, f"{reader.name}: {'; '.join(told)}"))
        result.executions += done
        if done == bound and schedule is not None and schedule.made:
            result.cut += 1
        return list(ends.items())

    def _run(self, tree: int, reader: Program, state: _State, schedule: Schedule) -> _Ended:
        mem, kernel = self._mem, self._side.kernel
        kernel.warnings = 0
        kernel.log.clear()
        mem.begin(schedule, state.view)
        answers: list[Answer] = []
        stopped = ""
        try:
            answers.extend(reader.run(kernel, tree))
        except MachineFault as fault:
            stopped = f"{fault.kind}: {str(fault).splitlines()[0]} ({fault.doing})"
        except IndexError:
            stopped = "bug: access beyond the end of a struct"
        finally:
            mem.end()
        if kernel.warnings and not stopped:
            stopped = f"WARN: {kernel.warned}"
        return _Ended(tuple(answers), stopped, tuple(mem.log), mem.view, mem.loads)

    def _wrong(self, ended: _Ended, state: _State, judge: Judge) -> str:
        if ended.stopped:
            return ended.stopped
        for answer in ended.answers:
            what = judge.wrong(answer) or judge.older(answer, state.news)
            if what:
                return what
        return ""


def _programs(judge: Judge, writing: Writing, top: int, *, fresh: bool) -> list[Program]:
    """The readers that fit a change: at the borders of all ranges in and beside it."""
    changed = judge.changed()
    if changed:
        low, high = changed[0].first, changed[-1].last
    else:
        numbers = [number for number in writing.operation.args[:2] if 0 <= number <= top] or [0]
        low, high = min(numbers), max(numbers)
    borders: set[int] = set()
    for first, last, *_ in judge.segments(max(low - 1, 0), min(high + 1, top)):
        borders.update((max(first, low - 1, 0), min(last, high + 1, top)))
    points = _some(sorted(borders), POINTS)
    before, after = judge.old.at(max(low - 1, 0)), judge.old.at(min(high + 1, top))
    ends = max(before.first - 1, 0), min(after.last + 1, top)
    return programs(points, low, high, ends, top, fresh=fresh)


def _some(numbers: Sequence[int], count: int) -> list[int]:
    """At most ``count`` of sorted numbers: the first, the last, and some between."""
    if len(numbers) <= count:
        return list(numbers)
    return [numbers[i * (len(numbers) - 1) // (count - 1)] for i in range(count)]


def check_setting(setting: Setting) -> None:
    """Make sure that a search can be made. Raises UsageError."""
    if not 1 <= setting.readers <= MAX_READERS:
        message = f"--readers {setting.readers}: 1 to {MAX_READERS} readers come one after another"
        raise UsageError(message)
