"""Two writes for one preallocation; what they need is what the kernel's own 6.1 code needed."""

from __future__ import annotations

import pytest

import arches
from layout.defects import get
from layout.defects.r4 import Adjust61, Prealloc61
from layout.defects.scenes import play, trial
from layout.machine.equip import equip
from layout.machine.watch.ledger import LEDGER, ledger_of
from layout.memory.errors import MachineFault
from layout.mm.addressspace import AddressSpace
from layout.mm.manager import MemoryManager
from layout.mm.vm_flags import MAP_ANONYMOUS, MAP_FIXED, MAP_PRIVATE, PROT_READ, PROT_WRITE

NEXT = 0x2A000500


def prepared(arch, *, rcu=True):
    """Ten ranges of 0x10000, four nodes preallocated, and no more without blocking."""
    machine = equip(arch, kernels=[Prealloc61], watch=[LEDGER])
    kernel, tree = machine.kernel, machine.tree(0)
    for i in range(10):
        kernel.mtree_store_range(tree, i << 16, (i << 16) + 0xFFFF, 0x2A000000 + (i << 8))
    if rcu:
        kernel.mt_set_in_rcu(tree)
    mas = kernel.new_state(tree, 0x48000, 0x5FFFF)
    assert kernel.mas_preallocate(mas, NEXT) == 0
    assert kernel.mas_allocated(mas) == 4
    machine.cache.fail(0, None, nowait_only=True)
    return machine, mas


def store(machine, mas, last, entry):
    mas.reset()
    mas.index, mas.last = 0x48000, last
    machine.kernel.mas_store_prealloc(mas, entry)


def ranges(machine):
    kernel, tree = machine.kernel, machine.tree(0)
    mas = kernel.new_state(tree, 0x40000)
    return [(kernel.mas_find(mas, 0x6FFFF), mas.index, mas.last) for _ in range(3)]


GIVEN = [(0x2A000400, 0x40000, 0x47FFF), (NEXT, 0x48000, 0x5FFFF), (0x2A000600, 0x60000, 0x6FFFF)]


def test_the_second_write_finds_nothing_left(arch):
    machine, mas = prepared(arch)
    store(machine, mas, 0x4FFFF, 0)
    assert machine.kernel.mas_allocated(mas) == 0
    with pytest.raises(MachineFault, match="mas->node == 0xffffffffffffffd2") as stop:
        store(machine, mas, 0x5FFFF, NEXT)
    assert (stop.value.kind, stop.value.address) == ("bug", 0xFFFFFFFFFFFFFFD2)
    assert mas.node == 0xFFFFFFFFFFFFFFD2


def test_not_in_rcu_mode_it_needs_no_node(arch):
    machine, mas = prepared(arch, rcu=False)
    store(machine, mas, 0x4FFFF, 0)
    store(machine, mas, 0x5FFFF, NEXT)
    assert ranges(machine) == GIVEN


def test_the_second_write_alone_needs_no_node(arch):
    machine, mas = prepared(arch)
    nodes = machine.cache.allocated
    store(machine, mas, 0x5FFFF, NEXT)
    assert ranges(machine) == GIVEN
    assert machine.cache.allocated == nodes
    assert ledger_of(machine).accounts[-1].used == 0


def test_the_ledger_warns_of_both(arch):
    machine, mas = prepared(arch)
    store(machine, mas, 0x4FFFF, 0)
    with pytest.raises(MachineFault):
        store(machine, mas, 0x5FFFF, NEXT)
    first, second = ledger_of(machine).accounts[-2:]
    assert (first.used, first.given_back) == (1, 3)
    assert first.warnings == (
        "preallocation spent by another write: call 11, mas_preallocate 48000-5ffff got 4 nodes, "
        "this stores 48000-4ffff",
    )
    assert second.refused == 1
    assert second.warnings == (
        "call 12, mas_store_prealloc 48000-4ffff: completely overwritten by the next store of "
        "the same state before any read",
    )


def adjust(arch, spaces, *, low=True):
    """Of two VMAs the first gives its second half to the other."""
    machine = equip(arch, kernels=[Prealloc61])
    mm = MemoryManager(machine, spaces=spaces).new_mm()
    page = mm.page_size
    flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED
    for i, prot in enumerate((PROT_READ, PROT_READ | PROT_WRITE, PROT_READ)):
        mm.mmap(0x1000000 + 8 * page * i, 8 * page, prot, flags)
    if low:
        machine.cache.fail(0, None, nowait_only=True)
    ret = mm.mprotect(0x1000000 + 4 * page, 4 * page, PROT_READ | PROT_WRITE)
    return ret, [((v.vm_start - 0x1000000) // page, (v.vm_end - 0x1000000) // page) for v in mm]


def test_mprotect(arch):
    merged = (0, [(0, 4), (4, 16), (16, 24)])
    assert adjust(arch, AddressSpace) == merged  # the fix: one write
    assert adjust(arch, Adjust61, low=False) == merged
    with pytest.raises(MachineFault, match="0xffffffffffffffd2"):
        adjust(arch, Adjust61)


def test_verdict(arch):
    found = trial(get("R4"), arches.get(arch))
    assert (found.outcome, found.correct, found.as_documented) == ("fault", "ok", True)
    warnings = " ".join(found.ledger["warnings"])
    assert "completely overwritten by the next store of the same state before any read" in warnings
    assert "mprotect: preallocation spent by another write" in warnings
    assert play(get("R4"), arches.get(arch), correct=True).faults == []
