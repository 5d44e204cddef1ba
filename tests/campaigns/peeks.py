"""Random search for a tree for which a declared peek is not right.

    python tests/campaigns/peeks.py [--arch x86_64,s390x] [--seconds 600] [--start 1] [--kernel sound]

Each seed is a trace: a tree of a chosen shape (a node with one child less than it has room for,
a full one, deep trees with and without gaps), in RCU mode or not, then stores over many leaves,
erases, copies that run out of memory, reads by a cursor, dumps, and a destroy. It runs with the
access checker; every report is a find. Finds are told apart by kind, reader and field, and shrunk.
"""

from __future__ import annotations

import argparse
import random
import time
from typing import TYPE_CHECKING, NamedTuple

import arches
from layout.machine.equip import equip
from layout.machine.watch.check import CHECK
from layout.memory.errors import MachineFault, UsageError
from layout.memory.pointers import LEAF_64
from layout.testing.known import FreesAllItKilled
from layout.traces.runner import Runner
from layout.traces.shrink import shrink
from layout.traces.trace import Operation, parse
from layout.tree.kernel import Kernel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from arches import Arch

KERNELS = {"plain": Kernel, "sound": FreesAllItKilled}
MOST = {8: 7000, 4: 1200}
"""Entries of the largest trees, by the size of words."""
VALUES = (0x1001, 0x30FF, 0x10000C)
"""Values whose low bits look like a type, a root, an enode."""


class Find(NamedTuple):
    """What is the same in all reports of one cause."""

    kind: str
    function: str
    read_as: str
    detail: str


def make(seed: int, arch: Arch) -> list[Operation]:
    """The trace that belongs to a seed on a machine."""
    rng = random.Random(seed)
    profile = equip(arch).profile
    slots = profile.sizes.slots[LEAF_64]
    step = rng.choice((1, 2, 2, 3, 0x1000))
    length = rng.randint(1, step)
    value = rng.choice(VALUES)
    count = _count(rng, slots, MOST[arch.word_size])
    rcu_first = rng.random() < 0.4
    lines = [f"init {rng.choice((0, 1)) | 2 * rcu_first:x}"]
    if rng.random() < 0.7 and not rcu_first:
        expected = rng.choice((count, count, count, count * 2, count + 1, max(1, count - 3)))
        lines.append(f"bulk {expected:x} {count:x} 0 {step:x} {length:x} {value:x}")
    else:
        count = min(count, 400)
        order = list(range(count))
        rng.choice((list.sort, list.reverse, rng.shuffle))(order)
        lines += [
            f"store {i * step:x} {i * step + length - 1:x} {value + i * 0x1000:x}" for i in order
        ]
    top = (count + 4) * step
    for _ in range(rng.choice((0, 0, 1, 4, 12, 30))):
        lines += _steps(rng, top, step, slots, value)
    if rng.random() < 0.5:
        lines.append(f"rcu {'on' if not rcu_first or rng.random() < 0.8 else 'off'}")
    lines += rng.choice((["destroy"], ["destroy"], [f"store 0 {arch.ulong_max:x} {value:x}"]))
    return list(parse(lines, arch.ulong_max))


