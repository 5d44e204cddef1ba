"""``maple-layout kernel``: build the kernel's own C code and compare it with the emulator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from layout.cli.kernel.build import add as add_build
from layout.cli.kernel.compare import add as add_compare
from layout.cli.kernel.diff import add as add_diff
from layout.cli.kernel.fuzz import add as add_fuzz
from layout.cli.kernel.run import add as add_run
from layout.cli.kernel.test import add as add_test

if TYPE_CHECKING:
    import argparse


def add(verbs: Any) -> None:
    """Register the verb and what it can do, one module an action."""
    parser = verbs.add_parser(
        "kernel",
        help="build and run a kernel's own maple_tree.c, and compare it with the emulator",
        description=(
            "Test a kernel's own lib/maple_tree.c, unmodified, on any machine for which Debian has "
            "a compiler and a qemu-user."
        ),
        allow_abbrev=False,
    )
    actions = parser.add_subparsers(title="actions", dest="action", metavar="ACTION", required=True)
    for add_action in (add_build, add_run, add_diff, add_fuzz, add_compare, add_test):
        add_action(actions)


def run(args: argparse.Namespace) -> int:
    """Do what was asked for; 1 for a difference or a fault."""
    return int(args.act(args))
