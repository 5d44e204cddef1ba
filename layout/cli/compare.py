"""``maple-layout compare``: one trace on several machines, or two images."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import arches
from layout.cli.common import (
    OF_IMAGES,
    add_addresses,
    add_defect,
    add_kernel,
    add_limit,
    add_names,
    count,
    defects_of,
    limit_of,
    print_lines,
    read_input,
    refuse,
    tell,
    version_of,
)
from layout.cli.findings import add_findings, ready, tell_findings
from layout.memory.errors import UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

    from arches import Arch
    from layout.compare.difference import Difference
    from layout.compare.kernels import KernelComparison
    from layout.images.image import Image

_DEFAULT = ",".join(arches.THREE)


def add(verbs: Any) -> None:
    """Register the verb."""
    parser = verbs.add_parser(
        "compare",
        help="compare the results of a trace on several machines, or two images",
        description=(
            "With one input, run a trace on several machines line by line and stop at the first "
            "difference in meaning. With --kernel A,B run it as several kernels do, and stop at "
            "the first difference in results. With two inputs, list all differences between the "
            "trees in them."
        ),
        allow_abbrev=False,
    )
    parser.add_argument(
        "inputs", metavar="INPUT", nargs="+", help="a trace, or two images (or traces) A and B"
    )
    parser.add_argument("--arch", metavar="A,B,...", help=f"the machines; of a trace {_DEFAULT}")
    parser.add_argument("--tree", metavar="K|ADDR", help="of two images: the tree in both")
    add_kernel(parser)
    add_addresses(parser)
    add_names(parser)
    add_defect(parser)
    add_limit(parser)
    parser.add_argument(
        "--at", metavar="LINE", type=count, help="with two traces: the last line to run"
    )
    parser.add_argument(
        "--costs",
        action="store_true",
        help="with several kernels: what each spends in nodes, written bytes and cache lines",
    )
    parser.add_argument(
        "--first", action="store_true", help="with two images: only the first difference"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_findings(parser)


def run(args: argparse.Namespace) -> int:
    """Print what differs, or a summary; 1 if something does or a tree is broken."""
    ready(args)
    if len(args.inputs) == 1:
        return _lock_step(args)
    if len(args.inputs) == 2:
        return _two_images(args)
    message = f"compare takes one trace or two images, not {len(args.inputs)} inputs"
    raise UsageError(message)


def _machines(text: str) -> list[Arch]:
    return [arches.get(name) for name in text.split(",")]


def _lock_step(args: argparse.Namespace) -> int:
    from layout.compare.lockstep import compare_trace
    from layout.traces.inputs import read_trace

    refuse(args, ("tree", "at", *OF_IMAGES), "is for two inputs")
    if args.first:
        message = "--first is for two inputs: one trace stops at the first difference anyway"
        raise UsageError(message)
    if args.kernel is not None and "," in args.kernel:
        return _kernels(args)
    if args.costs:
        message = "--costs compares kernels: name them, as in --kernel 6.12,7.3"
        raise UsageError(message)
    machines = _machines(_DEFAULT if args.arch is None else args.arch)
    if len(machines) < 2:
        message = f"compare needs two machines or more: --arch {machines[0].name},..."
        raise UsageError(message)
    if len({arch.word_size for arch in machines}) > 1:
        message = "32-bit and 64-bit machines build different trees: compare each kind by itself"
        raise UsageError(message)
    outcome = compare_trace(
        read_trace(args.inputs[0]),
        machines,
        kernels=defects_of(args),
        version=version_of(args),
        limit=limit_of(args),
    )
    if args.json:
        print(json.dumps(outcome.as_json()))
    elif outcome.difference:
        _show(outcome.difference)
    else:
        print(
            f"equal on {', '.join(outcome.arches)}: {outcome.operations} operations, "
            f"{outcome.nodes} nodes handed out, height up to {outcome.height}, "
            f"{outcome.splits} splits, {outcome.swapped_bytes} bytes differ only by byte order"
        )
    if outcome.bad:
        tell(outcome.bad)
    wrong = [("stopped", outcome.bad, 0)] if outcome.bad else []
    _tell_wrong(args, outcome.arches, [*_as_wrong(outcome.difference), *wrong])
    return 1 if outcome.difference or outcome.bad else 0


def _as_wrong(difference: Difference | None) -> list[tuple[str, str, int]]:
    """A difference as a rule, a message and a line of the trace."""
    if difference is None:
        return []
    from layout.compare.side_by_side import heading

    return [(difference.field, heading(difference), difference.line or 0)]


def _tell_wrong(
    args: argparse.Namespace, sides: Iterable[str], wrong: Iterable[tuple[str, str, int]]
) -> None:
    """Write findings: rule, message and line of each, if there are any."""
    from layout.formats.findings import Checked, Finding

    source = args.inputs[0]
    name = f"compare {', '.join(sides)}"
    found = [Checked(source, name, Finding(rule, what, source, n)) for rule, what, n in wrong]
    tell_findings(args, found or [Checked(source, name)])


def _kernels(args: argparse.Namespace) -> int:
    """One trace as several kernels carry it out, on one machine or more."""
    from layout.compare.kernels import compare_kernels
    from layout.traces.inputs import read_trace
    from layout.traces.source import TraceText
    from layout.tree.versions import kernel_of

    if args.defect:
        message = "--defect changes one kernel: leave it out to compare several"
        raise UsageError(message)
    versions = list(dict.fromkeys(kernel_of(name).version for name in args.kernel.split(",")))
    if len(versions) < 2:
        message = f"--kernel {args.kernel} names one kernel: name two, as in 6.12,7.3"
        raise UsageError(message)
    given = read_trace(args.inputs[0])
    text = TraceText(b"".join(given.blocks()), given.source)
    machines = _machines("x86_64" if args.arch is None else args.arch)
    outcomes = [
        compare_kernels(
            text, versions, arch, costs=args.costs, limit=limit_of(args, watched=args.costs)
        )
        for arch in machines
    ]
    equal = all(outcome.equal for outcome in outcomes)
    wrong = [
        (
            each.parting.field,
            f"{each.arch}, {each.with_kernel}: {each.parting}",
            each.parting.operation.n,
        )
        for each in outcomes
        if each.parting is not None and not each.equal
    ]
    _tell_wrong(args, versions, wrong)
    if args.json:
        found = next((each for each in outcomes if not each.equal), outcomes[0])
        print(json.dumps({**found.as_json(), "arches": [each.as_json() for each in outcomes]}))
        return 0 if equal else 1
    for outcome in outcomes:
        _tell_kernels(outcome)
    return 0 if equal else 1


def _tell_kernels(outcome: KernelComparison) -> None:
    nodes = ", ".join(f"{count} by {version}" for version, count in outcome.nodes.items())
    if outcome.parting is None:
        names = ", ".join(outcome.versions)
        print(
            f"{outcome.arch}: {outcome.operations} operations have the same results in {names}; "
            f"nodes handed out: {nodes}"
        )
    else:
        print(f"{outcome.arch}: {outcome.versions[0]} and {outcome.with_kernel}: {outcome.parting}")
    if outcome.costs:
        from layout.compare.kernels import FIGURES

        names_ = [name.replace("_", " ") for name in FIGURES]
        widths = [max(len(name), 10) for name in names_]
        print("  ".join(["kernel", *map(str.rjust, names_, widths)]))
        for version, costs in outcome.costs.items():
            figures = [str(costs[name]) for name in FIGURES]
            print("  ".join([version.ljust(6), *map(str.rjust, figures, widths)]))


def _two_images(args: argparse.Namespace) -> int:
    from layout.compare.difference import between_images
    from layout.compare.image_diff_text import lines
    from layout.compare.images import diff_images

    if args.defect or args.costs:
        option = "--defect" if args.defect else "--costs"
        message = f"{option} is for one trace: leave it out"
        raise UsageError(message)
    machines: list[Arch | None] = [None] if args.arch is None else [*_machines(args.arch)]
    if len(machines) > 2:
        message = "two inputs are of at most two machines: give --arch A or --arch A,B"
        raise UsageError(message)
    images = [
        read_input(args, path, arch)
        for path, arch in zip(args.inputs, [machines[0], machines[-1]], strict=True)
    ]
    diff = diff_images(*images)
    told = args.first or args.json or args.junit or args.sarif or args.github
    difference = between_images(*images) if told else None
    for image, side in zip(images, diff.sides, strict=True):
        for text in [*image.notes, *side.problems]:
            tell(f"{image.source}: {text}")
    if args.json:
        first = None if difference is None else difference.as_json()
        answer = {"equal": first is None, "operations": 0, "first_difference": first}
        if diff and not args.first:
            answer["diff"] = diff.as_json()
        print(json.dumps(answer))
    elif difference and args.first:
        _show(replace(difference, arches=_labels(*images)))
    elif diff:
        print_lines(lines(diff, _labels(*images)))
    else:
        print(f"equal: {len(diff.sides[0].nodes)} nodes, {len(diff.sides[0].ranges)} ranges")
    broken = not all(side.complete for side in diff.sides)
    named = difference and replace(difference, arches=_labels(*images))
    problems = [("broken", each, 0) for side in diff.sides for each in side.problems]
    _tell_wrong(args, _labels(*images), [*_as_wrong(named), *problems * broken])
    return 1 if difference or diff or broken else 0


def _labels(a: Image, b: Image) -> tuple[str, str]:
    """What to call two images: their machines where these differ, else their files."""
    if a.arch.name != b.arch.name:
        return a.arch.name, b.arch.name
    names = Path(a.source).name, Path(b.source).name
    return names if names[0] != names[1] else (a.source, b.source)


def _show(difference: Difference) -> None:
    from layout.compare.side_by_side import lines

    print_lines(lines(difference))
