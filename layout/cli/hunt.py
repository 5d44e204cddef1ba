"""``maple-layout hunt``: search for traces that execute more of a kernel's code, and compare."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from layout.cli.common import tell
from layout.cli.findings import add_findings, ready, tell_findings
from layout.cli.kernel.fuzz import checked, found_json, print_found
from layout.cli.kernel.options import (
    add_emulator,
    add_machines,
    add_search,
    add_source,
    compared_source,
    machines,
    scheduler_of,
)
from layout.cli.kernel.progress import Progress
from layout.cli.kernel.summary import print_ends
from layout.memory.errors import UsageError

if TYPE_CHECKING:
    import argparse

    from layout.ckernel.fuzz import Found
    from layout.ckernel.oracle import Campaign
    from layout.ckernel.source import KernelSource
    from layout.formats.findings import Checked
    from layout.hunt.guided import Status
    from layout.hunt.hunt import Hunt


def add(verbs: Any) -> None:
    """Register the verb."""
    parser = verbs.add_parser(
        "hunt",
        help="search for traces that execute more of a kernel's code, and compare on them",
        description=(
            "Search for traces that execute more of a kernel's lib/maple_tree.c, guided by clang's "
            "libFuzzer. The fewest traces that execute the same become the corpus. Each is carried "
            "out by the kernel's own code on every machine and by the emulator, and every byte is "
            "compared. The same command goes on from the corpus."
        ),
        allow_abbrev=False,
    )
    add_source(parser)
    add_machines(parser, "all whose compiler and qemu are installed")
    add_search(parser, "seconds of the search, before the comparison; 0 only compares")
    parser.add_argument(
        "--corpus",
        metavar="DIR",
        default="hunt-corpus",
        help="directory of the traces, and of differences; the default is ./hunt-corpus",
    )
    add_emulator(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_findings(parser)


def run(args: argparse.Namespace) -> int:
    """Hunt; 1 for a difference or a report of the access checker."""
    from pathlib import Path

    from layout.ckernel.build import build
    from layout.hunt.hunt import Plan, guide, hunt

    cluster = scheduler_of(args)
    names = machines(args.arch)  # a name that is none is told before anything is unpacked
    ready(args)
    source = compared_source(args)
    if source.unlike and not args.kernel:
        message = (
            f"no emulator is like Linux {source.version} ({source.unlike}): --kernel V takes one, "
            "kernel compare compares the kernel with itself"
        )
        raise UsageError(message)
    if not cluster and not guide():
        tell(
            "clang with libFuzzer is missing, so the emulator guides the search: "
            "apt install clang libclang-rt-14-dev"
        )
    if cluster:
        from layout.ckernel.cluster import reach

        reach(cluster).close()
    builds = [build(source, name) for name in names]
    progress: Progress[Any] = Progress(_line)
    plan = Plan(args.time, args.jobs, args.seed, cluster)
    with progress.kept_in(args.corpus):
        found = hunt(
            source,
            builds,
            plan,
            Path(args.corpus),
            lambda status: progress(_Shown(status)),
            progress,
        )
    if args.json:
        print(json.dumps(_hunt_json(source, found)))
    else:
        _print_hunt(source, found)
    tell_findings(args, _checked(found))
    return 1 if _wrong(found) else 0


class _Shown:
    """The state of a search, as Progress takes it."""

    shrinking = ""

    def __init__(self, status: Status) -> None:
        self.status = status
        self.seconds = status.seconds
        self.dashboard = status.dashboard


def _line(shown: _Shown | Campaign[Found]) -> str:
    if isinstance(shown, _Shown):
        status = shown.status
        rate = status.runs / max(status.seconds, 1e-3)
        number = status.workers
        workers = f"; {number} worker{'' if number == 1 else 's'}" if number else ""
        return (
            f"{status.seconds:.0f} s: {status.runs} traces tried, {rate:.0f} a second, "
            f"{status.edges} edges executed, {status.corpus} traces kept{workers}"
        )
    return (
        f"{shown.seconds:.0f} s: {shown.traces} traces compared, {shown.operations} operations, "
        f"{len(shown.found)} causes of difference"
    )


def _wrong(found: Hunt) -> bool:
    done = found.replay
    return bool(done.found or done.legs or done.reports)


def _hunt_json(source: KernelSource, found: Hunt) -> dict[str, Any]:
    done, executed = found.replay, found.executed
    return {
        "equal": not _wrong(found),
        "kernel": {
            "version": source.version,
            "sha256": source.sha256,
            "emulator": source.emulator,
        },
        "guide": found.guide or "emulator",
        "search": [
            {
                "seconds": round(each.seconds, 1),
                "runs": each.runs,
                "edges": each.edges,
                "corpus": each.corpus,
            }
            for each in found.history
        ],
        "corpus": {
            "before": found.before,
            "traces": len(found.traces),
            "operations": sum(map(len, found.traces.values())),
            "bytes": found.size,
        },
        "coverage": executed
        and {
            "lines": executed.lines,
            "executed": executed.executed,
            "missed": executed.missed,
        },
        "compared": dict(done.on),
        "operations": done.operations,
        "equal_faults": done.faults,
        "too_long": done.too_long,
        "too_large": done.too_large,
        "differences": [found_json(each) for each in done.found],
        "in_python_only": done.legs,
        "reports": [
            {"report": str(report), "traces": names} for report, names in done.reports.items()
        ],
        "digests": done.digests,
    }


def _print_hunt(source: KernelSource, found: Hunt) -> None:
    done = found.replay
    print(f"{source}; the emulator is {source.emulator}")
    if found.history:
        last = found.history[-1]
        print(
            f"{last.runs} traces tried in {last.seconds:.0f} s, guided by "
            f"{found.guide or 'the emulator'}"
        )
    operations = sum(map(len, found.traces.values()))
    print(
        f"corpus: {len(found.traces)} traces ({found.before} before), {operations} operations, "
        f"{found.size} bytes"
    )
    if found.executed:
        print(found.executed)
    on = ", ".join(f"{name} {number}" for name, number in done.on.items())
    print(f"compared: {done.operations} operations ({on or 'no trace'})")
    print_ends(done)
    for each in done.found:
        print_found(each)
    for text in done.legs:
        print(f"differs in Python only: {text}")
    for report, names in done.reports.items():
        print(f"{report}: {len(names)} traces, such as {names[0]}")
    if not _wrong(found):
        print("no difference")


def _checked(found: Hunt) -> list[Checked]:
    """Each difference and report, and the machines without a difference."""
    from layout.formats.findings import Checked, Finding

    wrong = [
        Checked("python", text, Finding("hunt", f"differs in Python only: {text}", text))
        for text in found.replay.legs
    ]
    wrong += [
        Checked("access checker", str(report), Finding("hunt", str(report), names[0]))
        for report, names in found.replay.reports.items()
    ]
    return wrong + checked(found.replay, "hunt")
