"""maple-layout interleave: what it prints, exit codes, wrong usage."""

import json

import pytest


@pytest.fixture
def leaf(tmp_path):
    path = tmp_path / "leaf.trace"
    lines = [f"store {i << 12:x} {(i << 12) + 0xFFF:x} {(i << 12) + 0x1001:x}" for i in range(8)]
    path.write_text("\n".join(["init 2", *lines, "store 2000 2fff 99001", ""]))
    return path


@pytest.fixture
def first(tmp_path):
    path = tmp_path / "first.trace"
    path.write_text("init 2\nstore 0 fff 1001\n")
    return path


def test_nothing_wrong(run, leaf):
    code, out, err = run("interleave", leaf, "--line", "10", "--kernel", "7.3", "--readers", "1")
    assert (code, err) == (0, "")
    assert out.startswith("x86_64, 7.3, tso: 1 line, ")
    assert out.endswith(": each answer is of the old or the new tree\n")


def test_the_first_wrong_execution(run, first):
    code, out, _ = run("interleave", first, "--readers", "1", "--arch", "arm", "--order", "tso")
    assert code == 1
    lines = out.splitlines()
    assert lines[0].startswith("line 2: store 0 fff 1001: 1 wrong in ")
    assert lines[-2] == (
        "  wrong: mas_find_rev(0) = 1000000e over 0-0, but 0 held NULL before and holds 1001 after"
    )
    assert lines[-1].endswith(": wrong answers beside 1")


def test_json(run, first):
    code, out, _ = run("interleave", first, "--json", "--reader", "load 0")
    assert code == 0
    [line] = map(json.loads, out.splitlines())
    assert (line["line"], line["readers"], line["wrong"]) == (2, 1, [])
    code, out, _ = run("interleave", first, "--json", "--without", "rcu_assign_pointer",
                       "--order", "weak", "--reader", "load 0")  # fmt: skip
    assert code == 1
    wrong = json.loads(out)["wrong"][0]
    assert wrong["reader"] == "load 0"
    assert wrong["loads"][0]["field"] == "ma_root"


def test_each_barrier(run, leaf):
    words = ("--line", "10", "--each", "--arch", "powerpc64")
    code, out, _ = run("interleave", leaf, *words)
    assert code == 0
    rows = [line.split() for line in out.splitlines()]
    assert rows[0] == ["barrier", "kind", "10"]
    assert [row[0] for row in rows if row[-1] == "needed"] == ["mas_wr_store_entry"]
    code, out, _ = run("interleave", leaf, *words, "--json", "--reader", "load 2000")
    found = {each["without"]: each["needed_by"] for each in map(json.loads, out.splitlines())}
    assert found["mas_wr_store_entry"] == [10]
    assert found["mas_put_in_tree"] == []


def test_rcu_mode_is_needed(run, tmp_path):
    path = tmp_path / "plain.trace"
    path.write_text("init 0\nstore 0 0 1001\n")
    code, out, err = run("interleave", path)
    assert (code, out) == (2, "")
    assert err.startswith("maple-layout: no line changes a tree in RCU mode")
    assert run("interleave", path, "--rcu", "--readers", "1")[0] == 0


@pytest.mark.parametrize(("words", "error"), [
    (("--without", "smp_mb"), "there is no barrier 'smp_mb': choose one of mas_put_in_tree"),
    (("--readers", "4"), "--readers 4: 1 to 3 readers come one after another"),
    (("--reader", "load"), "--reader 'load' is none of 'load I'"),
    (("--line", "7"), "has no operation in that line"),
])  # fmt: skip
def test_wrong_usage(run, first, words, error):
    code, _, err = run("interleave", first, *words)
    assert code == 2
    assert error in err
