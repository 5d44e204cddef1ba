"""A campaign of generated traces: compares kernel and emulator on many machines for some time.

Every seed is one trace on one machine. A failing trace is shortened and saved as a trace for
``kernel diff``. The next seed is saved, so that a later run continues from there.
"""

from __future__ import annotations

import hashlib
import json
import signal
import time
from collections import Counter
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field, replace
from multiprocessing import active_children, get_context
from typing import TYPE_CHECKING

import arches
from layout.ckernel.cause import Cause, find_cause
from layout.ckernel.diff import Mismatch, match, shrink_mismatch, with_sums
from layout.ckernel.execute import run
from layout.ckernel.generate import generate
from layout.host import signals
from layout.host.files import check, write
from layout.memory.errors import InputError, MapleLayoutError, TraceError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from types import FrameType

    from layout.ckernel.build import Built
    from layout.traces.trace import Operation

SECONDS_FOR_OPERATION = 5
SECONDS_FOR_TRACE = 120

_SHORTEST = 0.5
"""Seconds that a shrinking gets even where the time is up."""


@dataclass(frozen=True, slots=True)
class Options:
    """The options of a campaign: duration, first seed, number of processes.

    All of it, shrinking included, takes ``seconds``; ``stop_at_first`` ends it at the first
    difference. Every trace is run on ``counting`` as well, a build that counts executed lines.
    """

    seconds: float = 60
    seed: int = 0
    jobs: int = 1
    abuse: bool = False
    results_only: bool = False
    shrink_seconds: float = 20
    stop_at_first: bool = False
    counting: Built | None = None


@dataclass(slots=True)
class Trial:
    """The outcome of one seed. ``mismatch`` is None if both agree; ``fault`` is that of both."""

    seed: int
    arch: str
    profile: str
    operations: list[Operation]
    compared: int
    counts: Counter[str]
    mismatch: Mismatch | None = None
    fault: str = ""
    too_long: bool = False
    too_large: bool = False


@dataclass(slots=True)
class Found:
    """One cause of differences: the first seed that showed it, and the shortest trace.

    ``kinds`` are the operations and fields that showed it, with their machines; ``times`` counts
    traces. ``seconds`` is when it was found, since the start of the campaign.
    """

    arch: str
    seed: int
    mismatch: Mismatch
    shrunk: list[Operation]
    seconds: float
    cause: Cause
    kinds: set[tuple[str, ...]]
    path: Path | None = None
    times: int = 1

    @property
    def arches(self) -> tuple[str, ...]:
        """The machines that showed it, in alphabetical order."""
        return tuple(sorted({kind[0] for kind in self.kinds}))


@dataclass(slots=True)
class Campaign:
    """The sums of a campaign; ``counts`` are operations by name, ``on`` traces by machine.

    Traces are ``too_long`` if they exceed the time limit, ``too_large`` if they need more nodes
    than there is memory for. ``shrinking`` names the difference that is being shortened.
    ``earlier`` are the files that earlier runs saved.
    """

    first_seed: int
    next_seed: int
    traces: int = 0
    operations: int = 0
    faults: int = 0
    too_long: int = 0
    too_large: int = 0
    shrinking: str = ""
    seconds: float = 0
    counts: Counter[str] = field(default_factory=Counter)
    on: Counter[str] = field(default_factory=Counter)
    found: list[Found] = field(default_factory=list)
    earlier: list[str] = field(default_factory=list)

    def count(self, trial: Trial) -> None:
        """Add a trial."""
        self.traces += 1
        self.operations += trial.compared
        self.faults += bool(trial.fault)
        self.too_long += trial.too_long
        self.too_large += trial.too_large
        self.counts += trial.counts
        self.on[trial.arch] += 1


def fuzz(
    builds: Sequence[Built],
    options: Options,
    folder: Path | None,
    progress: Callable[[Campaign], None],
) -> Campaign:
    """Run a campaign on these builds of one kernel, seed by seed in turn.

    Differences are saved in ``folder``, and a campaign with the same kernel, machines and first
    seed goes on where the last one in this folder ended; without one nothing is kept.
    ``progress`` is called after every trace. Raises InputError, OSError.
    """
    campaign = _resume(folder, builds, options)
    start = time.monotonic()
    end = start + options.seconds
    pending: dict[Future[Trial], int] = {}
    following = campaign.next_seed
    context = get_context("fork")
    with ProcessPoolExecutor(options.jobs, mp_context=context, initializer=start_worker) as pool:
        try:
            while True:
                while time.monotonic() < end and len(pending) < 2 * options.jobs:
                    built = builds[following % len(builds)]
                    pending[pool.submit(_try, built, following, options, end)] = following
                    following += 1
                if not pending:
                    return campaign
                for future in wait(pending, return_when=FIRST_COMPLETED).done:
                    del pending[future]
                    trial = future.result()
                    campaign.seconds = time.monotonic() - start
                    campaign.count(trial)
                    if trial.mismatch is not None:
                        note_difference(campaign, trial, builds, options, folder, end, progress)
                        _save(folder, campaign, builds, options)
                        end = 0.0 if options.stop_at_first else end
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
            _save(folder, campaign, builds, options)


# -- one trace, in a process of its own


def start_worker() -> None:
    """An interrupt is for the parent process; a trace that takes too long ends."""
    signals.listen()
    signals.end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, _on_alarm)


