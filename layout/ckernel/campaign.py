"""A campaign: generated traces, each from a number, judged in processes until the time is up.

The processes are this computer's own, or those of a cluster (layout/ckernel/cluster.py).

What a trace is held against is a :class:`Oracle`: the emulator, another build, or the meaning of
the operations. Traces on which it finds something are shortened and saved. The next number is
saved too, so that a later run continues from there.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import signal
import time
from collections import Counter
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from multiprocessing import active_children, get_context
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from layout.ckernel.programs import Programs
from layout.host import signals
from layout.host.files import check, write
from layout.memory.errors import InputError, MapleLayoutError, TraceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path
    from types import FrameType
    from typing import Any

    from layout.traces.trace import Operation

SECONDS_FOR_OPERATION = 5
"""Seconds of processor time that one operation of a generated trace may take."""

SECONDS_FOR_TRACE = 120
"""Seconds that a trace may take."""

_SAVE_EVERY = 10
"""Seconds after which the state is written, for those who kill the campaign."""

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
    something is wrong; ``fault`` is one that was expected.
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


class Oracle(Protocol[W, X]):
    """What traces are held against. ``identity`` is the same for runs that go on one another."""

    @property
    def identity(self) -> dict[str, object]:
        """What the campaign is about, as JSON has it."""
        ...

    def attempt(self, seed: int, end: float, programs: Programs) -> Trial[W]:
        """Make the trace of a seed and judge it, in a process of its own.

        The trace is cut off at ``end``, of time.monotonic(). Raises MapleLayoutError.
        """
        ...

    def where(self, seed: int) -> str:
        """What carries out the trace of a seed."""
        ...

    def note(
        self, campaign: Campaign[X], trial: Trial[W], end: float, tell: Callable[[str], None]
    ) -> None:
        """Shorten and save what is new, count what is not; ``tell`` what is being shortened."""
        ...

    def path(self, found: X) -> Path | None:
        """Where a finding's trace was saved."""
        ...


class Pool(Protocol[W]):
    """What carries out seeds at the same time. Each trial that it gives is of a submitted seed."""

    @property
    def workers(self) -> int:
        """How many seeds it carries out at a time."""
        ...

    @property
    def pending(self) -> int:
        """How many seeds were submitted and have no trial yet."""
        ...

    @property
    def dashboard(self) -> str:
        """The address of a page that shows it at work, or nothing."""
        ...

    def submit(self, seed: int, end: float) -> None:
        """Have Oracle.attempt() called; ``end`` is of time.monotonic(). Raises InputError."""
        ...

    def completed(self) -> list[Trial[W]]:
        """Trials that are there, after a wait for the first of them; none after some seconds.

        Raises InputError where they can't be had.
        """
        ...

    def close(self) -> None:
        """Give up what is pending."""
        ...


def run_campaign(
    oracle: Oracle[W, X],
    limits: Limits,
    folder: Path | None,
    progress: Callable[[Campaign[X]], None],
) -> Campaign[X]:
    """Oracle one seed after the other until the time is up.

    A campaign with the same identity and first seed goes on where the last one in this folder
    ended; without a folder nothing is kept. ``progress`` is called after every trace. Raises
    UsageError, InputError, OSError.
    """
    state = None if folder is None else _state_path(folder, oracle, limits)
    campaign: Campaign[X] = _resume(state, limits)
    pool = _pool(oracle, limits)
    start = saved = time.monotonic()
    end = start + limits.seconds
    seeds = _unfinished(campaign)
    if limits.traces:
        seeds = itertools.islice(seeds, limits.traces)
    following = next(seeds, None)
    campaign.dashboard = pool.dashboard

    def tell(shrinking: str) -> None:
        campaign.shrinking = shrinking
        progress(campaign)

    try:
        while True:
            campaign.workers = pool.workers
            while (
                following is not None
                and time.monotonic() < end
                and pool.pending < 2 * max(campaign.workers, 1)
            ):
                pool.submit(following, end)
                following = next(seeds, None)
            if not pool.pending:
                return campaign
            for trial in pool.completed():
                campaign.seconds = time.monotonic() - start
                if not campaign.finish(trial.seed):
                    continue
                campaign.count(trial)
                if trial.wrong is not None:
                    oracle.note(campaign, trial, end, tell)
                    campaign.shrinking = ""
                    saved = 0.0
                    end = 0.0 if limits.stop_at_first and campaign.found else end
                if time.monotonic() > saved + _SAVE_EVERY:
                    saved = time.monotonic()
                    _save(state, campaign, oracle)
            campaign.seconds = time.monotonic() - start
            progress(campaign)
    finally:
        pool.close()
        campaign.seconds = time.monotonic() - start
        _save(state, campaign, oracle)


def _unfinished(campaign: Campaign[Any]) -> Iterator[int]:
    """The seeds that no earlier run has counted."""
    counted = frozenset(campaign.ahead)
    return (seed for seed in itertools.count(campaign.next_seed) if seed not in counted)


