"""``maple-layout decode``: the ranges and entries of a tree in real memory."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from layout.cli.common import add_input, open_image, tell

if TYPE_CHECKING:
    import argparse


def add(verbs: Any) -> None:
    """Register the verb."""
    parser = verbs.add_parser(
        "decode",
        help="list the ranges and entries of a tree in real memory",
        description="List the ranges of a tree that have an entry, in order.",
        allow_abbrev=False,
    )
    add_input(parser, "IMAGE")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Print the ranges; 1 if the tree is broken and they are only those that could be read."""
    from layout.images.decode import decode
    from layout.show.dump import tree_heading

    image = open_image(args)
    found = decode(image.memory, image.tree)
    if args.json:
        print(json.dumps(found.as_json(image.arch.name)))
    else:
        print(f"# {tree_heading(image.memory, image.tree)}")
        for first, last, entry in found.ranges:
            print(f"{first:x}-{last:x} {entry:x}")
    for problem in found.problems:
        tell(problem)
    return 0 if found.complete else 1
