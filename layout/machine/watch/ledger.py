"""The ledger: the cost of each operation in nodes and written bytes, and unnecessary work.

An operation is a line of a trace. Outside of traces it is a call of a kernel operation by the user,
not by another operation. :mod:`layout.machine.watch.account` has its figures.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from layout.machine.machine import Machine
from layout.machine.watch.account import Ledger
from layout.machine.watch.watch import Watch
from layout.machine.watch.watched_state import Records, Reserve, StateKernel, Stored
from layout.memory.errors import UsageError
from layout.memory.node import NodeMemory
from layout.memory.slab import NodeCache
from layout.tree.kernel import Kernel
from layout.tree.state import MA_ERROR

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from arches import Arch
    from layout.compiled._core import Core
    from layout.machine.watch.watched_state import WatchedState
    from layout.memory.structs import Profile
    from layout.tree.state import MaState

OVERWRITTEN = "completely overwritten by the next store of the same state before any read"
SPENT = "preallocation spent by another write"
NEVER_USED = "preallocation never used"


class LedgerMemory(NodeMemory):
    """Memory that records which bytes of nodes are written.

    In front of compiled memory it sees the writes of Python code; the core notes all others.
    """

    def __init__(self, arch: Arch, profile: Profile, **options: Any) -> None:
        self.ledger = Ledger(arch)
        super().__init__(arch, profile, **options)
        core: Core | None = getattr(self, "core", None)
        if core is not None:
            core.set_noting(True)
            self.ledger.core = core

    def _wrote(self, address: int, width: int) -> None:
        if 0 <= address - self.near_base < self.near_size:
            self.ledger.wrote(address, width)

    def write(self, address: int, data: bytes, doing: str = "bytes", *, align: int = 1) -> None:
        """Memory.write(), noted."""
        super().write(address, data, doing, align=align)
        self._wrote(address, len(data))

    def write_words(self, address: int, values: Sequence[int], doing: str = "words") -> None:
        """Memory.write_words(), noted."""
        super().write_words(address, values, doing)
        self._wrote(address, len(values) * self.word_size)

    def write_word(self, address: int, value: int, doing: str = "a word") -> None:
        """Memory.write_word(), noted."""
        super().write_word(address, value, doing)
        self._wrote(address, self.word_size)

    def write_u8(self, address: int, value: int, doing: str = "a byte") -> None:
        """Memory.write_u8(), noted."""
        super().write_u8(address, value, doing)
        self._wrote(address, 1)


class LedgerCache(NodeCache):
    """A node cache that records which nodes it allocates, refuses and gets back."""

    mem: LedgerMemory

    def _take(self, count: int) -> list[int]:
        nodes = super()._take(count)
        ledger = self.mem.ledger
        note = ledger.reserve if ledger.reserving else ledger.hand_out
        for node in nodes:
            note(node)
        return nodes

    def _refuse(self, count: int, *, blocking: bool) -> bool:
        refused = super()._refuse(count, blocking=blocking)
        if refused:
            self.mem.ledger.refuse(count)
        return refused

    def free(self, node: int) -> None:
        """NodeCache.free(), noted."""
        super().free(node)
        self.mem.ledger.take_back(node)


class LedgerCalls(Kernel):
    """Kernel code whose outermost calls are operations.

    The functions at the end of this module are wrapped. Calls from kernel code itself are not
    recorded.
    """

    mem: LedgerMemory

    @property
    def ledger(self) -> Ledger:
        """What its memory records too."""
        return self.mem.ledger

    # -- around outermost calls

    def _around_read(self, call: Callable[[], Any], name: str, args: tuple[Any, ...]) -> Any:  # noqa: ARG002
        tree = args[0] if isinstance(args[0], int) else args[0].tree
        self.ledger.reads[tree] = self.ledger.reads.get(tree, 0) + 1
        return call()

    def _around_write(self, call: Callable[[], Any], name: str, args: tuple[Any, ...]) -> Any:
        bounds = [f"{arg:x}" for arg in args[1:3]] if name in _WITH_RANGE else []
        own = self.ledger.open_call(" ".join([name, "-".join(bounds)]).rstrip())
        try:
            if name in _WITH_RESULT:
                return self._around_read(call, name, args)
            return call()
        finally:
            if own:
                self.ledger.close(drop_idle=name == "run_rcu")

    def _around_state(self, call: Callable[[], Any], name: str, args: tuple[Any, ...]) -> Any:
        """A call that may get, spend or give back a state's reserve."""
        mas: WatchedState = args[0]
        if not isinstance(mas, Records):
            return self._around_write(call, name, args)
        ledger = self.ledger
        bounds = (mas.index, mas.last)
        own = ledger.open_call(f"{name} {mas.index:x}-{mas.last:x}")
        try:
            if name in _STORES:
                self._note_overwritten(mas)
            used, gone = ledger.used, ledger.gone
            result = self._around_read(call, name, args) if name in _WITH_RESULT else call()
            if mas.reserve is not None:
                ours = name not in _STORES or mas.reserve.is_for(bounds, args[1])
                self._note_spent(mas, ledger.used - used, ledger.gone - gone, bounds, ours=ours)
            if name in _RESERVES and (count := self.mas_allocated(mas)):
                entry = args[1] if name == "mas_preallocate" else None
                label = ledger.label(bounds)
                mas.reserve = Reserve(label, count, (bounds, (mas.index, mas.last)), entry)
            if name in _STORES and mas.status != MA_ERROR:
                reads = ledger.reads.get(mas.tree, 0)
                mas.stored = Stored(ledger.label(bounds), mas.tree, bounds, reads)
            return result
        finally:
            if own:
                ledger.close(drop_idle=name == "mas_destroy")

    def _note_overwritten(self, mas: WatchedState) -> None:
        was = mas.stored
        if (
            was is not None
            and was.tree == mas.tree
            and mas.index <= was.bounds[0]
            and was.bounds[1] <= mas.last
            and was.reads == self.ledger.reads.get(mas.tree, 0)
        ):
            self.ledger.warn(f"{was.label}: {OVERWRITTEN}")

    def _note_spent(
        self, mas: WatchedState, used: int, gone: int, bounds: tuple[int, int], *, ours: bool
    ) -> None:
        """Tell what became of a state's reserve after a call that took ``used`` nodes of it."""
        reserve = mas.reserve
        assert reserve is not None
        reserve = mas.reserve = reserve._replace(used=reserve.used + used)
        got = f"{reserve.label} got {reserve.nodes} node{'s' * (reserve.nodes > 1)}"
        if not ours and (used or gone):
            self.ledger.warn(f"{SPENT}: {got}, this stores {bounds[0]:x}-{bounds[1]:x}")
            mas.reserve = None
        elif gone and not self.mas_allocated(mas):
            if not reserve.used:
                self.ledger.warn(f"{NEVER_USED}: {got}, all given back")
            mas.reserve = None


