"""Bugs that 6.12 has in freeing trees: shown on the plain machines, gone from random tests'."""

import pytest
from machines import THREE

from layout.machine.equip import equip
from layout.machine.machine import Machine
from layout.machine.watch.check import CHECK
from layout.memory.pointers import NODE_MASK
from layout.testing.known import FreesAllItKilled, sound_machine
from layout.testing.machines import find
from layout.traces.runner import Runner
from layout.traces.trace import parse
from layout.tree.kernel import Kernel

# a root, node 11, with 16 full leaves, of which the last is node 12
TRACE = "init 0\nbulk ef ef 0 2 2 1001\nrcu on\ndestroy"


def destroyed(machine, trace=TRACE):
    runner = Runner(machine)
    return [runner.execute(op) for op in parse(trace.split("\n"), machine.arch.ulong_max)][-1]


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


# a root with two children, of which one has 15: its last word is metadata
TALL = "init 0\nbulk 1609 1609 0 2 2 1001\nrcu on\ndestroy"


@pytest.mark.parametrize("arch", THREE)
def test_metadata_is_taken_for_a_child(arch):
    fault = destroyed(Machine(find(arch)), TALL)["fault"]  # as the kernel's own code
    if arch == "x86_64":
        assert (fault["kind"], fault["address"]) == ("null", "32")
    else:
        assert (fault["kind"], fault["address"]) == ("unmapped", "e00000000000024")


@pytest.mark.parametrize("arch", THREE)
def test_the_checker_tells_which_word(arch):
    first, second = destroyed(equip(arch, watch=[CHECK]), TALL)["reports"]
    assert first["detail"].startswith("declared as a peek because mt_clear_meta() zeroed")
    assert (first["function"], second["function"]) == ("mt_free_walk", "mte_dead_walk")
    for report in (first, second):
        assert (report["kind"], report["offset"], report["read_as"], report["written_as"]) == (
            *("metadata read as slot", 248),
            *("slot[15]", "metadata end"),
        )


@pytest.mark.slow
def test_metadata_is_taken_for_a_child_on_32_bits():
    fault = destroyed(Machine(find("mips"), kernel=SparesFullNodes), TALL.replace("1609", "b98c"))[
        "fault"
    ]
    assert (fault["kind"], fault["address"]) == ("unmapped", "1e000014")


class SparesFullNodes(Kernel):
    """The kernel's code without the first bug, which would come first."""

    def mt_clear_meta(self, node, mt):
        last = self.mem.slot(node, mt, self.mt_slots[mt] - 1)
        if not self.mem.pivot(node, self.mt_pivots[mt] - 1) or last & NODE_MASK:
            super().mt_clear_meta(node, mt)


@pytest.mark.parametrize("arch", THREE)
@pytest.mark.parametrize("trace", [TRACE, TALL])
def test_sound_machines_free_every_node(arch, trace):
    line = destroyed(sound_machine(arch), trace)
    assert line["nf"] == line["na"]
    assert len(set(line["fr"])) == len(line["fr"])


@pytest.mark.parametrize("arch", THREE)
def test_sound_machines_break_no_rule(arch):
    machine = equip(arch, watch=[CHECK], kernels=[FreesAllItKilled])
    assert "reports" not in destroyed(machine, TALL)


@pytest.mark.parametrize("arch", THREE)
def test_nodes_are_freed_in_the_same_order(arch):
    for count in (211, 225, 376):  # 15 and fewer children in the root
        text = f"init 2\nbulk {count:x} {count:x} 0 2 2 1001\ndestroy"
        assert destroyed(Machine(find(arch)), text) == destroyed(sound_machine(arch), text)
