"""The kernel's own text dumps: mt_dump and mas_dump, into the log."""

from __future__ import annotations

from layout.node import NODE_SIZE, PIVOT
from layout.pointers import (
    ARANGE_64,
    DENSE,
    LEAF_64,
    NODE_MASK,
    mt_height,
    mt_is_reserved,
    xa_is_node,
    xa_is_value,
    xa_is_zero,
)
from layout.tree.base import MAX_DESCENT
from layout.tree.dup import Dup
from layout.tree.peeks import peeks
from layout.tree.state import STATUS_NAMES, STORE_TYPE_NAMES, MaState


class Dump(Dup):
    """Text as the kernel prints it; pointers unhashed, numbers in hex or decimal."""

    _nodes_to_dump = 0

    def mt_dump(self, tree: int, *, decimal: bool = False) -> None:
        """Print the whole tree. A livelock where the kernel would recurse for ever."""
        mem = self.mem
        self._nodes_to_dump = mem.size() // NODE_SIZE
        flags, root = mem.ma_flags(tree), mem.ma_root(tree)
        pointer = mem.arch.hex_pointer
        self.printk(
            f"maple_tree({pointer(tree)}) flags {flags:X}, height {mt_height(flags)} "
            f"root {pointer(root)}\n"
        )
        if not xa_is_node(root):
            self._dump_entry(root, 0, 0, 0, decimal)
        else:
            limit = self.node_slots if (root >> 3 & 0xF) == DENSE else self.ulong_max
            self._dump_node(root, 0, limit, 0, decimal)

    def _dump_range(self, low: int, high: int, depth: int, decimal: bool) -> None:
        indent = " " * min(depth * 2, 32)
        first, last = (f"{low}", f"{high}") if decimal else (f"{low:x}", f"{high:x}")
        self.printk(f"{indent}{first}: " if low == high else f"{indent}{first}-{last}: ")

    def _dump_entry(
        self,
        entry: int,
        low: int,
        high: int,
        depth: int,
        decimal: bool,
    ) -> None:
        self._dump_range(low, high, depth, decimal)
        pointer = self.mem.arch.hex_pointer(entry)
        if xa_is_value(entry):
            self.printk(f"value {entry >> 1} (0x{entry >> 1:x}) [{pointer}]\n")
        elif xa_is_zero(entry):
            self.printk(f"zero ({entry >> 2})\n")
        elif mt_is_reserved(entry):
            self.printk(f"UNKNOWN ENTRY ({pointer})\n")
        else:
            self.printk(f"{pointer}\n")

    def _dump_node(
        self,
        enode: int,
        low: int,
        high: int,
        depth: int,
        decimal: bool,
    ) -> None:
        mem = self.mem
        node, mt = enode & ~NODE_MASK, enode >> 3 & 0xF
        self._nodes_to_dump -= 1
        if self._nodes_to_dump < 0 or depth > MAX_DESCENT:
            self.livelock("mt_dump: the tree has a cycle", node)
        self._dump_range(low, high, depth, decimal)
        pointer = mem.arch.hex_pointer
        parent = mem.parent(node) if node else 0
        self.printk(f"node {pointer(node)} depth {depth} type {mt} parent {pointer(parent)}")
        if mt == DENSE:
            self.printk("\n")
            for i in range(self.node_slots):
                if low + i > high:
                    self.printk("OUT OF RANGE: ")
                index = low + i & self.ulong_max
                self._dump_entry(mem.slot(node, mt, i), index, index, depth, decimal)
        elif mt > ARANGE_64:
            self.printk(" UNKNOWN TYPE\n")
        else:
            self._dump_slots(enode, low, high, depth, decimal)

    @peeks(
        *("read past data end", "metadata read as slot"), why="the dump shows all words of a node"
    )
    def _dump_contents(self, words: tuple[int, ...], node: int, mt: int, decimal: bool) -> None:
        mem = self.mem
        pointer = mem.arch.hex_pointer
        slot0, slots = self.slot0[mt], self.mt_slots[mt]
        parts = [" contents: "]
        if mt == ARANGE_64:
            gaps = words[self.gap0 : self.gap0 + slots]
            parts += [f"{gap} " if decimal else f"{gap:x} " for gap in gaps]
            parts.append(f"| {mem.meta_end(node, mt):02X} {mem.meta_gap(node, mt):02X}| ")
        for i in range(slots - 1):
            pivot = words[PIVOT + i]
            parts.append(f"{pointer(words[slot0 + i])} {pivot if decimal else f'{pivot:X}'} ")
        # on a node that is not full this prints the metadata as a pointer, as the kernel does
        parts.append(f"{pointer(words[slot0 + slots - 1])}\n")
        self.printk("".join(parts))

    @peeks("read past data end", why="it stops where an entry or a pivot is missing")
    @peeks("metadata read as slot", why="the last word tells whether the node is full")
    def _dump_slots(
        self,
        enode: int,
        low: int,
        high: int,
        depth: int,
        decimal: bool,
    ) -> None:
        node, mt = enode & ~NODE_MASK, enode >> 3 & 0xF
        words = self.mem.read_node(node, mt)
        self._dump_contents(words, node, mt, decimal)
        slot0, slots = self.slot0[mt], self.mt_slots[mt]
        first = low
        for i in range(slots):
            last = high
            entry = words[slot0 + i]
            if i < slots - 1:
                last = words[PIVOT + i]
            elif not entry and (mt == ARANGE_64 or high != self.ulong_max):
                break
            if last == 0 and i > 0:
                break
            if mt == LEAF_64:
                self._dump_entry(entry, first, last, depth + 1, decimal)
            elif entry:
                self._dump_node(entry, first, last, depth + 1, decimal)
            if last == high:
                break
            if last > high:
                at, limit = (f"{last}", f"{high}") if decimal else (f"{last:x}", f"{high:x}")
                pointer = self.mem.arch.hex_pointer(node)
                self.printk(f"node {pointer} last ({at}) > max ({limit}) at pivot {i}!\n")
            first = last + 1 & self.ulong_max

    def mas_dump(self, mas: MaState) -> None:
        """Print a state."""
        pointer = self.mem.arch.hex_pointer
        pad = {"active": "", "none": "", "root": ""}.get(STATUS_NAMES[mas.status], " ")
        self.printk(
            f"MAS: tree={pointer(mas.tree)} enode={pointer(mas.node)} "
            f"(ma_{STATUS_NAMES[mas.status]}){pad}Store Type: "
        )
        name = STORE_TYPE_NAMES[mas.store_type]
        self.printk(f"{name} store type\n" if name == "invalid" else f"{name}\n")
        self.printk(
            f"[{mas.offset}/{mas.end}] index={mas.index:x} last={mas.last:x}\n"
            f"     min={mas.min:x} max={mas.max:x} alloc={pointer(mas.alloc)}, "
            f"depth={mas.depth}, flags={mas.mas_flags:x}\n"
        )
        if mas.index > mas.last:
            self.printk("Check index & last\n")

    def report_failure(self, kind: str, where: str, tree: int, mas: MaState | None) -> None:
        """Print what a failed debug check prints; ``kind`` is BUG or WARN, of ``mas`` if given."""
        self.failures += 1
        # the line number of the C source is not known here
        self.printk(f"{kind} at {where}:0 (1)\n")
        if mas is not None:
            self.mas_dump(mas)
        self.mt_dump(tree)
        self.printk(f"Pass: {self.tests - self.failures} Run:{self.tests}\n")

    def mas_store_backwards(self, mas: MaState, entry: int) -> None:
        """Warn of a range whose first index is above its last, and refuse it."""
        self.report_failure("WARN", "mas_store", mas.tree, mas)
        super().mas_store_backwards(mas, entry)
