"""Traces of small trees in every state of a cursor, with limits at and beside the edges.

Random traces seldom have the limit of a step just at an index, or a cursor that was paused at the
first one. These go through all combinations: trees, indexes, how the cursor came into its state, the
next step, its limit; and the bounds and sizes of searches for free areas.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_LAST = (1 << 64) - 1
_TREES = {
    "empty": [],
    "root": ["store 0 0 1001"],
    "leaf": ["store 0 0 1001", "store 2 3 2001", f"store {_LAST:x} {_LAST:x} 3001"],
    "high": ["store 8 9 1001", "store a b 2001", f"store 10 {_LAST - 1:x} 3001"],
    "two levels": [f"store {4 * i:x} {4 * i + 2:x} {i + 1:x}001" for i in range(24)],
}
_UP = ("cnext", "cnext_range", "cfind", "cfind_range")
_DOWN = ("cprev", "cprev_range", "cfind_rev", "cfind_range_rev")


def _limits(index: int) -> list[int]:
    near = {index - 1, index, index + 1, index + 2, 0, _LAST}
    return sorted(limit for limit in near if 0 <= limit <= _LAST)


def _at(states: list[str], indexes: tuple[int, ...]) -> Iterator[tuple[int, str]]:
    for index in indexes:
        for state in dict.fromkeys(state.format(i=index) for state in states):
            yield index, state


def cursor_traces() -> Iterator[tuple[str, str]]:
    """Name and text of traces that take two steps with a cursor, the first into a state."""
    # a step that begins at its limit leaves the tree before it has a node, the next one crashes:
    # such a trace ends there
    states = ["", "cwalk", "cwalk\ncpause", "cwalk\ncreset"]
    states += [
        f"{step} {limit}" for step in ("cnext", "cfind") for limit in ("{i:x}", "0", f"{_LAST:x}")
    ]
    states += [f"{step} {limit}" for step in ("cprev", "cfind_rev") for limit in ("{i:x}", "0")]
    states += [
        f"cnext {_LAST:x}\ncpause",
        "cprev 0\ncpause",
        f"cfind_range {_LAST:x}\ncnext {_LAST:x}",
    ]
    for name, tree in _TREES.items():
        for index, state in _at(states, (0, 1, 2, 9, 0x20, _LAST)):
            lines = ["init 1", *tree]
            for step, limit in product((*_UP, *_DOWN), _limits(index)):
                lines += [f"cset {index:x}", *state.splitlines(), f"{step} {limit:x}"]
            how = state.replace("\n", ", ")
            yield f"{name}, cursor at {index:x} {how}", "\n".join(lines)
        lines = []
        for index, state in product((0, 1, 9, 0x5E, _LAST), states):
            for change in ("cstore 5001", "cstore 0", "cerase"):
                lines += ["init 1", *tree, f"cset {index:x} {min(index + 1, _LAST):x}"]
                lines += [
                    *state.format(i=index).splitlines(),
                    change,
                    f"cnext {_LAST:x}",
                    "cprev 0",
                ]
        yield f"changes, {name}", "\n".join(lines)


def border_traces() -> Iterator[tuple[str, str]]:
    """Single steps from each index of a tree of two levels, with limits beside it."""
    for step in (*_UP, *_DOWN):
        lines = ["init 1", *_TREES["two levels"]]
        for index in range(0x61):
            for limit in range(max(index - 6, 0), index + 7):
                lines += [f"cset {index:x}", "cwalk", f"{step} {limit:x}"]
        yield f"borders, {step}", "\n".join(lines)


def area_traces() -> Iterator[tuple[str, str]]:
    """The same of traces that search free areas."""
    bounds = (0, 1, 2, 4, 9, 0x5F, _LAST - 1, _LAST)
    for name, tree in _TREES.items():
        lines = ["init 1", *tree]
        for low, high in product(bounds, bounds):
            for size in (1, 2, 3, 5, max(high - low, 1), high - low + 2, _LAST):
                if 0 < size <= _LAST and low <= high:
                    lines += [
                        f"{op} {low:x} {high:x} {size:x}" for op in ("empty_area", "empty_area_rev")
                    ]
        yield f"areas, {name}", "\n".join(lines)
        yield from _allocations(name, tree)
    lines = ["init 1"]  # a window that cuts the gap of one leaf, and enough room in another
    lines += [f"store {16 * i:x} {16 * i + 3 + 5 * i % 12:x} {i + 1:x}001" for i in range(40)]
    for low, high, size in product((0, 0x20, 0x85), range(0x90, 0x280, 3), (3, 6, 9, 12)):
        lines += [f"{op} {low:x} {high:x} {size:x}" for op in ("empty_area", "empty_area_rev")]
    yield "areas, gaps of many sizes", "\n".join(lines)


def _allocations(name: str, tree: list[str]) -> Iterator[tuple[str, str]]:
    for op in ("alloc_range", "alloc_rrange", "alloc_cyclic"):
        lines = []
        for low, high, size in product((0, 1, 3, 8, _LAST), (0, 1, 4, 0x60, _LAST), (1, 2, 5)):
            if op == "alloc_cyclic":
                lines += [
                    "init 1",
                    *tree,
                    f"{op} 7001 {low:x} {high:x} {low + size - 1 & _LAST:x}",
                ]
                lines.append(lines[-1])
            else:
                lines += ["init 1", *tree, f"{op} 7001 {size:x} {low:x} {high:x}"]
        yield f"{op}, {name}", "\n".join(lines)
