"""Readers that are commands, run with an ELF core's path and a tree's address."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, TYPE_CHECKING

from layout.formats import elf_core, raw_writer
from layout.formats.export import beside, put_core, write_symbols
from layout.formats.segments import segments
from layout.memory.errors import UsageError
from layout.testing.conformance.answer import Answer, parse, too_slow
from layout.testing.conformance.result import Result

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from layout.testing.conformance.cases import Built, Case
    from layout.testing.conformance.judge import Judge

_OUTPUT_MAX = 1 << 22
"""A reader that prints more bytes than this is stopped."""
_STOPPED_SHOWS = 1 << 16
"""So many bytes of what a stopped reader printed are looked at."""
_SLICE = 0.1
"""How often a running reader is looked at, in seconds."""
_CORE, _TREE = "{core}", "{tree}"


class Commands:
    """Runs a command over cases, several at a time.

    The core's path and the tree's address replace {core} and {tree} in ``command``; without these
    they are appended. ``keep`` is a directory for the files of failed cases.
    """

    def __init__(
        self, command: Sequence[str], judge: Judge, *, jobs: int, keep: Path | None = None
    ) -> None:
        if shutil.which(command[0]) is None:
            message = f"{command[0]}: no such command: give a path or a name on PATH"
            raise UsageError(message)
        named = any(_CORE in word or _TREE in word for word in command)
        self._command = [*command] if named else [*command, _CORE, _TREE]
        self._judge = judge
        self._jobs = jobs
        self._keep = keep
        self._stop = threading.Event()

    def run(self, cases: Sequence[Case], progress: Callable[[int, int], None]) -> Result:
        """Run all cases; ``progress`` is told how many are done and how many failed.

        Raises OSError.
        """
        result = Result(self._judge.failures)
        with tempfile.TemporaryDirectory(prefix="maple-layout-") as folder:
            pool = ThreadPoolExecutor(self._jobs)
            try:
                answers = pool.map(lambda case: self._try(case, Path(folder)), cases)
                for case, (built, answer) in zip(cases, answers, strict=True):
                    passed = self._judge.judge(case, built, answer)
                    self._clear(case, built, Path(folder), keep=not passed)
                    result.ran.append((case, answer.seconds))
                    progress(len(result.ran), len(result.failures))
            finally:
                self._stop.set()
                pool.shutdown(cancel_futures=True)
        self._judge.settle()
        return result

    def _try(self, case: Case, folder: Path) -> tuple[Built, Answer]:
        """Build a case and run the command on it."""
        built = case.build()
        core = folder / f"{case.name}.core"
        write_case(built, core)
        return built, self._ask(core, f"{built.image.tree:x}")

    def _clear(self, case: Case, built: Built, folder: Path, *, keep: bool) -> None:
        """Remove the files of a case, or move them to where they are kept."""
        if keep and self._keep:
            write_expected(case, built, self._judge, folder / f"{case.name}.core")
        for file in folder.glob(f"{case.name}.*"):
            if keep and self._keep:
                shutil.move(file, self._keep / file.name)
            else:
                file.unlink()

    def _ask(self, core: Path, tree: str) -> Answer:
        words = [word.replace(_CORE, str(core)).replace(_TREE, tree) for word in self._command]
        out_path, err_path = core.with_suffix(".stdout"), core.with_suffix(".stderr")
        start = time.monotonic()
        with out_path.open("w+b") as out, err_path.open("w+b") as err:
            process = subprocess.Popen(  # noqa: S603 - the user's own command
                words,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
            stopped = self._wait(process, start + self._judge.seconds, out)
            seconds = time.monotonic() - start
        shown = _STOPPED_SHOWS if stopped else _OUTPUT_MAX
        rows, strange = parse(_text(out_path, shown), entries=self._judge.entries)
        lines = _text(err_path, _OUTPUT_MAX).strip().splitlines()
        said = lines[-1].strip() if lines else ""
        if stopped:  # its last line may be cut
            strange = None
        return Answer(rows, process.returncode, said, strange, stopped, seconds)

    def _wait(self, process: subprocess.Popen[bytes], end: float, out: IO[bytes]) -> str:
        """Wait for the end of a process, and kill what is left; why it had to be stopped."""
        stopped = ""
        while process.poll() is None and not stopped:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(min(_SLICE, max(end - time.monotonic(), 0)))
            if os.fstat(out.fileno()).st_size > _OUTPUT_MAX:
                stopped = f"printed more than {_OUTPUT_MAX >> 20} MiB"
            elif process.returncode is None and (time.monotonic() >= end or self._stop.is_set()):
                stopped = too_slow(self._judge.seconds)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return stopped


def _text(path: Path, size: int) -> str:
    with path.open("rb") as file:
        return file.read(size).decode(errors="replace")


def write_case(built: Built, core: Path) -> None:
    """Write a case's core, and beside it its types, symbols for volatility3 and segments."""
    image, pieces = built.image, segments(built.image.memory)
    data = elf_core.core(image.arch, pieces)
    start = len(data) - sum(len(piece.data) for piece in pieces)
    put_core(data[: int(len(data) * built.kept)], image.profile, core)
    write_symbols(image, beside(core, ".isf"))
    doc = raw_writer.description(image, core.name, raw_writer.end_to_end(pieces, start))
    beside(core, ".json").write_text(json.dumps(doc, indent=1) + "\n")


def write_expected(case: Case, built: Built, judge: Judge, core: Path) -> None:
    """Write what a reader should print to NAME.expected, and what the case is about."""
    lines = [f"# {case.name}: {case.about}", f"# tree {built.image.tree:x}"]
    if case.damaged:
        lines.append("# damaged: the reader has to end, and to say that something is wrong")
    else:
        rows = judge.rows(built.expected)
        lines += [" ".join(f"{number:x}" for number in row) for row in rows]
    core.with_suffix(".expected").write_text("\n".join(lines) + "\n")
