"""Shapes of trees that show the mistakes of readers, built by the emulator's own operations.

Each shape is a function that fills the tree of a :class:`Site` and records its content. Nothing is
random: a shape always has the same bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from layout.machine.machine import Machine
from layout.memory.node import NODE_SIZE
from layout.memory.nodeview import data_end
from layout.memory.pointers import (
    ARANGE_64,
    LEAF_64,
    MT_FLAGS_ALLOC_RANGE,
    MT_FLAGS_LOCK_EXTERN,
    MT_FLAGS_USE_RCU,
    RANGE_64,
    XA_ZERO_ENTRY,
    mt_height,
    mt_mk_node,
    mte_node_type,
    mte_to_node,
)
from layout.memory.slab import GFP_KERNEL
from layout.tree.kernel import Kernel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from arches import Arch

    Shape = Callable[["Site"], None]

_NODES_IN = 0x2000000
"""How far above the lowest address of slab objects the nodes lie, in bytes."""
_ENTRIES_IN = 0x2800000
_ENTRY_STEP = 0x98
"""As a struct vm_area_struct: a multiple of 8, not of 256."""
_PROCESS = MT_FLAGS_ALLOC_RANGE | MT_FLAGS_USE_RCU | MT_FLAGS_LOCK_EXTERN
"""The flags of a process's memory map."""


class Site:
    """One machine with one tree, at an address that its kernel would use.

    ``expected`` lists the content of the tree: first, last, entry. Nodes at the addresses in
    ``missing`` are not in the image. A file has only the first ``kept`` part.
    """

    def __init__(self, arch: Arch, kernel: type[Kernel] = Kernel) -> None:
        self.arch = arch
        low = arch.kernel_nodes[0]
        self.machine = Machine(arch, kernel=kernel, node_base=(low + _NODES_IN) & ~0xFFFF)
        self.mem = self.machine.mem
        self.kernel = self.machine.kernel
        self.tree = self.machine.tree(0)
        self.top = arch.ulong_max
        self.page = arch.page_size
        self.slots = self.machine.profile.sizes.slots
        self.expected: list[tuple[int, int, int]] = []
        self.missing: set[int] = set()
        self.kept = 1.0
        self._entries = low + _ENTRIES_IN

    def entry(self, number: int) -> int:
        """A pointer as trees hold them, another one for each number."""
        return self._entries + number * _ENTRY_STEP

    def init(self, flags: int) -> None:
        """Start over with an empty tree with these flags."""
        self.kernel.mt_init_flags(self.tree, flags)

    def store(self, first: int, last: int, entry: int | None = None) -> None:
        """Store an entry, without one a pointer of its own; ranges are new, and in any order."""
        entry = self.entry(len(self.expected)) if entry is None else entry
        if self.kernel.mtree_store_range(self.tree, first, last, entry):
            message = f"{first:x}-{last:x} can't be stored"
            raise AssertionError(message)
        self.kernel.run_rcu()
        self.expected.append((first, last, entry))
        self.expected.sort()

    def pages(self, start: int = 0x10000) -> Iterator[tuple[int, int]]:
        """Ranges of two pages, each a page after the one before."""
        while True:
            yield start, start + 2 * self.page - 1
            start += 3 * self.page

    def store_pages(self, count: int) -> None:
        """Store so many ranges with gaps between them."""
        for (first, last), _ in zip(self.pages(), range(count), strict=False):
            self.store(first, last)

    def store_until(self, full: Callable[[], bool]) -> None:
        """Store ranges with gaps between them until the tree is as it should be."""
        for first, last in self.pages():
            if full():
                return
            self.store(first, last)

    # -- looking at the tree, and changing bytes

    def height(self) -> int:
        """The tree's height in nodes."""
        return mt_height(self.mem.ma_flags(self.tree))

    def root(self) -> tuple[int, int]:
        """The root's address and type."""
        word = self.mem.ma_root(self.tree)
        return mte_to_node(word), mte_node_type(word)

    def leaf(self, number: int) -> int:
        """The address of the leaf in a slot of the root."""
        return mte_to_node(self.mem.slot(*self.root(), number))

    def root_end(self) -> int:
        """The last slot in use of a root above the leaves."""
        return data_end(self.mem, *self.root(), self.top)

    def dead_leaf(self) -> int:
        """An encoded pointer to a leaf that is in no tree but looks as if it were."""
        node = self.machine.cache.alloc_one(GFP_KERNEL)
        self.mem.set_parent(node, self.root()[0] | 6)
        self.mem.set_pivots(node, 0, [0x7000000 + self.page - 1, self.top])
        self.mem.set_slots(node, LEAF_64, 0, [self.entry(9000), self.entry(9001)])
        self.mem.set_meta(node, LEAF_64, 0, 1)
        return mt_mk_node(node, LEAF_64)


# -- without nodes, and one leaf


def empty(_: Site) -> None:
    """No root."""


def root_entry(site: Site) -> None:
    """A single entry at index 0, which is the root itself."""
    site.store(0, 0)


