"""What a reader may see: the old tree or the new one, at each index.

The specification is include/linux/maple_tree.h: a removed node is marked, and readers test the mark
before they rely on what they loaded. So what they rely on is the tree before the operation or the
tree after it.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, NamedTuple

from layout.memory.pointers import xa_is_zero

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from layout.interleave.programs import Answer
    from layout.tree.kernel import Kernel


class Range(NamedTuple):
    """The inclusive range ``first`` to ``last``, and its entry; 0 is NULL."""

    first: int
    last: int
    entry: int


class Contents:
    """All ranges of a tree, NULL ones among them, without a hole."""

    def __init__(self, entries: Iterable[tuple[int, int, int]], top: int) -> None:
        self.ranges: list[Range] = []
        at = 0
        for first, last, entry in entries:
            if first > at:
                self.ranges.append(Range(at, first - 1, 0))
            self.ranges.append(Range(first, last, entry))
            at = last + 1
        if at <= top:
            self.ranges.append(Range(at, top, 0))
        self._starts = [each.first for each in self.ranges]

    def at(self, index: int) -> Range:
        """The range that holds an index."""
        return self.ranges[bisect_right(self._starts, index) - 1]

    def between(self, first: int, last: int) -> Iterator[Range]:
        """The ranges that meet ``first`` to ``last``."""
        at = bisect_right(self._starts, first) - 1
        while at < len(self.ranges) and self.ranges[at].first <= last:
            yield self.ranges[at]
            at += 1


def contents(kernel: Kernel, tree: int) -> Contents:
    """The ranges of a tree, as mas_find() finds them."""
    top = kernel.ulong_max
    mas = kernel.new_state(tree, 0)
    found: list[tuple[int, int, int]] = []
    while entry := kernel.mas_find(mas, top):
        found.append((int(mas.index), int(mas.last), int(entry)))
        if mas.last == top:
            break
    return Contents(found, top)


class Segment(NamedTuple):
    """Indexes that have one entry before the operation and one after it."""

    first: int
    last: int
    old: int
    new: int


class Judge:
    """The trees before and after an operation. :meth:`wrong` says what is wrong with an answer."""

    def __init__(self, old: Contents, new: Contents) -> None:
        self.old = old
        self.new = new

    def segments(self, first: int, last: int) -> Iterator[Segment]:
        """The segments of a range, cut to it."""
        for was in self.old.between(first, last):
            low, high = max(first, was.first), min(last, was.last)
            for now in self.new.between(low, high):
                start, end = max(low, now.first), min(high, now.last)
                yield Segment(start, end, was.entry, now.entry)

    def changed(self) -> list[Segment]:
        """The segments whose entry the operation changes."""
        top = self.old.ranges[-1].last
        return [each for each in self.segments(0, top) if each.old != each.new]

    def wrong(self, answer: Answer) -> str:
        """What is wrong with an answer; "" if nothing is."""
        found = self._wrong_entry(answer)
        if found or answer.passed is None:
            return found
        return self._wrong_passage(answer, *answer.passed)

    def _wrong_entry(self, answer: Answer) -> str:
        if answer.asked is None and not answer.entry:
            return ""
        if answer.first > answer.last:
            return f"{answer}: the range is upside down"
        if answer.asked is not None and not answer.first <= answer.asked <= answer.last:
            return f"{answer}: {answer.first:x}-{answer.last:x} does not hold {answer.asked:x}"
        hides = answer.call.startswith("mtree_load")
        for first, last, *entries in self.segments(answer.first, answer.last):
            old, new = (0 if hides and xa_is_zero(entry) else entry for entry in entries)
            if answer.entry == new or (answer.entry == old and not answer.late):
                continue
            return f"{answer}, but {_held(first, last, old, new, late=answer.late)}"
        return ""

    def _wrong_passage(self, answer: Answer, first: int, last: int) -> str:
        for low, high, old, new in self.segments(first, last):
            if not new or (not old and not answer.late):
                continue
            if answer.beside is not None and self._with(answer, low, high):
                continue
            held = _held(low, high, old, new, late=answer.late)
            return f"{answer} passes over {low:x}-{high:x}, but {held}"
        return ""

    def _with(self, answer: Answer, low: int, high: int) -> bool:
        """Whether indexes belong to the entry from which the operation went on."""
        assert answer.beside is not None
        trees = (self.new,) if answer.late else (self.old, self.new)
        homes = [tree.at(answer.beside) for tree in trees]
        return any(home.first <= low and high <= home.last for home in homes)

    # -- one reader after another

    def news(self, answer: Answer) -> Iterator[tuple[int, int]]:
        """Ranges in which an answer is that of the new tree and not of the old one."""
        if answer.entry or answer.asked is not None:
            for first, last, old, new in self.segments(answer.first, answer.last):
                if answer.entry == new != old:
                    yield first, last

    def older(self, answer: Answer, known: Iterable[tuple[int, int]]) -> str:
        """How an answer is older than what earlier readers saw, as news() gave it; else ""."""
        if not answer.entry and answer.asked is None:
            return ""
        for low, high in known:
            first, last = max(low, answer.first), min(high, answer.last)
            if first > last:
                continue
            for start, end, old, new in self.segments(first, last):
                if answer.entry == old != new:
                    where = _held(start, end, old, new, late=False)
                    return f"{answer}, but an earlier reader saw the new tree there: {where}"
        return ""


def _held(first: int, last: int, old: int, new: int, *, late: bool) -> str:
    where = f"{first:x}" if first == last else f"{first:x}-{last:x}"
    if late:
        return f"{where} held {_entry(new)} since before it began"
    if old == new:
        return f"{where} held {_entry(old)} all the time"
    return f"{where} held {_entry(old)} before and holds {_entry(new)} after"


def _entry(entry: int) -> str:
    return f"{entry:x}" if entry else "NULL"
