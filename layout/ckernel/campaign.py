"""A campaign: generated traces, each from a number, judged in processes until the time is up.

The processes are this computer's own, or those of a cluster (layout/ckernel/cluster.py).

What a trace is held against is an :class:`layout.ckernel.oracle.Oracle`. Traces on which it finds
something are shortened and saved. The next number is saved too, so that a later run continues from
there.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import time
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import active_children, get_context
from typing import TYPE_CHECKING, Generic, Protocol

from layout.ckernel.attempt import attempt, begin
from layout.ckernel.oracle import Campaign, W, X
from layout.host.files import check, write
from layout.memory.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path
    from typing import Any

    from layout.ckernel.oracle import Limits, Oracle, Trial, Work
    from layout.traces.trace import Operation

_SAVE_EVERY = 10
"""Seconds after which the state is written, for those who kill the campaign."""


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
    def room(self) -> int:
        """How many may be pending, so that nobody waits for work."""
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
    campaign: Campaign[X] | None = None,
) -> Campaign[X]:
    """Judge one seed after the other until the time is up.

    A campaign with the same identity and first seed goes on where the last one in this folder
    ended; without a folder nothing is kept. ``progress`` is called after every trace. ``campaign``
    is the one to sum up in, a new one if left out. Raises UsageError, InputError, OSError.
    """
    state = None if folder is None else _state_path(folder, oracle, limits)
    campaign = campaign or Campaign(limits.seed, limits.seed)
    _resume(state, campaign)
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
            while following is not None and time.monotonic() < end and pool.pending < pool.room:
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


def _pool(oracle: Work[W], limits: Limits) -> Pool[W]:
    if not limits.scheduler:
        return _Processes(oracle, limits.jobs)
    from layout.ckernel.cluster import Cluster  # noqa: PLC0415 - an optional extra

    return Cluster(oracle, limits.scheduler)


class _Processes(Generic[W]):
    """A pool of processes on this computer."""

    dashboard = ""

    def __init__(self, oracle: Work[W], jobs: int) -> None:
        self.workers = jobs
        self.room = 2 * jobs
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


# -- going on from an earlier run


def _state_path(folder: Path, oracle: Oracle[W, X], limits: Limits) -> Path:
    """The file of this campaign: same oracle, same first seed."""
    text = json.dumps([oracle.identity, limits.seed], sort_keys=True)
    name = hashlib.sha256(text.encode()).hexdigest()[:12]
    return folder / f"campaign-{name}.json"


def _resume(path: Path | None, campaign: Campaign[Any]) -> None:
    """Put what an earlier run has counted into a new campaign."""
    if path is None:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    check(path)  # what can't be written is told before the work
    if not path.exists():
        return
    try:
        state = json.loads(path.read_text())
        campaign.next_seed = int(state["next_seed"])
        campaign.ahead = {int(seed) for seed in state.get("ahead", [])}
        campaign.earlier = [str(name) for name in state["differences"]]
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError):
        message = f"{path} can't be read: delete it, or give another folder with --out"
        raise InputError(message) from None


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
