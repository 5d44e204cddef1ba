"""Finding a gap: mas_empty_area and mas_empty_area_rev.

Quick in trees that track gaps, linear in others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from layout.memory.pointers import ARANGE_64, Word, ma_is_leaf, mte_node_type, mte_to_node
from layout.tree.peeks import is_behind_last_slot, peeks
from layout.tree.state import EBUSY, EINVAL, MA_ERROR, MA_NONE, MA_ROOT, MA_START, MaState
from layout.tree.walk import MAX_DESCENT

if TYPE_CHECKING:
    from layout.tree.kernel import Kernel

_MAX_TURNS = 1 << 20
"""Steps of one search beyond which it goes to and fro for ever."""


@peeks(
    "slot read as pivot",
    holds=is_behind_last_slot,
    why="mas_anode_descend() has seen all slots of a full node: the next range is dropped",
)
def mas_safe_min(k: Kernel, mas: MaState, node: Word, offset: int) -> Word:
    """The first index of slot ``offset`` of the state's node."""
    if not offset:
        return mas.min
    return k.mem.pivot(node, offset - 1) + 1 & k.ulong_max


def mas_safe_pivot(k: Kernel, mas: MaState, node: Word, offset: int, mt: int) -> Word:
    """The last index of slot ``offset`` of the state's node."""
    return mas.max if offset >= k.mt_pivots[mt] else k.mem.pivot(node, offset)


def mas_rev_awalk(k: Kernel, mas: MaState, size: Word) -> tuple[bool, Word, Word]:
    """One step down, or up, towards the highest gap: (arrived, gap's first, gap's last)."""
    mem = k.mem
    top = k.ulong_max
    if mas.status == MA_ERROR:
        return True, 0, 0
    mt = mte_node_type(mas.node)
    if mt == 0:
        mas.offset = mas.index - mas.min & 0xFF
        return True, 0, 0
    node = mte_to_node(mas.node)
    mem.check_pivots(node, mt)
    offset = mas.offset
    low = k.mas_safe_min(mas, node, offset)
    while mas.last < low:
        offset = offset - 1 & 0xFF
        low = k.mas_safe_min(mas, node, offset)
    high = k.mas_safe_pivot(mas, node, offset, mt)
    gap = 0
    while mas.index <= high:
        gap = 0
        if mt == ARANGE_64:
            gap = mem.gap(node, offset)
        elif not mem.slot(node, mt, offset):
            gap = high - low + 1 & top
        if gap:
            if size <= gap and size <= (mas.last - low + 1 & top):
                break
            if mt != ARANGE_64:
                if offset < 2:
                    k.seam_search_went_up(mas, node)
                    return False, 0, 0
                offset -= 2  # the next slot cannot be a gap as well
                high = mem.pivot(node, offset)
                low = k.mas_safe_min(mas, node, offset)
                continue
        if not offset:
            k.seam_search_went_up(mas, node)
            return False, 0, 0
        offset -= 1
        high = low - 1 & top
        low = k.mas_safe_min(mas, node, offset)

    if mas.index > high or size - 1 > high - mas.index:
        k.mas_set_err(mas, EBUSY)
        return False, 0, 0
    if ma_is_leaf(mt):
        mas.offset = offset
        return True, low, low + gap - 1 & top
    mas.node = mem.slot(node, mt, offset)
    mas.min = low
    mas.max = high
    mas.offset = k.mas_data_end(mas)
    return False, 0, 0


def seam_search_went_up(k: Kernel, mas: MaState, node: Word) -> None:
    """The search downwards leaves a node to go up: at the root there is no gap left."""
    if k.ma_is_root(node):
        k.mas_set_err(mas, EBUSY)


def mas_anode_descend(k: Kernel, mas: MaState, size: Word) -> bool:
    """Look through the state's node for a gap and go down into it; true when done."""
    mem = k.mem
    top = k.ulong_max
    mt = mte_node_type(mas.node)
    if mt == 0:
        mas.offset = mas.index - mas.min & 0xFF
        return True
    node = mte_to_node(mas.node)
    mem.check_pivots(node, mt)
    found = False
    offset = mas.offset
    low = k.mas_safe_min(mas, node, offset)
    end = k.ma_data_end(node, mt, mas.max)
    while offset <= end:
        pivot = k.mas_safe_pivot(mas, node, offset, mt)
        if mas.index <= pivot:
            gap = 0
            if mt == ARANGE_64:
                gap = mem.gap(node, offset)
            elif not mem.slot(node, mt, offset):
                gap = min(pivot, mas.last) - max(mas.index, low) + 1 & top
            if gap >= size:
                if ma_is_leaf(mt):
                    mas.offset = offset
                    return True
                mas.node = mem.slot(node, mt, offset)
                mas.min = low
                mas.max = pivot
                offset = 0
                break
        low = pivot + 1 & top
        if mas.last <= pivot:
            k.mas_set_err(mas, EBUSY)
            return True
        offset += 1
    if k.mte_is_root(mas.node):
        found = True
    mas.offset = offset
    return found


