"""``--junit``, ``--sarif`` and ``--github``: findings for the CI of other projects."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layout.cli.common import a_file
from layout.cli.suffixes import refuse_suffix
from layout.host.files import Output, check
from layout.host.streams import note, printable

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from layout.formats.findings import Checked


def add_findings(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    group = parser.add_argument_group("findings for other programs")
    for option, what in (("--junit", "JUnit XML"), ("--sarif", "SARIF 2.1.0")):
        group.add_argument(
            option, metavar="FILE", type=a_file, help=f"write the findings as {what}"
        )
    group.add_argument(
        "--github", action="store_true", help="print GitHub's annotation lines on stderr"
    )


def ready(args: argparse.Namespace) -> None:
    """Make sure, before long work, that the files can be written. Raises OSError, UsageError."""
    refuse_suffix(args.junit, "xml", "JUnit XML")
    refuse_suffix(args.sarif, "json", "SARIF, which is JSON,")
    paths = [path for path in (args.junit, args.sarif) if path is not None]
    inputs = [getattr(args, name, None) for name in ("trace", "input")]
    check(*paths, inputs=[*inputs, *getattr(args, "inputs", ())])


def tell_findings(args: argparse.Namespace, checked: Sequence[Checked]) -> None:
    """Write what was looked at and what was found wherever the options ask for it."""
    from layout.formats.findings import github, junit, sarif

    found = [each.finding for each in checked if each.finding is not None]
    with Output() as files:
        if args.junit is not None:
            files.write(args.junit, junit(f"maple-layout {args.verb}", checked))
        if args.sarif is not None:
            files.write(args.sarif, sarif(found))
    if args.github:
        for finding in found:
            note("".join(map(printable, github(finding))))
