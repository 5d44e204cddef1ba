"""What a campaign is told and what it counts, and what it holds each trace against.

An oracle is the emulator (layout/ckernel/fuzz.py), another build (versus.py), or the meaning of the
operations (answerfuzz.py).
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Any

    from layout.ckernel.coverage import Executed
    from layout.ckernel.programs import Programs
    from layout.traces.trace import Operation

SECONDS_FOR_OPERATION = 5
"""Seconds of processor time that one operation of a generated trace may take."""

_SHORTEST = 0.5
"""Seconds that a shrinking gets even where the time is up."""

W = TypeVar("W")
"""What an oracle finds wrong in a trace."""
X = TypeVar("X")
"""What a campaign keeps of it."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The options of a campaign: duration, first seed, number of processes.

    All of it, shrinking included, takes ``seconds``; ``stop_at_first`` ends it at the first
    finding. At most ``traces`` are made, if that is above 0. ``scheduler`` is the address of a
    dask.distributed scheduler, whose workers take the place of ``jobs`` processes.
    """

    seconds: float = 60
    seed: int = 0
    jobs: int = 1
    shrink_seconds: float = 20
    stop_at_first: bool = False
    traces: int = 0
    scheduler: str = ""

    def for_shrinking(self, end: float) -> float:
        """Seconds for a shorter trace, where the campaign ends at ``end``, of time.monotonic()."""
        return min(self.shrink_seconds, max(_SHORTEST, end - time.monotonic()))


@dataclass(slots=True)
class Trial(Generic[W]):
    """The outcome of one seed; ``on`` is what carried it out. ``wrong`` is None if all is right.

    ``compared`` operations were, ``counts`` has them by name. ``operations`` are there where
    something is wrong; ``fault`` is one that was expected. ``executed`` are lines of the kernel's
    code that this seed and others before it executed, where they come with trials.
    """

    seed: int
    on: str = ""
    compared: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    wrong: W | None = None
    operations: list[Operation] = field(default_factory=list)
    fault: str = ""
    too_long: bool = False
    too_large: bool = False
    forgiven: Counter[str] = field(default_factory=Counter)
    executed: Executed | None = None


@dataclass(slots=True)
class Campaign(Generic[X]):
    """The sums of a campaign; ``counts`` are operations by name, ``on`` traces by machine.

    Traces are ``too_long`` if they exceed the time limit, ``too_large`` if they need more nodes
    than there is memory for, ``refused`` if refused allocations hit two kernels otherwise.
    ``forgiven`` counts wrong answers that are known, by name. ``shrinking`` names the finding that
    is being shortened. ``earlier`` are the files that earlier runs saved. All seeds below
    ``next_seed`` are counted, and those in ``ahead``. ``workers`` carry traces out at a time;
    ``dashboard`` is a page that shows them.
    """

    first_seed: int
    next_seed: int
    traces: int = 0
    operations: int = 0
    faults: int = 0
    too_long: int = 0
    too_large: int = 0
    refused: int = 0
    shrinking: str = ""
    seconds: float = 0
    counts: Counter[str] = field(default_factory=Counter)
    on: Counter[str] = field(default_factory=Counter)
    forgiven: Counter[str] = field(default_factory=Counter)
    found: list[X] = field(default_factory=list)
    earlier: list[str] = field(default_factory=list)
    ahead: set[int] = field(default_factory=set)
    workers: int = 0
    dashboard: str = ""
    executed: Executed | None = None

    @property
    def pace(self) -> str:
        """The number of workers and of operations a second."""
        workers = f"{self.workers} worker{'' if self.workers == 1 else 's'}"
        return f"{workers}, {self.operations / max(self.seconds, 0.001):.0f} operations/s"

    def finish(self, seed: int) -> bool:
        """Mark a seed as counted; False if it was before."""
        if seed < self.next_seed or seed in self.ahead:
            return False
        self.ahead.add(seed)
        while self.next_seed in self.ahead:
            self.ahead.remove(self.next_seed)
            self.next_seed += 1
        return True

    def count(self, trial: Trial[Any]) -> None:
        """Add a trial."""
        self.traces += 1
        self.operations += trial.compared
        self.faults += bool(trial.fault)
        self.too_long += trial.too_long
        self.too_large += trial.too_large
        self.counts += trial.counts
        self.forgiven += trial.forgiven
        self.on[trial.on] += 1
        if trial.executed is not None:
            self.executed = trial.executed | (self.executed or trial.executed)


class Work(Protocol[W]):
    """What the processes of a pool do."""

    def attempt(self, seed: int, end: float, programs: Programs) -> Trial[W]:
        """Make the trace of a seed and judge it, in a process of its own.

        The trace is cut off at ``end``, of time.monotonic(). Raises MapleLayoutError.
        """
        ...

    def where(self, seed: int) -> str:
        """What carries out the trace of a seed."""
        ...


@runtime_checkable
class Counting(Protocol):
    """Work that counts executed lines: those of a few seeds together, since gcov takes its time."""

    @property
    def at_once(self) -> int:
        """How many seeds that are."""
        ...

    def counted(self) -> Executed | None:
        """What the seeds since the last call have executed; None if it does not count."""
        ...


class Oracle(Work[W], Protocol[W, X]):
    """What traces are held against. ``identity`` is the same for runs that go on one another."""

    @property
    def identity(self) -> dict[str, object]:
        """What the campaign is about, as JSON has it."""
        ...

    def note(
        self, campaign: Campaign[X], trial: Trial[W], end: float, tell: Callable[[str], None]
    ) -> None:
        """Shorten and save what is new, count what is not; ``tell`` what is being shortened."""
        ...

    def path(self, found: X) -> Path | None:
        """Where a finding's trace was saved."""
        ...
