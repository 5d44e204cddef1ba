"""What a reader may see: the old tree, the new one, or one between, at each index.

The specification is include/linux/maple_tree.h: a removed node is marked, and readers test the mark
before they rely on what they loaded. So what they rely on is the tree before the operations, or the
tree after one of them.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import groupby
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
    """Indexes that have one entry before the operations, and one after each of them."""

    first: int
    last: int
    entries: tuple[int, ...]


class Known(NamedTuple):
    """Indexes at which a reader saw a tree no older than that after ``number`` operations."""

    first: int
    last: int
    number: int


class Judge:
    """The trees before operations and after each of them; :meth:`wrong` judges an answer."""

    def __init__(self, *trees: Contents) -> None:
        self.trees = trees

    def segments(self, first: int, last: int) -> Iterator[Segment]:
        """The segments of a range, cut to it."""
        while first <= last:
            homes = [tree.at(first) for tree in self.trees]
            end = min(last, *(home.last for home in homes))
            yield Segment(first, end, tuple(home.entry for home in homes))
            first = end + 1

    def changed(self) -> list[Segment]:
        """The segments whose entry the operations change."""
        top = self.trees[0].ranges[-1].last
        return [each for each in self.segments(0, top) if len(set(each.entries)) > 1]

    def wrong(self, answer: Answer) -> str:
        """What is wrong with an answer; "" if nothing is."""
        found = self._wrong_entry(answer)
        if found or answer.passed is None:
            return found
        return self._wrong_passage(answer, *answer.passed)

    def _wrong_entry(self, answer: Answer) -> str:
        if not answer.is_content:
            return ""
        if answer.first > answer.last:
            return f"{answer}: the range is upside down"
        if answer.asked is not None and not answer.first <= answer.asked <= answer.last:
            return f"{answer}: {answer.first:x}-{answer.last:x} does not hold {answer.asked:x}"
        for first, last, entries in self._shown(answer, answer.first, answer.last):
            if answer.entry not in _possible(entries, answer):
                return f"{answer}, but {_held(first, last, entries, late=answer.late)}"
        return ""

    def _shown(self, answer: Answer, first: int, last: int) -> Iterator[Segment]:
        """The segments of a range with the entries that the answer's operation returns."""
        hides = answer.call.startswith("mtree_load")
        for each in self.segments(first, last):
            if hides and any(map(xa_is_zero, each.entries)):
                entries = tuple(0 if xa_is_zero(entry) else entry for entry in each.entries)
                yield each._replace(entries=entries)
            else:
                yield each

    def _wrong_passage(self, answer: Answer, first: int, last: int) -> str:
        for low, high, entries in self.segments(first, last):
            if not all(_possible(entries, answer)):
                continue
            if answer.beside is not None and self._with(answer, low, high):
                continue
            held = _held(low, high, entries, late=answer.late)
            return f"{answer} passes over {low:x}-{high:x}, but {held}"
        return ""

    def _with(self, answer: Answer, low: int, high: int) -> bool:
        """Whether indexes belong to the entry from which the operation went on."""
        assert answer.beside is not None
        trees = self.trees[-1:] if answer.late else self.trees
        homes = [tree.at(answer.beside) for tree in trees]
        return any(home.first <= low and high <= home.last for home in homes)

    # -- one reader after another

    def news(self, answer: Answer, known: Iterable[Known] = ()) -> Iterator[Known]:
        """Where an answer is of a newer tree than the first, by what readers have ``known``.

        That is the oldest tree with this answer which is no older than what was known there.
        """
        if answer.is_content:
            for first, last, entries in self._shown(answer, answer.first, answer.last):
                covering = (at for low, high, at in known if low <= first and last <= high)
                least = max(covering, default=0)
                fits = [at for at in _with_entry(entries, answer) if at >= least]
                if fits and fits[0]:
                    yield Known(first, last, fits[0])

    def older(self, answer: Answer, known: Iterable[Known]) -> str:
        """How an answer is older than what earlier readers saw, as news() gave it; else ""."""
        if not answer.is_content:
            return ""
        for low, high, least in known:
            first, last = max(low, answer.first), min(high, answer.last)
            for start, end, entries in self._shown(answer, first, last):
                fits = _with_entry(entries, answer)
                if fits and fits[-1] < least:
                    where = _held(start, end, entries, late=False)
                    tree = "the new tree" if least == len(self.trees) - 1 else "a newer tree"
                    return f"{answer}, but an earlier reader saw {tree} there: {where}"
        return ""


def _possible(entries: tuple[int, ...], answer: Answer) -> tuple[int, ...]:
    """The entries that an answer may show."""
    return entries[-1:] if answer.late else entries


def _with_entry(entries: tuple[int, ...], answer: Answer) -> list[int]:
    """After how many operations there was an answer's entry."""
    return [number for number, entry in enumerate(entries) if entry == answer.entry]


def _held(first: int, last: int, entries: tuple[int, ...], *, late: bool) -> str:
    where = f"{first:x}" if first == last else f"{first:x}-{last:x}"
    old, *later = (_entry(entry) for entry, _ in groupby(entries))
    if late:
        return f"{where} held {_entry(entries[-1])} since before it began"
    if not later:
        return f"{where} held {old} all the time"
    *between, new = later
    then = "".join(f", then {entry}" for entry in between)
    return f"{where} held {old} before{then}{',' * bool(between)} and holds {new} after"


def _entry(entry: int) -> str:
    return f"{entry:x}" if entry else "NULL"
