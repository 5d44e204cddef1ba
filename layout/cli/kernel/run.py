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

if TYPE_CHECKING:
    import argparse


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

    arch = arches.get(args.arch or "x86_64")
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
    if outcome.reports:
        sys.stderr.write(outcome.reports)
    return 1 if outcome.faulted or outcome.failed or outcome.reports else 0