class TooLong(BaseException):  # no Exception: generate() takes those for findings
    """Unwinds from a trace that takes too long."""


def _on_alarm(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - a signal handler's
    raise TooLong


def _try(built: Built, seed: int, options: Options, end: float) -> Trial:
    """Generate a trace on the emulator, run it on the kernel's code, compare.

    A trace is cut off at ``end``, of time.monotonic(). (Not by a signal: what it raises may leave
    another's lock taken. So that is for traces that hang.)
    """
    arch = arches.get(built.arch)
    given_up = Trial(seed, built.arch, "", [], 0, Counter())
    signal.alarm(SECONDS_FOR_TRACE)
    try:
        made = generate(
            seed,
            arch,
            abuse=options.abuse,
            without=built.source.missing_operations,
            version=built.source.emulator,
            until=end,
        )
        outcome = run(
            built,
            made.operations,
            sums=with_sums(built.source),
            seconds=SECONDS_FOR_OPERATION,
        )
        if options.counting is not None and options.counting is not built:
            run(options.counting, made.operations, seconds=SECONDS_FOR_OPERATION)
    except TraceError:
        return replace(given_up, too_large=True)
    except MapleLayoutError as error:  # one that goes from process to process as it is
        raise InputError(f"seed {seed} on {built.arch}: {error}") from None
    except TooLong:
        return replace(given_up, too_long=True)
    finally:
        signal.alarm(0)
    verdict = match(
        built, made.operations, outcome.lines, made.lines, results_only=options.results_only
    )
    return Trial(
        seed,
        built.arch,
        made.profile,
        made.operations if verdict.mismatch else [],
        verdict.operations,
        Counter(operation.op for operation in made.operations[: verdict.operations]),
        verdict.mismatch,
        verdict.fault,
    )


# -- what was found


def note_difference(  # noqa: PLR0913 - all that a campaign is
    campaign: Campaign,
    trial: Trial,
    builds: Sequence[Built],
    options: Options,
    folder: Path | None,
    end: float,
    progress: Callable[[Campaign], None],
) -> None:
    """Shorten and save the difference of a trial if it is new; count it if it is not."""
    mismatch = trial.mismatch
    assert mismatch is not None
    kind = (trial.arch, *mismatch.kind)
    for found in campaign.found:
        if kind in found.kinds:
            found.times += 1
            return
    campaign.shrinking = f"{mismatch.operation.op} on {trial.arch}"
    progress(campaign)
    built = next(built for built in builds if built.arch == trial.arch)
    left = min(options.shrink_seconds, max(_SHORTEST, end - time.monotonic()))
    shrunk = shrink_mismatch(
        built, trial.operations, mismatch, seconds=left, results_only=options.results_only
    )
    cause = find_cause(built, shrunk, replace(mismatch, operation=shrunk[-1]))
    campaign.shrinking = ""
    new = Found(trial.arch, trial.seed, mismatch, shrunk, campaign.seconds, cause, {kind})
    for found in campaign.found:
        if found.cause == cause:
            found.times += 1
            found.kinds.add(kind)
            if len(shrunk) < len(found.shrunk):
                longer = found.path
                found.arch, found.seed, found.mismatch = new.arch, new.seed, new.mismatch
                found.shrunk = shrunk
                _write(found, built, folder)
                if longer is not None and longer != found.path:
                    longer.unlink(missing_ok=True)
            return
    campaign.found.append(new)
    _write(new, built, folder)


def _write(found: Found, built: Built, folder: Path | None) -> None:
    """Save a difference's trace."""
    if folder is None:
        return
    folder.mkdir(parents=True, exist_ok=True)
    kind = "-".join(found.mismatch.kind)
    found.path = folder / f"{kind}-{found.arch}-{found.seed}.trace"[-200:]
    heading = (
        f"# {built.source}\n"
        f"# on {found.arch} differs from the emulator in: {', '.join(found.mismatch.fields)}\n"
        f"# cause: {found.cause}\n"
        f"# seed {found.seed}\n"
    )
    lines = "".join(f"{operation}\n" for operation in found.shrunk)
    write(found.path, heading + lines)


# -- going on from an earlier run


def _state_path(folder: Path, builds: Sequence[Built], options: Options) -> Path:
    """The file of this campaign: same kernel, machines, first seed and ways."""
    parts = (
        builds[0].source.sha256,
        ",".join(built.arch for built in builds),
        f"{options.seed} {options.abuse} {options.results_only}",
    )
    name = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]
    return folder / f"campaign-{name}.json"


def _resume(folder: Path | None, builds: Sequence[Built], options: Options) -> Campaign:
    campaign = Campaign(options.seed, options.seed)
    path = folder and _state_path(folder, builds, options)
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


def _save(
    folder: Path | None, campaign: Campaign, builds: Sequence[Built], options: Options
) -> None:
    if folder is None:
        return
    folder.mkdir(parents=True, exist_ok=True)
    state = {
        "kernel": str(builds[0].source),
        "arches": [built.arch for built in builds],
        "next_seed": campaign.next_seed,
        "differences": [*campaign.earlier, *(str(found.path) for found in campaign.found)],
    }
    write(_state_path(folder, builds, options), json.dumps(state) + "\n")
