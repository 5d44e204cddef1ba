"""The chain of nodes in reserve, when more are asked for."""

from __future__ import annotations

import pytest

from layout.defects import operations
from layout.machine.equip import equip
from layout.memory.errors import MachineFault
from layout.memory.slab import GFP_KERNEL


def holding(arch, defects):
    machine = equip(arch, kernels=operations(defects))
    mas = machine.kernel.new_state(machine.tree(0))
    for count in (40, 60):
        machine.kernel.mas_node_count_gfp(mas, count, GFP_KERNEL)
    return machine, mas


def test_the_filled_node_counts_nothing(arch):
    machine, mas = holding(arch, ["D8"])
    first = machine.mem.alloc_slot(mas.alloc, 0)
    assert first == machine.node_base
    assert machine.mem.alloc_count(first) == 0
    machine, mas = holding(arch, [])
    assert machine.mem.alloc_count(first) == 30


def test_slot_255_is_read(arch):
    machine, mas = holding(arch, ["D8"])
    mem, kernel = machine.mem, machine.kernel
    assert mem.alloc_slot_offset + 255 * mem.word_size == 2056
    mem.write_word(machine.node_base + 2056, 0xDEAD00)  # what lies there is taken for a node
    for _ in range(20):
        kernel.mas_pop_node(mas)
    with pytest.raises(MachineFault) as stop:
        kernel.mas_pop_node(mas)
    assert stop.value.address == 0xDEAD00
    assert mem.alloc_count(machine.node_base) == 255


def test_today_all_can_be_used(arch):
    machine, mas = holding(arch, [])
    taken = {machine.kernel.mas_pop_node(mas) for _ in range(60)}
    assert len(taken) == 60
    assert machine.kernel.mas_allocated(mas) == 0
