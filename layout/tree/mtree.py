"""The ordinary API for writing: mtree_store_range and the like, which make a state of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layout.memory.pointers import MT_FLAGS_ALLOC_WRAPPED, Word, mt_is_reserved, xa_is_advanced
from layout.memory.slab import GFP_KERNEL
from layout.tree.state import EINVAL, MA_ERROR

if TYPE_CHECKING:
    from layout.tree.kernel import Kernel


def mtree_store_range(
    k: Kernel, tree: Word, index: Word, last: Word, entry: Word, gfp: int = GFP_KERNEL
) -> int:
    """Store ``entry`` over [index, last]. Returns 0, -EINVAL or -ENOMEM. O(log n)."""
    if xa_is_advanced(entry):
        k.warn_on("mtree_store_range: the entry is one that only the kernel's tree code may use")
        return -EINVAL
    if index > last:
        return -EINVAL
    mas = k.new_state(tree, index, last)
    return k.mas_store_gfp(mas, entry, gfp)


def mtree_insert_range(
    k: Kernel, tree: Word, index: Word, last: Word, entry: Word, gfp: int = GFP_KERNEL
) -> int:
    """Store ``entry`` over [index, last] if that is free. Returns 0 or a negative errno."""
    if xa_is_advanced(entry):
        k.warn_on("mtree_insert_range: the entry is one that only the kernel's tree code may use")
        return -EINVAL
    if index > last:
        return -EINVAL
    mas = k.new_state(tree, index, last)
    while True:
        k.mas_insert(mas, entry)
        if not k.mas_nomem(mas, gfp):
            break
    err = k.xa_err(mas.node) if mas.status == MA_ERROR else 0
    k.mas_destroy(mas)
    return err


def mtree_erase(k: Kernel, tree: Word, index: Word) -> Word:
    """Erase the whole range around ``index``; returns its entry. O(log n)."""
    mas = k.new_state(tree, index)
    return k.mas_erase(mas)


def mtree_alloc_range(
    k: Kernel, tree: Word, entry: Word, size: Word, low: Word, high: Word, gfp: int = GFP_KERNEL
) -> tuple[int, Word]:
    """Store ``entry`` in the lowest free run of ``size`` within [low, high].

    Returns (0, start), or (a negative errno, 0).
    """
    return _mtree_alloc(k, tree, entry, size, low, high, gfp, reverse=False)


def mtree_alloc_rrange(
    k: Kernel, tree: Word, entry: Word, size: Word, low: Word, high: Word, gfp: int = GFP_KERNEL
) -> tuple[int, Word]:
    """mtree_alloc_range() for the highest free run."""
    return _mtree_alloc(k, tree, entry, size, low, high, gfp, reverse=True)


def _mtree_alloc(
    k: Kernel,
    tree: Word,
    entry: Word,
    size: Word,
    low: Word,
    high: Word,
    gfp: int,
    *,
    reverse: bool,
) -> tuple[int, Word]:
    if not k.mt_is_alloc(tree):
        return -EINVAL, 0
    if mt_is_reserved(entry):
        k.warn_on("mtree_alloc_range: the entry looks like a node")
        return -EINVAL, 0
    mas = k.new_state(tree, 0)
    ret = 0
    start = 0
    while True:
        if reverse:
            ret = k.mas_empty_area_rev(mas, low, high, size)
        else:
            ret = k.mas_empty_area(mas, low, high, size)
        if ret:
            break
        k.mas_insert(mas, entry)
        if k.mas_nomem(mas, gfp):
            continue
        if mas.status == MA_ERROR:
            ret = k.xa_err(mas.node)
        else:
            start = mas.index
        break
    k.mas_destroy(mas)
    return ret, start


def mtree_alloc_cyclic(
    k: Kernel,
    tree: Word,
    entry: Word,
    low: Word,
    high: Word,
    following: Word,
    gfp: int = GFP_KERNEL,
) -> tuple[int, Word, Word]:
    """Store ``entry`` at the first free index from ``following`` on, wrapping to ``low``.

    Returns (0 or 1 if it wrapped, index, next following), or (a negative errno, 0,
    ``following``).
    """
    if not k.mt_is_alloc(tree):
        return -EINVAL, 0, following
    if mt_is_reserved(entry):
        k.warn_on("mtree_alloc_cyclic: the entry looks like a node")
        return -EINVAL, 0, following
    mas = k.new_state(tree, 0)
    ret = 0
    start = 0
    floor = low
    while True:
        low = max(floor, following)
        ret = k.mas_empty_area(mas, low, high, 1)
        if ret < 0 and low > floor:
            mas.reset()
            ret = k.mas_empty_area(mas, floor, high, 1)
            if ret == 0:
                ret = 1
        if ret < 0:
            k.mas_destroy(mas)
            return ret, start, following
        k.mas_insert(mas, entry)
        if not k.mas_nomem(mas, gfp):
            break
    if mas.status == MA_ERROR:
        ret = k.xa_err(mas.node)
    else:
        mem = k.mem
        if mem.ma_flags(tree) & MT_FLAGS_ALLOC_WRAPPED and ret == 0:
            mem.set_ma_flags(tree, mem.ma_flags(tree) & ~MT_FLAGS_ALLOC_WRAPPED)
            ret = 1
        start = mas.index
        following = start + 1 & k.ulong_max
        if following == 0:
            mem.set_ma_flags(tree, mem.ma_flags(tree) | MT_FLAGS_ALLOC_WRAPPED)
    k.mas_destroy(mas)
    return ret, start, following
