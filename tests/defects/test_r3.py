"""Destroying trees of n contiguous entries: every cell of the table, on every machine."""

from __future__ import annotations

import functools

import pytest

from layout.defects import get, operations
from layout.machine.equip import equip
from layout.memory.errors import MachineFault

COUNTS = (2, 15, 16, 17, 100, 210, 211, 220, 225, 226, 300, 375, 376, 377)
FIFTEEN = {211, 220, 225, 376, 377}
"""Counts at which the root or a lower node has exactly 15 children."""
ALL = set(COUNTS)
BIG, LITTLE = ("s390x", "sparc64"), ("x86_64",)


@functools.cache
def stored(arch, flags):
    """The machine after each count of stores."""
    machine = equip(arch)
    machine.kernel.mt_init_flags(machine.tree(0), flags)
    saved = {}
    for i in range(max(COUNTS)):
        machine.kernel.mtree_store_range(
            machine.tree(0), 0x1000 * i, 0x1000 * i + 0xFFF, 0x2A000000 + 0x100 * i
        )
        if i + 1 in ALL:
            saved[i + 1] = machine.save()
    return saved


def ends(arch, defects, flags=0):
    """For each count how destroying ended: nodes lost, or the address of the fault."""
    machine = equip(arch, kernels=operations(defects))
    cache = machine.cache
    found = {}
    for count, saved in stored(arch, flags).items():
        machine.restore(saved)
        try:
            machine.kernel.mt_destroy(machine.tree(0))
            found[count] = cache.allocated - cache.freed
        except MachineFault as fault:
            found[count] = (fault.kind, fault.address)
    return found


def crashes(found):
    return {count for count, end in found.items() if end != 0}


@pytest.mark.parametrize("arch", BIG + LITTLE)
def test_today(arch):
    assert set(ends(arch, []).values()) == {0}


@pytest.mark.parametrize("arch", BIG)
def test_only_the_node_is_tested_big_endian(arch):
    found = ends(arch, ["R3a"])
    assert crashes(found) == FIFTEEN
    assert {found[n] for n in FIFTEEN} == {("unmapped", 0x0E00000000000000)}
    assert crashes(ends(arch, ["R3b"])) == set()


@pytest.mark.parametrize("arch", LITTLE)
def test_only_the_type_is_tested_little_endian(arch):
    found = ends(arch, ["R3b"])
    assert crashes(found) == FIFTEEN
    assert {found[n] for n in FIFTEEN} == {("null", 0)}
    assert crashes(ends(arch, ["R3a"])) == set()


@pytest.mark.parametrize("arch", BIG + LITTLE)
def test_end_of_a_rightmost_node(arch):
    assert crashes(ends(arch, ["R3c"])) == {376, 377}


@pytest.mark.parametrize("arch", BIG + LITTLE)
def test_end_of_a_dead_node(arch):
    found = ends(arch, ["R3d"])
    assert crashes(found) == {n for n in COUNTS if n >= 16}
    assert (found[16], found[211]) == (1, 14)


@pytest.mark.parametrize("arch", BIG + LITTLE)
@pytest.mark.parametrize("name", ["R3a", "R3b", "R3c", "R3d"])
def test_trees_that_track_gaps(arch, name):
    assert set(ends(arch, [name], flags=1).values()) == {0}


def test_the_write_goes_through_the_metadata():
    machine = equip("s390x", kernels=operations(["R3a"]))
    kernel, tree = machine.kernel, machine.tree(0)
    for i in range(211):
        kernel.mtree_store_range(tree, 0x1000 * i, 0x1000 * i + 0xFFF, 0x2A000000 + 0x100 * i)
    root = machine.mem.ma_root(tree) & ~0xFF
    assert machine.mem.read(root + 248, 8).hex() == "0e00000000000000"
    with pytest.raises(MachineFault, match="Failing address: 0e00000000000000"):
        kernel.mt_destroy(tree)


def test_variants_have_one_name_in_common():
    assert {get(f"R3{letter}").bug for letter in "abcde"} == {"R3"}
