"""One slot too many is copied; the leaf as the kernel's own code left it."""

from __future__ import annotations

import pytest

from layout.defects.r2 import trigger

LEAF = 0x1000001200


def test_the_leaf_has_a_stale_slot(played, arch):
    runner, lines = played(arch, trigger(), "R2")
    mem = runner.mem
    assert mem.meta_end(LEAF, 1) == 10
    assert [mem.pivot(LEAF, i) for i in (8, 9, 10)] == [0x16FFF, 0x1DFFF, 0x1DFFF]
    # the entry that slot 15 held, that of 1d000-1dfff
    assert [mem.slot(LEAF, 1, i) for i in (9, 10)] == [0x2A020000, 0x2A001D00]
    assert lines[-1]["entry"] == "2a020000"
    assert ["1e000", "1dfff", "2a001d00"] in lines[-2]["ranges"]


def test_today_it_ends_at_slot_9(played, arch):
    runner, lines = played(arch, trigger())
    assert runner.mem.meta_end(LEAF, 1) == 9
    assert runner.mem.slot(LEAF, 1, 10) == runner.mem.pivot(LEAF, 10) == 0
    assert lines[-2]["ranges"][1:3] == [
        ["17000", "1dfff", "2a020000"],
        ["1e000", "1efff", "2a001e00"],
    ]


def test_the_validators_words(played, arch):
    runner, _ = played(arch, trigger() + "\nvalidate", "R2")
    runner.kernel.log.clear()
    assert not runner.kernel.mt_validate(runner.tree)
    assert "data_end 10 != the last slot offset 9" in "".join(runner.kernel.log)


@pytest.mark.parametrize(
    ("entry", "corrupt"),
    [
        (0xFFFF888003C01000, True),  # a pointer of x86_64
        (0x299B900, True),  # one of s390x, still above these indexes
        (0xE000, True),  # the entry in slot 0 is 1e000, the write ends at 1dfff
        (0xD000, False),  # the entry in slot 0 is 1d000
        (0x1000, False),
    ],
)
def test_it_depends_on_the_numbers(played, arch, entry, corrupt):
    runner, _ = played(arch, trigger(entry), "R2")
    assert runner.kernel.mt_validate(runner.tree) is not corrupt
