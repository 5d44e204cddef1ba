from pathlib import Path

import pytest

import arches
from layout.machine.equip import equip
from layout.machine.machine import Machine
from layout.machine.watch.journal import JOURNAL, field_name, journal_of
from layout.memory.errors import UsageError
from layout.traces.inputs import open_trace
from layout.traces.runner import Runner
from layout.traces.trace import parse

GOLDEN = Path(__file__).parents[3] / "fixtures/golden"


@pytest.mark.parametrize("name", ["06b-null-erase-short", "12-dup-and-destroy"])
def test_its_entries_in_order_give_the_memory_of_a_plain_machine(name):
    arch = arches.get("s390x")
    machine = journal_of(equip(arch, watch=[JOURNAL]))
    runner, plain = Runner(machine), Runner(Machine(arch))
    memory = {}
    for operation in open_trace(str(GOLDEN / f"{name}.trace"), arch):
        runner.execute(operation)
        plain.execute(operation)
        for entry in machine.take_entries():
            memory.update(enumerate(entry.data, entry.address))
    cells = plain.mem.near_cells()
    assert any(map(any, cells))
    base = plain.machine.node_base
    for number, cell in enumerate(cells):
        at = base + 256 * number
        assert bytes(memory.get(at + i, 0) for i in range(256)) == cell


def test_entries_name_function_field_and_bytes():
    machine = journal_of(equip("s390x", watch=[JOURNAL]))
    runner = Runner(machine)
    for operation in parse(["init 0", "store 10 20 3001", "poke 1000000000 8 77"], (1 << 64) - 1):
        machine.take_entries()
        runner.execute(operation)
        if operation.n == 2:
            found = {
                (field_name(each.tag), each.function, each.data.hex())
                for each in machine.take_entries()
            }
            assert ("pivot[1]", "mas_root_expand", "0000000000000020") in found
            assert ("metadata end", "mas_root_expand", "02") in found
    [poke] = machine.take_entries()
    assert (poke.function, poke.tag, poke.address, poke.data) == ("", 0, 0x1000000008, b"\x77")


def test_a_machine_without_one_is_told_apart():
    with pytest.raises(UsageError, match="has no journal"):
        journal_of(equip("s390x"))
