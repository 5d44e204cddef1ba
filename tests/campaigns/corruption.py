"""Every single-byte corruption of a tree of three nodes: what the validator reports of it.

A corruption is *harmful* if the kernel's own walk then gives other ranges, faults or does not
end: mas_find() over all indexes, and mtree_load() at the first and last index of every range.

Run from the project's root; ``--step 1`` tries all values of all bytes, in some minutes:

    python -m tests.campaigns.corruption --step 1 --jobs 2
"""

from __future__ import annotations

import argparse
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from itertools import product
from typing import TYPE_CHECKING

import arches
from arches import THREE
from layout.images.decode import decode
from layout.images.validator import validate
from layout.machine.machine import Machine
from layout.memory.errors import MachineFault
from layout.memory.meaning import node_fields
from layout.memory.node import NODE_SIZE, NodeMemory
from layout.memory.nodeview import view
from layout.memory.pointers import LEAF_64, MT_FLAGS_ALLOC_RANGE, xa_is_advanced

if TYPE_CHECKING:
    from collections.abc import Iterator

    from arches import Arch
    from layout.images.violation import Violation


READS = 3000
"""Reads of nodes beyond which a walk, which needs some dozen, does not end."""

RANGES = 10


class EndlessError(Exception):
    """A walk has read more than it ever needs."""


class Budget(NodeMemory):
    """Memory that lets a walk read so much and no more."""

    left = 1 << 62

    def read_node(self, node: int, mt: int) -> tuple[int, ...]:
        """Count the read."""
        self.left -= 1
        if self.left < 0:
            raise EndlessError
        return super().read_node(node, mt)

    def parent(self, node: int) -> int:
        """Count the read."""
        self.left -= 1
        if self.left < 0:
            raise EndlessError
        return super().parent(node)


class Specimen:
    """A tree of a root and two leaves, entries and NULL ranges in turn, on one machine.

    With ``full`` the first leaf has all slots in use, and the second all but one.
    """

    def __init__(self, arch: Arch, *, alloc: bool, full: bool = False) -> None:
        self.machine = Machine(arch, memory=Budget)
        assert isinstance(self.machine.mem, Budget)
        self.mem: Budget = self.machine.mem
        self.kernel = self.machine.kernel
        self.tree = self.machine.tree(0)
        self.kernel.mt_init_flags(self.tree, MT_FLAGS_ALLOC_RANGE if alloc else 0)
        base = arch.kernel_nodes[0] + 0x123400
        for i in range(RANGES):
            first = 0x100000 + i * 0x3000
            self.kernel.mtree_store_range(self.tree, first, first + 0x1FFF, base + i * 0xC0)
        if full:
            most = self.machine.profile.sizes.pivots[LEAF_64]
            for leaf, end in ((1, most), (2, most - 1)):
                self._fill(leaf, end)
        visits = decode(self.mem, self.tree).nodes
        self.nodes = [visit.address for visit in visits]
        self.views = {v.address: view(self.mem, v.address, v.type, v.min, v.max) for v in visits}
        self.names = {
            visit.address: [
                field.name
                for field in node_fields(self.mem, visit.address, visit.type, visit.min, visit.max)
                for _ in range(field.size)
            ]
            for visit in visits
        }
        self.ranges = list(self._ranges())
        bounds = [bound for first, last, _ in self.ranges for bound in (first, last)]
        top = arch.ulong_max
        self.probes = sorted({0, top, *bounds, *(b + 1 for b in bounds), *(b - 1 for b in bounds)})
        self.entries = [self.kernel.mtree_load(self.tree, index) for index in self.probes]

    def _fill(self, leaf: int, end: int) -> None:
        """Split ranges of the ``leaf``-th node until its data ends at ``end``."""
        while True:
            visit = decode(self.mem, self.tree).nodes[leaf]
            seen = view(self.mem, visit.address, visit.type, visit.min, visit.max)
            if seen.end == end:
                return
            held = [r for r in seen.ranges if r.word]
            wide = max(held, key=lambda r: r.last - r.first)
            self.kernel.mtree_store_range(self.tree, wide.first, wide.first, wide.word + 0x40)

    def unknowable(self, node: int, offset: int) -> str:
        """Why nobody can know that the node's field at ``offset`` was changed, or ""."""
        seen = self.views[node]
        kind, _, number = self.names[node][offset].rstrip("]").partition("[")
        i = int(number or 0)
        if not number or i > seen.end or (seen.type != LEAF_64 and kind != "pivot"):
            return ""
        if kind == "slot":
            entry = self.mem.slot(node, LEAF_64, i)
            return "" if not entry or xa_is_advanced(entry) else "an entry's value"
        low, high = seen.ranges[i].first, seen.ranges[min(i + 1, seen.end)].last
        most = self.machine.profile.sizes.pivots[LEAF_64]
        if seen.type != LEAF_64:
            if i == seen.end or self.views[self.nodes[1 + i]].end < most:
                return ""  # the leaf below has a last pivot of its own
            left, right = (self.views[self.nodes[k]].ranges for k in (1 + i, 2 + i))
            low, high = left[-1].first, right[0].last
        elif i == seen.end and i < most - 1:
            return ""
        return "a moved pivot that stays in order" if low <= self.mem.pivot(node, i) < high else ""

    def _ranges(self) -> Iterator[tuple[int, int, int]]:
        mas = self.kernel.new_state(self.tree)
        top = self.mem.arch.ulong_max
        while entry := self.kernel.mas_find(mas, top):
            yield mas.index, mas.last, entry

    def harm(self) -> str:  # noqa: PLR0911 - one for each kind
        """What the kernel's walk meets now: other ranges, a fault, no end; "" for nothing."""
        self.mem.left = READS
        try:
            count = 0
            for found in self._ranges():
                if count == len(self.ranges) or found != self.ranges[count]:
                    return "other ranges"
                count += 1
            if count != len(self.ranges):
                return "other ranges"
            for index, entry in zip(self.probes, self.entries, strict=True):
                if self.kernel.mtree_load(self.tree, index) != entry:
                    return "other ranges"
        except EndlessError:
            return "no end"
        except MachineFault as fault:
            return "no end" if fault.kind == "livelock" else "fault"
        except IndexError:  # the kernel reads beyond a node
            return "fault"
        finally:
            self.mem.left = 1 << 62
        return ""

    def corruptions(self, step: int) -> Iterator[tuple[int, int, int]]:
        """(node, offset in bytes, value) of every ``step``-th corruption."""
        number = 0
        for node in self.nodes:
            for offset in range(NODE_SIZE):
                held = self.mem.read_u8(node + offset)
                for value in range(256):
                    if value == held:
                        continue
                    if number % step == 0:
                        yield node, offset, value
                    number += 1

    def corrupted(self, node: int, offset: int, value: int) -> tuple[str, str, list[Violation]]:
        """The harm of one corruption, why it can't be known, and what the validator reports."""
        held = self.mem.read_u8(node + offset)
        self.mem.write_u8(node + offset, value)
        try:
            why = self.unknowable(node, offset)
            return self.harm(), why, validate(self.mem, self.tree)
        finally:
            self.mem.write_u8(node + offset, held)


