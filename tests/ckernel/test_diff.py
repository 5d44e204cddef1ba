from pathlib import Path

import pytest
from machines import THREE

from layout.ckernel.build import build
from layout.ckernel.diff import compare, match, shrink_mismatch
from layout.ckernel.execute import run
from layout.ckernel.explain import explain
from layout.compare.side_by_side import lines
from layout.show.text import plain
from layout.traces.trace import parse

pytestmark = pytest.mark.kernel

FIXTURES = Path(__file__).parents[2] / "fixtures"


def operations(name):
    return list(parse((FIXTURES / name).read_text().split("\n"), 2**64 - 1))


@pytest.mark.parametrize("arch", THREE)
def test_equal_in_every_byte(built, arch):
    for name in (
        "golden/09b-rcu-short.trace",
        "golden/11c-prealloc-alloc.trace",
        "extra/three-1.trace",
    ):
        trace = operations(name)
        verdict = compare(built(arch), trace)
        assert verdict.mismatch is None
        assert verdict.operations == len(trace)


@pytest.mark.parametrize(("arch", "freed"), [("x86_64", 0), ("s390x", 17), ("sparc64", 17)])
def test_the_bug_that_6_12_has(built, arch, freed):
    lines = ["init 0", "bulk ef ef 0 2 2 1001", "rcu on", "destroy"]
    trace = list(parse(lines, 2**64 - 1))
    assert compare(built(arch), trace).mismatch is None
    last = run(built(arch), trace).lines[-1]
    assert last.get("fault", {}).get("kind") == (None if freed else "double free")
    assert len(last.get("fr", [])) == freed


@pytest.mark.parametrize("arch", ["x86_64", "s390x"])
def test_a_changed_line_is_found_shown_and_made_small(changed_6_12, built, arch):
    built(arch)
    changed = build(changed_6_12, arch)
    trace = operations("golden/02-ascending-append.trace")
    mismatch = compare(changed, trace).mismatch
    assert mismatch.fields == ("sum",)
    difference = explain(changed, trace, mismatch)
    assert (difference.field, difference.values) == ("meta.end", ("0", "1"))
    assert (difference.node, difference.offset) == (0x1000000000, 248)
    shown = [plain(line) for line in lines(difference)]
    assert shown[2].split() == ["kernel", "emulator", "field"]
    assert any(line.startswith("! 248  00 ") for line in shown)
    shrunk = shrink_mismatch(changed, trace, mismatch, seconds=30)
    assert [str(operation).split()[0] for operation in shrunk] == ["store"]


def test_a_result_is_compared_without_memory_on_demand(changed_6_12, built):
    built("x86_64")
    changed = build(changed_6_12, "x86_64")
    small = list(parse(["init 0", "store 0 f 3", "store 10 10 2000", "load 10"], 2**64 - 1))
    assert compare(changed, small).mismatch.operation.n == 2
    assert compare(changed, small, results_only=True).mismatch is None


def test_a_crash_equals_a_fault_at_the_same_operation(built):
    text = "init 0\nbulk ef ef 0 2 2 1001\nrcu on\ndestroy\nload 1"
    for arch, fault in (("x86_64", "double free"), ("s390x", "")):
        verdict = compare(built(arch), list(parse(text.split("\n"), 2**64 - 1)))
        assert verdict.mismatch is None
        if fault:
            assert verdict.operations == 4
            assert "freed before" in verdict.fault


def test_a_crash_on_one_side_is_a_mismatch(built):
    kernel = built("x86_64")
    trace = list(parse(["init 0", "load 10"], 2**64 - 1))
    fault = {"kind": "null", "address": "0", "message": "signal 11", "operation": "load"}
    theirs = [{"n": 1, "op": "init"}, {"n": 2, "op": "load", "fault": fault}]
    ours = [{"n": 1, "op": "init"}, {"n": 2, "op": "load", "entry": "0"}]
    for kernel_lines, emulator_lines in ((theirs, ours), (ours, theirs)):
        verdict = match(kernel, trace, kernel_lines, emulator_lines)
        assert verdict.mismatch.fields == ("fault",)
        assert verdict.operations == 2
    difference = explain(kernel, trace, match(kernel, trace, theirs, ours).mismatch)
    assert (difference.field, difference.values) == (
        "fault",
        ("signal 11 in load, address 0", "none"),
    )
    assert match(kernel, trace, theirs, theirs).fault == "signal 11"
