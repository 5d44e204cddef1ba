"""A plain model of a maple tree: a dict from first index to (last index, entry)."""

from __future__ import annotations


class Model:
    def __init__(self) -> None:
        self.ranges: dict[int, tuple[int, int]] = {}

    def store(self, first: int, last: int, entry: int) -> None:
        for start, (end, old) in list(self.ranges.items()):
            if end < first or start > last:
                continue
            del self.ranges[start]
            if start < first:
                self.ranges[start] = (first - 1, old)
            if end > last:
                self.ranges[last + 1] = (end, old)
        if entry:
            self.ranges[first] = (last, entry)

    def at(self, index: int) -> tuple[int, int, int] | None:
        for start, (end, entry) in self.ranges.items():
            if start <= index <= end:
                return start, end, entry
        return None

    def load(self, index: int) -> int:
        found = self.at(index)
        return found[2] if found else 0

    def erase(self, index: int) -> int:
        found = self.at(index)
        if found:
            del self.ranges[found[0]]
        return found[2] if found else 0

    def is_free(self, first: int, last: int) -> bool:
        return all(end < first or start > last for start, (end, _) in self.ranges.items())

    def items(self) -> list[tuple[int, int, int]]:
        return [(start, end, entry) for start, (end, entry) in sorted(self.ranges.items())]

    def span(self, index: int, top: int) -> tuple[int, int, int]:
        """The range around an index, a gap included."""
        found = self.at(index)
        if found:
            return found
        first = max((end + 1 for end, _ in self.ranges.values() if end < index), default=0)
        last = min((start - 1 for start in self.ranges if start > index), default=top)
        return first, last, 0

    def free_area(self, size: int, low: int, high: int, top: int, *, reverse: bool) -> int | None:
        """The first index of the lowest or highest free run, by looking at every gap."""
        gaps = []
        index = 0
        for first, last, _ in self.items():
            gaps.append((index, first - 1))
            index = last + 1
        gaps.append((index, top))
        for first, last in reversed(gaps) if reverse else gaps:
            start, end = max(first, low), min(last, high)
            if start <= end and end - start >= size - 1:
                return end - size + 1 if reverse else start
        return None
