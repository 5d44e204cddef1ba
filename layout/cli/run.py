"""``maple-layout run``: carry out a trace on one machine and print its transcript."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import arches
from layout.cli.common import add_arch, add_defect, add_limit, tell
from layout.host.streams import note

if TYPE_CHECKING:
    import argparse

_REPORTS = 10
"""Reports that are told on stderr, beside the transcript."""


def add(verbs: Any) -> None:
    """Register the verb."""
    parser = verbs.add_parser(
        "run",
        help="carry out a trace on a simulated machine and print the transcript",
        description="Carry out every operation of a trace over raw node bytes; one JSON line each.",
        allow_abbrev=False,
    )
    parser.add_argument("trace", metavar="TRACE", help="a trace, packed by xz or not; - is stdin")
    add_arch(parser, "the machine, x86_64 if left out")
    add_defect(parser)
    add_limit(parser)
    parser.add_argument(
        "--check",
        action="store_true",
        help="report every access to bytes of a node that are not what they are read as, "
        "and states used in another RCU read section",
    )
    parser.add_argument(
        "--ledger",
        action="store_true",
        help="tell what each operation cost in nodes and written bytes, and what was in vain",
    )


def run(args: argparse.Namespace) -> int:
    """Print the transcript; 1 if a validate failed, the machine stopped or a rule was broken."""
    from layout.defects import operations
    from layout.machine.equip import equip
    from layout.machine.watch.check import CHECK
    from layout.machine.watch.ledger import LEDGER, ledger_of
    from layout.machine.watch.sections import SECTIONS
    from layout.machine.watch.table import summary
    from layout.machine.watch.watch import reports_of
    from layout.traces.inputs import read_trace
    from layout.traces.runner import Runner
    from layout.traces.stream import Stream

    arch = arches.get("x86_64" if args.arch is None else args.arch)
    watch = [CHECK, SECTIONS] * args.check + [LEDGER] * args.ledger
    machine = equip(arch, kernels=operations(args.defect), watch=watch)
    runner = Runner(machine, args.limit)
    stream = Stream(runner, read_trace(args.trace))
    try:
        for lines in stream.transcript():
            sys.stdout.write(lines.decode())
    finally:
        sys.stdout.flush()
    if stream.last is not None:
        line, fault = stream.last, stream.last["fault"]
        tell(f"line {line['n']}: {line['op']}: {fault['kind']}: {fault['message']}")
    if args.ledger:
        for text in summary(ledger_of(machine)):
            note(text)
    reports = reports_of(machine) if args.check else []
    for report in reports[:_REPORTS]:
        tell(str(report))
    if len(reports) > _REPORTS:
        tell(f"and {len(reports) - _REPORTS} reports more, in the transcript")
    return 1 if runner.failed or runner.faulted or reports else 0
