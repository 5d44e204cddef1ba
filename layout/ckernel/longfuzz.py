"""A campaign of long traces of plain operations, ten times as fast as the usual one.

A trace is made without looking at the tree, and carried out by compiled code. Each operation's line
has a checksum of all memory. Lines are compared as text; what they say is looked at where the texts
differ. Every seed is one trace, on all machines of a word size.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from dataclasses import replace
from operator import ne
from typing import TYPE_CHECKING

import arches
from layout.ckernel.diff import Mismatch, Verdict, match
from layout.ckernel.execute import run_text
from layout.ckernel.fuzz import Emulator
from layout.ckernel.longtrace import long_trace
from layout.ckernel.oracle import SECONDS_FOR_OPERATION, Trial
from layout.ckernel.sums import SummingRunner
from layout.traces.source import TraceText
from layout.traces.stream import Stream
from layout.traces.trace import parse

if TYPE_CHECKING:
    from layout.ckernel.build import Built
    from layout.ckernel.programs import Programs


class LongTraces(Emulator):
    """Judges builds of one kernel by the emulator, on long traces."""

    @property
    def identity(self) -> dict[str, object]:
        """As the usual campaign's, of other traces."""
        return {**super().identity, "traces": "long"}

    def where(self, seed: int) -> str:
        """The machines of a seed."""
        return "+".join(built.arch for built in self._of(seed))

    def _of(self, seed: int) -> list[Built]:
        """The builds that carry out the trace of a seed."""
        tops = sorted({arches.get(built.arch).ulong_max for built in self._builds})
        top = tops[seed % len(tops)]
        return [built for built in self._builds if arches.get(built.arch).ulong_max == top]

    def attempt(self, seed: int, end: float, programs: Programs) -> Trial[Mismatch]:
        """Make a trace, carry it out on both sides on each machine, compare.

        On one machine it is carried out to its end; after ``end`` no other machine follows.
        """
        builds = self._of(seed)
        top = arches.get(builds[0].arch).ulong_max
        lines = long_trace(seed, top, builds[0].source.missing_operations)
        names = [line.split(" ", 1)[0] for line in lines]
        trial: Trial[Mismatch] = Trial(seed)
        for built in builds:
            if trial.on and time.monotonic() > end:
                break
            trial.on += f"+{built.arch}" if trial.on else built.arch
            verdict = self._compare(built, lines, programs)
            trial.compared += verdict.operations
            trial.counts += Counter(names[: verdict.operations])
            trial.fault = trial.fault or verdict.fault
            if verdict.mismatch is not None:
                trial.on, trial.wrong = built.arch, verdict.mismatch
                trial.operations = list(parse(lines, top))
                break
        return trial

    def _compare(self, built: Built, lines: list[str], programs: Programs) -> Verdict:
        arch = arches.get(built.arch)
        theirs = run_text(built, lines, seconds=SECONDS_FOR_OPERATION, programs=programs)
        runner = SummingRunner(arch, built.source.emulator)
        text = TraceText("\n".join(lines).encode() + b"\n")
        ours = b"".join(Stream(runner, text).transcript()).splitlines()
        count = min(len(theirs), len(ours))
        if theirs == ours:
            return Verdict(built.arch, count)
        differ = [n for n, both in enumerate(zip(theirs, ours, strict=False)) if ne(*both)]
        operations = list(parse(lines, arch.ulong_max))
        verdict = match(
            built,
            [operations[n] for n in differ],
            [json.loads(theirs[n]) for n in differ],
            [json.loads(ours[n]) for n in differ],
            results_only=self._options.results_only,
        )
        if verdict.mismatch is not None:
            count = verdict.mismatch.operation.n
        return replace(verdict, operations=count)
