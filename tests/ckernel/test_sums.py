import struct
from pathlib import Path

import pytest

import arches
from layout.ckernel.sums import SummingRunner
from layout.traces.trace import parse

FIXTURES = Path(__file__).parents[2] / "fixtures"


def sum_of_all(runner, in_use):
    """The same sum, from all bytes, without remembering anything."""
    order = runner.machine.arch.order_char

    def one(start, data):
        for (word,) in struct.iter_unpack(f"{order}Q", data):
            start = (start ^ word) * 0x100000001B3 % 2**64
        return start

    total = one(0, runner.mem.read(runner.machine.tree(0), 8 * 0x40))
    for number in in_use:
        total += one(number + 1, runner.mem.read(runner.cache.address(number), 256))
    return f"{total % 2**64:x}"


@pytest.mark.parametrize("arch", ["x86_64", "s390x", "mips"])
def test_sum_is_of_all_memory_in_use(arch):
    runner = SummingRunner(arches.get(arch))
    trace = FIXTURES / "extra/32bit-12-dup-and-destroy.trace"
    freed = set()
    for operation in list(parse(trace.read_text().split("\n"), runner.machine.arch.ulong_max))[
        :400
    ]:
        line = runner.execute(operation)
        in_use = set(range(runner.cache.allocated)) - freed
        assert line["sum"] == sum_of_all(runner, in_use)
        freed |= set(runner.cache.frees)
    assert freed


def test_a_fault_has_no_sum():
    runner = SummingRunner(arches.get("s390x"))
    [*_, last] = [
        runner.execute(operation)
        for operation in parse(
            ["init 0", "store 1 2 3001", "poke fffff0008 0 50", "load 1"], 2**64 - 1
        )
    ]
    assert "fault" in last
    assert "sum" not in last
