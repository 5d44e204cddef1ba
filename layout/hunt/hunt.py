"""A hunt: a search for traces that execute more of a kernel's code, then their comparison.

1. The search begins with the corpus, generated traces and the package's own seeds. libFuzzer runs
   over the kernel's code, here or on a cluster, or, without clang, the generator is weighted by
   the emulator.
2. What it found becomes the corpus: the fewest traces that execute the same.
3. gcov counts the lines of maple_tree.c that the corpus executes.
4. The corpus is carried out on every machine: see :mod:`layout.hunt.replay`.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from functools import partial
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import arches
from layout.ckernel import toolchain
from layout.ckernel.build import COVERAGE, GUIDED, build
from layout.ckernel.coverage import coverage, forget
from layout.ckernel.execute import run
from layout.ckernel.fuzz import Options
from layout.ckernel.generate import generate
from layout.host.streams import tell
from layout.hunt.corpus import operations_of, read_corpus, text_of, write_corpus
from layout.hunt.guided import fewest, fill, search
from layout.hunt.replay import Replay, replay
from layout.hunt.weighted import grow, shown_to_kernel
from layout.memory.errors import InputError, TraceError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from layout.ckernel.build import Built
    from layout.ckernel.coverage import Coverage
    from layout.ckernel.fuzz import Found
    from layout.ckernel.oracle import Campaign
    from layout.ckernel.source import KernelSource
    from layout.hunt.guided import Status
    from layout.traces.trace import Operation

_GENERATED = 60
"""Traces of the generator that a search begins with."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a hunt is to do: ``seconds`` are those of the search; without any the corpus stays.

    ``scheduler`` is that of a cluster, as in Limits.
    """

    seconds: int = 60
    jobs: int = 1
    seed: int = 0
    scheduler: str = ""


@dataclass(slots=True)
class Hunt:
    """The outcome: how the search went, the corpus by name, lines executed, the comparison.

    ``guide`` is the compiler's version, or "" where the emulator was the guide. ``before`` is the
    number of traces that the search began with from the corpus.
    """

    guide: str
    before: int
    history: list[Status]
    traces: dict[str, list[Operation]]
    size: int
    executed: Coverage | None = None
    replay: Replay = field(default_factory=lambda: Replay(0, 0))


def guide() -> str:
    """The version of the clang that searches are guided by; "" without one."""
    try:
        return toolchain.find_clang(toolchain.own()).compiler_version
    except toolchain.ToolMissing:
        return ""


def hunt(  # noqa: PLR0913 - what a hunt depends on
    source: KernelSource,
    builds: Sequence[Built],
    plan: Plan,
    folder: Path,
    on_search: Callable[[Status], None],
    on_replay: Callable[[Campaign[Found]], None],
) -> Hunt:
    """Search, keep the corpus in ``folder``, compare on these builds of the source.

    Differences are saved in ``folder``/differences. Raises InputError, OSError.
    """
    folder.mkdir(parents=True, exist_ok=True)
    known = read_corpus(folder)
    by = guide()
    history: list[Status] = []
    if not plan.seconds:
        texts = [text_of(operations) for operations in known.values()]
    elif plan.scheduler:
        by, texts, history = _spread(source, plan, known, folder, on_search)
    elif by:
        texts, history = _guided(source, plan, known, partial(write_corpus, folder), on_search)
    else:
        arch = arches.get(builds[0].arch)
        texts, history = grow(
            source,
            arch,
            seconds=plan.seconds,
            seed=plan.seed,
            known=known.values(),
            progress=on_search,
        )
        write_corpus(folder, texts)
    traces = read_corpus(folder)
    found = Hunt(by, len(known), history, traces, sum(map(len, texts)))
    found.executed = executed_by(source, traces)
    options = Options(jobs=plan.jobs, scheduler=plan.scheduler)
    found.replay = replay(builds, traces, options, folder / "differences", on_replay)
    return found


def executed_by(source: KernelSource, traces: Mapping[str, Sequence[Operation]]) -> Coverage | None:
    """The lines of maple_tree.c that these traces execute; None where nothing counts them."""
    try:
        built = build(source, toolchain.own(), COVERAGE)
    except toolchain.ToolMissing:
        return None
    forget(built)
    for operations in traces.values():
        run(built, operations)
    try:
        return coverage(built) if traces else None
    except InputError as error:  # what is found is told all the same
        tell(f"the lines of maple_tree.c that were executed are not known: {error}")
        return None


def _guided(
    source: KernelSource,
    plan: Plan,
    known: Mapping[str, Sequence[Operation]],
    keep: Callable[[list[str]], object],
    progress: Callable[[Status], None],
) -> tuple[list[str], list[Status]]:
    """What libFuzzer makes of them, which is kept even if the search is interrupted."""
    built = build(source, toolchain.own(), GUIDED)
    with tempfile.TemporaryDirectory(prefix="maple-layout-hunt-") as name:
        work = Path(name)
        pool = work / "pool"
        fill(pool, _beginning(source, plan, known))
        try:
            history = search(
                built, pool, seconds=plan.seconds, jobs=plan.jobs, seed=plan.seed, progress=progress
            )
        except KeyboardInterrupt:
            keep(fewest(built, pool))
            raise
        texts = fewest(built, pool)
        keep(texts)
        return texts, history


def _spread(
    source: KernelSource,
    plan: Plan,
    known: Mapping[str, Sequence[Operation]],
    folder: Path,
    progress: Callable[[Status], None],
) -> tuple[str, list[str], list[Status]]:
    """The same on a cluster; what is found is kept in ``folder`` at once. Also the clang there."""
    from layout.hunt.spread import Spread  # noqa: PLC0415 - an optional extra

    there = Spread(source, plan.scheduler, partial(write_corpus, folder), progress)
    there.search(_beginning(source, plan, known), plan.seconds, plan.seed)
    return there.clang, there.texts, there.history


def _beginning(
    source: KernelSource, plan: Plan, known: Mapping[str, Sequence[Operation]]
) -> list[str]:
    """What a guided search begins with: the corpus, the seeds and generated traces."""
    texts = [text_of(operations) for operations in known.values()]
    return [*texts, *_seeds(source), *_generated(source, plan.seed)]


def _seeds(source: KernelSource) -> list[str]:
    """The package's own traces, without what this kernel has not."""
    missing = source.missing_operations
    return [
        text_of(each for each in operations_of(path.read_text()) if each.op not in missing)
        for path in sorted((resources.files("layout.hunt") / "seeds").iterdir(), key=str)
        if path.name.endswith(".trace")
    ]


def _generated(source: KernelSource, seed: int) -> list[str]:
    arch = arches.get(toolchain.own())
    found = []
    for number in range(seed, seed + _GENERATED):
        try:
            made = generate(
                number, arch, without=source.missing_operations, version=source.emulator
            )
        except TraceError:  # more nodes than there is room for
            continue
        found.append(text_of(shown_to_kernel(made)))
    return found
