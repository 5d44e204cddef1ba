"""Traces that damage a tree, for tests of both legs."""

import random

import arches
from layout.machine.machine import Machine
from layout.memory.memory import ZEROS
from layout.traces.runner import Runner
from layout.traces.trace import parse

_BUILD = ("init 1", *(f"store {i * 16:x} {i * 16 + 7:x} {0x3001 + 4 * i:x}" for i in range(60)))
_BYTES = (0, 1, 0xC, 0x77, 0xFF)


def damaged_trace(arch, seed):
    """Bytes of a tree's nodes are poked, then operations follow until one stops the machine.

    Some traces end without that: what was poked is then not met, or does no harm.
    """
    rng = random.Random(f"{seed} {arch}")
    nodes = _nodes_in_use(arch)
    lines = [*_BUILD]
    lines += [
        f"poke {rng.choice(nodes):x} {rng.randrange(256):x} {rng.choice(_BYTES):x}"
        for _ in range(30)
    ]
    for _ in range(60):
        at = rng.randrange(0x400)
        lines.append(
            rng.choice(
                [
                    *(f"load {at:x}", f"find {at:x} ffff", f"walk {at:x}", f"erase {at:x}"),
                    *(f"store {at:x} {at + rng.randrange(99):x} 7001", f"next {at:x} ffff"),
                    *(f"empty_area 0 ffff {rng.randrange(1, 30):x}", "iter 0 ffff"),
                    *(f"prev {at:x} 0", f"insert {at:x} {at:x} 7005"),
                    *("fail 1 2", "dump", "validate"),
                ]
            )
        )
    return "\n".join(lines).encode()


def _nodes_in_use(arch):
    """The addresses of the nodes that the tree consists of before the damage."""
    machine = Machine(arches.get(arch))
    runner = Runner(machine)
    for operation in parse(_BUILD, machine.arch.ulong_max):
        runner.execute(operation)
    cells = enumerate(zip(machine.mem.near_cells(), machine.cache.freed_map, strict=False))
    return [
        machine.node_base + 256 * number
        for number, (cell, freed) in cells
        if cell != ZEROS and not freed
    ]
