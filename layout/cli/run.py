"""``maple-layout run``: run a trace on one machine and print its transcript."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import arches
from layout.cli.common import (
    add_arch,
    add_defect,
    add_limit,
    add_version,
    defects_of,
    limit_of,
    tell,
    version_of,
)
from layout.cli.findings import add_findings, ready, tell_findings
from layout.host.streams import note

if TYPE_CHECKING:
    import argparse

    from layout.formats.findings import Checked
    from layout.machine.machine import Machine
    from layout.machine.watch.report import Report
    from layout.machine.watch.watch import Watch
    from layout.traces.stream import Stream

_MISSING = b"not in this kernel"

_REPORTS = 10
"""Reports that are told on stderr, beside the transcript."""


def add(verbs: Any) -> None:
    """Register the verb."""
    parser = verbs.add_parser(
        "run",
        help="run a trace on a simulated machine and print the transcript",
        description="Run every operation of a trace on raw node bytes. Each is a JSON line, or on "
        "a terminal a row: the operation, what it returned, and the nodes taken and freed.",
        allow_abbrev=False,
    )
    parser.add_argument("trace", metavar="TRACE", help="a trace, packed by xz or not; - is stdin")
    add_arch(parser, "the machine (default x86_64)")
    add_version(parser)
    add_defect(parser)
    add_limit(parser)
    parser.add_argument(
        "--check",
        action="store_true",
        help="report every access to bytes of a node that hold another field, "
        "and states used in another RCU read section",
    )
    parser.add_argument(
        "--ledger",
        action="store_true",
        help="show the cost of each operation in nodes and written bytes, and unnecessary work",
    )
    parser.add_argument(
        "--json",
        action="store_true",
        help="print JSON lines on a terminal too, not columns for people",
    )
    add_findings(parser)


def run(args: argparse.Namespace) -> int:
    """Print the transcript; 1 if a validate failed, the machine stopped or a rule was broken."""
    from layout.machine.equip import equip
    from layout.traces.inputs import read_trace
    from layout.traces.runner import Runner
    from layout.traces.stream import Stream

    arch = arches.get("x86_64" if args.arch is None else args.arch)
    ready(args)
    watch = _watches(args)
    machine = equip(arch, kernels=defects_of(args), watch=watch, version=version_of(args))
    runner = Runner(machine, limit_of(args, watched=bool(watch)))
    source = "stdin" if args.trace == "-" else args.trace
    stream = Stream(runner, read_trace(args.trace), forget=not args.defect)
    people = sys.stdout.isatty() and not args.json
    missing = 0
    chunks = -people  # rows come behind a heading
    try:
        for lines in stream.listing() if people else stream.transcript():
            missing += lines.count(_MISSING)
            chunks += bool(lines)
            sys.stdout.write(lines.decode())
    finally:
        sys.stdout.flush()
    if chunks <= 0:
        tell(f"{source} has no operation: nothing was run")
    if stream.last is not None:
        line, fault = stream.last, stream.last["fault"]
        tell(f"line {line['n']}: {line['op']}: {fault['kind']}: {fault['message']}")
    if missing:
        which = "1 line calls" if missing == 1 else f"{missing} lines call"
        what = f"a function that Linux {machine.kernel.version} has not, and did nothing"
        tell(f"{which} {what}: its transcript line has an error")
    if args.ledger:
        _tell_costs(machine)
    reports = _reports(machine) if args.check else []
    for report in reports[:_REPORTS]:
        tell(str(report))
    if len(reports) > _REPORTS:
        tell(f"and {len(reports) - _REPORTS} reports more, in the transcript")
    tell_findings(args, _checked(source, stream, reports))
    return 1 if runner.failed or runner.faulted or reports else 0


def _watches(args: argparse.Namespace) -> list[Watch]:
    """The watches asked for; the others are not even imported."""
    watch: list[Watch] = []
    if args.check:
        from layout.machine.watch.check import CHECK
        from layout.machine.watch.sections import SECTIONS

        watch += [CHECK, SECTIONS]
    if args.ledger:
        from layout.machine.watch.ledger import LEDGER

        watch.append(LEDGER)
    return watch


def _tell_costs(machine: Machine) -> None:
    from layout.machine.watch.ledger import ledger_of
    from layout.machine.watch.table import summary

    for text in summary(ledger_of(machine)):
        note(text)


def _reports(machine: Machine) -> list[Report]:
    from layout.machine.watch.watch import reports_of

    return reports_of(machine)


def _checked(source: str, stream: Stream, reports: list[Report]) -> list[Checked]:
    """The run as one thing that was looked at, or each thing that is wrong in it."""
    from layout.formats.findings import Checked, Finding

    found = [Finding(each.kind, str(each), source, each.operation) for each in reports]
    if stream.runner.failed:
        found.append(Finding("validate", "mt_validate finds the tree broken", source))
    if stream.last is not None:
        line, fault = stream.last, stream.last["fault"]
        found.append(Finding(fault["kind"], fault["message"], source, line["n"]))
    name = f"run on {stream.runner.machine.arch.name}"
    return [Checked(source, f"{name}: {each.rule}", each) for each in found] or [
        Checked(source, name)
    ]
