"""D6 and D7: readers beside a writer."""

from __future__ import annotations

import arches
from layout.defects import get
from layout.defects.scenes import play


def said(name, arch, *, correct=False):
    return play(get(name), arches.get(arch), correct=correct).results


def test_append_writes_in_four_steps_and_the_cached_end_hides_the_entry(arch):
    order, big, then = said("D6", arch)
    assert order == "written in order: pivot[9], metadata, slot[9], pivot[8]"
    assert big == "the reader in the leaf goes on to 8000-ffffffffffffffff 0"
    assert then == "and then = 0000000000000000"


def test_today_the_reader_walks_anew(arch):
    assert said("D6", arch, correct=True) == [
        "the reader in the leaf goes on to 8000-fffff 0",
        "and then = 000000003a000000",
    ]


def test_an_rcu_head_read_as_pivots(arch):
    assert said("D7", arch) == [
        "the reader goes on to 1-f1 2a000100",
        "the reader goes on to f2-2ffff 2a000200",
    ]


def test_today_the_dead_node_is_left(arch):
    assert said("D7", arch, correct=True) == [
        "the reader goes on to 10000-1ffff 2a000100",
        "the reader goes on to 20000-2ffff 2a000200",
    ]
