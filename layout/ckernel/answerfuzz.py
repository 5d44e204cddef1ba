"""A campaign of generated traces: a kernel's own answers, held against what its API says.

The emulator only chooses the operations. Every second seed plays at bounds: at 0, at ULONG_MAX,
and at the edges of ranges and leaves.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import arches
from layout.ckernel.answers import Wrong, meant, shrink_wrong
from layout.ckernel.campaign import run_campaign, save_trace
from layout.ckernel.generate import generate
from layout.ckernel.oracle import SECONDS_FOR_OPERATION, Campaign, Limits, Trial

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from layout.ckernel.build import Built
    from layout.ckernel.programs import Programs
    from layout.traces.trace import Operation


@dataclass(slots=True)
class Answers:
    """A kind of wrong answer: the machine and seed that showed it first, and a short trace."""

    arch: str
    seed: int
    wrong: Wrong
    shrunk: list[Operation]
    path: Path | None = None
    times: int = 1


def fuzz_meaning(
    builds: Sequence[Built],
    limits: Limits,
    folder: Path | None,
    progress: Callable[[Campaign[Answers]], None],
) -> Campaign[Answers]:
    """Run a campaign on these builds of one kernel, seed by seed in turn: see run_campaign()."""
    return run_campaign(Meaning(builds, limits, folder), limits, folder, progress)


class Meaning:
    """Judges builds of one kernel by the model."""

    def __init__(self, builds: Sequence[Built], limits: Limits, folder: Path | None) -> None:
        self._builds = builds
        self._limits = limits
        self._folder = folder

    @property
    def identity(self) -> dict[str, object]:
        """Same kernel, same machines."""
        arches_of = [built.arch for built in self._builds]
        return {"kernel": str(self._builds[0].source), "arches": arches_of, "meaning": True}

    def where(self, seed: int) -> str:
        """The machine of a seed."""
        return self._built(seed).arch

    def path(self, found: Answers) -> Path | None:
        """Where its trace was saved."""
        return found.path

    def _built(self, seed: int) -> Built:
        return self._builds[seed // 2 % len(self._builds)]

    def attempt(self, seed: int, end: float, programs: Programs) -> Trial[Wrong]:
        """Generate a trace, have the kernel's code answer it, judge the answers."""
        built = self._built(seed)
        made = generate(
            seed,
            arches.get(built.arch),
            without=built.source.missing_operations,
            version=built.source.emulator,
            until=end,
            profile="bounds" if seed % 2 else "",
        )
        seconds = SECONDS_FOR_OPERATION
        found = meant(built, made.operations, seconds=seconds, programs=programs)
        if found.wrong:  # by a program that no trace before has touched
            found = meant(built, made.operations, seconds=seconds)
        return Trial(
            seed,
            built.arch,
            found.operations,
            Counter(operation.op for operation in made.operations[: found.operations]),
            found.wrong,
            made.operations if found.wrong else [],
            found.fault,
            forgiven=found.forgiven,
        )

    def note(
        self,
        campaign: Campaign[Answers],
        trial: Trial[Wrong],
        end: float,
        tell: Callable[[str], None],
    ) -> None:
        """Shorten and save what is new; count what is not."""
        wrong = trial.wrong
        assert wrong is not None
        for found in campaign.found:
            if found.wrong.kind == wrong.kind:
                found.times += 1
                return
        tell(f"{wrong.operation.op} on {trial.on}")
        built = self._built(trial.seed)
        seconds = self._limits.for_shrinking(end)
        shrunk = shrink_wrong(built, trial.operations, wrong, seconds=seconds)
        shown = meant(built, shrunk).wrong or wrong
        notes = str(built.source), f"on {trial.on}: {shown.message}", f"seed {trial.seed}"
        name = f"meaning-{wrong.operation.op}-{trial.on}-{trial.seed}"
        path = save_trace(self._folder, name, notes, shrunk)
        campaign.found.append(Answers(trial.on, trial.seed, shown, shrunk, path))
