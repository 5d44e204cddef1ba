"""Trees in which a node's parent has the wrong type for it: does the emulator do what C does?

    python tests/campaigns/wrong_types.py [--kernel 7.3] [--arch s390x] [--traces 1000] [--seed 1]

Each trace builds a tree, pokes another type into one pointer to a node, and goes on with one to
four operations, half of them on that node's indexes. A node taken for a dense one has slots where
its pivots are, and no pivots: what reads them follows NULL, what only passes them on does not.
Types above 3 are left out: their sizes are read behind the ends of C's tables.
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path

import arches
from layout.ckernel.build import build
from layout.ckernel.diff import compare
from layout.ckernel.programs import Programs
from layout.ckernel.source import open_source
from layout.ckernel.sums import SummingRunner
from layout.hunt.corpus import operations_of
from layout.images.decode import decode
from layout.memory.errors import TraceError
from layout.memory.pointers import LEAF_64

TYPES = (0, 0, 0, 1, 2, 3)
TYPE_SHIFT, TYPE_BITS = 3, 0x78


def stores(r):
    """A tree of two levels or more: its lines, and the index behind the last entry."""
    step = r.choice((16, 32))
    count = r.choice((40, 80, 150, 300))
    begins = range(0, count * step, step)
    lines = [f"store {i:x} {i + r.choice((7, 15)):x} {i:x}001" for i in begins]
    return [f"init {r.randrange(4):x}", *lines], begins.stop


def anywhere(r, top):
    """Lines for one operation on any indexes."""
    first = r.randrange(top)
    last = min(first + r.choice((0, 3, 15, 31, 100, top // 3)), 0xFFFFF)
    entry = r.randrange(1, 4000) << 12 | 1
    kind = r.random()
    if kind < 0.3:
        return [f"store {first:x} {last:x} {r.choice((0, entry)):x}"]
    if kind < 0.4:
        return [f"erase {first:x}"]
    return r.choice(
        (
            [f"insert {first:x} {last:x} {entry:x}"],
            *([f"load {first:x}"], [f"walk {first:x}"], ["iter 0 fff"], ["validate"]),
            *([f"find_after {first:x} ffff"], [f"next {first:x} ffff"], [f"prev {first:x} 0"]),
            *([f"cset {first:x}", step] for step in ("cwalk", "cnext ffff", "cprev 0", "cerase")),
            *([f"{alloc} {entry:x} 5 0 {top:x}"] for alloc in ("alloc_range", "alloc_rrange")),
            *([f"{search} 0 {top:x} 6"] for search in ("empty_area", "empty_area_rev")),
            *(["dup 1"], ["destroy"], ["mtdump"]),
            [f"cset {first:x}", f"mstore {first:x} {last:x} {entry:x}"],
            [f"cset {first:x}", f"prealloc {first:x} {last:x} {entry:x}", f"cstore {entry:x}"],
        )
    )


def there(r, low, high, top):
    """Lines for one write that begins in [low, high]."""
    first = min(high, r.choice((low, low, low + r.randrange(40), high)))
    last = r.choice((first, low | 0xFF, first + r.randrange(20), first + r.randrange(300)))
    last = max(first, min(last, high, top))
    entry = r.choice((0, 0, 0x77001))
    return r.choice(
        (
            *([f"store {first:x} {last:x} {entry:x}"],) * 3,
            *([f"erase {first:x}"], [f"insert {first:x} {last:x} 77001"]),
            [f"cset {first:x}", f"mstore {first:x} {last:x} {entry:x}"],
            [f"cset {first:x}", f"prealloc {first:x} {last:x} {entry:x}", f"cstore {entry:x}"],
        )
    )


def make(r, arch, version):
    """The lines of one trace; the emulator says where its nodes are."""
    lines, top = stores(r)
    runner = SummingRunner(arch, version)
    for operation in operations_of("\n".join(lines)):
        runner.execute(operation)
    mem = runner.mem
    node = r.choice([n for n in decode(mem, runner.tree).nodes if n.type != LEAF_64])
    end = mem.meta_end(node.address, node.type)
    slot = r.randrange(end + 1)
    at = mem.slot_offset[node.type] + slot * mem.word_size
    at += mem.word_size - 1 if arch.byteorder == "big" else 0
    low_byte = mem.slot(node.address, node.type, slot) & 0xFF
    low_byte = low_byte & ~TYPE_BITS | r.choice(TYPES) << TYPE_SHIFT
    lines.append(f"poke {node.address:x} {at:x} {low_byte:x}")
    low = mem.pivot(node.address, slot - 1) + 1 if slot else node.min
    high = mem.pivot(node.address, slot) if slot < end else node.max
    for _ in range(r.choice((1, 2, 4))):
        lines += anywhere(r, top) if r.random() < 0.5 else there(r, low, high, top)
    return lines


def campaign(source, arch, *, traces, seed):
    """Compare kernel and emulator: traces that ended in a fault, and (lines, mismatch) found."""
    r = random.Random(seed)
    built = build(source, arch)
    machine = arches.get(arch)
    faults, found = 0, []
    with Programs() as programs:
        for _ in range(traces):
            lines = make(r, machine, source.emulator)
            try:
                verdict = compare(built, operations_of("\n".join(lines)), programs=programs)
            except TraceError:
                continue  # indexes beyond 32 bits
            faults += bool(verdict.fault)
            if verdict.mismatch:
                found.append((lines, verdict.mismatch))
    return faults, found


def main():
    """Print what differs; write the first trace of each kind to the directory ``--out``."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--kernel", default="6.12")
    parser.add_argument("--arch", default="x86_64")
    parser.add_argument("--traces", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("wrong-types"))
    options = parser.parse_args()
    source = open_source(deb=f"linux-source-{options.kernel}", download=True)
    faults, found = campaign(source, options.arch, traces=options.traces, seed=options.seed)
    print(f"{options.traces} traces, {faults} end in a fault, {len(found)} differ")
    for lines, mismatch in {mismatch.kind: (lines, mismatch) for lines, mismatch in found}.values():
        options.out.mkdir(exist_ok=True)
        path = options.out / f"{'-'.join(mismatch.name)}.trace"
        path.write_text("\n".join(lines) + "\n")
        print(f"{path}: {', '.join(mismatch.fields)} at line {mismatch.operation.n}")
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
