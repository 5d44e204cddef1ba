"""A count of operations on stderr, where that is a terminal."""

from __future__ import annotations

import sys
from typing import Self


class Progress:
    """How many of ``total`` operations are done, to be used in ``with``; ``name`` is of the run."""

    def __init__(self, name: str, total: int) -> None:
        self._name, self._total, self._done = name, total, 0
        self._shown = sys.stderr.isatty()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._shown:
            sys.stderr.write("\r\x1b[K")

    def step(self) -> None:
        """One operation more is done."""
        self._done += 1
        if self._shown and self._done % 50 == 0:
            sys.stderr.write(f"\r{self._name}: {self._done} of {self._total} operations")
            sys.stderr.flush()
