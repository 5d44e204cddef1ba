"""Readers beside the lines of a trace that change a tree in RCU mode."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import comb
from typing import TYPE_CHECKING, NamedTuple

from layout.interleave.barriers import order_of
from layout.interleave.judge import Contents, Judge, Known, contents
from layout.interleave.programs import POINTS, programs
from layout.interleave.readers import ReaderKernel
from layout.interleave.schedule import executions
from layout.interleave.stores import POISON, Store, Writer, entry_of
from layout.interleave.view import OBJECT, Plan, ViewMemory
from layout.interleave.windows import Windows
from layout.machine.equip import in_front
from layout.machine.machine import Machine
from layout.memory.errors import MachineFault, UsageError
from layout.memory.limits import LIMIT
from layout.memory.node import NODE_SIZE
from layout.memory.pointers import MT_FLAGS_USE_RCU
from layout.memory.structs import DEFAULT_VERSION
from layout.traces.trace import Operation
from layout.tree.versions import kernel_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from arches import Arch
    from layout.interleave.programs import Answer, Program
    from layout.interleave.schedule import Schedule
    from layout.interleave.stores import Writing
    from layout.interleave.view import Load
    from layout.tree.kernel import Kernel

MAX_READERS = 3
MAX_LINES = 8
"""How many lines may be together."""
ENOUGH = 20
"""Wrong executions beside one line after which the search leaves it."""
BOUND = 10_000
"""Executions of one reader, from one state, beyond which the search leaves it."""

_BELOW = 0x10000
"""Bytes below the nodes that trees lie in; the objects of new entries lie below these."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What is searched: the machine, its kernel, and how far readers may differ from the writer.

    ``order`` is the memory order, by default the machine's. ``without`` are barriers that are taken
    out. ``readers`` is how many come one after another. ``reload`` lets compilers load a pivot
    again. ``rcu`` turns every tree into RCU mode. ``fresh`` wants that a step which begins after
    the operation shows the new tree. Readers run beside ``beside`` lines together; ``one_lock`` is
    held over them all. ``only`` is the number of the line that alone is looked at, or the first of
    these. After ``enough`` wrong executions a line is left; ``known`` has for lines the readers and
    mistakes that do not count. ``wanted`` are the readers if not those that fit the change.
    ``limit`` is Runner's.
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
    beside: int = 1
    one_lock: bool = False
    limit: int = LIMIT
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
    """The result for one line, or lines together: their stores, what was searched and was wrong.

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
    news: frozenset[Known]


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
        reuse = setting.beside > 1
        self.windows = Windows(
            lambda: Writer(arch, setting.kernels, version, reuse=reuse, limit=setting.limit),
            setting.beside,
            setting.only,
        )
        reading = in_front(kernel_of(version), [*setting.kernels, ReaderKernel])
        self._side = Machine(arch, ViewMemory, reading, in_python=True)
        memory = self._side.mem
        assert isinstance(memory, ViewMemory)
        self._mem = memory
        self._objects = self._side.node_base - 2 * _BELOW
        room = bytearray(setting.beside * memory.word_size)
        memory.map(self._objects, room, "what a new entry points to")
        self.stopped = ""
        """The fault that ended the trace, if one did."""

    def lines(self, wanted: Sequence[Operation]) -> Iterator[Beside | None]:
        """Carry out a trace: the results, None for a line behind which there is none.

        Raises TraceError.
        """
        for number, operation in enumerate(wanted, 1):
            found = self.windows.feed(self._in_rcu(operation), last=number == len(wanted))
            self.stopped = self.windows.stopped
            for writing in found:
                yield self._beside(writing)
            if not found:
                yield None
            if self.stopped:
                return

    def _in_rcu(self, operation: Operation) -> Operation:
        if self.setting.rcu and operation.op == "init":
            return Operation(operation.n, "init", (operation.args[0] | MT_FLAGS_USE_RCU,))
        if self.setting.rcu and operation.op == "rcu":
            return Operation(operation.n, "rcu", (1,))
        return operation

    # -- lines that are looked at together

    def _beside(self, writing: Writing) -> Beside:
        setting, kernel = self.setting, self._side.kernel
        judge = Judge(*self.start(writing))
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

    def start(self, writing: Writing) -> list[Contents]:
        """Let readers of operations begin; what the tree held before each and after the last.

        Completes the stores.
        """
        mem, kernel = self._mem, self._side.kernel
        self._prepare(writing)
        states: list[Contents] = []
        for end in (*writing.starts, len(writing.stores)):
            mem.begin(None, (1 << end) - 1)
            states.append(contents(kernel, writing.tree))
            mem.end()
        known = {each.entry for each in states[0].ranges}
        objects: dict[int, int] = {}
        for number, operation in enumerate(writing.operations):
            entry = entry_of(operation)
            if entry and entry not in known:
                place = self._objects + len(objects) * mem.word_size
                made = (1).to_bytes(mem.word_size, self.setting.arch.byteorder)
                writing.put_in_front(number, Store(place, made, "the writer's caller", OBJECT))
                objects[entry] = place
                known.add(entry)
        self._watch(writing, objects)
        return states

    def _prepare(self, writing: Writing) -> None:
        side, mem = self._side, self._mem
        mem.end()
        side.restore(writing.before)
        for node in writing.taken:
            missing = node + NODE_SIZE - mem.near_base - mem.near_size
            if missing > 0:
                mem.grow_near(missing)
            mem.poison(node, bytes([POISON]) * NODE_SIZE)
        self._watch(writing, {})

    def _watch(self, writing: Writing, objects: Mapping[int, int]) -> None:
        setting = self.setting
        order, without = setting.memory_order, setting.without
        closed = writing.before_each(order, without, one_lock=setting.one_lock)
        self._mem.watch(Plan(writing.stores, closed, order, without, setting.reload, objects))

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
        number = result.writing.first
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
            news = {each[:2]: each for each in state.news}
            for answer in ended.answers:
                for each in judge.news(answer, state.news):
                    news[each[:2]] = max(each, news.get(each[:2], each))
            end = _State(ended.view, frozenset(news.values()))
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
        given = [number for each in writing.operations for number in each.args[:2]]
        numbers = [number for number in given if 0 <= number <= top] or [0]
        low, high = min(numbers), max(numbers)
    borders: set[int] = set()
    for first, last, *_ in judge.segments(max(low - 1, 0), min(high + 1, top)):
        borders.update((max(first, low - 1, 0), min(last, high + 1, top)))
    points = _some(sorted(borders), POINTS)
    old = judge.trees[0]
    before, after = old.at(max(low - 1, 0)), old.at(min(high + 1, top))
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
    if not 1 <= setting.beside <= MAX_LINES:
        message = f"--beside {setting.beside}: readers run beside 1 to {MAX_LINES} lines together"
        raise UsageError(message)
