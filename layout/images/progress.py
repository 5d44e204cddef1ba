"""A line on a terminal about work that takes longer than a second."""

from __future__ import annotations

import sys
import time

_PATIENCE = 1.0
"""Seconds before the line appears."""
_PAUSE = 0.2
"""Seconds between two changes of it."""


class Progress:
    """How far one piece of work is; prints nothing where stderr is no terminal.

    ``what`` names the work, ``total`` is its size in bytes, 0 where it is not known.
    """

    def __init__(self, what: str, total: int = 0) -> None:
        self._what = what
        self._total = total
        self._next = time.monotonic() + _PATIENCE
        self._width = 0
        self._shows = sys.stderr is not None and sys.stderr.isatty()

    def at(self, done: int) -> None:
        """``done`` bytes are done."""
        if not self._shows or (now := time.monotonic()) < self._next:
            return
        self._next = now + _PAUSE
        part = f" ({100 * done // self._total}%)" if self._total else ""
        text = f"{self._what}: {done >> 20} MiB{part}"
        print(f"\r{text:<{self._width}}", end="", file=sys.stderr, flush=True)
        self._width = len(text)

    def end(self) -> None:
        """Take the line away."""
        if self._width:
            print(f"\r{'':<{self._width}}\r", end="", file=sys.stderr, flush=True)
            self._width = 0
