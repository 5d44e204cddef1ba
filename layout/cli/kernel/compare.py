"""``maple-layout kernel compare``: two kernels' own code against each other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import arches
from layout.cli.common import tell
from layout.cli.findings import add_findings, ready, tell_findings
from layout.cli.kernel.options import (
    add_action,
    add_campaign,
    add_machines,
    add_results_only,
    limits_of,
    refuse_campaign,
    source_of,
)
from layout.cli.kernel.progress import Progress
from layout.cli.kernel.summary import (
    all_checked,
    print_earlier,
    print_ends,
    print_work,
    traces,
)
from layout.memory.errors import TraceError, UsageError

if TYPE_CHECKING:
    import argparse

    from layout.ckernel.oracle import Campaign
    from layout.ckernel.pair import Pair, PairVerdict
    from layout.ckernel.source import KernelSource
    from layout.ckernel.versus import Differs
    from layout.formats.findings import Checked
    from layout.traces.trace import Operation


def add(actions: Any) -> None:
    """Register the action."""
    parser = add_action(
        actions,
        "compare",
        _act,
        help="compare two kernels' own code, or one's on two machines, without the emulator",
        description=(
            "Run a trace, or generated ones, on two builds of the kernel's own code. With "
            "--against, two sources on each of the machines; without it, one source on two or "
            "more machines. It works for kernels that the emulator does not know."
        ),
    )
    parser.add_argument(
        "trace", metavar="TRACE", nargs="?", help="a trace, packed by xz or not; - is stdin"
    )
    parser.add_argument("--fuzz", action="store_true", help="generated traces instead of TRACE")
    parser.add_argument(
        "--against",
        metavar="B",
        help="the other kernel: the top directory of its tree, or a Debian package such as "
        "linux-source-7.3",
    )
    add_machines(parser, "x86_64,s390x; with --against x86_64")
    add_results_only(parser)
    add_campaign(parser, "seconds of --fuzz")
    parser.add_argument(
        "--out",
        metavar="DIR",
        default="kernel-compare",
        help="directory for traces that differ; the default is ./kernel-compare",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_findings(parser)


def _act(args: argparse.Namespace) -> int:
    ready(args)
    if (args.trace is None) != args.fuzz:
        message = "give a TRACE, or --fuzz for generated ones"
        raise UsageError(message)
    if not args.fuzz:
        refuse_campaign(args)
    source = source_of(args)
    return compare_builds(args, source, _against(args))


def _against(args: argparse.Namespace) -> KernelSource | None:
    from layout.ckernel.source import open_source

    if args.against is None:
        return None
    if not Path(args.against).is_dir() and args.against.startswith("linux-source-"):
        return open_source(deb=args.against, download=args.download)
    return open_source(args.against)


def against_itself(args: argparse.Namespace, source: KernelSource) -> int:
    """What ``diff`` and ``fuzz`` do where no emulator is like the kernel; says so on one line.

    Its own code on a little- and a big-endian machine. Raises UsageError where it has just one.
    """
    from layout.tree.versions import KERNELS

    tell(
        f"no emulator is like Linux {source.version} ({source.unlike}): its own code is compared "
        f"on little- and big-endian machines; --kernel {'|'.join(KERNELS)} takes that emulator"
    )
    options = {"trace": None, "fuzz": True, "against": None, **vars(args)}
    options["out"] = options.get("out", "kernel-compare")
    return compare_builds(type(args)(**options), source, None)


def compare_builds(
    args: argparse.Namespace, source: KernelSource, against: KernelSource | None
) -> int:
    """Compare as the options say; 1 if something differs. Raises UsageError."""
    pairs = pairs_of(args.arch, source, against, results=args.results)
    asked = args.results
    if not asked and any(pair.results for pair in pairs):
        tell("the two sources allocate and write nodes otherwise: only results are compared")
    if args.trace is None:
        return _fuzz(args, pairs)
    return _trace(args, pairs)


def pairs_of(
    text: str | None, source: KernelSource, against: KernelSource | None, *, results: bool
) -> list[Pair]:
    """The builds that are held against each other. Raises UsageError, InputError, ToolMissing."""
    from layout.ckernel.build import build
    from layout.ckernel.pair import pair_of

    default = "x86_64,s390x" if against is None else "x86_64"
    names = list(dict.fromkeys(arches.get(name).name for name in (text or default).split(",")))
    if against is None and len(names) < 2:
        message = f"one source needs two machines: --arch {names[0]},..., or --against B"
        raise UsageError(message)
    if against is None:
        builds = [build(source, name) for name in names]
        return [pair_of(builds[0], other, results=results) for other in builds[1:]]
    return [pair_of(build(source, name), build(against, name), results=results) for name in names]


def _sides(pairs: list[Pair]) -> dict[str, Any]:
    first = pairs[0]
    sources = [first.one.source, first.other.source]
    return {
        "kernels": [
            {"version": each.version, "sha256": each.sha256, "emulator": each.emulator}
            for each in sources
        ],
        "compared": "results" if first.results else "everything",
    }


def _trace(args: argparse.Namespace, pairs: list[Pair]) -> int:
    from layout.ckernel.pair import compare_pair
    from layout.traces.inputs import read_trace
    from layout.traces.snapshot import operations
    from layout.traces.source import TraceText

    given = read_trace(args.trace)
    text = TraceText(b"".join(given.blocks()), given.source)
    verdicts: list[tuple[Pair, PairVerdict]] = []
    for pair in pairs:
        listed: list[Operation] = list(operations(text, arches.get(pair.one.arch)))
        try:
            verdicts.append((pair, compare_pair(pair, listed)))
        except TraceError as error:
            raise TraceError(error.line, error.reason, text.source) from None
    tell_findings(args, [_checked(text.source, pair, verdict) for pair, verdict in verdicts])
    equal = all(v.parting is None or v.parting.refused is not None for _, v in verdicts)
    if args.json:
        found = [{"pair": str(pair), **_verdict_json(verdict)} for pair, verdict in verdicts]
        print(json.dumps({"equal": equal, **_sides(pairs), "pairs": found}))
        return 0 if equal else 1
    for pair, verdict in verdicts:
        if verdict.parting is not None:
            print(f"{pair} differ: {verdict.parting}")
        else:
            end = f"; both end in a fault: {verdict.fault}" if verdict.fault else ""
            print(f"{pair} are equal: {verdict.operations} operations{end}")
    _tell_sources(pairs)
    return 0 if equal else 1


def _checked(trace: str, pair: Pair, verdict: PairVerdict) -> Checked:
    from layout.formats.findings import Checked, Finding

    parting = verdict.parting
    if parting is None or parting.refused is not None:
        return Checked(str(pair), trace)
    line = parting.operation.n
    return Checked(
        str(pair), trace, Finding("kernel compare", f"{pair} differ: {parting}", trace, line)
    )


def _verdict_json(verdict: PairVerdict) -> dict[str, Any]:
    first = None
    if verdict.parting is not None:
        first = {
            "line": verdict.parting.operation.n,
            "op": verdict.parting.operation.op,
            "field": verdict.parting.field,
            "values": list(verdict.parting.values),
            "refused_since": verdict.parting.refused,
        }
    return {
        "operations": verdict.operations,
        "fault": verdict.fault or None,
        "first_difference": first,
    }


def _tell_sources(pairs: list[Pair]) -> None:
    sources = dict.fromkeys(str(each.source) for each in (pairs[0].one, pairs[0].other))
    tell(" against ".join(sources))


def _fuzz(args: argparse.Namespace, pairs: list[Pair]) -> int:
    from layout.ckernel.oracle import Limits
    from layout.ckernel.versus import versus

    progress = Progress(_line)
    limits = Limits(**limits_of(args))
    with progress.kept_in(args.out):
        campaign = versus(pairs, limits, Path(args.out), progress)
    tell_findings(args, _campaign_checked(campaign))
    wrong = bool(campaign.found or campaign.earlier)
    if args.json:
        print(json.dumps(_campaign_json(pairs, campaign)))
        return 1 if wrong else 0
    _tell_sources(pairs)
    print_work(campaign)
    print_ends(campaign)
    for found in campaign.found:
        print(f"{found.pair} differ in {traces(found.times)}: {found.parting}")
        print(f"  shortest trace {len(found.shrunk)} lines: {found.path}")
    print_earlier(campaign)
    if not wrong:
        print("no difference")
    return 1 if wrong else 0


def _campaign_checked(campaign: Campaign[Differs]) -> list[Checked]:
    """Each kind of difference, and the pairs without one."""
    from layout.formats.findings import Checked, Finding

    wrong = []
    for found in campaign.found:
        name = f"{found.parting.operation.op}: {found.parting.field}"
        detail = "\n".join(str(operation) for operation in found.shrunk)
        message = f"{found.pair} differ in {found.times} traces: {found.parting}"
        finding = Finding("kernel compare", message, str(found.path), 0, detail)
        wrong.append(Checked(str(found.pair), name, finding))
    return all_checked(campaign, wrong, "kernel compare")


def _line(campaign: Campaign[Differs]) -> str:
    return (
        f"{campaign.seconds:.0f} s: {campaign.traces} traces, {campaign.operations} operations, "
        f"{len(campaign.found)} kinds of difference, next seed {campaign.next_seed}; "
        f"{campaign.pace}"
    )


def _campaign_json(pairs: list[Pair], campaign: Campaign[Differs]) -> dict[str, Any]:
    return {
        "equal": not campaign.found and not campaign.earlier,
        **_sides(pairs),
        "pairs": [str(pair) for pair in pairs],
        "seconds": round(campaign.seconds, 1),
        "next_seed": campaign.next_seed,
        "traces": campaign.traces,
        "operations": campaign.operations,
        "equal_faults": campaign.faults,
        "refused_otherwise": campaign.refused,
        "too_long": campaign.too_long,
        "too_large": campaign.too_large,
        "differences": [
            {
                "pair": str(found.pair),
                "seed": found.seed,
                "op": found.parting.operation.op,
                "field": found.parting.field,
                "values": list(found.parting.values),
                "times": found.times,
                "shrunk": [str(operation) for operation in found.shrunk],
                "file": str(found.path),
            }
            for found in campaign.found
        ],
        "found_earlier": campaign.earlier,
    }
