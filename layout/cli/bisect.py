"""``maple-layout bisect``: the first operation of a trace after which a condition holds."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import arches
from layout.cli.common import (
    add_arch,
    add_defect,
    add_limit,
    add_version,
    count,
    defects_of,
    limit_of,
    tell,
    version_of,
)
from layout.cli.kernel.options import add_source, compared_source
from layout.cli.suffixes import refuse_suffix
from layout.memory.errors import UsageError

if TYPE_CHECKING:
    import argparse

    from arches import Arch
    from layout.bisect.conditions import Found
    from layout.ckernel.build import Built
    from layout.ckernel.source import KernelSource
    from layout.traces.trace import Operation


def add(verbs: Any) -> None:
    """Register the verb."""
    from layout.bisect.forms import FORMS

    forms = "; ".join(f"{form}: {meaning}" for form, meaning in FORMS.items())
    parser = verbs.add_parser(
        "bisect",
        help="find the first operation after which a condition holds",
        description=(
            "Run a trace up to the first operation after which a condition holds that did not "
            "hold before. Then make the trace shorter, as long as its last operation shows the "
            f"same. Conditions are: {forms}."
        ),
        allow_abbrev=False,
    )
    parser.add_argument("trace", metavar="TRACE", help="a trace, packed by xz or not; - is stdin")
    parser.add_argument("--until", metavar="CONDITION", required=True, help="what to look for")
    add_arch(parser, "the machine (default x86_64)")
    add_version(parser)
    add_defect(parser)
    add_limit(parser)
    parser.add_argument(
        "--shrink",
        metavar="S",
        type=count,
        default=20,
        help="seconds to spend on a shorter trace; the default is 20, 0 is not to try",
    )
    parser.add_argument("-o", "--output", metavar="FILE", help="write the explorer's page there")
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_source(parser)


def run(args: argparse.Namespace) -> int:
    """Print where the condition came to hold; 1 if it did."""
    from layout.bisect.conditions import Setting
    from layout.bisect.search import condition, shortest
    from layout.host.files import check
    from layout.host.progress import Progress
    from layout.traces.inputs import read_trace
    from layout.traces.snapshot import operations

    refuse_suffix(args.output, "html", "a page in HTML")
    name, _, rest = args.until.strip().partition(" ")
    if name == "machines" and args.arch is not None:
        message = "--arch and --until machines both name machines: leave --arch out"
        raise UsageError(message)
    if name == "kernel" and args.defect:
        message = "the kernel's own code has no --defect: leave it out"
        raise UsageError(message)
    named = rest.split(",") if name == "machines" and rest else [args.arch or "x86_64"]
    machines = [arches.get(each.strip()) for each in named]
    source = compared_source(args) if name == "kernel" else None
    if source is not None:
        args.kernel = source.emulator  # what is shown is what was compared
        tell(f"{source}; the emulator is {source.emulator}")
    limit = limit_of(args, watched=True)
    setting = Setting(machines[0], defects_of(args), version_of(args), limit)
    wanted_condition = condition(args.until, setting, lambda: _built(source, machines[0]))
    if args.output is not None:
        check(args.output, inputs=[args.trace])
    text = read_trace(args.trace)
    wanted = list(operations(text, machines[0]))
    with Progress(args.until, len(wanted), "operations") as progress:
        found = wanted_condition.first(wanted, progress.step)
    if found is None:
        print(json.dumps({"found": False}) if args.json else _never(args.until, wanted))
        return 0
    found = wanted_condition.explained(wanted, found)
    shrunk = shortest(wanted_condition, wanted, found, seconds=args.shrink)
    if args.output is not None:  # first: who reads stdout may stop early
        from layout.cli.explore import record
        from layout.explore.page import page
        from layout.host.files import write

        write(args.output, page(record(text.source, wanted, machines, args)))
    if args.json:
        print(json.dumps(_as_json(found, shrunk, args)))
    else:
        _tell(found, shrunk, args)
        print(_where(found, machines, args))
    return 1


def _built(source: KernelSource | None, arch: Arch) -> Built:
    from layout.ckernel.build import build

    assert source is not None
    return build(source, arch.name)


def _never(until: str, wanted: list[Operation]) -> str:
    return f"{until}: not after any of the {len(wanted)} operations"


def _tell(found: Found, shrunk: list[Operation], args: argparse.Namespace) -> None:
    print(f"line {found.operation.n}: {found.operation}")
    print(f"  {found.what}")
    if args.shrink:
        print(f"\nshortest trace found, {len(shrunk)} operation{'s' * (len(shrunk) > 1)}:")
        for operation in shrunk:
            print(operation)


def _where(found: Found, machines: list[Arch], args: argparse.Namespace) -> str:
    """How to look at it in the explorer."""
    if args.output is not None:
        return f"\nin the explorer: {args.output}{_fragment(found, args)}"
    stem = "trace" if args.trace == "-" else Path(args.trace).name.partition(".")[0]
    words = ["maple-layout", "explore", args.trace]
    words += ["--arch", ",".join(arch.name for arch in machines)]
    words += [word for each in args.defect for word in ("--defect", each)]
    words += ["--kernel", args.kernel] if args.kernel else []
    command = shlex.join([*words, "-o", f"{stem}.html"])
    return f"\nin the explorer: {command}\n  {stem}.html{_fragment(found, args)}"


def _fragment(found: Found, args: argparse.Namespace) -> str:
    from layout.cli.explore import run_name
    from layout.defects import get
    from layout.explore.link import fragment

    name = run_name(arches.get(found.machine), [get(each).id for each in args.defect])
    return fragment(found.operation.n, name, found.address)


def _as_json(found: Found, shrunk: list[Operation], args: argparse.Namespace) -> dict[str, Any]:
    return {
        "found": True,
        "line": found.operation.n,
        "operation": str(found.operation),
        "what": found.what,
        "machine": found.machine,
        "address": None if found.address is None else f"{found.address:x}",
        "trace": [str(operation) for operation in shrunk],
        "fragment": _fragment(found, args),
    }
