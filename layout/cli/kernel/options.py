"""Options that the actions of ``maple-layout kernel`` share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import arches
from layout.cli.common import count, jobs, positive, release
from layout.memory.errors import UsageError

if TYPE_CHECKING:
    import argparse

    from layout.ckernel.source import KernelSource


_TIME = 60
"""Seconds of a search, if nothing else is asked for."""


def add_action(actions: Any, name: str, act: Any, **texts: str) -> argparse.ArgumentParser:
    """Register an action; ``act`` carries it out."""
    parser: argparse.ArgumentParser = actions.add_parser(name, allow_abbrev=False, **texts)
    add_source(parser)
    parser.set_defaults(act=act)
    return parser


def add_source(parser: argparse.ArgumentParser) -> None:
    """Add the options that name the kernel's own code."""
    parser.add_argument("--source", metavar="DIR", help="the top directory of a kernel tree")
    parser.add_argument(
        "--deb",
        metavar="PACKAGE",
        help="an installed Debian package of a kernel's source; the default is linux-source-6.12, "
        "or that of --kernel",
    )
    parser.add_argument(
        "--download",
        action="store_true",
        help="get the package from Debian's archive if it is not installed: needs no root",
    )


def add_emulator(parser: argparse.ArgumentParser) -> None:
    """Add ``--kernel``."""
    parser.add_argument(
        "--kernel",
        metavar="V",
        type=release,
        help="the version that the emulator carries out: 6.12, 7.2 or 7.3; "
        "the one that the source looks like if left out",
    )


def compared_source(args: argparse.Namespace) -> KernelSource:
    """source_of(), to be compared with the version that ``--kernel`` names."""
    from dataclasses import replace

    from layout.tree.versions import kernel_of

    source = source_of(args)
    return replace(source, emulator=kernel_of(args.kernel).version) if args.kernel else source


def add_trace(parser: argparse.ArgumentParser) -> None:
    """Add the positional trace."""
    parser.add_argument("trace", metavar="TRACE", help="a trace, packed by xz or not; - is stdin")


def add_machines(parser: argparse.ArgumentParser, default: str) -> None:
    """Add ``--arch`` for several machines."""
    parser.add_argument("--arch", metavar="A,B,...", help=f"the machines; the default is {default}")


def source_of(args: argparse.Namespace) -> KernelSource:
    """The kernel that ``--source`` or ``--deb`` names, or Debian's package of ``--kernel``."""
    from layout.ckernel.source import open_source
    from layout.tree.versions import kernel_of

    package, version = args.deb, getattr(args, "kernel", None)
    if version and package is None and args.source is None:
        package = f"linux-source-{kernel_of(version).version}"
    return open_source(args.source, package, download=args.download)


def machines(text: str | None) -> list[str]:
    """The machines asked for, or all whose tools are here. Raises UsageError, ToolMissing."""
    from layout.ckernel import toolchain

    if text is not None:
        names = [arches.get(name).name for name in text.split(",")]
        for name in names:
            toolchain.find(name)
        return names
    found = toolchain.available()
    if not found:
        message = "no compiler is here: apt install --no-install-recommends " + " ".join(
            toolchain.packages("x86_64")
        )
        raise UsageError(message)
    return found


def add_search(parser: argparse.ArgumentParser, time: str) -> None:
    """Add the options of any search; ``time`` is what is timed."""
    parser.add_argument(
        "--time", metavar="S", type=count, default=_TIME, help=f"{time}; the default is {_TIME}"
    )
    parser.add_argument(
        "--seed", metavar="N", type=count, default=0, help="the first number; the default is 0"
    )
    parser.add_argument(
        "--jobs", metavar="J", type=jobs, default=1, help="processes; the default is 1"
    )
    parser.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        default="",
        help="the workers of a dask.distributed scheduler instead of --jobs processes: "
        "tcp://HOST:8786",
    )


def add_campaign(parser: argparse.ArgumentParser, time: str) -> None:
    """Add the options of generated traces; ``time`` is what is timed."""
    add_search(parser, time)
    parser.add_argument(
        "--traces", metavar="N", type=positive, default=0, help="end after so many traces"
    )


def refuse_campaign(args: argparse.Namespace) -> None:
    """Raise UsageError for an option of generated traces where there are none."""
    usual = {"time": _TIME, "seed": 0, "jobs": 1, "traces": 0, "scheduler": ""}
    for name, value in usual.items():
        if getattr(args, name) != value:
            message = f"--{name} is for generated traces: leave it out, or give --fuzz"
            raise UsageError(message)


def limits_of(args: argparse.Namespace) -> dict[str, Any]:
    """What these options say, for Limits. Raises UsageError for a cluster without its library."""
    return {
        "seconds": args.time,
        "seed": args.seed,
        "jobs": args.jobs,
        "traces": args.traces,
        "scheduler": scheduler_of(args),
    }


def scheduler_of(args: argparse.Namespace) -> str:
    """The scheduler's address, or nothing. Raises UsageError where its library is missing."""
    if args.scheduler:
        from layout.ckernel.cluster import needed

        needed()
    return str(args.scheduler)


def add_results_only(parser: argparse.ArgumentParser) -> None:
    """Add ``--results``."""
    parser.add_argument(
        "--results",
        action="store_true",
        help="compare only results for callers, not states, allocations and memory",
    )
