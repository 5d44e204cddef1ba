"""System calls and their errors, as Linux answers them."""

import errno

import pytest

import arches
from layout.machine.machine import Machine
from layout.mm.manager import MemoryManager
from layout.mm.vm_flags import (
    CLOSING_OPS,
    MADV_DODUMP,
    MADV_DOFORK,
    MADV_DONTDUMP,
    MADV_DONTNEED,
    MADV_HUGEPAGE,
    MADV_MERGEABLE,
    MADV_NOHUGEPAGE,
    MADV_RANDOM,
    MADV_SEQUENTIAL,
    MADV_WIPEONFORK,
    MAP_ANONYMOUS,
    MAP_FIXED,
    MAP_GROWSDOWN,
    MAP_NORESERVE,
    MAP_PRIVATE,
    MAP_SHARED,
    MREMAP_DONTUNMAP,
    MREMAP_FIXED,
    MREMAP_MAYMOVE,
    PROT_GROWSDOWN,
    PROT_GROWSUP,
    PROT_READ,
    PROT_WRITE,
    VM_ACCOUNT,
    VM_DONTEXPAND,
    VM_IO,
    VM_LOCKED,
    VM_MAYWRITE,
)

RW = PROT_READ | PROT_WRITE
PRIVATE = MAP_PRIVATE | MAP_ANONYMOUS
AT, PAGE = 0x400000, 0x1000


@pytest.fixture
def mm():
    """Four pages, then a gap of one, then four pages."""
    space = MemoryManager(Machine(arches.get("x86_64"))).new_mm()
    for start in (AT, AT + 5 * PAGE):
        assert space.mmap(start, 4 * PAGE, RW, PRIVATE | MAP_FIXED) == start
    return space


