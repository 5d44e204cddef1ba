"""Runs one trace on several machines line by line, up to the first difference in meaning."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from layout.compare.difference import Difference, between_nodes, same_words
from layout.compare.live import live_node
from layout.compare.tracking import TrackingMemory
from layout.images.decode import decode
from layout.machine.equip import equip
from layout.machine.machine import TREES, Machine
from layout.machine.watch.watch import Watch
from layout.memory.errors import TraceError
from layout.memory.limits import LIMIT
from layout.memory.pointers import mt_height
from layout.memory.structs import DEFAULT_VERSION
from layout.traces.runner import Runner
from layout.traces.snapshot import operations as operations_of
from layout.traces.stream import END, LINE, STOPPED, may_forget, next_line
from layout.traces.trace import Operation, TraceReader
from layout.traces.transcript import comparable
from layout.tree.versions import kernel_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from arches import Arch
    from layout.compiled._core import Core
    from layout.traces.session import Line
    from layout.traces.source import TraceText
    from layout.tree.kernel import Kernel

_MEMORY_KEYS = frozenset({"hex", "was", "message"})
"""Raw bytes, also in what a line nests, and the text of a fault, which may tell of them."""

_LAST_WORD = re.compile(r"( contents: .*) [0-9a-f]+$", re.MULTILINE)


@dataclass(slots=True)
class Comparison:
    """The outcome of one trace on several machines."""

    operations: int = 0
    """How many operations were compared."""
    difference: Difference | None = None
    """The first difference in meaning, None if there is none."""
    nodes: int = 0
    """How many nodes were handed out."""
    height: int = 0
    """The greatest height of the current tree, in nodes."""
    splits: int = 0
    """How many splits there were."""
    swapped_bytes: int = 0
    """Bytes of these nodes that differ from the first machine's by byte order alone."""
    bad: str = ""
    """The fault or the failed validate on which all machines agree; empty if there is none."""
    arches: tuple[str, ...] = field(default=())
    """The names of the machines, the one first that the others are held against."""

    def as_json(self) -> dict[str, Any]:
        """The outcome as JSON has it."""
        difference = self.difference
        return {
            "equal": difference is None,
            "operations": self.operations,
            "first_difference": None if difference is None else difference.as_json(),
        }


def compare(
    operations: Iterable[Operation],
    machines: Iterable[Arch],
    *,
    kernels: Sequence[type[Kernel]] = (),
    version: str = DEFAULT_VERSION,
    limit: int = LIMIT,
) -> Comparison:
    """Run the operations on every machine; stops at the first difference.

    The machines' widths have to be the same; all of them get ``kernels`` and ``version``, as
    equip() takes them. Raises TraceError, UsageError.
    """
    runners = _runners(machines, kernels, version, limit)
    outcome = Comparison(arches=tuple(runner.machine.arch.name for runner in runners))
    for operation in operations:
        if _compared(outcome, operation, runners, [each.execute(operation) for each in runners]):
            break
    return _summed_up(outcome, runners)


def compare_trace(
    text: TraceText,
    machines: Sequence[Arch],
    *,
    kernels: Sequence[type[Kernel]] = (),
    version: str = DEFAULT_VERSION,
    limit: int = LIMIT,
) -> Comparison:
    """compare() of a trace's text; quicker on compiled machines. Raises what compare() does."""
    runners = _runners(machines, kernels, version, limit)
    cores = [core for runner in runners if (core := runner.machine.core) is not None]
    if len(cores) < len(runners) or len({core.extension for core in cores}) > 1:
        listed = operations_of(text, machines[0])
        return compare(listed, machines, kernels=kernels, version=version, limit=limit)
    outcome = Comparison(arches=tuple(runner.machine.arch.name for runner in runners))
    reader = TraceReader(machines[0].ulong_max)
    n = 0
    try:
        forget = may_forget(runners[0].machine, text)
        for block in text.blocks():
            if _lock_step(outcome, runners, cores, reader, (block, n), forget=forget):
                break
            n += block.count(b"\n")
    except TraceError as error:
        raise TraceError(error.line, error.reason, text.source) from None
    return _summed_up(outcome, runners)


