"""Two kernels' own code against each other, and one against itself on two machines."""

import json
import re
import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from layout.ckernel.build import PLAIN, Built
from layout.ckernel.oracle import Limits
from layout.ckernel.pair import compare_pair, pair_of, shrink_pair
from layout.ckernel.source import KernelSource, open_source
from layout.ckernel.versus import versus
from layout.cli.main import main
from layout.memory.errors import UsageError
from layout.traces.trace import parse

pytestmark = pytest.mark.kernel

FIXTURES = Path(__file__).parents[2] / "fixtures"


def operations(name):
    text = (FIXTURES / f"golden/{name}.trace").read_text()
    return list(parse(text.split("\n"), 2**64 - 1))


def fill(count):
    lines = [f"store {i:x} {i:x} {i * 2 + 1:x}" for i in range(0, 2 * count, 2)]
    return list(parse(["init 1", *lines, "erase 4", "validate", "iter 0 ffff"], 2**64 - 1))


def changed(kernel, folder, old, new):
    """A copy of a kernel's source with one pattern replaced, everywhere."""
    for path in (kernel.code, kernel.header):
        target = folder / path.relative_to(kernel.root)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(path.read_text())
    code = folder / kernel.code.relative_to(kernel.root)
    text = code.read_text()
    assert old in text
    code.write_text(text.replace(old, new))
    return open_source(str(folder))


def is_known(found):
    """A child that loses two bytes of its address: the first bug of docs/found.md."""
    rcu = {"rcu", "init"} & {operation.op for operation in found.shrunk}
    return rcu and found.parting.field == "fault" and "double free" in str(found.parting)


@pytest.mark.parametrize("results", [False, True])
def test_a_trace_without_operations_is_equal(built, results):
    builds = [built(name) for name in ("x86_64", "s390x")]
    verdict = compare_pair(pair_of(*builds, results=results), [])
    assert (verdict.parting, verdict.fault) == (None, "")


def test_a_kernel_against_itself_says_nothing_new(built, tmp_path):
    pairs = [pair_of(built("x86_64"), built("s390x"), results=False)]
    found = versus(pairs, Limits(seconds=4, jobs=2), tmp_path, lambda _: None)
    assert [each for each in found.found if not is_known(each)] == []
    assert found.refused == 0
    assert found.operations > 100
    again = versus(pairs, Limits(seconds=0), tmp_path, lambda _: None)
    assert (again.next_seed, again.traces) == (found.next_seed, 0)


def test_what_only_one_byte_order_shows_is_found(kernel, built_of, tmp_path):
    """Metadata written as one number: right on big-endian machines, swapped on the others."""
    source = changed(
        kernel("7.3"),
        tmp_path,
        "meta->end = end;",
        "*(unsigned short *)meta = end << 8 | offset;",
    )
    pair = pair_of(built_of(source, "x86_64"), built_of(source, "s390x"), results=False)
    verdict = compare_pair(pair, fill(60))
    assert verdict.parting is not None
    shorter = shrink_pair(pair, fill(60), verdict.parting, seconds=3)
    assert len(shorter) < 40
    assert compare_pair(pair, shorter).parting is not None


def test_bytes_in_meaning_are_compared_at_the_end(kernel, built_of, tmp_path):
    """A byte of leaves that nobody reads, so no result tells of it; on little-endian alone."""
    source = changed(
        kernel("7.3"),
        tmp_path,
        "meta->gap = offset;",
        "meta->gap = offset + (mt == maple_leaf_64 && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__);",
    )
    builds = built_of(source, "x86_64"), built_of(source, "s390x")
    found = compare_pair(pair_of(*builds, results=False), fill(8)).parting
    assert found.field.startswith("meta.gap of node ")
    assert found.field.endswith(", byte 249")
    assert found.values == ("1", "0")
    assert compare_pair(pair_of(*builds, results=True), fill(8)).parting is None


def test_a_change_against_its_base(built, built_of, change_6_12):
    late = built_of(change_6_12("b_end / 2", "(b_end + 1) / 2"), "x86_64")
    base = built("x86_64")
    found = compare_pair(pair_of(base, late, results=False), fill(60)).parting
    assert found is not None
    assert found.operation.op == "store"
    assert compare_pair(pair_of(base, late, results=True), fill(60)).parting is None


def test_a_difference_in_memory_is_told_by_node_field_and_byte(
    changed_6_12, kernel_6_12, built_of, tmp_path, capsys
):
    built_of(changed_6_12, "x86_64")
    trace = tmp_path / "t.trace"
    trace.write_text("init 1\nload 3\nstore 10 10 3001\nstore 20 20 4001\n")
    words = ["--source", str(changed_6_12.root), "--against", str(kernel_6_12.root)]
    assert main(["kernel", "compare", str(trace), *words]) == 1
    told = "meta.end of node 1000000000, byte 248 is 0 and 2"
    line = f"source and against on x86_64 differ: line 3 (store 10 10 3001): {told}\n"
    assert capsys.readouterr().out == line
    out = tmp_path / "out"
    fuzz = ["--fuzz", "--traces", "6", "--out", str(out), "--json"]
    assert main(["kernel", "compare", *fuzz, *words]) == 1
    found = json.loads(capsys.readouterr().out)["differences"]
    assert found
    fields = {each["field"].partition(" of node ")[0] for each in found}
    assert "meta.end" in fields
    assert "sum" not in fields, fields
    assert main(["kernel", "compare", *fuzz[:-1], *words]) == 1
    said = capsys.readouterr().out
    sizes = [int(size) for size in re.findall(r"shortest trace (\d+) lines", said)]
    assert sizes == sorted(sizes)
    command = re.search(r"^the shortest: maple-layout (.*)$", said, re.MULTILINE)[1]
    assert main(shlex.split(command)) == 1


