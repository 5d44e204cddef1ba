"""Ways to print what was found that are not the expected one, by the words that name them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from layout.testing.conformance.answer import Row


def _exclusive(rows: list[Row]) -> list[Row]:
    return [(first, last + 1, entry) for first, last, entry in rows]


def _sizes(rows: list[Row]) -> list[Row]:
    return [(first, last - first + 1, entry) for first, last, entry in rows]


def _pages(rows: list[Row]) -> list[Row]:
    return [(first >> 12, last >> 12, entry) for first, last, entry in rows]


def _untagged(rows: list[Row]) -> list[Row]:
    return [(first, last, entry & ~3) for first, last, entry in rows]


def _once(rows: list[Row]) -> list[Row]:
    return list(dict.fromkeys(rows))


def _sorted(rows: list[Row]) -> list[Row]:
    return sorted(rows)


def _merged(rows: list[Row]) -> list[Row]:
    merged: list[Row] = []
    for first, last, entry in rows:
        if merged and merged[-1][1] + 1 == first and merged[-1][2] == entry:
            merged[-1] = (merged[-1][0], last, entry)
        else:
            merged.append((first, last, entry))
    return merged


def _without_zero(rows: list[Row]) -> list[Row]:
    return [row for row in rows if row[2] >= 0x1000]


PRINTINGS: dict[str, Callable[[list[Row]], list[Row]]] = {
    "ends told as exclusive": _exclusive,
    "sizes told in place of the last index": _sizes,
    "indexes told in pages": _pages,
    "low bits of entries cut off": _untagged,
    "each range told once": _once,
    "ranges sorted": _sorted,
    "neighbours with the same entry merged": _merged,
    "entries below 4096 dropped": _without_zero,
}
