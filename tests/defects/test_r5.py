"""What a failed fork leaves, who sees it, and what following it does on each machine."""

from __future__ import annotations

import pytest

import arches
from layout.defects import get, operations
from layout.defects.interleave import Play, Until, interleavings, schedule
from layout.defects.r5 import family, swapoff
from layout.defects.scenes import trial
from layout.machine.equip import equip
from layout.machine.machine import Machine
from layout.memory.errors import MachineFault, UsageError
from layout.mm.manager import MemoryManager
from layout.mm.recovery import EmptyAfterFailure

ADDRESSES = (0x1000000, 0x1100000, 0x1200000)


def failed(arch, *, faulty):
    machine = Machine(arches.get(arch))
    parent, child = family(machine, faulty=faulty)
    assert child.dup_mmap(parent) == -12
    return machine, parent, child


def test_the_childs_then_the_marker_then_the_parents(arch):
    machine, parent, child = failed(arch, faulty=True)
    own, marker, other = (entry for _, _, entry in child.entries())
    parents = [vma.address for vma in parent]
    assert marker == 0x406
    assert other == parents[2]
    assert own not in parents
    # mtree_load and mt_find hide the marker
    kernel, tree = machine.kernel, child.mm_mt
    assert [kernel.mtree_load(tree, at) for at in ADDRESSES] == [own, 0, other]
    assert kernel.mt_find(tree, ADDRESSES[1], kernel.ulong_max)[0] == other
    assert kernel.mas_walk(kernel.new_state(tree, ADDRESSES[1])) == 0x406
    child.exit_mmap()
    assert [vma.address for vma in parent] == parents


def test_the_recovery_leaves_an_empty_tree(arch):
    machine, parent, child = failed(arch, faulty=False)
    assert machine.mem.ma_root(child.mm_mt) == 0
    assert list(child.entries()) == []
    assert child.manager.vmas.live == {vma.address for vma in parent}
    child.exit_mmap()
    parent.exit_mmap()
    assert not child.manager.vmas.live
    assert machine.cache.allocated == machine.cache.freed


@pytest.mark.parametrize("step", range(6))
def test_the_recovery_at_every_step(arch, step):
    machine = Machine(arches.get(arch))
    parent, child = family(machine, faulty=False)
    before = [(vma.address, vma.vm_start, vma.vm_end) for vma in parent]
    child.manager.fail_step(step)
    assert child.dup_mmap(parent) == -12
    assert list(child.entries()) == []
    assert [(vma.address, vma.vm_start, vma.vm_end) for vma in parent] == before
    assert child.manager.vmas.live == {address for address, *_ in before}
    child.exit_mmap()
    parent.exit_mmap()
    assert machine.cache.allocated == machine.cache.freed


def test_the_recovery_where_nothing_fails(arch):
    manager = MemoryManager(Machine(arches.get(arch)), spaces=EmptyAfterFailure)
    mm = manager.new_mm()
    mm.mmap(ADDRESSES[0], 0x4000, 1, 0x22)
    child, err = mm.fork()
    assert err == 0
    assert [vma.vm_start for vma in child] == [ADDRESSES[0]]


def test_following_the_marker():
    """The marker is a small, odd number: that is an oops, two, or none."""

    def follow(arch):
        machine, _, child = failed(arch, faulty=True)
        return machine.dereference(0x406, child.manager.vmas.offsets["vm_start"])

    with pytest.raises(MachineFault, match="NULL pointer dereference, address: 0000000000000406"):
        follow("x86_64")
    with pytest.raises(MachineFault) as stop:
        follow("sparc64")
    first, second, _ = stop.value.message.splitlines()
    assert first == "Kernel unaligned access at TPC[...]"  # 0x406 & 7 == 6
    assert "NULL pointer dereference" in second
    assert follow("s390x") == 0  # the lowcore: no fault


def runs(arch, *, faulty):
    def make():
        machine = equip(arch)
        return Play(machine, swapoff(machine, Until, faulty=faulty))

    return list(interleavings(make))


def test_every_order(arch):
    found = runs(arch, faulty=True)
    assert len(found) == 3  # before the fork takes the lock, between, and after exit_mmap
    [between] = [run for run in found if run.fault or run.results["swapoff"]]
    assert [run.results["swapoff"] for run in found if run is not between] == [[], []]
    if arch == "s390x":
        assert between.results["swapoff"] == [
            ("child's", 0x1000000),
            ("406", 0),
            ("parent's", 0x1200000),
        ]
    else:
        assert between.fault.address == 0x406
    names = [step.name for step in between.steps]
    assert names.index("dup_mmap failed") < names.index("mmap_read_lock")
    assert "exit_mmap" not in names[: names.index("mmap_read_lock")]


def test_the_recovery_in_every_order(arch):
    for run in runs(arch, faulty=False):
        assert (run.fault, run.results) == (None, {"fork": -12, "swapoff": []})


def test_schedule():
    run = next(run for run in runs("x86_64", faulty=True) if run.fault)
    assert schedule(run) == [
        "fork              swapoff",
        "----              -------",
        "mmap_write_lock",
        "mt_dup",
        "copy 1000000",
        "copy 1100000",
        "dup_mmap failed",
        "                  mmap_read_lock",
        "                  mas_find, vma->vm_start",
        "                  mas_find, vma->vm_start",
        "                  ! BUG: kernel NULL pointer dereference, address: 0000000000000406",
    ]


def test_verdict(arch):
    found = trial(get("R5"), arches.get(arch))
    outcome = "wrong result" if arch == "s390x" else "fault"
    assert (found.outcome, found.correct, found.as_documented) == (outcome, "ok", True)
    assert [(s.shown, s.orders) for s in found.schedules] == [(1, 3)]


def test_it_is_no_switch_of_the_tree():
    with pytest.raises(UsageError, match="R5 is a mistake of the tree's callers"):
        equip("s390x", kernels=operations(["R5"]))
