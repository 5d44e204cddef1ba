"""What erasing a range needs, on a few of the campaign's trees."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import erase

pytestmark = pytest.mark.long


def needs(one, *, rcu):
    """The nodes that the kernel asks for."""
    return {
        "new_root": 1,
        "node_store": int(rcu),
        "split_store": 2 * one.height + 1,
        "rebalance": 2 * one.height - 1,
        "spanning_store": 3 * one.height + 1,
    }.get(one.store_type, 0)


def hold(found):
    for flags, group in found.items():
        rcu = bool(flags & erase.MT_FLAGS_USE_RCU)
        for one in group:
            assert one.asked == needs(one, rcu=rcu)
            assert one.used <= one.asked
    assert {one.store_type for group in found.values() for one in group} >= {
        *("exact_fit", "node_store", "slot_store", "spanning_store", "split_store", "rebalance")
    }


@pytest.mark.parametrize("arch", ["x86_64", "s390x"])
def test_a_sample(arch):
    found = erase.campaign(160, 2, arch)
    hold(found)
    lines = erase.table(found)
    assert lines[2] == "| erases | 160 | 160 | 160 | 160 |"


@pytest.mark.slow
def test_ten_thousand_trees():
    hold(erase.campaign(10_000, 1))
