"""Puts the playground into the built site: Pyodide, the package, and what one can choose.

Sphinx calls it if the option ``playground_pyodide`` names the npm package ``pyodide``, unpacked, as
``make site`` does. Nothing of it is in the sources.
"""

from __future__ import annotations

import io
import json
import shutil
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import construct
import make_pictures

import arches
import layout
from layout.defects import DEFECTS
from layout.tree.kernel import Kernel
from layout.tree.versions import KERNELS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from arches import Arch
    from layout.defects import Defect

FOLDER = "playground"
"""Where it lies, in the sources and in the built site."""

HERE = Path(__file__).parent / FOLDER

FETCHED = ("pyodide.asm.wasm", "python_stdlib.zip", "pyodide-lock.json")
PYODIDE = (*FETCHED, "pyodide.mjs", "pyodide.asm.mjs")
"""The files of the npm package that a browser needs; the first ones are loaded by fetch()."""

PACKAGES = (layout, arches, construct)
"""What ``maple-layout explore`` imports. Commands that need more are not in the playground."""

SHAPES = {
    "a leaf": make_pictures.LEAF,
    "a split": make_pictures.SPLIT,
    "a spanning store": make_pictures.SPANNING,
    "a rebalance": make_pictures.REBALANCE,
    "RCU: a leaf is replaced": make_pictures.RCU,
    "damage: one byte is overwritten": "init 0\nstore 10 20 3001\npoke 1000000000 8 77",
}
"""Examples without a bug, by title."""


BOTH = "s390x", "x86_64"
"""The machines of examples: one of each byte order."""

LONGEST = 600
"""Lines of a trace that is an example: longer ones take long in a browser."""


def missing(pyodide: Path) -> str:
    """What is wrong with the option, in one line; empty if the package is there."""
    lacking = [name for name in PYODIDE if not (pyodide / name).is_file()]
    if not lacking:
        return ""
    return (
        f"playground_pyodide={pyodide}: {lacking[0]} is not there: `make site` fetches it by npm, "
        "`make docs` builds the pages without the playground"
    )


def choices() -> dict[str, Any]:
    """The machines, kernels, defects and examples, as the page has them."""
    machines = sorted((arches.get(name) for name in arches.names()), key=_order)
    defects = [defect for defect in DEFECTS.values() if defect.kernel is not Kernel]
    short = [each for each in defects if each.trace and each.trace.count("\n") < LONGEST]
    bugs = [_example(defect) for defect in short if defect.affected]
    plain = [
        {"name": title.split(":")[0].replace(" ", "-"), "about": title, **_chosen(trace, BOTH)}
        for title, trace in SHAPES.items()
    ]
    return {
        "machines": [{"name": arch.name, "about": _kind(arch)} for arch in machines],
        "kernels": list(KERNELS),
        "defects": [{"name": defect.id, "about": defect.title} for defect in defects],
        "examples": [
            {"title": "Historical bugs", "examples": bugs},
            {"title": "Shapes of trees", "examples": plain},
        ],
    }


def _order(arch: Arch) -> tuple[int, bool, bool]:
    """64-bit machines first, big-endian ones first among them, and s390x before all."""
    return -arch.word_size, arch.byteorder == "little", arch.name != "s390x"


def _kind(arch: Arch) -> str:
    return f"{8 * arch.word_size}-bit, {arch.byteorder}"


def _chosen(trace: str, machines: Sequence[str], defects: Sequence[str] = ()) -> dict[str, Any]:
    """What an example fills in."""
    text = f"{trace.strip()}\n"
    return {"trace": text, "machines": machines, "kernel": Kernel.version, "defects": defects}


def _example(defect: Defect) -> dict[str, Any]:
    """A defect's trigger, on a machine where it does harm, s390x if it can be, and on x86_64."""
    harmed = min(map(arches.get, defect.affected), key=_order)
    beside = [name for name in BOTH[1:] if arches.get(name).word_size == harmed.word_size]
    machines = list(dict.fromkeys([harmed.name, *beside]))
    about = f"{defect.id}: {defect.title}"
    return {"name": defect.id, "about": about, **_chosen(defect.trace, machines, [defect.id])}


def packages() -> bytes:
    """A zip archive of the packages, without compiled code, and of play.py."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(HERE / "play.py", "play.py")
        for package in PACKAGES:
            folder = Path(str(package.__file__)).parent
            for path in _files(folder):
                archive.write(path, path.relative_to(folder.parent))
    return data.getvalue()


def _files(folder: Path) -> Iterator[Path]:
    """The Python of a package, and the files that the explorer's page is made of."""
    for path in sorted(folder.rglob("*")):
        if path.suffix == ".py" or path.suffix in {".js", ".css", ".html"}:
            yield path


def write(site: Path, pyodide: Path) -> None:
    """Put all of it into the folder of the built site."""
    target = site / FOLDER
    (target / "pyodide").mkdir(parents=True, exist_ok=True)
    for name in PYODIDE:
        shutil.copyfile(pyodide / name, target / "pyodide" / name)
    for path in HERE.iterdir():
        if path.suffix in {".js", ".css"}:
            shutil.copyfile(path, target / path.name)
    archive = packages()
    (target / "packages.zip").write_bytes(archive)
    fetched = sum((pyodide / name).stat().st_size for name in FETCHED) + len(archive)
    (target / "choices.json").write_text(json.dumps({"bytes": fetched, **choices()}))
