"""Histories: the writes that were asked for, in order, with the bytes before and after."""

from itertools import islice
from pathlib import Path

import pytest

import arches
from layout.explore.history import History
from layout.machine.equip import equip
from layout.machine.machine import Machine
from layout.machine.watch.journal import JOURNAL, journal_of
from layout.traces.inputs import open_trace
from layout.traces.runner import Runner
from layout.traces.trace import parse

GOLDEN = Path(__file__).parents[2] / "fixtures/golden"


def writes(operations, arch, first, last):
    machine = journal_of(equip(arch, watch=[JOURNAL]))
    history, runner = History(first, last), Runner(machine)
    found = []
    for operation in operations:
        runner.execute(operation)
        found += [(operation.n, each) for each in history.writes(machine.take_entries())]
    return found


@pytest.mark.parametrize("name", ["06b-null-erase-short", "12-dup-and-destroy"])
def test_the_writes_lead_from_zeros_to_the_bytes_of_a_plain_machine(name):
    arch = arches.get("s390x")
    operations = list(islice(open_trace(str(GOLDEN / f"{name}.trace"), arch), 400))
    plain = Runner(Machine(arch))
    for operation in operations:
        plain.execute(operation)
    for node in (0x1000000000, 0x1000000300):
        now = bytearray(256)
        for _, each in writes(operations, arch, node, node + 255):
            at = each.address - node
            assert now[at : at + len(each.old)] == each.old
            now[at : at + len(each.new)] = each.new
        assert any(now)
        assert now == plain.mem.read(node, 256)


def test_a_byte_of_r1_has_few_writers():
    lines = ["init 0", *(f"store 1{i:x}000 1{i:x}fff 2a0001" for i in range(0, 14, 2))]
    found = writes(parse(lines, 2**64 - 1), "s390x", 0x10000000F8, 0x10000000F8)
    last_line, last = found[-1]
    assert (last_line, last.field, last.function) == (8, "metadata end", "mas_wr_append")
    assert (last.old, last.new) == (b"\x0c", b"\x0e")
    assert found[0][1].kind == "handed out"
    assert all(len(each.new) <= 1 for _, each in found)


def test_a_copy_names_its_source_and_the_field_of_each_byte():
    arch = arches.get("x86_64")
    operations = list(open_trace(str(GOLDEN / "12-dup-and-destroy.trace"), arch))
    machine = journal_of(equip(arch, watch=[JOURNAL]))
    runner = Runner(machine)
    for operation in operations:
        runner.execute(operation)
        copy = next((each for each in machine.take_entries() if each.source), None)
        if copy:
            break
    found = writes(operations[: operation.n], arch, copy.address + 8, copy.address + 15)
    [last] = [each for _, each in found if each.kind == "copy"][-1:]
    assert (last.field, last.source) == ("pivot[0]", copy.source)
    assert last.new == runner.mem.read(copy.source + 8, 8)
    whole = writes(operations[: operation.n], arch, copy.address, copy.address + 255)
    assert [e.field for _, e in whole if e.kind == "copy"][-1] == ""


def test_bytes_that_the_trace_itself_writes_have_no_function():
    trace = ["init 0", "store 10 20 3001", "store 30 40 4001", "poke 1000000000 8 77"]
    [(n, last)] = writes(parse(trace, 2**64 - 1), "s390x", 0x1000000008, 0x1000000008)[-1:]
    assert (n, last.function, last.field, last.new) == (4, "", "", b"\x77")
