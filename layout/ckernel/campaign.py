"""A campaign: generated traces, each from a number, judged in processes until the time is up.

What a trace is held against is a :class:`Judge`: the emulator, another build, or the meaning of
the operations. Traces on which it finds something are shortened and saved. The next number is
saved too, so that a later run continues from there.
"""

from __future__ import annotations

import hashlib
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
    from collections.abc import Callable, Iterable
    from pathlib import Path
    from types import FrameType
    from typing import Any

    from layout.traces.trace import Operation

SECONDS_FOR_OPERATION = 5
"""Seconds of processor time that one operation of a generated trace may take."""

_SECONDS_FOR_TRACE = 120

_SHORTEST = 0.5
"""Seconds that a shrinking gets even where the time is up."""

W = TypeVar("W")
"""What a judge finds wrong in a trace."""
X = TypeVar("X")
"""What a campaign keeps of it."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The options of a campaign: duration, first seed, number of processes.

    All of it, shrinking included, takes ``seconds``; ``stop_at_first`` ends it at the first
    finding.
    """

    seconds: float = 60
    seed: int = 0
    jobs: int = 1
    shrink_seconds: float = 20
    stop_at_first: bool = False

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
    is being shortened. ``earlier`` are the files that earlier runs saved.
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


class Judge(Protocol[W, X]):
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


def run_campaign(
    judge: Judge[W, X],
    limits: Limits,
    folder: Path | None,
    progress: Callable[[Campaign[X]], None],
) -> Campaign[X]:
    """Judge one seed after the other until the time is up.

    A campaign with the same identity and first seed goes on where the last one in this folder
    ended; without a folder nothing is kept. ``progress`` is called after every trace. Raises
    InputError, OSError.
    """
    state = None if folder is None else _state_path(folder, judge, limits)
    campaign: Campaign[X] = _resume(state, limits)
    start = time.monotonic()
    end = start + limits.seconds
    pending: dict[Future[Trial[W]], int] = {}
    following = campaign.next_seed
    context = get_context("fork")

    def tell(shrinking: str) -> None:
        campaign.shrinking = shrinking
        progress(campaign)

    with ProcessPoolExecutor(
        limits.jobs, mp_context=context, initializer=_start_worker, initargs=(judge,)
    ) as pool:
        try:
            while True:
                while time.monotonic() < end and len(pending) < 2 * limits.jobs:
                    pending[pool.submit(_attempt, following, end)] = following
                    following += 1
                if not pending:
                    return campaign
                for future in wait(pending, return_when=FIRST_COMPLETED).done:
                    del pending[future]
                    trial = future.result()
                    campaign.seconds = time.monotonic() - start
                    campaign.count(trial)
                    if trial.wrong is not None:
                        judge.note(campaign, trial, end, tell)
                        campaign.shrinking = ""
                        _save(state, campaign, judge)
                        end = 0.0 if limits.stop_at_first and campaign.found else end
                campaign.next_seed = min([*pending.values(), following])
                progress(campaign)
        except BrokenProcessPool:
            message = "a process of the campaign was killed: give it more memory or fewer --jobs"
            raise InputError(message) from None
        finally:
            if pending:  # an interrupt, or an error: nobody waits for these
                for worker in active_children():
                    worker.terminate()
            pool.shutdown(cancel_futures=True)
            campaign.seconds = time.monotonic() - start
            _save(state, campaign, judge)


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

_judge: Judge[Any, Any]
_programs: Programs


def _start_worker(judge: Judge[Any, Any]) -> None:
    """An interrupt is for the parent process; a trace that takes too long ends."""
    global _judge, _programs
    signals.listen()
    signals.end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, _on_alarm)
    _judge, _programs = judge, Programs()


class _TooLong(BaseException):  # no Exception: generate() takes those for findings
    pass


def _on_alarm(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - a signal handler's
    raise _TooLong


def _attempt(seed: int, end: float) -> Trial[Any]:
    """Judge.attempt(), limited.

    (A trace is cut off at ``end`` not by a signal: what that raises may leave another's lock
    taken. So it is for traces that hang.)
    """
    where = _judge.where(seed)
    signal.alarm(_SECONDS_FOR_TRACE)
    try:
        return _judge.attempt(seed, end, _programs)
    except TraceError:
        return Trial(seed, where, too_large=True)
    except MapleLayoutError as error:  # one that goes from process to process as it is
        raise InputError(f"seed {seed} on {where}: {error}") from None
    except _TooLong:
        return Trial(seed, where, too_long=True)
    finally:
        signal.alarm(0)


# -- going on from an earlier run


def _state_path(folder: Path, judge: Judge[W, X], limits: Limits) -> Path:
    """The file of this campaign: same judge, same first seed."""
    text = json.dumps([judge.identity, limits.seed], sort_keys=True)
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
        campaign.earlier = [str(name) for name in state["differences"]]
    except (ValueError, KeyError, TypeError):
        message = f"{path} can't be read: delete it, or give another folder with --out"
        raise InputError(message) from None
    return campaign


def _save(path: Path | None, campaign: Campaign[X], judge: Judge[W, X]) -> None:
    if path is None:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    state = {
        **judge.identity,
        "next_seed": campaign.next_seed,
        "differences": [*campaign.earlier, *(str(judge.path(found)) for found in campaign.found)],
    }
    write(path, json.dumps(state) + "\n")
