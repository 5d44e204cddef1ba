"""``maple-layout conformance``: test whether a program reads maple trees in memory correctly."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from layout.cli.common import add_version, count, jobs, tell, version_of
from layout.cli.findings import add_findings, ready, tell_findings
from layout.host.files import Output
from layout.host.progress import Progress
from layout.memory.errors import UsageError

if TYPE_CHECKING:
    from layout.testing.conformance.judge import Judge


def add(verbs: Any) -> None:
    """Register the verb."""
    parser = verbs.add_parser(
        "conformance",
        help="test a reader of maple trees on images of every shape and machine",
        description=(
            "Run COMMAND on images of maple trees, each time with the path of an ELF core and "
            "the hex address of the struct maple_tree, or in place of {core} and {tree}. It "
            'must print a line "first last entry" in hex for each range that is not NULL, in '
            "order. On a damaged image it must end with a status other than 0, or with a line on "
            "stderr. Further files are the core's types (CORE.types, ELF), symbols for volatility3 "
            "(CORE.isf) and a list of its segments (CORE.json)."
        ),
        allow_abbrev=False,
    )
    parser.add_argument("command", metavar="COMMAND", nargs=argparse.REMAINDER, help="the reader")
    parser.add_argument("--arch", metavar="A,B,...", help="the machines; by default all")
    add_version(parser)
    parser.add_argument(
        "-k",
        "--case",
        metavar="TEXT",
        action="append",
        default=[],
        help="only cases whose name contains TEXT, or matches it as a shell pattern; repeatable",
    )
    parser.add_argument(
        "--jobs", metavar="N", type=jobs, default=os.cpu_count() or 1, help="readers at a time"
    )
    parser.add_argument(
        "--timeout", metavar="S", type=count, default=10, help="seconds for one image (10)"
    )
    parser.add_argument(
        "--hide-zero",
        action="store_true",
        help="the reader omits XA_ZERO entries, as the kernel's mt_find() does",
    )
    parser.add_argument(
        "--entries",
        action="store_true",
        help="the reader prints one entry per line and no ranges: compare only the entries",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument(
        "--keep",
        metavar="DIR",
        help="keep the files of failed cases; without a COMMAND, write those of all cases",
    )
    parser.add_argument("--list", action="store_true", help="list the cases, and run none")
    add_findings(parser)


def run(args: argparse.Namespace) -> int:
    """Run the corpus and print what failed; 1 if anything did."""
    from layout.testing.conformance.cases import corpus
    from layout.testing.conformance.judge import Judge

    command = args.command[1:] if args.command[:1] == ["--"] else args.command
    names = None if args.arch is None else args.arch.split(",")
    cases = corpus(names, args.case, version_of(args))
    if args.list:
        for case in cases:
            print(f"{case.name:40} {case.about}")
        return 0
    judge = Judge(hide_zero=args.hide_zero, entries=args.entries, seconds=args.timeout)
    if not command:
        return _write(cases, args.keep, judge)
    if not args.timeout:
        message = "--timeout is 1 or more"
        raise UsageError(message)
    from layout.testing.conformance.command import Commands

    keep = Path(args.keep) if args.keep else None
    commands = Commands(command, judge, jobs=args.jobs, keep=keep)
    ready(args)
    if keep:
        keep.mkdir(parents=True, exist_ok=True)
    with Progress("conformance", len(cases), "cases") as progress:
        result = commands.run(cases, lambda done, _: progress.at(done))
    tell_findings(args, result.checked())
    if args.json:
        print(json.dumps(result.as_json()))
    else:
        from layout.testing.conformance.summary import show

        show(result)
    return 1 if result.failures else 0


def _write(cases: Any, keep: str | None, judge: Judge) -> int:
    """Write the files of cases, for readers that are run by something else."""
    from layout.testing.conformance.command import write_case, write_expected

    if not keep:
        message = "what reader? give its command after --, as in: conformance -- ./reader"
        raise UsageError(message)
    folder = Path(keep)
    folder.mkdir(parents=True, exist_ok=True)
    for case in Progress("writing", len(cases), "cases").over(cases):
        built = case.build()
        core = folder / f"{case.name}.core"
        with Output() as files:
            write_case(built, core, files)
            write_expected(case, built, judge, core, files)
    tell(f"{len(cases)} cases written to {keep}")
    return 0
