"""``maple-layout interleave``: readers without a lock beside each write of a trace."""

from __future__ import annotations

import json
from dataclasses import replace
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
    positive,
    version_of,
)
from layout.memory.errors import UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from layout.interleave.search import Beside, Setting
    from layout.traces.trace import Operation


def add(verbs: Any) -> None:
    """Register the verb."""
    parser = verbs.add_parser(
        "interleave",
        help="let readers run beside each write, store by store",
        description=(
            "Run a trace, by the emulator's operations of a kernel. Beside each line that changes "
            "a tree in RCU mode, readers without a lock run in every order of single loads and "
            "stores that the machine allows. Each of their answers must be that of the tree before "
            "the line or after it. Readers may also stay while several lines change the tree. "
            'Unmodified kernels give some wrong answers, too: docs/interleave.md, "What was '
            'found", lists them.'
        ),
        allow_abbrev=False,
    )
    parser.add_argument("trace", metavar="TRACE", help="a trace, packed by xz or not; - is stdin")
    add_arch(parser, "the machine (default x86_64)")
    add_version(parser)
    add_defect(parser)
    add_limit(parser)
    parser.add_argument(
        "--line", metavar="N", type=positive, help="let readers run beside this line alone"
    )
    parser.add_argument(
        "--beside",
        metavar="N",
        type=positive,
        default=1,
        help="let readers run beside N lines together, 1 to 8, from each line or from --line on: "
        "they may be in the tree while all N change it; the default is 1",
    )
    parser.add_argument(
        "--one-lock",
        action="store_true",
        help="with --beside: the writer holds its lock over these lines, so that it does not order "
        "the stores of one behind those of the line before",
    )
    parser.add_argument(
        "--readers",
        metavar="N",
        type=positive,
        default=2,
        help="readers that run one after another, 1 to 3; the default is 2",
    )
    parser.add_argument(
        "--reader",
        metavar="WORDS",
        action="append",
        default=[],
        help="what a reader does, in place of those that fit the change: 'load I', 'walk I', "
        "'next I', 'prev I', 'next_range I', 'prev_range I', 'find A B'; may be repeated",
    )
    parser.add_argument(
        "--order",
        choices=("tso", "weak"),
        help="the memory order, if not the machine's: tso shows stores in their order, weak only "
        "as barriers say",
    )
    barriers = parser.add_mutually_exclusive_group()
    barriers.add_argument(
        "--without",
        metavar="BARRIER",
        action="append",
        default=[],
        help="take out a barrier, by the kernel's function that has it, or all of a kind: "
        "rcu_assign_pointer, smp_wmb, smp_rmb, rcu_dereference; may be repeated",
    )
    barriers.add_argument(
        "--each", action="store_true", help="take out each barrier in turn; print a table"
    )
    parser.add_argument(
        "--reload", action="store_true", help="load a pivot as often as the C code names it"
    )
    parser.add_argument(
        "--fresh",
        action="store_true",
        help="a reader's step that begins after the line must show the new tree",
    )
    parser.add_argument("--rcu", action="store_true", help="turn all trees into RCU mode")
    parser.add_argument(
        "--bound",
        metavar="N",
        type=count,
        default=10_000,
        help="leave a reader after this many executions; the default is 10000, 0 is never",
    )
    parser.add_argument("--json", action="store_true", help="print JSON, an object for each line")


def run(args: argparse.Namespace) -> int:
    """Print what readers saw; 1 if an answer was wrong."""
    from layout.interleave.barriers import without
    from layout.interleave.programs import named
    from layout.interleave.search import Setting, check_setting
    from layout.traces.inputs import read_trace
    from layout.traces.snapshot import operations

    arch = arches.get("x86_64" if args.arch is None else args.arch)
    setting = Setting(
        arch,
        tuple(defects_of(args)),
        version_of(args),
        args.order or "",
        without(args.without),
        args.readers,
        args.bound or None,
        reload=args.reload,
        rcu=args.rcu,
        fresh=args.fresh,
        only=args.line,
        beside=args.beside,
        one_lock=args.one_lock,
        limit=limit_of(args, watched=True),
        wanted=tuple(named(words, arch.ulong_max) for words in args.reader),
    )
    check_setting(setting)
    wanted = list(operations(read_trace(args.trace), arch))
    if args.line is not None and args.line not in {each.n for each in wanted}:
        message = f"--line {args.line}: {args.trace} has no operation in that line"
        raise UsageError(message)
    if args.each:
        return _each(setting, wanted, args)
    return _once(setting, wanted, args)


