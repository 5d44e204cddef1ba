"""Readers that are commands, run with an ELF core's path and a tree's address."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from layout.formats import elf_core, raw_writer
from layout.formats.export import beside, put_core, write_symbols
from layout.formats.segments import segments
from layout.host.children import child, listen
from layout.host.files import Output, named
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
        with Output(durable=False) as files:
            write_case(built, core, files)
        return built, self._ask(core, f"{built.image.tree:x}")

    def _clear(self, case: Case, built: Built, folder: Path, *, keep: bool) -> None:
        """Remove the files of a case, or move them to where they are kept."""
        with Output() as files:
            for file in sorted(folder.glob(f"{case.name}.*")):
                if keep and self._keep:
                    files.write(self._keep / file.name, file.read_bytes())
                file.unlink()
            if keep and self._keep:
                write_expected(case, built, self._judge, self._keep / f"{case.name}.core", files)

    def _ask(self, core: Path, tree: str) -> Answer:
        words = [word.replace(_CORE, str(core)).replace(_TREE, tree) for word in self._command]
        start = time.monotonic()
        end = start + self._judge.seconds

        def late() -> str:
            over = time.monotonic() >= end or self._stop.is_set()
            return too_slow(self._judge.seconds) if over else ""

        pipe = subprocess.PIPE
        with child(words, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe) as process:
            out, err, stopped = listen(process, _OUTPUT_MAX, late)
            seconds = time.monotonic() - start
        for suffix, printed in ((".stdout", out), (".stderr", err)):
            with named(core):
                core.with_suffix(suffix).write_bytes(printed)
        shown = _STOPPED_SHOWS if stopped else _OUTPUT_MAX
        text = out[:shown].decode(errors="replace")
        rows, strange = parse(text, entries=self._judge.entries)
        lines = err.decode(errors="replace").strip().splitlines()
        said = lines[-1].strip() if lines else ""
        if stopped:  # its last line may be cut
            strange = None
        return Answer(rows, process.returncode, said, strange, stopped, seconds)


def write_case(built: Built, core: Path, files: Output) -> None:
    """Write a case's core, and beside it its types, symbols for volatility3 and segments."""
    image, pieces = built.image, segments(built.image.memory)
    data = elf_core.core(image.arch, pieces)
    start = len(data) - sum(len(piece.data) for piece in pieces)
    put_core(data[: int(len(data) * built.kept)], image.profile, core, files)
    write_symbols(image, beside(core, ".isf"), files)
    doc = raw_writer.description(image, core.name, raw_writer.end_to_end(pieces, start))
    files.write(beside(core, ".json"), json.dumps(doc, indent=1) + "\n")


def write_expected(case: Case, built: Built, judge: Judge, core: Path, files: Output) -> None:
    """Write what a reader should print to NAME.expected, and what the case is about."""
    lines = [f"# {case.name}: {case.about}", f"# tree {built.image.tree:x}"]
    if case.damaged:
        lines.append("# damaged: the reader has to end, and to say that something is wrong")
    else:
        rows = judge.rows(built.expected)
        lines += [" ".join(f"{number:x}" for number in row) for row in rows]
    files.write(core.with_suffix(".expected"), "\n".join(lines) + "\n")
