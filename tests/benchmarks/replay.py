"""How fast the tree operations run: python tests/benchmarks/replay.py [--help].

Replays the stores, loads and finds of 16-large on one machine's layout, without a transcript.
With --reference COMMAND it pipes the same trace into that command, which is to print JSON with
"ops_per_s" (a build of the kernel's own code, say under qemu-s390x), and prints the ratio.
With --entries N it fills a tree with N entries instead and tells the memory that took.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import pstats
import resource
import shlex
import statistics
import subprocess
import sys
import time
from pathlib import Path

import arches
from layout.machine import Machine
from layout.replay.trace import parse

TRACE = Path(__file__).parents[2] / "fixtures/golden/16-large.trace"


def read_operations():
    wanted = ("store", "load", "find")
    lines = TRACE.read_text().split("\n")
    return [(o.op, o.args) for o in parse(lines, 2**64 - 1) if o.op in wanted]


def replay(operations, arch):
    """Carry out the operations; returns operations per second."""
    machine = Machine(arches.get(arch))
    kernel, tree, begin = machine.kernel, machine.tree(0), machine.cache.begin
    start = time.perf_counter()
    for op, args in operations:
        begin()
        if op == "store":
            kernel.mtree_store_range(tree, *args)
        elif op == "load":
            kernel.mtree_load(tree, *args)
        else:
            kernel.mt_find(tree, *args)
    return len(operations) / (time.perf_counter() - start)


def reference(command):
    with TRACE.open() as trace:
        done = subprocess.run(shlex.split(command), stdin=trace, capture_output=True, check=True)
    return json.loads(done.stdout)["ops_per_s"]


def fill(entries, arch):
    machine = Machine(arches.get(arch), reuse_nodes=True)
    kernel, tree, begin = machine.kernel, machine.tree(0), machine.cache.begin
    start = time.perf_counter()
    for i in range(entries):
        begin()
        kernel.mtree_store_range(tree, i << 13, (i << 13) + 0xFFF, i << 1 | 1)
    seconds = time.perf_counter() - start
    cache = machine.cache
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(
        f"{entries} entries in {seconds:.1f} s, {cache.allocated - cache.freed} nodes, "
        f"peak {peak} MiB"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--arch", default="s390x")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--reference", metavar="COMMAND")
    parser.add_argument("--entries", type=int, metavar="N")
    parser.add_argument("--profile", action="store_true", help="tell where the time goes")
    args = parser.parse_args()
    if args.entries:
        fill(args.entries, args.arch)
        return 0
    operations = read_operations()
    if args.profile:
        profile = cProfile.Profile()
        profile.runcall(replay, operations, args.arch)
        pstats.Stats(profile).sort_stats("tottime").print_stats(25)
        return 0
    ours, theirs = [], []
    for _ in range(args.runs):  # in turn, so that both see the same machine
        ours.append(replay(operations, args.arch))
        if args.reference:
            theirs.append(reference(args.reference))
    print(
        f"maple-layout, {args.arch}: {statistics.median(ours):.0f} operations/s, median of {args.runs}"
    )
    if theirs:
        kernel = statistics.median(theirs)
        print(f"reference: {kernel:.0f} operations/s; ratio {statistics.median(ours) / kernel:.4f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
