"""Where mappings go, by each machine's rules."""

import pytest
from machines import THREE

import arches
from layout.machine.machine import Machine
from layout.mm.manager import MemoryManager
from layout.mm.vm_flags import (
    MAP_ANONYMOUS,
    MAP_FIXED,
    MAP_FIXED_NOREPLACE,
    MAP_GROWSDOWN,
    MAP_PRIVATE,
    MAP_SHARED,
    PROT_READ,
    PROT_WRITE,
)

RW = PROT_READ | PROT_WRITE
PRIVATE = MAP_PRIVATE | MAP_ANONYMOUS
SHARED = MAP_SHARED | MAP_ANONYMOUS
EINVAL, ENOMEM, EEXIST = -22, -12, -17


def new_mm(name):
    return MemoryManager(Machine(arches.get(name))).new_mm()


@pytest.mark.parametrize(
    ("name", "first", "second"),
    [
        ("x86_64", 0x7FFFF7FFD000, 0x7FFFF7FFC000),
        ("s390x", 0x3FFF7FF9000, 0x3FFF7FF8000),
        ("sparc64", 0xFFFFF80100000000, 0xFFFFF80100004000),
    ],
)
def test_without_a_wish(name, first, second):
    mm = new_mm(name)
    size = mm.page_size
    assert mm.mmap(0, 2 * size, RW, PRIVATE) == first
    assert mm.mmap(0, size, PROT_READ, PRIVATE) == second


@pytest.mark.parametrize("name", THREE)
def test_gaps_are_filled(name):
    mm = new_mm(name)
    size = mm.page_size
    starts = [mm.mmap(0, size, RW if i % 2 else PROT_READ, PRIVATE) for i in range(40)]
    mm.munmap(starts[20], size)
    mm.munmap(starts[10], size)
    found = [mm.mmap(0, size, 0, PRIVATE) for _ in range(2)]
    assert found == [starts[10], starts[20]]
    assert mm.mmap(0, 2 * size, 0, PRIVATE) not in starts


def test_wishes():
    mm = new_mm("x86_64")
    assert mm.mmap(0x400123, 0x1000, RW, PRIVATE) == 0x400000
    assert mm.mmap(0x400000, 0x1000, RW, PRIVATE) == 0x7FFFF7FFE000  # taken
    assert mm.mmap(0x1000, 0x1000, RW, PRIVATE) == 0x10000  # below vm.mmap_min_addr
    assert mm.mmap(0x400000, 0x1000, RW, PRIVATE | MAP_FIXED_NOREPLACE) == EEXIST
    assert mm.mmap(0x400001, 0x1000, RW, PRIVATE | MAP_FIXED) == EINVAL
    assert mm.mmap(0x400000, 0x1000, PROT_READ, PRIVATE | MAP_FIXED) == 0x400000
    assert mm.mmap(0, 0, RW, PRIVATE) == EINVAL
    assert mm.mmap(0, 1 << 47, RW, PRIVATE) == ENOMEM
    assert mm.mmap(0, (1 << 64) - 1, RW, PRIVATE) == ENOMEM


def test_a_full_space_is_searched_from_below():
    mm = new_mm("x86_64")
    space = mm.space
    low, high = 0x10000, space.mmap_base
    assert mm.mmap(low, high - low, 0, PRIVATE | MAP_FIXED) == low
    found = mm.mmap(0, 0x5000, RW, PRIVATE)
    assert found == high  # between mmap_base and the stack's top
    assert mm.mmap(0, 0x8000000, RW, PRIVATE) == ENOMEM


def test_page_tables_of_s390x_grow():
    mm = new_mm("s390x")
    assert mm.table_limit == 1 << 42
    assert mm.mmap(1 << 41, 0x1000, RW, PRIVATE) == 1 << 41
    assert mm.table_limit == 1 << 42
    assert mm.mmap((1 << 42) - 0x1000, 0x2000, RW, PRIVATE) == (1 << 42) - 0x1000
    assert mm.table_limit == 1 << 53
    assert mm.mmap(1 << 54, 0x1000, RW, PRIVATE) == 1 << 54
    assert mm.table_limit == 0xFFFFFFFFFFFFF000
    child, _ = mm.fork()
    assert child.table_limit == mm.table_limit
    assert mm.mmap(0, 0x1000, RW, PRIVATE) < 1 << 42  # who does not ask, stays below
    assert mm.mmap(0xFFFFFFFFFFFFE000, 0x1000, RW, PRIVATE | MAP_FIXED) == 0xFFFFFFFFFFFFE000
    assert mm.mmap(0xFFFFFFFFFFFFF000, 0x1000, RW, PRIVATE | MAP_FIXED) == ENOMEM


