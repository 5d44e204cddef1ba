"""How fast it is: python tests/benchmarks/replay.py [--reference COMMAND] [--native COMMAND].

Replays the stores, loads and finds of 16-large on one machine's layout, from trace lines to
transcript lines, compiled and in Python; then loads, iteration and stores through MapleTree,
compare on three machines, and decode. Figures are the best of several runs, taken in turn.

COMMAND is a program that runs the kernel's own code: it gets the trace on stdin and a case as its
last argument (t the trace, a loads, c iteration) and prints JSON with "ops_per_s": such as
"qemu-s390x perf-s390x t". With --growth FILE trees of 10^3 to 10^7 entries are filled, walked and
decoded, and drawn into FILE (needs matplotlib).
"""

from __future__ import annotations

import argparse
import cProfile
import json
import pstats
import random
import resource
import shlex
import subprocess
import sys
import time
from pathlib import Path

import arches
from arches import THREE
from layout import MapleTree, compiled
from layout.compare.lockstep import compare_trace
from layout.images.decode import decode
from layout.machine.machine import Machine
from layout.traces.runner import Runner
from layout.traces.stream import Stream

TRACE = Path(__file__).parents[2] / "fixtures/golden/16-large.trace"
OPERATIONS = ("init", "store", "load", "find")
SOME = 10_000
"""Entries of the trees that are walked."""


def trace():
    """The lines of 16-large that every program here knows."""
    lines = TRACE.read_bytes().split(b"\n")
    return b"\n".join(line for line in lines if line.split(b" ")[0].decode() in OPERATIONS) + b"\n"


def rate(count, work):
    """``count`` divided by the seconds that ``work`` takes."""
    start = time.perf_counter()
    work()
    return count / (time.perf_counter() - start)


def replay(arch):
    """Operations a second, from lines to transcript."""
    data = trace()
    runner = Runner(Machine(arches.get(arch)))
    return rate(
        data.count(b"\n"), lambda: sum(map(len, Stream(runner, data, forget=True).transcript()))
    )