def test_kernels_with_other_allocations_are_compared_by_results(built, built_of, kernel):
    pair = pair_of(built("x86_64"), built_of(kernel("7.3"), "x86_64"), results=False)
    assert pair.results
    assert compare_pair(pair, operations("07c-spanning-rcu")).parting is None
    refused = compare_pair(pair, operations("15-fault-injection")).parting
    assert refused.refused == 145


@pytest.mark.parametrize(
    "sign", ["HAVE_SHEAVES", "HAVE_MAPLE_COPY", "HAVE_STORE_TYPE", "HAVE_VACANT_HEIGHT"]
)
def test_a_sign_that_one_source_has_leaves_results_only(sign):
    """6.12 has no vacant_height, 6.16 and later have: other requests, so other nodes."""
    base = KernelSource(Path(), "6.14", "a", frozenset({"HAVE_MTREE_DUP"}), frozenset())
    other = replace(base, version="6.16", features=base.features | {sign})
    dup_less = replace(base, features=frozenset())
    one, two, three = (
        Built("s390x", PLAIN, source, Path(), (), cached=True) for source in (base, other, dup_less)
    )
    assert pair_of(one, two, results=False).results
    assert pair_of(two, one, results=False).results
    assert not pair_of(two, two, results=False).results
    assert pair_of(two, two, results=True).results
    assert not pair_of(one, three, results=False).results  # an operation less is no sign


def test_vacant_height_is_seen_in_a_source(kernel_6_12, tmp_path):
    """6.16 has it in struct ma_wr_state; everything else of 6.12 is there."""
    source = changed(kernel_6_12, tmp_path, "ma_meta_end(", "ma_meta_end(")
    assert "HAVE_VACANT_HEIGHT" not in source.features
    header = source.header.read_text()
    source.header.write_text(
        header.replace("\tvoid *entry;", "\tunsigned char vacant_height;\n\tvoid *entry;", 1)
    )
    high = open_source(str(tmp_path))
    assert high.features - source.features == {"HAVE_VACANT_HEIGHT"}
    assert high.unlike == "it has vacant_height but no sheaves"
    builds = [Built("x86_64", PLAIN, each, Path(), (), cached=True) for each in (source, high)]
    assert pair_of(*builds, results=False).results


def test_machines_of_two_word_sizes_are_refused(built):
    with pytest.raises(UsageError, match="build different trees"):
        pair_of(built("x86_64"), built("arm"), results=False)


def test_a_kernel_like_no_emulator_is_held_against_itself(kernel, tmp_path, capsys):
    """One that has sheaves and the big node, as 6.18 has: its emulator would only drown the user."""
    source = changed(kernel("7.3"), tmp_path, "cp_data_write(", "cp_data_write_of_another(")
    assert source.unlike == "it has sheaves but no struct maple_copy"
    trace = str(FIXTURES / "golden/09b-rcu-short.trace")
    code = main(["kernel", "diff", trace, "--source", str(tmp_path), "--arch", "x86_64,s390x"])
    out, err = capsys.readouterr()
    assert (code, out) == (0, "x86_64 and s390x are equal: 462 operations\n")
    assert "no emulator is like Linux" in err
    assert "sheaves but no struct maple_copy" in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "give a TRACE, or --fuzz"),
        (["t.trace", "--fuzz"], "give a TRACE, or --fuzz"),
        (["--fuzz", "--arch", "s390x"], "one source needs two machines: --arch s390x,..."),
        (
            ["x.trace", "--time", "5"],
            "--time is for generated traces: leave it out, or give --fuzz",
        ),
        (["x.trace", "--traces", "5"], "--traces is for generated traces"),
        (["--fuzz", "--against", "/nowhere"], "has no lib/maple_tree.c"),
        (["--fuzz", "--time", "0"], "--time 0 compares nothing: give the seconds"),
    ],
)
def test_wrong_usage(built, capsys, words, message):
    built("x86_64")
    assert main(["kernel", "compare", *words]) == 2
    assert message in capsys.readouterr().err


def test_findings_of_pairs_for_other_programs(built, capsys, tmp_path, change_6_12):
    built("x86_64")
    base = change_6_12("size - 1;\n\tmas->end", "size;\n\tmas->end")
    trace = tmp_path / "area.trace"
    trace.write_text("init 1\nstore 10 10 3001\nstore 20 20 4001\nempty_area 0 ff 4\n")
    files = [tmp_path / name for name in ("out.xml", "out.sarif")]
    words = ["--against", str(base.root), "--junit", str(files[0]), "--sarif", str(files[1])]
    assert main(["kernel", "compare", str(trace), *words, "--github"]) == 1
    err = capsys.readouterr().err
    assert (
        f"::error file={trace},line=4,title=kernel compare::source and against on x86_64 differ: line 4"
        in err
    )
    assert 'failures="1"' in files[0].read_text()
    [result] = json.loads(files[1].read_text())["runs"][0]["results"]
    assert result["ruleId"] == "kernel compare"
    out = tmp_path / "out"
    fuzz = ["--fuzz", "--time", "4", "--out", str(out), "--against", str(base.root)]
    assert main(["kernel", "compare", *fuzz, "--junit", str(files[0])]) == 1
    assert 'failures="0"' not in files[0].read_text()
    assert main(["kernel", "compare", *fuzz, "--time", "1", "--json"]) == 1
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["found_earlier"]