@pytest.mark.parametrize("address", [0x7FF00000000, 0x80000000000, 1 << 54, 0xFFFFF80000000000])
def test_the_hole_of_sparc64(address):
    mm = new_mm("sparc64")
    assert mm.mmap(address, 0x2000, RW, PRIVATE | MAP_FIXED) == EINVAL
    assert mm.mmap(0x7FEFFFFE000, 0x2000, RW, PRIVATE | MAP_FIXED) == EINVAL  # it ends there
    assert mm.mmap(0x7FEFFFFC000, 0x2000, RW, PRIVATE | MAP_FIXED) == 0x7FEFFFFC000
    assert mm.mmap(0xFFFFF80100000000, 0x2000, RW, PRIVATE) == 0xFFFFF80100000000


def test_colours_of_sparc64():
    mm = new_mm("sparc64")
    file = mm.manager.new_file()
    assert mm.mmap(0, 0x2000, RW, PRIVATE) == 0xFFFFF80100000000
    at = mm.mmap(0, 0x2000, RW, MAP_SHARED, file, 0x2000)
    assert at == 0xFFFFF80100002000  # like its offset, modulo the cache's 16 KiB
    assert mm.mmap(0, 0x2000, RW, MAP_SHARED, file, 0x2000) == 0xFFFFF80100006000
    assert mm.mmap(0x10000, 0x2000, RW, MAP_SHARED | MAP_FIXED, file, 0x2000) == EINVAL
    assert mm.mmap(0x10000, 0x2000, RW, MAP_PRIVATE | MAP_FIXED, file, 0x2000) == 0x10000


@pytest.mark.parametrize("name", ["x86_64", "s390x"])
def test_stacks_keep_their_distance(name):
    mm = new_mm(name)
    top = mm.mmap_base
    start = top - 0x200000
    assert mm.mmap(start, 0x1000, RW, PRIVATE | MAP_FIXED | MAP_GROWSDOWN) == start
    vma = mm.expand_stack(start - 0x3456)
    assert (vma.vm_start, vma.vm_end) == (start - 0x4000, start + 0x1000)
    assert vma.vm_pgoff == (start - 0x4000) // 0x1000
    assert mm.mmap(0, top - start - 0x1000, RW, PRIVATE) == start + 0x1000
    below = mm.mmap(0, 0x1000, RW, PRIVATE)
    assert below == start - 0x4000 - 0x101000  # a guard of 256 pages
    assert mm.expand_stack(start - 0x5000) is None  # it would be too near
    assert mm.mprotect(below, 0x1000, 0) == 0
    assert mm.expand_stack(start - 0x5000).vm_start == start - 0x5000  # not to what has no access
    assert mm.expand_stack(0x20000) is None


def test_shared_memory_is_a_file_of_its_own():
    mm = new_mm("x86_64")
    one, two = mm.mmap(0, 0x1000, RW, SHARED), mm.mmap(0, 0x1000, RW, SHARED)
    assert one == two + 0x1000
    assert mm.map_count == 2  # no merge
    assert mm.vma_lookup(one).vm_file != mm.vma_lookup(two).vm_file
    mm.mmap(two - 0x1000, 0x1000, RW, PRIVATE)
    mm.mmap(two - 0x2000, 0x1000, RW, PRIVATE)
    assert mm.map_count == 3


def test_the_heap():
    mm = new_mm("s390x")
    mm.start_brk = mm.brk_end = 0x2000800
    assert mm.brk(0) == 0x2000800
    assert mm.brk(0x2003000) == 0x2003000
    [heap] = mm
    assert (heap.vm_start, heap.vm_end, heap.vm_flags) == (0x2001000, 0x2003000, 0x100073)
    assert mm.brk(0x2010001) == 0x2010001
    assert [vma.vm_end for vma in mm] == [0x2011000]
    mm.mmap(0x2020000, 0x1000, RW, PRIVATE | MAP_FIXED)
    assert mm.brk(0x2020000) == 0x2010001  # a page must stay free
    assert mm.brk(0x201F000) == 0x201F000
    assert mm.brk(0x2001800) == 0x2001800
    assert [vma.vm_end for vma in mm] == [0x2002000, 0x2021000]


def test_data_of_sparc64_is_executable():
    mm = new_mm("sparc64")
    mm.start_brk = mm.brk_end = 0x30A000
    assert mm.brk(0x30C000) == 0x30C000
    assert [vma.vm_flags & 7 for vma in mm] == [7]
