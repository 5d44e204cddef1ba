"""Traces that damage a tree, for tests of both legs."""

import random

import arches
from layout.machine.machine import Machine


def damaged_trace(arch, seed):
    """Bytes of nodes are poked, then operations follow until one stops the machine, or none."""
    rng = random.Random(f"{seed} {arch}")
    base = Machine(arches.get(arch)).node_base
    lines = ["init 1"]
    lines += [f"store {i * 16:x} {i * 16 + 7:x} {0x3001 + 4 * i:x}" for i in range(60)]
    for _ in range(12):
        node = base + 256 * rng.randrange(8)
        lines.append(
            f"poke {node:x} {rng.randrange(256):x} {rng.choice((0, 1, 0xC, 0x77, 0xFF)):x}"
        )
    for _ in range(60):
        at = rng.randrange(0x400)
        lines.append(
            rng.choice(
                [
                    *(f"load {at:x}", f"find {at:x} ffff", f"walk {at:x}", f"erase {at:x}"),
                    *(f"store {at:x} {at + rng.randrange(99):x} 7001", f"next {at:x} ffff"),
                    *(f"empty_area 0 ffff {rng.randrange(1, 30):x}", "iter 0 ffff"),
                    *(
                        f"prev {at:x} 0",
                        f"insert {at:x} {at:x} 7005",
                        "fail 1 2",
                        "dump",
                        "validate",
                    ),
                ]
            )
        )
    return "\n".join(lines).encode()
