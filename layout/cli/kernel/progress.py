"""How far a campaign is, on stderr."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from layout.host.streams import note

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class _Campaign(Protocol):
    seconds: float
    shrinking: str
    dashboard: str


C = TypeVar("C", bound=_Campaign)


class Progress(Generic[C]):
    """One line on stderr: updated on a terminal, else written every ten seconds.

    ``describe`` gives the line of a campaign.
    """

    def __init__(self, describe: Callable[[C], str]) -> None:
        self._describe = describe
        self._terminal = sys.stderr.isatty()
        self._next = self._last = 0.0
        self._told = ""
        self._seen: C | None = None

    def __call__(self, campaign: C) -> None:
        """Tell how far the campaign is, or another one that begins when it has ended."""
        self._seen = campaign
        if campaign.seconds < self._last:
            self._next = 0.0
        self._last = campaign.seconds
        if campaign.seconds < self._next and not (self._terminal and campaign.shrinking):
            return
        if self._terminal and campaign.dashboard and not self._told:
            self._told = campaign.dashboard
            note(f"dashboard: {campaign.dashboard}")
        self._next = campaign.seconds + (0.2 if self._terminal else 10)
        text = self._describe(campaign)
        if campaign.shrinking:
            text += f"; making a trace shorter that differs in {campaign.shrinking}"
        note(f"\r{text} " if self._terminal else text, end="" if self._terminal else "\n")

    @contextmanager
    def kept_in(self, folder: str) -> Iterator[None]:
        """A campaign: where it is interrupted, tell how far it was, and what is in ``folder``."""
        try:
            yield
        except KeyboardInterrupt:
            self.end()
            if self._seen is not None:
                note(f"interrupted: {self._describe(self._seen)}")
            note(f"what was found is in {folder}; the same command goes on from there")
            raise
        self.end()

    def end(self) -> None:
        """Leave the line."""
        if self._terminal:
            note("")
