"""R1 as it was met: a process maps memory above all that it has (May 2022)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layout.defects.defect import Defect, Shows
from layout.defects.r1 import OldNext
from layout.mm.addressspace import AddressSpace
from layout.mm.manager import MemoryManager
from layout.mm.vm_flags import (
    MAP_ANONYMOUS,
    MAP_FIXED,
    MAP_PRIVATE,
    PROT_READ,
    PROT_WRITE,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from layout.defects.stage import Stage
    from layout.mm.vmas import Vma

HIGH = 1 << 54
"""What the s390x reproducer asked for: it takes page tables of five levels."""

ABOVE = 0xFFFFF80101000000
"""A place above all mappings on sparc64."""

PROCESSES = {
    "x86_64": (
        *((0x400000, 0x401000), (0x401000, 0x585000), (0x585000, 0x5DB000), (0x5DB000, 0x5E2000)),
        *((0x5E2000, 0x5E5000), (0x5E5000, 0x5EC000), (0x2B353000, 0x2B375000)),
        *((0x7FCFEE71D000, 0x7FCFEE721000), (0x7FCFEE721000, 0x7FCFEE723000)),
        (0x7FFDB7666000, 0x7FFDB7687000),
    ),
    "s390x": (
        *((0x1000000, 0x11EC000), (0x11EC000, 0x11F3000), (0x11F3000, 0x11F6000)),
        *((0x11F6000, 0x11FD000), (0x2D6C000, 0x2D8E000), (0x3FFC27DA000, 0x3FFC27FB000)),
        *((0x3FFC27FC000, 0x3FFC27FE000), (0x3FFC27FE000, 0x3FFC2800000)),
    ),
    "sparc64": (
        *((0x100000, 0x180000), (0x2FE000, 0x300000), (0x300000, 0x302000), (0x302000, 0x308000)),
        *((0x30A000, 0x32E000), (0x7FEFFDC8000, 0x7FEFFDEA000)),
        *((0xFFFFF801000C8000, 0xFFFFF801000CA000), (0xFFFFF801000CA000, 0xFFFFF801000CC000)),
    ),
}
"""The VMAs of a sleeping busybox, as captured on each machine: first byte, and behind the last."""

MMAP_BASES = {"x86_64": 0x7FCFEE723000, "s390x": 0x3FFBA7DA000}
"""Where their mappings start downwards, below the stack."""


class MmapRegion2022(AddressSpace):
    """mmap_region() that looks at the neighbours as it did in 2022; ``calls`` is what it saw."""

    def __init__(self, manager: MemoryManager, number: int) -> None:
        super().__init__(manager, number)
        self.calls: list[str] = []

    def _call(self, name: str, entry: int) -> Vma | None:
        self.calls.append(f"{name} = {self.arch.hex_pointer(entry)}")
        return self.vma(entry)

    def mmap_region(self, address: int, length: int, flags: int, pgoff: int, file: int = 0) -> int:
        """Ask what is there, what comes next and what was before; then map as today."""
        kernel, end = self.kernel, address + length
        mas = kernel.new_state(self.mm_mt, address, end - 1)
        self.calls.clear()
        there = self._call("mas_find", kernel.mas_find(mas, end - 1))
        if there is None:
            following = self._call("mas_next", kernel.mas_next(mas, kernel.ulong_max))
            self._call("mas_prev", kernel.mas_prev(mas, 0))
            if following is not None and following.vm_start == end:
                self.calls.append("it may merge with what follows")
        return super().mmap_region(address, length, flags, pgoff, file)


def process(stage: Stage) -> MmapRegion2022:
    """The captured process; what it did next, so that 15 slots of its one leaf are in use."""
    manager = MemoryManager(stage.machine, spaces=MmapRegion2022)
    mm = manager.new_mm()
    assert isinstance(mm, MmapRegion2022)
    mm.mmap_base = MMAP_BASES.get(stage.arch.name, mm.mmap_base)
    for start, end in PROCESSES[stage.arch.name]:
        prot = PROT_READ | PROT_WRITE
        mm.mmap(start, end - start, prot, MAP_PRIVATE | MAP_FIXED, manager.new_file())
    if stage.arch.name == "s390x":  # 13 slots so far
        mm.mmap(0, 0x100000, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS)
    elif stage.arch.name == "sparc64":  # 14
        mm.mprotect(0x306000, 0x2000, PROT_READ)
    return mm


def ask(stage: Stage, mm: MmapRegion2022, address: int) -> None:
    """Map a page where the process asks for it, and say what the neighbours were."""
    flags = MAP_PRIVATE | MAP_ANONYMOUS
    what = f"mmap({address:#x})"
    stage.attempt(what, lambda: mm.mmap(address, mm.page_size, PROT_READ, flags))
    stage.say(f"{what}: {', '.join(mm.calls)}")


def scene(stage: Stage) -> None:
    """The process asks for memory above all else, where the kernel gives it that."""
    ask(stage, process(stage), ABOVE if stage.arch.name == "sparc64" else HIGH)


def scene_above_the_stack(stage: Stage) -> None:
    """The process asks for a place above its stack."""
    ask(stage, process(stage), 0x7FFE00000000)


def _defect(
    letter: str,
    title: str,
    changes: str,
    scene: Callable[[Stage], None],
    shows: Mapping[str, Shows],
) -> Defect:
    return Defect(
        id=f"R1{letter}",
        title=f"the metadata byte pair comes back as an entry: {title}",
        kernels="before 6.1: linux-next of May 2022",
        fix=None,
        source=(
            "src: the reports; the processes are captured ones, their VMAs and mmap_region() this "
            "project's"
        ),
        changes=changes,
        kernel=OldNext,
        scene=scene,
        shows=shows,
        elsewhere=False,
    )


_HARMLESS = ("read past data end",)
"""What each mapping above all else does while fewer slots are in use: it reads a 0."""


def _crash(address: int, entry: int, kind: str) -> Shows:
    what, word = f"mmap({address:#x})", f"{entry:016x}"
    return Shows(
        "fault",
        f"{what}: mas_find = {0:016x}, mas_next = {word}, mas_prev = {0:016x}; "
        f"{what}: {kind} at {word}",
        (*_HARMLESS, "metadata read as slot"),
    )


_META = 0x0E00000000000000

DEFECTS = (
    _defect(
        "b",
        "a process maps memory above all else",
        "The process is a captured one with 15 slots in use in its one leaf. Its mmap() gets a "
        "place above all that it has: on s390x because it asks for 1UL << 54, on sparc64 because "
        "mappings lie above the stack. mmap_region() asks for the VMA there, the next and the "
        "previous one, and looks at the next one's vm_start. On x86_64 a process that asks for "
        "1UL << 54 gets a place below its stack like any other, so there always is a next VMA.",
        scene,
        {
            "x86_64": Shows("ok", "", _HARMLESS),
            "s390x": _crash(HIGH, _META, "unmapped"),
            "sparc64": _crash(ABOVE, _META, "unmapped"),
        },
    ),
    _defect(
        "c",
        "x86_64 has it too",
        "The same process on x86_64 asks for a place above its stack, as hardly any does. The "
        "next VMA is 0xe.",
        scene_above_the_stack,
        {"x86_64": _crash(0x7FFE00000000, 0xE, "null")},
    ),
)