def _lock_step(  # noqa: PLR0913 - what goes on from block to block
    outcome: Comparison,
    runners: list[Runner],
    cores: list[Core],
    reader: TraceReader,
    block: tuple[bytes, int],
    *,
    forget: bool,
) -> bool:
    """Compiled code goes on as long as nothing differs; what it does not know is done here.

    ``block`` is whole lines and how many came before; true if the comparison ends in it. With
    ``forget`` what was compared of freed nodes is dropped.
    """
    extension = cores[0].extension
    data, before = block
    replays = [extension.Replay(core, data, 0, before) for core in cores]
    together = extension.LockStep(replays)
    together.operations, together.height = outcome.operations, outcome.height
    together.forget, together.forgotten = forget, outcome.swapped_bytes
    while True:
        for runner, replay in zip(runners, replays, strict=True):
            replay.tree, replay.held_up = runner.tree, runner.machine.held_up()
            replay.limit = min(runner.limit, (1 << 63) - 1)
        why = together.run()
        outcome.operations, outcome.height = together.operations, together.height
        outcome.swapped_bytes = together.forgotten
        if why == END:
            return False
        lines: list[Line] = []
        if why == LINE:
            number, text = next_line(replays[0], data)
            for replay in replays[1:]:
                next_line(replay, data)
            read = reader.read(number, text)
            if read is None:
                continue
            operation = read
            lines = [runner.execute(operation) for runner in runners]
        else:
            for runner, replay in zip(runners, replays, strict=True):
                written = replay.take()
                if written:
                    lines.append(json.loads(written))
                else:
                    stopped = Operation(replay.n, *replay.operation)
                    lines.append(runner.stopped(stopped, replay.stop))
            operation = Operation(replays[0].n, lines[0]["op"], ())
            outcome.operations -= why != STOPPED  # it is counted below
        stop = _compared(outcome, operation, runners, lines)
        together.operations, together.height = outcome.operations, outcome.height
        if stop:
            return True


def _runners(
    machines: Iterable[Arch], kernels: Sequence[type[Kernel]], version: str, limit: int
) -> list[Runner]:
    watch = [Watch(memory=TrackingMemory)]
    return [
        Runner(equip(arch, kernels=kernels, watch=watch, version=version), limit)
        if kernels
        else Runner(Machine(arch, TrackingMemory, kernel_of(version)), limit)
        for arch in machines
    ]


def _compared(
    outcome: Comparison, operation: Operation, runners: list[Runner], lines: list[Line]
) -> bool:
    """Compare what an operation gave; true if the comparison ends there."""
    outcome.operations += 1
    outcome.difference = _first_difference(operation, runners, lines)
    if outcome.difference:
        return True
    if operation.declared.changes and "flags" in lines[0]:  # no kernel has all operations
        outcome.height = max(outcome.height, mt_height(int(lines[0]["flags"], 16)))
    if runners[0].faulted:
        outcome.bad = f"line {operation.n}: all fault: {lines[0]['fault']['message']}"
        return True
    return False


def _summed_up(outcome: Comparison, runners: list[Runner]) -> Comparison:
    if any(runner.failed for runner in runners):
        outcome.bad = outcome.bad or "a validate failed on all machines"
    if outcome.difference is None:
        _count(outcome, runners)
    else:
        outcome.swapped_bytes = 0
    return outcome


def _first_difference(
    operation: Operation, runners: list[Runner], lines: list[Line]
) -> Difference | None:
    first = meaning(lines[0])
    written = [_dirty(runner) for runner in runners]
    for runner, line, dirty in zip(runners[1:], lines[1:], written[1:], strict=True):
        found = _node_difference(runners[0], runner, written[0] | dirty)
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
    return None


def _dirty(runner: Runner) -> set[int]:
    """Where the machine's memory was written to since the last call."""
    found: set[int] = runner.mem.take_dirty()  # type: ignore[attr-defined] # TrackingMemory's
    return found


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


def _node_difference(a: Runner, b: Runner, written: set[int]) -> Difference | None:
    """The first live node, of those written to, whose fields differ."""
    mem_a, mem_b = a.mem, b.mem
    for node in sorted(written):
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
    outcome.splits = first.kernel.splits
    outcome.nodes = first.cache.allocated
    for other in runners[1:]:
        ours, theirs = first.machine.core, other.machine.core
        if ours is not None and theirs is not None and ours.extension is theirs.extension:
            outcome.swapped_bytes += ours.extension.differing_bytes(ours, theirs)
            continue
        cells = zip(first.mem.near_cells(), other.mem.near_cells(), strict=True)
        outcome.swapped_bytes += sum(
            left != right
            for one, two in cells
            if one != two
            for left, right in zip(one, two, strict=True)
        )
