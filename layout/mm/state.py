"""What calls of the memory management keep while they run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from layout.mm.vmas import Vma
    from layout.tree.state import MaState


@dataclass(slots=True)
class VmaMerge:
    """struct vma_merge_struct: a range to be merged with its neighbours, and what came of it."""

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
    """struct vma_munmap_struct: what a range to be unmapped holds; ``detach`` is its side tree."""

    vmi: MaState
    start: int
    end: int
    vma: Vma | None
    detach: MaState
    prev: Vma | None = None
    next: Vma | None = None
    count: int = 0
