"""Sphinx configuration: the API reference and the notes beside it."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import make_pictures

project = "maple-layout"
copyright = "the maple-layout authors"  # noqa: A001 - Sphinx's name
extensions = ["sphinx.ext.autodoc", "sphinx.ext.viewcode", "myst_parser"]
myst_heading_anchors = 3  # [](glossary.md#data-end)
html_theme = "furo"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True, "undoc-members": False, "show-inheritance": True}
python_use_unqualified_type_names = True
suppress_warnings = ["ref.python"]  # Member.type and the like share their name with a builtin
exclude_patterns = ["_build"]


def setup(app):  # noqa: ANN001, ANN201 - Sphinx calls it
    """Make the pictures before the pages are read."""
    app.connect("builder-inited", lambda _: make_pictures.make(Path(__file__).parent / "pictures"))
