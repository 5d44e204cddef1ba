"""A campaign of generated traces on pairs of kernel builds, without the emulator as a judge.

The emulator only chooses the operations. Every seed is one trace, on the pairs in turn.
"""

from __future__ import annotations

import time
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field, replace
from multiprocessing import get_context
from typing import TYPE_CHECKING

import arches
from layout.ckernel.generate import generate
from layout.ckernel.pair import PairVerdict, compare_pair, shrink_pair
from layout.host import signals
from layout.host.files import write
from layout.memory.errors import InputError, MapleLayoutError, TraceError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from layout.ckernel.pair import Pair
    from layout.compare.results import Parting
    from layout.traces.trace import Operation

_SECONDS_FOR_OPERATION = 5
_SHRINK = 20
_BULK = "HAVE_EXPECTED_ENTRIES"


@dataclass(slots=True)
class Differs:
    """A kind of difference: the pair and seed that showed it first, and the shortest trace."""

    pair: Pair
    seed: int
    parting: Parting
    shrunk: list[Operation] = field(default_factory=list)
    path: Path | None = None
    times: int = 1


@dataclass(slots=True)
class Versus:
    """The sums of a campaign. ``refused`` counts traces that refused allocations part."""

    next_seed: int
    seconds: float = 0
    traces: int = 0
    operations: int = 0
    refused: int = 0
    faults: int = 0
    too_large: int = 0
    shrinking: str = ""
    found: list[Differs] = field(default_factory=list)


@dataclass(slots=True)
class _Trial:
    number: int
    seed: int
    operations: list[Operation]
    verdict: PairVerdict
    too_large: bool = False


def versus(  # noqa: PLR0913 - what a campaign is
    pairs: Sequence[Pair],
    folder: Path,
    progress: Callable[[Versus], None],
    *,
    seconds: float,
    seed: int = 0,
    jobs: int = 1,
) -> Versus:
    """Run generated traces on the pairs in turn for so many seconds, shrinking included.

    Traces that differ are saved in ``folder``. Raises InputError, OSError.
    """
    campaign = Versus(seed)
    start = time.monotonic()
    end = start + seconds
    pending: set[Future[_Trial]] = set()
    context = get_context("fork")
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=_start) as pool:
        try:
            while True:
                while time.monotonic() < end and len(pending) < 2 * jobs:
                    number = campaign.next_seed % len(pairs)
                    pending.add(pool.submit(_try, pairs[number], number, campaign.next_seed, end))
                    campaign.next_seed += 1
                if not pending:
                    return campaign
                done, pending = wait(pending, return_when=FIRST_COMPLETED)
                for trial in (future.result() for future in done):
                    campaign.seconds = time.monotonic() - start
                    _count(campaign, trial, pairs, folder, end)
                    progress(campaign)
        finally:
            pool.shutdown(cancel_futures=True)
            campaign.seconds = time.monotonic() - start


def _start() -> None:
    signals.listen()
    signals.end_with_parent()


def _try(pair: Pair, number: int, seed: int, end: float) -> _Trial:
    """Generate a trace that both can carry out, and compare them on it."""
    sources = pair.one.source, pair.other.source
    without = sources[0].missing_operations | sources[1].missing_operations
    if any(_BULK not in source.features for source in sources):
        without |= {"bulk", "expect_raw"}  # that one has it and the other not is no news
    try:
        made = generate(
            seed,
            arches.get(pair.one.arch),
            without=without,
            version=min(sources[0].emulator, sources[1].emulator),
            until=end,
        )
        verdict = compare_pair(pair, made.operations, seconds=_SECONDS_FOR_OPERATION)
    except TraceError:
        return _Trial(number, seed, [], PairVerdict(0), too_large=True)
    except MapleLayoutError as error:
        raise InputError(f"seed {seed} {pair}: {error}") from None
    return _Trial(number, seed, made.operations if verdict.parting else [], verdict)


def _count(
    campaign: Versus, trial: _Trial, pairs: Sequence[Pair], folder: Path, end: float
) -> None:
    verdict = trial.verdict
    campaign.traces += 1
    campaign.operations += verdict.operations
    campaign.faults += bool(verdict.fault)
    campaign.too_large += trial.too_large
    parting = verdict.parting
    if parting is None:
        return
    if parting.refused is not None:
        campaign.refused += 1
        return
    pair = pairs[trial.number]
    kind = parting.operation.op, parting.field
    for found in campaign.found:
        if found.pair == pair and (found.parting.operation.op, found.parting.field) == kind:
            found.times += 1
            return
    left = min(_SHRINK, max(0.5, end - time.monotonic()))
    shrunk = shrink_pair(pair, trial.operations, parting, seconds=left)
    new = Differs(pair, trial.seed, parting, shrunk)
    last = compare_pair(pair, shrunk).parting
    if last is not None:
        new.parting = replace(last, refused=None)
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{parting.operation.op}-{pair.one.arch}-{pair.other.arch}-{trial.seed}.trace"
    new.path = folder / name
    heading = f"# {pair.one.source}\n# {pair.other.source}\n# {pair} differ: {new.parting}\n"
    write(new.path, heading + "".join(f"{operation}\n" for operation in shrunk))
    campaign.found.append(new)
