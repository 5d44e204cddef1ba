"""A stage: one machine, with or without a defect, on which a scene runs with watches."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from layout.defects.interleave import Play, Until, interleavings, schedule
from layout.machine.equip import equip
from layout.machine.machine import TREES
from layout.machine.watch.sections import SECTIONS
from layout.memory.errors import MachineFault
from layout.memory.structs import DEFAULT_VERSION
from layout.traces.runner import Runner
from layout.traces.trace import parse

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from arches import Arch
    from layout.defects.interleave import Run, Task
    from layout.machine.machine import Machine
    from layout.machine.watch.watch import Watch
    from layout.traces.session import Line
    from layout.tree.kernel import Kernel


@dataclass(frozen=True, slots=True)
class Schedule:
    """The number of orders of some tasks with an error, and the first of them in columns."""

    name: str
    wrong: str
    shown: int
    orders: int
    lines: list[str]

    def __str__(self) -> str:
        return f"{self.name}: {self.wrong} in {self.shown} of {self.orders} orders"


@dataclass(slots=True)
class Seen:
    """The observations on all machines of a scene.

    ``results`` are the return values of operations and the statements of the scene, in order.
    ``leaks`` are nodes that were not freed, ``faults`` the faults that stopped a machine,
    ``broken`` the messages of the kernel's validator at the end. ``schedules`` are the orders of
    interleaved tasks with an error, ``kinds`` the kinds of report made in them.
    """

    results: list[str] = field(default_factory=list)
    leaks: list[str] = field(default_factory=list)
    faults: list[tuple[str, MachineFault]] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    stages: list[Stage] = field(default_factory=list)
    schedules: list[Schedule] = field(default_factory=list)
    kinds: dict[str, None] = field(default_factory=dict)

    def lines(self) -> list[str]:
        """Everything that was said, results first."""
        faults = []
        for what, fault in self.faults:
            address = self.stages[0].arch.hex_pointer(fault.address)
            faults.append(f"{what}: {fault.kind} at {address}")
        return [*self.results, *self.broken, *self.leaks, *faults]


class Stage:
    """One machine of a scene, with the operations of ``defect``; None is the correct kernel."""

    def __init__(  # noqa: PLR0913 - what a machine is made of
        self,
        arch: Arch,
        defect: type[Kernel] | None,
        seen: Seen,
        *,
        watch: Sequence[Watch] = (),
        name: str = "",
        kernel: type[Kernel] | None = None,
        version: str = DEFAULT_VERSION,
    ) -> None:
        self.arch = arch
        self._version = version
        self._defect = defect
        self._watch = watch
        self.name = f"{name}: " if name else ""
        self._seen = seen
        self.stopped = False
        self._kernels = [] if defect is None else [kernel or defect]
        self.machine = equip(
            arch, kernels=self._kernels, watch=watch, in_python=True, version=version
        )
        self.kernel = self.machine.kernel
        self.mem = self.machine.mem
        self.tree = self.machine.tree(0)
        self._runner = Runner(self.machine)
        seen.stages.append(self)

    def fresh(self, name: str, kernel: type[Kernel] | None = None) -> Stage:
        """Another machine, called ``name``; with ``kernel`` in place of the defect's own code."""
        return Stage(
            self.arch,
            self._defect,
            self._seen,
            watch=self._watch,
            name=name,
            kernel=kernel,
            version=self._version,
        )

    @property
    def faulty(self) -> bool:
        """Whether the defect is on: for scenes whose callers are at fault."""
        return self._defect is not None

    # -- steps

    def run(self, trace: str) -> None:
        """Carry out a trace; what reading operations return is said.

        A fault ends it. Raises TraceError.
        """
        for operation in parse(trace.split("\n"), self.arch.ulong_max):
            if self.stopped:
                return
            line = self._runner.execute(operation)
            words = " ".join([operation.op, *(f"{arg:x}" for arg in operation.args)])
            if "fault" in line:
                fault = line["fault"]
                address = int(fault["address"], 16)
                self._stop(words, MachineFault(fault["kind"], address, fault["message"]))
                return
            for text in _said(line):
                self.say(f"{words} = {text}")

    def attempt(self, what: str, step: Callable[[], int | None]) -> int | None:
        """Carry out one step and say what it returned, if it does; None if it was stopped."""
        if self.stopped:
            return None
        try:
            value = step()
        except MachineFault as fault:
            self._stop(what, fault)
            return None
        except IndexError:
            message = "access beyond the end of a node"
            self._stop(what, MachineFault("bug", 0, message, arch=self.arch.name, doing=what))
            return None
        self.say(what if value is None else f"{what} = {self.arch.hex_pointer(value)}")
        return value

    def follow(self, entry: int | None) -> None:
        """Do what a caller does with an entry: nothing with NULL, else read what it points to."""
        if not entry or self.stopped:
            return
        try:
            value = self.machine.dereference(entry)
        except MachineFault as fault:
            self._stop("following it", fault)
            return
        self.say(f"following it = {value:x}")

    # -- turns

    def orders(
        self,
        name: str,
        tasks: Callable[[Machine], dict[str, Task]],
        judge: Callable[[Run], str],
        *,
        reuse_nodes: bool = False,
    ) -> None:
        """Let tasks take turns in every order, each time on a new machine with read sections.

        ``judge`` says what is wrong in an order, "" if nothing is. It is said in how many orders,
        the first of which is kept to be shown.
        """

        def make() -> Play:
            machine = equip(
                self.arch,
                kernels=self._kernels,
                watch=[*self._watch, SECTIONS],
                reuse_nodes=reuse_nodes,
                version=self._version,
            )
            return Play(machine, tasks(machine))

        first: dict[str, Run] = {}
        count = Counter[str]()
        for run in interleavings(make):
            text = judge(run)
            count[text] += 1
            self._seen.kinds.update(dict.fromkeys(report["kind"] for report in run.reports))
            if text:
                first.setdefault(text, run)
        for text, run in first.items():
            shown = Schedule(self.name + name, text, count[text], count.total(), schedule(run))
            self._seen.schedules.append(shown)
            self.say(str(shown))
            if run.fault is not None:
                self._seen.faults.append((self.name + name, run.fault))

    def until(self, name: str, ready: Callable[[], bool]) -> Until:
        """A step for a task to yield that is not taken before ``ready()`` is true."""
        return Until(name, ready)

    def _stop(self, what: str, fault: MachineFault) -> None:
        self.stopped = True
        self._seen.faults.append((self.name + what, fault))

    # -- sightings

    def say(self, text: str) -> None:
        """Note something seen. What is seen with the defect alone is the trigger's detail."""
        self._seen.results.append(self.name + text)

    def left_over(self) -> None:
        """Say how many nodes were not given back, if any."""
        left = self.machine.cache.allocated - self.machine.cache.freed
        if left and not self.stopped:
            nodes = "node" if left == 1 else "nodes"
            self._seen.leaks.append(f"{self.name}{left} {nodes} not given back")

    def validate(self) -> None:
        """Let the kernel's validator look at every tree; its complaints are noted."""
        for number in range(TREES):
            if self.stopped:
                return
            try:
                valid = self.kernel.mt_validate(self.machine.tree(number))
            except (MachineFault, IndexError):
                self._seen.broken.append(f"{self.name}tree {number}: the validator is stopped")
                continue
            finally:
                log = "".join(self.kernel.log)
                self.kernel.log.clear()
            if not valid:
                self._seen.broken.append(f"{self.name}mt_validate: {log.splitlines()[0]}")


def _said(line: Line) -> list[str]:
    """What a transcript line says to a caller who only reads."""
    if "ranges" in line:
        return [f"{first}-{last} {entry}" for first, last, entry in line["ranges"]]
    if line["op"] in ("walk", "cnext", "cprev", "cfind", "cfind_rev", "load", "find", "next"):
        return [line["entry"]]
    if line["op"] in ("prev", "find_after", "erase"):
        return [line["entry"]]
    if line["op"] in ("empty_area", "empty_area_rev"):
        return [f"{line.get('index', line['ret'])}"]
    return []
