"""The stores of operations, in program order, with the barriers between them."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from layout.interleave.barriers import TSO, release_of
from layout.machine.equip import equip
from layout.machine.watch.journal import ALLOC, FREE, JOURNAL, JournalMemory, field_name, journal_of
from layout.memory.limits import LIMIT
from layout.memory.node import NODE_SIZE
from layout.traces.language import Kind
from layout.traces.runner import Runner
from layout.tree.alloc import RCU_FREE_NODE
from layout.tree.kernel import Kernel

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from arches import Arch
    from layout.machine.machine import Saved
    from layout.machine.watch.journal import Entry
    from layout.traces.session import Line
    from layout.traces.trace import Operation

FREED = "freed"
"""The field of a store that stands for a node given back at once: its bytes are anybody's."""

HANDED_OUT = "handed out"
"""The field of a store that stands for a node which had an owner before and gets another one."""

POISON = 0x6B
"""What a node holds that was handed out and not written yet: slab's byte for freed objects."""


class Store(NamedTuple):
    """One store of a field, or of a word of a larger one.

    ``release`` is the barrier that it has, ``fence`` the barrier right before it.
    """

    address: int
    data: bytes
    function: str
    field: str
    release: str = ""
    fence: str = ""


@dataclass(slots=True)
class Writing:
    """Operations on one tree beside readers: the bytes before them, their stores, their new nodes.

    ``starts`` has for each operation the number of its first store. ``taken`` are nodes that nobody
    had before. ``fence`` is a barrier behind the last store.
    """

    tree: int
    before: Saved
    operations: list[Operation] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    stores: list[Store] = field(default_factory=list)
    taken: list[int] = field(default_factory=list)
    fence: str = ""

    @property
    def first(self) -> int:
        """The number of the first line."""
        return self.operations[0].n

    @property
    def lines(self) -> str:
        """The numbers of the lines: "10", or "10-12"."""
        first, last = self.operations[0].n, self.operations[-1].n
        return f"{first}" if first == last else f"{first}-{last}"

    def line_of(self, number: int) -> int:
        """The line that a store is of."""
        return self.operations[bisect_right(self.starts, number) - 1].n

    def put_in_front(self, operation: int, store: Store) -> None:
        """Let an operation, by its number from 0 on, begin with a store of the writer's caller."""
        self.stores.insert(self.starts[operation], store)
        for later in range(operation + 1, len(self.starts)):
            self.starts[later] += 1

    def before_each(
        self, order: str, without: frozenset[str], *, one_lock: bool = False
    ) -> list[int]:
        """For each store the set, as bits, of itself and those visible no later than it.

        In TSO these are all stores before it. Otherwise they are: all before it if it is a release,
        all before the last smp_wmb(), those of the same bytes, and what was before these. Those of
        earlier operations are visible, too, unless ``one_lock`` is held over all operations.
        """
        sets: list[int] = []
        fenced = 0
        last: dict[int, int] = {}
        locked = frozenset(() if one_lock else self.starts)
        for number, store in enumerate(self.stores):
            everything = (1 << number) - 1
            if number in locked or (store.fence and store.fence not in without):
                fenced = everything
            wanted = fenced
            if order == TSO or (store.release and store.release not in without):
                wanted = everything
            for at in range(store.address, store.address + len(store.data)):
                if at in last:
                    wanted |= sets[last[at]]
                last[at] = number
            sets.append(wanted | 1 << number)
        return sets


class _WriterMemory(JournalMemory):
    """Memory with a journal in which barriers and what has no bytes here are noted."""

    fences: list[tuple[int, str]]
    beside: list[tuple[int, Store]]


class WriterKernel(Kernel):
    """A writer's operations, with the barriers that are no stores."""

    mem: _WriterMemory

    def mte_set_node_dead(self, enode: int) -> None:
        """Mark a node as replaced; then smp_wmb()."""
        super().mte_set_node_dead(enode)
        self.mem.fences.append((len(self.mem.entries), "mte_set_node_dead"))

    def call_rcu(self, node: int, func: int) -> None:
        """Queue a callback. kfree_rcu() writes the rcu_head if it has no room elsewhere."""
        super().call_rcu(node, func)
        if func == RCU_FREE_NODE and self.version != Kernel.version:
            mem = self.mem
            width, order = mem.word_size, mem.arch.byteorder
            rcu = mem.profile.layout("rcu_head")
            start = node + mem.profile.layout("maple_node").offset("rcu")
            for name, value in (("func", node), ("next", 0)):
                data = value.to_bytes(width, order)
                place = start + rcu.offset(name)
                store = Store(place, data, "kfree_rcu", f"rcu_head.{name}")
                mem.beside.append((len(mem.entries), store))


