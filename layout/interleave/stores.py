"""The stores of one operation, in program order, with the barriers between them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from layout.interleave.barriers import TSO, release_of
from layout.machine.equip import equip
from layout.machine.watch.journal import ALLOC, FREE, JOURNAL, JournalMemory, field_name, journal_of
from layout.memory.node import NODE_SIZE
from layout.traces.language import Kind
from layout.traces.runner import Runner
from layout.tree.alloc import RCU_FREE_NODE
from layout.tree.kernel import Kernel

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from arches import Arch
    from layout.machine.machine import Saved
    from layout.machine.watch.journal import Entry
    from layout.traces.session import Line
    from layout.traces.trace import Operation

FREED = "freed"
"""The field of a store that stands for a node given back at once: its bytes are anybody's."""

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
    """An operation beside readers: the bytes before it, its stores, and the nodes it was given."""

    operation: Operation
    tree: int
    before: Saved
    stores: list[Store] = field(default_factory=list)
    taken: list[int] = field(default_factory=list)

    @property
    def entry(self) -> int:
        """The entry that the operation stores, 0 if there is none."""
        pairs = zip(self.operation.declared.arguments, self.operation.args, strict=False)
        return next((value for argument, value in pairs if argument.kind is Kind.ENTRY), 0)

    def before_each(self, order: str, without: frozenset[str]) -> list[int]:
        """For each store the set, as bits, of itself and those visible no later than it.

        In TSO these are all stores before it. Otherwise they are: all before it if it is a release,
        all before the last smp_wmb(), those of the same bytes, and what was before these.
        """
        sets: list[int] = []
        fenced = 0
        last: dict[int, int] = {}
        for number, store in enumerate(self.stores):
            everything = (1 << number) - 1
            if store.fence and store.fence not in without:
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

    ``kernels`` replace operations, as for :func:`layout.machine.equip.equip`.
    """

    def __init__(self, arch: Arch, kernels: Sequence[type[Kernel]], version: str) -> None:
        watch = JOURNAL
        self.machine = equip(arch, kernels=[WriterKernel, *kernels], watch=[watch], version=version)
        self._memory = self.machine.mem
        self._reset()
        self.runner = Runner(self.machine)

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
        machine = self.machine
        writing = Writing(operation, self.runner.tree, machine.save())
        machine.rcu_read_lock()
        try:
            line = self.runner.execute(operation)
            entries = journal_of(machine).take_entries()
        finally:
            if not self.runner.faulted:
                machine.rcu_read_unlock()
        fences = dict(self._memory.fences)  # type: ignore[attr-defined]
        beside = list(self._memory.beside)  # type: ignore[attr-defined]
        fence = ""
        for number, entry in enumerate(entries):
            fence = fences.get(number, fence)
            for at, store in beside:
                if at == number:
                    writing.stores.append(store._replace(fence=fence))
                    fence = ""
            if entry.kind == ALLOC:
                writing.taken.append(entry.address)
                continue
            for store in self._stores(entry):
                writing.stores.append(store._replace(fence=fence))
                fence = ""
        fence = fences.get(len(entries), fence)
        for at, store in beside:
            if at >= len(entries):
                writing.stores.append(store._replace(fence=fence))
                fence = ""
        journal_of(machine).take_entries()
        self._reset()
        return line, writing

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
