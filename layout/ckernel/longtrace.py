"""Long traces of plain operations, made quickly: nothing is carried out while they are made.

What they consist of is what compiled code replays (layout/compiled/parts/lines.pyx), with some
other lines among it. Traces that look at the tree while they are made are layout/ckernel/generate.
"""

from __future__ import annotations

import itertools
import random
from typing import TYPE_CHECKING

from layout.machine.machine import TREES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

LINES = 20_000
"""Operations of a trace, about."""

_USUAL: dict[str, float] = {
    "store": 40, "clear": 6, "storenw": 3, "mstore": 8, "insert": 8, "erase": 8, "load": 4,
    "walk": 3, "find": 3, "find_after": 2, "next": 2, "prev": 2, "empty_area": 2,
    "empty_area_rev": 2, "alloc_range": 3, "alloc_rrange": 3, "iter": 0.1, "prealloc": 0.05,
    "validate": 0.005, "fail": 0.1,
}  # fmt: skip
_MOODS: tuple[Mapping[str, float], ...] = (
    {},
    {},
    {"store": 90},
    {"insert": 50, "erase": 30},
    {"clear": 30, "erase": 25},
    {"mstore": 50},
    {"alloc_range": 30, "alloc_rrange": 30, "erase": 20},
    {"storenw": 30, "fail": 2},
)
"""How likely operations are, where it is not as usual, for a stretch of a trace."""
_STRETCH = 250
"""Operations of a stretch."""
_POOL, _EDGES = 128, 64
_BESIDE, _UNLIMITED = 0.25, 0.5
"""How likely an index lies beside one that was used, and a search has no limit."""
_STAYS = 1.25
"""Of so many that a pool gives, 1 is an old one, and the rest is new."""
_OF_GAPS = frozenset({"empty_area", "empty_area_rev", "alloc_range", "alloc_rrange"})
_TRACKS_GAPS = 1


def long_trace(seed: int, top: int, without: frozenset[str] = frozenset()) -> list[str]:
    """The lines of the trace that belongs to a seed; ``top`` is the machine's largest index.

    Each line is an operation; those named ``without`` are left out. Each tree is filled, changed
    and destroyed in turn.
    """
    pick = random.Random(seed)  # noqa: S311 - no secret
    lines: list[str] = []
    for number in range(TREES):
        flags = pick.choice((0, 1, 1, 2, 3, 3))
        left_out = without if flags & _TRACKS_GAPS else without | _OF_GAPS
        moves = _moves(pick, top)
        lines += [f"sel {number}", f"init {flags}"]
        for _ in range(LINES // TREES // _STRETCH):
            mood = {**_USUAL, **pick.choice(_MOODS)}
            likely = {name: weight for name, weight in mood.items() if name not in left_out}
            chosen = pick.choices(list(likely), list(likely.values()), k=_STRETCH)
            lines += [moves[name]() for name in chosen]
        lines += ["fail -", "validate", f"iter 0 {top:x}", "destroy"]
    return lines


def _moves(pick: random.Random, top: int) -> dict[str, Callable[[], str]]:
    """What makes a line, by name: all in one place, where one tree's ranges lie.

    Ranges and indexes are taken from pools, in which old ones are replaced now and then.
    """
    draw = pick.random
    scale = pick.choice((1, 1, 1, 2, 0x10, 0x1000, 0x1000, (top + 1) >> 11))
    width = pick.choice((0x20, 0x80, 0x200, 0x200, 0x400))
    far = top + 1 - width * scale
    base = pick.choice((0, 0, 0, far, pick.randrange(far), min(0x1000, far)))
    longest = pick.choice((1, 2, 4, 8, 16, 16, 100))
    spanning = pick.choice((0, 0, 0.01, 0.05, 0.3))
    edges = [0, 1, top - 1, top]  # and indexes that were used
    entries = itertools.count(1)

    def index() -> int:
        if draw() < _BESIDE:
            near = edges[int(draw() * len(edges))] + int(draw() * 3) - 1
            return near if 0 <= near <= top else 0
        return base + int(draw() * width) * scale

    def span() -> str:
        first = index()
        if draw() < spanning:
            last = index()
            first, last = (first, last) if first <= last else (last, first)
        else:
            last = min(first + int(draw() * longest + 1) * scale - 1, top)
        if len(edges) == _EDGES:
            edges[4 + int(draw() * (_EDGES - 4))] = last
        else:
            edges.append(last)
        return f"{first:x} {last:x}"

    def window() -> str:
        low = index()
        high = top if draw() < _UNLIMITED else index()
        return f"{low:x} {high:x}" if low <= high else f"{high:x} {low:x}"

    def entry() -> int:
        number = next(entries)
        return number << 1 | 1 if number & 1 else number << 12

    def size() -> int:
        return int(draw() * 2 * longest + 1) * scale

    at, range_, limits = (_pooled(make, draw) for make in (lambda: f"{index():x}", span, window))
    return {
        "store": lambda: f"store {range_()} {entry():x}",
        "clear": lambda: f"store {range_()} 0",
        "storenw": lambda: f"storenw {range_()} {entry():x}",
        "mstore": lambda: f"mstore {range_()} {entry():x}",
        "insert": lambda: f"insert {range_()} {entry():x}",
        "prealloc": lambda: f"prealloc {range_()} {entry():x}",
        "erase": lambda: f"erase {at()}",
        "load": lambda: f"load {at()}",
        "walk": lambda: f"walk {at()}",
        "find": lambda: f"find {limits()}",
        "find_after": lambda: f"find_after {limits()}",
        "next": lambda: f"next {limits()}",
        "prev": lambda: f"prev {at()} {0 if draw() < _UNLIMITED else index():x}",
        "iter": lambda: f"iter {limits()}",
        "empty_area": lambda: f"empty_area {limits()} {size():x}",
        "empty_area_rev": lambda: f"empty_area_rev {limits()} {size():x}",
        "alloc_range": lambda: f"alloc_range {entry():x} {size():x} {limits()}",
        "alloc_rrange": lambda: f"alloc_rrange {entry():x} {size():x} {limits()}",
        "validate": lambda: "validate",
        "fail": lambda: f"fail {int(draw() * 4):x} {int(draw() * 3 + 1):x}",
    }


def _pooled(make: Callable[[], str], draw: Callable[[], float]) -> Callable[[], str]:
    """What takes from a pool of texts."""
    pool = [make() for _ in range(_POOL)]

    def one() -> str:
        number = int(draw() * _POOL * _STAYS)
        if number >= _POOL:
            number %= _POOL
            pool[number] = make()
        return pool[number]

    return one
