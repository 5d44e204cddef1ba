"""fork and exit, with failures at every step; what readers see meanwhile."""

import pytest
from machines import THREE

import arches
from layout.machine.machine import Machine
from layout.memory.errors import MachineFault
from layout.memory.pointers import MT_FLAGS_USE_RCU, XA_ZERO_ENTRY
from layout.mm.manager import MemoryManager
from layout.mm.vm_flags import (
    MADV_DONTFORK,
    MADV_WIPEONFORK,
    MAP_ANONYMOUS,
    MAP_FIXED,
    MAP_PRIVATE,
    PROT_READ,
    PROT_WRITE,
    VM_LOCKED,
)

VMAS = 13


def parent_on(name):
    """A manager and an address space with 13 VMAs, some of them written to."""
    manager = MemoryManager(Machine(arches.get(name)))
    mm = manager.new_mm()
    size = mm.page_size
    file = manager.new_file()
    for i in range(VMAS):
        prot = PROT_READ | PROT_WRITE if i % 2 else PROT_READ
        start = 0x1000000 + i * 2 * size
        if i % 5 == 4:
            mm.mmap(start, size, prot, MAP_PRIVATE | MAP_FIXED, file, i * size)
        else:
            mm.mmap(start, size, prot, MAP_PRIVATE | MAP_ANONYMOUS)
        if i % 3 == 0:
            assert mm.write_fault(start) == 0
    return manager, mm


def contents(mm):
    return [(vma.address, vma.vm_start, vma.vm_end, vma.vm_flags) for vma in mm]


def nothing_is_left(manager, *spaces):
    for mm in spaces:
        mm.exit_mmap()
    assert not manager.vmas.live
    assert manager.machine.cache.allocated == manager.machine.cache.freed


@pytest.mark.parametrize("name", THREE)
def test_a_copy(name):
    manager, mm = parent_on(name)
    before = contents(mm)
    child, err = mm.fork()
    assert err == 0
    assert contents(mm) == before
    assert [c[1:] for c in contents(child)] == [c[1:] for c in before]
    assert not {c[0] for c in contents(child)} & {c[0] for c in before}
    assert all(vma.vm_mm == child.mm_mt for vma in child)
    assert mm.mem.ma_flags(child.mm_mt) & MT_FLAGS_USE_RCU
    nothing_is_left(manager, mm, child)


def test_what_is_not_copied():
    manager, mm = parent_on("x86_64")
    size = mm.page_size
    assert mm.madvise(0x1000000, size, MADV_DONTFORK) == 0
    assert mm.madvise(0x1000000 + 6 * size, size, MADV_WIPEONFORK) == 0
    assert mm.mlock(0x1000000 + 2 * size, size, VM_LOCKED) == 0
    child, err = mm.fork()
    assert err == 0
    assert child.map_count == mm.map_count - 1
    assert child.vma_lookup(0x1000000) is None
    assert mm.vma_lookup(0x1000000 + 6 * size).anon_vma
    assert not child.vma_lookup(0x1000000 + 6 * size).anon_vma
    assert not child.vma_lookup(0x1000000 + 2 * size).vm_flags & VM_LOCKED
    nothing_is_left(manager, child, mm)


def steps_of_a_fork(name):
    manager, mm = parent_on(name)
    manager.fail_step(None)
    child, _ = mm.fork()
    steps = list(manager.steps)
    nothing_is_left(manager, mm, child)
    return steps


@pytest.mark.parametrize("name", THREE)
def test_a_failure_at_any_step(name):
    steps = steps_of_a_fork(name)
    assert {"vm_area_dup", "anon_vma_clone", "anon_vma_fork", "copy_page_range"} == set(steps)
    for at, step in enumerate(steps):
        manager, mm = parent_on(name)
        before = contents(mm)
        manager.fail_step(at)
        child, err = mm.fork()
        assert err == -12
        assert contents(mm) == before
        entries = [entry for _, _, entry in child.entries()]
        parents = [address for address, *_ in before]
        last = step == "copy_page_range" and at == len(steps) - 1
        done = child.map_count
        assert not set(entries[:done]) & set(parents)  # the child's own
        if last:
            assert done == VMAS
        else:
            assert entries[done] == XA_ZERO_ENTRY
            assert entries[done + 1 :] == parents[done + 1 :]  # the parent's are still there
            assert child.mem.ma_flags(child.mm_mt) & MT_FLAGS_USE_RCU == 0
        nothing_is_left(manager, child, mm)


