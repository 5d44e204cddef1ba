"""A captured process meets R1: where, in which order of calls, and with which failing address."""

from __future__ import annotations

import pytest

import arches
from layout.defects import find, get
from layout.defects.r1process import ABOVE, HIGH, process
from layout.defects.scenes import trial
from layout.defects.stage import Seen, Stage
from layout.memory.errors import MachineFault
from layout.mm.vm_flags import MAP_ANONYMOUS, MAP_PRIVATE, PROT_READ

ASKED = {"x86_64": HIGH, "s390x": HIGH, "sparc64": ABOVE}
META = "0e00000000000000"


def stood(arch, *, faulty):
    return process(Stage(arches.get(arch), get("R1b").kernel if faulty else None, Seen()))


def mmap(mm, address):
    return mm.mmap(address, mm.page_size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS)


def names(mm):
    return [call.split(" = ")[0] for call in mm.calls]


@pytest.mark.parametrize("faulty", [False, True])
def test_one_leaf_with_15_slots(arch, faulty):
    mm = stood(arch, faulty=faulty)
    root = mm.mem.ma_root(mm.mm_mt)
    assert root >> 3 & 0xF == 1  # a leaf
    leaf = root & ~0xFF
    assert mm.mem.meta_end(leaf, 1) == 14
    assert mm.mem.read(leaf + 248, 8).hex() == META  # the same bytes on all machines
    assert mm.mem.slot(leaf, 1, 15) == (0xE if arch == "x86_64" else 0x0E00000000000000)


@pytest.mark.parametrize(
    ("arch", "words"),
    [
        ("s390x", f"Failing address: {META}"),
        ("sparc64", f"paging request at virtual address {META}"),
    ],
)
def test_it_fails_as_in_the_reports(arch, words):
    mm = stood(arch, faulty=True)
    with pytest.raises(MachineFault, match=words) as stop:
        mmap(mm, ASKED[arch])
    assert stop.value.address == 0x0E00000000000000
    assert names(mm) == ["mas_find", "mas_next", "mas_prev"]
    assert mm.calls[0] == f"mas_find = {0:016x}"
    assert mm.calls[1] == f"mas_next = {META}"


def test_it_works_without(arch):
    mm = stood(arch, faulty=False)
    last = list(mm)[-1]
    address = mmap(mm, ASKED[arch])
    assert mm.vma_lookup(address).vm_start == address
    assert names(mm)[:3] == ["mas_find", "mas_next", "mas_prev"]
    if arch == "x86_64":
        assert address < last.vm_start
    else:
        assert address == ASKED[arch] > last.vm_end
        assert mm.calls[1:] == [f"mas_next = {0:016x}", f"mas_prev = {last.address:016x}"]


def test_page_tables_of_five_levels():
    mm = stood("s390x", faulty=False)
    assert mm.table_limit == 1 << 42
    assert mmap(mm, 1 << 54) == 1 << 54
    assert mm.table_limit > 1 << 53


def test_why_x86_64_did_not_see_it():
    # what asks for 1UL << 54 gets a place below the stack: there is a next VMA
    mm = stood("x86_64", faulty=True)
    stack = list(mm)[-1]
    address = mmap(mm, 1 << 54)
    assert address < stack.vm_start
    assert mm.calls[1] != "mas_next = 000000000000000e"
    # with 15 slots in use, the same word is there for who asks for a place above the stack
    mm = stood("x86_64", faulty=True)
    with pytest.raises(MachineFault, match="NULL pointer dereference, address: 000000000000000e"):
        mmap(mm, stack.vm_end + 0x100000)
    assert mm.calls[1] == "mas_next = 000000000000000e"
    # and with 17 it is not: the last slot is no metadata then
    mm = stood("x86_64", faulty=True)
    mmap(mm, 0)
    mm.mprotect(0x585000, 0x1000, 0)
    assert mmap(mm, stack.vm_end + 0x100000) > stack.vm_end


def test_verdicts(arch):
    found = trial(get("R1b"), arches.get(arch))
    assert found.outcome == ("ok" if arch == "x86_64" else "fault")
    assert (found.correct, found.as_documented) == ("ok", True)
    assert "read past data end" in found.checker  # on every machine


def test_the_name_of_the_bug_finds_all_of_it():
    assert [defect.id for defect in find("r1")] == ["R1", "R1b", "R1c"]
    assert get("R1").id == "R1"
