"""Sphinx configuration: the API reference and the notes beside it."""

import shutil
import sys
from pathlib import Path

from sphinx.errors import ConfigError

sys.path.insert(0, str(Path(__file__).parent))

import make_pictures
import make_playground

project = "maple-layout"
copyright = "the maple-layout authors"  # noqa: A001 - Sphinx's name
extensions = ["sphinx.ext.autodoc", "sphinx.ext.viewcode", "myst_parser"]
myst_heading_anchors = 3  # [](glossary.md#data-end)
html_theme = "furo"
html_favicon = "favicon.svg"
viewcode_follow_imported_members = (
    False  # what a package takes from its modules is documented there
)
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True, "undoc-members": False, "show-inheritance": True}
python_use_unqualified_type_names = True
suppress_warnings = ["ref.python"]  # Member.type and the like share their name with a builtin
exclude_patterns = ["_build"]


def setup(app):  # noqa: ANN001, ANN201 - Sphinx calls it
    """Make the pictures before the pages are read, and the playground after them."""
    app.add_config_value("playground_pyodide", "", "html", str)
    app.connect("config-inited", has_playground)
    app.connect("builder-inited", lambda _: make_pictures.make(Path(__file__).parent / "pictures"))
    app.connect("build-finished", add_playground)


def has_playground(app, config):  # noqa: ANN001, ANN201 - Sphinx calls it
    """Whether the option names Pyodide decides what playground.md says."""
    if not config.playground_pyodide:
        print("docs: built without the playground, which `make site` has", file=sys.stderr)
        return
    wrong = make_playground.missing(Path(config.playground_pyodide))
    if wrong:
        raise ConfigError(wrong)
    app.tags.add("playground")


def add_playground(app, failed):  # noqa: ANN001, ANN201 - Sphinx calls it
    """Put the playground beside the pages that were built, or take an earlier one away."""
    if failed or app.builder.format != "html":
        return
    shutil.rmtree(Path(app.outdir) / make_playground.FOLDER, ignore_errors=True)
    if app.config.playground_pyodide:
        make_playground.write(Path(app.outdir), Path(app.config.playground_pyodide))
