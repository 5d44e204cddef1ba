"""A guided search by the workers of a cluster, in rounds.

In a round each worker runs libFuzzer for some seconds, from the same traces, and gives what it has
found. One worker then makes all of it the fewest traces that execute the same as often: the next
round begins with these. What has been found is a set of traces by their text, so that a result that
comes twice, or that two workers have, changes nothing. The workers compile the program.
"""

from __future__ import annotations

import math
import signal
import tempfile
import time
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from layout.ckernel import toolchain
from layout.ckernel.build import GUIDED, build
from layout.ckernel.cluster import Cluster
from layout.ckernel.oracle import Trial
from layout.hunt.corpus import name_of
from layout.hunt.guided import Status, fewest, fill, search, tidy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from layout.ckernel.build import Built
    from layout.ckernel.programs import Programs
    from layout.ckernel.source import KernelSource

_FIRST, _USUAL, _LONGEST = 5, 60, 240
"""Seconds of a round: each takes twice as long as the one before, up to the usual."""

_MERGES = 8
"""A round takes at least so many times as long as a merge, since to begin takes a worker as long.

But it is never longer than the longest: a worker that gives nothing for minutes is given up.
"""

_LEAST = 1
"""Seconds that are worth beginning for."""

_PATIENCE = 60
"""Seconds that a round waits for its last results."""

_APART = 1 << 12
"""Seeds of libFuzzer from one worker's to the next: it has another one where it begins again."""


@dataclass(slots=True)
class Slice(Trial[None]):
    """What a worker gives: traces, how its search went, the version of its clang."""

    texts: list[str] = field(default_factory=list)
    last: Status | None = None
    clang: str = ""


class _Guided:
    """Work with libFuzzer, from traces that travel with it; the builds are the worker's own."""

    _built: Built

    def __init__(self, source: KernelSource, texts: Sequence[str]) -> None:
        self._source = source
        self._texts = texts

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._built = build(self._source, toolchain.own(), GUIDED)

    def where(self, seed: int) -> str:  # noqa: ARG002 - what a pool asks for
        """The same for all."""
        return "libFuzzer"

    @contextmanager
    def _pool(self) -> Iterator[Path]:
        """A folder of the traces, for some time."""
        signal.alarm(0)  # what a generated trace may take is too little; libFuzzer has its limits
        with tempfile.TemporaryDirectory(prefix="maple-layout-hunt-") as name:
            pool = Path(name) / "pool"
            fill(pool, self._texts)
            yield pool

    def _slice(self, seed: int, texts: list[str], last: Status | None = None) -> Slice:
        version = toolchain.find_clang(toolchain.own()).compiler_version
        return Slice(seed, texts=texts, last=last, clang=version)


class Searching(_Guided):
    """A worker's part of a round: what libFuzzer finds until its end."""

    def __init__(self, source: KernelSource, texts: Sequence[str], seed: int) -> None:
        super().__init__(source, texts)
        self._seed = seed

    def attempt(self, seed: int, end: float, programs: Programs) -> Slice:  # noqa: ARG002 - it has one of its own
        """Search with a seed of libFuzzer's."""
        with self._pool() as pool:
            new = pool.parent / "new"
            new.mkdir()
            seen = search(
                self._built,
                new,
                seconds=math.ceil(end - time.monotonic()),
                jobs=1,
                seed=self._seed + seed * _APART,
                progress=lambda _: None,
                more=[pool],
            )
            texts = [text for text in tidy(self._built, sorted(new.iterdir())) if text]
            tried = max(0, seen[-1].runs - len(self._texts))  # those were tried before
            return self._slice(seed, texts, replace(seen[-1], runs=tried))


class Merging(_Guided):
    """The fewest traces that execute the same, ``often``: the same as often."""

    def __init__(self, source: KernelSource, texts: Sequence[str], *, often: bool) -> None:
        super().__init__(source, texts)
        self._often = often

    def attempt(self, seed: int, end: float, programs: Programs) -> Slice:  # noqa: ARG002 - all or nothing
        """Merge."""
        with self._pool() as pool:
            return self._slice(seed, fewest(self._built, pool, often=self._often))


class Spread:
    """A search on the cluster at an address.

    ``keep`` is given all traces whenever there are others, ``progress`` is called every other
    second.
    """

    def __init__(
        self,
        source: KernelSource,
        address: str,
        keep: Callable[[list[str]], object],
        progress: Callable[[Status], None],
    ) -> None:
        self._source, self._address = source, address
        self._keep, self._progress = keep, progress
        self.history: list[Status] = []
        self.clang = ""
        self._start = time.monotonic()
        self._texts: dict[str, str] = {}
        self._seeds: set[int] = set()
        self._next = self._runs = self._edges = self._features = 0

    @property
    def texts(self) -> list[str]:
        """What the search has brought, and what it began with."""
        return list(self._texts.values())

    def search(self, texts: Iterable[str], seconds: float, seed: int) -> None:
        """Search for so many seconds, merges included, but not the first and the last.

        Raises UsageError, InputError, OSError.
        """
        self._start = time.monotonic()
        self._add(texts)
        self._merge(often=True)
        now = time.monotonic()
        end, length = now + seconds, float(_FIRST)
        while True:
            left = end - now
            self._round(left if left < 2 * length else length, seed)
            before = time.monotonic()
            if before > end - _LEAST:
                break
            self._merge(often=True)
            now = time.monotonic()
            length = max(min(2 * length, _USUAL), min(_MERGES * (now - before), _LONGEST))
        self._merge(often=False)

    def _round(self, seconds: float, seed: int) -> None:
        """Have each worker search from the traces that there are, until the same moment.

        A worker that comes later takes part; what one has begun that was killed another does.
        """
        end = time.monotonic() + seconds
        with closing(Cluster(Searching(self._source, self.texts, seed), self._address)) as pool:
            while (now := time.monotonic()) < end + _PATIENCE:
                workers = pool.workers
                while now < end - _LEAST and pool.pending < workers:
                    pool.submit(self._next, end)
                    self._next += 1
                if not pool.pending:
                    break
                for trial in pool.completed():
                    assert isinstance(trial, Slice)
                    self._count(trial)
                self._progress(self._status(pool))

    def _count(self, found: Slice) -> None:
        """Add what a worker has found, once."""
        if found.seed in self._seeds:
            return
        self._seeds.add(found.seed)
        if found.last is not None:
            self._runs += found.last.runs
            self._edges = max(self._edges, found.last.edges)
            self._features = max(self._features, found.last.features)
        self._add(found.texts)
        self._keep(self.texts)
        self.history.append(self._status())

    def _add(self, texts: Iterable[str]) -> None:
        self._texts |= {name_of(text): text for text in texts}

    def _merge(self, *, often: bool) -> None:
        """Keep the fewest traces that execute the same."""
        work = Merging(self._source, self.texts, often=often)
        with closing(Cluster(work, self._address)) as pool:
            pool.submit(0, math.inf)
            while not (done := pool.completed()):
                self._progress(self._status(pool))
        (merged,) = done
        assert isinstance(merged, Slice)
        self.clang = merged.clang
        self._texts = {}
        self._add(merged.texts)
        self._keep(self.texts)

    def _status(self, pool: Cluster[None] | None = None) -> Status:
        return Status(
            time.monotonic() - self._start,
            self._runs,
            self._edges,
            self._features,
            len(self._texts),
            pool.workers if pool else 0,
            pool.dashboard if pool else "",
        )
