"""Random system calls on address spaces against a dictionary of pages, memory failing at times."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

import arches
from layout.machine.machine import Machine
from layout.mm.manager import MemoryManager
from layout.mm.vm_flags import (
    MADV_DOFORK,
    MADV_DONTFORK,
    MAP_ANONYMOUS,
    MAP_FIXED,
    MAP_PRIVATE,
    MAP_SHARED,
    MREMAP_DONTUNMAP,
    MREMAP_FIXED,
    VM_DONTCOPY,
    VM_EXEC,
    VM_MAYSHARE,
    VM_READ,
    VM_WRITE,
)

PAGES = 48
SEEN = VM_READ | VM_WRITE | VM_EXEC | VM_MAYSHARE | VM_DONTCOPY

pages = st.integers(0, PAGES - 1)
counts = st.sampled_from([1, 1, 2, 3, 5, 12])
prots = st.sampled_from([0, VM_READ, VM_READ | VM_WRITE, VM_READ | VM_WRITE, VM_READ | VM_EXEC])
failures = st.sampled_from([None] * 6 + [(who, n) for who in "vn" for n in range(4)])


class Space:
    """An address space and what is on its pages: number -> (flags, file, page of the file)."""

    def __init__(self, mm, pages):
        self.mm = mm
        self.pages = pages

    def real(self):
        """What the VMAs say."""
        size, found = self.mm.page_size, {}
        for vma in self.mm:
            flags, file, pgoff = vma.vm_flags & SEEN, vma.vm_file, vma.vm_pgoff
            first = vma.vm_start // size
            for i in range(vma.pages):
                found[first + i] = (flags, file, pgoff + i if file else None)
        return found


class AddressSpaces(RuleBasedStateMachine):
    arch = "x86_64"

    @initialize()
    def start(self):
        arch = arches.get(self.arch)
        self.manager = MemoryManager(Machine(arch), reuse_vmas=True)
        self.size = arch.page_size
        self.base = arch.space.mmap_base // self.size + (-PAGES if arch.space.topdown else 0)
        mm = self.manager.new_mm()
        mm.start_brk = mm.brk_end = 0x400000
        self.spaces = [Space(mm, {})]
        self.file = self.manager.new_file()
        self.calls = 0

    # -- carrying out

    def call(self, space, failure, work, touched, *, grows=False):
        """Carry out a call; on -ENOMEM only ``touched`` pages may have changed."""
        self.calls += 1
        if failure is not None:
            who, after = failure
            if who == "v":
                self.manager.fail_step(after)
            else:
                self.manager.machine.cache.fail(after, 2, nowait_only=False)
        ret = work()
        self.manager.fail_step(None)
        self.manager.machine.cache.fail(None, None, nowait_only=False)
        if ret == -12:
            real = space.real()
            for page in set(real) | set(space.pages):
                if page not in touched:
                    assert real.get(page) == space.pages.get(page), hex(page)
            assert failure is not None or grows or self.lacks_room(space, touched)
            space.pages = real
        return ret

    def lacks_room(self, space, touched):
        """Whether the range has gaps, for which mprotect and mremap answer -ENOMEM too."""
        return any(page not in space.pages for page in touched)

    def range(self, page, count):
        return (self.base + page) * self.size, count * self.size

    def some(self, index):
        return self.spaces[index % len(self.spaces)]

    def numbers(self, start, length):
        return range(start // self.size, (start + length) // self.size)

    # -- system calls

    @rule(
        index=pages,
        page=pages,
        count=counts,
        prot=prots,
        kind=st.sampled_from("apsf"),
        place=st.sampled_from("fhn"),
        failure=failures,
    )
    def mmap(self, index, page, count, prot, kind, place, failure):
        space = self.some(index)
        start, length = self.range(page, count)
        flags = MAP_SHARED if kind == "s" else MAP_PRIVATE
        file = self.file if kind in "fs" else 0
        offset = page * self.size if file else 0
        flags |= 0 if file else MAP_ANONYMOUS
        flags |= MAP_FIXED if place == "f" else 0
        wish = 0 if place == "n" else start
        touched = self.numbers(start, length) if place == "f" else ()
        ret = self.call(
            space, failure, lambda: space.mm.mmap(wish, length, prot, flags, file, offset), touched
        )
        if ret < 0:
            assert ret == -12 or (ret == -22 and kind == "s" and self.arch == "sparc64")
            return
        assert ret % self.size == 0
        made = self.numbers(ret, length)
        if place == "f":
            assert ret == start
        else:
            assert not any(number in space.pages for number in made)
        if place == "h" and kind in "ap":
            free = not any(number in space.pages for number in self.numbers(start, length))
            assert not free or ret == start
        seen = prot | (VM_MAYSHARE if kind == "s" else 0)
        for i, number in enumerate(made):
            space.pages[number] = (seen, file, page + i if file else None)

    @rule(index=pages, page=pages, count=counts, failure=failures)
    def munmap(self, index, page, count, failure):
        space = self.some(index)
        start, length = self.range(page, count)
        ret = self.call(space, failure, lambda: space.mm.munmap(start, length), ())
        if ret == 0:
            for number in self.numbers(start, length):
                space.pages.pop(number, None)

    @rule(index=pages, page=pages, count=counts, prot=prots, failure=failures)
    def mprotect(self, index, page, count, prot, failure):
        space = self.some(index)
        start, length = self.range(page, count)
        touched = self.numbers(start, length)
        ret = self.call(space, failure, lambda: space.mm.mprotect(start, length, prot), touched)
        if ret == 0:
            for number in touched:
                flags, *rest = space.pages[number]
                space.pages[number] = (flags & ~7 | prot, *rest)

    @rule(index=pages, page=pages, count=counts, fork=st.booleans(), failure=failures)
    def madvise(self, index, page, count, fork, failure):
        space = self.some(index)
        start, length = self.range(page, count)
        touched = self.numbers(start, length)
        advice = MADV_DOFORK if fork else MADV_DONTFORK
        ret = (
            space.mm.madvise(start, length, advice)
            if failure is None
            else self.call(
                space,
                failure,
                lambda: -12 if space.mm.madvise(start, length, advice) else 0,
                touched,
            )
        )
        if ret == 0 or failure is None:
            for number in touched:
                if number in space.pages:
                    flags, *rest = space.pages[number]
                    flags = flags & ~VM_DONTCOPY if fork else flags | VM_DONTCOPY
                    space.pages[number] = (flags, *rest)

    @rule(
        index=pages,
        page=pages,
        count=counts,
        new_count=counts,
        to=pages,
        how=st.sampled_from([0, 1, 1, 3, 5]),
        failure=failures,
    )
    def mremap(self, index, page, count, new_count, to, how, failure):
        space = self.some(index)
        start, length = self.range(page, count)
        new, _ = self.range(to, 1)
        keep, fixed = how & MREMAP_DONTUNMAP, how & MREMAP_FIXED
        new_length = length if keep else new_count * self.size
        old_pages = self.numbers(start, length)
        target = self.numbers(new, new_length) if fixed else ()
        touched = {*old_pages, *target}
        before = dict(space.pages)
        ret = self.call(
            *(
                space,
                failure,
                lambda: space.mm.mremap(start, length, new_length, how, new),
                touched,
            ),
            grows=new_length > length and not how,
        )
        if ret == -12:
            return
        if ret < 0:  # refused; by then the target or the end may be unmapped
            real = space.real()
            changed = {n for n in {*real, *before} if real.get(n) != before.get(n)}
            assert changed <= touched
            space.pages = real
            return
        made = self.numbers(ret, new_length)
        if not fixed and not keep and new_length <= length:
            gone, made = old_pages[len(made) :], ()
        else:
            gone = () if keep or ret == start else old_pages
        if failure is not None and gone and all(n in space.real() for n in gone[: len(made)]):
            # the kernel moves all the same if it has no memory to unmap the old pages
            gone = gone[len(made) :]
        for number in (*gone, *target):
            space.pages.pop(number, None)
        flags, file, offset = before.get(old_pages[0], (0, 0, 0))
        for i, number in enumerate(made):
            space.pages[number] = (flags, file, offset + i if file else None)

    @rule(index=pages, end=st.integers(0, 12), odd=st.integers(0, 100), failure=failures)
    def brk(self, index, end, odd, failure):
        space = self.some(index)
        mm, size = space.mm, self.size
        old = mm.brk_end
        wanted = mm.start_brk + end * size + odd
        got = []

        def work():
            got.append(mm.brk(wanted))
            return -12 if got[0] != wanted else 0

        if self.call(space, failure, work, ()) == 0:
            for number in range(mm.page_align(wanted) // size, mm.page_align(old) // size):
                space.pages.pop(number, None)
            for number in range(mm.page_align(old) // size, mm.page_align(wanted) // size):
                space.pages[number] = (mm.data_flags & 7, 0, None)
        else:
            assert got == [old]

    @rule(index=pages, page=pages)
    def write(self, index, page):
        space = self.some(index)
        start, _ = self.range(page, 1)
        vma = space.mm.find_vma(start)
        if vma is not None and vma.vm_start <= start:
            assert space.mm.write_fault(start) == 0

    # -- processes

    @rule(index=pages, failure=failures)
    def fork(self, index, failure):
        if len(self.spaces) > 3:
            return
        space = self.some(index)
        children = []

        def work():
            child, err = space.mm.fork()
            children.append(child)
            return err

        before = dict(space.pages)
        err = self.call(space, failure, work, ())
        assert space.real() == before
        if err:
            children[0].exit_mmap()
            return
        kept = {n: page for n, page in before.items() if not page[0] & VM_DONTCOPY}
        self.spaces.append(Space(children[0], kept))

    @rule(index=pages)
    def exit(self, index):
        if len(self.spaces) > 1:
            self.spaces.pop(index % len(self.spaces)).mm.exit_mmap()

    @rule(index=pages, page=pages)
    def read(self, index, page):
        space = self.some(index)
        start, _ = self.range(page, 1)
        vma = space.mm.lock_vma_under_rcu(start)
        assert (vma is not None) == (start // self.size in space.pages)

    # -- always

    @invariant()
    def alike(self):
        if not hasattr(self, "spaces"):
            return
        for space in self.spaces:
            assert space.real() == space.pages
            assert space.mm.map_count == len(list(space.mm))
            for first, last, entry in space.mm.entries():
                vma = space.mm.vma(entry)
                assert (vma.vm_start, vma.vm_end - 1) == (first, last)
                assert vma.vm_mm == space.mm.mm_mt
                assert not vma.detached
            assert space.mm.kernel.mt_validate(space.mm.mm_mt)
        assert len(self.manager.vmas.live) == sum(space.mm.map_count for space in self.spaces)
        assert self.manager.machine.kernel.warnings == 0

    def teardown(self):
        if not hasattr(self, "spaces"):
            return
        for space in self.spaces:
            space.mm.exit_mmap()
        assert not self.manager.vmas.live
        cache = self.manager.machine.cache
        assert cache.allocated == cache.freed


class OnS390x(AddressSpaces):
    arch = "s390x"


class OnSparc64(AddressSpaces):
    arch = "sparc64"


SETTINGS = settings(max_examples=25, stateful_step_count=40, deadline=None, derandomize=True)

TestX86_64 = AddressSpaces.TestCase
TestX86_64.settings = SETTINGS
TestS390x = OnS390x.TestCase
TestS390x.settings = SETTINGS
TestSparc64 = OnSparc64.TestCase
TestSparc64.settings = SETTINGS
