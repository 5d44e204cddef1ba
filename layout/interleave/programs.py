"""What readers do: short programs of read operations, and the answers that they get."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from layout.memory.errors import UsageError
from layout.tree.state import MA_ACTIVE, MA_OVERFLOW, MA_UNDERFLOW

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from layout.interleave.view import ViewMemory
    from layout.tree.kernel import Kernel
    from layout.tree.state import MaState

STEPS = 3
"""How often a program goes on to the next range."""

POINTS = 8
"""How many indexes programs start from."""


class Answer(NamedTuple):
    """What one read operation returned.

    ``first`` and ``last`` are the range of ``entry``; for ``load`` both are the index that was
    asked for. ``asked`` is an index that the range must hold, None if there is none. ``passed`` is
    the range of indexes that the operation went over because nothing is there, ``beside`` the index
    from which it went on, None at the beginning. ``late`` says that it began when all stores were
    visible. ``empty`` says that a NULL is the content of the range, not the end of a search.
    """

    call: str
    entry: int
    first: int
    last: int
    asked: int | None = None
    passed: tuple[int, int] | None = None
    beside: int | None = None
    late: bool = False
    empty: bool = False

    @property
    def is_content(self) -> bool:
        """Whether it tells what its range holds."""
        return bool(self.entry) or self.empty or self.asked is not None

    def __str__(self) -> str:
        if self.empty and not self.entry:
            return f"{self.call} = NULL over {self.first:x}-{self.last:x}"
        if not self.entry:
            return f"{self.call} = NULL"
        if self.call.startswith("mtree_load"):
            return f"{self.call} = {self.entry:x}"
        return f"{self.call} = {self.entry:x} over {self.first:x}-{self.last:x}"


class Program(NamedTuple):
    """A reader: its name, and what it does with the kernel's operations and a tree."""

    name: str
    run: Callable[[Kernel, int], Iterator[Answer]]


def programs(  # noqa: PLR0913 - a change, and what lies around it
    points: Iterable[int],
    low: int,
    high: int,
    ends: tuple[int, int],
    top: int,
    *,
    fresh: bool = False,
) -> list[Program]:
    """The readers for a change of ``low`` to ``high``: at each point, and over the whole range.

    ``ends`` are indexes of the ranges before and behind, from which readers go on as well. With
    ``fresh`` there are also some who go on after all stores are visible.
    """
    found: list[Program] = []
    places = sorted(set(points))
    for index in places:
        found += [_load(index), _walk(index)]
    before, after = max(low - 1, 0), min(high + 1, top)
    found += [_forward(before, after), _backward(after, before)]
    found += [_next_range(before, top), _prev_range(after)]
    for index in dict.fromkeys((before, low, ends[0])):
        found += [_next(index, top, late=late) for late in ((False, True) if fresh else (False,))]
    for index in dict.fromkeys((after, high, ends[1])):
        found += [_prev(index, late=late) for late in ((False, True) if fresh else (False,))]
    return found


def named(words: str, top: int) -> Program:
    """A reader by its words, such as ``load I`` or ``find A B``. Raises UsageError."""
    kind, *given = words.split() or [""]
    try:
        numbers = [int(word, 16) for word in given]
    except ValueError:
        numbers = []
    wanted = 2 if kind == "find" else 1
    known = ("load", "walk", "next", "prev", "next_range", "prev_range", "find")
    if kind not in known or len(numbers) != wanted or not all(0 <= n <= top for n in numbers):
        message = (
            f"--reader {words[:40]!r} is none of 'load I', 'walk I', 'next I', 'prev I', "
            "'next_range I', 'prev_range I', 'find A B', with indexes in hex"
        )
        raise UsageError(message)
    index, last = numbers[0], numbers[-1]
    if kind == "load":
        return _load(index)
    if kind == "walk":
        return _walk(index)
    if kind == "next":
        return _next(index, top, late=False)
    if kind == "next_range":
        return _next_range(index, top)
    if kind == "prev_range":
        return _prev_range(index)
    return _prev(index, late=False) if kind == "prev" else _forward(index, last)


def _load(index: int) -> Program:
    def run(kernel: Kernel, tree: int) -> Iterator[Answer]:
        entry = _follow(kernel, kernel.mtree_load(tree, index))
        yield Answer(f"mtree_load({index:x})", entry, index, index, index)

    return Program(f"load {index:x}", run)


def _walk(index: int) -> Program:
    def run(kernel: Kernel, tree: int) -> Iterator[Answer]:
        mas = kernel.new_state(tree, index)
        yield _walked(kernel, mas, index)

    return Program(f"walk {index:x}", run)


def _walked(kernel: Kernel, mas: MaState, index: int) -> Answer:
    entry = _follow(kernel, kernel.mas_walk(mas))
    return Answer(f"mas_walk({index:x})", entry, int(mas.index), int(mas.last), index)


