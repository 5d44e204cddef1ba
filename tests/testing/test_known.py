"""The bug that 6.12 has: seen on little-endian machines, gone from random tests' machines."""

import pytest
from machines import THREE

from layout.machine.equip import equip
from layout.machine.machine import Machine
from layout.machine.watch.check import CHECK
from layout.mapletree import MapleTree
from layout.testing.known import KeepsLastChild, sound_machine
from layout.testing.machines import find
from layout.traces.runner import Runner
from layout.traces.trace import parse

# a root, node 11, with 16 full leaves, of which the last is node 12
TRACE = "init 0\nbulk ef ef 0 2 2 1001\nrcu on\ndestroy"


def destroyed(machine):
    runner = Runner(machine)
    return [runner.execute(op) for op in parse(TRACE.split("\n"), machine.arch.ulong_max)][-1]


@pytest.mark.parametrize("arch", THREE)
def test_the_last_of_16_leaves(arch):
    line = destroyed(Machine(find(arch)))
    if arch == "x86_64":  # as the kernel's own code: the address of node 12 loses two bytes
        assert line["fault"]["kind"] == "double free"
        assert line["fault"]["address"] == "1000000000"
        assert line["fr"] == [30, 26, *range(25, 12, -1)]
    else:  # the two bytes are 0 anyway
        assert "fault" not in line
        assert line["fr"] == [30, 26, *range(25, 10, -1)]


@pytest.mark.parametrize("arch", THREE)
def test_the_checker_sees_it_on_every_machine(arch):
    [report] = destroyed(equip(arch, watch=[CHECK]))["reports"]
    assert (report["kind"], report["offset"], report["read_as"], report["function"]) == (
        "metadata read as slot",
        248,
        "slot[15]",
        "mt_free_bulk",
    )


@pytest.mark.parametrize("arch", THREE)
def test_sound_machines_keep_the_address(arch):
    line = destroyed(sound_machine(arch))
    assert line["fr"] == [30, 26, *range(25, 10, -1)]
    assert line["nf"] == line["na"]


@pytest.mark.parametrize("arch", THREE)
def test_metadata_is_cleared_as_ever(arch):
    for count in (211, 225, 376):  # 15 and fewer children in the root
        plain, sound = Machine(find(arch)), Machine(find(arch), kernel=KeepsLastChild)
        for machine in (plain, sound):
            tree = MapleTree(machine=machine, rcu=True)
            for i in range(count):
                tree.store(i << 12, (i << 12) + 0xFFF, 0x1001)
            tree.clear()
        assert plain.mem.near_cells() == sound.mem.near_cells()