def _pool(oracle: Oracle[W, Any], limits: Limits) -> Pool[W]:
    if not limits.scheduler:
        return _Processes(oracle, limits.jobs)
    from layout.ckernel.cluster import Cluster  # noqa: PLC0415 - an optional extra

    return Cluster(oracle, limits.scheduler)


class _Processes(Generic[W]):
    """A pool of processes on this computer."""

    dashboard = ""

    def __init__(self, oracle: Oracle[W, Any], jobs: int) -> None:
        self.workers = jobs
        self._pending: set[Future[Trial[W]]] = set()
        self._executor = ProcessPoolExecutor(
            jobs, mp_context=get_context("fork"), initializer=begin, initargs=(oracle,)
        )

    @property
    def pending(self) -> int:
        return len(self._pending)

    def submit(self, seed: int, end: float) -> None:
        try:
            self._pending.add(self._executor.submit(attempt, seed, end))
        except BrokenProcessPool:
            raise self._killed() from None

    def completed(self) -> list[Trial[W]]:
        done, self._pending = wait(self._pending, return_when=FIRST_COMPLETED)
        try:
            return [future.result() for future in done]
        except BrokenProcessPool:
            raise self._killed() from None

    def close(self) -> None:
        if self._pending:  # an interrupt, or an error: nobody waits for these
            for worker in active_children():
                worker.terminate()
        self._executor.shutdown(cancel_futures=True)

    def _killed(self) -> InputError:
        message = "a process of the campaign was killed: give it more memory or fewer --jobs"
        return InputError(message)


def save_trace(
    folder: Path | None, name: str, notes: Iterable[str], operations: Iterable[Operation]
) -> Path | None:
    """Write a trace that shows a finding, with notes at its head; None without a folder."""
    if folder is None:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.trace"[-200:]
    lines = [*(f"# {note}\n" for note in notes), *(f"{operation}\n" for operation in operations)]
    write(path, "".join(lines))
    return path


# -- one trace, in a process of its own

_oracle: Oracle[Any, Any]
_programs: Programs


def start_worker() -> None:
    """Begin a process: an interrupt is for its parent, an alarm raises TooLong."""
    signals.listen()
    signals.end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, _on_alarm)


class TooLong(BaseException):
    """A trace takes longer than SECONDS_FOR_TRACE."""


def _on_alarm(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - a signal handler's
    raise TooLong


def begin(oracle: Oracle[Any, Any]) -> None:
    """Begin a process that attempts seeds for this oracle."""
    global _oracle, _programs
    start_worker()
    _oracle, _programs = oracle, Programs()


def attempt(seed: int, end: float) -> Trial[Any]:
    """Oracle.attempt(), limited.

    (A trace is cut off at ``end`` not by a signal: what that raises may leave another's lock
    taken. So it is for traces that hang.)
    """
    where = _oracle.where(seed)
    signal.alarm(SECONDS_FOR_TRACE)
    try:
        return _oracle.attempt(seed, end, _programs)
    except TraceError:
        return Trial(seed, where, too_large=True)
    except MapleLayoutError as error:  # one that goes from process to process as it is
        raise InputError(f"seed {seed} on {where}: {error}") from None
    except TooLong:
        return Trial(seed, where, too_long=True)
    finally:
        signal.alarm(0)


# -- going on from an earlier run


def _state_path(folder: Path, oracle: Oracle[W, X], limits: Limits) -> Path:
    """The file of this campaign: same oracle, same first seed."""
    text = json.dumps([oracle.identity, limits.seed], sort_keys=True)
    name = hashlib.sha256(text.encode()).hexdigest()[:12]
    return folder / f"campaign-{name}.json"


def _resume(path: Path | None, limits: Limits) -> Campaign[Any]:
    campaign: Campaign[Any] = Campaign(limits.seed, limits.seed)
    if path is None:
        return campaign
    path.parent.mkdir(parents=True, exist_ok=True)
    check(path)  # what can't be written is told before the work
    if not path.exists():
        return campaign
    try:
        state = json.loads(path.read_text())
        campaign.next_seed = int(state["next_seed"])
        campaign.ahead = {int(seed) for seed in state.get("ahead", [])}
        campaign.earlier = [str(name) for name in state["differences"]]
    except (ValueError, KeyError, TypeError):
        message = f"{path} can't be read: delete it, or give another folder with --out"
        raise InputError(message) from None
    return campaign


def _save(path: Path | None, campaign: Campaign[X], oracle: Oracle[W, X]) -> None:
    if path is None:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    state = {
        **oracle.identity,
        "next_seed": campaign.next_seed,
        "ahead": sorted(campaign.ahead),
        "differences": [*campaign.earlier, *(str(oracle.path(found)) for found in campaign.found)],
    }
    write(path, json.dumps(state) + "\n")
