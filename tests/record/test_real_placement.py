"""The search for free addresses against a real kernel's answers.

The programs ran on an x86_64 machine without address randomisation (setarch -R), where mmap_base
is what arches/ says. Where a program left the choice to the kernel, the mm layer must choose alike.
"""

import lzma
from pathlib import Path

import pytest

import arches
from layout.machine.machine import Machine
from layout.mm.manager import MemoryManager
from layout.mm.vm_flags import MAP_ANONYMOUS
from layout.record import maps, strace
from layout.record.processes import MEMORY
from layout.record.space import NAMES, Space
from layout.record.start import link_maps

STRACE = Path(__file__).parents[2] / "fixtures/strace"


def from_execve(mappings, program):
    """The mappings that execve() made: the program, ld.so, their bss, and the kernel's own."""
    found = []
    for mapping in mappings:
        name = mapping.name
        bss = not name and bool(found) and found[-1].end == mapping.start
        bss = bss and found[-1].name in (program, "/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2")
        special = name.startswith("[") and name != "[heap]"
        if special or bss or name == program or "/ld-linux" in name:
            found.append(mapping)
    return found


@pytest.mark.parametrize(
    ("log", "program", "choices"),
    [
        ("fixed-calls", "/usr/local/bin/stress", 114),
        ("fixed-python3", "/usr/bin/python3.11", 84),
    ],
)
def test_the_kernel_chose_the_same(log, program, choices):
    text = lzma.decompress((STRACE / f"{log}.log.xz").read_bytes()).decode()
    mappings = maps.parse((STRACE / f"{log}.maps").read_text(encoding="ascii"), log)
    manager = MemoryManager(Machine(arches.get("x86_64")))
    space = Space(manager, manager.new_mm())
    mm = space.mm
    link_maps(mm, from_execve(mappings, program))
    found = []
    for call in strace.parse(text, MEMORY).calls:
        length, flags, file = 0, 0, 0
        if call.name == "mmap" and call.args[0] == "NULL":
            length = int(call.args[1])
            flags, _ = strace.flags(call.args[3], NAMES)
            file = 0 if flags & MAP_ANONYMOUS else 1
        elif call.name == "mremap" and call.succeeded and int(call.args[0], 16) != call.result:
            length = int(call.args[2])
        if length:
            chosen = mm.get_unmapped_area(0, mm.page_align(length), flags, 0, file)
            found.append((call.line, hex(chosen) == hex(call.result)))
        space.carry_out(call)
    assert [line for line, same in found if not same] == []
    assert len(found) == choices
