"""libFuzzer over the kernel's own code: the search, the smallest corpus, the lines carried out."""

from __future__ import annotations

import math
import os
import re
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from layout.host import children
from layout.host.files import named
from layout.memory.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from layout.ckernel.build import Built

LONGEST = 16384
"""Bytes of a trace."""

_STATUS = re.compile(
    r"^#(?P<runs>\d+)\b.*? cov: (?P<edges>\d+) ft: (?P<features>\d+) corp: (?P<corpus>\d+)"
)
_AT_ONCE = 200
"""Files of a command."""

_STACK_LOST = 77
"""The exit status of guided.c for it."""

_COMMON = (f"-max_len={LONGEST}", "-timeout=20", "-rss_limit_mb=2048", "-detect_leaks=0")
_FORKED = ("-ignore_crashes=1", "-ignore_timeouts=1", "-ignore_ooms=1")


@dataclass(frozen=True, slots=True)
class Status:
    """How far a search is: inputs run, edges and features executed, size of the corpus.

    On a cluster also the number of workers, and the scheduler's page.
    """

    seconds: float
    runs: int
    edges: int
    features: int
    corpus: int
    workers: int = 0
    dashboard: str = ""


def search(  # noqa: PLR0913 - what a search depends on
    built: Built,
    folder: Path,
    *,
    seconds: int,
    jobs: int,
    seed: int,
    progress: Callable[[Status], None],
    more: Sequence[Path] = (),
) -> list[Status]:
    """Run libFuzzer on the traces in a folder for some time; it adds what it finds.

    It begins with those in the folders ``more``, too. One process searches by itself; several are
    in its fork mode. ``progress`` is called for each of its lines, all of which come back. Raises
    InputError.
    """
    work = folder.parent / "found"
    work.mkdir(exist_ok=True)
    start = time.monotonic()
    end = start + max(1, seconds)
    seen: list[Status] = []
    before = 0
    while True:
        left = max(1, math.ceil(end - time.monotonic()))
        words = [
            *built.command,
            *_COMMON,
            *((f"-fork={jobs}", *_FORKED) if jobs > 1 else ()),
            f"-seed={seed + 1 + len(seen)}",
            f"-max_total_time={left}",
            f"-artifact_prefix={work}/",
            *map(str, [folder, *more]),
        ]
        last = ""
        streams = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
        with children.child(words, cwd=folder.parent, env=_environment(folder), **streams) as one:
            assert one.stderr is not None
            for raw in one.stderr:
                last = raw.decode(errors="replace").strip() or last
                status = _status(last, time.monotonic() - start, before)
                if status is not None:
                    seen.append(status)
                    progress(status)
            code = one.wait()
        if not seen or (seen[-1].runs == before and time.monotonic() < end):
            message = f"libFuzzer ended with {code}: {last}"
            raise InputError(message)
        if time.monotonic() >= end:
            return seen
        before = seen[-1].runs  # kernel code that overwrites the stack ends the process: go on


def _status(line: str, seconds: float, before: int) -> Status | None:
    found = _STATUS.match(line)
    if found is None:
        return None
    runs, edges, features, corpus = (
        int(found[name]) for name in ("runs", "edges", "features", "corpus")
    )
    return Status(seconds, before + runs, edges, features, corpus)


def _environment(folder: Path, **more: str) -> dict[str, str]:
    """libFuzzer's fork mode keeps its files in TMPDIR."""
    return {**os.environ, "TMPDIR": str(folder.parent), **more}


def fill(folder: Path, texts: Iterable[str]) -> None:
    """Make a folder of the traces that libFuzzer begins with. Raises OSError."""
    folder.mkdir()
    for number, text in enumerate(texts):
        with named(folder):
            (folder / f"{number:06}").write_text(text[:LONGEST])


def fewest(built: Built, folder: Path, *, often: bool = False) -> list[str]:
    """merge() of a folder beside it, then tidy(). Raises InputError."""
    least = folder.parent / "least"
    merge(built, least, [folder], often=often)
    return [text for text in tidy(built, sorted(least.iterdir())) if text]


def merge(built: Built, target: Path, folders: Iterable[Path], *, often: bool = False) -> None:
    """Put into ``target`` the fewest traces of the folders that execute the same.

    With ``often`` that is: the same as often, as a search goes by. Raises InputError.
    """
    target.mkdir(exist_ok=True)
    words = [*built.command, *_COMMON, "-merge=1", f"-use_counters={int(often)}", str(target)]
    done = children.run([*words, *map(str, folders)], cwd=target.parent, env=_environment(target))
    if done.returncode:
        message = f"libFuzzer can't merge: {_last(done.stderr)}"
        raise InputError(message)


def tidy(built: Built, paths: Sequence[Path]) -> list[str]:
    """The lines of each trace that the harness carried out.

    None of a trace in which the kernel's code overwrites the stack. Raises InputError.
    """
    texts: list[str] = []
    for at in range(0, len(paths), _AT_ONCE):
        texts += _tidied(built, paths[at : at + _AT_ONCE])
    return texts


def _tidied(built: Built, paths: Sequence[Path]) -> list[str]:
    done = children.run(
        [*built.command, *_COMMON, *map(str, paths)], env={**os.environ, "TIDY": "1"}
    )
    found = done.stdout.decode().split("#\n")[1:]
    if done.returncode == 0 and len(found) == len(paths):
        return found
    if done.returncode != _STACK_LOST:
        message = f"the harness ended with {done.returncode}: {_last(done.stderr)}"
        raise InputError(message)
    if len(paths) == 1:
        return [""]
    half = len(paths) // 2
    return _tidied(built, paths[:half]) + _tidied(built, paths[half:])


def _last(stderr: bytes) -> str:
    return (stderr.decode(errors="replace").strip().splitlines() or ["it said nothing"])[-1]
