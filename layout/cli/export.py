"""``maple-layout export``: an image as files that other programs read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from layout.cli.common import a_file, add_input, open_image
from layout.cli.suffixes import refuse_suffix

if TYPE_CHECKING:
    import argparse

_WRITES = {
    "elf": "an ELF core",
    "raw": "raw memory",
    "drgn": "a script for drgn",
    "gdb": "a script for gdb",
    "isf": "JSON",
}
FORMATS = tuple(_WRITES)


def add(verbs: Any) -> None:
    """Register the verb."""
    parser = verbs.add_parser(
        "export",
        help="write an image for gdb, drgn, volatility3 and others",
        description="Write the memory of an image as files that other programs read, and print "
        "the commands that open them.",
        allow_abbrev=False,
    )
    add_input(parser)
    parser.add_argument(
        "--format",
        choices=FORMATS,
        required=True,
        help="elf: an ELF core, and its types in FILE.types; raw: bytes, and FILE.json with "
        "their addresses; drgn, gdb: a script, and FILE.core with its types; isf: symbols for "
        "volatility3, FILE.core, and FILE.py that lists the tree",
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        type=a_file,
        required=True,
        help="the file to write; further files get the same prefix",
    )


def run(args: argparse.Namespace) -> int:
    """Write the files and print the commands."""
    from layout.formats.export import export

    refuse_suffix(args.output, "json" if args.format == "isf" else "", _WRITES[args.format])
    for command in export(open_image(args), args.format, Path(args.output), args.input):
        print(command)
    return 0
