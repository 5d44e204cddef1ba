"""``--junit``, ``--sarif`` and ``--github``: findings for the CI of other projects."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from layout.formats.findings import Checked


def add_findings(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    group = parser.add_argument_group("findings for other programs")
    group.add_argument("--junit", metavar="FILE", help="write the findings as JUnit XML")
    group.add_argument("--sarif", metavar="FILE", help="write the findings as SARIF 2.1.0")
    group.add_argument(
        "--github", action="store_true", help="print GitHub's annotation lines on stderr"
    )


def ready(args: argparse.Namespace) -> None:
    """Make sure, before long work, that the files can be written. Raises OSError."""
    for path in (args.junit, args.sarif):
        if path:
            Path(path).touch()


def tell_findings(args: argparse.Namespace, checked: Sequence[Checked]) -> None:
    """Write what was looked at and what was found wherever the options ask for it."""
    from layout.formats.findings import github, junit, sarif

    found = [each.finding for each in checked if each.finding is not None]
    if args.junit:
        Path(args.junit).write_bytes(junit(f"maple-layout {args.verb}", checked))
    if args.sarif:
        Path(args.sarif).write_bytes(sarif(found))
    if args.github:
        for finding in found:
            print(github(finding), file=sys.stderr)