_STORES = frozenset({"mas_store", "mas_store_gfp", "mas_store_prealloc"})
_RESERVES = frozenset({"mas_preallocate", "mas_expected_entries"})
_BY_STATE = ("mas_erase", "mas_destroy", *_STORES, *_RESERVES)
_WITH_RANGE = frozenset({"mtree_store_range", "mtree_insert_range"})
_WITH_RESULT = frozenset(
    {"mtree_erase", "mas_erase", "mtree_dup"}
)  # they read what they erase or copy
_WRITES = (
    *("mtree_alloc_range", "mtree_alloc_rrange", "mtree_alloc_cyclic", "mt_destroy", "run_rcu"),
    *_WITH_RANGE,
    *("mtree_erase", "mtree_dup"),
)
_READS = (
    *("mtree_load", "mt_find", "mt_find_after", "mt_next", "mt_prev", "mas_walk"),
    *("mas_find", "mas_find_range", "mas_find_rev", "mas_find_range_rev"),
    *("mas_next", "mas_next_range", "mas_prev", "mas_prev_range"),
)


def _wrap(name: str, around: str) -> None:
    @functools.wraps(getattr(Kernel, name))
    def outermost(self: LedgerCalls, *args: Any, **options: Any) -> Any:
        inner = getattr(super(LedgerCalls, self), name)
        ledger = self.mem.ledger
        if ledger.inside:
            return inner(*args, **options)
        ledger.inside = True
        try:
            call = functools.partial(inner, *args, **options)
            return getattr(self, around)(call, name, (*args, *options.values()))
        finally:
            ledger.inside = False

    setattr(LedgerCalls, name, outermost)


for _names, _around in (
    (_BY_STATE, "_around_state"),
    (_WRITES, "_around_write"),
    (_READS, "_around_read"),
):
    for _name in _names:
        _wrap(_name, _around)


class LedgerKernel(LedgerCalls, StateKernel):
    """Kernel code that records the use of nodes, too."""

    def mas_alloc_nodes(self, mas: MaState, gfp: int) -> None:
        """Kernel.mas_alloc_nodes(): what it gets is in reserve until it is taken."""
        self.ledger.reserving = True
        try:
            super().mas_alloc_nodes(mas, gfp)
        finally:
            self.ledger.reserving = False

    def mas_pop_node(self, mas: MaState) -> int:
        """Kernel.mas_pop_node(), noted."""
        node = super().mas_pop_node(mas)
        self.ledger.use(node)
        return node


class LedgerMachine(Machine):
    """A machine whose operations end with an account: the key ``ledger`` of a transcript line."""

    mem: LedgerMemory

    @property
    def ledger(self) -> Ledger:
        """The accounts of all operations."""
        return self.mem.ledger

    @property
    def core(self) -> None:
        """None: each operation of its own is for the ledger, though they may be compiled."""
        return

    def begin(self, number: int, name: str) -> None:
        """Machine.begin(), and open an account."""
        super().begin(number, name)
        self.ledger.open(number, name)

    def finish(self) -> dict[str, Any]:
        """Machine.finish(), with the account."""
        return {**super().finish(), "ledger": self.ledger.close().to_json()}


LEDGER = Watch(LedgerMachine, LedgerMemory, LedgerCache, LedgerKernel, LedgerCalls)
"""The ledger, for :func:`layout.machine.equip.equip`."""


def ledger_of(machine: Machine) -> Ledger:
    """The ledger of a machine that was equipped with one. Raises UsageError."""
    if not isinstance(machine, LedgerMachine):
        message = "this machine has no ledger: equip(arch, watch=[LEDGER]) makes one that has"
        raise UsageError(message)
    return machine.ledger