class Writer:
    """A machine on which a trace runs; some of its lines are recorded store by store.

    ``kernels`` replace operations, as for :func:`layout.machine.equip.equip`. With ``reuse`` nodes
    that were freed are handed out again. ``limit`` is Runner's.
    """

    def __init__(
        self,
        arch: Arch,
        kernels: Sequence[type[Kernel]],
        version: str,
        *,
        reuse: bool = False,
        limit: int = LIMIT,
    ) -> None:
        self.machine = equip(
            arch,
            kernels=[WriterKernel, *kernels],
            watch=[JOURNAL],
            reuse_nodes=reuse,
            version=version,
        )
        self._memory = self.machine.mem
        self._reset()
        self.runner = Runner(self.machine, limit)

    def _reset(self) -> None:
        self._memory.fences = []  # type: ignore[attr-defined] # of WriterKernel's memory
        self._memory.beside = []  # type: ignore[attr-defined]

    def run(self, operation: Operation) -> Line:
        """Carry out a line that is not recorded."""
        line = self.runner.execute(operation)
        journal_of(self.machine).take_entries()
        self._reset()
        return line

    def record(self, operation: Operation) -> tuple[Line, Writing]:
        """Carry out a line inside a read section, whose end frees what it replaced.

        Callbacks of earlier lines must not wait.
        """
        writing = self.open()
        line = self.add(writing, operation)
        self.close()
        return line, writing

    def open(self) -> Writing:
        """Enter a read section: what lines replace is not freed before :meth:`close`.

        Callbacks of earlier lines must not wait.
        """
        machine = self.machine
        writing = Writing(self.runner.tree, machine.save())
        machine.rcu_read_lock()
        return writing

    def close(self) -> None:
        """Leave the read section; what lines replaced in it is freed."""
        if not self.runner.faulted:
            self.machine.rcu_read_unlock()
        journal_of(self.machine).take_entries()
        self._reset()

    def add(self, writing: Writing, operation: Operation) -> Line:
        """Carry out a line inside the read section. Without a store it is no operation of it."""
        start = len(writing.stores)
        line = self.runner.execute(operation)
        entries = journal_of(self.machine).take_entries()
        fences = dict(self._memory.fences)  # type: ignore[attr-defined]
        beside: list[tuple[int, Store]] = self._memory.beside  # type: ignore[attr-defined]
        for number in range(len(entries) + 1):
            writing.fence = fences.get(number, writing.fence)
            _put(writing, (store for at, store in beside if at == number))
            if number == len(entries):
                break
            entry = entries[number]
            if entry.kind != ALLOC:
                _put(writing, self._stores(entry))
            elif entry.address in writing.taken or self._in_use(writing, entry.address):
                data = bytes([POISON]) * NODE_SIZE
                _put(writing, [Store(entry.address, data, entry.function, HANDED_OUT)])
            else:
                writing.taken.append(entry.address)
        self._reset()
        if len(writing.stores) > start:
            writing.operations.append(operation)
            writing.starts.append(start)
        return line

    def _in_use(self, writing: Writing, node: int) -> bool:
        """Whether somebody had a node when recording began."""
        number = (node - self.machine.node_base) // NODE_SIZE
        known = writing.before.freed_map
        return number < len(known) and not known[number]

    def _stores(self, entry: Entry) -> Iterator[Store]:
        if entry.kind == FREE:
            data = bytes([POISON]) * NODE_SIZE
            yield Store(entry.address, data, entry.function, FREED)
            return
        width = min(entry.width, self.machine.arch.word_size)
        if entry.kind != 0 or not entry.tag:  # bytes without a field: word by word
            width = self.machine.arch.word_size
        for at in range(0, len(entry.data), width):
            address = entry.address + at
            name = field_name(entry.field_at(address)) if entry.tag else "bytes"
            release = release_of(entry.function, name)
            yield Store(address, entry.data[at : at + width], entry.function, name, release)


def _put(writing: Writing, stores: Iterable[Store]) -> None:
    """Append stores, the first of them behind the barrier that waits for one."""
    for store in stores:
        writing.stores.append(store._replace(fence=writing.fence))
        writing.fence = ""


def entry_of(operation: Operation) -> int:
    """The entry that an operation stores, 0 if there is none."""
    pairs = zip(operation.declared.arguments, operation.args, strict=False)
    return next((value for argument, value in pairs if argument.kind is Kind.ENTRY), 0)
