"""Hypothesis strategies: machines, numbers at critical limits, traces and trees.

All values shrink: machines to x86_64, numbers to 0, traces to few short lines.
"""

from __future__ import annotations

from functools import cache
from itertools import chain
from typing import TYPE_CHECKING, Any

from hypothesis import note, reject
from hypothesis import strategies as st

from layout.machine.machine import Machine
from layout.memory.pointers import (
    LEAF_64,
    MT_FLAGS_ALLOC_RANGE,
    MT_FLAGS_USE_RCU,
    RANGE_64,
    XA_ZERO_ENTRY,
)
from layout.memory.structs import DEFAULT_VERSION, profile
from layout.testing.checked import Trace
from layout.testing.machines import DEFAULT, find, select
from layout.testing.oddities import ODDITIES, Corruption
from layout.testing.recording import Recorder
from layout.testing.steps import (
    Area,
    Bulk,
    Cursor,
    Destroy,
    Dup,
    Erase,
    Fail,
    Fill,
    Near,
    Rcu,
    Read,
    Span,
    Store,
    assemble,
)
from layout.traces.operations import AREAS, BACKWARD, FORWARD, GAPS, READS
from layout.traces.runner import Runner
from layout.tree.versions import kernel_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hypothesis.strategies import DrawFn, SearchStrategy

    from arches import Arch
    from layout.mapletree import MapleTree
    from layout.testing.oddities import Odd
    from layout.testing.recording import RecordedTree
    from layout.testing.steps import Step
    from layout.traces.trace import Operation

SMALL = 400
"""Most indexes are drawn below this limit, so that trees contain many small ranges."""

PAGES = 120
"""Multiples of the page size are drawn up to this one."""


def architectures(*names: str) -> SearchStrategy[str]:
    """Names of machines: those of ``select(*names)``; without names the three default ones."""
    return st.sampled_from(select(*(names or DEFAULT)))


# -- numbers


