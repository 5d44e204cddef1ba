"""Readers that are Python callables, given memory to read from and a tree's address."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from layout.formats.segments import segments
from layout.memory.node import NodeMemory
from layout.memory.structs import DEFAULT_VERSION
from layout.testing.conformance.answer import Answer, too_slow
from layout.testing.conformance.cases import corpus
from layout.testing.conformance.judge import Judge
from layout.testing.conformance.result import Result

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from layout.memory.structs import Layout
    from layout.testing.conformance.cases import Built

    Callback = Callable[["CaseMemory", int], Iterable[tuple[int, int, int]]]


class OutOfTimeError(BaseException):
    """The reader took too long: raised out of ``read``, past its ``except Exception``."""


class CaseMemory:
    """The memory of a case, and the facts about the kernel that a debugger has."""

    def __init__(self, built: Built, seconds: float) -> None:
        image = built.image
        self.arch = image.arch.name
        self.byteorder = image.arch.byteorder
        self.word_size = image.arch.word_size
        self.page_size = image.arch.page_size
        self.kernel = image.profile.version
        self.lock_size = image.profile.lock_size
        self.mem = _kept(built)
        """The same memory as this package's own readers take it; it knows of no time limit."""
        self._end = time.monotonic() + seconds

    def read(self, address: int, size: int) -> bytes:
        """``size`` bytes at ``address``. Raises LookupError where there is no memory."""
        if time.monotonic() > self._end:
            raise OutOfTimeError
        arena = self.mem.arena_at(address)
        parts = b""
        while arena is not None and len(parts) < size:
            at = address + len(parts) - arena.base
            parts += bytes(arena.data[at : at + size - len(parts)])
            arena = self.mem.arena_at(address + len(parts))
        if len(parts) < size:
            message = f"no memory at {address + len(parts):x}"
            raise LookupError(message)
        return parts

    def layout(self, name: str) -> Layout:
        """The layout of a struct: ``layout("maple_tree").offset("ma_root")``."""
        return self.mem.profile.layout(name)


def check(  # noqa: PLR0913 - what is tried on it
    reader: Callback,
    *,
    arches: Iterable[str] | None = None,
    pattern: Iterable[str] = (),
    kernel: str = DEFAULT_VERSION,
    hide_zero: bool = False,
    seconds: float = 10,
) -> Result:
    """Run a callable over the corpus: ``reader(memory, tree)`` returns (first, last, entry)s.

    Over a damaged image it has to raise an exception. A reader that takes more than ``seconds``
    is stopped at its next ``memory.read``; one that never reads again is not. ``kernel`` is the
    version that makes the trees. Raises UsageError, UnknownArchError.
    """
    judge = Judge(hide_zero=hide_zero, seconds=seconds)
    result = Result(judge.failures)
    for case in corpus(arches, pattern, kernel):
        built = case.build()
        answer = _ask(reader, built, seconds)
        judge.judge(case, built, answer)
        result.ran.append((case, answer.seconds))
    judge.settle()
    return result


def _ask(reader: Callback, built: Built, seconds: float) -> Answer:
    answer = Answer()
    start = time.monotonic()
    try:
        for first, last, entry in reader(CaseMemory(built, seconds), built.image.tree):
            answer.rows.append((first, last, entry))
    except OutOfTimeError:
        answer.stopped = too_slow(seconds)
    except Exception as error:  # noqa: BLE001 - whatever the reader raises is its answer
        answer.status = 1
        answer.said = f"{type(error).__name__}: {error}"
    answer.seconds = time.monotonic() - start
    return answer


def _kept(built: Built) -> NodeMemory:
    """The image's memory without what a cut file lacks."""
    pieces = segments(built.image.memory)
    left = int(sum(len(piece.data) for piece in pieces) * built.kept)
    memory = NodeMemory(built.image.arch, built.image.profile)
    for address, data in pieces:
        if left > 0:
            memory.map(address, bytearray(data[:left]), "a segment")
        left -= len(data)
    return memory
