import pytest

import arches
from layout.ckernel.longtrace import LINES, long_trace
from layout.ckernel.sums import SummingRunner
from layout.traces.source import TraceText
from layout.traces.stream import Stream
from layout.traces.trace import parse


@pytest.mark.parametrize("top", [2**32 - 1, 2**64 - 1])
def test_a_seed_decides_the_trace_and_every_line_is_an_operation(top):
    lines = long_trace(3, top)
    assert lines == long_trace(3, top)
    assert lines != long_trace(4, top)
    operations = list(parse(lines, top))
    assert [operation.n for operation in operations] == list(range(1, len(lines) + 1))
    assert LINES <= len(lines) < LINES + 100
    assert {operation.op for operation in operations} == {
        *("sel", "init", "store", "storenw", "mstore", "insert", "prealloc", "erase", "load"),
        *("walk", "find", "find_after", "next", "prev", "iter", "empty_area", "empty_area_rev"),
        *("alloc_range", "alloc_rrange", "validate", "fail", "destroy"),
    }


def test_what_a_kernel_has_not_is_left_out():
    lines = long_trace(3, 2**64 - 1, frozenset({"alloc_rrange", "find"}))
    assert not {line.split()[0] for line in lines} & {"alloc_rrange", "find"}


@pytest.mark.parametrize(("arch", "version"), [("s390x", "6.12"), ("mips", "7.3")])
def test_every_tree_grows_and_is_destroyed_and_both_legs_have_the_same_sums(arch, version):
    machine = arches.get(arch)
    lines = long_trace(1, machine.ulong_max)
    runner = SummingRunner(machine, version)
    whole = b"".join(Stream(runner, TraceText("\n".join(lines).encode())).transcript())
    assert not runner.faulted
    assert not runner.failed
    assert runner.cache.allocated == runner.cache.freed > LINES / 4
    python = SummingRunner(machine, version, in_python=True)
    some = "\n".join(lines[:600]).encode()
    assert whole.startswith(b"".join(Stream(python, TraceText(some)).transcript()))
