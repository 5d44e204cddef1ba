"""The metadata of a leaf comes back as an entry; values as the kernel's own code gave them."""

from __future__ import annotations

import pytest

from layout.defects import get, operations
from layout.machine.equip import equip
from layout.memory.errors import MachineFault
from layout.traces.runner import Runner
from layout.traces.trace import parse

WORDS = {"x86_64": 0xE, "s390x": 0x0E00000000000000, "sparc64": 0x0E00000000000000}


def lines(arch, defects):
    runner = Runner(equip(arch, kernels=operations(defects)))
    return runner, [runner.execute(op) for op in parse(get("R1").trace.split("\n"), 2**64 - 1)]


@pytest.mark.parametrize("arch", WORDS)
def test_next_returns_the_last_word_of_the_leaf(arch):
    runner, (*_, found, following) = lines(arch, ["R1"])
    assert found["entry"] == "0"
    assert (found["index"], found["last"], found["offset"]) == ("100fff", "100fff", 14)
    assert int(following["entry"], 16) == WORDS[arch]
    assert (following["offset"], following["index"]) == (15, "0")
    assert runner.mem.slot(0x1000000000, 1, 15) == WORDS[arch]


@pytest.mark.parametrize("arch", WORDS)
def test_the_kernel_of_today_answers_overflow(arch):
    _, (*_, found, following) = lines(arch, [])
    assert (found["entry"], found["index"], found["last"]) == ("0", "1d000", "f" * 16)
    assert (following["entry"], following["status"]) == ("0", "overflow")


@pytest.mark.parametrize("arch", WORDS)
def test_the_tree_itself_is_right(arch):
    bad, _ = lines(arch, ["R1"])
    good, _ = lines(arch, [])
    assert bad.mem.near_cells() == good.mem.near_cells()
    assert bad.kernel.mt_validate(bad.tree)


@pytest.mark.parametrize(
    ("arch", "kind", "words"),
    [
        ("x86_64", "null", "NULL pointer dereference, address: 000000000000000e"),
        ("s390x", "unmapped", "Failing address: 0e00000000000000"),
        ("sparc64", "unmapped", "paging request at virtual address 0e00000000000000"),
    ],
)
def test_the_caller_crashes(arch, kind, words):
    with pytest.raises(MachineFault, match=words) as stop:
        equip(arch).mem.read_word(WORDS[arch])
    assert stop.value.kind == kind


@pytest.mark.parametrize("arch", WORDS)
def test_the_loop_of_2022_is_right_otherwise(arch):
    ends = []
    for defects in ([], ["R1"]):
        kernel = equip(arch, kernels=operations(defects)).kernel
        tree = 0xFFFFF0000
        for i in range(100):
            kernel.mtree_store_range(tree, 0x3000 * i, 0x3000 * i + 0xFFF, 0x1001 + 16 * i)
        mas = kernel.new_state(tree, 0)
        found = [kernel.mas_walk(mas)]
        while entry := kernel.mas_next(mas, 0x3000 * 90):
            found.append((mas.index, mas.last, entry))
        while entry := kernel.mas_prev(mas, 0x100):
            found.append((mas.index, mas.last, entry))
        ends.append(found)
    assert ends[0] == ends[1]
    assert len(ends[0]) == 1 + 90 + 91
