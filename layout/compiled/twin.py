"""Memory, node cache and kernel of a plain machine, compiled.

Each has all that its Python class has: what is not compiled is inherited. Bytes of nodes and
trees lie in the core; all other arenas are the Python class's.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

from layout.compiled import TABLES, _core, available
from layout.memory import slab
from layout.memory.memory import Arena
from layout.memory.node import NodeMemory
from layout.memory.slab import NodeCache
from layout.tree.kernel import Kernel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from arches import Arch
    from layout.memory.node import Pivots
    from layout.memory.structs import Profile


class CoreArena(Arena):
    """The nodes, whose bytes are the core's."""

    __slots__ = ("core",)

    def __init__(self, base: int, name: str, core: _core.Core) -> None:
        self.base = base
        self.name = name
        self.core = core

    @property
    def end(self) -> int:  # type: ignore[override] # the core knows how many there are
        """The address behind the last byte."""
        return self.base + self.core.size

    @property
    def data(self) -> bytearray:  # type: ignore[override] # bytes to look at, made anew
        """All bytes, as a copy."""
        return bytearray(self.core.read(0, self.core.size))

    def read(self, at: int, width: int) -> bytes:  # noqa: D102
        return self.core.read(at, width)

    def write(self, at: int, new: bytes) -> None:  # noqa: D102
        self.core.write(at, new)

    def flat(self) -> None:  # noqa: D102
        return None

    def grow(self, count: int) -> None:  # noqa: D102
        self.core.grow_near(count)


class Fixed:
    """Refuses to replace a method on one object: compiled code would not call the new one."""

    def __setattr__(self, name: str, value: object) -> None:
        if callable(getattr(type(self), name, None)):
            message = (
                f"{name} is compiled and can't be replaced on one object: give Machine a "
                "subclass that has another, or make the machine with in_python=True"
            )
            raise AttributeError(message)  # noqa: TRY004 - as Python says of what is fixed
        super().__setattr__(name, value)


class CoreMemory(Fixed, NodeMemory):
    """Memory whose nodes and trees the compiled operations work on."""

    kernel: CoreKernel
    cache: CoreCache

    def __init__(
        self, arch: Arch, profile: Profile, kernel: type[CoreKernel] | None = None
    ) -> None:
        self.core = (kernel or CoreKernel)()
        super().__init__(arch, profile)
        self.core.set_up(self, slab.NODE_LIMIT)

    @property
    def near_size(self) -> int:
        """Bytes of the arena of nodes."""
        return self.core.size

    @near_size.setter
    def near_size(self, size: int) -> None:
        pass

    def map(self, base: int, data: bytearray, name: str) -> Arena:  # noqa: D102
        if name == "trees":
            self.core.map_trees(base, data)
        return super().map(base, data, name)

    def map_near(self, base: int, name: str) -> Arena:  # noqa: D102
        self.core.map_near(base)
        self.near_base = base
        arena = CoreArena(base, name, self.core)
        self._near = arena  # type: ignore[assignment] # only what an Arena has is used here
        return self._add(arena)

    def grow_near(self, count: int) -> None:  # noqa: D102
        self.core.grow_near(count)

    def near_cells(self) -> tuple[bytes, ...]:  # noqa: D102
        return self.core.all_cells()

    def replace_near(self, cells: Sequence[bytes]) -> None:  # noqa: D102
        self.core.replace(cells)

    def forget(self, cell: int) -> None:  # noqa: D102
        self.core.forget_cell(cell)

    def pivots(self, node: int, mt: int, count: int) -> Pivots:  # noqa: D102
        if not 0 < mt < 4:
            return super().pivots(node, mt, count)
        return self.core.read_words(node + self.word_size, count, "pivot")

    def slots(self, node: int, mt: int, count: int) -> tuple[int, ...]:  # noqa: D102
        return self.core.read_words(node + self.slot_offset[mt], count, "slot")

    def read_word(self, address: int, doing: str = "a word") -> int:  # noqa: D102
        return self.core.read_word(address, doing)

    def read_words(self, address: int, count: int, doing: str = "words") -> tuple[int, ...]:  # noqa: D102
        return self.core.read_words(address, count, doing)

    def write_word(self, address: int, value: int, doing: str = "a word") -> None:  # noqa: D102
        self.core.write_word(address, value, doing)

    def write_words(self, address: int, values: Sequence[int], doing: str = "words") -> None:  # noqa: D102
        self.write_words_anywhere(address, values, doing)

    def read_u8(self, address: int, doing: str = "a byte") -> int:  # noqa: D102
        return self.core.read_u8(address, doing)

    def write_u8(self, address: int, value: int, doing: str = "a byte") -> None:  # noqa: D102
        self.core.write_u8(address, value, doing)


class CoreTracking(CoreMemory):
    """Compiled memory that notes which nodes are written to."""

    def __init__(
        self, arch: Arch, profile: Profile, kernel: type[CoreKernel] | None = None
    ) -> None:
        super().__init__(arch, profile, kernel)
        self.core.set_tracking(True)

    def take_dirty(self) -> set[int]:
        """The addresses of nodes written to since the last call."""
        return self.core.take_dirty()