@dataclass
class Figures:
    """What came of a campaign: counts of corruptions."""

    arch: str
    alloc: bool
    full: bool
    harms: Counter[str] = field(default_factory=Counter)
    reported: Counter[str] = field(default_factory=Counter)
    hidden: Counter[str] = field(default_factory=Counter)
    """Harmful ones that nobody can know, by the reason; reported or not."""
    hidden_reported: int = 0
    missed: Counter[str] = field(default_factory=Counter)
    """Harmful ones that could be known but are not reported, by the field that was hit."""
    quiet: Counter[str] = field(default_factory=Counter)
    """Harmless ones not reported, by the field that was hit."""

    @property
    def harmful(self) -> int:
        """Corruptions with any harm."""
        return self.harms.total() - self.harms[""]

    @property
    def caught(self) -> int:
        """Harmful ones that were reported."""
        return self.reported.total() - self.reported[""]

    @property
    def share(self) -> float:
        """The share of the harmful ones that was reported."""
        return self.caught / self.harmful

    @property
    def knowable_share(self) -> float:
        """The share that was reported of the harmful ones that can be known."""
        knowable = self.harmful - self.hidden.total()
        return (self.caught - self.hidden_reported) / knowable

    @property
    def harmless_share(self) -> float:
        """The share of the harmless ones that was reported."""
        return self.reported[""] / self.harms[""]


def run(name: str, *, alloc: bool, full: bool = False, step: int = 1) -> Figures:
    """Try every ``step``-th corruption on one machine."""
    specimen = Specimen(arches.get(name), alloc=alloc, full=full)
    figures = Figures(name, alloc, full)
    for node, offset, value in specimen.corruptions(step):
        harm, why, violations = specimen.corrupted(node, offset, value)
        figures.harms[harm] += 1
        if harm and why:
            figures.hidden[why] += 1
            figures.hidden_reported += bool(violations)
        if violations:
            figures.reported[harm] += 1
        elif not harm or not why:
            kind = specimen.names[node][offset].split("[")[0]
            where = f"{'root' if node == specimen.nodes[0] else 'leaf'} {kind}"
            (figures.missed if harm else figures.quiet)[where] += 1
    return figures


def _run(job: tuple[str, bool, bool, int]) -> Figures:
    name, alloc, full, step = job
    return run(name, alloc=alloc, full=full, step=step)


def main(argv: list[str] | None = None) -> None:
    """Print a table of figures."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--step", type=int, default=20, help="try every N-th corruption")
    parser.add_argument("--shape", choices=("loose", "full", "both"), default="both")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    args = parser.parse_args(argv)
    full = {"loose": [False], "full": [True], "both": [False, True]}[args.shape]
    shapes = product(full, (False, True), THREE)
    jobs = [(name, alloc, full, args.step) for full, alloc, name in shapes]
    print("| tree | machine | corruptions | harmful | reported | of those knowable | harmless |")
    print("|---|---|---|---|---|---|---|")
    with ProcessPoolExecutor(args.jobs) as pool:
        every = list(pool.map(_run, jobs))
    for f in every:
        kind = f"{'alloc' if f.alloc else 'plain'}{', full leaves' if f.full else ''}"
        print(
            f"| {kind} | {f.arch} | {f.harms.total()} | {f.harmful} | {f.share:.1%} "
            f"| {f.knowable_share:.2%} | {f.harmless_share:.2%} of {f.harms['']} |"
        )
    for f in every:
        print(f"{f.arch}, alloc {f.alloc}, full {f.full}: {dict(f.harms)}")
        print(f"  unknowable: {dict(f.hidden)}, of them reported: {f.hidden_reported}")
        print(f"  missed: {dict(f.missed)}, harmless and not reported: {dict(f.quiet)}")


if __name__ == "__main__":
    main()
