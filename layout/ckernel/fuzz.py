"""A campaign of generated traces: compares kernel and emulator on many machines for some time.

Every seed is one trace on one machine. A failing trace is shortened and saved as a trace for
``kernel diff``.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import arches
from layout.ckernel.campaign import run_campaign, save_trace
from layout.ckernel.cause import Cause, find_cause
from layout.ckernel.coverage import executed_alone
from layout.ckernel.diff import Mismatch, match, shrink_mismatch, with_sums
from layout.ckernel.execute import run
from layout.ckernel.generate import generate
from layout.ckernel.oracle import SECONDS_FOR_OPERATION, Campaign, Limits, Trial

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from layout.ckernel.build import Built
    from layout.ckernel.coverage import Executed
    from layout.ckernel.diff import Verdict
    from layout.ckernel.generate import Generated
    from layout.ckernel.programs import Programs
    from layout.traces.trace import Operation


_AT_ONCE = 8
"""Traces whose lines are counted together: gcov takes as long as some traces do."""


@dataclass(frozen=True, slots=True)
class Options(Limits):
    """The options of a campaign, and its ways.

    Every trace is run on ``counting`` as well, a build that counts executed lines: on this computer
    all together, on a cluster those of a task.
    """

    abuse: bool = False
    results_only: bool = False
    counting: Built | None = None


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


def fuzz(
    builds: Sequence[Built],
    options: Options,
    folder: Path | None,
    progress: Callable[[Campaign[Found]], None],
    judge: type[Emulator] | None = None,
) -> Campaign[Found]:
    """Run a campaign on these builds of one kernel, seed by seed in turn: see run_campaign().

    ``judge`` is the class of its oracle: Emulator if left out.
    """
    return run_campaign((judge or Emulator)(builds, options, folder), options, folder, progress)


class Emulator:
    """Judges builds of one kernel by the emulator."""

    def __init__(self, builds: Sequence[Built], options: Options, folder: Path | None) -> None:
        self._builds = builds
        self._options = options
        self._folder = folder
        self._made: list[list[Operation]] = []

    @property
    def identity(self) -> dict[str, object]:
        """Same kernel, machines and ways."""
        return {
            "kernel": str(self._builds[0].source),
            "arches": [built.arch for built in self._builds],
            "ways": [self._options.abuse, self._options.results_only],
        }

    def where(self, seed: int) -> str:
        """The machine of a seed."""
        return self._built(seed).arch

    def path(self, found: Found) -> Path | None:
        """Where its trace was saved."""
        return found.path

    def _built(self, seed: int) -> Built:
        return self._builds[seed % len(self._builds)]

    def attempt(self, seed: int, end: float, programs: Programs) -> Trial[Mismatch]:
        """Generate a trace on the emulator, run it on the kernel's code, compare."""
        built, options = self._built(seed), self._options
        made = generate(
            seed,
            arches.get(built.arch),
            abuse=options.abuse,
            without=built.source.missing_operations,
            version=built.source.emulator,
            until=end,
        )
        verdict = self._verdict(built, made, programs)
        if verdict.mismatch:  # by a program that no trace before has touched
            verdict = self._verdict(built, made, None)
        if options.counting is not None and options.scheduler:
            self._made.append(made.operations)
        elif options.counting is not None and options.counting is not built:
            run(
                options.counting,
                made.operations,
                seconds=SECONDS_FOR_OPERATION,
                programs=programs,
            )
        return Trial(
            seed,
            built.arch,
            verdict.operations,
            Counter(operation.op for operation in made.operations[: verdict.operations]),
            verdict.mismatch,
            made.operations if verdict.mismatch else [],
            verdict.fault,
        )

    @property
    def at_once(self) -> int:
        """The seeds of a task."""
        return _AT_ONCE if self._options.counting is not None else 1

    def counted(self) -> Executed | None:
        """What the traces since the last call execute."""
        made, self._made = self._made, []
        if self._options.counting is None:
            return None
        return executed_alone(self._options.counting, made, seconds=SECONDS_FOR_OPERATION)

    def _verdict(self, built: Built, made: Generated, programs: Programs | None) -> Verdict:
        outcome = run(
            built,
            made.operations,
            sums=with_sums(built.source),
            seconds=SECONDS_FOR_OPERATION,
            programs=programs,
        )
        return match(
            built,
            made.operations,
            outcome.lines,
            made.lines,
            results_only=self._options.results_only,
        )

    def note(
        self,
        campaign: Campaign[Found],
        trial: Trial[Mismatch],
        end: float,
        tell: Callable[[str], None],
    ) -> None:
        """Shorten and save what is new; count what is not."""
        mismatch, options = trial.wrong, self._options
        assert mismatch is not None
        kind = (trial.on, *mismatch.kind)
        for found in campaign.found:
            if kind in found.kinds:
                found.times += 1
                return
        tell(f"{mismatch.operation.op} on {trial.on}")
        built = next(built for built in self._builds if built.arch == trial.on)
        shrunk = shrink_mismatch(
            built,
            trial.operations,
            mismatch,
            seconds=options.for_shrinking(end),
            results_only=options.results_only,
        )
        cause = find_cause(built, shrunk, replace(mismatch, operation=shrunk[-1]))
        new = Found(trial.on, trial.seed, mismatch, shrunk, campaign.seconds, cause, {kind})
        for found in campaign.found:
            if found.cause == cause:
                found.times += 1
                found.kinds.add(kind)
                if len(shrunk) < len(found.shrunk):
                    longer = found.path
                    found.arch, found.seed, found.mismatch = new.arch, new.seed, new.mismatch
                    found.shrunk = shrunk
                    self._write(found, built)
                    if longer is not None and longer != found.path:
                        longer.unlink(missing_ok=True)
                return
        campaign.found.append(new)
        self._write(new, built)

    def _write(self, found: Found, built: Built) -> None:
        """Save a difference's trace."""
        kind = "-".join(found.mismatch.kind)
        notes = (
            str(built.source),
            f"on {found.arch} differs from the emulator in: {', '.join(found.mismatch.fields)}",
            f"cause: {found.cause}",
            f"seed {found.seed}",
        )
        name = f"{kind}-{found.arch}-{found.seed}"
        found.path = save_trace(self._folder, name, notes, found.shrunk)
