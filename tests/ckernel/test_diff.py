from pathlib import Path

import pytest

from layout.ckernel.build import build
from layout.ckernel.diff import compare
from layout.ckernel.explain import explain
from layout.ckernel.shrink import shrink_mismatch
from layout.ckernel.source import open_source
from layout.render.difference import lines
from layout.render.text import plain
from layout.replay.trace import line_of, parse

pytestmark = pytest.mark.kernel

FIXTURES = Path(__file__).parents[2] / "fixtures"


def operations(name):
    return list(parse((FIXTURES / name).read_text().split("\n"), 2**64 - 1))


@pytest.fixture(scope="module")
def forgetful(kernel_6_12, tmp_path_factory):
    """6.12 with one line changed: leaves of node stores end one slot too late."""
    root = tmp_path_factory.mktemp("linux")
    for path in (kernel_6_12.code, kernel_6_12.header):
        target = root / path.relative_to(kernel_6_12.root)
        target.parent.mkdir(parents=True, exist_ok=True)
        text = path.read_text()
        if path == kernel_6_12.code:
            old = "ma_set_meta(node, mt, 0, end);"
            assert text.count(old) == 1
            text = text.replace(old, "ma_set_meta(node, mt, 0, end + 1);")
        target.write_text(text)
    return open_source(str(root))


@pytest.mark.parametrize("arch", ["x86_64", "s390x", "sparc64"])
def test_equal_in_every_byte(built, arch):
    for name in (
        "golden/09b-rcu-short.trace",
        "golden/11c-prealloc-alloc.trace",
        "extra/rebalance.trace",
    ):
        if not (FIXTURES / name).exists():
            continue
        trace = operations(name)
        verdict = compare(built(arch), trace)
        assert verdict.mismatch is None
        assert verdict.operations == len(trace)


@pytest.mark.parametrize("arch", ["x86_64", "s390x"])
def test_a_changed_line_is_found_shown_and_made_small(forgetful, built, arch):
    built(arch)
    changed = build(forgetful, arch)
    trace = operations("golden/02-ascending-append.trace")
    mismatch = compare(changed, trace).mismatch
    assert mismatch.fields == ("sum",)
    difference = explain(changed, trace, mismatch)
    assert (difference.field, difference.values) == ("meta.end", ("3", "2"))
    assert (difference.node, difference.offset) == (0x1000000000, 248)
    shown = [plain(line) for line in lines(difference)]
    assert shown[2].split() == ["kernel", "emulator", "field"]
    assert any(line.startswith("! 248  03 ") for line in shown)
    shrunk = shrink_mismatch(changed, trace, mismatch, seconds=30)
    assert [line_of(operation).split()[0] for operation in shrunk] == ["store", "store"]


def test_a_result_is_compared_without_memory_on_demand(forgetful, built):
    built("x86_64")
    changed = build(forgetful, "x86_64")
    small = list(parse(["init 0", "store 0 f 3", "store 10 10 2000", "load 10"], 2**64 - 1))
    assert compare(changed, small).mismatch.operation.n == 3
    assert compare(changed, small, results_only=True).mismatch is None


def test_a_crash_equals_a_fault_at_the_same_operation(built):
    text = "init 0\nbulk ef ef 0 2 2 1001\nrcu on\ndestroy\nload 1"
    for arch, fault in (("x86_64", "double free"), ("s390x", "")):
        verdict = compare(built(arch), list(parse(text.split("\n"), 2**64 - 1)))
        assert verdict.mismatch is None
        if fault:
            assert verdict.operations == 4
            assert "freed before" in verdict.fault


def test_a_crash_on_one_side_is_a_mismatch(built, forgetful):
    built("x86_64")
    trace = list(parse(["init 0", "bulk 20 20 0 10 8 1001", "load 10"], 2**64 - 1))
    changed = build(forgetful, "x86_64")
    mismatch = compare(changed, trace).mismatch
    assert mismatch.fields == ("fault",)
    difference = explain(changed, trace, mismatch)
    assert difference.field == "fault"
    assert difference.values[0].startswith("a fault (")
    assert difference.values[1] == "none"