def filled(arch, entries, step=64):
    tree = MapleTree(arch)
    for i in range(entries):
        tree.store(i * step, i * step + step // 2 - 1, i << 1 | 1)
    return tree


def stores(arch):
    return rate(SOME, lambda: filled(arch, SOME))


def loads(arch):
    tree = filled(arch, SOME)
    draw = random.Random(1)
    wanted = [draw.randrange(64 * SOME) for _ in range(SOME)]
    return rate(len(wanted), lambda: [tree.load(index) for index in wanted])


def iteration(arch):
    tree = filled(arch, SOME)
    return rate(SOME, lambda: sum(1 for _ in tree))


def comparison(_arch):
    """Operations a second on three machines in lock-step."""
    data = trace()
    machines = [arches.get(name) for name in THREE]
    return rate(data.count(b"\n"), lambda: compare_trace(data, "16-large", machines))


def decoding(arch):
    """Nodes a second."""
    tree = filled(arch, 20 * SOME)
    mem = tree.machine.mem
    count = len(decode(mem, tree.address).nodes)
    return rate(count, lambda: decode(mem, tree.address))


def reference(command, case):
    """What the kernel's own code does in a second."""
    words = shlex.split(command)
    if words[-1] == "t":
        words[-1] = case
    with TRACE.open() as lines:
        done = subprocess.run(words, stdin=lines, capture_output=True, check=True)
    return json.loads(done.stdout)["ops_per_s"]


CASES = (
    # what, how it is measured, the reference's case
    ("replay with transcript", replay, "t"),
    ("loads through MapleTree", loads, "a"),
    ("iteration of MapleTree", iteration, "c"),
    ("stores through MapleTree", stores, ""),
    ("compare on three machines", comparison, ""),
    ("decode, nodes", decoding, ""),
)


def table(args):
    """Print all figures side by side."""
    commands = {"kernel's C, qemu": args.reference, "native": args.native}
    commands = {name: command for name, command in commands.items() if command}
    legs = (["compiled"] if compiled.available() else []) + ["Python"]
    columns = [*legs, *commands, *(f"/ {name}" for name in commands)]
    print(f"a second, {args.arch}, best of {args.runs}".ljust(28), *(f"{c:>18}" for c in columns))
    for what, measure, case in CASES:
        best = dict.fromkeys([*legs, *commands], 0.0)
        for _ in range(args.runs):  # in turn, so that all see the same machine
            for leg in legs:
                compiled.PURE = leg == "Python"
                start = time.perf_counter()
                while True:  # short ones several times
                    best[leg] = max(best[leg], measure(args.arch))
                    if time.perf_counter() - start > 0.5:
                        break
            for name, command in commands.items():
                if case:
                    best[name] = max(best[name], reference(command, case))
        cells = [f"{best[name]:18,.0f}" if best[name] else " " * 18 for name in best]
        cells += [f"{best[legs[0]] / best[name]:18.3f}" if best[name] else "" for name in commands]
        print(what.ljust(28), *cells, flush=True)


def measured(arch, size):
    """Stores, loads and steps of a walk a second, nodes decoded, and the peak memory in MiB."""
    tree = MapleTree(arch)
    kernel, address, mem = tree.kernel, tree.address, tree.machine.mem
    begin = tree.machine.cache.begin
    draw = random.Random(1)
    wanted = [draw.randrange(size << 13) for _ in range(10**5)]
    mas = tree.state()

    def fill():
        for i in range(size):
            begin()
            kernel.mtree_store_range(address, i << 13, (i << 13) + 0xFFF, i << 1 | 1)

    def walk():
        while kernel.mas_find(mas, tree.ulong_max):
            pass

    found = [rate(size, fill), rate(len(wanted), lambda: [tree.load(index) for index in wanted])]
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    count = tree.machine.cache.allocated - tree.machine.cache.freed
    return [*found, rate(size, walk), rate(count, lambda: decode(mem, address)), memory]


def grow(path, arch):
    """Fill, walk and decode trees of more and more entries; draw the rates and the memory."""
    from matplotlib import pyplot as plt

    sizes = [10**power for power in range(3, 8)]
    names = ("stores", "loads", "iteration", "decode, nodes")
    rows = {name: [] for name in names}
    peak = []
    for size in sizes:
        # each in a process of its own, so that memory is its own
        command = [sys.executable, __file__, "--arch", arch, "--size", str(size)]
        done = subprocess.run(command, capture_output=True, check=True)
        *found, memory = json.loads(done.stdout)
        for row, figure in zip(rows.values(), found, strict=True):
            row.append(figure)
        peak.append(memory)
        print(
            f"{size:>10,} entries:",
            *(f"{figure:12,.0f}" for figure in found),
            f"{memory:8,.0f} MiB",
        )
    figure, (rates, memories) = plt.subplots(1, 2, figsize=(10, 4))
    for name, row in rows.items():
        rates.plot(sizes, row, marker="o", label=name)
    rates.set(xscale="log", ylim=(0, None), xlabel="entries", ylabel="a second")
    rates.legend()
    memories.plot(sizes, peak, marker="o")
    memories.set(xscale="log", yscale="log", xlabel="entries", ylabel="peak memory, MiB")
    for axes in (rates, memories):
        axes.grid(visible=True, alpha=0.3)
    figure.tight_layout()
    figure.savefig(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--arch", default="s390x")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--reference", metavar="COMMAND", help="the kernel's code under qemu")
    parser.add_argument("--native", metavar="COMMAND", help="the kernel's code on this machine")
    parser.add_argument("--growth", metavar="FILE", help="draw how it grows with the entries")
    parser.add_argument(
        "--size", metavar="N", type=int, help="print figures of a tree of N entries"
    )
    parser.add_argument("--profile", action="store_true", help="tell where Python's time goes")
    args = parser.parse_args()
    if args.size:
        print(json.dumps(measured(args.arch, args.size)))
    elif args.growth:
        grow(args.growth, args.arch)
    elif args.profile:
        profile = cProfile.Profile()
        profile.runcall(replay, args.arch)
        pstats.Stats(profile).sort_stats("tottime").print_stats(25)
    else:
        table(args)
    return 0


if __name__ == "__main__":
    sys.exit(main())
