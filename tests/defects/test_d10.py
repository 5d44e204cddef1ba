"""Lookups in a full leaf whose last entry is taken for metadata, as the kernel's own code has them."""

from __future__ import annotations

import pytest

from layout.defects.d10 import TRACE


def loads(lines):
    return [int(line["entry"], 16) for line in lines if line["op"] == "load"]


RIGHT = [0x2A010000, 0x2A001300, 0x2A001400, 0x2A001800, 0x2A001900, 0x050000002A00080A]


@pytest.mark.parametrize(("arch", "reached"), [("x86_64", 4), ("s390x", 2), ("sparc64", 2)])
def test_wrong_behind_another_slot_by_byte_order(played, arch, reached):
    _, lines = played(arch, TRACE, "D10")
    assert loads(lines) == RIGHT[:reached] + [RIGHT[reached - 1]] * (6 - reached)


def test_today(played, arch):
    assert loads(played(arch, TRACE)[1]) == RIGHT


def test_the_byte(played):
    bytes_at_248 = {
        a: played(a, TRACE, "D10")[0].mem.meta_end(0x1000001200, 1) for a in ("x86_64", "s390x")
    }
    assert bytes_at_248 == {"x86_64": 0x0A, "s390x": 0x05}
