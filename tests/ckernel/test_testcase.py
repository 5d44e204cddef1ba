import dataclasses

import pytest

import arches
from layout.ckernel.build import build
from layout.ckernel.execute import run_test
from layout.ckernel.testcase import function_name, write_test
from layout.cli.main import main
from layout.memory.errors import TraceError
from layout.traces.operations import OPERATIONS
from layout.traces.trace import parse

EVERYTHING = """init 1
store 10 20 3001
storenw 30 40 4001
insert 30 50 5001
insert 60 70 5001
erase 65
load 15
find 0 ffffffffffffffff
find_after 10 ffffffffffffffff
next 10 ffff
prev 40 0
alloc_range 6001 8 100 fff
alloc_rrange 7001 8 100 fff
alloc_cyclic 8001 200 2ff 210
alloc_range 6001 8 10 13
walk 35
empty_area 0 ffff 100
empty_area_rev 0 ffff 100
empty_area 10 20 100
mstore 400 4ff 9001
mstore 4ff 400 9001
prealloc 500 5ff a001
iter 0 ffffffffffffffff
iter 10000 20000
cset 10
cnext ffff
cnext_range ffff
cfind ffff
cfind_range ffff
cprev 0
cprev_range 0
cfind_rev 0
cfind_range_rev 0
cwalk
cset 600 6ff
cstore b001
cpause
cerase
creset
validate
dump
memdump
mtdump
treemem
prealloc_raw 1 2 3001
expect_raw 5
dup 2
dup_noinit 2
dup_noinit 3
sel 2
rcu on
store ffff 100000000 c001
rcu off
destroy
bulk 30 20 0 10 8 1001
sel 0
init 0
load 15
"""


def case(text, arch="x86_64", **options):
    machine = arches.get(arch)
    return write_test(parse(text.split("\n"), machine.ulong_max), machine, "check_it", **options)


def test_calls_and_checks():
    found = case("init 1\nstore 10 20 3001\nload 15\nfind 0 ff\nload 99\n")
    assert found.text == (
        "/* Replays a trace: the results are those of Linux 6.12 on x86_64. */\n"
        "static noinline void __init check_it(struct maple_tree *mt)\n"
        "{\n"
        "\tmtree_destroy(mt);\n"
        "\tmt_init_flags(mt, 0x1);\n"
        "\tMT_BUG_ON(mt, mtree_store_range(mt, 0x10UL, 0x20UL, (void *)0x3001UL, GFP_KERNEL) != 0);\n"
        "\tMT_BUG_ON(mt, mtree_load(mt, 0x15UL) != (void *)0x3001UL);\n"
        "\t{\n"
        "\t\tunsigned long index = 0;\n"
        "\n"
        "\t\tMT_BUG_ON(mt, mt_find(mt, &index, 0xffUL) != (void *)0x3001UL);\n"
        "\t\tMT_BUG_ON(mt, index != 0x21UL);\n"
        "\t}\n"
        "\tMT_BUG_ON(mt, mtree_load(mt, 0x99UL) != NULL);\n"
        "\tmt_validate(mt);\n"
        "\tmtree_destroy(mt);\n"
        "}\n"
    )


def test_wide_numbers_are_for_64_bit_alone():
    assert case("store 100000000 100000001 3001").text.startswith("#if defined(CONFIG_64BIT)\n")
    assert not case("store 10 ffffffffffffffff 3001").text.startswith("#if")


def test_lines_fit_the_kernels_width():
    text = case(EVERYTHING).text
    assert max(len(line.expandtabs(8)) for line in text.splitlines()) <= 100


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("load 1\nfail 0", "line 2: fail needs an allocator that refuses"),
        ("poke fffff0000 0 1", "line 1: poke damages memory"),
        ("rcu_lock", "line 1: rcu_lock holds a read section open"),
        ("init 0\nbulk ef ef 0 2 2 1001\nrcu on\ndestroy", "line 4: destroy ends in a fault"),
    ],
)
def test_what_can_be_no_test_is_refused(text, why):
    with pytest.raises(TraceError, match=why):
        case(text)


def test_names():
    assert function_name("dir/16b-Large.trace.xz") == "check_trace_16b_large"
    assert function_name("-") == "check_trace_case"


@pytest.mark.kernel
def test_it_compiles_and_passes_in_the_harness(kernel_6_12, built):
    built("x86_64")
    used = {line.split()[0] for line in EVERYTHING.splitlines()}
    assert set(OPERATIONS) - used == {"fail", "failnw", "poke", "rcu_lock", "rcu_unlock"}
    for closely in (False, True):
        found = case(EVERYTHING, closely=closely)
        assert len(found.left_out) == 6
        assert run_test(build(kernel_6_12, "x86_64", test=found)) == ""


def test_looking_closely():
    plain, close = (
        case("store 1 2 3001\nerase 1\nload 1\n", closely=c).text for c in (False, True)
    )
    assert plain.count("mt_validate(mt);") == 1
    assert close.count("mt_validate(mt);") == 3  # after each change, and at the end
    assert close.count("{ 1, 2, 0x3001UL },") == 1
    assert close.count("mas_find_rev(&mas, 0) != (void *)0x3001UL") == 1


@pytest.mark.kernel
def test_a_wrong_result_fails_in_the_harness(kernel_6_12, built):
    built("s390x")
    found = case("store 10 20 3001\nload 15\n", "s390x")
    wrong = dataclasses.replace(
        found, text=found.text.replace("0x15UL) != (void *)0x3001UL", "0x15UL) != (void *)0x3002UL")
    )
    assert run_test(build(kernel_6_12, "s390x", test=wrong)).startswith("BUG at check_it:")


LATER = [
    "init 0",
    *(f"store {i:x} {i:x} {i * 2 + 1:x}" for i in range(0, 200, 2)),
    "mstore 16 81 3",
]


def test_the_results_checked_are_those_of_a_kernel():
    """mas_store() over several leaves returns the first entry since 7.2."""
    operations = list(parse(LATER, 2**64 - 1))
    arch = arches.get("x86_64")
    old, new = (write_test(operations, arch, "t", version=v).text for v in ("6.12", "7.3"))
    assert old != new
    bulk = list(parse(["init 0", "bulk 5 5 0 2 2 1001"], 2**64 - 1))
    with pytest.raises(TraceError, match=r"line 2: Linux 7.3 has no mas_expected_entries"):
        write_test(bulk, arch, "t", version="7.3")


@pytest.mark.kernel
def test_a_test_of_7_3_passes_on_7_3(kernel, tmp_path, capsys):
    trace = tmp_path / "t.trace"
    trace.write_text("\n".join([*LATER, ""]))
    words = ["kernel", "test", str(trace), "--check", "--source", str(kernel("7.3").root)]
    assert main(words) == 0
    assert "passes, on x86_64 with Linux 7.3" in capsys.readouterr().err
    assert main([*words, "--kernel", "6.12"]) == 1
