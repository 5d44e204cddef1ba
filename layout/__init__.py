"""The Linux kernel's maple tree over raw node bytes, on simulated machines.

>>> from layout import MapleTree
>>> tree = MapleTree("s390x")
>>> tree.store(0x1000, 0x1FFF, 0xABC000)
>>> tree.range_at(0x1234).last
8191
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from layout.mapletree import MapleTree, Node, Range

__distribution__ = "maple-layout"
"""Tells this package from others of its name: see _maple_layout.py."""

__all__ = ["MapleTree", "Node", "Range"]


def __getattr__(name: str) -> Any:
    # imported on first use: commands that need no tree start faster
    if name in __all__:
        from layout import mapletree

        return getattr(mapletree, name)
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)
