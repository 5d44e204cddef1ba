"""``maple-layout kernel test``: a trace as a function for the kernel's own test file."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import arches
from layout.cli.common import add_arch, tell
from layout.cli.kernel.options import add_action, add_trace, source_of

if TYPE_CHECKING:
    import argparse


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
    add_arch(parser, "the machine whose results are checked, x86_64 if left out")
    parser.add_argument("--name", metavar="NAME", help="the function's name")
    parser.add_argument(
        "--check", action="store_true", help="compile and run it on the kernel's own code, too"
    )


def _act(args: argparse.Namespace) -> int:
    from layout.ckernel.testcase import function_name, write_test
    from layout.memory.errors import TraceError, UsageError
    from layout.traces.inputs import open_trace

    arch = arches.get("x86_64" if args.arch is None else args.arch)
    name = args.name or function_name(args.trace)
    if not (name.isascii() and name.isidentifier()):
        message = f"--name {name!r} is no name in C: use letters, digits and _"
        raise UsageError(message)
    operations = list(open_trace(args.trace, arch))
    try:
        case = write_test(operations, arch, name)
    except TraceError as error:
        source = "stdin" if args.trace == "-" else args.trace
        raise TraceError(error.line, error.reason, source) from None
    sys.stdout.write(case.text)
    if case.left_out:
        number = len(case.left_out)
        tell(f"{number} lines that only show memory are left out, line {case.left_out[0]} first")
    if not args.check:
        return 0
    from layout.ckernel.build import build
    from layout.ckernel.execute import run_test

    source = source_of(args)
    failed = run_test(build(source, arch.name, test=case))
    tell(f"{'fails: ' + failed if failed else 'passes'}, on {arch.name} with {source}")
    return 1 if failed else 0
