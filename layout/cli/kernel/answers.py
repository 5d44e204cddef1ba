"""``--meaning`` of ``kernel diff`` and ``kernel fuzz``: answers held against a plain model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from layout.cli.common import tell
from layout.cli.findings import tell_findings
from layout.cli.kernel.options import limits_of, machines, source_of
from layout.cli.kernel.progress import Progress
from layout.cli.kernel.summary import (
    all_checked,
    print_earlier,
    print_ends,
    print_work,
    traces,
)
from layout.memory.errors import UsageError

if TYPE_CHECKING:
    import argparse

    from layout.ckernel.answerfuzz import Answers
    from layout.ckernel.answers import Meant
    from layout.ckernel.build import Built
    from layout.ckernel.oracle import Campaign
    from layout.ckernel.source import KernelSource
    from layout.formats.findings import Checked
    from layout.traces.trace import Operation


def add_meaning(parser: argparse.ArgumentParser) -> None:
    """Add ``--meaning``."""
    parser.add_argument(
        "--meaning",
        action="store_true",
        help="hold the kernel's answers against a plain model of ranges, not against the emulator: "
        "does it do what its API says? It works for any kernel",
    )


def _without_emulator(args: argparse.Namespace) -> None:
    for option in ("kernel", "results", "abuse"):
        if getattr(args, option, None):
            message = f"--meaning asks no emulator: leave --{option} out"
            raise UsageError(message)


def meaning_of_trace(
    args: argparse.Namespace, on_machines: dict[str, list[Operation]], trace: str
) -> int:
    """Judge the kernel's answers to a trace on each machine; 1 for a wrong one."""
    from layout.ckernel.answers import meant, shrink_wrong
    from layout.ckernel.build import build
    from layout.formats.findings import Checked, Finding

    _without_emulator(args)
    source = source_of(args)
    report: dict[str, Any] = {}
    checked = []
    for name, operations in on_machines.items():
        built = build(source, name)
        found = meant(built, operations)
        report[name] = _trace_json(found)
        if found.wrong is None:
            checked.append(Checked(name, trace))
            if not args.json:
                print(_right(built, found))
            continue
        shrunk = shrink_wrong(built, operations, found.wrong, seconds=args.shrink)
        lines = [str(operation) for operation in shrunk]
        report[name]["shrunk"] = lines
        if not args.json:
            print(f"{name:12} {found.wrong.message}")
            print(f"\nshrunk to {len(lines)} operations:")
            print("\n".join(lines))
        message, n = f"{name}: {found.wrong.message}", found.wrong.operation.n
        finding = Finding("kernel meaning", message, trace, n, "\n".join(lines))
        checked.append(Checked(name, trace, finding))
    tell_findings(args, checked)
    right = all(entry["wrong"] is None for entry in report.values())
    if args.json:
        print(json.dumps({"right": right, "kernel": _kernel_json(source), "arches": report}))
    else:
        tell(str(source))
    return 0 if right else 1


def _kernel_json(source: KernelSource) -> dict[str, str]:
    return {"version": source.version, "sha256": source.sha256}


def _trace_json(found: Meant) -> dict[str, Any]:
    wrong = found.wrong and {"line": found.wrong.operation.n, "message": found.wrong.message}
    return {
        "operations": found.operations,
        "fault": found.fault or None,
        "wrong": wrong,
        "forgiven": dict(found.forgiven),
        "shrunk": None,
    }


def _right(built: Built, found: Meant) -> str:
    end = f"; it ends in a known fault: {found.fault}" if found.fault else ""
    known = ", ".join(f"{name} ({times})" for name, times in found.forgiven.most_common())
    forgiven = f"; forgiven: {known}" if known else ""
    return f"{built.arch:12} right: {found.operations} operations{end}{forgiven}"


def meaning_campaign(args: argparse.Namespace) -> int:
    """Judge the kernel's answers to generated traces; 1 for a wrong one."""
    from layout.ckernel.answerfuzz import fuzz_meaning
    from layout.ckernel.build import build
    from layout.ckernel.oracle import Limits

    _without_emulator(args)
    limits = Limits(**limits_of(args))
    names = machines(args.arch)
    source = source_of(args)
    builds = [build(source, name) for name in names]
    progress = Progress(_line)
    with progress.kept_in(args.out):
        campaign = fuzz_meaning(builds, limits, Path(args.out), progress)
    tell_findings(args, _checked(campaign))
    if args.json:
        print(json.dumps(_campaign_json(source, campaign)))
    else:
        _print(source, campaign)
    return 1 if campaign.found or campaign.earlier else 0


def _line(campaign: Campaign[Answers]) -> str:
    return (
        f"{campaign.seconds:.0f} s: {campaign.traces} traces, {campaign.operations} operations, "
        f"{len(campaign.found)} kinds of wrong answers, next seed {campaign.next_seed}; "
        f"{campaign.pace}"
    )


def _checked(campaign: Campaign[Answers]) -> list[Checked]:
    from layout.formats.findings import Checked, Finding

    rule = "kernel meaning"
    wrong = []
    for found in campaign.found:
        where = str(found.path) if found.path else f"seed {found.seed}"
        detail = "\n".join(str(operation) for operation in found.shrunk)
        finding = Finding(rule, found.wrong.message, where, 0, detail)
        wrong.append(Checked(found.arch, found.wrong.kind, finding))
    return all_checked(campaign, wrong, rule, "no wrong answer")


def _campaign_json(source: KernelSource, campaign: Campaign[Answers]) -> dict[str, Any]:
    return {
        "right": not campaign.found and not campaign.earlier,
        "kernel": _kernel_json(source),
        "seconds": round(campaign.seconds, 1),
        "seeds": [campaign.first_seed, campaign.next_seed],
        "traces": dict(campaign.on),
        "operations": dict(campaign.counts.most_common()),
        "known_faults": campaign.faults,
        "too_long": campaign.too_long,
        "too_large": campaign.too_large,
        "forgiven": dict(campaign.forgiven.most_common()),
        "wrong": [
            {
                "arch": found.arch,
                "seed": found.seed,
                "message": found.wrong.message,
                "times": found.times,
                "shrunk": [str(operation) for operation in found.shrunk],
                "file": str(found.path) if found.path else None,
            }
            for found in campaign.found
        ],
        "found_earlier": campaign.earlier,
    }


def _print(source: KernelSource, campaign: Campaign[Answers]) -> None:
    print(f"{source}; held against a model of ranges")
    print_work(campaign)
    for name, times in campaign.forgiven.most_common():
        print(f"forgiven {times} times: {name}")
    print_ends(campaign, "a known fault")
    for found in campaign.found:
        print(f"{found.arch}: {traces(found.times)}: {found.wrong.message}")
        print(f"  shortest trace {len(found.shrunk)} lines: {found.path}")
    print_earlier(campaign)
    if not campaign.found and not campaign.earlier:
        print("no wrong answer")
