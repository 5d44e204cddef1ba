"""``maple-layout kernel``: the kernel's own C code, built and run beside the emulator."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import arches
from layout.cli.common import add_arch, tell
from layout.errors import UsageError

if TYPE_CHECKING:
    import argparse

    from layout.ckernel.build import Built
    from layout.ckernel.source import KernelSource


def add(verbs: Any) -> None:
    """Register the verb and what it can do."""
    parser = verbs.add_parser(
        "kernel",
        help="build and run a kernel's own maple_tree.c, and compare it with the emulator",
        description=(
            "Try a kernel's own lib/maple_tree.c, unmodified, on any machine that Debian has a "
            "compiler and a qemu-user for."
        ),
        allow_abbrev=False,
    )
    actions = parser.add_subparsers(title="actions", dest="action", metavar="ACTION", required=True)
    _add_build(actions)
    _add_run(actions)


def run(args: argparse.Namespace) -> int:
    """Do what was asked for; 1 for a difference or a fault."""
    return int(args.act(args))


# -- options


def _add_action(actions: Any, name: str, act: Any, **texts: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = actions.add_parser(name, allow_abbrev=False, **texts)
    parser.add_argument("--source", metavar="DIR", help="the top directory of a kernel tree")
    parser.add_argument(
        "--deb",
        metavar="PACKAGE",
        help="an installed Debian package of a kernel's source; linux-source-6.12 if left out",
    )
    parser.set_defaults(act=act)
    return parser


def _add_trace(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("trace", metavar="TRACE", help="a trace, packed by xz or not; - is stdin")


def _add_machines(parser: argparse.ArgumentParser, default: str) -> None:
    parser.add_argument("--arch", metavar="A,B,...", help=f"the machines; {default} if left out")


def _source(args: argparse.Namespace) -> KernelSource:
    from layout.ckernel.source import open_source

    return open_source(args.source, args.deb)


def _machines(text: str | None) -> list[str]:
    """The machines asked for, or all whose tools are here. Raises UsageError."""
    from layout.ckernel import toolchain

    if text:
        return [arches.get(name).name for name in text.split(",")]
    found = toolchain.available()
    if not found:
        message = "no compiler is here: apt install --no-install-recommends " + " ".join(
            toolchain.packages("x86_64")
        )
        raise UsageError(message)
    return found


# -- build


def _add_build(actions: Any) -> None:
    parser = _add_action(
        actions,
        "build",
        _build,
        help="compile a kernel's maple_tree.c in the harness",
        description="Compile a kernel's maple_tree.c in the harness, for one machine or more.",
    )
    _add_machines(parser, "all whose compiler and qemu are installed")
    parser.add_argument(
        "--sanitize", action="store_true", help="with address and undefined behaviour sanitizers"
    )
    parser.add_argument("--coverage", action="store_true", help="count which lines are executed")
    parser.add_argument("--json", action="store_true", help="print JSON")


def _build(args: argparse.Namespace) -> int:
    from layout.ckernel import toolchain
    from layout.ckernel.build import COVERAGE, PLAIN, SANITIZE, build

    source = _source(args)
    modes = [SANITIZE] * args.sanitize + [COVERAGE] * args.coverage or [PLAIN]
    wanted = _machines(args.arch)
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


# -- run


def _add_run(actions: Any) -> None:
    parser = _add_action(
        actions,
        "run",
        _run,
        help="carry out a trace on the kernel's own code and print its transcript",
        description="Carry out a trace on the kernel's own code; one JSON line an operation.",
    )
    _add_trace(parser)
    add_arch(parser, "the machine, x86_64 if left out")
    parser.add_argument(
        "--sanitize", action="store_true", help="with address and undefined behaviour sanitizers"
    )


def _run(args: argparse.Namespace) -> int:
    from layout.ckernel.build import PLAIN, SANITIZE, build
    from layout.ckernel.run import run as run_trace
    from layout.replay.inputs import open_trace
    from layout.replay.transcript import encode

    arch = arches.get(args.arch or "x86_64")
    operations = list(open_trace(args.trace, arch))
    built = build(_source(args), arch.name, SANITIZE if args.sanitize else PLAIN)
    _say_built(built)
    outcome = run_trace(built, operations)
    for line in outcome.lines:
        sys.stdout.write(encode(line) + "\n")
    sys.stdout.flush()
    if outcome.faulted:
        last = outcome.lines[-1]
        fault = last["fault"]
        tell(f"line {last['n']}: {last['op']}: {fault['kind']}: {fault['message']}")
    if outcome.reports:
        sys.stderr.write(outcome.reports)
    return 1 if outcome.faulted or outcome.failed or outcome.reports else 0


def _say_built(built: Built) -> None:
    tell(f"{built.source} on {built.arch}")
