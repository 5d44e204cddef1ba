"""Conditions come to hold at the operation at which a plain run first shows them."""

from pathlib import Path

import pytest

import arches
from layout import defects
from layout.bisect.conditions import (
    Byte,
    Entry,
    Faulted,
    Invalid,
    MachinesDiffer,
    Reported,
    Setting,
)
from layout.bisect.entry import entry_at
from layout.machine.machine import Machine
from layout.memory.errors import UsageError
from layout.traces.inputs import open_trace
from layout.traces.runner import Runner
from layout.traces.trace import parse

GOLDEN = Path(__file__).parents[2] / "fixtures/golden"
S390X = Setting(arches.get("s390x"))
R1 = Setting(arches.get("s390x"), defects.operations(["R1"]))


def operations(text):
    return list(parse(text.splitlines(), 2**64 - 1))


def place(condition, text):
    found = condition.first(operations(text))
    return found and (found.operation.n, found.address)


@pytest.mark.parametrize("name", ["06b-null-erase-short", "08c-alloc-tree-rcu"])
def test_entries_are_those_that_the_kernel_loads(name):
    arch = arches.get("sparc64")
    runner = Runner(Machine(arch))
    seen = set()
    for operation in open_trace(str(GOLDEN / f"{name}.trace"), arch):
        runner.execute(operation)
        for index in operation.args[:2]:
            loaded = runner.kernel.mtree_load(runner.tree, index)
            entry, at = entry_at(runner.mem, runner.tree, index)
            assert entry == loaded
            assert at is None or runner.mem.read_word(at, "a slot") == entry
            seen.add(entry)
    assert len(seen) > 10


STORES = "init 0\nstore 10 20 3001\nstore 15 15 4001\nerase 15\nstore 15 16 5001\n"


def test_an_entry_comes_changes_and_goes():
    slot_1 = 0x1000000000 + 128 + 8
    assert place(Entry(S390X, 0x15), STORES) == (2, slot_1)
    assert place(Entry(S390X, 0x15, 0x4001), STORES) == (3, slot_1 + 8)
    assert place(Entry(S390X, 0x15, 0), STORES)[0] == 4
    assert place(Entry(S390X, 0x15, 0x5001), STORES)[0] == 5
    assert place(Entry(S390X, 0x15, 0x6001), STORES) is None
    assert place(Entry(S390X, 0x99, 0), STORES) is None, "it was never there"


def test_an_entry_in_the_root_has_no_slot():
    assert place(Entry(S390X, 0), "init 0\nstore 0 0 3001\n") == (2, None)


def test_a_byte():
    trace = defects.get("R1").trace
    assert place(Byte(S390X, 0x10000000F8, 0x0E), trace) == (8, 0x10000000F8)
    assert place(Byte(S390X, 0x10000000F8, 0x0F), trace) is None
    with pytest.raises(UsageError, match="there is no memory at 5 on s390x"):
        Byte(S390X, 5, 1)


def test_an_invalid_tree_in_any_of_the_trees():
    trace = "init 0\nstore 10 20 3001\nstore 30 40 4001\nsel 1\npoke 1000000000 8 0\n"
    found = Invalid(S390X).first(operations(trace + "poke 1000000000 15 77\n"))
    assert (found.operation.n, found.address) == (6, 0x1000000010)
    assert found.what.startswith("tree 0: 1000000000+16 pivot order")
    assert Invalid(S390X).first(operations(trace)) is None


def test_a_report_and_its_kind():
    trace = defects.get("R1").trace
    assert place(Reported(R1), trace) == (11, 0x10000000F8)
    assert place(Reported(R1, "metadata"), trace) == (11, 0x10000000F8)
    assert place(Reported(R1, "stale"), trace) is None
    assert place(Reported(S390X), trace) is None


def test_a_fault():
    trace = "init 0\nstore 10 20 3001\nstore 30 40 4001\npoke fffff0000 8 1\nload 10\nload 11\n"
    found = Faulted(S390X).first(operations(trace))
    assert found.operation.n == 5
    assert found.kind == ("unmapped",)


def test_machines():
    machines = [arches.get("x86_64"), arches.get("s390x")]
    found = MachinesDiffer(R1, machines).first(operations(defects.get("R1").trace))
    assert (found.operation.n, found.machine) == (11, "s390x")
    assert found.what == "entry: x86_64 has e, s390x has e00000000000000"
    assert MachinesDiffer(S390X, machines).first(operations(defects.get("R1").trace)) is None
    for wrong in (["x86_64"], ["x86_64", "i386"]):
        with pytest.raises(UsageError, match="give two or more"):
            MachinesDiffer(S390X, [arches.get(name) for name in wrong])
