"""Where the command starts: sees that the packages ``layout`` and ``arches`` are this project's.

Other distributions install packages of these names too. A module inside either package could not
tell: if it is shadowed, it is not found. So this module stands alone, under a name of its own.
"""

# built in: the module signal imports others, and a SIGINT would come meanwhile
import _signal  # type: ignore[import-not-found]

if _signal.getsignal(_signal.SIGINT) is not _signal.SIG_IGN:
    # until the command listens to signals it ends as any program does: without a traceback
    _signal.signal(_signal.SIGINT, _signal.SIG_DFL)

import importlib.util
import os
import sys
from pathlib import Path

PACKAGES = ("arches", "layout")
OURS = '__distribution__ = "maple-layout"'
"""A line that stands in both packages' ``__init__.py``."""

APART = (
    "install maple-layout apart: pipx install maple-layout, uv tool install maple-layout, or pip "
    "in a virtual environment of its own"
)
EXIT_USAGE = 2


def main() -> int:
    """Run the command; exit code 2, and one line, where a package is not this project's."""
    for name in PACKAGES:
        if complaint := shadow(name):
            if sys.stderr is not None:  # print() would take stdout instead
                print(f"maple-layout: {complaint}", file=sys.stderr)
            return EXIT_USAGE
    from layout.cli.entry import start  # noqa: PLC0415 - only now is it known whose it is

    return start()


def shadow(name: str) -> str:
    """What is wrong with the package that Python finds under a name; empty if it is ours."""
    spec = importlib.util.find_spec(name)
    source_of = getattr(spec and spec.loader, "get_source", None)  # of an InspectLoader
    if spec is None or spec.origin is None or source_of is None:
        return (
            f"the package '{name}' lacks its __init__.py: the removal of another distribution may "
            f"have taken it: {APART}"
        )
    if OURS in (source_of(name) or "").splitlines():
        return ""
    file = Path(spec.origin)
    for place in os.environ.get("PYTHONPATH", "").split(os.pathsep):
        if place and file.is_relative_to(Path(place).absolute()):
            return f"the module '{name}' is not ours but {file}: take {place} out of PYTHONPATH"
    owner = _owner(file)
    whose = f"of the distribution {owner}" if owner else "not ours"
    return f"the module '{name}' is {whose} ({file}): {APART}"


def _owner(file: Path) -> str:
    """The distribution, other than this one, that installed a file; empty if none says so."""
    from importlib import metadata  # noqa: PLC0415 - slow to import, seldom needed

    for found in metadata.distributions():
        listed = (each for each in found.files or () if each.name == file.name)
        if found.name != "maple-layout" and any(found.locate_file(each) == file for each in listed):
            return f"{found.name} {found.version}"
    return ""
