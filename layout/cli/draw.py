"""``maple-layout draw``: a tree, or the bytes of a node, as a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from layout.cli.common import add_input, open_image, tell
from layout.memory.errors import UsageError

if TYPE_CHECKING:
    import argparse


def add(verbs: Any) -> None:
    """Register the verb."""
    parser = verbs.add_parser(
        "draw",
        help="draw a tree or a node",
        description="Draw the nodes of a tree with their ranges and slots, or the bytes of a node.",
        allow_abbrev=False,
    )
    add_input(parser)
    parser.add_argument(
        "--format", choices=("svg", "dot"), default="svg", help="svg (the default) or Graphviz"
    )
    parser.add_argument("--node", metavar="ADDR", help="draw the bytes of the node at this address")
    parser.add_argument("-o", "--output", metavar="FILE", help="write to a file, not to stdout (-)")


def run(args: argparse.Namespace) -> int:
    """Write the picture; 1 if the tree is broken."""
    from layout.draw.dot import tree_dot
    from layout.draw.scene import scene
    from layout.draw.svg import node_svg, tree_svg
    from layout.host.files import check, write
    from layout.images.kinds import parse_address
    from layout.show.dump import one_node, tree_heading

    if args.node is not None and args.format == "dot":
        message = "--node draws bytes, which only --format svg has: leave out --format dot"
        raise UsageError(message)
    to_stdout = args.output in {None, "-"}
    if not to_stdout:
        check(args.output, inputs=[args.input])
    image = open_image(args)
    found = scene(image)
    if args.node is not None:
        visits = [box.visit for box in found.boxes]
        text = node_svg(image, one_node(image.memory, visits, parse_address(args.node, "--node")))
    else:
        title = tree_heading(image.memory, image.tree)
        text = tree_svg(found, title) if args.format == "svg" else tree_dot(found, title)
    if to_stdout:
        print(text, end="")
    else:
        write(args.output, text)
    for problem in found.problems:
        tell(problem)
    return 1 if found.problems else 0
