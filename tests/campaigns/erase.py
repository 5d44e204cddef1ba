"""How often erasing a range needs memory, and how many nodes, over many random trees.

    python tests/campaigns/erase.py [--trees 10000] [--seed 1]

Each tree is built by random stores, with gaps or without. Four ranges are erased from it, one
after the other put back: a whole entry, part of one, a run of whole entries, or any range. An
erase is a store of NULL, as munmap does it: it asks for the nodes that its store type may need,
without blocking at first, and gives back what it did not use. The table counts erases by store
type and height of the tree, with and without gap tracking (ALLOC_RANGE) and RCU mode.
"""

from __future__ import annotations

import argparse
import random
from collections import defaultdict
from typing import NamedTuple

import arches
from layout.machine.machine import Machine
from layout.memory.pointers import MT_FLAGS_ALLOC_RANGE, MT_FLAGS_USE_RCU, mt_height
from layout.memory.slab import GFP_KERNEL
from layout.tree.kernel import Kernel
from layout.tree.state import STORE_TYPE_NAMES

MODES = (0, MT_FLAGS_USE_RCU, MT_FLAGS_ALLOC_RANGE, MT_FLAGS_ALLOC_RANGE | MT_FLAGS_USE_RCU)
MODE_NAMES = ("plain", "RCU", "ALLOC_RANGE", "both")
ERASES = 4


class Measured(NamedTuple):
    """One erase: the store type, the tree's height, nodes asked for, and nodes taken of them."""

    store_type: str
    height: int
    asked: int
    used: int


class CountingKernel(Kernel):
    """Counts the nodes that a store takes out of its reserve."""

    popped = 0

    def mas_pop_node(self, mas):
        self.popped += 1
        return super().mas_pop_node(mas)


def build(machine, rng, flags):
    """A random tree with the flags given; returns its ranges in order."""
    kernel, tree = machine.kernel, machine.tree(0)
    kernel.mt_init_flags(tree, flags)
    size = rng.random()
    count = rng.randint(1, 30) if size < 0.6 else rng.randint(30, 220 if size < 0.95 else 1500)
    gaps = rng.choice((0, 0.2, 0.6))
    index, ranges = 0x10000, []
    for i in range(count):
        index += 0x1000 * rng.randint(1, 8) if rng.random() < gaps else 0
        last = index + 0x1000 * rng.randint(1, 8) - 1
        ranges.append((index, last, 0x200000 + i * 0x100))
        index = last + 1
    order = list(ranges)
    if rng.random() < 0.5:
        rng.shuffle(order)
    for first, last, entry in order:
        if kernel.mtree_store_range(tree, first, last, entry):
            raise AssertionError
        kernel.run_rcu()
    return ranges


def to_erase(rng, ranges):
    """A range to erase: a whole entry, a part, some whole entries, or anything."""
    first, last, _ = rng.choice(ranges)
    kind = rng.randrange(4)
    if kind == 1 and last - first > 0x1000:
        first += 0x1000 * rng.randint(0, 1)
        last -= 0x1000 * rng.randint(0, 1)
    elif kind == 2:
        at = rng.randrange(len(ranges))
        first = ranges[at][0]
        last = ranges[min(len(ranges) - 1, at + rng.choice((1, 2, 4, 20)))][1]
    elif kind == 3:
        low = rng.randrange(0, ranges[-1][1] + 0x2000, 0x1000)
        first, last = low, low + 0x1000 * rng.choice((1, 3, 10, 100)) - 1
    return first, last


def erase(machine, first, last):
    """Erase as vma_iter_clear_gfp() does; what it took. The tree stays erased."""
    kernel, cache, tree = machine.kernel, machine.cache, machine.tree(0)
    height = mt_height(machine.mem.ma_flags(tree))
    before, kernel.popped = cache.allocated, 0
    mas = kernel.new_state(tree, first, last)
    kernel.mas_store_gfp(mas, 0, GFP_KERNEL)
    store_type = STORE_TYPE_NAMES[mas.store_type]
    return Measured(store_type, height, cache.allocated - before, kernel.popped)


def campaign(trees, seed, arch="x86_64"):
    """The erases measured, by the flags of their trees."""
    rng = random.Random(seed)
    found = {flags: [] for flags in MODES}
    for number in range(trees):
        flags = MODES[number % len(MODES)]
        machine = Machine(arches.get(arch), kernel=CountingKernel, reuse_nodes=True)
        ranges = build(machine, rng, flags)
        saved = machine.save()
        for _ in range(ERASES):
            found[flags].append(erase(machine, *to_erase(rng, ranges)))
            machine.kernel.run_rcu()
            machine.restore(saved)
    return found


def rows(found):
    """The table's cells: (store type, height) -> one text for each mode."""
    cells = defaultdict(lambda: ["-"] * len(MODES))
    for column, flags in enumerate(MODES):
        groups = defaultdict(list)
        for one in found[flags]:
            groups[one.store_type, one.height].append(one)
        for key, group in groups.items():
            asked = sorted({one.asked for one in group})
            used = [one.used for one in group]
            text = f"{len(group)}: {'/'.join(map(str, asked))}"
            if any(asked):
                text += f", takes {sum(used) / len(used):.1f} (at most {max(used)})"
            cells[key][column] = text
    order = {name: i for i, name in enumerate(STORE_TYPE_NAMES)}
    return sorted(cells.items(), key=lambda cell: (order[cell[0][0]], cell[0][1]))


def table(found):
    """Two tables as Markdown: how often, then by store type and height."""
    lines = ["| | " + " | ".join(MODE_NAMES) + " |", "|---" * 5 + "|"]
    for title, pick in (
        ("erases", len),
        ("need memory", lambda group: share(one.asked > 0 for one in group)),
        ("would do with none", lambda group: share(one.asked > 0 == one.used for one in group)),
        ("ask for more than 5 nodes", lambda group: share(one.asked > 5 for one in group)),
        ("nodes asked for, mean", lambda group: f"{mean(one.asked for one in group):.2f}"),
        ("nodes taken, mean", lambda group: f"{mean(one.used for one in group):.2f}"),
        ("nodes asked for, most", lambda group: max(one.asked for one in group)),
        ("nodes taken, most", lambda group: max(one.used for one in group)),
    ):
        lines.append(f"| {title} | " + " | ".join(str(pick(found[f])) for f in MODES) + " |")
    lines += ["", "| store type | height | " + " | ".join(MODE_NAMES) + " |", "|---" * 6 + "|"]
    for (store_type, height), cells in rows(found):
        lines.append(f"| {store_type} | {height} | " + " | ".join(cells) + " |")
    return lines


def share(flags):
    flags = list(flags)
    return f"{100 * sum(flags) / len(flags):.1f} %"


def mean(numbers):
    numbers = list(numbers)
    return sum(numbers) / len(numbers)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--trees", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    print("\n".join(table(campaign(args.trees, args.seed))))


if __name__ == "__main__":
    main()
