"""Destroying trees of three levels: nodes lost and faults, as the kernel's own code has them."""

from __future__ import annotations

import functools

import pytest

from layout.defects import operations
from layout.machine.equip import equip
from layout.memory.errors import MachineFault

COUNTS = (3100, 3200, 3280, 3370, 3400, 3500)


@functools.cache
def stored(arch):
    """The machine after each count of stores."""
    machine = equip(arch)
    tree = machine.tree(0)
    saved = {}
    for i in range(max(COUNTS)):
        machine.kernel.mtree_store_range(
            tree, 0x1000 * i, 0x1000 * i + 0xFFF, 0x2A000000 + 0x100 * i
        )
        if i + 1 in COUNTS:
            saved[i + 1] = machine.save()
    return saved


def ends(arch, *defects):
    """For each count: nodes lost, or the node that the fault's address lies in."""
    machine = equip(arch, kernels=operations(defects))
    found = {}
    for count, saved in stored(arch).items():
        machine.restore(saved)
        try:
            machine.kernel.mt_destroy(machine.tree(0))
            found[count] = machine.cache.allocated - machine.cache.freed
        except MachineFault as fault:
            found[count] = f"{fault.address & ~0xFF:016x}"
    return [found[count] for count in COUNTS]


FINE = [0, 0, 0, 0, 0, 0]


def with_fifteen(address):
    return [0, address, address, address, 0, 0]


@pytest.mark.parametrize("arch", ["x86_64", "s390x"])
def test_today(arch):
    assert ends(arch) == FINE


def test_the_sixteenth_child_is_lost(arch):
    assert ends(arch, "D4a") == [0, 0, 0, 0, 8, 15]


@pytest.mark.parametrize(
    ("arch", "word"),
    [("x86_64", "0" * 16), ("s390x", "0e00000000000000"), ("sparc64", "0e00000000000000")],
)
def test_metadata_taken_for_a_child(arch, word):
    little = arch == "x86_64"
    assert ends(arch, "D4b") == (FINE if little else with_fifteen(word))
    assert ends(arch, "D4c") == (with_fifteen(word) if little else FINE)
    assert ends(arch, "D4d") == with_fifteen(word)
