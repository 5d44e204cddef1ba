"""``maple-layout kernel``: the kernel's own C code, built and run beside the emulator."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import arches
from layout.cli.common import add_arch, count, print_lines, tell
from layout.errors import UsageError

if TYPE_CHECKING:
    import argparse

    from layout.ckernel.build import Built
    from layout.ckernel.diff import Mismatch, Verdict
    from layout.ckernel.source import KernelSource
    from layout.replay.difference import Difference
    from layout.replay.trace import Operation

_BRIEF = 200


def add(verbs: Any) -> None:
    """Register the verb and what it can do."""
    parser = verbs.add_parser(
        "kernel",
        help="build and run a kernel's own maple_tree.c, and compare it with the emulator",
        description=(
            "Try a kernel's own lib/maple_tree.c, unmodified, on any machine that Debian has a "
            "compiler and a qemu-user for."
        ),
        allow_abbrev=False,
    )
    actions = parser.add_subparsers(title="actions", dest="action", metavar="ACTION", required=True)
    _add_build(actions)
    _add_run(actions)
    _add_diff(actions)


def run(args: argparse.Namespace) -> int:
    """Do what was asked for; 1 for a difference or a fault."""
    return int(args.act(args))


# -- options


def _add_action(actions: Any, name: str, act: Any, **texts: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = actions.add_parser(name, allow_abbrev=False, **texts)
    parser.add_argument("--source", metavar="DIR", help="the top directory of a kernel tree")
    parser.add_argument(
        "--deb",
        metavar="PACKAGE",
        help="an installed Debian package of a kernel's source; linux-source-6.12 if left out",
    )
    parser.set_defaults(act=act)
    return parser


def _add_trace(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("trace", metavar="TRACE", help="a trace, packed by xz or not; - is stdin")


def _add_machines(parser: argparse.ArgumentParser, default: str) -> None:
    parser.add_argument("--arch", metavar="A,B,...", help=f"the machines; {default} if left out")


def _source(args: argparse.Namespace) -> KernelSource:
    from layout.ckernel.source import open_source

    return open_source(args.source, args.deb)


def _machines(text: str | None) -> list[str]:
    """The machines asked for, or all whose tools are here. Raises UsageError."""
    from layout.ckernel import toolchain

    if text:
        return [arches.get(name).name for name in text.split(",")]
    found = toolchain.available()
    if not found:
        message = "no compiler is here: apt install --no-install-recommends " + " ".join(
            toolchain.packages("x86_64")
        )
        raise UsageError(message)
    return found


# -- build


def _add_build(actions: Any) -> None:
    parser = _add_action(
        actions,
        "build",
        _build,
        help="compile a kernel's maple_tree.c in the harness",
        description="Compile a kernel's maple_tree.c in the harness, for one machine or more.",
    )
    _add_machines(parser, "all whose compiler and qemu are installed")
    parser.add_argument(
        "--sanitize", action="store_true", help="with address and undefined behaviour sanitizers"
    )
    parser.add_argument("--coverage", action="store_true", help="count which lines are executed")
    parser.add_argument("--json", action="store_true", help="print JSON")


def _build(args: argparse.Namespace) -> int:
    from layout.ckernel import toolchain
    from layout.ckernel.build import COVERAGE, PLAIN, SANITIZE, build

    source = _source(args)
    modes = [SANITIZE] * args.sanitize + [COVERAGE] * args.coverage or [PLAIN]
    wanted = _machines(args.arch)
    if modes != [PLAIN] and not args.arch:
        wanted = [name for name in wanted if toolchain.is_native(name)]
    builds = [build(source, name, mode) for name in wanted for mode in modes]
    if args.json:
        print(json.dumps([built.as_json() for built in builds]))
        return 0
    print(source)
    for built in builds:
        how = "built before" if built.cached else "built"
        what = built.arch if built.mode == PLAIN else f"{built.arch} ({built.mode})"
        print(f"{what:12} {how}: {' '.join(built.command)}")
    if not args.arch:
        for name in sorted(set(arches.names()) - set(wanted)):
            try:
                toolchain.find(name)
            except toolchain.ToolMissing as missing:
                tell(f"not built: {missing}")
    return 0


# -- run


def _add_run(actions: Any) -> None:
    parser = _add_action(
        actions,
        "run",
        _run,
        help="carry out a trace on the kernel's own code and print its transcript",
        description="Carry out a trace on the kernel's own code; one JSON line an operation.",
    )
    _add_trace(parser)
    add_arch(parser, "the machine, x86_64 if left out")
    parser.add_argument(
        "--sanitize", action="store_true", help="with address and undefined behaviour sanitizers"
    )


def _run(args: argparse.Namespace) -> int:
    from layout.ckernel.build import PLAIN, SANITIZE, build
    from layout.ckernel.run import run as run_trace
    from layout.replay.inputs import open_trace
    from layout.replay.transcript import encode

    arch = arches.get(args.arch or "x86_64")
    operations = list(open_trace(args.trace, arch))
    built = build(_source(args), arch.name, SANITIZE if args.sanitize else PLAIN)
    _say_built(built)
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


def _say_built(built: Built) -> None:
    tell(f"{built.source} on {built.arch}")


# -- diff


def _add_diff(actions: Any) -> None:
    parser = _add_action(
        actions,
        "diff",
        _diff,
        help="compare the kernel's own code with the emulator on a trace",
        description=(
            "Carry out a trace on the kernel's own code and on the emulator: every operation's "
            "result and every byte of memory has to be equal. At the first difference both "
            "nodes are shown, and a shorter trace that shows it too."
        ),
    )
    _add_trace(parser)
    _add_machines(parser, "all whose compiler and qemu are installed and that the trace fits")
    _add_results_only(parser)
    parser.add_argument(
        "--shrink",
        metavar="S",
        type=count,
        default=20,
        help="seconds to spend on a shorter trace; 20 if left out",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def _add_results_only(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--results",
        action="store_true",
        help="compare what callers see, not states, allocations and memory",
    )


def _diff(args: argparse.Namespace) -> int:
    from layout.ckernel.build import build
    from layout.ckernel.diff import compare
    from layout.ckernel.explain import explain

    source = _source(args)
    report: dict[str, Any] = {}
    for name, operations in _on_machines(args).items():
        built = build(source, name)
        verdict = compare(built, operations, results_only=args.results)
        entry: dict[str, Any] = {"operations": verdict.operations, "fault": verdict.fault or None}
        report[name] = entry
        entry["first_difference"] = entry["shrunk"] = None
        if verdict.mismatch is None:
            if not args.json:
                print(_equal(built, verdict))
            continue
        difference = explain(built, operations, verdict.mismatch)
        entry["first_difference"] = difference.as_json()
        entry["fields"] = list(verdict.mismatch.fields)
        if not args.json:
            _show_difference(name, verdict.mismatch, difference)
        entry["shrunk"] = _shrunk(built, operations, verdict.mismatch, args)
        if not args.json:
            print(f"\nshrunk to {len(entry['shrunk'])} operations:")
            print("\n".join(entry["shrunk"]))
    equal = all(entry["first_difference"] is None for entry in report.values())
    left_out = sorted(source.missing_fields)
    if args.json:
        kernel = {"version": source.version, "sha256": source.sha256, "left_out": left_out}
        print(json.dumps({"equal": equal, "kernel": kernel, "arches": report}))
    else:
        if left_out:
            tell(f"Linux {source.version} has these otherwise, so left out: {', '.join(left_out)}")
        tell(str(source))
    return 0 if equal else 1


def _on_machines(args: argparse.Namespace) -> dict[str, list[Operation]]:
    """The trace for each machine asked for; where none is, for those whose words it fits."""
    from layout.errors import TraceError
    from layout.replay.inputs import read_trace
    from layout.replay.snapshot import operations

    data = read_trace(args.trace)
    source = "stdin" if args.trace == "-" else args.trace
    found: dict[str, list[Operation]] = {}
    refused = None
    for name in _machines(args.arch):
        try:
            found[name] = list(operations(data, source, arches.get(name)))
        except TraceError as error:
            if args.arch or arches.get(name).word_size == 8:
                raise
            refused = error
    if not found and refused:
        raise refused
    return found


def _equal(built: Built, verdict: Verdict) -> str:
    end = f"; both end in a fault: {verdict.fault}" if verdict.fault else ""
    return f"{built.arch:12} equal: {verdict.operations} operations{end}"


def _show_difference(name: str, mismatch: Mismatch, difference: Difference) -> None:
    from layout.render.difference import lines
    from layout.replay.trace import line_of

    fields = [field for field in mismatch.fields if field != "sum"]
    print(f"{name:12} differs at line {mismatch.operation.n}: {line_of(mismatch.operation)}")
    for field in fields:
        kernel, emulator = mismatch.values(field)
        print(f"  {field}: kernel {_brief(kernel)}, emulator {_brief(emulator)}")
    if difference.node is not None:
        print()
        print_lines(lines(difference))


def _brief(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= _BRIEF else text[:_BRIEF] + "..."


def _shrunk(
    built: Built, operations: list[Operation], mismatch: Mismatch, args: argparse.Namespace
) -> list[str]:
    """The lines of a shorter trace with the same kind of difference."""
    from layout.ckernel.shrink import shrink_mismatch
    from layout.replay.trace import line_of

    shorter = shrink_mismatch(
        built, operations, mismatch, seconds=args.shrink, results_only=args.results
    )
    return [line_of(operation) for operation in shorter]
