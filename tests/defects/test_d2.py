"""Pivot 15 is slot 0: what is written over what; as the kernel's own code with the change."""

from __future__ import annotations

from layout.defects.d2 import ALONE, BESIDE_ROOT

LEAF = 0x1000000000


def test_slots_0_and_1_get_pivots_and_the_entry_lies_behind(played, arch):
    runner, _ = played(arch, ALONE, "D2")
    mem = runner.mem
    assert [mem.slot(LEAF, 1, i) for i in (0, 1)] == [0xEFFF, 0xFFFFFFFFFFFFFFFF]
    assert mem.read_word(LEAF + 256) == 0x3A000000
    assert mem.slot(LEAF, 1, 15) == 0


def test_the_validator_is_silent_about_a_lone_leaf(played, arch):
    runner, _ = played(arch, ALONE, "D2")
    assert runner.kernel.mt_validate(runner.tree)


def test_the_root_behind_the_leaf_loses_its_parent_word(played, arch):
    runner, _ = played(arch, BESIDE_ROOT, "D2")
    root = runner.mem.ma_root(runner.tree) & ~0xFF
    assert root == LEAF + 0x200
    assert runner.mem.parent(root) == 0x3A000000


def test_today_it_is_an_exact_fit(played, arch):
    runner, _ = played(arch, ALONE)
    mem = runner.mem
    assert [mem.slot(LEAF, 1, i) for i in (0, 1, 15)] == [0x2A000000, 0x2A000100, 0x3A000000]
    assert mem.read_word(LEAF + 256) == 0
