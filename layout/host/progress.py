"""A line on a terminal about work that takes longer than a second."""

from __future__ import annotations

import contextlib
import sys
import time
from typing import TYPE_CHECKING, Self

from layout.host.streams import note

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import TypeVar

    T = TypeVar("T")

_PATIENCE = 1.0
"""Seconds before the line appears."""
_PAUSE = 0.2
"""Seconds between two changes of it."""


@contextlib.contextmanager
def doing(what: str) -> Iterator[None]:
    """A block that takes seconds and counts nothing; ``what`` stands on the line meanwhile."""
    shows = sys.stderr is not None and sys.stderr.isatty()
    if shows:
        note(f"\r{what}", end="")
    try:
        yield
    finally:
        if shows:
            note(f"\r{'':<{len(what)}}\r", end="")


class Progress:
    """How far one piece of work is, to be used in ``with``; only where stderr is a terminal.

    ``what`` names the work, ``unit`` what is counted, bytes if left out; ``total`` is how many
    there are, 0 where that is not known.
    """

    def __init__(self, what: str, total: int = 0, unit: str = "") -> None:
        self._what = what
        self._total = total
        self._unit = unit
        self._done = 0
        self._next = time.monotonic() + _PATIENCE
        self._width = 0
        self._shows = sys.stderr is not None and sys.stderr.isatty()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def at(self, done: int) -> None:
        """``done`` are done."""
        self._done = done
        if not self._shows or (now := time.monotonic()) < self._next:
            return
        self._next = now + _PAUSE
        part = f" ({100 * done // self._total}%)" if self._total else ""
        count = f"{done} {self._unit}" if self._unit else f"{done >> 20} MiB"
        text = f"{self._what}: {count}{part}"
        note(f"\r{text:<{self._width}}", end="")
        self._width = len(text)

    def step(self) -> None:
        """One more is done."""
        self.at(self._done + 1)

    def over(self, items: Iterable[T]) -> Iterator[T]:
        """The same items, counted while they are taken; the line goes with the last."""
        with self:
            for item in items:
                yield item
                self.step()

    def end(self) -> None:
        """Take the line away."""
        if self._width:
            note(f"\r{'':<{self._width}}\r", end="")
            self._width = 0
