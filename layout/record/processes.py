"""The processes of a log: their shared address spaces, and the order of their calls."""

from __future__ import annotations

import re
from bisect import bisect_right, insort
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from layout.host.progress import Progress
from layout.memory.errors import InputError, UsageError
from layout.memory.structs import DEFAULT_VERSION
from layout.mm.manager import MemoryManager
from layout.mm.shared import TooManySpaces
from layout.record import strace
from layout.record.agreement import Agreement, Borders, Difference
from layout.record.space import NotUnderstood, Space
from layout.record.writing import printable, whole, writing_machine

if TYPE_CHECKING:
    from arches import Arch
    from layout.machine.machine import Machine
    from layout.record.maps import Mapping
    from layout.record.ranges import Ranges
    from layout.record.strace import Call
    from layout.record.writing import WritingKernel

MEMORY = frozenset(
    {"mmap", "munmap", "mprotect", "pkey_mprotect", "mremap", "brk", "madvise", "mlock", "mlock2"}
    | {"munlock", "mlockall", "munlockall", "map_shadow_stack", "shmget", "shmat", "shmdt"}
)
_FORKS = frozenset({"clone", "clone2", "clone3", "fork", "vfork"})
_EXECS = frozenset({"execve", "execveat"})
_EXITS = frozenset({"exit", "exit_group", "+++"})
_BEYOND = frozenset({"remap_file_pages", "mseal"})
"""Calls that change VMAs in ways that are not carried out here."""

_FREEING = frozenset({"munmap", "mremap", "brk"})
"""Calls that free ranges which another thread may be given before they return."""

NAMES = MEMORY | _FORKS | _EXECS | _EXITS | _BEYOND

_PASSES = 100
"""How often a log is gone through: each time forks of children are found that were earlier."""

CLONE_VM, CLONE_THREAD = 0x100, 0x10000
_CLONE_FLAGS = {"CLONE_VM": CLONE_VM, "CLONE_THREAD": CLONE_THREAD}
_FLAGS_ARGUMENT = re.compile(r"\bflags=([^,}]*)")


class Found(NamedTuple):
    """Where log and maps agree: the log's line, the trace's line, the pages and the borders."""

    line: int
    trace_line: int
    call: str
    pages: int
    borders: Borders


class Recording(NamedTuple):
    """A trace; notes on log lines; and, if maps were given, where they agree or why not.

    ``pid`` is the process compared, ``others`` whether the log has more.
    """

    trace: list[str]
    notes: list[tuple[int, str]]
    found: Found | None
    closest: tuple[int, Difference] | None
    pid: int | None
    others: bool


@dataclass(slots=True)
class _Process:
    pid: int | None
    group: int | None
    space: Space | None


def record(  # noqa: PLR0913 - what is wanted of it
    text: str,
    source: str,
    arch: Arch,
    *,
    pid: int | None = None,
    maps: list[Mapping] | None = None,
    version: str = DEFAULT_VERSION,
) -> Recording:
    """Make a trace of a log of strace.

    With ``pid`` only that process is in it, from its first ancestor in the log on; with ``maps``
    and no ``pid`` the comparison is with the first process. ``version`` is the kernel whose
    operations on trees are carried out, below the address spaces of 6.12. Raises InputError,
    UsageError.
    """
    log = strace.parse(text, NAMES)
    if not log.seen:
        message = f"{source}: no line of strace in it: give what 'strace -f -o FILE' has written"
        raise InputError(message)
    early: set[int] = set()
    for _ in range(_PASSES):
        try:
            machine = writing_machine(arch, version)
            return _Recorder(log, source, machine, pid, maps, early).run()
        except _ForksWereEarlier as found:
            early |= found.begun
    message = (
        f"{source}: more than {_PASSES} processes, each the child of the one before, ran before "
        "their forks returned: record one of them with --pid"
    )
    raise InputError(message)


