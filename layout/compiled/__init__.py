"""The compiled twin of the kernel's operations, where it was built.

``layout/tree`` is the reference: readable, complete, exact by itself. What is here is made from
it by :mod:`layout.compiled.translate` when the package is built, and stands in for plain memory,
node cache and kernel. With ``MAPLE_LAYOUT_PURE=1`` in the environment, or where it was not
built, the Python code runs.
"""

from __future__ import annotations

import os
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING

from layout.host.streams import note

if TYPE_CHECKING:
    from layout.memory.node import NodeMemory

PURE = os.environ.get("MAPLE_LAYOUT_PURE", "") not in {"", "0"}
"""Whether Python is asked for."""

HERE = Path(__file__).parent
PACKAGE = HERE.parent

PARTS = ("parts.pyx", "lines.pyx", "decode.pyx")
"""What is written by hand. Wheels go without, so these files tell a checkout."""


def available() -> bool:
    """Whether plain machines run compiled operations."""
    return not why_not()


def why_not() -> str:
    """Why plain machines run Python; empty where they do not."""
    return "MAPLE_LAYOUT_PURE is set" if PURE else _unusable()


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
    names += [f"layout/compiled/{name}" for name in ("translate.py", *PARTS)]
    files = [*sorted((PACKAGE / "tree").glob("*.py")), *(PACKAGE.parent / name for name in names)]
    whole = blake2b(digest_size=16)
    for path in files:
        whole.update(f"{path.name} {path.stat().st_size}\n".encode())
        whole.update(path.read_bytes())
    return whole.hexdigest()


@cache
def _unusable() -> str:
    """What is wrong with the extension, looked at once; empty if it may run."""
    try:
        from layout.compiled._core import SOURCES  # noqa: PLC0415 - may not have been built
    except ModuleNotFoundError:
        return "the extension was not built"
    except ImportError as error:
        return f"the extension does not load: {error}"
    # in a checkout the sources may have changed since; it would do what they said then
    if (HERE / PARTS[0]).exists() and digest() != SOURCES:
        note(
            "maple-layout: layout/tree or what belongs to it changed after the extension was "
            "built, so the Python code runs; pip install -e . builds it anew"
        )
        return "the extension is older than its sources"
    return ""