class CoreCache(Fixed, NodeCache):
    """A node cache whose counts and logs are the core's."""

    mem: CoreMemory

    def __init__(self, mem: CoreMemory, base: int | None, *, reuse: bool = False) -> None:
        self.mem = mem
        self.core = mem.core
        self.core.reuse = reuse
        self.base = base or 0
        mem.cache = self
        if base is not None:
            mem.map_near(base, "nodes")
            mem.grow_near(slab.MARGIN)

    @property
    def reuse(self) -> bool:  # type: ignore[override] # the core's, as all below
        """Whether freed nodes are handed out again."""
        return self.core.reuse

    @property
    def allocated(self) -> int:  # type: ignore[override]
        """Nodes handed out so far."""
        return self.core.allocated

    @property
    def freed(self) -> int:  # type: ignore[override]
        """Nodes freed so far."""
        return self.core.freed

    @property
    def freed_map(self) -> bytearray:  # type: ignore[override]
        """A byte for every node that there is, 1 if it is free."""
        return self.core.freed_map

    @property
    def room(self) -> int:
        """The nodes that there may be."""
        return self.core.node_limit

    @room.setter
    def room(self, nodes: int) -> None:
        self.core.node_limit = nodes

    @property
    def calls(self) -> list[str]:  # type: ignore[override]
        """Allocation calls of the operation."""
        return self.core.call_log()

    @property
    def frees(self) -> list[int]:  # type: ignore[override]
        """Numbers of the nodes freed in the operation."""
        return self.core.free_log()

    def begin(self) -> None:  # noqa: D102
        self.core.begin()

    def free_list(self) -> tuple[int, ...]:  # noqa: D102
        return self.core.free_list()

    def restore(  # noqa: D102
        self, freed_map: bytes, counts: tuple[int, int], free_list: tuple[int, ...]
    ) -> None:
        self.core.restore(freed_map, *counts, free_list)

    def fail(self, after: int | None, refusals: int | None, *, nowait_only: bool) -> None:  # noqa: D102
        self.core.fail(after, refusals, nowait_only)

    def alloc_one(self, gfp: int) -> int:  # noqa: D102
        return self.core.alloc_one(gfp)

    def alloc_bulk(self, gfp: int, count: int) -> list[int]:  # noqa: D102
        return self.core.alloc_bulk(gfp, count)

    def free(self, node: int) -> None:  # noqa: D102
        self.core.free_node(node)

    def prefill_sheaf(self, gfp: int, count: int) -> int:  # noqa: D102
        return self.core.prefill_sheaf(gfp, count)

    def refill_sheaf(self, gfp: int, number: int, count: int) -> int:  # noqa: D102
        return self.core.refill_sheaf(gfp, number, count)

    def sheaf_nodes(self, number: int) -> tuple[int, ...]:  # noqa: D102
        return self.core.sheaf_nodes(number)

    def sheaf_size(self, number: int) -> int:  # noqa: D102
        return len(self.core.sheaf_nodes(number))

    def alloc_from_sheaf(self, number: int) -> int:  # noqa: D102
        return self.core.alloc_from_sheaf(number)

    def return_sheaf(self, number: int) -> None:  # noqa: D102
        self.core.return_sheaf(number)


class CoreKernel(Fixed, _core.Core, Kernel):
    """The operations: compiled ones first, the others as they are in Python."""

    extension = _core

    def __init__(self, mem: Any = None, cache: Any = None) -> None:
        """Made with its memory; the machine calls it again with all parts."""
        if mem is not None:
            Kernel.__init__(self, mem, cache)


_STAND_INS: dict[type[Kernel], type[CoreKernel]] = {Kernel: CoreKernel}


def stand_in_for(kernel: type[Kernel]) -> type[CoreKernel] | None:
    """The compiled twin of a kernel of ``compiled.TABLES``, where it was built; None for others."""
    found = _STAND_INS.get(kernel)
    if found is not None:
        return found
    place = f"{kernel.__module__}:{kernel.__qualname__}"
    name = next((name for name, table in TABLES.items() if table.kernel == place), "")
    if not name or not available(name):
        return None
    extension = import_module(f"layout.compiled.{name}")

    def start(self: Kernel, mem: Any = None, cache: Any = None) -> None:
        if mem is not None:
            kernel.__init__(self, mem, cache)

    made = {"extension": extension, "__init__": start, "__doc__": CoreKernel.__doc__}
    bases = (Fixed, extension.Core, kernel)
    found = cast("type[CoreKernel]", type(CoreKernel.__name__, bases, made))
    _STAND_INS[kernel] = found
    return found


def core_kernel(mem: CoreMemory, cache: CoreCache) -> CoreKernel:
    """The kernel of this memory, which was made with it."""
    kernel = mem.core
    kernel.__init__(mem, cache)  # type: ignore[misc] # its attributes need the other parts
    kernel.set_kernel(kernel)
    mem.kernel = kernel
    return kernel
