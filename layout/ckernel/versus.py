"""A campaign of generated traces on pairs of kernel builds, without the emulator as an oracle.

The emulator only chooses the operations. Every seed is one trace, on the pairs in turn.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import arches
from layout.ckernel.campaign import run_campaign, save_trace
from layout.ckernel.generate import generate
from layout.ckernel.oracle import SECONDS_FOR_OPERATION, Campaign, Limits, Trial
from layout.ckernel.pair import compare_pair, explain_pair, kind_of, shrink_pair

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from layout.ckernel.pair import Pair
    from layout.ckernel.programs import Programs
    from layout.compare.results import Parting
    from layout.traces.trace import Operation

_BULK = "HAVE_EXPECTED_ENTRIES"


@dataclass(slots=True)
class Differs:
    """A kind of difference: the pair and seed that showed it first, and the shortest trace."""

    pair: Pair
    seed: int
    parting: Parting
    kind: tuple[str, str]
    shrunk: list[Operation] = field(default_factory=list)
    path: Path | None = None
    times: int = 1


def versus(
    pairs: Sequence[Pair],
    limits: Limits,
    folder: Path | None,
    progress: Callable[[Campaign[Differs]], None],
) -> Campaign[Differs]:
    """Run a campaign on these pairs, seed by seed in turn: see run_campaign()."""
    return run_campaign(Pairs(pairs, limits, folder), limits, folder, progress)


class Pairs:
    """Judges the builds of each pair by one another."""

    def __init__(self, pairs: Sequence[Pair], limits: Limits, folder: Path | None) -> None:
        self._pairs = pairs
        self._limits = limits
        self._folder = folder

    @property
    def identity(self) -> dict[str, object]:
        """Same kernels, same machines, the same compared."""
        sides = [(pair.one, pair.other, pair.results) for pair in self._pairs]
        return {
            "pairs": [
                [str(one.source), one.arch, str(other.source), other.arch, results]
                for one, other, results in sides
            ]
        }

    def where(self, seed: int) -> str:
        """The pair of a seed."""
        return str(self._pair(seed))

    def path(self, found: Differs) -> Path | None:
        """Where its trace was saved."""
        return found.path

    def _pair(self, seed: int) -> Pair:
        return self._pairs[seed % len(self._pairs)]

    def attempt(self, seed: int, end: float, programs: Programs) -> Trial[Parting]:
        """Generate a trace that both can carry out, and compare them on it."""
        pair = self._pair(seed)
        sources = pair.one.source, pair.other.source
        without = sources[0].missing_operations | sources[1].missing_operations
        if any(_BULK not in source.features for source in sources):
            without |= {"bulk", "expect_raw"}  # that one has it and the other not is no news
        made = generate(
            seed,
            arches.get(pair.one.arch),
            without=without,
            version=min(sources[0].emulator, sources[1].emulator),
            until=end,
        )
        verdict = compare_pair(
            pair, made.operations, seconds=SECONDS_FOR_OPERATION, programs=programs
        )
        if verdict.parting:  # by programs that no trace before has touched
            verdict = compare_pair(pair, made.operations, seconds=SECONDS_FOR_OPERATION)
        return Trial(
            seed,
            str(pair),
            verdict.operations,
            Counter(operation.op for operation in made.operations[: verdict.operations]),
            verdict.parting,
            made.operations if verdict.parting else [],
            verdict.fault,
        )

    def note(
        self,
        campaign: Campaign[Differs],
        trial: Trial[Parting],
        end: float,
        tell: Callable[[str], None],
    ) -> None:
        """Shorten and save what is new; count what is not."""
        parting, pair = trial.wrong, self._pair(trial.seed)
        assert parting is not None
        if parting.refused is not None:
            campaign.refused += 1
            return
        kind = kind_of(parting)
        for found in campaign.found:
            if found.pair == pair and found.kind == kind:
                found.times += 1
                return
        tell(f"{parting.operation.op} {pair}")
        seconds = self._limits.for_shrinking(end)
        shrunk = shrink_pair(pair, trial.operations, parting, seconds=seconds)
        new = Differs(pair, trial.seed, parting, kind, shrunk)
        last = compare_pair(pair, shrunk).parting
        if last is not None:
            new.parting = explain_pair(pair, shrunk, replace(last, refused=None))
        name = f"{parting.operation.op}-{pair.one.arch}-{pair.other.arch}-{trial.seed}"
        notes = str(pair.one.source), str(pair.other.source), f"{pair} differ: {new.parting}"
        new.path = save_trace(self._folder, name, notes, shrunk)
        campaign.found.append(new)
