"""The kernel's maple tree code, whole: all operations under their kernel names."""

from __future__ import annotations

from layout.tree.validate import Validate


class Kernel(Validate):
    """Linux 6.12's maple tree on one machine.

    Trees are addresses of a struct maple_tree in the machine's memory; entries, enodes and
    indexes are unsigned words. Functions that return an errno return it negative, as in C.
    """
