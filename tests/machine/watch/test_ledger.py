import json
import lzma
from pathlib import Path

import pytest
from machines import THREE
from old_preallocation import OldPreallocation

from layout import MapleTree
from layout.machine.equip import equip
from layout.machine.watch.account import merged, units
from layout.machine.watch.ledger import (
    LEDGER,
    NEVER_USED,
    OVERWRITTEN,
    SPENT,
    ledger_of,
)
from layout.machine.watch.table import summary, table
from layout.memory.errors import MachineFault, UsageError
from layout.traces.runner import Runner
from layout.traces.trace import parse

GOLDEN = Path(__file__).parents[3] / "fixtures/golden"


def machine(arch="s390x", *kernels):
    return equip(arch, kernels=kernels, watch=[LEDGER])


def run(text, arch="s390x"):
    runner = Runner(machine(arch))
    lines = [runner.execute(o) for o in parse(text.split("\n"), runner.machine.arch.ulong_max)]
    return lines, runner.machine.ledger


def warnings(lines):
    return {line["n"]: line["ledger"]["warnings"] for line in lines if line["ledger"]["warnings"]}


def test_figures_of_single_operations():
    lines, _ = run(
        "init 0\nstore 1000 1fff 3001\nstore 3000 3fff 3003\nstore 1000 1fff 3005\nload 1000\nerase 1000",
        "x86_64",
    )
    figures = [tuple(line["ledger"].values())[:-1] for line in lines]
    # requested, refused, used, given back, freed, bytes, words, lines
    assert figures == [
        (0, 0, 0, 0, 0, 0, 0, 0),
        (1, 0, 1, 0, 0, 256, 32, 4),  # a node, zeroed whole
        (0, 0, 0, 0, 0, 256, 32, 4),  # a small node, built anew in place
        (0, 0, 0, 0, 0, 8, 1, 1),  # an exact fit: one slot
        (0, 0, 0, 0, 0, 0, 0, 0),
        (0, 0, 0, 0, 0, 256, 32, 4),
    ]


@pytest.mark.parametrize(
    ("arch", "lines"), [("s390x", 1), ("x86_64", 4), ("powerpc64", 2), ("mips", 8), ("hppa", 16)]
)
def test_a_whole_node_in_each_machines_cache_lines(arch, lines):
    done, _ = run("init 0\nstore 1000 1fff 3001", arch)
    assert done[1]["ledger"]["bytes_written"] == 256
    assert done[1]["ledger"]["cache_lines"] == lines


def test_bytes_count_once():
    def count(spans, unit):
        return units(merged(spans), unit)

    assert count([(100, 108), (104, 112), (104, 105)], 1) == 12
    assert count([(104, 112), (100, 108)], 8) == 2
    assert count([(0, 8), (8, 16), (255, 257)], 64) == 3
    assert count([(0, 1), (63, 64), (70, 71), (80, 81)], 64) == 2
    assert count([], 64) == 0


def test_long_operations_are_merged_on_the_way(monkeypatch):
    text = "init 0\nbulk 400 400 1000 1000 1000 3001"
    lines, merging = run(text)
    assert len(merging._spans) < 1 << 12
    monkeypatch.setattr("layout.machine.watch.account._SPANS", 1 << 30)
    _, keeping = run(text)
    assert len(keeping._spans) > 1 << 12
    assert merging.accounts == keeping.accounts
    assert merging.accounts[-1].requested == lines[-1]["na"]


@pytest.mark.parametrize(
    "name",
    [
        "15-fault-injection",
        "12-dup-and-destroy",
        "09b-rcu-short",
        "18-cursor-and-mas-store",
    ],
)
def test_nodes_add_up_and_the_transcript_is_the_same(name):
    machine_ = machine()
    runner = Runner(machine_)
    with lzma.open(GOLDEN / f"{name}.s390x.jsonl.xz", "rt") as golden:
        expected = [json.loads(line) for line in golden]
    operations = parse((GOLDEN / f"{name}.trace").read_text().split("\n"), 2**64 - 1)
    for operation, want in zip(operations, expected, strict=False):
        if "livelock" in want:
            break
        line = runner.execute(operation)
        figures = line.pop("ledger")
        assert line == {k: v for k, v in want.items() if k != "warn_last"}
        if "ac" not in line:
            continue
        calls = [(c[0] == "!", int(c.lstrip("!kn").lstrip("b"))) for c in line["ac"]]
        assert figures["requested"] == sum(n for refused, n in calls if not refused)
        assert figures["refused"] == sum(n for refused, n in calls if refused)
        assert figures["freed"] == len(line["fr"])
        assert figures["requested"] == figures["used"] + figures["given_back"]
    assert machine_.ledger.held == 0


