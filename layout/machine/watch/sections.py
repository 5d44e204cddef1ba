"""RCU read sections: the section in which a maple state got its node, and that node's history.

A node is certain to exist only during the read section in which it was found. A state that is used
in another section, or after its node was freed, is reported as a stale maple state, even if the
bytes are still valid by chance.
"""

from __future__ import annotations

import struct
import sys
from typing import TYPE_CHECKING, Any

from layout.machine.watch.report import STEP, Report
from layout.machine.watch.watch import ReportingMachine, Watch
from layout.machine.watch.watched_state import StateKernel, WatchedState
from layout.memory.errors import UsageError
from layout.memory.node import NODE_SIZE
from layout.memory.pointers import NODE_MASK
from layout.memory.slab import NodeCache
from layout.tree.kernel import Kernel

if TYPE_CHECKING:
    from types import FrameType

    from layout.machine.machine import Machine, Saved
    from layout.memory.node import NodeMemory
    from layout.tree.state import MaState

STALE = "stale maple state"
_EVENTS = 12
"""Events that a node's history keeps."""

POISON_FREE, POISON_END = 0x6B, 0xA5
"""What SLUB's poisoning writes over an object, and into its last byte."""


_WHATS = ("allocated", "reused", "freed", "put in the tree", "dead", "queued")
_EVENT = struct.Struct("=BQ")
"""An index of _WHATS and the operation."""


class History:
    """The history of a node: ``generation`` counts its allocations and frees.

    The events are packed: a long trace has millions of nodes.
    """

    __slots__ = ("_events", "freed_by", "generation", "state")

    def __init__(self) -> None:
        self.generation = 0
        self.state = "unused"
        self.freed_by: int | None = None
        self._events = b""

    def add(self, what: str, operation: int) -> None:
        """Something happened; the oldest event goes where there are too many."""
        event = _EVENT.pack(_WHATS.index(what), operation)
        self._events = (self._events + event)[-_EVENTS * _EVENT.size :]

    @property
    def events(self) -> list[str]:
        """What happened last, and in which operation."""
        return [
            f"{_WHATS[what]} in operation {operation}"
            for what, operation in _EVENT.iter_unpack(self._events)
        ]