def _results(setting: Setting, wanted: list[Operation], what: str) -> Iterator[Beside]:
    """The results of a trace. Raises UsageError where it has no line to look at."""
    from layout.host.progress import Progress
    from layout.interleave.search import Search

    search = Search(setting)
    found = False
    with Progress(what, len(wanted), "operations") as progress:
        for result in search.lines(wanted):
            if result is not None:
                found = True
                yield result
            progress.step()
    if search.stopped:
        message = f"the trace ends with a fault: {search.stopped.splitlines()[0]}"
        raise UsageError(message)
    if not found:
        message = (
            "no line changes a tree in RCU mode while no reader of the trace's own holds callbacks "
            "up: begin with 'init 2' (3 to track gaps), or give --rcu"
        )
        raise UsageError(message)


def _once(setting: Setting, wanted: list[Operation], args: argparse.Namespace) -> int:
    from layout.interleave.story import as_json, story

    bad = 0
    lines = executions = pruned = cut = 0
    orders = 1
    for result in _results(setting, wanted, setting.arch.name):
        lines += 1
        executions += result.executions
        pruned += result.pruned
        cut += result.cut
        orders = max(orders, result.orders)
        bad += bool(result.wrong)
        if args.json:
            print(json.dumps(as_json(result)))
            continue
        if result.wrong:
            print(_head(result))
            print(*story(result, result.shortest, setting.arch.byteorder), sep="\n")
    if not args.json:
        out = f", without {', '.join(sorted(setting.without))}" if setting.without else ""
        many = "s" * (lines != 1)
        what, allowed = f"line{many}", "the old or the new tree"
        if setting.beside > 1:
            what = f"run{many} of up to {setting.beside} lines"
            what += f", {cut} readers left at the bound" if cut else ""
            allowed = "the old tree, the new one or one between"
        verdict = f"wrong answers beside {bad}" if bad else f"each answer is of {allowed}"
        print(
            f"{setting.arch.name}, {setting.version}, {setting.memory_order}{out}: "
            f"{lines} {what}, {executions} executions, {pruned} more pruned, "
            f"10^{len(str(orders)) - 1} orders of one reader's loads: {verdict}"
        )
    return 1 if bad else 0


def _head(result: Beside) -> str:
    writing = result.writing
    operations = "; ".join(map(str, writing.operations))
    cut = f", {result.cut} readers left at the bound" if result.cut else ""
    many = "s" * (len(writing.operations) > 1)
    return (
        f"line{many} {writing.lines}: {operations}: {len(result.wrong)} wrong in "
        f"{result.executions} executions{cut}, the shortest:"
    )


def _each(setting: Setting, wanted: list[Operation], args: argparse.Namespace) -> int:
    """Take out each barrier in turn: a line needs it if more is wrong then than with all."""
    from layout.interleave.barriers import barriers_of

    alone = replace(setting, readers=1)
    plain = list(_results(replace(alone, enough=1 << 30), wanted, "all barriers"))
    known = {result.writing.first: _wrong(result) for result in plain}
    alone = replace(alone, enough=1, known=known)
    rows = [("barrier", "kind", *(result.writing.lines for result in plain))]
    rows.append(("all there", "", *("wrong" if found else "-" for found in known.values())))
    for name, kind, *_ in barriers_of(setting.version):
        results = list(_results(replace(alone, without=frozenset({name})), wanted, name))
        needed = [result.writing.first for result in results if result.wrong]
        rows.append((name, kind, *("needed" if n in needed else "-" for n in known)))
        if args.json:
            print(json.dumps({"without": name, "kind": kind, "needed_by": needed}))
    if not args.json:
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            print("  ".join(map(str.ljust, row, widths)).rstrip())
    return 1 if any(known.values()) else 0


def _wrong(result: Beside) -> frozenset[tuple[str, str]]:
    return frozenset((wrong.reader, wrong.what) for wrong in result.wrong)
