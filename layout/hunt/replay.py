"""Carries out the traces of a corpus on every machine, and by the emulator on both legs.

Compared is what ``kernel diff`` compares: results, states, allocations, all bytes. Differences are
shortened, grouped and saved as those of ``kernel fuzz``. The access checker and the ledger look at
each trace on one machine of each byte order and width.
"""

from __future__ import annotations

import signal
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from multiprocessing import active_children, get_context
from typing import TYPE_CHECKING

import arches
from layout import compiled
from layout.ckernel.attempt import SECONDS_FOR_TRACE, TooLong, start_worker
from layout.ckernel.diff import Mismatch, match, with_sums
from layout.ckernel.execute import run
from layout.ckernel.fuzz import Emulator, Found, Options
from layout.ckernel.oracle import SECONDS_FOR_OPERATION, Campaign, Trial
from layout.hunt.corpus import digest, emulated, narrow
from layout.hunt.observe import Report, observe
from layout.memory.errors import InputError, MapleLayoutError, TraceError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from layout.ckernel.build import Built
    from layout.traces.trace import Operation

COMPILED, PYTHON = "compiled", "python"


@dataclass(slots=True)
class Replay:
    """The outcome of all traces on all machines.

    ``campaign`` has the differences between kernel and emulator; ``legs`` says where only the
    Python operations differ, ``reports`` which traces show a cause that the checker reports.
    ``digests`` are those of the kernel's transcripts, by machine and trace.
    """

    campaign: Campaign[Found] = field(default_factory=lambda: Campaign(0, 0))
    legs: list[str] = field(default_factory=list)
    reports: dict[Report, list[str]] = field(default_factory=dict)
    digests: dict[str, dict[str, str]] = field(default_factory=dict)


@dataclass(slots=True)
class _Done:
    """One trace on one machine."""

    name: str
    trial: Trial[Mismatch]
    python: str = ""
    reports: list[Report] = field(default_factory=list)
    digest: str = ""


def replay(  # noqa: PLR0913 - what a replay depends on
    builds: Sequence[Built],
    traces: Mapping[str, Sequence[Operation]],
    folder: Path | None,
    progress: Callable[[Campaign[Found]], None],
    *,
    jobs: int = 1,
    shrink_seconds: float = 20,
) -> Replay:
    """Carry out every trace on every machine; differences are saved in ``folder``.

    Raises InputError, OSError.
    """
    done = Replay()
    options = Options(jobs=jobs, shrink_seconds=shrink_seconds)
    watched = _one_of_a_kind(builds)
    units = [
        (built, name, operations, built in watched)
        for name, operations in traces.items()
        for built in builds
    ]
    emulator = Emulator(builds, options, folder)
    start = time.monotonic()
    context = get_context("fork")

    def tell(shrinking: str) -> None:
        done.campaign.shrinking = shrinking
        progress(done.campaign)

    with ProcessPoolExecutor(jobs, mp_context=context, initializer=start_worker) as pool:
        try:
            for found in pool.map(_carry_out, *zip(*units, strict=True)) if units else ():
                done.campaign.seconds = time.monotonic() - start
                _add(done, found)
                if found.trial.wrong is not None:
                    end = time.monotonic() + shrink_seconds
                    emulator.note(done.campaign, found.trial, end, tell)
                    done.campaign.shrinking = ""
                progress(done.campaign)
        except BrokenProcessPool:
            message = "a process of the comparison was killed: give it more memory or fewer --jobs"
            raise InputError(message) from None
        except BaseException:
            for worker in active_children():
                worker.terminate()
            raise
    return done


def _one_of_a_kind(builds: Sequence[Built]) -> list[Built]:
    """The first machine of each byte order and width: the others have the same reports."""
    kinds: dict[tuple[str, int], Built] = {}
    for built in builds:
        arch = arches.get(built.arch)
        kinds.setdefault((arch.order_char, arch.word_size), built)
    return list(kinds.values())


def _add(done: Replay, found: _Done) -> None:
    done.campaign.count(found.trial)
    if found.python:
        done.legs.append(found.python)
    for report in found.reports:
        done.reports.setdefault(report, []).append(f"{found.name} on {found.trial.on}")
    if found.digest:
        done.digests.setdefault(found.trial.on, {})[found.name] = found.digest


def _carry_out(
    built: Built,
    name: str,
    operations: Sequence[Operation],
    watched: bool,  # noqa: FBT001
) -> _Done:
    """One trace on one machine, in a process of its own."""
    arch, version = arches.get(built.arch), built.source.emulator
    wanted = narrow(operations, arch)
    given_up: Trial[Mismatch] = Trial(0, built.arch)
    signal.alarm(SECONDS_FOR_TRACE)
    try:
        sums = with_sums(built.source)
        outcome = run(built, wanted, sums=sums, seconds=SECONDS_FOR_OPERATION)
        verdict = match(built, wanted, outcome.lines, emulated(wanted, arch, version))
        python = ""
        if compiled.available():
            lines = emulated(wanted, arch, version, in_python=True)
            other = match(built, wanted, outcome.lines, lines)
            if other.mismatch is not None and verdict.mismatch is None:
                python = f"{name} on {built.arch}: {other.mismatch.operation} in Python"
        reports = observe(wanted, arch, version) if watched else []
    except TraceError:
        given_up.too_large = True
        return _Done(name, given_up)
    except MapleLayoutError as error:  # one that goes from process to process as it is
        raise InputError(f"{name} on {built.arch}: {error}") from None
    except TooLong:
        given_up.too_long = True
        return _Done(name, given_up)
    finally:
        signal.alarm(0)
    trial = Trial(
        0,
        built.arch,
        verdict.operations,
        Counter(operation.op for operation in wanted[: verdict.operations]),
        verdict.mismatch,
        wanted if verdict.mismatch else [],
        verdict.fault,
    )
    return _Done(name, trial, python, reports, digest(outcome.lines))
