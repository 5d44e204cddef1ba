"""``maple-layout draw``: a tree, or the bytes of a node, as a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from layout.cli.common import add_input, open_image, tell
from layout.cli.suffixes import refuse_suffix, said_by
from layout.memory.errors import UsageError

if TYPE_CHECKING:
    import argparse

_FORMATS = {"svg": "SVG", "dot": "Graphviz's language"}
_OTHERS = {"svg": "--format dot for Graphviz", "dot": "--format svg"}


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
        "--format",
        choices=("svg", "dot"),
        help="svg (the default), or dot for Graphviz (the default where FILE ends in .dot or .gv)",
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

    form = args.format or ("dot" if said_by(args.output) == "dot" else "svg")
    if args.node is not None and form == "dot":
        message = "--node draws bytes, which only SVG has: give --format svg and a name in .svg"
        raise UsageError(message)
    refuse_suffix(args.output, form, _FORMATS[form], _OTHERS[form])
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
        text = tree_svg(found, title) if form == "svg" else tree_dot(found, title)
    if to_stdout:
        print(text, end="")
    else:
        write(args.output, text)
    for problem in found.problems:
        tell(problem)
    return 1 if found.problems else 0