def _forward(first: int, limit: int) -> Program:
    def run(kernel: Kernel, tree: int) -> Iterator[Answer]:
        mas = kernel.new_state(tree, first)
        beside: int | None = None
        start = first
        for _ in range(STEPS + 1):
            entry = _follow(kernel, kernel.mas_find(mas, limit))
            answer = _gone_forward(f"mas_find({limit:x})", entry, mas, start, limit, beside)
            yield answer
            if not entry or mas.last >= limit:
                return
            beside, start = answer.last, answer.last + 1

    return Program(f"find {first:x} {limit:x}", run)


def _backward(first: int, low: int) -> Program:
    def run(kernel: Kernel, tree: int) -> Iterator[Answer]:
        mas = kernel.new_state(tree, first)
        beside: int | None = None
        start = first
        for _ in range(STEPS + 1):
            entry = _follow(kernel, kernel.mas_find_rev(mas, low))
            answer = _gone_back(f"mas_find_rev({low:x})", entry, mas, start, low, beside)
            yield answer
            if not entry or mas.index <= low:
                return
            beside, start = answer.first, answer.first - 1

    return Program(f"find_rev {first:x} {low:x}", run)


def _next(index: int, top: int, *, late: bool) -> Program:
    def run(kernel: Kernel, tree: int) -> Iterator[Answer]:
        mas = kernel.new_state(tree, index)
        yield _walked(kernel, mas, index)
        _all(kernel, late=late)
        for _ in range(STEPS):
            beside = int(mas.last)
            if beside >= top:
                return
            entry = _follow(kernel, kernel.mas_next(mas, top))
            call = f"mas_next({top:x})"
            answer = _gone_forward(call, entry, mas, beside + 1, top, beside)
            yield answer._replace(late=late)
            if not entry or mas.status == MA_OVERFLOW:
                return

    return Program(f"next {index:x}{', all stores visible after the walk' * late}", run)


def _prev(index: int, *, late: bool) -> Program:
    def run(kernel: Kernel, tree: int) -> Iterator[Answer]:
        mas = kernel.new_state(tree, index)
        yield _walked(kernel, mas, index)
        _all(kernel, late=late)
        for _ in range(STEPS):
            beside = int(mas.index)
            if not beside:
                return
            entry = _follow(kernel, kernel.mas_prev(mas, 0))
            answer = _gone_back("mas_prev(0)", entry, mas, beside - 1, 0, beside)
            yield answer._replace(late=late)
            if not entry or mas.status == MA_UNDERFLOW:
                return

    return Program(f"prev {index:x}{', all stores visible after the walk' * late}", run)


def _next_range(index: int, top: int) -> Program:
    def run(kernel: Kernel, tree: int) -> Iterator[Answer]:
        mas = kernel.new_state(tree, index)
        yield _walked(kernel, mas, index)
        for _ in range(STEPS):
            beside = int(mas.last)
            if beside >= top:
                return
            entry = _follow(kernel, kernel.mas_next_range(mas, top))
            inside = mas.status == MA_ACTIVE
            call = f"mas_next_range({top:x})"
            yield _gone_forward(call, entry, mas, beside + 1, top, beside, empty=inside)
            if not (entry or inside):
                return

    return Program(f"next_range {index:x}", run)


def _prev_range(index: int) -> Program:
    def run(kernel: Kernel, tree: int) -> Iterator[Answer]:
        mas = kernel.new_state(tree, index)
        yield _walked(kernel, mas, index)
        for _ in range(STEPS):
            beside = int(mas.index)
            if not beside:
                return
            entry = _follow(kernel, kernel.mas_prev_range(mas, 0))
            inside = mas.status == MA_ACTIVE
            yield _gone_back("mas_prev_range(0)", entry, mas, beside - 1, 0, beside, empty=inside)
            if not (entry or inside):
                return

    return Program(f"prev_range {index:x}", run)


def _follow(kernel: Kernel, entry: int) -> int:
    mem: ViewMemory = kernel.mem  # type: ignore[assignment] # of a ReaderKernel
    return mem.follow(entry)


def _all(kernel: Kernel, *, late: bool) -> None:
    if late:
        mem: ViewMemory = kernel.mem  # type: ignore[assignment] # of a ReaderKernel
        mem.see_everything()


def _gone_forward(  # noqa: PLR0913 - a step, and from where to where
    call: str,
    entry: int,
    mas: MaState,
    start: int,
    limit: int,
    beside: int | None,
    *,
    empty: bool = False,
) -> Answer:
    index, last = int(mas.index), int(mas.last)
    end = index - 1 if entry or empty else limit
    passed = (start, end) if start <= end else None
    return Answer(call, entry, index, last, None, passed, beside, empty=empty)


def _gone_back(  # noqa: PLR0913 - a step, and from where to where
    call: str,
    entry: int,
    mas: MaState,
    start: int,
    low: int,
    beside: int | None,
    *,
    empty: bool = False,
) -> Answer:
    index, last = int(mas.index), int(mas.last)
    end = last + 1 if entry or empty else low
    passed = (end, start) if end <= start else None
    return Answer(call, entry, index, last, None, passed, beside, empty=empty)
