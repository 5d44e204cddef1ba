"""MapleTree: a maple tree of a simulated machine as a Python collection of ranges."""

from __future__ import annotations

import errno
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from operator import index as whole
from typing import TYPE_CHECKING, NamedTuple, Self

from layout.compare.difference import Difference, between_images, between_nodes
from layout.defects import operations
from layout.images.decode import decode
from layout.images.image import Image
from layout.machine.equip import equip
from layout.memory.errors import BrokenTree, KernelError, UsageError
from layout.memory.meaning import node_fields
from layout.memory.node import NODE_SIZE, NodeMemory
from layout.memory.nodeview import Visit
from layout.memory.pointers import MT_FLAGS_ALLOC_RANGE, MT_FLAGS_USE_RCU, TYPE_NAMES, mt_height
from layout.memory.structs import DEFAULT_VERSION
from layout.show.dump import text
from layout.show.text import plain
from layout.tree.versions import kernel_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from arches import Arch
    from layout.machine.machine import Machine
    from layout.machine.watch.watch import Watch
    from layout.memory.meaning import NodeField
    from layout.memory.structs import Profile
    from layout.tree.state import MaState

_REASONS = {
    errno.EINVAL: "the range, the entry or the kind of tree does not allow it",
    errno.ENOMEM: "no memory for nodes",
    errno.EEXIST: "an entry is in the range",
    errno.EBUSY: "no free range is large enough",
}


class Range(NamedTuple):
    """A range of indexes with the same entry."""

    first: int
    """The first index."""
    last: int
    """The last index, inclusive."""
    entry: int
    """The word that is stored there; 0 means no entry."""


