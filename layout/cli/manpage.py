"""The manual page ``maple-layout.1``, made of the command's parsers when the package is built."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from layout.cli.examples import EXAMPLES
from layout.cli.main import parser

if TYPE_CHECKING:
    from pathlib import Path

ABOUT = "the Linux kernel's maple tree in raw bytes, on simulated machines"

SECTIONS = {
    "exit status": """\
.TP
0
Fine.
.TP
1
A difference, a broken tree or a machine fault.
.TP
2
Wrong usage, or an input that cannot be read.""",
    "environment": """\
.TP
MAPLE_LAYOUT_PURE
If it is 1, operations run as Python, not compiled. The results are the same.
.TP
NO_COLOR
If it is set, there is no colour on a terminal.""",
    "examples": "Files to try, copied here:\n"
    + "".join(
        f".PP\n.RS\n{command}\n.RE\n".replace("-", r"\-")
        for command in ("maple-layout examples --copy .", *(each.command for each in EXAMPLES))
    ),
}
"""What the parsers do not say, in the language of man(7)."""


def page(version: str, url: str) -> str:
    """The page's text. Raises ImportError without argparse-manpage, which the build has."""
    from argparse_manpage.manpage import Manpage

    whole = parser()
    os.environ["COLUMNS"] = "10000"  # usage on one line: the page's reader wraps it
    made = Manpage(
        whole, {"project_name": "maple-layout", "version": version, "url": url}, format="pretty"
    )
    made.description = ABOUT
    made.manual = "User Commands"
    for heading, text in SECTIONS.items():
        made.add_section(heading, ">", text)
    return str(made)


def write(path: Path, version: str, url: str) -> None:
    """Write the page to a file, in directories made for it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page(version, url), encoding="utf-8")
