"""A child in slot 16, on machines that have one."""

from __future__ import annotations

import pytest
from machines import THREE

from layout.defects import operations
from layout.defects.d3 import TRACE
from layout.machine.equip import equip


@pytest.mark.parametrize("arch", ["arm", "mips", "m68k", "i386", "hppa"])
def test_going_back_from_slot_16_finds_nothing(played, arch):
    _, lines = played(arch, TRACE, "D3")
    _, right = played(arch, TRACE)
    assert (lines[-2]["op"], lines[-2]["entry"], right[-2]["entry"]) == ("cprev", "0", "2a01e100")
    assert lines[-1] == right[-1]  # going down is not affected


@pytest.mark.parametrize("arch", THREE)
def test_nothing_on_64_bit_machines(played, arch):
    bad, lines = played(arch, TRACE, "D3")
    good, right = played(arch, TRACE)
    assert lines == right
    assert bad.mem.near_cells() == good.mem.near_cells()


def test_slots_as_read():
    old, new = equip("arm", kernels=operations(["D3"])).kernel, equip("arm").kernel
    words = [0x10000000 | slot << 3 | 6 for slot in (0, 15, 16, 31)]
    assert [new.seam_slot_of_parent_word(word) for word in words] == [0, 15, 16, 31]
    assert [old.seam_slot_of_parent_word(word) for word in words] == [0, 15, 0, 15]
