"""The node cache: a model of the kernel's slab allocator, and its RCU queue.

Nodes are allocated in address order and zero-filled. By default they are never reused, so a freed
node keeps its last bytes. Requests can be made to fail. Each operation's allocation calls and frees
are logged in order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from layout.memory.errors import MachineFault, UsageError
from layout.memory.node import NODE_SIZE

if TYPE_CHECKING:
    from layout.memory.node import NodeMemory

GFP_KERNEL = 0xCC0
GFP_NOWAIT = 0x800
GFP_NOFAIL = 0x8000
"""A request with it is never refused: __GFP_NOFAIL."""
DIRECT_RECLAIM = 0x400

NODE_LIMIT = 1 << 23
"""Nodes a machine keeps: 2 GiB, if all were written to. Forgotten ones do not count."""

MARGIN = 16 * NODE_SIZE
"""Bytes mapped behind the last node: where a slab's page goes on, an overrun is no fault."""

SHEAF_CAPACITY = 32
"""Nodes that a sheaf has room for at least: maple_tree_init() asks for it."""

LIVELOCK = 1000
"""Refusals within one operation beyond which it would retry for ever."""


class Sheaf:
    """struct slab_sheaf: nodes in reserve, in address order, taken from the end."""

    __slots__ = ("capacity", "nodes")

    def __init__(self, capacity: int, nodes: list[int]) -> None:
        self.capacity = capacity
        self.nodes = nodes


