"""``maple-layout kernel fuzz``: compare the kernel's own code with the emulator on many traces."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

from layout.cli.common import tell
from layout.cli.findings import add_findings, ready, tell_findings
from layout.cli.kernel.answers import add_meaning, meaning_campaign
from layout.cli.kernel.compare import against_itself
from layout.cli.kernel.options import (
    add_action,
    add_campaign,
    add_emulator,
    add_machines,
    add_results_only,
    compared_source,
    limits_of,
    machines,
)
from layout.cli.kernel.progress import Progress
from layout.cli.kernel.summary import (
    all_checked,
    print_earlier,
    print_ends,
    print_work,
    traces,
)
from layout.memory.errors import MapleLayoutError, UsageError

if TYPE_CHECKING:
    from layout.ckernel.build import Built
    from layout.ckernel.coverage import Coverage
    from layout.ckernel.fuzz import Found
    from layout.ckernel.oracle import Campaign
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
            "emulator on them, on the machines in turn. Failing traces are shortened and "
            "saved. The same command continues with the next number."
        ),
    )
    add_machines(parser, "all whose compiler and qemu are installed")
    add_campaign(parser, "seconds")
    parser.add_argument(
        "--out",
        metavar="DIR",
        default="kernel-fuzz",
        help="directory for differences and the next number; the default is ./kernel-fuzz",
    )
    parser.add_argument(
        "--abuse",
        action="store_true",
        help="also generate input that is known to crash the kernel's code, such as a stale cursor",
    )
    parser.add_argument(
        "--long",
        action="store_true",
        help="long traces of plain operations, that compiled code carries out: ten times as many "
        "operations a second",
    )
    parser.add_argument(
        "--coverage",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="count the lines of maple_tree.c that were executed; every trace runs once more "
        "where no machine asked for is this computer's own, and on a cluster; not with --long",
    )
    add_emulator(parser)
    add_results_only(parser)
    add_meaning(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_findings(parser)


def _act(args: argparse.Namespace) -> int:
    from pathlib import Path

    from layout.ckernel.build import build
    from layout.ckernel.coverage import coverage, coverage_of, forget
    from layout.ckernel.fuzz import Emulator, Options, fuzz
    from layout.ckernel.longfuzz import LongTraces

    names = machines(args.arch)  # a name that is none is told before anything is unpacked
    ready(args)
    if args.long and (args.abuse or args.meaning):
        message = "--long makes plain operations only: leave out --abuse and --meaning"
        raise UsageError(message)
    if args.meaning:
        return meaning_campaign(args)
    limits = limits_of(args)
    source = compared_source(args)
    if source.unlike and not args.kernel:
        return against_itself(args, source)
    native = _counting(source) if args.coverage and not args.long else None
    here = native if not args.scheduler else None
    builds = [here if here and here.arch == name else build(source, name) for name in names]
    if here:
        forget(here)
    options = Options(**limits, abuse=args.abuse, results_only=args.results, counting=native)
    progress = Progress(_line)
    judge = LongTraces if args.long else Emulator
    with progress.kept_in(args.out):
        campaign = fuzz(builds, options, Path(args.out), progress, judge)
    executed = None
    try:
        if here and campaign.traces:
            executed = coverage(here)
        if native and campaign.executed:
            executed = coverage_of(native, campaign.executed)
    except MapleLayoutError as error:  # what was found is told all the same
        tell(f"the lines of maple_tree.c that were executed are not known: {error}")
    if args.json:
        print(json.dumps(_campaign_json(source, campaign, executed)))
    else:
        _print_campaign(source, campaign, executed)
    tell_findings(args, checked(campaign))
    return 1 if campaign.found or campaign.earlier else 0


def _counting(source: KernelSource) -> Built | None:
    """A build for this computer that counts lines; None, and a word why, where there is none."""
    from layout.ckernel import toolchain
    from layout.ckernel.build import COVERAGE, build

    name = next((arch for arch in toolchain.available() if toolchain.is_native(arch)), None)
    if name is not None:
        return build(source, name, COVERAGE)
    tell("executed lines are not counted: this computer's own compiler is missing")
    return None


def _line(campaign: Campaign[Found]) -> str:
    return (
        f"{campaign.seconds:.0f} s: {campaign.traces} traces, "
        f"{campaign.operations} operations, {len(campaign.found)} causes of difference, "
        f"next seed {campaign.next_seed}; {campaign.pace}"
    )


def _campaign_json(
    source: KernelSource, campaign: Campaign[Found], executed: Coverage | None
) -> dict[str, Any]:
    return {
        "equal": not campaign.found and not campaign.earlier,
        "kernel": {
            "version": source.version,
            "sha256": source.sha256,
            "emulator": source.emulator,
            "left_out": sorted(source.missing_fields | source.missing_operations),
        },
        "seconds": round(campaign.seconds, 1),
        "seeds": [campaign.first_seed, campaign.next_seed],
        "traces": dict(campaign.on),
        "operations": dict(campaign.counts.most_common()),
        "equal_faults": campaign.faults,
        "too_long": campaign.too_long,
        "too_large": campaign.too_large,
        "coverage": executed
        and {
            "lines": executed.lines,
            "executed": executed.executed,
            "functions_never_entered": list(executed.never),
        },
        "differences": [found_json(found) for found in campaign.found],
        "found_earlier": campaign.earlier,
    }


def checked(campaign: Campaign[Found], rule: str = "kernel fuzz") -> list[Checked]:
    """Each kind of difference that ``rule`` found, and the machines without one."""
    from layout.formats.findings import Checked, Finding

    wrong = []
    for found in campaign.found:
        where = str(found.path) if found.path else f"seed {found.seed}"
        name = f"{found.mismatch.operation.op} on {found.arch}"
        message = f"{found.cause}: {found.times} traces on {', '.join(found.arches)}"
        detail = "\n".join(str(operation) for operation in found.shrunk)
        wrong.append(Checked(found.arch, name, Finding(rule, message, where, 0, detail)))
    return all_checked(campaign, wrong, rule)


def found_json(found: Found) -> dict[str, Any]:
    """A difference as JSON has it."""
    return {
        "arch": found.arch,
        "arches": list(found.arches),
        "cause": {"field": found.cause.field, "function": found.cause.function or None},
        "seed": found.seed,
        "op": found.mismatch.operation.op,
        "fields": list(found.mismatch.fields),
        "times": found.times,
        "seconds": round(found.seconds, 1),
        "shrunk": [str(operation) for operation in found.shrunk],
        "file": str(found.path) if found.path else None,
    }


def _print_campaign(
    source: KernelSource, campaign: Campaign[Found], executed: Coverage | None
) -> None:
    print(f"{source}; the emulator is {source.emulator}")
    print_work(campaign)
    if left_out := sorted(source.missing_fields | source.missing_operations):
        print(f"left out, because this kernel has it otherwise or not: {', '.join(left_out)}")
    print_ends(campaign)
    if executed:
        print(executed)
        print(f"functions never entered: {', '.join(executed.never) or 'none'}")
    for found in campaign.found:
        print_found(found)
    print_earlier(campaign)
    if not campaign.found and not campaign.earlier:
        print("no difference" + (f" in {executed}" if executed else ""))


def print_found(found: Found) -> None:
    """Two lines about a difference."""
    print(f"{found.cause}: {traces(found.times)} on {', '.join(found.arches)}")
    print(
        f"  {found.mismatch.operation.op} differs in {', '.join(found.mismatch.fields)}, "
        f"shortest trace {len(found.shrunk)} lines: {found.path}"
    )
