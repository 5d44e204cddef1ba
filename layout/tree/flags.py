"""struct maple_tree and the state that is not in the tree yet: flags, height, errors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layout.memory.pointers import (
    MAPLE_HEIGHT_MAX,
    MT_FLAGS_ALLOC_RANGE,
    MT_FLAGS_HEIGHT_MASK,
    MT_FLAGS_HEIGHT_OFFSET,
    MT_FLAGS_USE_RCU,
    Word,
)
from layout.tree.state import MA_ERROR, MaState

if TYPE_CHECKING:
    from layout.tree.kernel import Kernel


def new_state(k: Kernel, tree: Word, index: Word = 0, last: Word | None = None) -> MaState:
    """MA_STATE(): a state for [index, last] that has not walked yet."""
    return MaState(tree, index, index if last is None else last, k.ulong_max)


def mas_set_err(k: Kernel, mas: MaState, err: int) -> None:
    """Put an errno (positive here) into the state."""
    mas.node = k.ma_error(err)
    mas.status = MA_ERROR


def ma_error(k: Kernel, err: int) -> Word:
    """MA_ERROR(): the word that holds an errno (positive here)."""
    return k.ulong_max - (err << 2) + 1 & k.ulong_max | 2


def xa_err(k: Kernel, word: Word) -> int:
    """The negative errno in an error word, 0 if it holds none."""
    if word & 3 == 2 and word >= k.ma_error(4095):
        return -(k.ulong_max - word + 4 >> 2)
    return 0


def mas_set(k: Kernel, mas: MaState, index: Word) -> None:
    """Move the state to ``index``; the next walk starts at the root."""
    k.mas_set_range(mas, index, index)


def mas_set_range(k: Kernel, mas: MaState, first: Word, last: Word) -> None:
    """Move the state to [first, last]; the next walk starts at the root."""
    mas.reset()
    k.tests += 1
    mas.index = first
    mas.last = last


def mt_init_flags(k: Kernel, tree: Word, flags: int) -> None:
    """Initialise an empty tree."""
    k.mem.set_ma_flags(tree, flags & 0xFFFFFFFF)
    k.mem.set_ma_root(tree, 0)


def mt_in_rcu(k: Kernel, tree: Word) -> bool:
    """Whether readers may be in the tree."""
    return k.mem.ma_flags(tree) & MT_FLAGS_USE_RCU != 0


def mt_is_alloc(k: Kernel, tree: Word) -> bool:
    """Whether the tree tracks gaps."""
    return k.mem.ma_flags(tree) & MT_FLAGS_ALLOC_RANGE != 0


def mt_set_in_rcu(k: Kernel, tree: Word) -> None:
    """Switch the tree to RCU mode."""
    k.mem.set_ma_flags(tree, k.mem.ma_flags(tree) | MT_FLAGS_USE_RCU)


def mt_clear_in_rcu(k: Kernel, tree: Word) -> None:
    """Leave RCU mode."""
    k.mem.set_ma_flags(tree, k.mem.ma_flags(tree) & ~MT_FLAGS_USE_RCU)


def mas_mt_height(k: Kernel, mas: MaState) -> int:
    """The tree's height in nodes."""
    return (k.mem.ma_flags(mas.tree) & MT_FLAGS_HEIGHT_MASK) >> MT_FLAGS_HEIGHT_OFFSET


def mas_set_height(k: Kernel, mas: MaState) -> None:
    """Write the state's depth into the tree's flags."""
    flags = k.mem.ma_flags(mas.tree) & ~MT_FLAGS_HEIGHT_MASK
    k.tests += 1
    if mas.depth > MAPLE_HEIGHT_MAX:
        k.bug("mas_set_height: the tree is too high", mas.tree)
    k.mem.set_ma_flags(mas.tree, flags | mas.depth << MT_FLAGS_HEIGHT_OFFSET)
