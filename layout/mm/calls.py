"""The structs that operations of the memory management have on their stack."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from layout.mm.vmas import Vma
    from layout.tree.state import MaState


@dataclass(slots=True)
class VmaMerge:
    """struct vma_merge_struct: a range to be merged with its neighbours, and the result."""

    vmi: MaState
    start: int
    end: int
    flags: int
    pgoff: int
    file: int = 0
    anon_vma: int = 0
    prev: Vma | None = None
    next: Vma | None = None
    vma: Vma | None = None
    just_expand: bool = False
    nomem: bool = False


@dataclass(slots=True)
class Gathered:
    """struct vma_munmap_struct: the VMAs of a range to unmap; ``detach`` is their tree."""

    vmi: MaState
    start: int
    end: int
    vma: Vma | None
    detach: MaState
    prev: Vma | None = None
    next: Vma | None = None
    count: int = 0