def ranges(mm):
    return [((vma.vm_start - AT) // PAGE, (vma.vm_end - AT) // PAGE) for vma in mm]


@pytest.mark.parametrize(
    ("args", "err"),
    [
        ((AT + 1, PAGE, PROT_READ), errno.EINVAL),
        ((AT, 0, PROT_READ), 0),
        ((AT, PAGE, PROT_READ | PROT_GROWSDOWN | PROT_GROWSUP), errno.EINVAL),
        ((AT, PAGE, PROT_READ | PROT_GROWSUP), errno.EINVAL),
        ((AT, PAGE, PROT_READ | PROT_GROWSDOWN), errno.EINVAL),
        ((AT, PAGE, 0x40), errno.EINVAL),
        ((AT, 6 * PAGE, PROT_READ), errno.ENOMEM),  # the gap
        ((AT + 4 * PAGE, 2 * PAGE, PROT_READ), errno.ENOMEM),
        ((AT + 20 * PAGE, PAGE, PROT_READ), errno.ENOMEM),
        ((AT, (1 << 64) - 1, PROT_READ), errno.ENOMEM),
        ((AT, 4 * PAGE, PROT_READ), 0),
    ],
)
def test_mprotect(mm, args, err):
    assert mm.mprotect(*args) == -err


def test_mprotect_changes_what_comes_before_an_error(mm):
    assert mm.mprotect(AT + PAGE, 6 * PAGE, PROT_READ) == -errno.ENOMEM
    assert [(vma.vm_start - AT) // PAGE for vma in mm if not vma.vm_flags & PROT_WRITE] == [1]


def test_mprotect_needs_permission(mm):
    vma = mm.vma_lookup(AT)
    vma.vm_flags &= ~(VM_MAYWRITE | PROT_WRITE)
    assert mm.mprotect(AT, PAGE, RW) == -errno.EACCES


def test_mprotect_of_a_growing_stack():
    mm = MemoryManager(Machine(arches.get("x86_64"))).new_mm()
    mm.mmap(AT, 4 * PAGE, RW, PRIVATE | MAP_FIXED | MAP_GROWSDOWN)
    assert mm.mprotect(AT + 2 * PAGE, PAGE, PROT_READ | PROT_GROWSDOWN) == 0
    assert ranges(mm) == [(0, 3), (3, 4)]


def test_accounting_decides_merges(mm):
    """What was writable and written to stays accounted for, so it is not like its neighbour."""
    assert mm.mprotect(AT, PAGE, PROT_READ) == 0
    assert not mm.vma_lookup(AT).vm_flags & VM_ACCOUNT
    assert mm.mprotect(AT, PAGE, RW) == 0
    assert mm.vma_lookup(AT).vm_flags & VM_ACCOUNT
    assert ranges(mm) == [(0, 4), (5, 9)]
    assert mm.write_fault(AT) == 0
    assert mm.mprotect(AT, PAGE, PROT_READ) == 0
    assert mm.vma_lookup(AT).vm_flags & VM_ACCOUNT
    mm.mmap(AT + 4 * PAGE, PAGE, RW, PRIVATE | MAP_FIXED | MAP_NORESERVE)
    assert ranges(mm) == [(0, 1), (1, 4), (4, 5), (5, 9)]


def test_neighbours_share_what_was_written():
    mm = MemoryManager(Machine(arches.get("x86_64"))).new_mm()
    mm.mmap(AT, PAGE, RW, PRIVATE | MAP_FIXED)
    mm.mmap(AT + PAGE, PAGE, PROT_READ, PRIVATE | MAP_FIXED)
    mm.mmap(AT + 2 * PAGE, PAGE, RW, PRIVATE | MAP_FIXED)
    mm.vma_lookup(AT + PAGE).vm_flags |= VM_ACCOUNT
    for page in (0, 2, 1):
        assert mm.write_fault(AT + page * PAGE) == 0
    one, two, three = mm
    assert one.anon_vma != two.anon_vma == three.anon_vma  # the one behind is asked first
    assert mm.mprotect(AT + PAGE, PAGE, RW) == 0
    assert ranges(mm) == [(0, 1), (1, 3)]  # two anon_vmas never become one


def test_a_private_page_of_a_parent_is_not_merged(mm):
    mm.write_fault(AT)
    child, _ = mm.fork()
    assert child.mmap(AT + 4 * PAGE, PAGE, RW, PRIVATE | MAP_FIXED) == AT + 4 * PAGE
    assert ranges(child) == [(0, 4), (4, 9)]  # with what nobody has written to
    assert mm.mmap(AT + 4 * PAGE, PAGE, RW, PRIVATE | MAP_FIXED) == AT + 4 * PAGE
    assert ranges(mm) == [(0, 9)]


@pytest.mark.parametrize(
    ("args", "ret"),
    [
        ((AT + 1, PAGE, PAGE), -errno.EINVAL),
        ((AT, PAGE, 0), -errno.EINVAL),
        ((AT, PAGE, PAGE, 8), -errno.EINVAL),
        ((AT, PAGE, PAGE, MREMAP_FIXED, AT + 64 * PAGE), -errno.EINVAL),
        ((AT, PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP), -errno.EINVAL),
        ((AT + 4 * PAGE, PAGE, PAGE), -errno.EFAULT),
        ((AT, 6 * PAGE, 8 * PAGE, MREMAP_MAYMOVE), -errno.EFAULT),
        ((AT, 0, PAGE, MREMAP_MAYMOVE), -errno.EINVAL),
        ((AT, PAGE, 2 * PAGE), -errno.ENOMEM),
        ((AT, 4 * PAGE, 6 * PAGE), -errno.ENOMEM),
        ((AT, 4 * PAGE, 5 * PAGE), AT),
        ((AT, 2 * PAGE, 2 * PAGE, 3, AT + PAGE), -errno.EINVAL),
        ((AT, PAGE, PAGE, 3, AT + 1), -errno.EINVAL),
        ((AT, PAGE, PAGE, 3, 1 << 48), -errno.EINVAL),
        ((AT, PAGE, PAGE, 3, AT + 64 * PAGE), AT + 64 * PAGE),
        ((AT, 2 * PAGE, PAGE, 3, AT + 6 * PAGE), AT + 6 * PAGE),
    ],
)
def test_mremap(mm, args, ret):
    assert mm.mremap(*args) == ret
    assert mm.kernel.mt_validate(mm.mm_mt)


def test_mremap_of_what_may_not_grow(mm):
    mm.vma_lookup(AT).vm_flags |= VM_DONTEXPAND
    assert mm.mremap(AT, 4 * PAGE, 5 * PAGE) == -errno.EFAULT
    assert mm.mremap(AT, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP) == -errno.EINVAL


def test_mremap_doubles_shared_memory():
    mm = MemoryManager(Machine(arches.get("x86_64"))).new_mm()
    mm.mmap(AT, 4 * PAGE, RW, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED)
    new = mm.mremap(AT, 0, 2 * PAGE, MREMAP_MAYMOVE)
    one, two = mm
    assert (one.vm_start, two.vm_start, one.vm_file) == (AT, new, two.vm_file)


def test_a_move_out_of_the_middle(mm):
    new = mm.mremap(AT + PAGE, 2 * PAGE, 2 * PAGE, 3, AT + 64 * PAGE)
    assert new == AT + 64 * PAGE
    assert ranges(mm) == [(0, 1), (3, 4), (5, 9), (64, 66)]
    assert all(vma.vm_flags & VM_ACCOUNT for vma in mm)
    assert mm.vma_lookup(new).vm_pgoff == new // PAGE  # nobody has written to it


def test_what_was_written_keeps_its_offset(mm):
    mm.write_fault(AT)
    new = mm.mremap(AT, 4 * PAGE, 4 * PAGE, 3, AT + 64 * PAGE)
    assert mm.vma_lookup(new).vm_pgoff == AT // PAGE


def test_a_locked_range_that_stays(mm):
    assert mm.mlock(AT + PAGE, 2 * PAGE, VM_LOCKED) == 0
    how = MREMAP_MAYMOVE | MREMAP_DONTUNMAP
    new = mm.mremap(AT + PAGE, PAGE, PAGE, how, AT + 64 * PAGE)
    assert ranges(mm) == [(0, 1), (1, 2), (2, 3), (3, 4), (5, 9), (64, 65)]
    assert [bool(vma.vm_flags & VM_LOCKED) for vma in mm] == [
        *(False, False, True),
        *[False] * 2,
        True,
    ]
    assert mm.vma_lookup(new).vm_flags & VM_LOCKED


@pytest.mark.parametrize(
    ("args", "err", "wanted"),
    [
        ((AT + 1, PAGE, MADV_RANDOM), errno.EINVAL, 2),
        ((AT, (1 << 64) - 1, MADV_RANDOM), errno.EINVAL, 2),
        ((AT, 0, MADV_RANDOM), 0, 2),
        ((AT, PAGE, MADV_DONTNEED), 0, 2),
        ((AT, PAGE, MADV_RANDOM), 0, 3),
        ((AT, PAGE, MADV_DODUMP), 0, 2),
        ((AT, PAGE, MADV_DONTDUMP), 0, 3),
        ((AT, PAGE, MADV_MERGEABLE), 0, 3),
        ((AT, PAGE, MADV_HUGEPAGE), 0, 3),
        ((AT, 9 * PAGE, MADV_SEQUENTIAL), errno.ENOMEM, 2),  # the gap is told, the rest is done
        ((AT + 3 * PAGE, 3 * PAGE, MADV_SEQUENTIAL), errno.ENOMEM, 4),
        ((AT + 4 * PAGE, PAGE, MADV_RANDOM), errno.ENOMEM, 2),
        ((AT + 64 * PAGE, PAGE, MADV_RANDOM), errno.ENOMEM, 2),
    ],
)
def test_madvise(mm, args, err, wanted):
    assert mm.madvise(*args) == -err
    assert len(ranges(mm)) == wanted


def test_madvise_refuses(mm):
    vma = mm.vma_lookup(AT)
    vma.vm_flags |= VM_IO
    assert mm.madvise(AT, PAGE, MADV_DOFORK) == -errno.EINVAL
    assert mm.madvise(AT, PAGE, MADV_DODUMP) == -errno.EINVAL
    mm.mmap(AT, 4 * PAGE, RW, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED)
    assert mm.madvise(AT, PAGE, MADV_WIPEONFORK) == -errno.EINVAL
    assert mm.madvise(AT, PAGE, MADV_MERGEABLE) == 0
    assert ranges(mm) == [(0, 4), (5, 9)]


def test_advice_taken_back_merges(mm):
    assert mm.madvise(AT + PAGE, PAGE, MADV_HUGEPAGE) == 0
    assert mm.madvise(AT + PAGE, PAGE, MADV_NOHUGEPAGE) == 0
    assert ranges(mm) == [(0, 1), (1, 2), (2, 4), (5, 9)]
    assert mm.madvise(AT, 4 * PAGE, MADV_NOHUGEPAGE) == 0
    assert ranges(mm) == [(0, 4), (5, 9)]


def test_mlock(mm):
    assert mm.mlock(AT + 0x10, 1, VM_LOCKED) == 0
    assert ranges(mm) == [(0, 1), (1, 4), (5, 9)]
    assert mm.mlock(AT, 0, VM_LOCKED) == 0
    assert mm.mlock(AT + 3 * PAGE, 2 * PAGE, VM_LOCKED) == -errno.ENOMEM
    assert mm.mlock(AT + 2 * PAGE, 4 * PAGE, VM_LOCKED) == -errno.ENOMEM
    assert mm.mlock(AT + 64 * PAGE, PAGE, VM_LOCKED) == -errno.ENOMEM
    assert mm.mlockall(VM_LOCKED) == 0
    assert ranges(mm) == [(0, 4), (5, 9)]
    assert all(vma.vm_flags & VM_LOCKED for vma in mm)
    assert mm.mlockall(0) == 0
    assert not any(vma.vm_flags & VM_LOCKED for vma in mm)


def test_what_closes_is_not_merged_away():
    mm = MemoryManager(Machine(arches.get("x86_64"))).new_mm()
    file = mm.manager.new_file()
    for page in (0, 1, 2):
        mm.mmap(
            AT + page * PAGE,
            PAGE,
            PROT_READ if page == 1 else RW,
            MAP_SHARED | MAP_FIXED,
            file,
            page * PAGE,
        )
    for vma in mm:
        vma.vm_ops = CLOSING_OPS
    assert mm.mprotect(AT + PAGE, PAGE, RW) == 0
    assert ranges(mm) == [(0, 1), (1, 2), (2, 3)]


@pytest.mark.parametrize(
    ("args", "err"),
    [((AT + 1, PAGE), errno.EINVAL), ((AT, 0), errno.EINVAL), ((1 << 47, PAGE), errno.EINVAL)],
)
def test_munmap(mm, args, err):
    assert mm.munmap(*args) == -err
    assert mm.munmap(AT + 4 * PAGE, PAGE) == 0  # a gap


def test_mmap_refuses(mm):
    file = mm.manager.new_file()
    assert mm.mmap(0, PAGE, RW, MAP_ANONYMOUS) == -errno.EINVAL  # neither private nor shared
    assert mm.mmap(0, PAGE, RW, MAP_PRIVATE, file, 0x10) == -errno.EINVAL
    assert mm.mmap(0, PAGE, RW, MAP_PRIVATE | MAP_GROWSDOWN, file) == -errno.EINVAL


def test_a_limit_on_vmas(mm, monkeypatch):
    for module in ("mapping", "merge", "unmap", "remap"):
        monkeypatch.setattr(f"layout.mm.{module}.MAX_MAP_COUNT", 3)
    assert mm.mprotect(AT + PAGE, PAGE, PROT_READ) == -errno.ENOMEM  # two more would be needed
    assert mm.map_count == 3
    assert mm.munmap(AT + 6 * PAGE, PAGE) == -errno.ENOMEM
    assert mm.mremap(AT, PAGE, PAGE, 3, AT + 64 * PAGE) == -errno.ENOMEM
    assert mm.mmap(AT + 64 * PAGE, PAGE, RW, PRIVATE) == AT + 64 * PAGE
    assert mm.mmap(AT + 128 * PAGE, PAGE, RW, PRIVATE) == -errno.ENOMEM


def test_stack_growth_fails_without_memory():
    mm = MemoryManager(Machine(arches.get("x86_64"))).new_mm()
    mm.mmap(AT, PAGE, RW, PRIVATE | MAP_FIXED | MAP_GROWSDOWN)
    mm.manager.fail_step(0)
    assert mm.expand_stack(AT - 1) is None
    assert ranges(mm) == [(0, 1)]
    mm.manager.fail_step(0)
    assert mm.write_fault(AT) == -errno.ENOMEM
    assert mm.write_fault(AT - 1) == 0
    assert ranges(mm) == [(-1, 1)]
    vma = mm.vma_lookup(AT)
    assert mm.expand_downwards(vma, 0x1000) == -errno.EPERM
    vma.vm_pgoff = 0
    assert mm.expand_downwards(vma, AT - 0x2000) == -errno.ENOMEM
    vma.vm_flags &= ~MAP_GROWSDOWN
    assert mm.expand_downwards(vma, AT - 0x2000) == -errno.EFAULT
    cache = mm.machine.cache
    mm.exit_mmap()
    assert cache.allocated == cache.freed


def test_shrinking_a_vma(mm):
    vma = mm.vma_lookup(AT)
    for start, end in ((AT + PAGE, AT + 4 * PAGE), (AT + PAGE, AT + 2 * PAGE)):
        vmi = mm.vma_iterator(vma.vm_start)
        mm.vma_iter_load(vmi)
        assert mm.vma_shrink(vmi, vma, start, end, start // PAGE) == 0
    assert ranges(mm) == [(1, 2), (5, 9)]
