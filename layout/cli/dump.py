"""``maple-layout dump``: the nodes of a tree as hex, annotated, as the kernel's text or JSON."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from layout.cli.common import add_input, open_image, print_lines, tell
from layout.memory.errors import BrokenTree

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

    from layout.memory.nodeview import Visit

FORMATS = ("hex", "fields", "mt", "json")


def add(verbs: Any) -> None:
    """Register the verb."""
    parser = verbs.add_parser(
        "dump",
        help="show the nodes of a tree as bytes",
        description="Show the bytes of every node of a tree, breadth first.",
        allow_abbrev=False,
    )
    add_input(parser)
    parser.add_argument(
        "--format",
        choices=FORMATS,
        default="hex",
        help="plain hex (the default), hex with field names, the kernel's mt_dump text, or JSON",
    )
    parser.add_argument("--node", metavar="ADDR", help="show only the node at this hex address")


def run(args: argparse.Namespace) -> int:
    """Print the dump; 1 if the tree is broken."""
    from layout.host.progress import Progress
    from layout.images.decode import decode
    from layout.images.kinds import parse_address
    from layout.show import dump

    image = open_image(args)
    found = decode(image.memory, image.tree)
    visits: Iterable[Visit] = found.nodes
    if args.node is not None:
        visits = [dump.one_node(image.memory, found.nodes, parse_address(args.node, "--node"))]
    elif not sys.stdout.isatty():  # there it would be in the way
        visits = Progress(f"dumping {image.source}", len(found.nodes), "nodes").over(visits)
    if args.format == "json":
        for piece in dump.json_text(image.memory, image.tree, visits):
            sys.stdout.write(piece)
    elif args.format == "mt":
        if found.cyclic:
            message = f"{found.problems[0]}: the kernel's text would not end, try --format fields"
            raise BrokenTree(message)
        from layout.show.mtdump import mt_dump_text

        print(mt_dump_text(image), end="")
    else:
        print_lines(dump.text(image.memory, image.tree, visits, fields=args.format == "fields"))
    for problem in found.problems:
        tell(problem)
    return 0 if found.complete else 1
