"""What 7.2 prints and checks otherwise: mas_dump, mt_dump of an empty tree, mt_validate."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layout.tree.state import MA_STATE_PREALLOC

if TYPE_CHECKING:
    from layout.memory.pointers import Word
    from layout.tree.state import MaState
    from layout.tree.v7_2.kernel import Kernel72


def seam_reserve_of(k: Kernel72, mas: MaState) -> str:
    """What mas_dump() prints of the nodes that a state holds."""
    return f"sheaf={k.mem.arch.hex_pointer(mas.sheaf)}, request {mas.node_request} "


def seam_flags_of(k: Kernel72, mas: MaState) -> int:
    """The state's flags as mas_dump() prints them: MA_STATE_PREALLOC alone is left, and is 1."""
    return 1 if mas.mas_flags & MA_STATE_PREALLOC else 0


def reserved_nodes(k: Kernel72, mas: MaState) -> list[Word]:
    """The addresses of the nodes that a state holds, for tools: the next to be taken first."""
    nodes = k.cache.sheaf_nodes(mas.sheaf) if mas.sheaf else ()
    return [*([mas.alloc] if mas.alloc else []), *reversed(nodes)]


def seam_says_empty(k: Kernel72) -> bool:
    """Whether mt_dump() has a word for a tree without entries."""
    return True


def seam_may_be_small(k: Kernel72, mas: MaState) -> bool:
    """Whether the state's node may have fewer entries than others: the root alone."""
    return k.mte_is_root(mas.node)
