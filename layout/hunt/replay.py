"""Carries out the traces of a corpus on every machine, and by the emulator on both legs.

Compared is what ``kernel diff`` compares: results, states, allocations, all bytes. Differences are
shortened, grouped and saved as those of ``kernel fuzz``. The access checker and the ledger look at
each trace on one machine of each byte order and width. It is a campaign whose seeds are the traces
on the machines, one after the other.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import arches
from layout import compiled
from layout.ckernel.campaign import run_campaign
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
    from layout.ckernel.execute import Outcome
    from layout.ckernel.programs import Programs
    from layout.traces.trace import Operation


@dataclass(slots=True)
class Looked(Trial[Mismatch]):
    """One trace on one machine, with what was looked at beside the kernel and the emulator."""

    name: str = ""
    python: str = ""
    reports: list[Report] = field(default_factory=list)
    digest: str = ""


@dataclass(slots=True)
class Replay(Campaign[Found]):
    """The outcome of all traces on all machines.

    ``legs`` says where only the Python operations differ, ``reports`` which traces show a cause
    that the checker reports. ``digests`` are those of the kernel's transcripts, by machine and
    trace.
    """

    legs: list[str] = field(default_factory=list)
    reports: dict[Report, list[str]] = field(default_factory=dict)
    digests: dict[str, dict[str, str]] = field(default_factory=dict)

    def count(self, trial: Trial[Any]) -> None:
        """Add a trace on a machine."""
        Campaign.count(self, trial)
        if not isinstance(trial, Looked):  # it was given up
            return
        if trial.python:
            self.legs.append(trial.python)
        for report in trial.reports:
            self.reports.setdefault(report, []).append(f"{trial.name} on {trial.on}")
        self.digests.setdefault(trial.on, {})[trial.name] = trial.digest


def replay(
    builds: Sequence[Built],
    traces: Mapping[str, Sequence[Operation]],
    options: Options,
    folder: Path | None,
    progress: Callable[[Campaign[Found]], None],
) -> Replay:
    """Carry out every trace on every machine; differences are saved in ``folder``.

    Of the options it takes ``jobs``, ``scheduler`` and ``shrink_seconds``. Raises UsageError,
    InputError, OSError.
    """
    done = Replay(0, 0)
    if traces:
        judge = Corpus(builds, traces, options, folder)
        count = len(traces) * len(builds)
        limits = replace(options, seconds=math.inf, seed=0, traces=count)
        run_campaign(judge, limits, None, progress, done)
    done.legs.sort()
    for names in done.reports.values():
        names.sort()
    return done


class Corpus(Emulator):
    """Judges builds of one kernel by the emulator, on the traces of a corpus."""

    def __init__(
        self,
        builds: Sequence[Built],
        traces: Mapping[str, Sequence[Operation]],
        options: Options,
        folder: Path | None,
    ) -> None:
        super().__init__(builds, options, folder)
        self._traces = list(traces.items())
        self._watched = {built.arch for built in _one_of_a_kind(builds)}

    @property
    def identity(self) -> dict[str, object]:
        """As that of ``kernel fuzz``, of these traces."""
        return {**super().identity, "corpus": [name for name, _ in self._traces]}

    def attempt(self, seed: int, end: float, programs: Programs) -> Trial[Mismatch]:  # noqa: ARG002 - all of a trace or nothing
        """Carry out a trace on a machine, and look at it in all ways."""
        built = self._built(seed)
        arch, version = arches.get(built.arch), built.source.emulator
        name, operations = self._traces[seed // len(self._builds)]
        wanted = narrow(operations, arch)
        try:
            outcome = self._on_kernel(built, wanted, programs)
            verdict = match(built, wanted, outcome.lines, emulated(wanted, arch, version))
            if verdict.mismatch:  # by a program that no trace before has touched
                outcome = self._on_kernel(built, wanted, None)
                verdict = match(built, wanted, outcome.lines, emulated(wanted, arch, version))
            reports = observe(wanted, arch, version) if built.arch in self._watched else []
            other = None
            if compiled.available() and verdict.mismatch is None:
                lines = emulated(wanted, arch, version, in_python=True)
                other = match(built, wanted, outcome.lines, lines).mismatch
        except TraceError:
            raise
        except MapleLayoutError as error:
            raise InputError(f"{name}: {error}") from None
        return Looked(
            seed,
            built.arch,
            verdict.operations,
            Counter(operation.op for operation in wanted[: verdict.operations]),
            verdict.mismatch,
            wanted if verdict.mismatch else [],
            verdict.fault,
            name=name,
            python=f"{name} on {built.arch}: {other.operation} in Python" if other else "",
            reports=reports,
            digest=digest(outcome.lines),
        )

    def _on_kernel(
        self, built: Built, wanted: Sequence[Operation], programs: Programs | None
    ) -> Outcome:
        sums = with_sums(built.source)
        seconds = SECONDS_FOR_OPERATION
        return run(built, wanted, sums=sums, seconds=seconds, programs=programs)


def _one_of_a_kind(builds: Sequence[Built]) -> list[Built]:
    """The first machine of each byte order and width: the others have the same reports."""
    kinds: dict[tuple[str, int], Built] = {}
    for built in builds:
        arch = arches.get(built.arch)
        kinds.setdefault((arch.order_char, arch.word_size), built)
    return list(kinds.values())
