"""Valid but unusual trees, and single damaged bytes, which readers often read wrongly.

>>> odd = stale_tail("s390x", 0, 0x1001)
>>> odd.ranges[0], odd.oddity
((0, 0, 4097), 'stale tail')
>>> leaf = odd.tree.nodes()[0]
>>> [(f.name, f.meaning) for f in leaf.fields() if "holds" in f.meaning][0]
('pivot[6]', 'unused, holds 2')
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from layout.machine.machine import Machine
from layout.mapletree import MapleTree
from layout.memory.pointers import LEAF_64
from layout.memory.structs import DEFAULT_VERSION
from layout.testing.machines import find
from layout.tree.versions import kernel_of

if TYPE_CHECKING:
    from arches import Arch
    from layout.images.image import Image
    from layout.memory.node import NodeMemory


class Odd(NamedTuple):
    """A tree that every reader must read as ``ranges``: (first, last, entry), without NULL.

    ``held`` are dead nodes, as encoded pointers. They are no longer part of the tree, but
    concurrent readers may still have their addresses. The parent word of a dead node points to the
    node itself; then a reader must start again.
    """

    tree: MapleTree
    oddity: str
    ranges: tuple[tuple[int, int, int], ...]
    held: tuple[int, ...] = ()

    @property
    def image(self) -> Image:
        """The tree as an image."""
        return self.tree.image()

    def __repr__(self) -> str:
        return f"<{self.oddity}: {self.tree!r}>"


def _filled(  # noqa: PLR0913 - the machine, and what is in the tree
    arch: str | Arch, kernel: str, first: int, entry: int, count: int, *, rcu: bool = False
) -> MapleTree:
    """A tree of ``count`` single indexes in a row from ``first`` on."""
    tree = MapleTree(machine=Machine(find(arch), kernel=kernel_of(kernel)), rcu=rcu)
    for i in range(count):
        tree.store(first + i, first + i, entry + i * 0x100)
    return tree


def _odd(tree: MapleTree, oddity: str, held: tuple[int, ...] = ()) -> Odd:
    return Odd(tree, oddity, tuple((r.first, r.last, r.entry) for r in tree.ranges()), held)


def _slots(arch: str | Arch) -> int:
    return Machine(find(arch)).profile.sizes.slots[LEAF_64]


def full_leaf(arch: str | Arch, first: int, entry: int, kernel: str = DEFAULT_VERSION) -> Odd:
    """All slots of the leaf are in use: its last word is a slot, not metadata."""
    gap = first > 0
    return _odd(_filled(arch, kernel, first, entry, _slots(arch) - 1 - gap), "full leaf")


def last_word_is_metadata(
    arch: str | Arch, first: int, entry: int, kernel: str = DEFAULT_VERSION
) -> Odd:
    """All slots but the last are in use: its last pivot is set, and metadata lies behind."""
    gap = first > 0
    return _odd(
        _filled(arch, kernel, first, entry, _slots(arch) - 2 - gap), "metadata in the last slot"
    )


def stale_tail(arch: str | Arch, first: int, entry: int, kernel: str = DEFAULT_VERSION) -> Odd:
    """Behind the data end there are old pivots and entries, as older kernels leave them."""
    tree = _filled(arch, kernel, first, entry, 5)
    odd = _odd(tree, "stale tail")
    mem, [leaf] = tree.machine.mem, tree.nodes()
    end, slots = mem.meta_end(leaf.address, LEAF_64), _slots(arch)
    for i in range(end + 1, slots - 2):
        mem.set_pivot(leaf.address, i, first + i - 4)
        mem.set_slot(leaf.address, LEAF_64, i, entry + (i - 4) * 0x100)
    return odd


def dead_nodes(arch: str | Arch, first: int, entry: int, kernel: str = DEFAULT_VERSION) -> Odd:
    """A writer has replaced nodes that readers in an open read section still hold."""
    tree = _filled(arch, kernel, first, entry, 3 * _slots(arch), rcu=True)
    tree.machine.rcu_read_lock()
    mas = tree.state(first)
    tree.kernel.mas_walk(mas)
    held = mas.node
    tree.store(first, first + 1, entry + 0x80)  # an exact fit would change only a slot
    return _odd(tree, "dead nodes", (held,))


ODDITIES = (full_leaf, last_word_is_metadata, stale_tail, dead_nodes)
"""Each takes a machine, a first index (with room for some dozen above), a first entry, and the
kernel's version if it is not 6.12."""


class Corruption(NamedTuple):
    """One byte of a node overwritten: ``was`` becomes ``now``; ``field`` is what it is part of."""

    node: int
    offset: int
    was: int
    now: int
    field: str

    def apply(self, mem: NodeMemory) -> None:
        """Damage the byte. Raises MachineFault where there is no such node."""
        mem.write_u8(self.node + self.offset, self.now, "a byte to damage")

    def undo(self, mem: NodeMemory) -> None:
        """Restore the byte."""
        mem.write_u8(self.node + self.offset, self.was, "a byte to mend")

    def __str__(self) -> str:
        """As a line of a trace."""
        return f"poke {self.node:x} {self.offset:x} {self.now:x}"
