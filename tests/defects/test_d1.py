"""A spanning store over the end of a parent; the leaf as the kernel's own code left it."""

from __future__ import annotations

from layout.defects.d1 import TRACE

LEAF = 0x1000014E00


def test_two_slots_end_at_the_same_index(played, arch):
    runner, lines = played(arch, TRACE, "D1")
    mem = runner.mem
    assert [mem.pivot(LEAF, i) for i in (12, 13, 14)] == [0x75FFF, 0x86FFF, 0x86FFF]
    assert [mem.slot(LEAF, 1, i) for i in (13, 14)] == [0x3A000000, 0x2A008600]
    assert ["87000", "86fff", "2a008600"] in lines[-1]["ranges"]


def test_today_it_is_one_slot(played, arch):
    runner, lines = played(arch, TRACE)
    mem = runner.mem
    assert (mem.pivot(LEAF, 13), mem.slot(LEAF, 1, 14)) == (0x86FFF, 0)
    assert lines[-1]["ranges"][1:3] == [
        ["76000", "86fff", "3a000000"],
        ["87000", "87fff", "2a008700"],
    ]


def test_the_validators_words(played, arch):
    runner, _ = played(arch, TRACE, "D1")
    runner.kernel.log.clear()
    assert not runner.kernel.mt_validate(runner.tree)
    assert "data_end 14 != the last slot offset 13" in "".join(runner.kernel.log)


def test_only_where_the_right_leaf_is_the_last_child(played):
    for line in ("store 76000 85fff 3a000000", "store 76000 87fff 3a000000"):
        trace = TRACE.replace("store 76000 86fff 3a000000", line)
        assert played("s390x", trace, "D1")[1][-1] == played("s390x", trace)[1][-1]
