"""docs/campaigns.md: the lines that no trace of the corpus executes, and what shows the reasons."""

import re
import shutil
import time
from dataclasses import replace
from importlib import resources
from pathlib import Path

import pytest
from hunt.csource import Source, bare, without_prototypes
from hunt.unreached import (
    BELIEVED,
    DEAD,
    OPEN,
    REASONS,
    SHOWN,
    TYPE,
    WRITERS,
    classify,
    damaged,
    reason,
)

import arches
from layout.ckernel import toolchain
from layout.ckernel.build import COVERAGE, build
from layout.ckernel.coverage import coverage
from layout.ckernel.execute import run
from layout.ckernel.generate import generate
from layout.hunt.corpus import operations_of, read_corpus

ROOT = Path(__file__).parents[2]
VERSIONS = ("6.12", "7.3")
C = """\
static inline
int first(int a)
{
    if (a > 1 && again())
        return 0;
    if (a > 1 || other(a)) {
        again();
    } else if (a) {
        return 1;
    }

    switch (a) {
    case 1:
        /* case 2: no line of code */
        return 2;
    default:
        goto out;
    }
    return 3;

out:
    do {
        a--;
    } while (a);
    return 4;
}
EXPORT_SYMBOL(first);

void second(void)
{
    first(1);
}
""".replace("    ", "\t")


def test_conditions_around_lines():
    source = Source(C)
    around = {source.lines[n].strip(): source.guard("first", n) for n in source.bodies["first"]}
    assert around["return 0;"] == ["if (a > 1 && again())"]
    assert around["again();"] == ["if (a > 1 || other(a)) {"]
    assert around["return 1;"] == ["if (a) {", "not if (a > 1 || other(a)) {"]
    assert around["return 2;"] == ["case 1:"]
    assert around["goto out;"] == ["default:"]
    assert around["return 3;"] == ["after switch (a) {"]
    assert around["return 4;"] == ["label out", "default:"]
    assert around["a--;"] == ["do {"]
    assert around["} while (a);"] == ["} while (a);"]
    assert source.reached_from("second") == {"second", "first", "other", "again"}
    assert not source.is_for_tests("second")
    assert Source(f"#ifndef __KERNEL__\n{C}#endif\n").is_for_tests("second")


def others(kernel):
    """What may call functions of maple_tree.c: the header's macros and the harness."""
    folder = resources.files("layout.ckernel") / "harness"
    texts = [bare(file.read_text()) for file in folder.iterdir() if file.name[-2:] in {".c", ".h"}]
    return [without_prototypes(kernel.header.read_text()), *texts]


@pytest.fixture(scope="module", params=VERSIONS)
def found(request, kernel_6_12, kernel, built_of, tmp_path_factory):
    """The version, its kernel and source, the lines that the corpus executes, the others' reasons."""
    version = request.param
    chosen = kernel_6_12 if version == "6.12" else kernel(version)
    built_of(chosen, toolchain.own())  # skips, or fails, without a compiler
    built = counting(chosen, tmp_path_factory)
    for trace in read_corpus(ROOT / "fixtures/corpus" / version).values():
        run(built, trace)
    executed = coverage(built)
    source = Source(chosen.code.read_text())
    return version, chosen, source, executed, classify(source, executed.missed, *others(chosen))


def counting(kernel, tmp_path_factory):
    """A build that counts lines from nothing, in a directory of its own: others run meanwhile."""
    built = build(kernel, toolchain.own(), COVERAGE)
    own = tmp_path_factory.mktemp("counting") / "build"
    shutil.copytree(built.directory, own, ignore=shutil.ignore_patterns("*.gcda"))
    return replace(built, directory=own)


def table(heading):
    """The cells of a table in docs/campaigns.md, by the first one of each row."""
    text = (ROOT / "docs/campaigns.md").read_text()
    rows = text[text.index(f"\n{heading}") :].split("\n\n", 1)[0].strip().splitlines()
    cells = [[cell.strip() for cell in row.strip("|").split(" | ")] for row in rows]
    return {first.strip("| "): rest for first, *rest in cells}


@pytest.mark.kernel
def test_the_documentation_lists_them(found):
    version, _, _, executed, why = found
    column = VERSIONS.index(version)
    listed = table("| why ")
    assert list(listed)[2:] == list(REASONS)
    for each in REASONS:
        names = ", ".join(f"`{name}` {lines}" for name, lines in sorted(why[each].items()))
        assert listed[each][column] == names, each
    figures = table("| | 6.12")
    sums = {each: why[each].total() for each in REASONS}
    shown, believed = (sum(sums[each] for each in part) for part in (SHOWN, BELIEVED))
    assert shown + believed + sums[OPEN] == executed.lines - executed.executed
    for row, lines in {
        "executed by the corpus": executed.lines,
        "executed, of those for which no reason is shown": executed.lines - shown,
        "executed, of those for which there is neither reason nor belief": (
            executed.lines - shown - believed
        ),
    }.items():
        share = f"{100 * executed.executed / lines:.1f} %"
        wanted = f"{executed.executed} ({share})" if row.endswith("corpus") else share
        assert figures[row][column] == wanted, row


@pytest.mark.kernel
def test_what_only_a_second_thread_can_do(found):
    """Reads that are repeated are in functions that reach no write, and each is of a node's death."""
    _, _, source, _, why = found
    for name in why[DEAD]:
        assert not WRITERS & source.reached_from(name), name
    writes = source.reached_from("mas_store_gfp")
    assert writes >= WRITERS
    assert {"mas_ascend", "mas_next_slot", "mtree_load"} <= set(why[DEAD])


