"""Random search for trees for which a peek is not right: a small one here."""

import sys
from pathlib import Path

import pytest

import arches
from layout.traces.trace import parse

sys.path.insert(0, str(Path(__file__).parent))
import peeks

pytestmark = pytest.mark.long

ALL = arches.names()


@pytest.mark.parametrize("name", ["x86_64", "s390x", "mips", "m68k"])
def test_nothing_is_found_without_the_known_bugs(name, monkeypatch):
    monkeypatch.setattr(peeks, "MOST", {8: 300, 4: 500})
    found = peeks.search(arches.get(name), peeks.FreesAllItKilled, start=1, seconds=60, seeds=8)
    assert not found


def test_a_known_bug_is_found_and_shrunk():
    arch = arches.get("s390x")
    text = "init 0\nbulk ef ef 0 2 2 1001\nload 5\nrcu on\nload 6\ndestroy"
    operations = list(parse(text.split("\n"), arch.ulong_max))
    [find] = peeks.finds(operations, arch, peeks.Kernel)
    assert (find.kind, find.function) == ("metadata read as slot", "mt_free_bulk")
    kept = peeks.smallest(operations, find, arch, peeks.Kernel, 30)
    assert [operation.op for operation in kept] == ["bulk", "rcu", "destroy"]
    assert kept[0].args[:2] == (226, 226)  # 15 leaves of 15 entries, and one that is not full
    assert peeks.finds(operations, arch, peeks.FreesAllItKilled) == set()


def test_a_seed_decides_everything():
    arch = arches.get("m68k")
    assert peeks.make(7, arch) == peeks.make(7, arch)
    assert peeks.make(7, arch) != peeks.make(8, arch)


@pytest.mark.slow
@pytest.mark.parametrize("name", ALL)
def test_nothing_else_is_found(name):
    found = peeks.search(arches.get(name), peeks.FreesAllItKilled, start=100, seconds=120)
    assert not found


@pytest.mark.slow
@pytest.mark.parametrize("name", ["x86_64", "s390x"])
def test_the_known_bugs_are_found(name):
    found = peeks.search(arches.get(name), peeks.Kernel, start=1, seconds=300)
    assert {"mt_free_walk", "mt_free_bulk"} <= {find.function for find in found}