def root_value(site: Site) -> None:
    """A small number at index 0 as the root."""
    site.store(0, 0, 5 << 1 | 1)


def one_range(site: Site) -> None:
    """A leaf with one range."""
    site.store(site.page, 2 * site.page - 1)


def first_index(site: Site) -> None:
    """A leaf whose first range is index 0 alone, so that its first pivot is 0."""
    for first, last in ((0, 0), (1, 1), (2, 9), (11, 11)):
        site.store(first, last)


def neighbours(site: Site) -> None:
    """Ranges without gaps; the second and third hold the same entry, and stay two ranges."""
    for i, number in enumerate((0, 1, 1, 2)):
        start = 0x10000 + i * site.page
        site.store(start, start + site.page - 1, site.entry(number))


def almost_full_leaf(site: Site) -> None:
    """A leaf with one slot free: the last pivot is the node's last index, metadata follows."""
    site.store_pages((site.slots[LEAF_64] - 2) // 2)


def almost_full_leaf_to_max(site: Site) -> None:
    """The same, and its last range goes on to ULONG_MAX."""
    _adjacent(site, site.slots[LEAF_64] - 2)


def full_leaf(site: Site) -> None:
    """A leaf without a free slot, and so without metadata; its last range ends at ULONG_MAX."""
    _adjacent(site, site.slots[LEAF_64] - 1)


def full_leaf_gap(site: Site) -> None:
    """A full leaf whose last slot is NULL."""
    for i in range(site.slots[LEAF_64] - 2):
        site.store(0x10000 + i * site.page, 0x10000 + (i + 1) * site.page - 1)


def _adjacent(site: Site, count: int) -> None:
    """Ranges without gaps between them, the last one up to ULONG_MAX, after a gap at 0."""
    for i in range(count):
        start = 0x10000 + i * site.page
        site.store(start, site.top if i == count - 1 else start + site.page - 1)


# -- entries and indexes


def values(site: Site) -> None:
    """Numbers as entries: below 16, below 4096, and with the highest bit set."""
    high = 1 << (8 * site.arch.word_size - 1)
    for i, value in enumerate((1, 3, 0xF, 0x11, 0x401, 0xFFF, 0x1001, high | 1, site.top)):
        site.store(0x100 + 16 * i, 0x107 + 16 * i, value)


def zero_entries(site: Site) -> None:
    """XA_ZERO_ENTRY between others, as a fork that failed leaves it behind."""
    for i in range(6):
        start = 0x10000 + 2 * i * site.page
        site.store(start, start + site.page - 1, XA_ZERO_ENTRY if i in (1, 4, 5) else None)


def to_max(site: Site) -> None:
    """A range up to ULONG_MAX."""
    site.store(site.page, 2 * site.page - 1)
    site.store(site.top - site.page + 1, site.top)


def last_index(site: Site) -> None:
    """ULONG_MAX alone."""
    site.store(5, 5)
    site.store(site.top, site.top)


def high_half(site: Site) -> None:
    """Ranges on both sides of the index that is the first with the highest bit set, and on it."""
    middle = (site.top + 1) // 2
    for start in (0x10000, middle - 3 * site.page, middle - site.page, middle + 2 * site.page):
        site.store(start, start + 2 * site.page - 1)
    site.store(site.top - 2 * site.page + 1, site.top - site.page)


def process_map(site: Site) -> None:
    """A process's map: in each range of user addresses some areas low and some high."""
    site.init(_PROCESS)
    for low, high in site.arch.user:
        start = max(low, 0x100000)
        for i in range(9):
            first = start + 5 * i * site.page
            site.store(first, first + (1 + i % 3) * site.page - 1)
        for i in range(5, 0, -1):
            last = high - 4 * i * site.page
            site.store(last - (1 + i % 2) * site.page + 1, last)


# -- trees with levels


def two_levels_range(site: Site) -> None:
    """A range_64 root above leaves."""
    site.store_pages(3 * site.slots[LEAF_64])


def two_levels_arange(site: Site) -> None:
    """An arange_64 root above leaves."""
    site.init(MT_FLAGS_ALLOC_RANGE)
    two_levels_range(site)


def almost_full_range_root(site: Site) -> None:
    """A range_64 root with one slot free."""
    site.store_until(lambda: _has_root(site, RANGE_64, site.slots[RANGE_64] - 2))


def full_range_root(site: Site) -> None:
    """A range_64 root without a free slot, and so without metadata."""
    site.store_until(lambda: _has_root(site, RANGE_64, site.slots[RANGE_64] - 1))


def almost_full_arange_root(site: Site) -> None:
    """An arange_64 root with one slot free."""
    site.init(MT_FLAGS_ALLOC_RANGE)
    site.store_until(lambda: _has_root(site, ARANGE_64, site.slots[ARANGE_64] - 2))


def full_arange_root(site: Site) -> None:
    """An arange_64 root without a free slot; it has its metadata all the same."""
    site.init(MT_FLAGS_ALLOC_RANGE)
    site.store_until(lambda: _has_root(site, ARANGE_64, site.slots[ARANGE_64] - 1))


def full_leaves(site: Site) -> None:
    """Full leaves below a root, as a bulk load makes them."""
    site.init(MT_FLAGS_USE_RCU)
    count = 3 * site.slots[LEAF_64]
    site.kernel.mt_clear_in_rcu(site.tree)
    mas = site.kernel.new_state(site.tree)
    site.kernel.mas_expected_entries(mas, count)
    for i in range(count):
        mas.index, mas.last = i * site.page, (i + 1) * site.page - 1
        site.kernel.mas_store(mas, site.entry(i))
        site.expected.append((mas.index, mas.last, site.entry(i)))
    site.kernel.mas_destroy(mas)


def three_levels_range(site: Site) -> None:
    """Three levels of nodes, range_64 above the leaves."""
    site.store_until(lambda: site.height() == 3)


def three_levels_arange(site: Site) -> None:
    """Three levels of nodes, arange_64 above the leaves."""
    site.init(MT_FLAGS_ALLOC_RANGE)
    three_levels_range(site)


def four_levels(site: Site) -> None:
    """Four levels of nodes."""
    site.init(MT_FLAGS_ALLOC_RANGE)
    site.store_until(lambda: site.height() == 4)


def _has_root(site: Site, mt: int, end: int) -> bool:
    return site.height() == 2 and site.root()[1] == mt and site.root_end() == end


# -- valid, but odd


def stale_leaf(site: Site) -> None:
    """A leaf with old pivots and entries behind its data end."""
    site.store_pages(2)
    node, mt = site.root()
    start = site.expected[-1][1] + 1
    site.mem.set_pivots(node, 5, [start + i * site.page - 1 for i in range(1, 5)])
    site.mem.set_slots(node, mt, 5, [site.entry(8000 + i) for i in range(4)])


def stale_range_root(site: Site) -> None:
    """A range_64 root with old pivots and pointers to dead leaves behind its data end."""
    two_levels_range(site)
    _stale_children(site)


def stale_arange_root(site: Site) -> None:
    """An arange_64 root with old pivots and pointers to dead leaves behind its data end."""
    two_levels_arange(site)
    _stale_children(site)


def _stale_children(site: Site) -> None:
    node, mt = site.root()
    end = site.root_end()
    site.mem.set_pivots(node, end + 1, [0x7000000, 0x8000000])
    site.mem.set_slots(node, mt, end + 1, [site.dead_leaf(), site.dead_leaf()])


def no_last_pivot(site: Site) -> None:
    """A leaf whose last pivot is left out, as 6.1 may leave it: 0 stands for the last index."""
    site.store_pages(3)
    site.store(site.top - site.page + 1, site.top)
    node, mt = site.root()
    site.mem.set_pivot(node, site.mem.meta_end(node, mt), 0)


# -- damaged


def cycle(site: Site) -> None:
    """A slot of the root that points to the root."""
    two_levels_range(site)
    node, mt = site.root()
    site.mem.set_slot(node, mt, 2, mt_mk_node(node, mt))


def missing_leaf(site: Site) -> None:
    """A leaf that is not in the image."""
    two_levels_arange(site)
    site.missing.add(site.leaf(2))


def wild_child(site: Site) -> None:
    """A child pointer that was overwritten by text."""
    two_levels_range(site)
    text = int.from_bytes(b"maple tr"[: site.arch.word_size], site.arch.byteorder)
    site.mem.set_slot(*site.root(), 2, text)


def smeared_leaf(site: Site) -> None:
    """A leaf whose first half is of another leaf, as if read while it changed."""
    two_levels_range(site)
    old = site.mem.read(site.leaf(3), NODE_SIZE // 2)
    parent = site.mem.parent(site.leaf(1))
    site.mem.write(site.leaf(1), old)
    site.mem.set_parent(site.leaf(1), parent)


def smeared_metadata(site: Site) -> None:
    """A leaf whose metadata names a slot that no node has."""
    site.store_pages(3)
    site.mem.set_meta(site.root()[0], LEAF_64, 0, 200)


def truncated(site: Site) -> None:
    """A file that is cut short."""
    three_levels_range(site)
    site.kept = 0.6


SHAPES: tuple[Shape, ...] = (
    *(empty, root_entry, root_value, one_range, first_index, neighbours),
    *(almost_full_leaf, almost_full_leaf_to_max, full_leaf, full_leaf_gap),
    *(values, zero_entries, to_max, last_index, high_half, process_map),
    *(two_levels_range, two_levels_arange, full_leaves),
    *(almost_full_range_root, full_range_root, almost_full_arange_root, full_arange_root),
    *(three_levels_range, three_levels_arange, four_levels),
    *(stale_leaf, stale_range_root, stale_arange_root, no_last_pivot),
)
"""Trees that a reader has to read right."""

DAMAGED: tuple[Shape, ...] = (
    *(cycle, missing_leaf, wild_child, smeared_leaf, smeared_metadata, truncated),
)
"""Trees over which a reader has to end, and to say that something is wrong."""
