"""``maple-layout kernel diff``: compare the kernel's own code with the emulator on a trace."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import arches
from layout.cli.common import count, print_lines, tell
from layout.cli.findings import add_findings, ready, tell_findings
from layout.cli.kernel.answers import add_meaning, meaning_of_trace
from layout.cli.kernel.compare import against_itself
from layout.cli.kernel.options import (
    add_action,
    add_emulator,
    add_machines,
    add_results_only,
    add_trace,
    compared_source,
    machines,
    where_it_stopped,
)
from layout.cli.kernel.summary import print_shrunk

if TYPE_CHECKING:
    import argparse

    from layout.ckernel.build import Built
    from layout.ckernel.diff import Mismatch, Verdict
    from layout.compare.difference import Difference
    from layout.traces.trace import Operation

_BRIEF = 200


def add(actions: Any) -> None:
    """Register the action."""
    parser = add_action(
        actions,
        "diff",
        _act,
        help="compare the kernel's own code with the emulator on a trace",
        description=(
            "Run a trace on the kernel's own code and on the emulator: every operation's "
            "result and every byte of memory must be equal. At the first difference both "
            "nodes are shown, and a shorter trace that shows it too."
        ),
    )
    add_trace(parser)
    add_machines(parser, "all whose compiler and qemu are installed and that the trace fits")
    add_emulator(parser)
    add_results_only(parser)
    add_meaning(parser)
    parser.add_argument(
        "--shrink",
        metavar="S",
        type=count,
        default=20,
        help="seconds to spend on a shorter trace; the default is 20, 0 is not to try",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_findings(parser)


def _act(args: argparse.Namespace) -> int:
    from layout.ckernel.build import build
    from layout.ckernel.diff import compare
    from layout.ckernel.explain import explain
    from layout.formats.findings import Checked, Finding

    machines(args.arch)  # a name that is none is told before anything is unpacked
    ready(args)
    trace = "stdin" if args.trace == "-" else args.trace
    if args.meaning:
        return meaning_of_trace(args, _on_machines(args), trace)
    source = compared_source(args)
    if source.unlike and not args.kernel:
        return against_itself(args, source)
    report: dict[str, Any] = {}
    checked = []
    for name, operations in _on_machines(args).items():
        built = build(source, name)
        verdict = compare(built, operations, results_only=args.results)
        entry: dict[str, Any] = {"operations": verdict.operations, "fault": verdict.fault or None}
        report[name] = entry
        entry["first_difference"] = entry["shrunk"] = None
        if verdict.mismatch is None:
            checked.append(Checked(name, trace))
            if not args.json:
                print(_equal(built, verdict))
            continue
        difference = explain(built, operations, verdict.mismatch)
        entry["first_difference"] = difference.as_json()
        entry["fields"] = list(verdict.mismatch.fields)
        if not args.json:
            _show_difference(args, name, verdict.mismatch, difference)
        entry["shrunk"] = _shrunk(built, operations, verdict.mismatch, args)
        if not args.json:
            print_shrunk(entry["shrunk"], verdict.operations)
        operation, fields = verdict.mismatch.operation, ", ".join(verdict.mismatch.fields)
        message = f"{operation.op} on {name} differs from {source} in {fields}"
        detail = "\n".join(entry["shrunk"])
        finding = Finding("kernel diff", message, trace, operation.n, detail)
        checked.append(Checked(name, trace, finding))
    tell_findings(args, checked)
    equal = all(entry["first_difference"] is None for entry in report.values())
    left_out = sorted(source.missing_fields)
    if args.json:
        kernel = {"version": source.version, "sha256": source.sha256, "emulator": source.emulator}
        print(
            json.dumps(
                {"equal": equal, "kernel": {**kernel, "left_out": left_out}, "arches": report}
            )
        )
    else:
        if left_out:
            tell(f"Linux {source.version} has these otherwise, so left out: {', '.join(left_out)}")
        tell(f"{source}; the emulator is {source.emulator}")
    return 0 if equal else 1


def _on_machines(args: argparse.Namespace) -> dict[str, list[Operation]]:
    """The trace for each machine asked for; where none is, for those whose words it fits."""
    from layout.memory.errors import TraceError
    from layout.traces.inputs import read_trace
    from layout.traces.snapshot import operations
    from layout.traces.source import TraceText

    given = read_trace(args.trace)
    text = TraceText(b"".join(given.blocks()), given.source)
    found: dict[str, list[Operation]] = {}
    refused = None
    for name in machines(args.arch):
        try:
            found[name] = list(operations(text, arches.get(name)))
        except TraceError as error:
            if args.arch is not None or arches.get(name).word_size == 8:
                raise
            refused = error
    if not found and refused:
        raise refused
    return found


def _equal(built: Built, verdict: Verdict) -> str:
    end = f"; both end in a fault: {verdict.fault}" if verdict.fault else ""
    return f"{built.arch:12} equal: {verdict.operations} operations{end}"


def _show_difference(
    args: argparse.Namespace, name: str, mismatch: Mismatch, difference: Difference
) -> None:
    from layout.compare.side_by_side import lines

    fields = [field for field in mismatch.fields if field != "sum"]
    print(f"{name:12} differs at line {mismatch.operation.n}: {mismatch.operation}")
    for field in fields:
        if field == "fault":
            print(f"  {_stop(mismatch)}")
            if where := where_it_stopped(args, name, mismatch.told("fault")[0]):
                print(f"  {where}")
            continue
        if field == "warn":
            kernel, emulator = mismatch.told(field)
        else:
            kernel, emulator = (_brief(value) for value in mismatch.values(field))
        print(f"  {field}: kernel {kernel}, emulator {emulator}")
    if difference.node is not None:
        print()
        print_lines(lines(difference))


def _stop(mismatch: Mismatch) -> str:
    """Which side stopped, and how."""
    kernel, emulator = mismatch.told("fault")
    if mismatch.values("fault")[0] is None:
        return f"the emulator stopped, the kernel's code did not: {emulator}"
    return f"the kernel's code stopped: {kernel}"


def _brief(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= _BRIEF else text[:_BRIEF] + "..."


def _shrunk(
    built: Built, operations: list[Operation], mismatch: Mismatch, args: argparse.Namespace
) -> list[str]:
    """The lines of a shorter trace with the same kind of difference."""
    from layout.ckernel.diff import shrink_mismatch

    shorter = shrink_mismatch(
        built, operations, mismatch, seconds=args.shrink, results_only=args.results
    )
    return [str(operation) for operation in shorter]
