import pytest

import arches
from layout.ckernel.generate import generate
from layout.ckernel.profiles import PROFILES
from layout.traces.operations import OPERATIONS
from layout.traces.trace import parse

SEEDS = range(42)


@pytest.fixture(scope="module")
def made():
    return {
        seed: generate(seed, arches.get(("x86_64", "s390x", "mips")[seed % 3])) for seed in SEEDS
    }


def test_a_seed_decides_everything(made):
    for seed in (0, 1, 2):
        again = generate(seed, arches.get(("x86_64", "s390x", "mips")[seed % 3]))
        assert again.operations == made[seed].operations
        assert again.lines == made[seed].lines


def test_traces_parse(made):
    for seed, trace in made.items():
        lines = [str(operation) for operation in trace.operations]
        top = arches.get(("x86_64", "s390x", "mips")[seed % 3]).ulong_max
        assert list(parse(lines, top)) == trace.operations


def test_all_that_the_kernel_survives_is_generated(made):
    seen = {operation.op for trace in made.values() for operation in trace.operations}
    assert set(OPERATIONS) - seen == {"poke", "dup_noinit"}
    assert {trace.profile for trace in made.values()} == set(PROFILES)
    assert not any("fault" in trace.lines[-1] for trace in made.values())
    assert not any(trace.error for trace in made.values())


def test_abuse_is_there_when_asked_for():
    faults = [
        generate(seed, arches.get("x86_64"), abuse=True).lines[-1].get("fault")
        for seed in range(20)
    ]
    assert sum(fault is not None for fault in faults) > 4


def test_what_a_kernel_lacks_is_left_out():
    without = frozenset({"dup", "alloc_cyclic", "cnext_range"})
    for seed in range(12):
        trace = generate(seed, arches.get("x86_64"), without=without)
        assert not without & {operation.op for operation in trace.operations}
