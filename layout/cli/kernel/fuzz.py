"""``maple-layout kernel fuzz``: the kernel's own code against the emulator, on generated traces."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from layout.cli.common import count, positive
from layout.cli.findings import add_findings, ready, tell_findings
from layout.cli.kernel.options import (
    add_action,
    add_machines,
    add_results_only,
    machines,
    source_of,
)
from layout.memory.errors import UsageError

if TYPE_CHECKING:
    import argparse

    from layout.ckernel.coverage import Coverage
    from layout.ckernel.fuzz import Campaign, Found
    from layout.ckernel.source import KernelSource
    from layout.formats.findings import Checked


def add(actions: Any) -> None:
    """Register the action."""
    parser = add_action(
        actions,
        "fuzz",
        _act,
        help="compare the kernel's own code with the emulator on generated traces",
        description=(
            "Generate traces, each from a number, and compare the kernel's own code with the "
            "emulator on them, on one machine after the other. What differs is made shorter and "
            "saved. The same command goes on where it ended."
        ),
    )
    add_machines(parser, "all whose compiler and qemu are installed")
    parser.add_argument(
        "--time", metavar="S", type=count, default=60, help="seconds; 60 if left out"
    )
    parser.add_argument(
        "--seed", metavar="N", type=count, default=0, help="the first number; 0 if left out"
    )
    parser.add_argument(
        "--jobs", metavar="J", type=positive, default=1, help="processes; 1 if left out"
    )
    parser.add_argument(
        "--out",
        metavar="DIR",
        default="kernel-fuzz",
        help="where differences and the next number are kept; ./kernel-fuzz if left out",
    )
    parser.add_argument(
        "--abuse",
        action="store_true",
        help="also what the kernel's code is known not to survive, such as a stale cursor",
    )
    parser.add_argument(
        "--coverage", action="store_true", help="tell which lines of maple_tree.c were executed"
    )
    add_results_only(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_findings(parser)


def _act(args: argparse.Namespace) -> int:
    from pathlib import Path

    from layout.ckernel import toolchain
    from layout.ckernel.build import COVERAGE, PLAIN, build
    from layout.ckernel.coverage import coverage, forget
    from layout.ckernel.fuzz import Options, fuzz

    ready(args)
    source = source_of(args)
    builds = []
    for name in machines(args.arch):
        counted = args.coverage and toolchain.is_native(name)
        builds.append(build(source, name, COVERAGE if counted else PLAIN))
    native = next((built for built in builds if built.mode == COVERAGE), None)
    if args.coverage and native is None:
        message = "--coverage counts on this computer's own architecture: add it to --arch"
        raise UsageError(message)
    if native:
        forget(native)
    options = Options(
        seconds=args.time,
        seed=args.seed,
        jobs=args.jobs,
        abuse=args.abuse,
        results_only=args.results,
    )
    progress = Progress()
    campaign = fuzz(builds, options, Path(args.out), progress)
    progress.end()
    executed = coverage(native) if native and campaign.traces else None
    if args.json:
        print(json.dumps(_campaign_json(source, campaign, executed)))
    else:
        _print_campaign(source, campaign, executed)
    tell_findings(args, _checked(campaign))
    return 1 if campaign.found or campaign.earlier else 0


class Progress:
    """One line on stderr: renewed on a terminal, else written every ten seconds."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._next = 0.0

    def __call__(self, campaign: Campaign) -> None:
        """Tell how far the campaign is."""
        if campaign.seconds < self._next:
            return
        self._next = campaign.seconds + (0.2 if self._terminal else 10)
        text = (
            f"{campaign.seconds:.0f} s: {campaign.traces} traces, "
            f"{campaign.operations} operations, {len(campaign.found)} kinds of difference, "
            f"next seed {campaign.next_seed}"
        )
        print(f"\r{text} " if self._terminal else text, end="", file=sys.stderr, flush=True)
        if not self._terminal:
            print(file=sys.stderr)

    def end(self) -> None:
        """Leave the line."""
        if self._terminal:
            print(file=sys.stderr)


def _campaign_json(
    source: KernelSource, campaign: Campaign, executed: Coverage | None
) -> dict[str, Any]:
    return {
        "equal": not campaign.found and not campaign.earlier,
        "kernel": {
            "version": source.version,
            "sha256": source.sha256,
            "left_out": sorted(source.missing_fields | source.missing_operations),
        },
        "seconds": round(campaign.seconds, 1),
        "seeds": [campaign.first_seed, campaign.next_seed],
        "traces": dict(campaign.on),
        "operations": dict(campaign.counts.most_common()),
        "equal_faults": campaign.faults,
        "too_long": campaign.too_long,
        "coverage": executed
        and {
            "lines": executed.lines,
            "executed": executed.executed,
            "functions_never_entered": list(executed.never),
        },
        "differences": [_found_json(found) for found in campaign.found],
        "found_earlier": campaign.earlier,
    }


def _checked(campaign: Campaign) -> list[Checked]:
    """Each kind of difference, and the machines without one."""
    from layout.formats.findings import Checked, Finding
    from layout.traces.trace import line_of

    wrong = []
    for found in campaign.found:
        where = str(found.path) if found.path else f"seed {found.seed}"
        name = f"{found.mismatch.operation.op} on {found.arch}"
        message = f"{name} differs in {', '.join(found.mismatch.fields)} ({found.times} times)"
        detail = "\n".join(line_of(operation) for operation in found.shrunk)
        wrong.append(Checked(found.arch, name, Finding("kernel fuzz", message, where, 0, detail)))
    for path in campaign.earlier:
        finding = Finding("kernel fuzz", "found by an earlier run", path)
        wrong.append(Checked("earlier", path, finding))
    bad = {each.group for each in wrong}
    return wrong + [Checked(name, "no difference") for name in campaign.on if name not in bad]


def _found_json(found: Found) -> dict[str, Any]:
    from layout.traces.trace import line_of

    return {
        "arch": found.arch,
        "seed": found.seed,
        "op": found.mismatch.operation.op,
        "fields": list(found.mismatch.fields),
        "times": found.times,
        "seconds": round(found.seconds, 1),
        "shrunk": [line_of(operation) for operation in found.shrunk],
        "file": str(found.path) if found.path else None,
    }


def _print_campaign(source: KernelSource, campaign: Campaign, executed: Coverage | None) -> None:
    machines = ", ".join(f"{name} {number}" for name, number in campaign.on.items())
    print(source)
    print(
        f"{campaign.traces} traces ({machines}), {campaign.operations} operations "
        f"of {len(campaign.counts)} kinds in {campaign.seconds:.0f} s"
    )
    if left_out := sorted(source.missing_fields | source.missing_operations):
        print(f"left out, because this kernel has it otherwise or not: {', '.join(left_out)}")
    if campaign.faults:
        print(f"{campaign.faults} traces ended in the same fault on both sides")
    if campaign.too_long:
        print(f"{campaign.too_long} traces took too long and were given up")
    if executed:
        print(executed)
        print(f"functions never entered: {', '.join(executed.never) or 'none'}")
    for found in campaign.found:
        print(
            f"{found.arch}: {found.mismatch.operation.op} differs in "
            f"{', '.join(found.mismatch.fields)} ({found.times} times), "
            f"{len(found.shrunk)} operations: {found.path}"
        )
    for path in campaign.earlier:
        print(f"found by an earlier run: {path}")
    if not campaign.found and not campaign.earlier:
        print("no difference")