@pytest.mark.parametrize("name", ["x86_64", "sparc64"])
def test_no_nodes_for_the_copy(name):
    manager, mm = parent_on(name)
    before = contents(mm)
    cache = manager.machine.cache
    allocated = cache.allocated
    child, _ = mm.fork()
    nodes = cache.allocated - allocated
    assert nodes == 3
    child.exit_mmap()
    for after in range(nodes):
        cache.fail(after, None, nowait_only=False)
        child, err = mm.fork()
        cache.fail(None, None, nowait_only=False)
        assert err == -12
        assert list(child.entries()) == []
        child.exit_mmap()
        assert contents(mm) == before
    nothing_is_left(manager, mm)


def test_a_reader_meets_the_marker():
    """What a failed fork leaves is dereferenced by readers that do not know it."""
    for name, message in (
        ("x86_64", "NULL pointer dereference, address: 0000000000000416"),
        ("s390x", "Failing address: 0000000000000000"),
        ("sparc64", "Kernel unaligned access"),
    ):
        manager, mm = parent_on(name)
        manager.fail_step(6)
        child, _ = mm.fork()
        marked = next(first for first, _, entry in child.entries() if entry == XA_ZERO_ENTRY)
        vma = child.vma_iter_load(child.vma_iterator(marked))
        with pytest.raises(MachineFault, match=message):
            vma.vm_mm  # noqa: B018 - reading it is what faults
        assert child.find_vma(marked).vm_mm == mm.mm_mt  # mt_find hides it: the parent's VMA
        nothing_is_left(manager, child, mm)


def test_between_steps_readers_see_the_parents_vmas():
    manager, mm = parent_on("s390x")
    child = manager.new_mm()
    seen = []
    steps = child.dup_mmap_steps(mm)
    for step in steps:
        owners = [child.vma(entry).vm_mm for _, _, entry in child.entries()]
        seen.append((step.split()[0], owners.count(child.mm_mt), owners.count(mm.mm_mt)))
    assert seen[0] == ("mt_dup", 0, 0)
    assert seen[1] == ("copy", 0, VMAS)
    assert seen[10] == ("copy", 9, VMAS - 9)
    nothing_is_left(manager, child, mm)


def test_a_reader_in_steps():
    manager, mm = parent_on("x86_64")
    walk = mm.lock_vma_under_rcu_steps(0x1000000)
    assert next(walk) == "rcu_read_lock"
    assert next(walk) == "mas_walk"
    assert next(walk) == "vma_start_read"
    mm.munmap(0x1000000, 0x1000)  # the VMA stays until the reader is done, but is detached
    assert len(manager.vmas.queue) == 1
    assert next(walk) == "mas_walk"
    with pytest.raises(StopIteration) as end:
        next(walk)
    assert end.value.value is None
    assert not manager.vmas.queue
    nothing_is_left(manager, mm)


def test_a_reader_does_not_wait_for_a_writer():
    manager, mm = parent_on("s390x")
    vma = mm.vma_lookup(0x1000000)
    mm.vma_start_write(vma)
    assert mm.lock_vma_under_rcu(0x1000000) is None
    mm.mmap_write_unlock()
    assert mm.lock_vma_under_rcu(0x1000000) == vma
    nothing_is_left(manager, mm)


def test_too_many():
    from layout.memory.errors import UsageError

    manager = MemoryManager(Machine(arches.get("x86_64")))
    spaces = [manager.new_mm() for _ in range(7)]
    with pytest.raises(UsageError, match="more than 7 address spaces at once"):
        manager.new_mm()
    spaces[2].exit_mmap()
    assert manager.new_mm().number == 2


def test_a_machine_without_facts():
    from layout.memory.errors import UsageError

    with pytest.raises(UsageError, match="where processes map memory on m68k is not known"):
        MemoryManager(Machine(arches.get("m68k")))
