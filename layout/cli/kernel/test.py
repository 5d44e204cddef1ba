"""``maple-layout kernel test``: a trace as a function for the kernel's own test file."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import arches
from layout.cli.common import add_arch, tell
from layout.cli.kernel.options import add_action, add_trace, source_of, where_it_stopped

if TYPE_CHECKING:
    import argparse

    from arches import Arch
    from layout.ckernel.source import KernelSource
    from layout.ckernel.testcase import TestCase
    from layout.traces.trace import Operation


def add(actions: Any) -> None:
    """Register the action."""
    parser = add_action(
        actions,
        "test",
        _act,
        help="print a trace as a C function for the kernel's own test file",
        description=(
            "Print a C function that replays a trace and checks every result, ready to paste "
            "into lib/test_maple_tree.c."
        ),
    )
    add_trace(parser)
    add_arch(parser, "the machine whose results are checked (default x86_64)")
    parser.add_argument(
        "--kernel",
        metavar="V",
        help="the kernel whose results are checked: 6.12, 7.2 or 7.3; if left out, with --check, "
        "--source or --deb the one that the source looks like, else 6.12",
    )
    parser.add_argument("--name", metavar="NAME", help="the function's name")
    parser.add_argument(
        "--check",
        action="store_true",
        help="compile and run it on the kernel's own code, too; where it passes, one that looks "
        "at all ranges after each change",
    )


def _act(args: argparse.Namespace) -> int:
    from layout.ckernel.testcase import function_name, write_test
    from layout.memory.errors import TraceError, UsageError
    from layout.memory.structs import DEFAULT_VERSION
    from layout.traces.inputs import open_trace
    from layout.tree.versions import kernel_of

    arch = arches.get("x86_64" if args.arch is None else args.arch)
    name = args.name or function_name(args.trace)
    if not (name.isascii() and name.isidentifier()):
        message = f"--name {name!r} is no name in C: use letters, digits and _"
        raise UsageError(message)
    version = DEFAULT_VERSION if args.kernel is None else kernel_of(args.kernel).version
    if args.check or args.source is not None or args.deb is not None or args.download:
        kernel = source_of(args)  # also where --kernel says what is checked: it must be there
        if args.kernel is None:
            version = kernel.emulator
            if kernel.unlike:
                tell(
                    f"no emulator is like Linux {kernel.version} ({kernel.unlike}): "
                    f"the results are those of {version}"
                )
    operations = list(open_trace(args.trace, arch))
    source = "stdin" if args.trace == "-" else args.trace
    try:
        cases = [write_test(operations, arch, name, version=version)]
        if args.check:
            cases.append(write_test(operations, arch, name, closely=True, version=version))
    except TraceError as error:
        raise TraceError(error.line, error.reason, source) from None
    if not args.check:
        _print(cases[0])
        return 0
    return _check(args, arch, operations, cases)


def _print(case: TestCase) -> None:
    sys.stdout.write(case.text)
    if case.left_out:
        number = len(case.left_out)
        tell(f"{number} lines that only show memory are left out, line {case.left_out[0]} first")


def _check(
    args: argparse.Namespace, arch: Arch, operations: list[Operation], cases: list[TestCase]
) -> int:
    """Print the first of the tests that fails on the kernel, the shortest if none does."""
    from layout.ckernel.build import build
    from layout.ckernel.execute import STOPPED, run_test

    source = source_of(args)
    where = f"on {arch.name} with {source}"
    for case in cases:
        failed = run_test(build(source, arch.name, test=case))
        if failed:
            _print(case)
            tell(f"fails: {failed}, {where}")
            _, stop, told = failed.partition(STOPPED)
            if stop and (command := where_it_stopped(args, arch.name, told)):
                tell(command)
            return 1
    _print(cases[0])
    tell(f"passes, {where}")
    unseen = _unseen(source, arch, operations)
    if unseen:
        tell(f"but kernel and emulator differ where no caller can see it: {unseen}")
    return 0


def _unseen(source: KernelSource, arch: Arch, operations: list[Operation]) -> str:
    """The first difference between kernel and emulator on a trace whose test passes."""
    from layout.ckernel.build import build
    from layout.ckernel.diff import compare
    from layout.ckernel.explain import explain
    from layout.compare.side_by_side import heading

    built = build(source, arch.name)
    mismatch = compare(built, operations).mismatch
    return heading(explain(built, operations, mismatch)) if mismatch else ""
