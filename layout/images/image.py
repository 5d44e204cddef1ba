"""An image: memory that contains a maple tree, from any source."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from layout.memory.errors import InputError, MachineFault

if TYPE_CHECKING:
    from arches import Arch
    from layout.memory.node import NodeMemory
    from layout.memory.structs import Profile


EXCLUDED = "a page that the dump leaves out"
"""The kind of a fault at an address that a dump knows of, but has no bytes for."""


@dataclass(slots=True)
class Image:
    """Memory of one machine that has a tree in it."""

    arch: Arch
    """The machine."""
    profile: Profile
    """The kernel's layouts on it."""
    memory: NodeMemory
    """The memory, at its virtual addresses."""
    tree: int
    """The address of the struct maple_tree."""
    source: str
    """The name of the file."""
    kind: str
    """One of trace, capture, core, dump, raw, paste, raw memory, kdump and tree."""
    notes: list[str] = field(default_factory=list)
    """What was assumed while it was read, one line each."""


def require_tree(memory: NodeMemory, tree: int, source: str) -> None:
    """Make sure that a struct maple_tree can be read at ``tree``. Raises InputError."""
    try:
        memory.ma_root(tree)
        memory.ma_flags(tree)
    except MachineFault as fault:
        if fault.kind == EXCLUDED:
            message = (
                f"{source}: the struct maple_tree at {tree:x} lies in {EXCLUDED}: dump with a "
                "lower -d level of makedumpfile"
            )
            raise InputError(message) from None
        why = "is misaligned" if fault.kind == "misaligned" else "is not in this file's memory"
    else:
        why = "is misaligned" if tree % memory.arch.long_align else ""
    if why:
        message = f"{source}: a struct maple_tree at {tree:x} {why}: give its address as --tree"
        raise InputError(message)