def indexes(arch: str | Arch = "x86_64", near: Sequence[int] = ()) -> SearchStrategy[int]:
    """Indexes of a tree: small ones, page multiples, the ends of the machine's ranges.

    Around each, and around the numbers of ``near`` (pivots, say), also those one below and one
    above. Half of the word is among them, from where a signed comparison goes wrong.
    """
    machine = find(arch)
    top, page = machine.ulong_max, machine.page_size
    ends = [end for span in (*machine.user, machine.kernel_nodes) for end in span]
    edges = sorted({0, 1, *ends, top // 2, top // 2 + 1, top - page, top - 1, top})
    pages = st.integers(0, PAGES).map(lambda n: n * page)
    kinds = [st.integers(0, SMALL), pages, _beside(pages, top)]
    if near:
        kinds.insert(1, _beside(st.sampled_from(list(near)), top))
    return st.one_of(*kinds, _beside(st.sampled_from(edges), top))


def _beside(numbers: SearchStrategy[int], top: int) -> SearchStrategy[int]:
    return st.tuples(numbers, st.sampled_from((0, -1, 1))).map(
        lambda pair: min(max(pair[0] + pair[1], 0), top)
    )


def sizes(arch: str | Arch = "x86_64") -> SearchStrategy[int]:
    """Numbers of indexes in a range: 1 and little more, pages, very many."""
    machine = find(arch)
    page, half = machine.page_size, machine.ulong_max // 2
    return st.one_of(
        st.integers(1, 3), st.integers(1, 60), st.sampled_from((page, 2 * page, half, half + 1))
    )


def ranges(
    arch: str | Arch = "x86_64", near: Sequence[int] = ()
) -> SearchStrategy[tuple[int, int]]:
    """Ranges (first, last), both inclusive; first is never above last."""
    top, index = find(arch).ulong_max, indexes(arch, near)
    return st.one_of(
        st.builds(lambda first, size: (first, min(first + size - 1, top)), index, sizes(arch)),
        st.tuples(index, index).map(lambda pair: (min(pair), max(pair))),
    )


def entries(
    arch: str | Arch = "x86_64", *, null: bool = False, reserved: bool = False
) -> SearchStrategy[int]:
    """Entries: values, pointers below and above user addresses, XA_ZERO, the largest words.

    With ``null`` also 0. With ``reserved`` also words that the tree keeps for itself, which
    stores refuse (EINVAL).
    """
    machine = find(arch)
    top, low = machine.ulong_max, machine.kernel_nodes[0]
    kinds = [
        st.integers(0, 500).map(lambda n: n << 1 | 1),
        st.integers(1, 1 << 16).map(lambda n: n << 8),
        st.integers(1, 1 << 16).map(lambda n: low + (n << 8) & top),
        st.sampled_from((XA_ZERO_ENTRY, 4, top // 2 + 2, top - 7, top)),
    ]
    if null:
        kinds.insert(1, st.just(0))
    if reserved:
        kinds.append(st.sampled_from((2, 6, 256 << 2 | 2)))
    return st.one_of(*kinds)


def counts(arch: str | Arch = "x86_64") -> SearchStrategy[int]:
    """Numbers of ranges that fill nodes: around one full leaf, and one full node above it."""
    slots = profile(find(arch)).sizes.slots[LEAF_64]
    root = nearly_full_root(arch)
    edges = (slots - 1, slots, slots + 1, root, root + slots - 1, root + 2 * slots)
    return st.one_of(st.integers(1, 2 * slots), st.sampled_from(edges))


def nearly_full_root(arch: str | Arch = "x86_64") -> int:
    """How many ranges, stored in order, first give a root with metadata in its last slot.

    It then has one child less than slots, in a tree that does not track gaps.

    >>> nearly_full_root("s390x"), nearly_full_root("m68k")
    (211, 931)
    """
    slots = profile(find(arch)).sizes.slots[RANGE_64]
    return (slots - 1) * (slots - 2) + 1


# -- traces

KINDS = (
    *("store", "fill", "erase", "insert", "prealloc", "read", "cursor", "alloc", "bulk"),
    *("dup", "destroy", "rcu", "fail"),
)
"""The kinds of operations in traces; ``alloc`` is only for trees that track gaps."""


@st.composite
def traces(  # noqa: PLR0913 - what a trace may be made of
    draw: DrawFn,
    arch: str = "x86_64",
    *,
    only: Sequence[str] = KINDS,
    max_steps: int = 25,
    alloc_range: bool | None = None,
    rcu: bool | None = None,
    kernel: str = DEFAULT_VERSION,
) -> Trace:
    """Traces for a machine that are valid on every kernel: no stale state is used.

    A trace is some steps of the kinds in ``only``; a step is one line or some that belong
    together, such as ``fill``: contiguous ranges in order. ``alloc_range`` and ``rcu`` say what
    trees are made; None leaves it open. ``kernel`` is the version that they are for: those after
    6.12 have no ``bulk``.
    """
    flags = MT_FLAGS_ALLOC_RANGE if _choice(draw, alloc_range) else 0
    flags |= MT_FLAGS_USE_RCU if _choice(draw, rcu) else 0
    impossible = set() if flags & MT_FLAGS_ALLOC_RANGE else {"alloc"}
    if "mas_expected_entries" in kernel_of(kernel).gone:
        impossible.add("bulk")
    kinds = tuple(kind for kind in only if kind not in impossible)
    # lists of lists: one alone has about five elements, however many it may have
    few = st.lists(_steps(arch, kinds), max_size=max_steps)
    steps = list(chain.from_iterable(draw(st.lists(few, max_size=max_steps))))
    return Trace.of(assemble(arch, flags, steps[:max_steps], kernel), arch, kernel)


def _choice(draw: DrawFn, given: bool | None) -> bool:  # noqa: FBT001 - an option
    return draw(st.booleans()) if given is None else given


def operations(arch: str = "x86_64") -> SearchStrategy[Operation]:
    """Single lines that are valid anywhere in a trace: stores, erases and reads."""
    steps = _steps(arch, ("store", "erase", "insert", "prealloc", "read"))
    return steps.map(lambda step: assemble(arch, 0, [step])[-1])


@st.composite
def trees(  # noqa: PLR0913 - what a tree may be
    draw: DrawFn,
    arch: str = "x86_64",
    *,
    max_steps: int = 10,
    alloc_range: bool | None = None,
    rcu: bool | None = None,
    kernel: str = DEFAULT_VERSION,
) -> RecordedTree:
    """Trees of all shapes, each on a new machine; a failing example prints their operations."""
    kinds = ("store", "fill", "erase", "alloc")
    made = traces(
        arch, only=kinds, max_steps=max_steps, alloc_range=alloc_range, rcu=rcu, kernel=kernel
    )
    trace = draw(made)
    note(f"a tree of {trace!r}")
    first, *others = trace.operations()
    flags = first.args[0]
    recorder = Recorder(Machine(find(arch), kernel=kernel_of(kernel)))
    tree = recorder(
        alloc_range=bool(flags & MT_FLAGS_ALLOC_RANGE), rcu=bool(flags & MT_FLAGS_USE_RCU)
    )
    runner = Runner(recorder.machine)
    for operation in others:
        runner.execute(operation)
    recorder.operations += others
    recorder.machine.cache.begin()
    return tree


# -- images


def images(arch: str = "x86_64", kernel: str = DEFAULT_VERSION) -> SearchStrategy[Odd]:
    """Valid but unusual trees, with the ranges that every reader must find."""
    version = kernel_of(kernel).version
    machine = find(arch)
    last = machine.ulong_max - 8 * profile(machine).sizes.slots[LEAF_64]
    first = indexes(arch).map(lambda index: min(index, last))
    builders = st.sampled_from(ODDITIES)
    return st.builds(
        lambda build, *args: build(arch, *args, version), builders, first, _first_entries(arch)
    )


@st.composite
def corruptions(draw: DrawFn, tree: MapleTree) -> Corruption:
    """Single bytes of a tree's nodes with a new value; the value is not written yet.

    All fields of a node are as likely, metadata and unused ones among them.
    """
    nodes = tree.nodes()
    if not nodes:
        reject()
    node = draw(st.sampled_from(nodes))
    field = draw(st.sampled_from([f for f in node.fields() if f.name not in ("pad", "tail")]))
    offset = field.offset + draw(st.integers(0, field.size - 1))
    was = node.raw[offset]
    now = was ^ draw(
        st.one_of(st.sampled_from([1 << bit for bit in range(8)]), st.integers(1, 255))
    )
    return Corruption(node.address, offset, was, now, field.name)


# -- steps of traces


@cache
def _steps(arch: str, kinds: tuple[str, ...]) -> SearchStrategy[Step]:
    return st.one_of(*(_STEPS[kind](arch) for kind in kinds))


@cache
def _at(arch: str) -> SearchStrategy[int | Near]:
    return either(indexes(arch), _near())


def either(first: SearchStrategy[Any], second: SearchStrategy[Any]) -> SearchStrategy[Any]:
    """One of two, each as often, however many alternatives the first has; shrinks to the first."""
    return st.booleans().flatmap(lambda other: second if other else first)


def _near() -> SearchStrategy[Near]:
    return st.builds(Near, st.integers(0, 40), st.sampled_from((0, -1, 1)))


@cache
def _span(arch: str) -> SearchStrategy[Span]:
    return st.builds(Span, _at(arch), st.one_of(sizes(arch), _near()))


def _first_entries(arch: str) -> SearchStrategy[int]:
    low, top = find(arch).kernel_nodes[0], find(arch).ulong_max
    return st.sampled_from((1, 0x1000, low + 0x100000 & top))


def _stores(arch: str) -> SearchStrategy[Step]:
    words = entries(arch, null=True)
    return st.one_of(
        st.builds(Store, st.just("store"), _span(arch), entries(arch, null=True, reserved=True)),
        st.builds(Store, st.sampled_from(("storenw", "mstore")), _span(arch), words),
    )


def _fills(arch: str) -> SearchStrategy[Step]:
    size = st.one_of(st.integers(1, 9), st.sampled_from((16, find(arch).page_size)))
    gap = st.sampled_from((0, 0, 0, 1, 7))
    return st.builds(Fill, _at(arch), counts(arch), size, gap, _first_entries(arch))


def _reads(arch: str) -> SearchStrategy[Step]:
    return st.builds(Read, st.sampled_from(READS), _at(arch), _at(arch))


def _cursors(arch: str) -> SearchStrategy[Step]:
    move = st.tuples(st.sampled_from((*FORWARD, *BACKWARD)), st.one_of(st.none(), _at(arch)))
    end = st.one_of(st.none(), st.just(-1), entries(arch, null=True))
    return st.builds(Cursor, _span(arch), st.lists(move, max_size=6).map(tuple), end)


def _areas(arch: str) -> SearchStrategy[Step]:
    return st.builds(
        Area, st.sampled_from((*AREAS, *GAPS)), sizes(arch), _span(arch), entries(arch)
    )


def _bulks(arch: str) -> SearchStrategy[Step]:
    return st.builds(Bulk, counts(arch), st.integers(0, 9), st.integers(1, 9), st.integers(0, 3))


def _fails(arch: str) -> SearchStrategy[Step]:
    writes = _steps(arch, ("store", "insert", "erase", "prealloc"))
    op = st.sampled_from(("fail", "failnw"))
    return st.builds(Fail, op, st.integers(0, 6), st.integers(1, 3), writes)


_STEPS: dict[str, Callable[[str], SearchStrategy[Step]]] = {
    "store": _stores,
    "fill": _fills,
    "erase": lambda arch: st.builds(Erase, _at(arch)),
    "insert": lambda arch: st.builds(Store, st.just("insert"), _span(arch), entries(arch)),
    "prealloc": lambda arch: st.builds(
        Store, st.just("prealloc"), _span(arch), entries(arch, null=True)
    ),
    "read": _reads,
    "cursor": _cursors,
    "alloc": _areas,
    "bulk": _bulks,
    "dup": lambda _: st.builds(Dup, st.booleans()),
    "destroy": lambda _: st.just(Destroy()),
    "rcu": lambda _: st.builds(Rcu, st.booleans()),
    "fail": _fails,
}