class MapleTree:
    """A maple tree on a simulated machine, with the kernel's own operations underneath.

    ``arch`` is a machine's name or an :class:`arches.Arch`. ``alloc_range`` makes the tree track
    gaps. ``rcu`` makes it safe for readers without a lock. ``machine`` is an existing machine,
    which several trees can share. ``kernel`` is the version whose operations a new machine carries
    out: "6.12" (if left out), "7.2" or "7.3". ``defects`` names historical bugs for a new machine
    (see :mod:`layout.defects`). ``watch`` lists the watches for a new machine (see
    :mod:`layout.machine.watch`). Indexes run from 0 to ``ulong_max``. Entries are words, like the
    kernel's pointers; 0 means no entry. Freed nodes are allocated again, as in a real kernel. A
    tree on ``Machine(arch)`` keeps freed nodes unchanged.

    >>> tree = MapleTree("s390x")
    >>> tree.store(0x1000, 0x1FFF, 0xABC000)
    >>> hex(tree.load(0x1800))
    '0xabc000'
    >>> [tuple(map(hex, r)) for r in tree]
    [('0x1000', '0x1fff', '0xabc000')]

    All data of the tree, including its metadata, are bytes in the machine's memory:

    >>> [node] = tree.nodes()
    >>> tree.machine.mem.read(node.address, 256)[248:250].hex(" ")
    '02 00'

    Trees are equal if they have the same ranges in the same nodes. Byte order and the addresses of
    nodes do not count. Then :meth:`difference` returns None.

    >>> tree == tree.copy()
    True
    """

    __hash__ = None  # type: ignore[assignment] # a tree changes, and is compared by what it holds

    def __init__(  # noqa: PLR0913 - the tree's two flags and what its machine is made of
        self,
        arch: str | Arch = "x86_64",
        *,
        alloc_range: bool = False,
        rcu: bool = False,
        machine: Machine | None = None,
        kernel: str | None = None,
        defects: Sequence[str] = (),
        watch: Sequence[Watch] = (),
    ) -> None:
        if machine is None:
            version = kernel_of(kernel or DEFAULT_VERSION).version
            kernels = operations(defects, version)
            machine = equip(arch, kernels=kernels, watch=watch, reuse_nodes=True, version=version)
        elif defects or watch or kernel:
            message = (
                "kernel, defects and watches are of a machine: "
                "equip(arch, version=..., kernels=[...], watch=[...]) makes one that has them"
            )
            raise UsageError(message)
        self.machine = machine
        self.kernel = machine.kernel
        self.ulong_max = machine.arch.ulong_max
        self.address = machine.take_tree()
        flags = (MT_FLAGS_ALLOC_RANGE if alloc_range else 0) | (MT_FLAGS_USE_RCU if rcu else 0)
        self.kernel.mt_init_flags(self.address, flags)

    # -- one index, one range

    def load(self, index: int) -> int:
        """The entry at ``index``, 0 if there is none. O(log n). Kernel: mtree_load."""
        self._check_words(index)
        return self.kernel.mtree_load(self.address, index)

    def store(self, first: int, last: int, entry: int) -> None:
        """Store ``entry`` over ``first`` to ``last`` inclusive, and replace existing entries.

        O(log n). Raises KernelError: EINVAL, ENOMEM. Kernel: mtree_store_range.
        """
        self._check_words(first, last, entry)
        self._done(self.kernel.mtree_store_range(self.address, first, last, entry))

    def insert(self, first: int, last: int, entry: int) -> None:
        """Store ``entry`` over ``first`` to ``last`` inclusive, if the range has no entry.

        O(log n). Raises KernelError: EEXIST, EINVAL, ENOMEM. Kernel: mtree_insert_range.
        """
        self._check_words(first, last, entry)
        self._done(self.kernel.mtree_insert_range(self.address, first, last, entry))

    def erase(self, index: int) -> int:
        """Erase the whole range around ``index``; returns its entry, or 0. O(log n).

        Kernel: mtree_erase.

        >>> tree = MapleTree()
        >>> tree.store(10, 19, 0x1001)
        >>> hex(tree.erase(15)), list(tree)
        ('0x1001', [])
        """
        self._check_words(index)
        entry = self.kernel.mtree_erase(self.address, index)
        self._done(0)
        return entry

    def clear(self) -> None:
        """Free all nodes. O(n). Kernel: mtree_destroy."""
        self.kernel.mt_destroy(self.address)
        self._done(0)

    def range_at(self, index: int) -> Range:
        """The range around ``index``; its entry is 0 in a gap. O(log n). Kernel: mas_walk.

        >>> tree = MapleTree()
        >>> tree.store(10, 19, 0x1001)
        >>> tree.range_at(12)
        Range(first=10, last=19, entry=4097)
        >>> tree.range_at(5)
        Range(first=0, last=9, entry=0)
        """
        self._check_words(index)
        mas = self.state(index)
        entry = self.kernel.mas_walk(mas)
        return Range(mas.index, mas.last, entry)

    # -- many ranges

    def ranges(self, first: int = 0, last: int | None = None) -> Iterator[Range]:
        """The ranges with entries that touch ``first`` to ``last`` inclusive, in order.

        The tree may be changed between steps: each step continues after the last range. Kernel:
        mas_find.
        """
        limit = self.ulong_max if last is None else last
        self._check_words(first, limit)
        index = first
        while index <= limit:
            mas = self.state(index)
            entry = self.kernel.mas_find(mas, limit)
            if not entry:
                return
            yield Range(mas.index, mas.last, entry)
            index = mas.last + 1

    def ranges_reversed(self, first: int = 0, last: int | None = None) -> Iterator[Range]:
        """:meth:`ranges` from the highest to the lowest. Kernel: mas_find_rev."""
        index = self.ulong_max if last is None else last
        self._check_words(first, index)
        while True:
            mas = self.state(index)
            entry = self.kernel.mas_find_rev(mas, first)
            if not entry or mas.last < first:
                return
            yield Range(mas.index, mas.last, entry)
            if mas.index <= first:
                return
            index = mas.index - 1

    def __iter__(self) -> Iterator[Range]:
        return self.ranges()

    def __reversed__(self) -> Iterator[Range]:
        return self.ranges_reversed()

    def __len__(self) -> int:
        """The number of ranges with entries. O(n)."""
        return sum(1 for _ in self.ranges())

    def __bool__(self) -> bool:
        return self.machine.mem.ma_root(self.address) != 0

    def __contains__(self, index: int) -> bool:
        return self.load(index) != 0

    def gaps(self, first: int = 0, last: int | None = None) -> Iterator[Range]:
        """The free ranges within ``first`` to ``last`` inclusive, in order; their entry is 0.

        >>> tree = MapleTree()
        >>> tree.store(10, 19, 0x1001)
        >>> [(hex(gap.first), hex(gap.last)) for gap in tree.gaps(0, 99)]
        [('0x0', '0x9'), ('0x14', '0x63')]
        """
        limit = self.ulong_max if last is None else last
        index = first
        for taken in self.ranges(first, limit):
            if taken.first > index:
                yield Range(index, taken.first - 1, 0)
            if taken.last >= limit:
                return
            index = taken.last + 1
        if index <= limit:
            yield Range(index, limit, 0)

    def find_empty_area(
        self, size: int, first: int = 0, last: int | None = None, *, reverse: bool = False
    ) -> Range:
        """The lowest free run of ``size`` indexes within ``first`` to ``last`` inclusive.

        With ``reverse`` the highest. O(log n). Raises KernelError: EBUSY, EINVAL; UsageError
        for a tree that does not track gaps. Kernel: mas_empty_area, mas_empty_area_rev.

        >>> tree = MapleTree("sparc64", alloc_range=True)
        >>> tree.store(10, 19, 0x1001)
        >>> tree.find_empty_area(5, 8)
        Range(first=20, last=24, entry=0)
        """
        limit = self.ulong_max if last is None else last
        self._check_words(size, first, limit)
        if not self.kernel.mt_is_alloc(self.address):
            message = "only a tree made with alloc_range=True can be searched for free ranges"
            raise UsageError(message)
        mas = self.state()
        search = self.kernel.mas_empty_area_rev if reverse else self.kernel.mas_empty_area
        self._done(search(mas, first, limit, size))
        return Range(mas.index, mas.last, 0)

    # -- copies, readers, preallocation

    def copy(self) -> Self:
        """A copy of this tree, on the same machine, in new nodes. O(n).

        Raises KernelError: ENOMEM. Kernel: mtree_dup.
        """
        flags = self.machine.mem.ma_flags(self.address)
        new = self._sibling(
            alloc_range=bool(flags & MT_FLAGS_ALLOC_RANGE), rcu=bool(flags & MT_FLAGS_USE_RCU)
        )
        self._done(self.kernel.mtree_dup(self.address, new.address))
        return new

    def _sibling(self, *, alloc_range: bool, rcu: bool) -> Self:
        """An empty tree on the same machine."""
        return type(self)(machine=self.machine, alloc_range=alloc_range, rcu=rcu)

    @contextmanager
    def read_section(self) -> Iterator[None]:
        """An RCU read section: nodes that writers replace are not freed until it ends.

        Kernel: rcu_read_lock, rcu_read_unlock.
        """
        self.machine.rcu_read_lock()
        try:
            yield
        finally:
            self.machine.rcu_read_unlock()

    @contextmanager
    def preallocate(self, first: int, last: int, entry: int) -> Iterator[Preallocated]:
        """Nodes for one store of ``entry`` over ``first`` to ``last``, which then cannot fail.

        Unused nodes are freed at the end. Raises KernelError: ENOMEM. Kernel: mas_preallocate,
        mas_store_prealloc, mas_destroy.

        >>> tree = MapleTree()
        >>> with tree.preallocate(10, 19, 0x1001) as write:
        ...     write.nodes, write.store()
        (1, None)
        """
        self._check_words(first, last, entry)
        mas = self.state(first, last)
        self._done(self.kernel.mas_preallocate(mas, entry))
        try:
            yield Preallocated(self, mas, entry)
        finally:
            self.kernel.mas_destroy(mas)
            self._done(0)

    def state(self, index: int = 0, last: int | None = None) -> MaState:
        """A maple state for the advanced API: ``tree.kernel.mas_walk(tree.state(5))``."""
        return self.kernel.new_state(self.address, index, last)

    # -- looking inside

    @property
    def height(self) -> int:
        """The height in nodes: 0 for an empty tree or a single entry in the root."""
        return mt_height(self.machine.mem.ma_flags(self.address))

    def nodes(self) -> list[Node]:
        """All nodes as they are now, breadth first. O(n)."""
        mem = self.machine.mem
        return [
            Node(*visit, mem.read(visit.address, NODE_SIZE, "a node"), mem.profile)
            for visit in decode(mem, self.address).nodes
        ]

    def image(self) -> Image:
        """The tree as an image, the input of validators, decoders and dumps."""
        machine = self.machine
        return Image(machine.arch, machine.profile, machine.mem, self.address, "a tree", "tree")

    def difference(self, other: MapleTree) -> Difference | None:
        """The first difference in meaning to another tree, in breadth-first order, or None. O(n).

        Flags, nodes and all fields in use are compared as the numbers that each machine reads. The
        addresses of nodes do not count, nor do old bytes behind a node's data end.

        >>> tree, other = MapleTree("s390x"), MapleTree("x86_64")
        >>> tree.store(10, 19, 0x1001)
        >>> other.store(10, 20, 0x1001)
        >>> found = tree.difference(other)
        >>> found.field, found.values
        ('pivot[1]', ('13', '14'))
        """
        return _sides(between_images(self.image(), other.image(), exact=False))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, MapleTree):
            return NotImplemented
        return self is other or self.difference(other) is None

    def dump(self, *, fields: bool = False) -> str:
        """All nodes as hex; with ``fields`` one line for each field, with its meaning."""
        visits = decode(self.machine.mem, self.address).nodes
        lines = text(self.machine.mem, self.address, visits, fields=fields)
        return "\n".join(plain(line) for line in lines)

    def mt_dump(self, *, decimal: bool = False) -> str:
        """The kernel's text dump, numbers in hex or decimal. Kernel: mt_dump."""
        log = self.kernel.log
        before = len(log)
        self.kernel.mt_dump(self.address, decimal=decimal)
        printed = "".join(log[before:])
        del log[before:]
        return printed

    def check(self) -> None:
        """Run the kernel's validator on the tree. O(n). Kernel: mt_validate.

        Raises BrokenTree with the kernel's messages, which dump the tree.
        """
        log = self.kernel.log
        before = len(log)
        valid = self.kernel.mt_validate(self.address)
        printed = "".join(log[before:])
        del log[before:]
        if not valid:
            raise BrokenTree(printed)

    def __repr__(self) -> str:
        return f"<MapleTree {self.address:x} on {self.machine.arch.name}, height {self.height}>"

    # -- helpers

    def _check_words(self, *words: int) -> None:
        for word in map(whole, words):  # TypeError for what is no integer
            if not 0 <= word <= self.ulong_max:
                message = f"{word:#x} does not fit into a word of {self.machine.arch.name}"
                raise ValueError(message)

    def _done(self, ret: int) -> None:
        """End an operation: let freed nodes go, and turn an errno into an exception."""
        self.machine.quiesce()
        self.machine.cache.begin()  # its logs are for replays, and would grow
        if ret < 0:
            reason = _REASONS.get(-ret, "")
            name = errno.errorcode.get(-ret, str(ret))
            raise KernelError(-ret, f"-{name}: {reason}")


