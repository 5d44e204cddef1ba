"""Interleaved tasks: runs the steps of readers and writers in every possible order.

A task is a generator that yields the name of each step and executes it when it is resumed, as
:func:`layout.mm.fault.lock_vma_under_rcu_steps` does. A play is a machine with its tasks. A
generator runs only once, so every order needs a new play.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from layout.machine.watch.sections import SectionMachine
from layout.memory.errors import MachineFault, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from layout.machine.machine import Machine

MAX_STEPS = 1000
"""Steps of one play beyond which it would not end."""


class Until(NamedTuple):
    """A step that must wait: it does not run before ``ready()`` is true."""

    name: str
    ready: Callable[[], bool]


Task = Generator[str | Until, None, Any]


class Play(NamedTuple):
    """A machine and its tasks by name; no task has started."""

    machine: Machine
    tasks: dict[str, Task]


@dataclass(frozen=True, slots=True)
class Step:
    """An executed step: its task, its name, and the reports of watches."""

    task: str
    name: str
    reports: tuple[dict[str, Any], ...] = ()


@dataclass(slots=True)
class Run:
    """One play from beginning to end.

    ``results`` are the return values of the tasks. ``fault`` is the fault that stopped the machine
    in the last step. ``stuck`` are tasks that wait forever. ``choices`` is the order as numbers of
    tasks.
    """

    machine: Machine
    steps: list[Step] = field(default_factory=list)
    results: dict[str, Any] = field(default_factory=dict)
    fault: MachineFault | None = None
    stuck: tuple[str, ...] = ()
    choices: tuple[int, ...] = ()

    @property
    def reports(self) -> list[dict[str, Any]]:
        """The reports of all steps, as in a transcript; an operation's number counts steps."""
        return [report for step in self.steps for report in step.reports]


def interleavings(make: Callable[[], Play]) -> Iterator[Run]:
    """Every order of the tasks' steps, each carried out; the first task goes first at first.

    Which steps a task takes may depend on the order. Raises UsageError if a play does not end.

    >>> import arches
    >>> from layout.machine.machine import Machine
    >>> def task(name):
    ...     yield name + "1"
    ...     yield name + "2"
    >>> def make():
    ...     return Play(Machine(arches.get("s390x")), {"A": task("a"), "B": task("b")})
    >>> [" ".join(step.name for step in run.steps) for run in interleavings(make)][:3]
    ['a1 a2 b1 b2', 'a1 b1 a2 b2', 'a1 b1 b2 a2']
    >>> len(list(interleavings(make)))
    6
    """
    order: list[int] = []
    while True:
        run, choices = _carry_out(make(), order)
        yield run
        while choices and choices[-1][0] == choices[-1][1][-1]:
            choices.pop()
        if not choices:
            return
        taken, possible = choices[-1]
        order = [choice for choice, _ in choices[:-1]]
        order.append(possible[possible.index(taken) + 1])


def replay(play: Play, order: Sequence[int]) -> Run:
    """One order, as numbers of tasks; what it leaves open goes to the first task that can run."""
    return _carry_out(play, order)[0]


def _carry_out(play: Play, order: Sequence[int]) -> tuple[Run, list[tuple[int, list[int]]]]:
    """The run, and for each step which task took it and which could have."""
    machine = play.machine
    names = list(play.tasks)
    run = Run(machine)
    choices: list[tuple[int, list[int]]] = []
    waiting: dict[int, str | Until] = {}
    try:
        for number, name in enumerate(names):
            _resume(run, play, number, name, waiting)
        while waiting and run.fault is None:
            possible = [n for n in sorted(waiting) if _is_ready(waiting[n])]
            if not possible:
                run.stuck = tuple(names[n] for n in sorted(waiting))
                break
            at = len(choices)
            chosen = order[at] if at < len(order) else possible[0]
            if chosen not in possible:
                message = f"step {at + 1}: task {chosen} of {len(names)} cannot run"
                raise UsageError(message)
            if at == MAX_STEPS:
                message = (
                    f"the play goes on after {MAX_STEPS} steps: a task must not wait by polling"
                )
                raise UsageError(message)
            choices.append((chosen, possible))
            step = waiting.pop(chosen)
            what = step if isinstance(step, str) else step.name
            machine.begin(at + 1, f"{names[chosen]}: {what}")
            _resume(run, play, chosen, names[chosen], waiting)
            if run.fault is None:
                machine.quiesce()
            reports = tuple(machine.finish().get("reports", ()))
            run.steps.append(Step(names[chosen], what, reports))
    finally:
        for name, task in play.tasks.items():
            _switch(machine, name)
            task.close()
    run.choices = tuple(chosen for chosen, _ in choices)
    return run, choices


def _is_ready(step: str | Until) -> bool:
    return isinstance(step, str) or step.ready()


def _switch(machine: Machine, task: str) -> None:
    if isinstance(machine, SectionMachine):
        machine.sections.task = task


def _resume(run: Run, play: Play, number: int, name: str, waiting: dict[int, str | Until]) -> None:
    """Let a task carry out its step, up to the name of its next one."""
    _switch(play.machine, name)
    try:
        waiting[number] = next(play.tasks[name])
    except StopIteration as end:
        run.results[name] = end.value
    except MachineFault as fault:
        run.fault = fault
    except IndexError:
        message = "access beyond the end of a node"
        run.fault = MachineFault("bug", 0, message, arch=play.machine.arch.name)


def schedule(run: Run) -> list[str]:
    """The run as kernel commit messages draw it: a column a task, time runs downwards.

    Reports and the fault stand below the step that they belong to, marked with ``!``.
    """
    names = list(dict.fromkeys([*(step.task for step in run.steps), *run.results, *run.stuck]))
    cells: list[tuple[str, str]] = []
    for at, step in enumerate(run.steps):
        cells.append((step.task, step.name))
        cells += [(step.task, f"! {report['kind']}") for report in step.reports]
        if run.fault is not None and at == len(run.steps) - 1:
            cells += [(step.task, f"! {line}") for line in str(run.fault).splitlines()]
    cells += [(name, "! waits for ever") for name in run.stuck]
    width = {n: max([len(n), *(len(text) for task, text in cells if task == n)]) for n in names}

    def row(texts: dict[str, str]) -> str:
        return "   ".join(texts.get(name, "").ljust(width[name]) for name in names).rstrip()

    heading = [row({name: name for name in names}), row({n: "-" * len(n) for n in names})]
    return heading + [row({task: text}) for task, text in cells]
