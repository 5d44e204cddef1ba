"""``maple-layout validate``: every violation in a tree from any source."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from layout.cli.common import add_input, open_image
from layout.cli.findings import add_findings, ready, tell_findings

if TYPE_CHECKING:
    import argparse


def add(verbs: Any) -> None:
    """Register the verb."""
    parser = verbs.add_parser(
        "validate",
        help="list every violation in a tree",
        description=(
            "List every violation in a tree: node and byte offset, rule, the expected value and "
            "the value found, the kernel's check that would fail, and the likely cause."
        ),
        allow_abbrev=False,
    )
    add_input(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_findings(parser)


def run(args: argparse.Namespace) -> int:
    """Print the violations; 1 if there is any."""
    from layout.formats.findings import Checked, Finding
    from layout.images.validator import check

    ready(args)
    image = open_image(args)
    report = check(image.memory, image.tree)
    wrong = [Finding(str(v.rule), str(v), image.source) for v in report.violations]
    checked = [Checked(image.source, finding.rule, finding) for finding in wrong]
    tell_findings(args, checked or [Checked(image.source, "valid")])
    if args.json:
        print(json.dumps(report.as_json()))
        return 0 if report.valid else 1
    for violation in report.violations:
        print(violation)
    number = len(report.violations)
    what = "valid" if report.valid else f"{number} violation{'s' if number > 1 else ''}"
    nodes = f"{report.nodes} node{'' if report.nodes == 1 else 's'}"
    print(f"{what}: {nodes} visited, height {report.height}")
    return 0 if report.valid else 1