@dataclass(frozen=True, eq=False)
class Node:
    """A copy of a node.

    It has the address, the enum maple_type, the inclusive range, the depth (0 at the root), the 256
    bytes in memory order, and the kernel's layouts. Nodes are equal if their types, their ranges
    and all fields in use are equal. Byte order and the node's address do not count, but pointers
    must be the same numbers. So ``tree.nodes() == before`` shows whether nodes have changed.

    >>> tree = MapleTree("s390x")
    >>> tree.store(10, 19, 0x1001)
    >>> [before] = tree.nodes()
    >>> tree.store(10, 19, 0x2001)
    >>> [after] = tree.nodes()
    >>> before == after, before.difference(after).field
    (False, 'slot[1]')
    """

    address: int
    """Where the node is in the machine's memory."""
    type: int
    """The enum maple_type: 1 leaf_64, 2 range_64, 3 arange_64."""
    first: int
    """The first index of its range."""
    last: int
    """The last index, inclusive."""
    depth: int
    """Levels below the root, which has 0."""
    raw: bytes = field(repr=False)
    """The 256 bytes, in memory order."""
    profile: Profile = field(repr=False)
    """The kernel's layouts on this machine."""

    def fields(self) -> list[NodeField]:
        """The fields in order of their offsets: name, bytes, value and meaning."""
        mem, visit = self._side()
        return node_fields(mem, visit.address, visit.type, visit.min, visit.max)

    def difference(self, other: Node) -> Difference | None:
        """The first field in use that differs, or None. Without regard to byte order."""
        mine, others = self._side(), other._side()
        names = (mine[0].arch.name, others[0].arch.name)
        if self.type != other.type:
            kinds = (TYPE_NAMES[self.type], TYPE_NAMES[other.type])
            return _sides(Difference(names, "type", kinds))
        if (self.first, self.last) != (other.first, other.last):
            spans = (f"{self.first:x}-{self.last:x}", f"{other.first:x}-{other.last:x}")
            return _sides(Difference(names, "range", spans))
        return _sides(between_nodes(mine, others, exact=False))

    def __eq__(self, other: object) -> bool:
        return self.difference(other) is None if isinstance(other, Node) else NotImplemented

    def __hash__(self) -> int:
        return hash((self.type, self.first, self.last))

    def _side(self) -> tuple[NodeMemory, Visit]:
        """Memory with this node alone, and the node in it."""
        mem = NodeMemory(self.profile.arch, self.profile)
        mem.map(self.address, bytearray(self.raw), "a node")
        return mem, Visit(self.address, self.type, self.first, self.last, self.depth)


def _sides(found: Difference | None) -> Difference | None:
    """A difference between two trees of one machine, whose names say which is which."""
    if found is not None and found.arches[0] == found.arches[1]:
        return replace(found, arches=("left", "right"))
    return found


class Preallocated:
    """Preallocated nodes for one store; ``nodes`` counts them, ``spent`` is set by the store."""

    def __init__(self, tree: MapleTree, mas: MaState, entry: int) -> None:
        self._tree = tree
        self._mas = mas
        self._entry = entry
        self.spent = False

    @property
    def nodes(self) -> int:
        """The number of nodes that the state holds."""
        return self._tree.kernel.mas_allocated(self._mas)

    def store(self) -> None:
        """Do the store for which the nodes were allocated. Raises UsageError the second time."""
        if self.spent:
            message = "the nodes of this preallocation are spent: preallocate again"
            raise UsageError(message)
        self.spent = True
        self._tree.kernel.mas_store_prealloc(self._mas, self._entry)
