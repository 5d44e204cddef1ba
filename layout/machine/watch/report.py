"""A report: one access that broke a rule, with its place, the field, the writer and the reader."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

STEP = ("_", "seam_", "<listcomp>", "<genexpr>")
"""How names of functions begin that are steps of those that call them."""


@dataclass(frozen=True)
class Report:
    """One broken rule."""

    kind: str
    """What is wrong, such as ``metadata read as slot``."""
    node: int
    """The address of the node."""
    offset: int
    """The first wrong byte in it."""
    read_as: str
    """The field as which the kernel used the byte."""
    written_as: str
    """The field that it is."""
    written_by: int | None
    """The number of the operation (a trace's line) that wrote it; None if none did."""
    operation: int
    """The number of the operation that read it."""
    function: str
    """The kernel function that reads."""
    value: int | None = None
    """The word as this machine reads it; None if there is none."""
    means: dict[str, int] = field(default_factory=dict)
    """The values of the same bytes on machines of either byte order."""
    detail: str = ""
    """What else is known, in words."""

    def to_json(self) -> dict[str, Any]:
        """As in a transcript: numbers of memory in hex, offsets and operations as integers."""
        return {
            "kind": self.kind,
            "node": f"{self.node:x}",
            "offset": self.offset,
            "read_as": self.read_as,
            "written_as": self.written_as,
            "written_by": self.written_by,
            "operation": self.operation,
            "function": self.function,
            **({} if self.value is None else {"value": f"{self.value:x}"}),
            **({"means": {k: f"{v:x}" for k, v in self.means.items()}} if self.means else {}),
            **({"detail": self.detail} if self.detail else {}),
        }

    def __str__(self) -> str:
        writer = "nobody" if self.written_by is None else f"operation {self.written_by}"
        text = (
            f"{self.kind}: {self.function} in operation {self.operation} used byte {self.offset} "
            f"of node {self.node:x} as {self.read_as}; it is {self.written_as}, written by {writer}"
        )
        if self.means:
            text += "; the word is " + ", ".join(f"{v:#x} on {k}" for k, v in self.means.items())
        return text + (f" ({self.detail})" if self.detail else "")
