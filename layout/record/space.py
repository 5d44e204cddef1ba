"""One address space of a log: the mm layer repeats the successful calls with their results.

Addresses are taken from the results in the log, not searched for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from layout.mm import vm_flags as mm_flags
from layout.mm.vm_flags import (
    CLOSING_OPS,
    MAP_ANONYMOUS,
    MAP_FIXED,
    MAP_HUGETLB,
    MAP_PRIVATE,
    MAP_SHARED,
    MAP_SHARED_VALIDATE,
    MAP_TYPE,
    MREMAP_DONTUNMAP,
    MREMAP_FIXED,
    MREMAP_MAYMOVE,
    PROT_GROWSDOWN,
    PROT_READ,
    PROT_WRITE,
    VM_LOCKED,
    VM_LOCKED_MASK,
    VM_LOCKONFAULT,
)
from layout.record.ranges import Ranges
from layout.record.strace import flags, number

if TYPE_CHECKING:
    from collections.abc import Callable

    from layout.mm.manager import MemoryManager
    from layout.mm.mm_struct import MmStruct
    from layout.record.strace import Call

_EXTRA = {
    "MAP_32BIT": 0x40,
    "MAP_ABOVE4G": 0x80,
    "MAP_DENYWRITE": 0x800,
    "MAP_EXECUTABLE": 0x1000,
    "MAP_POPULATE": 0x8000,
    "MAP_NONBLOCK": 0x10000,
    "MAP_UNINITIALIZED": 0x4000000,
    "MAP_FILE": 0,
    "MAP_ANON": MAP_ANONYMOUS,
    "MAP_DROPPABLE": 0x8,
    "MAP_HUGE_SHIFT": 26,
    "MAP_HUGE_2MB": 21 << 26,
    "MAP_HUGE_1GB": 30 << 26,
    "MAP_HUGE_MASK": 0x3F,
    "PROT_SEM": 0x8,
}
NAMES = _EXTRA | {
    name: value
    for name, value in vars(mm_flags).items()
    if name.startswith(("PROT_", "MAP_", "MREMAP_", "MADV_"))
}
_HUGE_PAGE = 21
_CL_LOCK = {"MLOCK_ONFAULT": 1, "MCL_CURRENT": 1, "MCL_FUTURE": 2, "MCL_ONFAULT": 4}


class NotUnderstood(Exception):  # noqa: N818 - a finding about a line
    """A call with invalid arguments, or for which the log has too little information."""


class Space:
    """An address space, the processes in it, and the pages that calls have made or changed.

    ``touched`` are the addresses that logged calls made, changed or removed; ``changed`` those
    of the last call. ``born`` is the fork that made it, if it is a copy, ``wrong`` whether that
    was at another moment. ``notes`` collects what does not fit, to be taken by the caller.
    """

    def __init__(self, manager: MemoryManager, mm: MmStruct) -> None:
        self.manager = manager
        self.mm = mm
        self.users: set[int | None] = set()
        self.touched = Ranges()
        self.changed: list[tuple[int, int]] = []
        self.heap_known = False
        self.born: Call | None = None
        self.wrong = False
        self.shm_sizes: dict[int, int] = {}
        self.notes: list[str] = []
        self._files: dict[str, int] = {}
        self._calls: dict[str, Callable[[list[str], int], None]] = {
            name[6:]: getattr(self, name) for name in dir(self) if name.startswith("_call_")
        }

    def fork(self) -> Space:
        """A copy for another process."""
        mm, err = self.mm.fork()
        assert err == 0  # nothing makes it fail here
        new = Space(self.manager, mm)
        new.touched = self.touched.copy()
        new.heap_known = self.heap_known
        new.wrong = self.wrong
        new.shm_sizes = dict(self.shm_sizes)
        new._files = dict(self._files)
        return new

    def carry_out(self, call: Call) -> None:
        """Do what a call did. Raises NotUnderstood; then nothing was done."""
        self.changed = []
        if call.succeeded and call.result is not None:
            try:
                self._calls[call.name](call.args, call.result)
            except NotUnderstood:
                self.changed = []
                raise
        for start, end in self.changed:
            self.touched.add(start, end)

    def _touch(self, start: int, length: int) -> int:
        """Note that a call is about this range; returns its end, page-aligned."""
        end = start + self.mm.page_align(length)
        if start % self.mm.page_size or not start <= end <= self.mm.space.task_size:
            message = f"{start:#x} and {length:#x} are no range of pages"
            raise NotUnderstood(message)
        self.changed.append((start, end))
        return end

    def _check_range(self, start: int, length: int) -> None:
        """Refuse a range that no process has: a call on it can't have succeeded."""
        if start + length > self.mm.space.task_size:
            message = f"{start:#x} and {length:#x} are no range of a process"
            raise NotUnderstood(message)

    def _check(self, what: str, ret: int) -> None:
        if ret < 0:
            self.notes.append(f"{what} worked there and gives {ret} here")

    # -- arguments

    def _numbers(self, args: list[str], *indexes: int) -> list[int]:
        found = []
        for i in indexes:
            value = number(args[i]) if i < len(args) else None
            if value is None or not 0 <= value <= self.mm.ulong_max:
                shown = args[i] if i < len(args) else "nothing"
                message = f"argument {i + 1} is {shown[:40]!r}, not a number"
                raise NotUnderstood(message)
            found.append(value)
        return found

    def _flags(self, args: list[str], index: int, known: dict[str, int] = NAMES) -> int:
        if index >= len(args):
            message = f"argument {index + 1} is missing"
            raise NotUnderstood(message)
        value, unknown = flags(args[index], known)
        if unknown:
            self.notes.append(f"{', '.join(unknown)} not known, left out")
        return value

    def _file(self, text: str) -> int:
        """The identity of a file: its path where the log has it (-y), else the descriptor."""
        if text not in self._files:
            self._files[text] = self.manager.new_file()
        return self._files[text]

    # -- calls

    def _call_mmap(self, args: list[str], result: int) -> None:
        [length] = self._numbers(args, 1)
        prot, map_flags = self._flags(args, 2), self._flags(args, 3)
        if map_flags & MAP_HUGETLB:
            huge = 1 << (map_flags >> 26 & 0x3F or _HUGE_PAGE)
            length = -(-length // huge) * huge
        anonymous = bool(map_flags & MAP_ANONYMOUS)
        offset = 0
        if not anonymous:
            [offset] = self._numbers(args, 5)
        file = 0 if anonymous else self._file(args[4])
        self._place(result, length, prot, map_flags, file, offset)

    def _place(  # noqa: PLR0913 - the arguments of mmap()
        self, start: int, length: int, prot: int, map_flags: int, file: int = 0, offset: int = 0
    ) -> None:
        mm = self.mm
        end = self._touch(start, length)
        if end == start:
            message = "nothing is mapped by it"
            raise NotUnderstood(message)
        fixed = map_flags & MAP_FIXED
        if not fixed and mm.find_vma_intersection(start, end) is not None:
            self.notes.append(
                f"the kernel gave {start:x}-{end:x}, which is in use here: "
                "the log lacks the call that freed it"
            )
        vm_flags = mm.vm_flags_of(prot, map_flags)
        of_file = file or map_flags & MAP_TYPE in (MAP_SHARED, MAP_SHARED_VALIDATE)
        pgoff = (offset if of_file else start) // mm.page_size
        self._check("mmap", mm.mmap_region(start, end - start, vm_flags, pgoff, file))
        mm.mmap_write_unlock()

    def _call_map_shadow_stack(self, args: list[str], result: int) -> None:
        [length] = self._numbers(args, 1)
        flags_ = MAP_PRIVATE | MAP_ANONYMOUS
        self._place(result, length, PROT_READ | PROT_WRITE, flags_)

    def _call_munmap(self, args: list[str], result: int) -> None:  # noqa: ARG002
        start, length = self._numbers(args, 0, 1)
        self._touch(start, length)
        self._check("munmap", self.mm.munmap(start, length))

    def _call_mprotect(self, args: list[str], result: int) -> None:  # noqa: ARG002
        start, length = self._numbers(args, 0, 1)
        prot = self._flags(args, 2)
        if not length:
            return
        end = self._touch(start, length)
        self._fill(start, end)
        self._check("mprotect", self.mm.mprotect(start, end - start, prot & ~PROT_GROWSDOWN))

    _call_pkey_mprotect = _call_mprotect

    def _fill(self, start: int, end: int) -> None:
        """Make the pages of a range that the log takes for granted: execve() made them.

        They are taken for a private writable mapping of a file of their own.
        """
        mm = self.mm
        missing = Ranges()
        missing.add(start, end)
        for first, last, _ in mm.entries(start, end):
            missing.remove(first, last + 1)
        for low, high in list(missing):
            vm_flags = mm.vm_flags_of(PROT_READ | PROT_WRITE, MAP_PRIVATE)
            pgoff = low // mm.page_size
            mm.mmap_region(low, high - low, vm_flags, pgoff, self._file("execve"))
            mm.mmap_write_unlock()

    def _call_mremap(self, args: list[str], result: int) -> None:
        mm = self.mm
        old, old_len, new_len = self._numbers(args, 0, 1, 2)
        how = self._flags(args, 3)
        page = mm.page_align
        if old_len:
            self._fill(old, self._touch(old, old_len))
        if self._touch(result, new_len) == result:
            message = "nothing is left by it"
            raise NotUnderstood(message)
        if how & MREMAP_FIXED or how & MREMAP_DONTUNMAP:
            ret = mm.mremap(old, old_len, new_len, how, result)
        elif result == old:
            ret = mm.mremap(old, old_len, new_len, how & ~MREMAP_MAYMOVE)
        else:
            if mm.find_vma_intersection(result, result + page(new_len)) is not None:
                self.notes.append(f"the kernel moved to {result:x}, which is in use here")
                mm.do_munmap(result, new_len)
            vma, ret = mm.vma_to_resize(old, page(old_len), page(new_len), how)
            if vma is not None:
                ret = mm.move_vma(vma, old, page(old_len), page(new_len), result, how)
            mm.mmap_write_unlock()
        if ret != result:
            self._check("mremap", min(ret, -1))

    def _call_brk(self, args: list[str], result: int) -> None:
        mm = self.mm
        [wanted] = self._numbers(args, 0)
        if not 0 < result <= mm.space.task_size:
            message = f"{result:#x} is no address of a process"
            raise NotUnderstood(message)
        if not self.heap_known:
            mm.start_brk = mm.brk_end = result
            self.heap_known = True
            if wanted:
                self.notes.append("no brk(NULL) before it: the heap is taken to begin here")
            return
        if result == mm.brk_end:
            return
        if wanted != result:
            self.notes.append(f"the heap ends at {result:x}, at {mm.brk_end:x} here")
        old, new = mm.page_align(mm.brk_end), mm.page_align(result)
        self._touch(min(old, new), abs(new - old))
        if mm.brk(result) != result:
            self.notes.append(f"brk({result:x}) worked there and fails here")

    def _call_madvise(self, args: list[str], result: int) -> None:  # noqa: ARG002
        start, length = self._numbers(args, 0, 1)
        self._check_range(start, length)
        advice = NAMES.get(args[2], number(args[2])) if len(args) > 2 else None
        if advice is not None:  # advice without a name here does not change VMAs
            self.mm.madvise(start, length, advice)

    def _call_mlock(self, args: list[str], result: int) -> None:  # noqa: ARG002
        start, length = self._numbers(args, 0, 1)
        self._check_range(start, length)
        self.mm.mlock(start, length, VM_LOCKED)

    def _call_mlock2(self, args: list[str], result: int) -> None:  # noqa: ARG002
        start, length = self._numbers(args, 0, 1)
        self._check_range(start, length)
        how = self._flags(args, 2, _CL_LOCK)
        self.mm.mlock(start, length, VM_LOCKED_MASK if how & 1 else VM_LOCKED)

    def _call_munlock(self, args: list[str], result: int) -> None:  # noqa: ARG002
        start, length = self._numbers(args, 0, 1)
        self._check_range(start, length)
        self.mm.mlock(start, length, 0)

    def _call_mlockall(self, args: list[str], result: int) -> None:  # noqa: ARG002
        how = self._flags(args, 0, _CL_LOCK)
        self.mm.def_flags = VM_LOCKED if how & 2 else 0
        if how & 4 and self.mm.def_flags:
            self.mm.def_flags |= VM_LOCKONFAULT
        if how & 1:
            self.mm.mlockall(VM_LOCKED_MASK if how & 4 else VM_LOCKED)

    def _call_munlockall(self, args: list[str], result: int) -> None:  # noqa: ARG002
        self.mm.def_flags = 0
        self.mm.mlockall(0)

    # -- SysV shared memory, if it is in the log

    def _call_shmget(self, args: list[str], result: int) -> None:
        [size] = self._numbers(args, 1)
        self.shm_sizes[result] = size

    def _call_shmat(self, args: list[str], result: int) -> None:
        [number_] = self._numbers(args, 0)
        if number_ not in self.shm_sizes:
            message = "its size is not in the log: trace shmget too"
            raise NotUnderstood(message)
        prot = PROT_READ if "SHM_RDONLY" in "".join(args[2:]) else PROT_READ | PROT_WRITE
        length = self.shm_sizes[number_]
        self._place(result, length, prot, MAP_SHARED, self._file(f"shm{number_}"))
        vma = self.mm.vma_lookup(result)
        if vma is not None:
            vma.vm_ops = CLOSING_OPS

    def _call_shmdt(self, args: list[str], result: int) -> None:  # noqa: ARG002
        [start] = self._numbers(args, 0)
        vma = self.mm.vma_lookup(start)
        if vma is None or vma.vm_ops != CLOSING_OPS:
            message = f"nothing was attached at {start:x}"
            raise NotUnderstood(message)
        length = vma.vm_end - vma.vm_start
        self._touch(start, length)
        self.mm.munmap(start, length)
