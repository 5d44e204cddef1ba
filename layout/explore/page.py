"""The explorer's page: its parts and a recording, put into one file that loads nothing else."""

from __future__ import annotations

import base64
import html
from importlib import resources
from typing import TYPE_CHECKING

from layout.draw.svg import colours

if TYPE_CHECKING:
    from layout.explore.recording import Recording

SCRIPTS = (
    "recording.js",
    "run.js",
    "node.js",
    "tree-view.js",
    "node-view.js",
    "list-view.js",
    "side-view.js",
    "search.js",
    "app.js",
)
"""The page's scripts, in the order in which they are loaded."""


def part(name: str) -> str:
    """The text of one of the page's files."""
    return (resources.files("layout.explore") / "page" / name).read_text(encoding="utf-8")


def page(recording: Recording) -> str:
    """The HTML of a recording."""
    scripts = "\n".join(f"<script>\n{part(name)}</script>" for name in SCRIPTS)
    return (
        part("index.html")
        .replace("@TITLE@", html.escape(recording.title))
        .replace("@STYLE@", colours() + part("style.css"))
        .replace("@SCRIPTS@", scripts)
        .replace("@RECORDING@", base64.b64encode(recording.packed()).decode())
    )
