"""The kernel's own text dumps: mt_dump and mas_dump, into the log.

Pointers are unhashed, numbers in hex or decimal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from layout.memory.node import NODE_SIZE
from layout.memory.pointers import (
    ARANGE_64,
    DENSE,
    LEAF_64,
    Word,
    mt_height,
    mt_is_reserved,
    mte_node_type,
    mte_to_node,
    xa_is_node,
    xa_is_value,
    xa_is_zero,
)
from layout.tree.peeks import is_unused, is_zero, peeks
from layout.tree.state import STATUS_NAMES, STORE_TYPE_NAMES, MaState
from layout.tree.walk import MAX_DESCENT

if TYPE_CHECKING:
    from layout.tree.kernel import Kernel


def mt_dump(k: Kernel, tree: Word, *, decimal: bool = False) -> None:
    """Print the whole tree. A livelock where the kernel would recurse for ever."""
    mem = k.mem
    k.nodes_to_dump = mem.size() // NODE_SIZE
    flags, root = mem.ma_flags(tree), mem.ma_root(tree)
    pointer = mem.arch.hex_pointer
    k.printk(
        f"maple_tree({pointer(tree)}) flags {flags:X}, height {mt_height(flags)} "
        f"root {pointer(root)}\n"
    )
    if xa_is_node(root):
        limit = k.node_slots if mte_node_type(root) == DENSE else k.ulong_max
        _dump_node(k, root, 0, limit, 0, decimal)
    elif root or not k.seam_says_empty():
        _dump_entry(k, root, 0, 0, 0, decimal)
    else:
        k.printk("(empty)\n")


def seam_says_empty(k: Kernel) -> bool:
    """Whether mt_dump() has a word for a tree without entries."""
    return False


def _dump_range(k: Kernel, low: Word, high: Word, depth: int, decimal: bool) -> None:
    indent = " " * min(depth * 2, 32)
    first, last = (f"{low}", f"{high}") if decimal else (f"{low:x}", f"{high:x}")
    k.printk(f"{indent}{first}: " if low == high else f"{indent}{first}-{last}: ")


def _dump_entry(
    k: Kernel,
    entry: Word,
    low: Word,
    high: Word,
    depth: int,
    decimal: bool,
) -> None:
    _dump_range(k, low, high, depth, decimal)
    pointer = k.mem.arch.hex_pointer(entry)
    if xa_is_value(entry):
        k.printk(f"value {entry >> 1} (0x{entry >> 1:x}) [{pointer}]\n")
    elif xa_is_zero(entry):
        k.printk(f"zero ({entry >> 2})\n")
    elif mt_is_reserved(entry):
        k.printk(f"UNKNOWN ENTRY ({pointer})\n")
    else:
        k.printk(f"{pointer}\n")


def _dump_node(
    k: Kernel,
    enode: Word,
    low: Word,
    high: Word,
    depth: int,
    decimal: bool,
) -> None:
    mem = k.mem
    node = mte_to_node(enode)
    mt = mte_node_type(enode)
    k.nodes_to_dump -= 1
    if k.nodes_to_dump < 0 or depth > MAX_DESCENT:
        k.livelock("mt_dump: the tree has a cycle", node)
    _dump_range(k, low, high, depth, decimal)
    pointer = mem.arch.hex_pointer
    parent = mem.parent(node) if node else 0
    k.printk(f"node {pointer(node)} depth {depth} type {mt} parent {pointer(parent)}")
    if mt == DENSE:
        k.printk("\n")
        for i in range(k.node_slots):
            if low + i > high:
                k.printk("OUT OF RANGE: ")
            index = low + i & k.ulong_max
            _dump_entry(k, mem.slot(node, mt, i), index, index, depth, decimal)
    elif mt > ARANGE_64:
        k.printk(" UNKNOWN TYPE\n")
    else:
        _dump_slots(k, enode, low, high, depth, decimal)


@peeks(
    *("read past data end", "metadata read as slot"),
    holds=is_unused,
    why="the dump shows all words of a node",
)
def _dump_contents(k: Kernel, node: Word, mt: int, decimal: bool) -> None:
    mem = k.mem
    pointer = mem.arch.hex_pointer
    slots = k.mt_slots[mt]
    parts = [" contents: "]
    if mt == ARANGE_64:
        gaps = [mem.gap(node, i) for i in range(slots)]
        parts += [f"{gap} " if decimal else f"{gap:x} " for gap in gaps]
        parts.append(f"| {mem.meta_end(node, mt):02X} {mem.meta_gap(node, mt):02X}| ")
    for i in range(slots - 1):
        pivot = mem.pivot(node, i)
        parts.append(f"{pointer(mem.slot(node, mt, i))} {pivot if decimal else f'{pivot:X}'} ")
    # on a node that is not full this prints the metadata as a pointer, as the kernel does
    parts.append(f"{pointer(mem.slot(node, mt, slots - 1))}\n")
    k.printk("".join(parts))


@peeks("read past data end", holds=is_zero, why="it stops where a pivot is missing")
def _dump_slots(
    k: Kernel,
    enode: Word,
    low: Word,
    high: Word,
    depth: int,
    decimal: bool,
) -> None:
    node = mte_to_node(enode)
    mt = mte_node_type(enode)
    mem = k.mem
    _dump_contents(k, node, mt, decimal)
    slots = k.mt_slots[mt]
    first = low
    for i in range(slots):
        last = high
        entry = mem.slot(node, mt, i)
        if i < slots - 1:
            last = mem.pivot(node, i)
        elif not entry and (mt == ARANGE_64 or high != k.ulong_max):
            break
        if last == 0 and i > 0:
            break
        if mt == LEAF_64:
            _dump_entry(k, entry, first, last, depth + 1, decimal)
        elif entry:
            _dump_node(k, entry, first, last, depth + 1, decimal)
        if last == high:
            break
        if last > high:
            at, limit = (f"{last}", f"{high}") if decimal else (f"{last:x}", f"{high:x}")
            pointer = k.mem.arch.hex_pointer(node)
            k.printk(f"node {pointer} last ({at}) > max ({limit}) at pivot {i}!\n")
        first = last + 1 & k.ulong_max


def mas_dump(k: Kernel, mas: MaState) -> None:
    """Print a state."""
    pointer = k.mem.arch.hex_pointer
    pad = {"active": "", "none": "", "root": ""}.get(STATUS_NAMES[mas.status], " ")
    k.printk(
        f"MAS: tree={pointer(mas.tree)} enode={pointer(mas.node)} "
        f"(ma_{STATUS_NAMES[mas.status]}){pad}Store Type: "
    )
    name = STORE_TYPE_NAMES[mas.store_type]
    k.printk(f"{name} store type\n" if name == "invalid" else f"{name}\n")
    k.printk(
        f"[{mas.offset}/{mas.end}] index={mas.index:x} last={mas.last:x}\n"
        f"     min={mas.min:x} max={mas.max:x} {k.seam_reserve_of(mas)}"
        f"depth={mas.depth}, flags={k.seam_flags_of(mas):x}\n"
    )
    if mas.index > mas.last:
        k.printk("Check index & last\n")


def seam_reserve_of(k: Kernel, mas: MaState) -> str:
    """What mas_dump() prints of the nodes that a state holds."""
    return f"alloc={k.mem.arch.hex_pointer(mas.alloc)}, "


def seam_flags_of(k: Kernel, mas: MaState) -> int:
    """The state's flags as mas_dump() prints them."""
    return mas.mas_flags


