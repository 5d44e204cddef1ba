"""What the access checker and the ledger say of a trace."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from layout.machine.equip import equip
from layout.machine.watch.check import CHECK
from layout.machine.watch.ledger import LEDGER, ledger_of
from layout.memory.errors import MachineFault, UsageError
from layout.testing.known import FreesAllItKilled
from layout.traces.runner import Runner

if TYPE_CHECKING:
    from collections.abc import Sequence

    from arches import Arch
    from layout.traces.trace import Operation


class Report(NamedTuple):
    """What reports of one cause have in common."""

    kind: str
    function: str
    detail: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.function} {self.detail}"


def observe(operations: Sequence[Operation], arch: Arch, version: str) -> list[Report]:
    """The reports on a trace, each cause once.

    The machine frees all nodes of a destroyed tree, so that the bugs of "Bugs in Linux 6.12" are
    not found again. From a ``poke`` on nobody watches: damage is what is reported then. A ledger
    whose figures are not those of the node cache is a report too.
    """
    runner = Runner(equip(arch, watch=[CHECK, LEDGER], kernels=[FreesAllItKilled], version=version))
    found: dict[Report, None] = {}
    try:
        for operation in operations:
            if operation.op == "poke":
                break
            line = runner.execute(operation)
            for report in line.get("reports", ()):
                found[Report(report["kind"], report["function"], f"as {report['read_as']}")] = None
            if runner.faulted:
                return list(found)
    except (MachineFault, UsageError):
        return list(found)
    accounts = ledger_of(runner.machine).accounts
    for name, counted in (("requested", runner.cache.allocated), ("freed", runner.cache.freed)):
        told = sum(getattr(account, name) for account in accounts)
        if told != counted:
            found[Report("ledger", name, f"{told} nodes, the node cache has {counted}")] = None
    return list(found)
