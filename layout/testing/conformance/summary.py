"""A result on a terminal or in a log: a line for each failure, then a table of machines."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from rich import box
from rich.table import Table

from layout.host import streams

if TYPE_CHECKING:
    from layout.testing.conformance.result import Result


def show(result: Result) -> None:
    """Print a result to stdout."""
    console = streams.console(highlight=False, soft_wrap=True, markup=False)
    for failure in result.failures:
        console.print(failure.case, style="red", end="")
        details = (failure.cause, failure.where, failure.difference(), failure.how_it_ended())
        console.print(": " + "; ".join(text for text in details if text))
    if result.failures:
        console.print()
    table = Table(box=box.SIMPLE_HEAD)
    for name, justify in (("machine", "left"), ("cases", "right"), ("passed", "right")):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]
    table.add_column("causes of what failed")
    cases = Counter(case.arch.name for case, _ in result.ran)
    failed = Counter(failure.arch for failure in result.failures)
    for arch, count in cases.items():
        causes = Counter(failure.cause for failure in result.failures if failure.arch == arch)
        words = "\n".join(f"{number} {cause}" for cause, number in causes.most_common())
        table.add_row(arch, str(count), str(count - failed[arch]), words)
    console.print(table)
    console.print(f"{result.passed} of {result.cases} cases passed")