def reserved_nodes(k: Kernel, mas: MaState) -> list[Word]:
    """The addresses of the nodes that a state holds, for tools: each before what it holds."""
    mem = k.mem
    head = mas.alloc
    if not head or head & 1:
        return []
    chain = [head]
    for node in chain:
        if node == head:
            count = mem.alloc_count(node)
            chain += [mem.alloc_slot(node, i) for i in range(count)]
            head = mem.alloc_slot(node, 0) if count else 0
    return chain


def report_failure(k: Kernel, kind: str, where: str, tree: Word, mas: MaState | None) -> None:
    """What a failed MT_BUG_ON() or MAS_WARN_ON() prints: BUG or WARN, of ``mas`` if given."""
    k.failures += 1
    # the line number of the C source is not known here
    k.printk(f"{kind} at {where}:0 (1)\n")
    if mas is not None:
        k.mas_dump(mas)
    k.mt_dump(tree)
    k.printk(f"Pass: {k.tests - k.failures} Run:{k.tests}\n")


def report_index_not_increased(k: Kernel, tree: Word, before: Word, after: Word) -> None:
    """The MT_WARN_ON() of mt_find(): a search does not get on, as only in a damaged tree."""
    k.report_failure("WARN", "mt_find", tree, None)
    k.printk(f"index not increased! {after:x} <= {before:x}\n")


def report_childless(k: Kernel, mas: MaState) -> None:
    """The MAS_WARN_ON() of mas_topiary_replace(): a level of the new or old nodes has no child."""
    k.report_failure("WARN", "mas_topiary_replace", mas.tree, mas)