class Sections:
    """The read sections of a machine, the histories of its nodes, and the reports.

    Sections are numbered from 1. Each task has at most one section, even if its locks are nested.
    """

    def __init__(self) -> None:
        self.reports: list[Report] = []
        self.current = 0
        """The section that the running task is in, 0 if in none."""
        self._task = ""
        self.operation = 1
        self.nodes: dict[int, History] = {}
        self._started = 0
        self._open: dict[str, tuple[int, int]] = {}

    # -- sections

    @property
    def task(self) -> str:
        """The running task."""
        return self._task

    @task.setter
    def task(self, name: str) -> None:
        self._task = name
        self.current = self._open.get(name, (0, 0))[0]

    @property
    def open(self) -> frozenset[int]:
        """The sections of all tasks."""
        return frozenset(number for number, _ in self._open.values())

    def enter(self) -> int:
        """The running task enters a section, or goes deeper into its own; returns its number."""
        number, depth = self._open.get(self.task, (0, 0))
        if not depth:
            self._started = number = self._started + 1
        self._open[self.task] = number, depth + 1
        self.current = number
        return number

    def leave(self) -> None:
        """The running task undoes one enter(). Raises UsageError."""
        number, depth = self._open.get(self.task, (0, 0))
        if not depth:
            who = f"task {self.task!r} is in no" if self.task else "nobody is in a"
            message = f"rcu_read_unlock without rcu_read_lock: {who} read section"
            raise UsageError(message)
        if depth > 1:
            self._open[self.task] = number, depth - 1
        else:
            del self._open[self.task]
            self.current = 0

    # -- nodes

    def note(self, node: int, what: str, state: str) -> History:
        """Something happens to a node."""
        history = self.nodes.get(node)
        if history is None:
            history = self.nodes[node] = History()
        history.state = state
        history.add(what, self.operation)
        return history

    # -- states

    def bind(self, mas: WatchedState, enode: int) -> None:
        """A state gets a node, in the current section."""
        mas.section = self.current
        history = self.nodes.get(enode & ~NODE_MASK)
        mas.generation = history.generation if history is not None else 0

    def look(self, mas: WatchedState, enode: int) -> None:
        """Somebody looks at an active state's node; reports a stale one if the kernel does."""
        history = self.nodes.get(enode & ~NODE_MASK)
        if history is None:
            return
        now = self.current
        if mas.section == now and mas.generation == history.generation:
            return
        reader = sys._getframe(2)  # noqa: SLF001 - behind the property
        while reader.f_code.co_name.startswith(STEP) and reader.f_back is not None:
            reader = reader.f_back
        if not _of_kernel(reader):
            return
        self._report(mas, enode & ~NODE_MASK, history, reader)
        mas.section, mas.generation = now, history.generation  # each is reported once

    def _report(self, mas: WatchedState, node: int, history: History, reader: FrameType) -> None:
        changed = mas.generation != history.generation
        then, now = (
            f"in read section {number}" if number else "outside of any read section"
            for number in (mas.section, self.current)
        )
        is_now = f"{history.state} node"
        self.reports.append(
            Report(
                kind=STALE,
                node=node,
                offset=0,
                read_as="node of an active state",
                written_as=is_now,
                written_by=history.freed_by if changed else None,
                operation=self.operation,
                function=reader.f_code.co_name,
                detail=(
                    f"the state for {mas.index:x}-{mas.last:x} got its node {then} and is used "
                    f"{now}; the node was {', '.join(history.events)}"
                ),
            )
        )


def _of_kernel(frame: FrameType) -> bool:
    """Whether a kernel's function runs there: its first argument is the kernel."""
    code = frame.f_code
    first = frame.f_locals.get(code.co_varnames[0]) if code.co_argcount else None
    return isinstance(first, Kernel)


# -- what takes the notes


class SectionCache(NodeCache):
    """A node cache that records allocated and freed nodes in the histories."""

    sections: Sections

    def _take(self, count: int) -> list[int]:
        nodes = super()._take(count)
        for node in nodes:
            known = node in self.sections.nodes
            self.sections.note(node, "reused" if known else "allocated", "reused").generation += 1
        return nodes

    def free(self, node: int) -> None:
        """NodeCache.free(), noted."""
        super().free(node)
        history = self.sections.note(node, "freed", "freed")
        history.generation += 1
        history.freed_by = self.sections.operation


class PoisonCache(NodeCache):
    """A node cache that poisons freed nodes, as SLUB does with slub_debug=P.

    Watches of accesses do not see these writes.
    """

    def free(self, node: int) -> None:
        """NodeCache.free(); the bytes are overwritten."""
        super().free(node)
        poison = bytes([POISON_FREE]) * (NODE_SIZE - 1) + bytes([POISON_END])
        self.mem.poison(node, poison)