def _given(call: Call, space: Space) -> tuple[int, int] | None:
    """The range that the kernel chose for a call; None if the program chose it."""
    length = strace.number(call.args[1 if call.name == "mmap" else 2]) if len(call.args) > 3 else 0
    if not length or call.result is None:
        return None
    _, names = strace.flags(call.args[3], {})
    if any("FIXED" in name for name in names):
        return None
    if call.name == "mremap" and strace.number(call.args[0]) == call.result:
        return None
    return call.result, call.result + space.mm.page_align(length)


class _ForksWereEarlier(Exception):  # noqa: N818 - a finding
    """Forks took effect before calls that returned during them; ``begun`` are their lines."""

    def __init__(self, begun: set[int]) -> None:
        super().__init__(begun)
        self.begun = begun


class _Late:
    """Calls that others overtook: those that have begun and not returned, in order of return."""

    def __init__(self, calls: list[Call]) -> None:
        self._calls = calls
        self._begun = sorted(range(len(calls)), key=lambda i: calls[i].begun)
        self._next = 0
        self._open: list[int] = []

    def during(self, line: int) -> list[Call]:
        """The calls that had begun by this line and return later; lines never go back."""
        while self._next < len(self._begun):
            i = self._begun[self._next]
            if self._calls[i].begun > line:
                break
            insort(self._open, i)
            self._next += 1
        self._open = [i for i in self._open if self._calls[i].line > line]
        return [self._calls[i] for i in self._open]


