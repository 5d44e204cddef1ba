"""A watch: subclasses of a machine's parts that record accesses and calls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from layout.machine.machine import Machine
from layout.memory.errors import UsageError
from layout.memory.node import NodeMemory
from layout.memory.slab import NodeCache
from layout.tree.kernel import Kernel

if TYPE_CHECKING:
    from layout.machine.watch.report import Report


@dataclass(frozen=True, slots=True)
class Watch:
    """One watch: for each part of a machine a class whose methods call ``super()``.

    Several watches are combined into one class for each part, so constructors pass on all
    arguments.
    """

    machine: type[Machine] = Machine
    memory: type[NodeMemory] = NodeMemory
    cache: type[NodeCache] = NodeCache
    kernel: type[Kernel] = Kernel
    calls: type[Kernel] | None = None
    """What its kernel has to wrap of compiled operations; None if they can't be watched."""


class ReportingMachine(Machine):
    """A machine with a watch that reports broken rules."""

    @property
    def reports(self) -> list[Report]:
        """All reports so far of this watch and of those that ``super()`` reaches."""
        return []


def reports_of(machine: Machine) -> list[Report]:
    """All reports of a machine, in the order of its operations.

    Raises UsageError for a machine that is not equipped to make any.
    """
    if not isinstance(machine, ReportingMachine):
        message = "this machine has no access checker: equip(arch, watch=[CHECK]) makes one"
        raise UsageError(message)
    return sorted(machine.reports, key=lambda report: report.operation)
