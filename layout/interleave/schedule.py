"""Depth-first search over the choices of a run that can be carried out again and again.

This is stateless model checking with dynamic partial-order reduction (Flanagan and Godefroid, POPL
2005), in the form for reads that see writes ("data-centric", Chalupa and others, POPL 2018). There
is one writer, and readers write nothing. So executions differ only in which store each load sees.
A choice is made at a load of bytes that have stores which are not visible yet, and nowhere else.
The options of a choice show different bytes (the values of Chatterjee, Pavlogiannis and Toman,
OOPSLA 2019). So no two executions are equivalent, and sleep sets would be empty.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")


class Schedule:
    """The choices of one execution: first those given, then always the first option.

    ``made`` has for each choice which option was taken and how many there were. ``pruned`` counts
    options that were not offered because another one does the same.
    """

    def __init__(self, given: tuple[int, ...] = ()) -> None:
        self._given = given
        self.made: list[tuple[int, int]] = []
        self.pruned = 0

    def choose(self, count: int) -> int:
        """One of ``count`` options."""
        at = len(self.made)
        taken = self._given[at] if at < len(self._given) else 0
        self.made.append((taken, count))
        return taken


def executions(
    run: Callable[[Schedule], T], bound: int | None = None
) -> Iterator[tuple[Schedule, T]]:
    """Every execution of ``run``, at most ``bound``; the first options come first.

    >>> def run(schedule):
    ...     return [schedule.choose(2), schedule.choose(2)]
    >>> [found for _, found in executions(run)]
    [[0, 0], [0, 1], [1, 0], [1, 1]]
    """
    given: tuple[int, ...] = ()
    done = 0
    while bound is None or done < bound:
        schedule = Schedule(given)
        result = run(schedule)
        done += 1
        yield schedule, result
        made = schedule.made
        while made and made[-1][0] + 1 == made[-1][1]:
            made.pop()
        if not made:
            return
        given = (*(taken for taken, _ in made[:-1]), made[-1][0] + 1)