class NodeCache:
    """kmem_cache "maple_node": node ``i`` lies at ``base + i * 256``.

    Without a base it maps no memory, for code that only reads. With ``reuse`` freed nodes are
    allocated again, last freed first, with their old bytes, as by the kernel's allocator.
    ``allocated`` and ``freed`` count requests. ``freed_map`` has a byte for every existing node, 1
    if it is free; ``room`` is how many nodes there may be.
    """

    def __init__(self, mem: NodeMemory, base: int | None, *, reuse: bool = False) -> None:
        self.mem = mem
        self.reuse = reuse
        self._free_list: list[int] = []
        self.base = base or 0
        if base is not None:
            mem.map_near(base, "nodes")
            mem.grow_near(MARGIN)
        self.room = NODE_LIMIT
        self.allocated = 0
        self.freed = 0
        self.freed_map = bytearray()
        self.calls: list[str] = []
        self.frees: list[int] = []
        self._left: int | None = None
        self._refusals_left: int | None = None
        self._nowait_only = False
        self._refused = 0
        self._sheaves: dict[int, Sheaf] = {}

    def begin(self) -> None:
        """Start an operation: empty the logs."""
        self.calls = []
        self.frees = []
        self._refused = 0

    def more_room(self) -> None:
        """A node was forgotten, which makes room for another if there are addresses."""
        if self.address(self.room + 1) + MARGIN <= self.mem.arch.ulong_max:
            self.room += 1

    def address(self, number: int) -> int:
        """The address of node ``number``."""
        return self.base + number * NODE_SIZE

    def free_list(self) -> tuple[int, ...]:
        """The nodes that wait to be handed out again, last freed last."""
        return tuple(self._free_list)

    def restore(
        self, freed_map: bytes, counts: tuple[int, int], free_list: tuple[int, ...]
    ) -> None:
        """Go back to an earlier state: freed_map, (allocated, freed) and free_list()."""
        self.freed_map[:] = freed_map
        self.allocated, self.freed = counts
        self._free_list = list(free_list)
        self.begin()

    # -- fault injection

    def fail(self, after: int | None, refusals: int | None, *, nowait_only: bool) -> None:
        """Grant ``after`` more nodes, then refuse, at most ``refusals`` times; None ends it."""
        self._left = after
        self._refusals_left = refusals
        self._nowait_only = nowait_only

    def _refuse(self, count: int, *, blocking: bool) -> bool:
        left = self._left
        if left is None or (self._nowait_only and blocking):
            return False
        if count <= left:
            self._left = left - count
            return False
        if self._refusals_left == 0:
            self._left = None
            return False
        if self._refusals_left is not None:
            self._refusals_left -= 1
            if self._refusals_left == 0:
                self._left = None
        self._refused += 1
        if self._refused > LIVELOCK:
            self._left = None
            message = f"the operation was refused memory {LIVELOCK} times and goes on asking"
            raise MachineFault(
                "livelock", 0, message, arch=self.mem.arch.name, doing="allocating nodes"
            )
        return True

    # -- allocation

    def alloc_one(self, gfp: int) -> int:
        """kmem_cache_alloc: the address of a node, or 0."""
        return self._take(1)[0] if self._granted(gfp, "", 1) else 0

    def alloc_bulk(self, gfp: int, count: int) -> list[int]:
        """kmem_cache_alloc_bulk: ``count`` addresses, or none."""
        return self._take(count) if self._granted(gfp, "b", count) else []

    def _granted(self, gfp: int, what: str, count: int) -> bool:
        """Whether a request is granted; either way it is noted."""
        blocking = bool(gfp & DIRECT_RECLAIM)
        refused = (
            self._left is not None
            and not gfp & GFP_NOFAIL
            and self._refuse(count, blocking=blocking)
        )
        self.calls.append(f"{'!' if refused else ''}{'k' if blocking else 'n'}{what}{count}")
        return not refused

    def _take(self, count: int) -> list[int]:
        self.allocated += count
        taken: list[int] = []
        while self._free_list and len(taken) < count:
            node = self._free_list.pop()
            self.freed_map[(node - self.base) // NODE_SIZE] = 0
            taken.append(node)
        return taken + self._fresh(count - len(taken)) if taken else self._fresh(count)

    def _fresh(self, count: int) -> list[int]:
        first = len(self.freed_map)
        if first + count > self.room:
            message = (
                f"the simulated machine is out of memory: {self.room} nodes were allocated; "
                "use a shorter trace or smaller counts"
            )
            raise UsageError(message)
        self.mem.grow_near(count * NODE_SIZE)
        self.freed_map.extend(bytes(count))
        start = self.base + first * NODE_SIZE
        return list(range(start, start + count * NODE_SIZE, NODE_SIZE))

    # -- sheaves: nodes that are asked for together and taken one by one

    def prefill_sheaf(self, gfp: int, count: int) -> int:
        """kmem_cache_prefill_sheaf: a number that stands for a sheaf of ``count`` nodes, or 0."""
        if not self._granted(gfp, "s", count):
            return 0
        number = 1 + max(self._sheaves, default=0)
        self._sheaves[number] = Sheaf(max(count, SHEAF_CAPACITY), self._take(count))
        return number

    def refill_sheaf(self, gfp: int, number: int, count: int) -> int:
        """kmem_cache_refill_sheaf to ``count`` nodes: the sheaf, another one, or 0 if refused."""
        sheaf = self._sheaves[number]
        missing = count - len(sheaf.nodes)
        if missing <= 0:
            return number
        if count > sheaf.capacity:
            larger = self.prefill_sheaf(gfp, count)
            if larger:
                self.return_sheaf(number)
            return larger
        if not self._granted(gfp, "r", missing):
            return 0
        sheaf.nodes += self._take(missing)
        return number

    def sheaf_size(self, number: int) -> int:
        """kmem_cache_sheaf_size: how many nodes a sheaf has."""
        return len(self._sheaves[number].nodes)

    def sheaf_nodes(self, number: int) -> tuple[int, ...]:
        """The nodes in a sheaf, the one to be taken next last."""
        return tuple(self._sheaves[number].nodes)

    def alloc_from_sheaf(self, number: int) -> int:
        """kmem_cache_alloc_from_sheaf: the address of a node, or 0 if the sheaf is empty."""
        nodes = self._sheaves[number].nodes
        return nodes.pop() if nodes else 0

    def return_sheaf(self, number: int) -> None:
        """kmem_cache_return_sheaf: frees its nodes, the one that would be taken last first."""
        for node in self._sheaves.pop(number).nodes:
            self.free(node)

    def free_bulk(self, count: int, address: int) -> None:
        """kmem_cache_free_bulk of ``count`` nodes, whose addresses lie at ``address``."""
        for node in self.mem.read_words(address, count, "nodes to free"):
            self.free(node)

    def free(self, node: int) -> None:
        """kmem_cache_free. Raises MachineFault: bad free, double free."""
        number, rest = divmod(node - self.base, NODE_SIZE)
        if rest or not 0 <= number < len(self.freed_map) or self.freed_map[number]:
            self.bad_free(node)
        self.freed_map[number] = 1
        self.freed += 1
        self.frees.append(number)
        if self.reuse:
            self._free_list.append(node)

    def bad_free(self, node: int) -> NoReturn:
        """Stop at a node that cannot be freed: it was, or is none of this cache."""
        number, rest = divmod(node - self.base, NODE_SIZE)
        known = not rest and 0 <= number < len(self.freed_map)
        kind = "double free" if known else "bad free"
        why = "node was freed before" if known else "not a node of this cache"
        message = f"kmem_cache_free(maple_node, {self.mem.arch.hex_pointer(node)}): {why}"
        raise MachineFault(kind, node, message, arch=self.mem.arch.name, doing="freeing a node")