def mas_rewind_node(k: Kernel, mas: MaState) -> bool:
    """Go to the slot before, ascending as needed; false at the start of the tree."""
    for _ in range(MAX_DESCENT):
        if k.mte_is_root(mas.node):
            if not mas.offset:
                return False
        else:
            k.mas_ascend(mas)
        if mas.offset:
            mas.offset -= 1
            return True
    k.livelock("mas_rewind_node", mte_to_node(mas.node))


def mas_skip_node(k: Kernel, mas: MaState) -> bool:
    """Go to the slot after, ascending as needed; false (-EBUSY) at the end of the tree."""
    if mas.status == MA_ERROR:
        return False
    for _ in range(MAX_DESCENT):
        if k.mte_is_root(mas.node):
            if mas.offset >= k.mas_data_end(mas):
                k.mas_set_err(mas, EBUSY)
                return False
        else:
            k.mas_ascend(mas)
        if mas.offset < k.mas_data_end(mas):
            mas.offset += 1
            return True
    k.livelock("mas_skip_node", mte_to_node(mas.node))


def mas_awalk(k: Kernel, mas: MaState, size: Word) -> None:
    """Search upwards in address for a gap of ``size`` between the state's index and last."""
    last = 0
    for _ in range(_MAX_TURNS):
        if mas.status == MA_ERROR or k.mas_anode_descend(mas, size):
            return
        if last == mas.node:
            k.mas_skip_node(mas)
        else:
            last = mas.node
    k.livelock("mas_awalk finds no end", mte_to_node(mas.node))


def mas_sparse_area(
    k: Kernel, mas: MaState, low: Word, high: Word, size: Word, *, forward: bool
) -> int:
    """The answer in a tree without nodes. Returns 0 or -EBUSY."""
    top = k.ulong_max
    if mas.status != MA_NONE and low == 0:
        low = 1  # index 0 is taken
        if low > high or (high - low + 1 & top) < size:
            return -EBUSY
    if forward:
        mas.index = low
        mas.last = low + size - 1 & top
    else:
        mas.last = high
        mas.index = high - size + 1 & top
    return 0


def mas_empty_area(k: Kernel, mas: MaState, low: Word, high: Word, size: Word) -> int:
    """Find the lowest run of ``size`` NULL indexes within [low, high].

    Returns 0 with the run in the state's index and last, -EINVAL or -EBUSY.
    """
    if low > high or size == 0 or high - low < size - 1:
        return -EINVAL
    if mas.status == MA_START:
        k.mas_start(mas)
    elif mas.offset >= 2:
        mas.offset -= 2
    elif not k.mas_skip_node(mas):
        return -EBUSY
    if mas.status in (MA_NONE, MA_ROOT):
        return k.mas_sparse_area(mas, low, high, size, forward=True)
    mas.index = low
    mas.last = high
    k.mas_awalk(mas, size)
    if mas.status == MA_ERROR:
        return k.xa_err(mas.node)
    offset = mas.offset
    if offset == k.node_slots:
        return -EBUSY
    mt = mte_node_type(mas.node)
    node = mte_to_node(mas.node)
    if offset:
        k.mem.check_pivots(node, mt)
    mas.index = max(mas.index, k.mas_safe_min(mas, node, offset))
    mas.last = mas.index + size - 1 & k.ulong_max
    mas.end = k.ma_data_end(node, mt, mas.max)
    return 0


def mas_empty_area_rev(k: Kernel, mas: MaState, low: Word, high: Word, size: Word) -> int:
    """Find the highest run of ``size`` NULL indexes within [low, high].

    Returns 0 with the run in the state's index and last, -EINVAL or -EBUSY.
    """
    last = mas.node
    if low > high or size == 0 or high - low < size - 1:
        return -EINVAL
    if mas.status == MA_START:
        k.mas_start(mas)
    elif mas.offset < 2 and not k.mas_rewind_node(mas):
        return -EBUSY
    if mas.status in (MA_NONE, MA_ROOT):
        return k.mas_sparse_area(mas, low, high, size, forward=False)
    mas.offset = mas.offset - 2 if mas.offset >= 2 else k.mas_data_end(mas)
    mas.index = low
    mas.last = high
    gap_last = 0
    for _ in range(_MAX_TURNS):
        arrived, _gap_first, gap_last = k.mas_rev_awalk(mas, size)
        if arrived:
            break
        if last == mas.node:
            if not k.mas_rewind_node(mas):
                return -EBUSY
        else:
            last = mas.node
    else:
        k.livelock("mas_empty_area_rev finds no end", mte_to_node(mas.node))
    if mas.status == MA_ERROR:
        return k.xa_err(mas.node)
    if mas.offset == k.node_slots:
        return -EBUSY
    mas.last = min(mas.last, gap_last)
    mas.index = mas.last - size + 1 & k.ulong_max
    mas.end = k.mas_data_end(mas)
    return 0