def _count(rng: random.Random, slots: int, most: int) -> int:
    """How many entries: with favour for what fills a level but for one slot, or wholly."""
    full = rng.choice((1, slots - 2, slots - 1, slots, slots // 2))
    below = rng.choice((1, slots - 1, slots, slots // 2, (slots - 1) * slots, slots * slots // 2))
    return max(1, min(most, rng.choice((full * below + rng.randint(-3, 3), rng.randint(1, most)))))


def _steps(rng: random.Random, top: int, step: int, slots: int, value: int) -> list[str]:
    first = rng.randrange(top)
    far = rng.choice((step, slots * step, slots * slots * step // 2, top))
    last = min(first + rng.randrange(far), top)
    entry = rng.choice((0, 0, value, 0x3001))
    kinds = (
        [f"store {first:x} {last:x} {entry:x}"],
        [f"store {first:x} {first:x} {value:x}"],
        [f"erase {first:x}"],
        [f"prealloc {first:x} {last:x} {entry:x}"],
        [f"prealloc_raw {first:x} {last:x} {entry:x}"],
        [f"cset {first:x} {last:x}", f"cstore {entry:x}", f"cprev {0:x}", f"cnext {top:x}"],
        [f"cset {first:x}", *[rng.choice((f"cnext_range {top:x}", "cprev_range 0"))] * 40],
        [f"cset {first:x}", f"cfind {top:x}", *["cerase", f"cfind {top:x}"] * 8],
        [f"fail {rng.randint(0, 40):x} 1", "dup 1", "fail -", "dup 2", "sel 2", "validate"],
        [f"fail {rng.randint(0, 6):x} 1", f"store {first:x} {last:x} {entry:x}", "fail -"],
        ["sel 1", "destroy", "sel 0"],
        ["rcu on"],
        ["rcu off"],
        [rng.choice(("validate", "mtdump"))],
    )
    return list(rng.choices(kinds, (9, 4, 5, 2, 1, 2, 2, 2, 2, 1, 1, 1, 1, 1))[0])


def finds(operations: Sequence[Operation], arch: Arch, kernel: type[Kernel]) -> set[Find]:
    """What the access checker has to say of a trace."""
    runner = Runner(equip(arch, watch=[CHECK], kernels=[kernel]))
    found: set[Find] = set()
    try:
        for operation in operations:
            for report in runner.execute(operation).get("reports", ()):
                detail = report.get("detail", "").split(" in operation")[0].split(":")[0]
                found.add(Find(report["kind"], report["function"], report["read_as"], detail))
    except (MachineFault, UsageError):
        pass  # what the machine refuses is another search's find
    return found


def smallest(
    operations: Sequence[Operation], find: Find, arch: Arch, kernel: type[Kernel], seconds: float
) -> list[Operation]:
    """The trace with fewer lines and fewer bulk entries that still has the find."""

    def still(candidate: Sequence[Operation]) -> bool:
        return find in finds(candidate, arch, kernel)

    kept = shrink(operations, still, seconds=seconds)
    end = time.monotonic() + seconds
    for at, operation in enumerate(kept):
        if operation.op != "bulk":
            continue
        _, count, *rest = operation.args
        part = count // 2
        while part and time.monotonic() < end:
            fewer = Operation(operation.n, "bulk", (count - part, count - part, *rest))
            if count > part and still([*kept[:at], fewer, *kept[at + 1 :]]):
                kept[at], count = fewer, count - part
            else:
                part //= 2
    return kept


def search(
    arch: Arch, kernel: type[Kernel], *, start: int, seconds: float, seeds: int = 10**9
) -> dict[Find, list[Operation]]:
    """All that the seeds from ``start`` on give, with the shortest trace of each."""
    end = time.process_time() + seconds
    found: dict[Find, list[Operation]] = {}
    for seed in range(start, start + seeds):
        if time.process_time() > end:
            break
        operations = make(seed, arch)
        for find in finds(operations, arch, kernel):
            if find not in found or len(operations) < len(found[find]):
                found[find] = operations
    return found


def main() -> None:
    """Search on the machines that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--arch", default=",".join(arches.names()))
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--shrink", type=float, default=60)
    parser.add_argument("--start", type=int, default=1)
    parser.add_argument("--kernel", choices=KERNELS, default="sound")
    args = parser.parse_args()
    kernel = KERNELS[args.kernel]
    for name in args.arch.split(","):
        arch = arches.get(name)
        found = search(arch, kernel, start=args.start, seconds=args.seconds)
        print(f"{name}: {len(found)} finds", flush=True)
        for find, operations in found.items():
            print(*find, sep="; ")
            kept = smallest(operations, find, arch, kernel, args.shrink)
            print(*(f"    {operation!s}" for operation in kept), sep="\n", flush=True)


if __name__ == "__main__":
    main()
