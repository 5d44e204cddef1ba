"""The compiled twin of the kernel's operations, where it was built.

``layout/tree`` is the reference: readable, complete, exact by itself. What is here is made from
it by :mod:`layout.compiled.translate` when the package is built, and stands in for plain memory,
node cache and kernel. With ``MAPLE_LAYOUT_PURE=1`` in the environment, or where it was not
built, the Python code runs.
"""

from __future__ import annotations

import importlib
import os
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from layout.host.streams import note

if TYPE_CHECKING:
    from layout.memory.node import NodeMemory

PURE = os.environ.get("MAPLE_LAYOUT_PURE", "") not in {"", "0"}
"""Whether Python is asked for."""

HERE = Path(__file__).parent
PACKAGE = HERE.parent

PARTS = (
    *("base.pyx", "states.pyx", "core.pyx", "cells.pyx", "memory.pyx", "cache.pyx", "notes.pyx"),
    *("sums.pyx", "kernel.pyx", "lines.pyx", "transcript.pyx", "replay.pyx", "lockstep.pyx"),
    "decode.pyx",
)
"""What is written by hand, in ``parts``. Wheels go without, so these files tell a checkout."""


class Table(NamedTuple):
    """A kernel whose operations are compiled, as ``module:Class``, and the modules of its states.

    A state class that derives from one of an earlier module stands in for it. ``parts`` are
    those written by hand that this kernel alone needs.
    """

    kernel: str
    states: tuple[str, ...]
    parts: tuple[str, ...] = ()


_SINCE_7_2 = ("layout.tree.state", "layout.tree.v7_2.state"), ("copy.pyx",)

TABLES = {
    "_core": Table("layout.tree.kernel:Kernel", ("layout.tree.state",)),
    "_core72": Table("layout.tree.v7_2.kernel:Kernel72", *_SINCE_7_2),
    "_core73": Table("layout.tree.v7_3.kernel:Kernel73", *_SINCE_7_2),
}
"""The kernels that are compiled, each as an extension of its own, by the extension's name."""


def available(extension: str = "_core") -> bool:
    """Whether plain machines run the compiled operations of an extension."""
    return not why_not(extension)


def why_not(extension: str = "_core") -> str:
    """Why plain machines run Python; empty where they do not."""
    return "MAPLE_LAYOUT_PURE is set" if PURE else _unusable(extension)


def leg() -> str:
    """Which operations are in use, in words."""
    why = why_not()
    return f"pure Python: {why}" if why else "compiled"


def can_decode(mem: NodeMemory) -> bool:
    """Whether compiled code may read the bytes of this memory: nobody watches."""
    return (available() and "twin" in vars(type(mem))) or hasattr(mem, "core")


def digest() -> str:
    """A digest of all that the extension is made from."""
    names = [f"layout/memory/{name}.py" for name in ("memory", "node", "pointers", "slab")]
    own = sorted({name for table in TABLES.values() for name in table.parts})
    names += [f"layout/compiled/parts/{name}" for name in (*PARTS, *own)]
    files = [*sorted((PACKAGE / "tree").rglob("*.py")), *(PACKAGE.parent / name for name in names)]
    files += [HERE / "__init__.py", *sorted((HERE / "translate").glob("*.py"))]
    whole = blake2b(digest_size=16)
    for path in files:
        whole.update(f"{path.name} {path.stat().st_size}\n".encode())
        whole.update(path.read_bytes())
    return whole.hexdigest()


@cache
def _unusable(extension: str) -> str:
    """What is wrong with the extension, looked at once; empty if it may run."""
    try:
        module = importlib.import_module(f"layout.compiled.{extension}")
        if not hasattr(module, "SOURCES"):
            raise ImportError("cannot import SOURCES")  # noqa: TRY301 - as the statement would
    except ModuleNotFoundError:
        return "the extension was not built"
    except ImportError as error:
        return f"the extension does not load: {error}"
    # in a checkout the sources may have changed since; it would do what they said then
    if (HERE / "parts" / PARTS[0]).exists() and digest() != module.SOURCES:
        note(
            "maple-layout: layout/tree or what belongs to it changed after the extension was "
            "built, so the Python code runs; pip install -e . builds it anew"
        )
        return "the extension is older than its sources"
    return ""
