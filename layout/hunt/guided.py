"""libFuzzer over the kernel's own code: the search, the smallest corpus, the lines carried out."""

from __future__ import annotations

import os
import re
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from layout.host import children
from layout.memory.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from layout.ckernel.build import Built

LONGEST = 16384
"""Bytes of a trace."""

_STATUS = re.compile(
    r"^#(?P<runs>\d+):? .*?cov: (?P<edges>\d+) ft: (?P<features>\d+) corp: (?P<corpus>\d+)"
    r"(?:.*?exec/s:? (?P<rate>\d+))?"
)
_AT_ONCE = 200
"""Files of a command."""

_COMMON = (f"-max_len={LONGEST}", "-timeout=20", "-rss_limit_mb=2048", "-detect_leaks=0")
_SAVED = ("-ignore_crashes=1", "-ignore_timeouts=1", "-ignore_ooms=1")


@dataclass(frozen=True, slots=True)
class Status:
    """How far a search is: inputs run, edges and features executed, size of the corpus."""

    seconds: float
    runs: int
    edges: int
    features: int
    corpus: int


def search(  # noqa: PLR0913 - what a search depends on
    built: Built,
    folder: Path,
    *,
    seconds: int,
    jobs: int,
    seed: int,
    progress: Callable[[Status], None],
) -> list[Status]:
    """Run libFuzzer on the traces in a folder for some time; it adds what it finds.

    ``progress`` is called for each of its lines, all of which come back. Raises InputError.
    """
    work = folder.parent / "found"
    work.mkdir(exist_ok=True)
    words = [
        *built.command,
        *_COMMON,
        *_SAVED,
        f"-fork={jobs}",
        f"-seed={seed + 1}",
        f"-max_total_time={max(1, seconds)}",
        f"-artifact_prefix={work}/",
        str(folder),
    ]
    start = time.monotonic()
    seen: list[Status] = []
    last = ""
    streams = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    with children.child(words, cwd=folder.parent, env=_environment(folder), **streams) as process:
        assert process.stderr is not None
        for raw in process.stderr:
            last = raw.decode(errors="replace").strip() or last
            status = _status(last, time.monotonic() - start)
            if status is not None:
                seen.append(status)
                progress(status)
        code = process.wait()
    if not seen:
        message = f"libFuzzer ended with {code}: {last}"
        raise InputError(message)
    return seen


def _status(line: str, seconds: float) -> Status | None:
    found = _STATUS.match(line)
    if found is None:
        return None
    runs, edges, features, corpus = (
        int(found[name]) for name in ("runs", "edges", "features", "corpus")
    )
    return Status(seconds, runs, edges, features, corpus)


def _environment(folder: Path, **more: str) -> dict[str, str]:
    """libFuzzer's fork mode keeps its files in TMPDIR."""
    return {**os.environ, "TMPDIR": str(folder.parent), **more}


def merge(built: Built, target: Path, folders: Iterable[Path]) -> None:
    """Put into ``target`` the fewest traces of the folders that execute the same.

    Raises InputError.
    """
    target.mkdir(exist_ok=True)
    words = [*built.command, *_COMMON, "-merge=1", "-use_counters=0", str(target)]
    done = children.run([*words, *map(str, folders)], cwd=target.parent, env=_environment(target))
    if done.returncode:
        message = f"libFuzzer can't merge: {_last(done.stderr)}"
        raise InputError(message)


def tidy(built: Built, paths: Sequence[Path]) -> list[str]:
    """The lines of each trace that the harness carried out to their end. Raises InputError."""
    texts: list[str] = []
    for at in range(0, len(paths), _AT_ONCE):
        some = paths[at : at + _AT_ONCE]
        done = children.run(
            [*built.command, *_COMMON, *map(str, some)], env={**os.environ, "TIDY": "1"}
        )
        found = done.stdout.decode().split("#\n")[1:]
        if len(found) != len(some):
            message = f"the harness ended with {done.returncode}: {_last(done.stderr)}"
            raise InputError(message)
        texts += found
    return texts


def _last(stderr: bytes) -> str:
    return (stderr.decode(errors="replace").strip().splitlines() or ["it said nothing"])[-1]