@pytest.mark.kernel
def test_no_writer_makes_a_dense_node(found):
    _, kernel, source, _, why = found
    assert not set(why[TYPE]) & damaged(source)
    uses = [line for line in source.lines if re.search(r"\bmaple_dense\b", line)]
    seen = re.compile(r"case maple_dense:|\[maple_dense\]|== maple_dense\)")
    assert uses
    assert all(seen.search(line) for line in uses)
    header = Source(kernel.header.read_text())
    [named] = [line.strip() for line in header.lines if re.search(r"\bmaple_dense\b", line)]
    assert named == "maple_dense,"
    made = re.findall(
        r"mt_mk_node\((?:[^(),]|\([^()]*(?:\([^()]*\))?[^()]*\))*, ([^()]*)\)",
        "\n".join(source.lines),
    )
    assert len(made) > 5
    constants = {each for each in made if each.startswith("maple_")}
    assert constants <= {"maple_leaf_64", "maple_range_64", "maple_arange_64"}


@pytest.mark.kernel
def test_validate_ends_at_a_dense_leaf_and_at_a_check_that_fails(found, built_of):
    _, kernel, source, _, _ = found
    body = source.text("mt_validate")
    assert body.index("mas_data_end(") < body.index("mas_validate_gaps(")
    ends = source.text("mas_data_end")
    assert "!pivots[offset]" in ends
    assert "!pivots)" not in ends
    stores = "".join(f"store {i:x} {i + 15:x} 3001\n" for i in range(0, 0x140, 0x20))
    built = built_of(kernel, toolchain.own())
    *_, tree, memory = run(built, operations_of(f"init 1\n{stores}treemem\nmemdump\n")).lines
    order = arches.get(toolchain.own()).byteorder
    root = int.from_bytes(bytes.fromhex(tree["hex"])[8:], order) & ~0xFF
    [node] = [bytes.fromhex(each["hex"]) for each in memory["mem"] if each["addr"] == f"{root:x}"]
    leaf = int.from_bytes(node[80:88], order) & ~0xFF
    at = {"little": 80, "big": 87}[order]

    def validate(damage):
        return run(built, operations_of(f"init 1\n{stores}{damage}validate\n")).lines[-1]

    assert validate("")["ok"]
    dense = validate(f"poke {root:x} {at:x} 4\n")
    assert dense["fault"]["kind"] == "null"
    short = validate(f"poke {leaf:x} f8 2\n")
    assert (short["ok"], short["printk"][:19]) == (False, "WARN at mt_validate")
    assert "Invalid size" not in short["printk"]
    harness = "\n".join(others(kernel)[1:])
    assert re.search(r"#define dump_stack\(\) check_failed\(", harness)
    assert re.search(r"if \(checks_may_fail\)\s+siglongjmp\(check_exit, 1\);", harness)


@pytest.mark.kernel
def test_who_calls_what_no_operation_calls_so(found):
    version, kernel, source, _, _ = found
    harness = Source("\n".join(others(kernel)[1:]))
    for text in (source, harness):
        for name, body in ((name, text.text(name)) for name in text.bodies):
            called = text.calls[name]
            if called & {"mas_empty_area", "mas_empty_area_rev"} and name != "mas_alloc_cyclic":
                first = re.search(r"\bMA_STATE\(mas, |mas_empty_area", body)
                assert first[0].startswith("MA_STATE"), name
            if "mas_alloc_cyclic" in called:
                assert "MA_STATE(mas, " in body
            if "mas_preallocate" in called:
                assert not called & {"mas_store"}, name
    assert {"op_empty_area", "op_empty_area_rev"} <= set(harness.bodies)
    dumps = re.findall(r"\bmt_dump\w*\((.*)\);", "\n".join([*source.lines, *others(kernel)]))
    # without a format it is that of a kernel that has none
    assert {call.rpartition(" ")[2] for call in dumps} == {"format", "mt_dump_hex", "tree"}
    if version == "7.3":
        sets = [name for name in source.bodies if "|= MA_STATE_PREALLOC" in source.text(name)]
        assert sets == ["mas_preallocate"]


@pytest.mark.slow
@pytest.mark.kernel
def test_random_traces_do_not_reach_them(found, tmp_path_factory):
    """None of the lines with a reason, shown or believed: three minutes, input that crashes too."""
    version, kernel, source, executed, _ = found
    arch = arches.get(toolchain.own())
    built = counting(kernel, tmp_path_factory)
    for folder in ("layout/hunt/seeds", "fixtures/golden"):
        for path in sorted((ROOT / folder).glob("*.trace")):
            trace = operations_of(path.read_text())
            if not {each.op for each in trace} & kernel.missing_operations:
                run(built, trace)
    until, seed = time.monotonic() + 180, time.time_ns() >> 10
    while time.monotonic() < until:
        seed += 1
        profile = "bounds" if seed % 3 == 0 else ""
        run(
            built,
            generate(seed, arch, abuse=seed % 2 == 0, version=version, profile=profile).operations,
        )
    missed = coverage(built).missed
    for name, numbers in executed.missed.items():
        for number in set(numbers) - set(missed.get(name, ())):
            assert reason(source, name, number, set()) == OPEN, (name, number)
