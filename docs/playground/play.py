"""What the playground calls in the browser: the command ``explore`` on a trace that was typed."""

from __future__ import annotations

import io
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

from layout.cli.main import main

if TYPE_CHECKING:
    from collections.abc import Callable

TRACE, PAGE = "trace", "page.html"
"""The command's input and output, in the current directory."""


class Terminal(io.StringIO):
    """stderr, as a terminal: lines that are written over are progress, which is told at once."""

    def __init__(self, tell: Callable[[str], object]) -> None:
        super().__init__()
        self._tell = tell

    def isatty(self) -> bool:
        """So that there is progress."""
        return True

    def write(self, text: str) -> int:
        """Keep a note, or tell progress."""
        if not text.startswith("\r"):
            return super().write(text)
        self._tell(text.strip())
        return len(text)


def explore(trace: str, options: str, tell: Callable[[str], object]) -> tuple[int, str, str]:
    """Run the command with ``options``, words of its command line.

    Returns the exit code, all that it printed, and the page, which is empty if it wrote none.
    ``tell`` takes lines about long work.
    """
    Path(PAGE).unlink(missing_ok=True)
    Path(TRACE).write_text(trace, encoding="utf-8")
    out, err = io.StringIO(), Terminal(tell)
    with redirect_stdout(out), redirect_stderr(err):
        code = main(["explore", TRACE, *options.split(), "-o", PAGE])
    page = Path(PAGE).read_text(encoding="utf-8") if Path(PAGE).exists() else ""
    return code, err.getvalue() + out.getvalue(), page
