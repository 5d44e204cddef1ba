"""What two kernels made of the same operations: transcript lines, compared as a caller sees them.

Two kernels put the same ranges into other nodes and ask for them otherwise. So the address of a
node counts as a node, whichever it is. And where memory is refused, one kernel may be hit and the
other not, because it asked for another number of nodes. What differs from there on is not the
kernels' doing: it is told as that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from layout.memory.node import NODE_SIZE
from layout.memory.pointers import NODE_MASK
from layout.traces.language import RESULTS

if TYPE_CHECKING:
    from arches import Arch
    from layout.traces.session import Line
    from layout.traces.trace import Operation

_LONGEST = 200


@dataclass(frozen=True, slots=True)
class Parting:
    """The first operation with different results."""

    operation: Operation
    """The operation."""
    field: str
    """The key of its transcript line."""
    values: tuple[Any, Any]
    """What each side has there."""
    refused: int | None = None
    """The line since which refused allocations hit the two otherwise; None if none did."""
    told: tuple[str, str] | None = None
    """The values in words, where a line says more of them than their key."""

    def __str__(self) -> str:
        one, other = self.told or (_short(value) for value in self.values)
        text = f"line {self.operation.n} ({self.operation}): {self.field} is {one} and {other}"
        if self.refused is None:
            return text
        return (
            f"{text}; since line {self.refused} refused allocations hit the two otherwise, "
            "because they ask for other numbers of nodes"
        )


class Results:
    """Compares the lines of two sides on the same kind of machine, in order.

    ``keys`` are those that are looked at, by default what callers see.
    """

    def __init__(self, arch: Arch, keys: frozenset[str] = RESULTS) -> None:
        self._keys = keys
        self._nodes = 0x1000000000 if arch.word_size == 8 else 0x10000000
        self._handed_out = [0, 0]
        self.refused: int | None = None

    def compare(self, operation: Operation, one: Line, other: Line) -> Parting | None:
        """The difference between two lines of an operation, if they have any."""
        for side, line in enumerate((one, other)):
            self._handed_out[side] = line.get("na", self._handed_out[side])
        if self.refused is None and _refusals(one) != _refusals(other):
            self.refused = operation.n
        if ("error" in one) != ("error" in other):
            if operation.declared.shows_memory:
                return None  # nothing stays of it
            values = one.get("error", "done"), other.get("error", "done")
            return Parting(operation, "error", values)
        if ("fault" in one) != ("fault" in other):
            kinds = [line["fault"]["kind"] if "fault" in line else "none" for line in (one, other)]
            return Parting(operation, "fault", (kinds[0], kinds[1]), self.refused)
        for field in dict.fromkeys([*one, *other]):
            if field in self._keys and not self._same(field, one.get(field), other.get(field)):
                if self.refused is None and one.get("ac") != other.get("ac"):
                    hit = _refusals(one) + _refusals(other)
                    self.refused = operation.n if hit else None
                values = one.get(field), other.get(field)
                return Parting(operation, field, values, self.refused)
        return None

    def _same(self, field: str, one: Any, other: Any) -> bool:
        if one == other:
            return True
        if field == "fault" and one and other:
            return bool(one["kind"] == other["kind"])
        if isinstance(one, str) and isinstance(other, str):
            return self._both_nodes(one, other)
        if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
            return all(self._same(field, *pair) for pair in zip(one, other, strict=True))
        return False

    def _both_nodes(self, one: str, other: str) -> bool:
        """Whether two words are addresses of nodes, with the same tags."""
        try:
            words = int(one, 16), int(other, 16)
        except ValueError:
            return False
        places = [word - self._nodes for word in words]
        return words[0] & NODE_MASK == words[1] & NODE_MASK and all(
            0 <= at < count * NODE_SIZE for at, count in zip(places, self._handed_out, strict=True)
        )


def _refusals(line: Line) -> int:
    return sum("!" in call for call in line.get("ac", ()))


def _short(value: object) -> str:
    text = "nothing" if value is None else str(value)
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "..."
