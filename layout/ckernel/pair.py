"""Two builds of kernels, held against each other without the emulator.

Either one source on two machines: what must be the same is everything but the order of bytes. Or
two sources on one machine: the results for callers, and every byte where these are asked for.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import arches
from layout.ckernel.execute import SECONDS, run
from layout.ckernel.explain import kernel_memory, looks, memory_of, node_difference
from layout.ckernel.programs import Programs
from layout.ckernel.words import stopped, warned
from layout.compare.difference import between_nodes
from layout.compare.lockstep import meaning
from layout.compare.results import Parting, Results
from layout.images.decode import decode
from layout.machine.machine import TREES
from layout.memory.errors import TraceError, UsageError
from layout.traces.language import KEYS, RESULTS
from layout.traces.shrink import shrink
from layout.traces.transcript import comparable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from layout.ckernel.build import Built
    from layout.compare.difference import Difference
    from layout.machine.machine import Machine
    from layout.traces.session import Line
    from layout.traces.trace import Operation

_SHOWN = frozenset({"nodes", "mem", "hex", "was"})
_ALL = frozenset(name for name in KEYS if name not in _SHOWN | {"warn_last", "n", "op"})


@dataclass(frozen=True, slots=True)
class Pair:
    """Two builds and what of them is compared: only ``results``, or memory as well."""

    one: Built
    other: Built
    results: bool

    @property
    def names(self) -> tuple[str, str]:
        """What to call the two."""
        if self.one.arch != self.other.arch:
            return self.one.arch, self.other.arch
        return "source", "against"

    def __str__(self) -> str:
        one, other = self.names
        both = f"{one} and {other}"
        return both if self.one.arch != self.other.arch else f"{both} on {self.one.arch}"

    @property
    def keys(self) -> frozenset[str]:
        """The keys of transcript lines that are compared."""
        left_out = self.one.source.missing_fields | self.other.source.missing_fields
        return (RESULTS if self.results else _ALL) - left_out

    @property
    def same_order(self) -> bool:
        """Whether both machines have the same order of bytes, so that checksums are equal."""
        orders = {arches.get(built.arch).byteorder for built in (self.one, self.other)}
        return len(orders) == 1


@dataclass(frozen=True, slots=True)
class PairVerdict:
    """What came out: operations compared, the first difference, the fault that both end in."""

    operations: int
    parting: Parting | None = None
    fault: str = ""


def pair_of(one: Built, other: Built, *, results: bool) -> Pair:
    """Two builds that can be compared. Raises UsageError for machines of two word sizes."""
    a, b = arches.get(one.arch), arches.get(other.arch)
    if a.word_size != b.word_size:
        message = (
            f"{a.name} and {b.name} build different trees, one has 64-bit words and one 32-bit: "
            "compare each kind by itself"
        )
        raise UsageError(message)
    return Pair(one, other, results or _unlike(one, other))


def _unlike(one: Built, other: Built) -> bool:
    """Whether two sources are so different that all but their results has to differ."""
    signs = {"HAVE_SHEAVES", "HAVE_MAPLE_COPY", "HAVE_STORE_TYPE", "HAVE_VACANT_HEIGHT"}
    return one.source.features & signs != other.source.features & signs


def compare_pair(
    pair: Pair,
    operations: Sequence[Operation],
    *,
    seconds: int = SECONDS,
    programs: Programs | None = None,
) -> PairVerdict:
    """Run the operations on both, up to the first difference. Raises what run() raises."""
    given = list(operations)
    if not given:
        return PairVerdict(0)
    tail = [] if pair.results or pair.same_order else looks(given[-1].n)
    sums = not pair.results and pair.same_order
    sides = [
        run(built, [*given, *tail], sums=sums, seconds=seconds, programs=programs).lines
        for built in (pair.one, pair.other)
    ]
    results = Results(arches.get(pair.one.arch), pair.keys)
    count = 0
    for operation, *lines in zip(given, *sides, strict=False):
        count += 1
        one, other = (_meant(pair, line) for line in lines)
        found = results.compare(operation, one, other)
        if found is not None:
            return PairVerdict(count, _told(found, lines))
        if "fault" in one:
            return PairVerdict(count, fault=sides[0][count - 1]["fault"]["message"])
    if tail and "hex" in pair.keys | _SHOWN - pair.one.source.missing_fields:
        machines = [
            memory_of(built, lines[len(given) :])
            for built, lines in zip((pair.one, pair.other), sides, strict=True)
        ]
        return PairVerdict(count, _memory_differs(given[-1], *machines))
    return PairVerdict(count)


def _told(parting: Parting, lines: Sequence[Line]) -> Parting:
    """The parting, with the places of warnings, and with how the code stopped."""
    one, other = lines
    if parting.field == "fault":
        return replace(parting, told=(stopped(one.get("fault")), stopped(other.get("fault"))))
    if parting.field != "warn":
        return parting
    return replace(parting, told=(warned(one), warned(other)))


def _meant(pair: Pair, line: Line) -> Line:
    return comparable(line) if pair.same_order else meaning(line)


def _memory_differs(last: Operation, one: Machine, other: Machine) -> Parting | None:
    """The first node in any tree whose fields are not the same numbers."""
    for number in range(TREES):
        tree = one.tree(number)
        for visit in decode(one.mem, tree).nodes:
            found = between_nodes((one.mem, visit), (other.mem, visit))
            if found is not None:
                return Parting(last, _place(found), found.values)
    return None


def explain_pair(pair: Pair, operations: Sequence[Operation], parting: Parting) -> Parting:
    """Where the two differ only in a checksum: the node, the field and the byte.

    The operations are run once more on both, up to the one of the parting.
    """
    if parting.field != "sum":
        return parting
    done = [operation for operation in operations if operation.n <= parting.operation.n]
    found = node_difference(*(kernel_memory(built, done) for built in (pair.one, pair.other)))
    if found is None:
        return parting
    return replace(parting, field=_place(found), values=found.values)


def _place(found: Difference) -> str:
    assert found.node is not None
    return f"{found.field} of node {found.node:x}, byte {found.offset}"


def shrink_pair(
    pair: Pair, operations: Sequence[Operation], parting: Parting, *, seconds: float
) -> list[Operation]:
    """A shorter trace at whose end the two still differ in the same operation and field."""
    kind = kind_of(parting)

    def still(candidate: Sequence[Operation]) -> bool:
        try:
            verdict = compare_pair(pair, candidate, seconds=1, programs=programs)
        except TraceError:
            return False
        found = verdict.parting
        return found is not None and found.refused is None and kind_of(found) == kind

    upto = [operation for operation in operations if operation.n <= parting.operation.n]
    with Programs() as programs:
        return shrink(upto, still, seconds=seconds)


def kind_of(parting: Parting) -> tuple[str, str]:
    """What differences of one kind have in common; it stays while a trace is made shorter."""
    if parting.field == "warn":
        places = [text.partition("at ")[2] for text in parting.told or ()]
        return (" and ".join(places), parting.field)
    memory = " of node " in parting.field
    return (
        ("", parting.field.partition("[")[0]) if memory else (parting.operation.op, parting.field)
    )
