"""Running one trace on several machines in lock-step, up to the first difference in meaning."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from layout.equip import equip
from layout.images.decode import decode
from layout.machine import TREES
from layout.pointers import mt_height
from layout.replay.difference import Difference, between_nodes, same_words
from layout.replay.live import live_node
from layout.replay.run import MUTATING, Line, Runner
from layout.replay.tracking import TrackingMemory
from layout.replay.transcript import comparable
from layout.tree.kernel import Kernel
from layout.watch.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from arches import Arch
    from layout.replay.trace import Operation
    from layout.tree.state import BigNode, MaState

_MEMORY_KEYS = frozenset({"hex", "was", "message"})
_LAST_WORD = re.compile(r"( contents: .*) [0-9a-f]+$", re.MULTILINE)


class CountingKernel(Kernel):
    """A kernel that counts its splits."""

    splits = 0

    def mas_split(self, mas: MaState, bn: BigNode) -> None:
        """Count, then split."""
        self.splits += 1
        super().mas_split(mas, bn)


@dataclass(slots=True)
class Comparison:
    """What a comparison found: the first difference, if any, and how much was compared.

    ``nodes`` were handed out, ``height`` is the greatest that the current tree had.
    ``swapped_bytes`` counts the bytes of these nodes that differ between the first machine and
    the others though they mean the same. ``bad`` tells that the machines agree on a fault or a
    failed validate.
    """

    operations: int = 0
    difference: Difference | None = None
    nodes: int = 0
    height: int = 0
    splits: int = 0
    swapped_bytes: int = 0
    bad: str = ""
    arches: tuple[str, ...] = field(default=())

    def as_json(self) -> dict[str, Any]:
        """The outcome as JSON has it."""
        difference = self.difference
        return {
            "equal": difference is None,
            "operations": self.operations,
            "first_difference": None if difference is None else difference.as_json(),
        }


def compare(
    operations: Iterable[Operation], machines: Iterable[Arch], *, defects: Sequence[str] = ()
) -> Comparison:
    """Run the operations on every machine; stops at the first difference.

    The machines' widths have to be the same; ``defects`` are put into all of them. Raises
    TraceError, UsageError for a name that is no defect's.
    """
    watch = [Watch(memory=TrackingMemory, kernel=CountingKernel)]
    runners = [Runner(equip(arch, defects=defects, watch=watch)) for arch in machines]
    outcome = Comparison(arches=tuple(runner.machine.arch.name for runner in runners))
    for operation in operations:
        lines = [runner.execute(operation) for runner in runners]
        outcome.operations += 1
        outcome.difference = _first_difference(operation, runners, lines)
        if outcome.difference:
            break
        if operation.op in MUTATING:
            outcome.height = max(outcome.height, mt_height(int(lines[0]["flags"], 16)))
        if runners[0].faulted:
            outcome.bad = f"line {operation.n}: all fault: {lines[0]['fault']['message']}"
            break
    if any(runner.failed for runner in runners):
        outcome.bad = outcome.bad or "a validate failed on all machines"
    if outcome.difference is None:
        _count(outcome, runners)
    return outcome


def _first_difference(
    operation: Operation, runners: list[Runner], lines: list[Line]
) -> Difference | None:
    first = meaning(lines[0])
    for runner, line in zip(runners[1:], lines[1:], strict=True):
        found = _node_difference(runners[0], runner)
        if found is None and operation.op == "poke":
            found = _tree_difference(runners[0], runner)
        if found is None:
            other = meaning(line)
            if first == other:
                continue
            key = next(k for k in [*first, *other] if first.get(k) != other.get(k))
            names = (runners[0].machine.arch.name, runner.machine.arch.name)
            found = Difference(names, key, (first.get(key), other.get(key)))
        return Difference(
            found.arches,
            found.field,
            found.values,
            line=operation.n,
            op=operation.op,
            node=found.node,
            offset=found.offset,
            sides=found.sides,
        )
    for runner in runners:
        _memory(runner).dirty.clear()
    return None


def _memory(runner: Runner) -> TrackingMemory:
    mem = runner.mem
    assert isinstance(mem, TrackingMemory)
    return mem


def meaning(value: Any) -> Any:
    """A transcript line without raw bytes, which differ by byte order alone."""
    if isinstance(value, dict):
        kept = {key: meaning(v) for key, v in comparable(value).items() if key not in _MEMORY_KEYS}
        for key in ("text", "printk"):  # mt_dump prints metadata as a pointer
            if key in kept:
                kept[key] = _LAST_WORD.sub(r"\1", kept[key])
        return kept
    if isinstance(value, list):
        return [meaning(item) for item in value]
    return value


def _node_difference(a: Runner, b: Runner) -> Difference | None:
    """The first live node, of those written to, whose fields differ."""
    mem_a, mem_b = _memory(a), _memory(b)
    for node in sorted(mem_a.dirty | mem_b.dirty):
        visit = live_node(a.machine, node) or live_node(b.machine, node)
        if visit is None or same_words(mem_a, mem_b, visit):
            continue
        found = between_nodes((mem_a, visit), (mem_b, visit))
        if found is not None:
            return found
    return None


def _tree_difference(a: Runner, b: Runner) -> Difference | None:
    """The first difference in any tree, found from the roots: parent words may be damaged."""
    for number in range(TREES):
        tree = a.machine.tree(number)
        for visit in decode(a.mem, tree).nodes:
            found = between_nodes((a.mem, visit), (b.mem, visit))
            if found is not None:
                return found
    return None


def _count(outcome: Comparison, runners: list[Runner]) -> None:
    first = runners[0]
    kernel = first.kernel
    assert isinstance(kernel, CountingKernel)
    outcome.splits = kernel.splits
    outcome.nodes = first.cache.allocated
    for other in runners[1:]:
        cells = zip(first.mem.near_cells(), other.mem.near_cells(), strict=True)
        outcome.swapped_bytes += sum(
            left != right
            for ours, theirs in cells
            if ours != theirs
            for left, right in zip(ours, theirs, strict=True)
        )
