"""Compares kernel and emulator on one trace, operation by operation, on one machine.

Both print the result of each operation, its allocations and frees, and a checksum of all memory. So
every byte must be equal, even if the trace does not show it. A crash of the kernel's code is equal
to a fault of the emulator at the same operation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import arches
from layout.ckernel.execute import SECONDS, run
from layout.ckernel.programs import Programs
from layout.ckernel.sums import SummingRunner
from layout.ckernel.words import stopped, warned
from layout.memory.errors import TraceError
from layout.traces.language import RESULTS
from layout.traces.shrink import shrink
from layout.traces.transcript import comparable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from layout.ckernel.build import Built
    from layout.ckernel.source import KernelSource
    from layout.traces.session import Line
    from layout.traces.trace import Operation


_SHRINK_SECONDS = 1
"""For one operation, while a trace is made shorter: a livelock is met again and again."""


@dataclass(frozen=True, slots=True)
class Mismatch:
    """An operation with different results in kernel and emulator.

    ``fields`` are those of the transcript that differ; ``sum`` among them is memory.
    """

    operation: Operation
    fields: tuple[str, ...]
    kernel: Line
    emulator: Line

    @property
    def kind(self) -> tuple[str, ...]:
        """What has to stay while a trace is made shorter: see ``name``; and where a warning is."""
        return (*self.name, self.warning) if self.warning else self.name

    @property
    def name(self) -> tuple[str, ...]:
        """The operation and the fields."""
        shown = tuple(name for name in self.fields if name not in {"sum", "na", "nf"})
        return (self.operation.op, *(shown or self.fields))

    @property
    def warning(self) -> str:
        """Where in the C code the last warning is, if the warnings differ; else ""."""
        return str(self.kernel.get("warn_last", "")) if "warn" in self.fields else ""

    def told(self, field: str) -> tuple[str, str]:
        """The same in words."""
        if field == "warn":
            return warned(self.kernel), warned(self.emulator)
        if field == "fault":
            fault = self.emulator.get("fault")
            return stopped(self.kernel.get("fault")), fault["message"] if fault else "none"
        kernel, emulator = ("nothing" if v is None else str(v) for v in self.values(field))
        return kernel, emulator

    def values(self, field: str) -> tuple[Any, Any]:
        """What the kernel and the emulator have there; None is nothing."""
        return self.kernel.get(field), self.emulator.get(field)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of a comparison: the number of operations, and the mismatch if there is one.

    ``fault`` is the message of a fault that both had.
    """

    arch: str
    operations: int
    mismatch: Mismatch | None = None
    fault: str = ""


def compare(
    built: Built,
    operations: Sequence[Operation],
    *,
    results_only: bool = False,
    seconds: int = SECONDS,
    programs: Programs | None = None,
) -> Verdict:
    """Run the operations on both sides, up to the first mismatch. Raises what run() raises."""
    sums = with_sums(built.source)
    outcome = run(built, operations, sums=sums, seconds=seconds, programs=programs)
    emulator = SummingRunner(arches.get(built.arch), built.source.emulator)
    done = (emulator.execute(operation) for operation in operations)
    return match(built, operations, outcome.lines, done, results_only=results_only)


def shrink_mismatch(
    built: Built,
    operations: Sequence[Operation],
    mismatch: Mismatch,
    *,
    seconds: float,
    results_only: bool = False,
) -> list[Operation]:
    """A shorter trace at whose end kernel and emulator still part in the same fields."""

    def still(candidate: Sequence[Operation]) -> bool:
        try:
            verdict = compare(
                built,
                candidate,
                results_only=results_only,
                seconds=_SHRINK_SECONDS,
                programs=programs,
            )
        except TraceError:
            return False
        found = verdict.mismatch
        return (
            found is not None
            and found.kind == mismatch.kind
            and verdict.operations == len(candidate)
        )

    upto = [operation for operation in operations if operation.n <= mismatch.operation.n]
    with Programs() as programs:
        return shrink(upto, still, seconds=seconds)


def with_sums(source: KernelSource) -> bool:
    """Whether checksums can be compared: not if the kernel's struct maple_tree is another."""
    return not source.missing_fields


def match(
    built: Built,
    operations: Iterable[Operation],
    kernel: Iterable[Line],
    emulator: Iterable[Line],
    *,
    results_only: bool = False,
) -> Verdict:
    """Compare two transcripts line by line; the emulator's is read only as far as needed."""
    count = 0
    for operation, theirs, ours in zip(operations, kernel, emulator, strict=False):
        count += 1
        if "fault" in theirs and "fault" in ours:
            return Verdict(built.arch, count, fault=ours["fault"]["message"])
        fields = _different(built.source, theirs, ours, results_only=results_only)
        if fields:
            return Verdict(built.arch, count, Mismatch(operation, fields, theirs, ours))
    return Verdict(built.arch, count)


def _different(
    source: KernelSource, theirs: Line, ours: Line, *, results_only: bool
) -> tuple[str, ...]:
    if "fault" in theirs or "fault" in ours:
        return ("fault",)
    if theirs == ours:
        return ()
    left_out = source.missing_fields
    a, b = comparable(theirs), comparable(ours)
    names = [name for name in {**a, **b} if name not in left_out and a.get(name) != b.get(name)]
    if results_only:
        names = [name for name in names if name in RESULTS]
    if not with_sums(source) and "sum" in names:
        names.remove("sum")
    return tuple(names)
