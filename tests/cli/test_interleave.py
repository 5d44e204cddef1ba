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


def test_lines_together(run, leaf):
    leaf.write_text(f"{leaf.read_text()}store 2000 2fff 89001\n")
    words = ("--line", "10", "--beside", "2", "--reader", "load 2000")
    code, out, err = run("interleave", leaf, *words)
    assert (code, err) == (0, "")
    assert out.startswith("x86_64, 6.12, tso: 1 run of up to 2 lines, ")
    assert out.endswith(": each answer is of the old tree, the new one or one between\n")
    out = run("interleave", leaf, *words, "--bound", "1")[1]
    assert out.startswith(
        "x86_64, 6.12, tso: 1 run of up to 2 lines, 2 readers left at the bound, "
    )
    [line] = map(json.loads, run("interleave", leaf, *words, "--json")[1].splitlines())
    assert [each["line"] for each in line["together"]] == [10, 11]
    assert line["together"][1]["operation"] == "store 2000 2fff 89001"
    assert line["together"][1]["first_store"] == 2  # what the entry points to, then the entry
    code, out, _ = run("interleave", leaf, *words, "--arch", "aarch64", "--each")
    assert code == 0
    rows = [row.split() for row in out.splitlines()]
    assert rows[0] == ["barrier", "kind", "10-11"]
    assert [row[0] for row in rows if row[-1] == "needed"] == ["mas_wr_store_entry"]


def test_a_story_of_lines_together_names_each(run, leaf):
    moves = ("store 2000 37ff 99001", "store 3000 3fff 89001", "store 2000 2fff 0")
    lines = [*leaf.read_text().splitlines()[:-1], *moves]
    leaf.write_text("\n".join([*lines, ""]))
    words = ("--line", "11", "--arch", "s390x", "--reader", "load 3400")
    assert run("interleave", leaf, *words)[0] == 0
    code, out, _ = run("interleave", leaf, *words, "--beside", "2")
    assert code == 1
    lines = out.splitlines()
    assert lines[0].startswith("lines 11-12: store 3000 3fff 89001; store 2000 2fff 0: 1 wrong in ")
    assert lines[1] == "  writer: 2 of their 4 stores are met"
    assert [line.split()[1:5] for line in lines[2:4]] == [
        ["line", "11", "pivot[2]", "of"],
        ["line", "12", "slot[2]", "of"],
    ]
    assert lines[-2] == (
        "  wrong: mtree_load(3400) = NULL, but 3400 held 99001 before and holds 89001 after"
    )
    # on machines of weak order one line is enough
    assert run("interleave", leaf, "--line", "10", "--arch", "aarch64", "--reader", "load 3400")[0]


def test_rcu_mode_is_needed(run, tmp_path):
    path = tmp_path / "plain.trace"
    path.write_text("init 0\nstore 0 0 1001\n")
    code, out, err = run("interleave", path)
    assert (code, out) == (2, "")
    assert err.startswith("maple-layout: no line changes a tree in RCU mode")
    assert run("interleave", path, "--rcu", "--readers", "1")[0] == 0


def test_a_line_has_a_limit(run, tmp_path):
    """The stores of a line are looked at one by one, so it may ask for less than elsewhere."""
    path = tmp_path / "many.trace"
    path.write_text(
        "init 2\nbulk ad ffffffffffffffff ffffff8e39474c92 0 ffffffff ffffffffffffffff\n"
    )
    code, _, err = run("interleave", path, "--readers", "1")
    assert code == 2
    assert "line 2: bulk: more than 16384 entries, the limit of a line: --limit N raises it" in err


@pytest.mark.parametrize(("words", "error"), [
    (("--without", "smp_mb"), "there is no barrier 'smp_mb': choose one of mas_put_in_tree"),
    (("--readers", "4"), "--readers 4: 1 to 3 readers come one after another"),
    (("--reader", "load"), "--reader 'load' is none of 'load I'"),
    (("--beside", "9"), "--beside 9: readers run beside 1 to 8 lines together"),
    (("--line", "7"), "has no operation in that line"),
])  # fmt: skip
def test_wrong_usage(run, first, words, error):
    code, _, err = run("interleave", first, *words)
    assert code == 2
    assert error in err
