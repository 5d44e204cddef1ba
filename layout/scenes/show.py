"""Whether a defect shows: its trigger with it and without it, and what is different."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import arches
from layout.node import NODE_SIZE
from layout.replay.difference import between_nodes
from layout.replay.live import live_node
from layout.scenes.stage import Seen, Stage

if TYPE_CHECKING:
    from collections.abc import Iterable

    from arches import Arch
    from layout.defects import Defect
    from layout.defects.defect import Outcome, Shows
    from layout.machine import Machine

_SHOWN = 8
"""Differing sightings that a detail tells; the rest is counted."""


@dataclass(frozen=True, slots=True)
class Trial:
    """A defect's trigger on one machine.

    ``outcome`` and ``detail`` are those with the defect, ``checker`` the kinds of report that
    the access checker makes, ``correct`` the outcome without the defect. ``wrong_byte`` is the
    first byte of a node that the defect left different, ``nodes`` what was asked for and given
    back with and without it, ``expected`` what history says.
    """

    arch: str
    outcome: Outcome
    detail: str
    checker: tuple[str, ...]
    correct: Outcome
    fault: str
    wrong_byte: str
    nodes: str
    expected: Shows | None

    @property
    def as_documented(self) -> bool:
        """Whether it shows as history says."""
        expected = self.expected
        found = (self.outcome, self.detail)
        return self.correct == "ok" and (
            expected is None or found == (expected.outcome, expected.detail)
        )

    def as_json(self) -> dict[str, Any]:
        """The trial as JSON has it."""
        return {
            "outcome": self.outcome,
            "detail": self.detail,
            "checker": list(self.checker),
            "correct": self.correct,
            "first_wrong_byte": self.wrong_byte or None,
            "fault": self.fault or None,
            "nodes": self.nodes,
        }


def show(defect: Defect, machines: Iterable[Arch] | None = None) -> list[Trial]:
    """The trigger on each machine, those of the defect if none are named."""
    if machines is None:
        machines = [arches.get(name) for name in defect.arches]
    return [trial(defect, arch) for arch in machines]


def trial(defect: Defect, arch: Arch) -> Trial:
    """The trigger on one machine, with the defect and without it."""
    bad, good = play(defect, arch), play(defect, arch, correct=True)
    outcome = _outcome(bad, good)
    changed = outcome in ("corrupt", "wrong result")
    return Trial(
        arch.name,
        outcome,
        _detail(bad, good),
        (),
        _outcome(good, good),
        bad.faults[0][1].message if bad.faults else "",
        _first_wrong_byte(bad, good) if changed else "",
        _nodes(bad, good),
        defect.shows.get(arch.name),
    )


def play(defect: Defect, arch: Arch, *, correct: bool = False, check: bool = False) -> Seen:
    """What is seen of the scene on one machine."""
    seen = Seen()
    stage = Stage(arch, None if correct else defect, seen, check=check)
    defect.scene(stage)
    for each in seen.stages:
        each.validate()
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
    ours, theirs = bad.mem.near, good.mem.near
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


def _nodes(bad: Seen, good: Seen) -> str:
    texts = []
    for seen in (bad, good):
        caches = [stage.machine.cache for stage in seen.stages]
        allocated, freed = sum(c.allocated for c in caches), sum(c.freed for c in caches)
        texts.append(f"{allocated} requested, {freed} freed")
    return texts[0] if texts[0] == texts[1] else f"{texts[0]} (without it {texts[1]})"
