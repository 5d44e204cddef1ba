"""Two kernels' own code against each other, and one against itself on two machines."""

from pathlib import Path

import pytest

from layout.ckernel.pair import compare_pair, pair_of, shrink_pair
from layout.ckernel.source import open_source
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


def test_a_kernel_against_itself_says_nothing(built, tmp_path):
    pairs = [pair_of(built("x86_64"), built("s390x"), results=False)]
    found = versus(pairs, tmp_path, lambda _: None, seconds=4, jobs=2)
    assert (found.found, found.refused) == ([], 0)
    assert found.operations > 100


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


def test_kernels_with_other_allocations_are_compared_by_results(built, built_of, kernel):
    pair = pair_of(built("x86_64"), built_of(kernel("7.3"), "x86_64"), results=False)
    assert pair.results
    assert compare_pair(pair, operations("07c-spanning-rcu")).parting is None
    refused = compare_pair(pair, operations("15-fault-injection")).parting
    assert refused.refused == 145


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
        (["--fuzz", "--against", "/nowhere"], "has no lib/maple_tree.c"),
    ],
)
def test_wrong_usage(built, capsys, words, message):
    built("x86_64")
    assert main(["kernel", "compare", *words]) == 2
    assert message in capsys.readouterr().err
