"""The accounts of the ledger: what each operation costs in nodes and written bytes.

docs/watching.md defines every figure. :mod:`layout.machine.watch.ledger` has what takes the notes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from arches import Arch
    from layout.compiled._core import Core

Span = tuple[int, int]
"""Bytes from the first address to before the second."""

_SPANS = 1 << 12
"""Writes within an operation after which they are merged."""


@dataclass(frozen=True, slots=True)
class Account:
    """The cost of one operation.

    Each byte, word and cache line counts once, even if it was written more often.
    """

    number: int
    """Its line in the trace, or a count from 1."""
    name: str
    """The operation."""
    requested: int
    """How many nodes it asked the node cache for, and got."""
    refused: int
    """How many nodes the cache refused."""
    used: int
    """How many of them became part of a tree."""
    given_back: int
    """How many it gave back unused."""
    freed: int
    """How many nodes it freed, the unused ones among them."""
    bytes_written: int
    """How many bytes of nodes it wrote."""
    words_written: int
    """How many words of nodes it wrote."""
    cache_lines: int
    """How many cache lines it wrote to."""
    warnings: tuple[str, ...]
    """Unnecessary work, a line for each."""

    def to_json(self) -> dict[str, Any]:
        """The figures and warnings, as a transcript line carries them."""
        figures = {name: getattr(self, name) for name in self.__slots__[2:]}
        return {**figures, "warnings": list(self.warnings)}


class Ledger:
    """The accounts of all operations so far, and that of the current operation.

    Over compiled operations ``core`` has what it was not told yet.
    """

    core: Core | None = None

    def __init__(self, arch: Arch) -> None:
        self.accounts: list[Account] = []
        self._spans: list[Span] = []
        self._limit = _SPANS
        self.reserving = False
        self.inside = False
        """Whether an outermost call is under way."""
        self.reads: dict[int, int] = {}
        self._word, self._line = arch.word_size, arch.cache_line
        self._requested = self._refused = self._used = self._given_back = self._freed = 0
        self._before = self._nodes
        self._unused: set[int] = set()
        self._open: tuple[int, str] | None = None
        self._unit = "line"
        self._warnings: list[str] = []

    # -- operations

    def open(self, number: int, name: str, unit: str = "line") -> None:
        """Start an operation."""
        self.catch_up()
        self._open, self._unit = (number, name), unit
        self._before = self._nodes
        self._warnings = []
        self._spans.clear()
        self._limit = _SPANS

    def open_call(self, name: str) -> bool:
        """Start an operation of its own for a call; false if one is open already."""
        if self._open is not None:
            return False
        self.open(len(self.accounts) + 1, name, "call")
        return True

    def close(self, *, drop_idle: bool = False) -> Account:
        """End the operation; with ``drop_idle`` it is forgotten if it did nothing."""
        assert self._open is not None
        self.catch_up()
        number, name = self._open
        spans = merged(self._spans)
        requested, refused, used, given_back, freed = (
            now - was for now, was in zip(self._nodes, self._before, strict=True)
        )
        account = Account(
            number,
            name,
            requested=requested,
            refused=refused,
            used=used,
            given_back=given_back,
            freed=freed,
            bytes_written=units(spans, 1),
            words_written=units(spans, self._word),
            cache_lines=units(spans, self._line),
            warnings=tuple(self._warnings),
        )
        self._open = None
        if not drop_idle or account.warnings or account.freed or account.bytes_written:
            self.accounts.append(account)
        return account

    def label(self, bounds: tuple[int, int]) -> str:
        """The name of the open operation and the range it is about."""
        assert self._open is not None
        number, name = self._open
        name = name.split()[0]
        return f"{self._unit} {number}, {name} {bounds[0]:x}-{bounds[1]:x}"

    def warn(self, text: str) -> None:
        """Add a warning to the open operation."""
        self._warnings.append(text)

    def wrote(self, address: int, width: int) -> None:
        """Bytes of a node were written."""
        self._spans.append((address, address + width))
        if len(self._spans) > self._limit:
            self._merge()

    def _merge(self) -> None:
        """Keep no more spans than there must be: in bulk loads there are many."""
        self._spans = merged(self._spans)
        self._limit = max(_SPANS, 2 * len(self._spans))

    def catch_up(self) -> None:
        """Take over what compiled operations have noted, if there are any."""
        if self.core is None:
            return
        for what, number in self.core.take_notes():
            getattr(self, what)(number)
        while spans := self.core.take_spans():
            self._spans += spans
            if len(self._spans) > self._limit:
                self._merge()

    # -- nodes

    @property
    def _nodes(self) -> tuple[int, int, int, int, int]:
        """The figures of nodes up to now, as an Account has them."""
        return self._requested, self._refused, self._used, self._given_back, self._freed

    def reserve(self, node: int) -> None:
        """The node cache hands out a node for a state's reserve."""
        self._requested += 1
        self._unused.add(node)

    def hand_out(self, node: int) -> None:  # noqa: ARG002 - called as the others
        """The node cache hands out a node to be used at once."""
        self._requested += 1
        self._used += 1

    def refuse(self, count: int) -> None:
        """The node cache refuses ``count`` nodes."""
        self._refused += count

    def use(self, node: int) -> None:
        """A node is taken out of a state's reserve; one that was in the tree before is no gain."""
        if node in self._unused:
            self._unused.remove(node)
            self._used += 1

    def take_back(self, node: int) -> None:
        """The node cache gets a node back."""
        self._freed += 1
        if node in self._unused:
            self._unused.remove(node)
            self._given_back += 1

    @property
    def used(self) -> int:
        """Nodes used so far."""
        self.catch_up()
        return self._used

    @property
    def gone(self) -> int:
        """Nodes used or given back so far."""
        self.catch_up()
        return self._used + self._given_back

    @property
    def held(self) -> int:
        """Nodes that states hold in reserve."""
        self.catch_up()
        return len(self._unused)


def merged(spans: Iterable[Span]) -> list[Span]:
    """The same bytes in ascending spans that do not touch."""
    out: list[Span] = []
    start = end = -1
    for first, behind in sorted(spans):
        if first > end:
            if end > start:
                out.append((start, end))
            start, end = first, behind
        elif behind > end:
            end = behind
    return [*out, (start, end)] if end > start else out


def units(spans: Iterable[Span], unit: int) -> int:
    """How many aligned units of ``unit`` bytes merged() spans touch.

    >>> spans = merged([(0, 8), (4, 12), (64, 65)])
    >>> units(spans, 1), units(spans, 64)
    (13, 2)
    """
    count = done = 0  # the units before ``done`` are counted
    for start, end in spans:
        first, behind = start // unit, (end - 1) // unit + 1
        count += behind - first - (first < done)  # it shares no more than one with the last span
        done = behind
    return count
