"""A simulated machine: memory, node cache and kernel operations of one architecture."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from arches import Access
from layout import compiled
from layout.memory import structs
from layout.memory.errors import UsageError
from layout.memory.node import NodeMemory
from layout.memory.quick import QuickMemory
from layout.memory.slab import NodeCache
from layout.tree.kernel import Kernel

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn, SupportsIndex

    from arches import Arch
    from layout.compiled._core import Core
    from layout.memory.structs import Profile

TREES = 8
"""Trees on a machine, each with its struct maple_tree at a fixed address."""

TREE_STRIDE = 0x40
_TREE_AREA = 0x10000


class Compiled(NamedTuple):
    """What makes the compiled memory, node cache and kernel of a machine."""

    memory: Callable[[Arch, Profile], NodeMemory]
    cache: type[NodeCache]
    kernel: Callable[..., Kernel]


class Machine:
    """One machine with eight empty trees.

    Tree ``k`` lies at ``tree_base + k * 0x40``, node ``i`` at ``node_base + i * 0x100``.
    ``node_base`` is a multiple of 64 KiB; its default is the address that traces use. ``memory``,
    ``kernel`` and ``cache`` are classes. A subclass of memory watches accesses, one of kernel
    replaces operations, one of cache watches allocations. Without ``reuse_nodes`` every node is
    allocated only once, so freed nodes keep their bytes. A plain machine runs compiled operations
    if they were built. ``in_python`` selects the Python ones, which can be replaced on a single
    kernel or memory. ``parts`` are compiled ones that do the same as these classes.
    """

    def __init__(  # noqa: PLR0913 - its parts, and where they lie
        self,
        arch: Arch,
        memory: type[NodeMemory] = NodeMemory,
        kernel: type[Kernel] = Kernel,
        *,
        cache: type[NodeCache] = NodeCache,
        reuse_nodes: bool = False,
        node_base: int | None = None,
        in_python: bool = False,
        parts: Compiled | None = None,
    ) -> None:
        self.arch = arch
        self.memory_class = memory
        """The requested class; a compiled class may replace it."""
        self._kernel_class = kernel
        self.profile = structs.profile(arch, kernel.version)
        if node_base is None:
            node_base = 0x1000000000 if arch.word_size == 8 else 0x10000000
        self.node_base = node_base
        self.tree_base = self.node_base - _TREE_AREA
        make_kernel: Callable[..., Kernel] = kernel
        make_memory: Callable[..., NodeMemory] = QuickMemory if memory is NodeMemory else memory
        if not in_python and type(self) is Machine and cache is NodeCache:
            parts = _compiled(memory, kernel)
        if parts is not None:
            make_memory, cache, make_kernel = parts
        self.mem = make_memory(arch, self.profile)
        self.mem.map(self.tree_base, bytearray(_TREE_AREA), "trees")
        self.cache = cache(self.mem, self.node_base, reuse=reuse_nodes)
        self.kernel = make_kernel(self.mem, self.cache)
        self._made = type(self.kernel)
        for number in range(TREES):
            self.kernel.mt_init_flags(self.tree(number), 0)
        self._trees_taken = 0
        self._readers = 0

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        """Refuse to be copied or pickled, also as a part of something: memory may be compiled."""
        message = (
            "a machine can't be copied or pickled, nor what lies on it: MapleTree.copy() copies a "
            "tree, and list(tree) has what it holds"
        )
        raise TypeError(message)

    def tree(self, number: int) -> int:
        """The address of tree ``number``'s struct maple_tree."""
        return self.tree_base + number * TREE_STRIDE

    def take_tree(self) -> int:
        """The address of a tree that nobody else has asked for. Raises UsageError."""
        number = self._trees_taken
        if number == _TREE_AREA // TREE_STRIDE:
            message = f"this machine has room for {number} trees: use another Machine"
            raise UsageError(message)
        self._trees_taken += 1
        return self.tree(number)

    @property
    def core(self) -> Core | None:
        """The compiled operations that this machine runs; None if it runs Python."""
        core: Core | None = getattr(self.mem, "core", None)
        kernel: object = self.kernel
        return core if kernel is core else None

    @property
    def kernel_class(self) -> type[Kernel]:
        """The class of its kernel, as asked for or as set since; a twin counts as the plain one."""
        return self._kernel_class if type(self.kernel) is self._made else type(self.kernel)

    # -- operations

    def begin(self, number: int, name: str) -> None:  # noqa: ARG002
        """Start operation ``number``, a trace's line or a count: the logs are emptied."""
        self.cache.begin()
        self.kernel.warnings = 0
        self.kernel.log.clear()

    def finish(self) -> dict[str, Any]:
        """End the operation; what watched it has to say, as further keys of its line."""
        return {}

    def forget(self, node: int) -> None:
        """Nothing will read this freed node any more, nor what watched it: there is more room."""
        self.mem.forget(node)
        self.cache.more_room()

    # -- grace periods

    def rcu_read_lock(self) -> None:
        """Enter a read section: nodes freed from now on stay until it ends."""
        self._readers += 1

    def rcu_read_unlock(self) -> int:
        """Leave a read section; with the last one the grace period ends.

        Returns how many callbacks ran. Raises UsageError if there is no reader.
        """
        if not self._readers:
            message = "rcu_read_unlock without rcu_read_lock: nobody is in a read section"
            raise UsageError(message)
        self._readers -= 1
        return self.quiesce()

    @property
    def reading(self) -> bool:
        """Whether a reader is in a read section."""
        return self._readers > 0

    def quiesce(self) -> int:
        """End of an operation: run the RCU callbacks that nothing holds up; returns how many."""
        return 0 if self.held_up() else self.kernel.run_rcu()

    def held_up(self) -> bool:
        """Whether a reader holds up all callbacks."""
        return self._readers > 0

    # -- callers

    def dereference(self, entry: int, offset: int = 0) -> int:
        """The word ``offset`` bytes into what a returned entry points to, as its caller reads it.

        Where the kernel carries out a misaligned access step by step, it does, and logs it in
        its words (``kernel.log``). What lies in a lowcore is not known here and reads as 0. Raises
        MachineFault where nothing is mapped.

        >>> import arches
        >>> Machine(arches.get("x86_64")).dereference(0xE)  # doctest: +ELLIPSIS
        Traceback (most recent call last):
            ...
        layout...MachineFault: BUG: kernel NULL pointer dereference, address: 000000000000000e
        """
        arch, mem = self.arch, self.mem
        width = arch.word_size
        address = entry + offset & arch.ulong_max
        arena = mem.arena_at(address)
        if arena is None and address < arch.lowcore:
            return 0
        if arch.strict_alignment and address % width and arena is not None:
            access = Access("misaligned", address, width, write=False, mapped=True)
            self.kernel.printk(arch.word_fault(access) + "\n")
            return int.from_bytes(mem.read(address, width, "an entry"), arch.byteorder)
        return mem.read_word(address, "")

    # -- going back

    def save(self) -> Saved:
        """The state of memory and node cache, to come back to. RCU callbacks must not wait."""
        cache = self.cache
        return Saved(
            self.mem.read(self.tree_base, _TREE_AREA),
            self.mem.near_cells(),
            bytes(cache.freed_map),
            (cache.allocated, cache.freed),
            cache.free_list(),
        )

    def restore(self, saved: Saved) -> None:
        """Go back to a saved state of this machine."""
        cache = self.cache
        self.mem.write(self.tree_base, saved.trees)
        self.mem.replace_near(saved.nodes)
        cache.restore(saved.freed_map, saved.counts, saved.free_list)
        self.kernel.rcu_queue.clear()


def _compiled(memory: type[NodeMemory], kernel: type[Kernel]) -> Compiled | None:
    """Compiled classes in the place of these, if there are any."""
    stand_in = vars(memory).get("twin", "")
    if not stand_in or not compiled.available():
        return None
    from layout.compiled import twin  # noqa: PLC0415 - where it was built

    core_class = twin.stand_in_for(kernel)
    if core_class is None:
        return None
    make_memory = partial(getattr(twin, stand_in), kernel=core_class)
    return Compiled(make_memory, twin.CoreCache, twin.core_kernel)


class Saved(NamedTuple):
    """A machine's bytes: the trees, the nodes; and which nodes are free."""

    trees: bytes
    nodes: tuple[bytes, ...]
    freed_map: bytes
    counts: tuple[int, int]
    free_list: tuple[int, ...]
