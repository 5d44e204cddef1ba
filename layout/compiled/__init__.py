"""The compiled twin of the kernel's operations, where it was built.

``layout/tree`` is the reference: readable, complete, exact by itself. What is here is made from
it by :mod:`layout.compiled.translate` when the package is built, and stands in for plain memory,
node cache and kernel. With ``MAPLE_LAYOUT_PURE=1`` in the environment, or where it was not
built, the Python code runs.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from layout.machine import Machine
    from layout.node import NodeMemory

PURE = os.environ.get("MAPLE_LAYOUT_PURE", "") not in ("", "0")
"""Whether Python is asked for."""


def available() -> bool:
    """Whether plain machines run compiled operations."""
    if PURE:
        return False
    try:
        import layout.compiled._core  # noqa: F401, PLC0415 - asked for each machine
    except ImportError:
        return False
    return True


def is_plain(machine: Machine) -> bool:
    """Whether the machine's operations are the compiled ones."""
    return hasattr(machine.mem, "core")


def can_decode(mem: NodeMemory) -> bool:
    """Whether compiled code may read the bytes of this memory: nobody watches."""
    return available() and "twin" in vars(type(mem)) or hasattr(mem, "core")


def leg() -> str:
    """Which operations are in use, in words."""
    if PURE:
        return "pure Python (MAPLE_LAYOUT_PURE)"
    return "compiled" if available() else "pure Python (the extension was not built)"
