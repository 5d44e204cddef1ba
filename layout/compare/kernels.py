"""One trace as several kernel versions carry it out: what differs in results, and the cost."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from layout.compare.results import Parting, Results
from layout.machine.equip import equip
from layout.machine.watch.ledger import LEDGER, ledger_of
from layout.memory.limits import LIMIT
from layout.traces.runner import Runner
from layout.traces.snapshot import operations as operations_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from arches import Arch
    from layout.traces.source import TraceText

FIGURES = ("requested", "used", "freed", "bytes_written", "cache_lines")
"""What each kernel spends, as the ledger counts it."""


@dataclass(slots=True)
class KernelComparison:
    """How kernels carried out a trace; the first version is held against the others."""

    arch: str
    """The machine."""
    versions: tuple[str, ...]
    """The kernels that were compared."""
    operations: int = 0
    """How many operations were compared."""
    parting: Parting | None = None
    """The first difference in results, None if there is none."""
    with_kernel: str = ""
    """The version on the other side of it."""
    nodes: dict[str, int] = field(default_factory=dict)
    """How many nodes each version handed out."""
    costs: dict[str, dict[str, int]] = field(default_factory=dict)
    """The sums of the ledger for each version, by FIGURES; empty if not asked for."""

    @property
    def equal(self) -> bool:
        """Whether no result differs for another reason than refused allocations."""
        return self.parting is None or self.parting.refused is not None

    def as_json(self) -> dict[str, Any]:
        """The outcome as JSON has it."""
        first = None
        if self.parting is not None:
            first = {
                "line": self.parting.operation.n,
                "kernels": [self.versions[0], self.with_kernel],
                "arch": self.arch,
                "field": self.parting.field,
                "values": list(self.parting.values),
                "refused_since": self.parting.refused,
            }
        return {
            "equal": self.equal,
            "arch": self.arch,
            "operations": self.operations,
            "first_difference": first,
            "nodes": self.nodes,
            "costs": self.costs or None,
        }


def compare_kernels(
    text: TraceText,
    versions: Sequence[str],
    arch: Arch,
    *,
    costs: bool = False,
    limit: int = LIMIT,
) -> KernelComparison:
    """Run a trace as each version does, and compare what callers see, up to the first difference.

    With ``costs`` the run goes on to the end of the trace, and the ledger counts. Raises
    TraceError, UsageError.
    """
    watch = [LEDGER] * costs
    runners = [Runner(equip(arch, watch=watch, version=version), limit) for version in versions]
    outcome = KernelComparison(arch.name, tuple(versions))
    pairs = [Results(arch) for _ in versions[1:]]
    for operation in operations_of(text, arch):
        lines = [None if runner.faulted else runner.execute(operation) for runner in runners]
        if outcome.parting is None:
            outcome.operations += 1
            for version, results, line in zip(versions[1:], pairs, lines[1:], strict=True):
                found = results.compare(operation, lines[0] or {}, line or {})
                if found is not None:
                    outcome.parting, outcome.with_kernel = found, version
                    break
        stopped = [runner.faulted for runner in runners]
        if all(stopped) or (not costs and (outcome.parting is not None or any(stopped))):
            break
    for version, runner in zip(versions, runners, strict=True):
        outcome.nodes[version] = runner.cache.allocated
        if costs:
            accounts = ledger_of(runner.machine).accounts
            outcome.costs[version] = {
                name: sum(getattr(account, name) for account in accounts) for name in FIGURES
            }
    return outcome