class _Recorder:
    def __init__(  # noqa: PLR0913 - what is wanted of it
        self,
        log: strace.Log,
        source: str,
        writing: tuple[Machine, WritingKernel],
        pid: int | None,
        maps: list[Mapping] | None,
        early: set[int],
    ) -> None:
        machine, kernel = writing
        self.kernel = kernel
        self.lines = kernel.lines
        self.source = source
        self.manager = MemoryManager(machine)
        self.log = log
        self.notes = list(log.unknown)
        self.processes: dict[int | None, _Process] = {}
        self.agreement = Agreement(maps) if maps is not None else None
        self.found: Found | None = None
        self.closest: tuple[int, Difference] | None = None
        self._fewest = 1.0
        self._compared: Space | None = None
        self.early = early
        self.earlier: set[int] = set()
        self._groups: dict[int | None, dict[int | None, _Process]] = {}
        first = next(iter(log.seen))
        if None in log.seen:
            self._join_unnamed(pid)
            first = next(iter(log.seen))
        self.wanted = pid if pid is not None else first
        if self.wanted not in log.seen and self.wanted not in self._born():
            known = ", ".join(str(known) for known in list(log.seen)[:12])
            message = f"{source}: there is no process {pid} in it: choose one of {known}"
            raise UsageError(message)
        self.calls = self._in_order()
        self.path = self._ancestors() if pid is not None else None
        self._stage = 0
        self.done: set[int] = set()

    # -- who is who

    def _born(self) -> set[int | None]:
        """The processes and threads that a call of the log made."""
        return {call.result for call in self.log.calls if call.name in _FORKS and call.succeeded}

    def _join_unnamed(self, pid: int | None) -> None:
        """strace names no pid until there are two: find the number of the first process."""
        born = self._born()
        named = [other for other in self.log.seen if other is not None and other not in born]
        number = named[0] if named else pid
        if number is None:
            return
        for call in self.log.calls:
            if call.pid is None:
                call.pid = number
        lines = self.log.seen.pop(None) + self.log.seen.get(number, [])
        self.log.seen = {number: sorted(lines), **self.log.seen}

    def _first_line_of_child(self, call: Call) -> int:
        """The line at which a fork must have happened: the child is seen, or the parent returns.

        A fork that turned out to be earlier is taken at its beginning.
        """
        if call.begun in self.early:
            return call.begun
        lines = self.log.seen.get(call.result, [])
        at = bisect_right(lines, call.begun)
        return min(lines[at], call.line) if at < len(lines) else call.line

    def _in_order(self) -> list[Call]:
        """The calls in the order in which they took effect, as far as a log tells it."""

        def key(call: Call) -> tuple[int, int]:
            if call.name in _FORKS and call.succeeded:
                return self._first_line_of_child(call), 0
            return call.line, 1

        return sorted(self.log.calls, key=key)

    def _ancestors(self) -> list[int | None]:
        """The wanted process and those it descends from, eldest first."""
        parents: dict[int | None, int | None] = {}
        for call in self.calls:
            if call.name in _FORKS and call.succeeded:
                parents.setdefault(call.result, call.pid)
        path = [self.wanted]
        while (parent := parents.get(path[-1])) is not None and parent not in path:
            path.append(parent)
        return path[::-1]

    def _relevant(self, call: Call) -> bool:
        """Whether a call is in the address space that the wanted process has or will copy."""
        if self.path is None:
            return True
        while self._stage + 1 < len(self.path) and self.path[self._stage + 1] in self.processes:
            self._stage += 1
        current = self.processes.get(self.path[self._stage])
        process = self.processes.get(call.pid)
        if process is None or current is None:
            return call.pid == self.path[self._stage] and not self.processes
        return process is current or (process.space is not None and process.space is current.space)

    # -- the run

    def run(self) -> Recording:
        late = _Late(
            [call for call in self.calls if call.begun != call.line and call.name in _FREEING]
        )
        calls = Progress(f"recording {self.source}", len(self.calls), "calls").over(self.calls)
        for call in calls:
            if id(call) in self.done or not self._relevant(call):
                continue
            if call.name in ("mmap", "mremap") and call.succeeded:
                self._settle(call, late)
            self._take(call)
        if self.earlier:
            raise _ForksWereEarlier(self.earlier)
        self.notes.sort()
        others = len(self.log.seen) > 1
        return Recording(
            whole(self.lines), self.notes, self.found, self.closest, self.wanted, others
        )

    def _settle(self, call: Call, late: _Late) -> None:
        """If a call was given a range that is in use here, find what must have come before it.

        That is what another thread had begun by then, or a fork that copied earlier than it
        seemed. Then all begins anew once other such forks are found, too: of a space that is
        known to be wrong, and of its copies, nothing more can be told.
        """
        process = self.processes.get(call.pid)
        space = process.space if process is not None else None
        given = _given(call, space) if space is not None else None
        if space is None or given is None or space.mm.find_vma_intersection(*given) is None:
            return
        for other in late.during(call.line):
            by = self.processes.get(other.pid)
            if by is not None and by.space is space and id(other) not in self.done:
                self.done.add(id(other))
                self._take(other)
        born = space.born
        if born is None or born.begun in self.early or born.begun == born.line:
            return
        if not space.wrong and space.mm.find_vma_intersection(*given) is not None:
            space.wrong = True
            self.earlier.add(born.begun)

    def _process(self, call: Call) -> _Process:
        process = self.processes.get(call.pid)
        if process is None:
            if self.processes and call.pid is not None:
                self.notes.append((call.line, f"process {call.pid} appears from nowhere"))
            space = None if call.name in _EXECS else self._new_space(call.pid)
            process = self._add(_Process(call.pid, call.pid, space))
        return process

    def _add(self, process: _Process) -> _Process:
        self.processes[process.pid] = process
        self._groups.setdefault(process.group, {})[process.pid] = process
        return process

    def _remove(self, pid: int | None) -> _Process | None:
        process = self.processes.pop(pid, None)
        if process is not None:
            members = self._groups[process.group]
            del members[pid]
            if not members:
                del self._groups[process.group]
        return process

    def _new_space(self, pid: int | None) -> Space:
        space = Space(self.manager, self.manager.new_mm())
        space.users.add(pid)
        return space

    def _take(self, call: Call) -> None:
        self.lines.append(f"# {self._place(call)}: {printable(call.text)}")
        try:
            process = self._process(call)
            if call.name in MEMORY:
                self._memory(process, call)
            elif call.name in _FORKS:
                self._fork(process, call)
            elif call.name in _EXECS:
                self._exec(process, call)
            elif call.name in _EXITS:
                self._exit(process, call)
            elif call.succeeded:
                self.notes.append((call.line, f"{call.name} is not carried out here"))
        except NotUnderstood as error:
            self.notes.append((call.line, f"{call.name}: {error}: left out"))
        except TooManySpaces as error:
            message = f"{self.source}, line {call.line}: {error}: record one process with --pid"
            raise UsageError(message) from None
        if space := self.processes[call.pid].space if call.pid in self.processes else None:
            self.kernel.select(space.mm.mm_mt)
        self._look(call)

    def _place(self, call: Call) -> str:
        where = f"log line {call.line}"
        if call.begun != call.line:
            where = f"log lines {call.begun} to {call.line}"
        return where if call.pid is None else f"{where}, process {call.pid}"

    def _memory(self, process: _Process, call: Call) -> None:
        if process.space is None:
            return
        process.space.carry_out(call)
        self.notes += [(call.line, f"{call.name}: {note}") for note in process.space.notes]
        process.space.notes.clear()

    def _fork(self, process: _Process, call: Call) -> None:
        if not call.succeeded or process.space is None:
            return
        flags = 0
        if call.name not in ("fork", "vfork"):
            match = _FLAGS_ARGUMENT.search(call.text)
            if match is None:
                message = "no flags in its arguments"
                raise NotUnderstood(message)
            flags, _ = strace.flags(match[1], _CLONE_FLAGS)
        elif call.name == "vfork":
            flags = CLONE_VM
        child = call.result
        if child == call.pid:
            message = "its result is the number of the process itself"
            raise NotUnderstood(message)
        self._gone(child, call)
        group = process.group if flags & CLONE_THREAD else child
        if flags & CLONE_VM:
            space: Space | None = process.space
        elif self.path is not None and child not in self.path:
            space = None  # nobody asked for it
        else:
            space = process.space.fork()
            space.born = call
        if space is not None:
            space.users.add(child)
        self._add(_Process(child, group, space))

    def _gone(self, pid: int | None, call: Call) -> None:
        """A new process has the number of an old one, whose end the log lacks."""
        old = self._remove(pid)
        if old is not None and old.space is not None:
            self.notes.append((call.line, f"process {pid} begins anew, its end is not in the log"))
            self._leave(old)

    def _exec(self, process: _Process, call: Call) -> None:
        if not call.succeeded:
            return
        for other in self._group(process):
            self._leave(other)
            self._remove(other.pid)
        process.group = process.pid
        self._add(process)
        process.space = self._new_space(process.pid)

    def _exit(self, process: _Process, call: Call) -> None:
        for other in self._group(process) if call.name == "exit_group" else [process]:
            self._leave(other)
        if call.name == "+++":
            self._remove(process.pid)

    def _group(self, process: _Process) -> list[_Process]:
        """The threads of a process, those that were seen first first."""
        return list(self._groups.get(process.group, {}).values())

    def _leave(self, process: _Process) -> None:
        """mmput: with its last user an address space ends."""
        space = process.space
        process.space = None
        if space is None:
            return
        space.users.discard(process.pid)
        if not space.users:
            space.mm.exit_mmap()

    # -- agreement with maps

    def _look(self, call: Call) -> None:
        if self.agreement is None:
            return
        process, wanted = self.processes.get(call.pid), self.processes.get(self.wanted)
        if process is None or wanted is None or wanted.space is None:
            return
        space = wanted.space
        if process.space is not space:
            return
        if space is not self._compared:
            self._compared = space
            self.agreement.restart(space)
        elif call.name in MEMORY:
            self.agreement.update(space)
        if self.agreement.agrees(space):
            pages = _length(space.touched) // space.mm.page_size
            borders = self.agreement.borders(space)
            self.found = Found(call.line, len(self.lines), call.name, pages, borders)
        elif self.found is None and call.name in MEMORY and self.agreement.wrong:
            share = _length(self.agreement.wrong) / _length(space.touched)
            difference = self.agreement.first_difference(space)
            if difference is not None and share <= self._fewest:
                self._fewest, self.closest = share, (call.line, difference)


def _length(ranges: Ranges) -> int:
    return sum(end - start for start, end in ranges)
