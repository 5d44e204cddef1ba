"""``maple-layout kernel run``: the transcript of the kernel's own code."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import arches
from layout.cli.common import add_arch, tell
from layout.cli.kernel.options import (
    add_action,
    add_trace,
    source_of,
)
from layout.host.streams import note, printable

if TYPE_CHECKING:
    import argparse

_REPORT_LINES, _LONGEST_LINE = 500, 2000
"""Lines of what the program says that are printed, and characters of each."""


def add(actions: Any) -> None:
    """Register the action."""
    parser = add_action(
        actions,
        "run",
        _act,
        help="run a trace on the kernel's own code and print its transcript",
        description="Run a trace on the kernel's own code; print one JSON line for each operation.",
    )
    add_trace(parser)
    add_arch(parser, "the machine (default x86_64)")
    parser.add_argument(
        "--sanitize", action="store_true", help="with address and undefined behaviour sanitizers"
    )


def _act(args: argparse.Namespace) -> int:
    from layout.ckernel.build import PLAIN, SANITIZE, build
    from layout.ckernel.execute import run as run_trace
    from layout.traces.inputs import open_trace
    from layout.traces.transcript import encode

    arch = arches.get("x86_64" if args.arch is None else args.arch)
    operations = list(open_trace(args.trace, arch))
    built = build(source_of(args), arch.name, SANITIZE if args.sanitize else PLAIN)
    tell(f"{built.source} on {built.arch}")
    outcome = run_trace(built, operations)
    for line in outcome.lines:
        sys.stdout.write(encode(line) + "\n")
    sys.stdout.flush()
    if outcome.faulted:
        last = outcome.lines[-1]
        fault = last["fault"]
        tell(f"line {last['n']}: {last['op']}: {fault['kind']}: {fault['message']}")
    _print_reports(outcome.reports.splitlines())
    return 1 if outcome.faulted or outcome.failed or outcome.reports else 0


def _print_reports(lines: list[str]) -> None:
    """What the program said, such as the reports of sanitizers, as far as a terminal takes it."""
    for line in lines[:_REPORT_LINES]:
        note("".join(map(printable, line[:_LONGEST_LINE])))
    if len(lines) > _REPORT_LINES:
        tell(f"and {len(lines) - _REPORT_LINES} lines more of what the program said")