def test_leftover_of_a_preallocation_is_given_back():
    # a store over many leaves asks for three nodes a level and one more
    text = "init 2\n" + "\n".join(f"store {i:x}000 {i:x}fff 3001" for i in range(1, 40))
    lines, _ = run(f"{text}\nprealloc 5000 1ffff 3003")
    ledger = lines[-1]["ledger"]
    assert lines[-1]["requested"] == ledger["requested"] == 7
    assert (ledger["used"], ledger["given_back"]) == (1, 6)
    assert lines[-1]["leftover"] == 6
    assert ledger["warnings"] == []


def test_store_overwritten_by_the_same_state():
    text = "init 0\ncset 1000 1fff\ncstore 3001\n{between}\ncset 800 1fff\ncstore 3003"
    lines, _ = run(text.format(between="treemem"))
    assert warnings(lines) == {6: [f"line 3, cstore 1000-1fff: {OVERWRITTEN}"]}
    for between in ("load 1000", "iter 0 ffff", "cfind ffff", "erase 5000", "cerase"):
        assert warnings(run(text.format(between=between))[0]) == {}
    # another state's store reads nothing and is no reason
    assert list(warnings(run(text.format(between="store 7000 7fff 3001"))[0])) == [6]
    # a part that stays
    assert (
        warnings(run("init 0\ncset 1000 1fff\ncstore 3001\ncset 1001 1fff\ncstore 3003")[0]) == {}
    )
    # a store that failed left nothing to be overwritten
    assert (
        warnings(
            run("init 0\nfail 0\ncset 1000 1fff\ncstore 3001\nfail -\ncset 1000 1fff\ncstore 3003")[
                0
            ]
        )
        == {}
    )


def test_preallocation_never_used():
    lines, _ = run(
        "init 0\nstore 1000 1fff 3001\nrcu on\nprealloc_raw 1800 18ff 3001\nprealloc 1800 18ff 3001"
    )
    assert warnings(lines) == {
        4: [f"{NEVER_USED}: line 4, prealloc_raw 1800-18ff got 1 node, all given back"]
    }
    lines, _ = run("init 0\nexpect_raw 64")
    assert warnings(lines) == {
        2: [f"{NEVER_USED}: line 2, expect_raw 0-0 got 20 nodes, all given back"]
    }


def ten_ranges(arch, *kernels):
    """The tree of R4: ten ranges of 0x10000, in RCU mode."""
    made = machine(arch, *kernels)
    kernel, tree = made.kernel, made.tree(0)
    for i in range(10):
        kernel.mtree_store_range(tree, i << 16, (i << 16) + 0xFFFF, 0x3001 + (i << 8))
    kernel.mt_set_in_rcu(tree)
    return made


@pytest.mark.parametrize("arch", [*THREE, "mips"])
def test_two_writes_after_one_preallocation(arch):
    made = ten_ranges(arch, OldPreallocation)
    kernel, ledger = made.kernel, made.ledger
    mas = kernel.new_state(made.tree(0), 0x48000, 0x5FFFF)
    assert kernel.mas_preallocate(mas, 0x3501) == 0
    made.cache.fail(0, None, nowait_only=True)
    mas.index, mas.last = 0x48000, 0x4FFFF
    kernel.mas_store_prealloc(mas, 0)
    mas.index, mas.last = 0x48000, 0x5FFFF
    with pytest.raises(MachineFault, match="kernel BUG") as stop:
        kernel.mas_store_prealloc(mas, 0x3501)
    assert stop.value.kind == "bug"
    assert mas.node == 0xFFFFFFFFFFFFFFD2 & made.arch.ulong_max
    get, first, second = ledger.accounts[-3:]
    assert (get.requested, get.used) == (4, 0)
    assert (first.used, first.given_back) == (1, 3)
    assert (second.requested, second.refused, second.used) == (0, 1, 0)
    assert first.warnings == (
        f"{SPENT}: call 11, mas_preallocate 48000-5ffff got 4 nodes, this stores 48000-4ffff",
    )
    assert second.warnings == (f"call 12, mas_store_prealloc 48000-4ffff: {OVERWRITTEN}",)


def test_the_second_write_alone_takes_no_node():
    made = ten_ranges("s390x", OldPreallocation)
    kernel = made.kernel
    mas = kernel.new_state(made.tree(0), 0x48000, 0x5FFFF)
    kernel.mas_preallocate(mas, 0x3501)
    made.cache.fail(0, None, nowait_only=True)
    kernel.mas_store_prealloc(mas, 0x3501)
    account = made.ledger.accounts[-1]
    assert (account.used, account.given_back) == (0, 4)
    assert account.warnings == (
        f"{NEVER_USED}: call 11, mas_preallocate 48000-5ffff got 4 nodes, all given back",
    )


