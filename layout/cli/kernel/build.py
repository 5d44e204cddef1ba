"""``maple-layout kernel build``: compile a kernel's maple_tree.c in the harness."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import arches
from layout.cli.common import tell
from layout.cli.kernel.options import (
    add_action,
    add_machines,
    machines,
    source_of,
)

if TYPE_CHECKING:
    import argparse


def add(actions: Any) -> None:
    """Register the action."""
    parser = add_action(
        actions,
        "build",
        _act,
        help="compile a kernel's maple_tree.c in the harness",
        description="Compile a kernel's maple_tree.c in the harness, for one machine or more.",
    )
    add_machines(parser, "all whose compiler and qemu are installed")
    parser.add_argument(
        "--sanitize", action="store_true", help="with address and undefined behaviour sanitizers"
    )
    parser.add_argument("--coverage", action="store_true", help="count which lines are executed")
    parser.add_argument("--json", action="store_true", help="print JSON")


def _act(args: argparse.Namespace) -> int:
    from layout.ckernel import toolchain
    from layout.ckernel.build import COVERAGE, PLAIN, SANITIZE, build

    wanted = machines(args.arch)  # a name that is none is told before anything is unpacked
    source = source_of(args)
    modes = [SANITIZE] * args.sanitize + [COVERAGE] * args.coverage or [PLAIN]
    if modes != [PLAIN] and not args.arch:
        wanted = [name for name in wanted if toolchain.is_native(name)]
    builds = [build(source, name, mode) for name in wanted for mode in modes]
    if args.json:
        print(json.dumps([built.as_json() for built in builds]))
        return 0
    print(source)
    for built in builds:
        how = "built before" if built.cached else "built"
        what = built.arch if built.mode == PLAIN else f"{built.arch} ({built.mode})"
        print(f"{what:12} {how}: {' '.join(built.command)}")
    if not args.arch:
        for name in sorted(set(arches.names()) - set(wanted)):
            try:
                toolchain.find(name)
            except toolchain.ToolMissing as missing:
                tell(f"not built: {missing}")
    return 0
