"""Searches downwards where there is no node, or no gap."""

from __future__ import annotations

import pytest

from layout.defects import operations
from layout.machine.equip import equip
from layout.memory.errors import MachineFault


def search(arch, defects, stores, high, size):
    machine = equip(arch, kernels=operations(defects))
    kernel, tree = machine.kernel, machine.tree(0)
    kernel.mt_init_flags(tree, 1)
    for first, last in stores:
        kernel.mtree_store_range(tree, first, last, 0x2A000000)
    mas = kernel.new_state(tree)
    return kernel.mas_empty_area_rev(mas, 0, high, size), mas.index


@pytest.mark.parametrize("stores", [[], [(0, 0)]])
def test_the_end_of_no_node(arch, stores):
    with pytest.raises(MachineFault) as stop:
        search(arch, ["D9"], stores, 0xFFFF, 0x100)
    assert (stop.value.kind, stop.value.address) == ("null", 0)
    assert search(arch, [], stores, 0xFFFF, 0x100) == (0, 0xFF00)


def test_no_gap_below_the_root(arch):
    stores = [(0x1000 * i, 0x1000 * i + 0xFFF) for i in range(6)]
    with pytest.raises(MachineFault) as stop:
        search(arch, ["D9"], stores, 0x5FFF, 0x1000)
    assert stop.value.kind == "livelock"
    assert search(arch, [], stores, 0x5FFF, 0x1000)[0] == -16


def test_other_searches_are_right(arch):
    stores = [(0x1000 * i, 0x1000 * i + 0xFFF) for i in (0, 1, 3, 4)]
    assert search(arch, ["D9"], stores, 0xFFFF, 0x1000) == search(arch, [], stores, 0xFFFF, 0x1000)