class SectionKernel(StateKernel):
    """Kernel code whose states record their section, and whose callbacks wait for readers.

    A callback waits for the sections that were open when it was queued, not for later ones.
    """

    def __init__(self, mem: NodeMemory, cache: NodeCache) -> None:
        super().__init__(mem, cache)
        self.sections = Sections()
        self.waits: list[frozenset[int]] = []
        if isinstance(cache, SectionCache):
            cache.sections = self.sections

    def new_state(self, tree: int, index: int = 0, last: int | None = None) -> WatchedState:
        """Kernel.new_state(), with a section."""
        mas = super().new_state(tree, index, last)
        mas.sections = self.sections
        return mas

    def mas_pop_node(self, mas: MaState) -> int:
        """Kernel.mas_pop_node(), noted."""
        node = super().mas_pop_node(mas)
        self.sections.note(node, "put in the tree", "live")
        return node

    def mte_set_node_dead(self, enode: int) -> None:
        """Kernel.mte_set_node_dead(), noted."""
        super().mte_set_node_dead(enode)
        self.sections.note(enode & ~NODE_MASK, "dead", "dead")

    def call_rcu(self, node: int, func: int) -> None:
        """Kernel.call_rcu(), noted."""
        super().call_rcu(node, func)
        self.waits.append(self.sections.open)
        self.sections.note(node, "queued", "dead, queued")

    def run_rcu(self) -> int:
        """Kernel.run_rcu() for the callbacks that wait for no reader any more."""
        still_open = self.sections.open
        ready = 0
        while ready < len(self.waits) and not self.waits[ready] & still_open:
            ready += 1
        later = self.rcu_queue[ready:]
        del self.rcu_queue[ready:], self.waits[:ready]
        done = super().run_rcu()
        self.rcu_queue += later
        return done


class SectionMachine(ReportingMachine):
    """A machine whose tasks, read sections and grace periods are watched.

    With ``manual_grace`` callbacks run only in :meth:`grace`, not at the end of an operation, and
    not at the end of the last reader's section. Outside a trace, operations are counted from 1, and
    each ends with :meth:`quiesce`.
    """

    kernel: SectionKernel
    manual_grace = False
    _reported = 0

    @property
    def sections(self) -> Sections:
        """The sections, histories and reports."""
        return self.kernel.sections

    @property
    def reports(self) -> list[Report]:
        """All reports so far."""
        return [*super().reports, *self.sections.reports]

    def begin(self, number: int, name: str) -> None:
        """Machine.begin(); events and reports carry the number."""
        super().begin(number, name)
        self.sections.operation = number
        self._reported = len(self.sections.reports)

    def finish(self) -> dict[str, Any]:
        """Machine.finish(), with the reports of this operation."""
        line = super().finish()
        reports = [report.to_json() for report in self.sections.reports[self._reported :]]
        if reports:
            line["reports"] = line.get("reports", []) + reports
        return line

    def rcu_read_lock(self) -> None:
        """Machine.rcu_read_lock() of the running task."""
        self.sections.enter()
        super().rcu_read_lock()

    def rcu_read_unlock(self) -> int:
        """Machine.rcu_read_unlock() of the running task."""
        self.sections.leave()
        return super().rcu_read_unlock()

    def quiesce(self) -> int:
        """Machine.quiesce(); the next operation begins."""
        done = super().quiesce()
        self.sections.operation += 1
        return done

    def held_up(self) -> bool:
        """Whether callbacks wait for grace(); each waits for its readers in any case."""
        return self.manual_grace

    def grace(self) -> int:
        """End the grace period of all callbacks that wait for no section; returns their number."""
        return self.kernel.run_rcu()

    def forget(self, node: int) -> None:
        """Machine.forget(), with the node's history."""
        super().forget(node)
        self.sections.nodes.pop(node, None)

    def hand_over(self, mas: MaState) -> None:
        """Allow the state in the current section; the caller guarantees that its node exists."""
        if isinstance(mas, WatchedState):
            mas.section = self.sections.current

    def restore(self, saved: Saved) -> None:
        """Machine.restore(); the histories of the nodes are dropped."""
        super().restore(saved)
        self.kernel.waits.clear()
        self.sections.nodes.clear()


SECTIONS = Watch(SectionMachine, cache=SectionCache, kernel=SectionKernel)
"""Read sections, for :func:`layout.machine.equip.equip`."""

POISON = Watch(cache=PoisonCache)
"""Poison in freed nodes, for :func:`layout.machine.equip.equip`."""


def sections_of(machine: Machine) -> SectionMachine:
    """The machine, if it was equipped with sections. Raises UsageError."""
    if not isinstance(machine, SectionMachine):
        message = "this machine has no sections: equip(arch, watch=[SECTIONS]) makes one that has"
        raise UsageError(message)
    return machine