def test_todays_preallocation_for_another_write():
    made = ten_ranges("s390x")
    kernel = made.kernel
    mas = kernel.new_state(made.tree(0), 0x48000, 0x4FFFF)
    kernel.mas_preallocate(mas, 0)
    kernel.mas_store_prealloc(mas, 0x3F01)  # the same range, another entry
    assert [w.split(":")[0] for w in made.ledger.accounts[-1].warnings] == [SPENT]


def test_a_null_that_was_widened_is_the_same_write():
    made = machine()
    kernel, tree = made.kernel, made.tree(0)
    kernel.mtree_store_range(tree, 0x1000, 0x1FFF, 0x3001)
    kernel.mtree_store_range(tree, 0x4000, 0x4FFF, 0x3001)
    kernel.mt_set_in_rcu(tree)
    mas = kernel.new_state(tree, 0x1800, 0x28FF)
    kernel.mas_preallocate(mas, 0)
    assert (mas.index, mas.last) == (0x1800, 0x3FFF)
    kernel.mas_store_prealloc(mas, 0)
    assert [a.warnings for a in made.ledger.accounts] == [()] * 4


def test_a_replaced_node_that_is_taken_again_is_no_new_one():
    made = machine("x86_64")
    kernel, tree = made.kernel, made.tree(0)
    kernel.mtree_store_range(tree, 0, 0xFFF, 0x3001)
    mas = kernel.new_state(tree)
    kernel.mas_expected_entries(mas, 1)
    node = kernel.mas_pop_node(mas)
    kernel.mas_push_node(mas, node)
    assert kernel.mas_pop_node(mas) == node
    kernel.mas_push_node(mas, node)
    kernel.mas_destroy(mas)
    ledger = made.ledger
    assert ledger.used == 2
    account = ledger.accounts[-1]
    assert account.freed == account.given_back + 1


def test_table_and_summary():
    _, ledger = run("init 0\ncset 1000 1fff\ncstore 3001\ncset 0 1fff\ncstore 3003\nload 1")
    assert table(ledger.accounts[2:5:2]) == [
        "           requested  used  given back  freed  bytes  words  lines",
        "3  cstore          1     1           0      0    256     32      1",
        "5  cstore          0     0           0      0    256     32      1",
    ]
    assert summary(ledger)[0] == (
        "ledger of 6 operations; nodes: 1 requested, 1 used, 0 given back, 0 freed, 0 still in reserve; "
        "written: 512 bytes in 2 cache lines"
    )
    assert summary(ledger)[-2:] == [
        "warnings, 1:",
        f"5, cstore: line 3, cstore 1000-1fff: {OVERWRITTEN}",
    ]


def test_a_machine_without_a_ledger():
    with pytest.raises(UsageError, match="this machine has no ledger"):
        ledger_of(equip("s390x"))


def test_trees_of_the_python_api():
    tree = MapleTree("s390x", rcu=True, watch=[LEDGER])
    for i in range(20):
        tree.store(i << 12, (i << 12) + 0xFFF, 0x3001)
    with tree.preallocate(0x5000, 0x57FF, 0x4001):
        pass
    accounts = ledger_of(tree.machine).accounts
    assert [a.number for a in accounts] == list(range(1, len(accounts) + 1))
    assert accounts[0].name == "mtree_store_range 0-fff"
    assert {a.name.split()[0] for a in accounts} == {
        "mtree_store_range",
        "run_rcu",
        "mas_preallocate",
        "mas_destroy",
    }
    assert accounts[-1].warnings[0].startswith(NEVER_USED)
    with pytest.raises(UsageError, match="watches are of a machine"):
        MapleTree(machine=tree.machine, watch=[LEDGER])


@pytest.mark.parametrize(
    "name", sorted(path.stem for path in (GOLDEN.parent / "written").glob("*.txt"))
)
def test_writes_are_those_of_the_kernels_own_code(name):
    lines = [
        line.split("\t")
        for line in (GOLDEN.parent / f"written/{name}.txt").read_text().splitlines()
    ]
    done, _ = run("\n".join(operation for operation, _ in lines), "x86_64")
    for (operation, figures), line in zip(lines, done, strict=True):
        ledger = line["ledger"]
        ours = f"{ledger['bytes_written']} {ledger['words_written']} {ledger['cache_lines']}"
        assert ours == figures, operation


def test_figures_of_the_kernels_own_code_are_there():
    assert len(list((GOLDEN.parent / "written").glob("*.txt"))) == 4


def test_arguments_by_name():
    made = machine()
    made.kernel.mtree_store_range(tree=made.tree(0), index=16, last=31, entry=0x3001)
    assert made.kernel.mtree_load(tree=made.tree(0), index=20) == 0x3001
    assert [a.name for a in made.ledger.accounts] == ["mtree_store_range 10-1f"]
