"""Tests whether a defect shows: runs its trigger with and without it, and compares the outcomes."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import arches
from layout.compare.difference import between_nodes
from layout.compare.live import live_node
from layout.defects.defect import Shows
from layout.defects.stage import Seen, Stage
from layout.machine.watch.check import CHECK
from layout.machine.watch.ledger import LEDGER, ledger_of
from layout.machine.watch.sections import SECTIONS
from layout.machine.watch.watch import reports_of
from layout.memory.node import NODE_SIZE
from layout.memory.structs import DEFAULT_VERSION

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from arches import Arch
    from layout.defects.defect import Defect, Outcome
    from layout.defects.stage import Schedule
    from layout.machine.machine import Machine
    from layout.machine.watch.watch import Watch

_FIGURES = ("requested", "used", "given_back", "freed", "bytes_written", "cache_lines")
_SHOWN = 8
"""Differing sightings that a detail tells; the rest is counted."""


@dataclass(frozen=True, slots=True)
class Trial:
    """A defect's trigger on one machine.

    ``outcome`` and ``detail`` are those with the defect, ``checker`` the kinds of report that the
    access checker makes, ``correct`` the outcome without the defect. ``wrong_byte`` is the first
    byte of a node that the defect left different, ``ledger`` what the operations cost, ``version``
    the kernel, of which the documentation of other than 6.12 knows the outcome alone,
    ``schedules`` the orders of interleaved tasks in which it shows, ``expected`` the documented
    outcome.
    """

    arch: str
    outcome: Outcome
    detail: str
    checker: tuple[str, ...]
    correct: Outcome
    fault: str
    wrong_byte: str
    ledger: dict[str, Any]
    schedules: tuple[Schedule, ...]
    expected: Shows | None
    version: str = DEFAULT_VERSION

    @property
    def as_documented(self) -> bool:
        """Whether it shows as history says."""
        if self.version != DEFAULT_VERSION and self.expected is not None:
            return self.correct == "ok" and self.outcome == self.expected.outcome
        found = Shows(self.outcome, self.detail, self.checker)
        return self.correct == "ok" and self.expected in (found, None)

    def as_json(self) -> dict[str, Any]:
        """The trial as JSON has it."""
        return {
            "outcome": self.outcome,
            "detail": self.detail,
            "checker": list(self.checker),
            "correct": self.correct,
            "first_wrong_byte": self.wrong_byte or None,
            "fault": self.fault or None,
            "ledger": self.ledger,
            "schedules": [asdict(schedule) for schedule in self.schedules],
        }


def show(
    defect: Defect, machines: Iterable[Arch] | None = None, version: str = DEFAULT_VERSION
) -> list[Trial]:
    """The trigger on each machine, those of the defect if none are named, as ``version`` runs it.

    Machines on which its scene cannot play are left out. Raises UsageError for a kernel version
    that has not the code that the defect changes.
    """
    defect.check_fits(version)
    if machines is None:
        machines = [arches.get(name) for name in defect.arches]
    return [
        trial(defect, arch, version)
        for arch in machines
        if defect.elsewhere or arch.name in defect.shows
    ]


def trial(defect: Defect, arch: Arch, version: str = DEFAULT_VERSION) -> Trial:
    """The trigger on one machine, with the defect and without it."""
    bad = _judged(play(defect, arch, version=version))
    good = _judged(play(defect, arch, version=version, correct=True))
    watched = play(defect, arch, version=version, watch=[CHECK, SECTIONS, LEDGER])
    outcome = _outcome(bad, good)
    changed = outcome in ("corrupt", "wrong result")
    return Trial(
        arch.name,
        outcome,
        _detail(bad, good),
        _reports(watched),
        _outcome(good, good),
        bad.faults[0][1].message if bad.faults else "",
        _first_wrong_byte(bad, good) if changed else "",
        _ledger(watched),
        tuple(bad.schedules),
        defect.shows.get(arch.name),
        version,
    )


def play(
    defect: Defect,
    arch: Arch,
    *,
    version: str = DEFAULT_VERSION,
    correct: bool = False,
    watch: Sequence[Watch] = (),
) -> Seen:
    """What is seen of the scene on one machine, with the defect or without it."""
    seen = Seen()
    kernel = None if correct else defect.kernel
    defect.scene(Stage(arch, kernel, seen, watch=watch, version=version))
    return seen


def _judged(seen: Seen) -> Seen:
    """What was seen, and what the validator says of the trees at the end."""
    for stage in seen.stages:
        stage.validate()
    return seen


def _outcome(bad: Seen, good: Seen) -> Outcome:
    if bad.faults:
        return "livelock" if all(f.kind == "livelock" for _, f in bad.faults) else "fault"
    if bad.broken:
        return "corrupt"
    if bad.results != good.results:
        return "wrong result"
    return "leak" if bad.leaks else "ok"


def _detail(bad: Seen, good: Seen) -> str:
    expected = set(good.lines())
    new = [line for line in bad.lines() if line not in expected]
    more = [f"and {len(new) - _SHOWN} more"] if len(new) > _SHOWN else []
    return "; ".join(new[:_SHOWN] + more)


def _first_wrong_byte(bad: Seen, good: Seen) -> str:
    for stage, other in zip(bad.stages, good.stages, strict=False):
        found = _wrong_byte(stage.machine, other.machine)
        if found:
            return found
    return ""


def _wrong_byte(bad: Machine, good: Machine) -> str:
    ours, theirs = (b"".join(each.mem.near_cells()) for each in (bad, good))
    if ours == theirs:
        return ""
    for at in range(0, min(len(ours), len(theirs)), NODE_SIZE):
        if ours[at : at + NODE_SIZE] == theirs[at : at + NODE_SIZE]:
            continue
        node = bad.node_base + at
        visit = live_node(good, node) or live_node(bad, node)
        found = between_nodes((bad.mem, visit), (good.mem, visit)) if visit else None
        if found:
            left, right = found.values
            return f"{found.field} of {node:x}, byte {found.offset}: {left} instead of {right}"
        offset = next(i for i in range(NODE_SIZE) if ours[at + i] != theirs[at + i])
        values = f"{ours[at + offset]:02x} instead of {theirs[at + offset]:02x}"
        return f"byte {offset} of {node:x}: {values}"
    return ""


def _reports(seen: Seen) -> tuple[str, ...]:
    """The kinds of report, in the order in which they came up."""
    found = [report for stage in seen.stages for report in reports_of(stage.machine)]
    return tuple(dict.fromkeys([*(report.kind for report in found), *seen.kinds]))


def _ledger(seen: Seen) -> dict[str, Any]:
    """What all operations cost, nodes and bytes; and what the ledger warns of."""
    found = [(s.name, each) for s in seen.stages for each in ledger_of(s.machine).accounts]
    figures = {name: sum(getattr(each, name) for _, each in found) for name in _FIGURES}
    warnings = [name + text for name, each in found for text in each.warnings]
    return {**figures, "warnings": warnings}
