"""7.2 and 7.3: their own code, built and held against the emulator. Needs their sources."""

from pathlib import Path

import pytest

from layout.ckernel.build import SANITIZE, build
from layout.ckernel.diff import compare
from layout.ckernel.execute import run
from layout.ckernel.fuzz import Options, fuzz
from layout.ckernel.source import open_source
from layout.memory.errors import InputError
from layout.traces.trace import parse

pytestmark = pytest.mark.kernel

FIXTURES = Path(__file__).parents[2] / "fixtures"
VERSIONS = ("7.2", "7.3")


def operations(name, top=2**64 - 1):
    return list(parse((FIXTURES / name).read_text().split("\n"), top))


@pytest.mark.parametrize("version", VERSIONS)
def test_the_source_says_what_it_is(kernel, version):
    found = kernel(version)
    assert found.version.startswith(f"{version}.")
    assert found.emulator == version
    assert {"HAVE_SHEAVES", "HAVE_MAPLE_COPY"} <= found.features
    assert "HAVE_EXPECTED_ENTRIES" not in found.features
    assert not found.missing_fields | found.missing_operations


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("arch", ["x86_64", "s390x", "arm"])
def test_equal_in_every_byte(kernel, built_of, version, arch):
    built = built_of(kernel(version), arch)
    names = ["32bit-15b-fault-injection-alloc-rcu", "32bit-12-dup-and-destroy"]
    for name in names:
        trace = operations(f"extra/{name}.trace", 2**32 - 1)
        verdict = compare(built, trace)
        assert verdict.mismatch is None
        assert verdict.operations == len(trace)


@pytest.mark.long
@pytest.mark.parametrize("version", VERSIONS)
def test_random_traces(kernel, built_of, version, tmp_path):
    builds = [built_of(kernel(version), arch) for arch in ("x86_64", "s390x", "mips")]
    options = Options(seconds=6, seed=20_000_000, jobs=2, abuse=True)
    campaign = fuzz(builds, options, tmp_path, lambda _campaign: None)
    assert campaign.found == []
    assert campaign.traces >= 3


@pytest.mark.parametrize("version", VERSIONS)
def test_what_it_has_not_is_told(kernel, built_of, version):
    built = built_of(kernel(version), "x86_64")
    trace = list(parse(["init 0", "bulk 5 5 0 2 2 1001", "store 1 2 3001"], 2**64 - 1))
    lines = run(built, trace).lines
    assert lines[1] == {"n": 2, "op": "bulk", "error": "not in this kernel"}
    assert lines[2]["ret"] == 0
    assert compare(built, trace).mismatch is None


def test_something_newer_is_told_in_one_line(kernel, built_of, tmp_path):
    built_of(kernel("7.3"), "x86_64")
    for path in (kernel("7.3").code, kernel("7.3").header):
        target = tmp_path / path.relative_to(kernel("7.3").root)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(path.read_text().replace("kfree(", "kfree_of_tomorrow("))
    with pytest.raises(
        InputError, match=r"does not compile in the harness: [^\n]*kfree_of_tomorrow[^\n]*$"
    ):
        build(open_source(str(tmp_path)), "x86_64")


def test_a_write_beyond_an_array_of_the_kernel(kernel):
    """The range of ``prealloc`` ends before it begins; far on, UBSan has a word."""
    trace = operations("corpus/7.3/4e550db745fb.trace") + list(
        parse(["mstore 38b7b 3947e c3"], 2**64 - 1)
    )
    source = kernel("7.3")
    verdict = compare(build(source, "x86_64"), trace)
    assert verdict.operations == len(trace)
    assert verdict.mismatch.fields == ("fault",)
    assert "beyond the end of a struct" in verdict.mismatch.emulator["fault"]["message"]
    last = run(build(source, "x86_64", SANITIZE), trace)
    assert "index 4 out of bounds" in last.reports
    assert last.lines[-1]["op"] == "mstore"
    assert "index" not in run(build(source, "x86_64", SANITIZE), trace[:-1]).reports
    legal = [each for each in trace if str(each) != "prealloc 3ffd9 3621c 15"]
    assert len(legal) == len(trace) - 2
    assert compare(build(source, "x86_64"), legal).mismatch is None


@pytest.mark.parametrize(
    ("steps", "survives"),
    [
        (("cnext 5", "cnext 100"), ()),
        (("cnext_range 5", "cnext_range 100"), ()),
        (("cnext 5", "cfind_rev 0"), ()),
        (("cprev 5", "cfind_range_rev 0"), ()),
        (("cprev 5", "cprev 0"), VERSIONS),
        (("cnext 5", "cfind 100"), ("6.12", *VERSIONS)),
    ],
)
def test_a_step_after_one_that_its_limit_cut_short(kernel_6_12, kernel, built_of, steps, survives):
    lines = ["init 0", "store 0 3 5001", "store 10 20 3001", "store 30 40 4001", "cset 5", *steps]
    for version in ("6.12", *VERSIONS):
        built = built_of(kernel(version) if version in VERSIONS else kernel_6_12, "x86_64")
        trace = list(parse(lines, 2**64 - 1))
        last = run(built, trace).lines[-1]
        assert last.get("fault", {}).get("kind") == (None if version in survives else "null")
        assert compare(built, trace).mismatch is None
