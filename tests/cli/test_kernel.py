"""``maple-layout kernel``, as a user sees it."""

import json
import os
import re

import pytest

import layout.ckernel.source
from layout.ckernel import toolchain
from layout.cli.kernel.run import _print_reports
from layout.memory.errors import UsageError


@pytest.fixture
def trace(tmp_path):
    path = tmp_path / "small.trace"
    path.write_text("init 0\nstore 10 20 3001\nload 15\n")
    return path


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["build", "--source", "nowhere"], "nowhere has no lib/maple_tree.c"),
        (["build", "--source", "x", "--deb", "y"], "give one of them"),
        (["build", "--deb", "linux-source-0.1"], "apt install linux-source-0.1"),
        (["run", "missing.trace"], "missing.trace: No such file"),
        (["run", "--arch", "vax", "-"], "unknown architecture 'vax'"),
    ],
)
def test_wrong_use_is_one_line(run, words, complaint):
    code, out, err = run("kernel", *words)
    assert (code, out) == (2, "")
    assert complaint in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "source"),
    [
        ([], (None, None)),
        (["--kernel", "7.3.4"], (None, "linux-source-7.3")),
        (["--kernel", "7.3", "--deb", "linux-source-7.2"], (None, "linux-source-7.2")),
        (["--kernel", "7.3", "--source", "linux"], ("linux", None)),
    ],
)
@pytest.mark.parametrize("action", [["diff", "t.trace"], ["fuzz"], ["test", "t.trace", "--check"]])
def test_the_kernel_asked_for_is_the_default_source(monkeypatch, run, trace, action, words, source):
    asked = []

    def opened(directory, deb, *, download):
        asked.append((directory, deb))
        raise UsageError("stop" * (not download))

    monkeypatch.setattr(layout.ckernel.source, "open_source", opened)
    action = [trace if word == "t.trace" else word for word in action]
    assert run("kernel", *action, *words)[0] == 2
    assert asked == [source]


def test_without_tools_the_command_that_installs_them_is_told(run, monkeypatch, tmp_path, trace):
    for name in ("lib/maple_tree.c", "include/linux/maple_tree.h"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    monkeypatch.setenv("PATH", "")
    toolchain.find.cache_clear()
    for words in (["build"], ["build", "--arch", "s390x"], ["run", trace, "--arch", "s390x"]):
        code, out, err = run("kernel", *words, "--source", tmp_path)
        assert (code, out) == (2, "")
        assert "apt install --no-install-recommends gcc" in err
    toolchain.find.cache_clear()


@pytest.mark.kernel
def test_build_and_run(run, trace, kernel_6_12, built):
    built("s390x")
    code, out, _ = run("kernel", "build", "--arch", "s390x", "--json")
    [found] = json.loads(out)
    assert (code, found["arch"], found["cached"]) == (0, "s390x", True)
    assert found["sha256"] == kernel_6_12.sha256
    code, out, err = run("kernel", "run", trace, "--arch", "s390x")
    lines = [json.loads(line) for line in out.splitlines()]
    assert (code, lines[2]) == (0, {"n": 3, "op": "load", "entry": "3001"})
    assert kernel_6_12.version in err
    assert kernel_6_12.sha256 in err


@pytest.mark.kernel
def test_a_fault_is_exit_code_1(run, tmp_path, built):
    built("x86_64")
    path = tmp_path / "bad.trace"
    path.write_text("init 0\nbulk ef ef 0 2 2 1001\nrcu on\ndestroy\n")
    code, out, err = run("kernel", "run", path)
    assert code == 1
    assert len(out.splitlines()) == 4
    assert "line 4: destroy: double free: kmem_cache_free of a free node" in err


@pytest.mark.kernel
def test_diff(run, trace, changed_6_12, kernel_6_12, built):
    built("s390x")
    changed = changed_6_12.root
    code, out, err = run("kernel", "diff", trace, "--arch", "x86_64,s390x")
    assert code == 0
    assert out == "x86_64       equal: 3 operations\ns390x        equal: 3 operations\n"
    assert kernel_6_12.sha256 in err
    code, out, _ = run("kernel", "diff", trace, "--arch", "x86_64", "--source", changed)
    assert code == 1
    assert "differs at line 2: store 10 20 3001" in out
    assert "! 248  00                       02                       meta.end" in out
    assert out.endswith("shrunk to 1 operations:\nstore 10 20 3001\n")
    code, out, _ = run("kernel", "diff", trace, "--arch", "x86_64", "--source", changed, "--json")
    found = json.loads(out)
    assert (code, found["equal"]) == (1, False)
    assert found["kernel"]["sha256"] != kernel_6_12.sha256
    assert found["arches"]["x86_64"]["first_difference"]["field"] == "meta.end"
    assert found["arches"]["x86_64"]["shrunk"] == ["store 10 20 3001"]


@pytest.mark.kernel
def test_diff_takes_the_machines_that_a_trace_fits(run, tmp_path, built, monkeypatch):
    built("x86_64")
    monkeypatch.setattr(toolchain, "available", lambda: ["x86_64", "mips"])
    path = tmp_path / "wide.trace"
    path.write_text("init 0\nstore 100000000 200000000 3001\n")
    code, out, _ = run("kernel", "diff", path)
    assert code == 0
    assert "x86_64" in out
    assert "mips" not in out
    code, out, err = run("kernel", "diff", path, "--arch", "arm")
    assert (code, out) == (2, "")
    assert "line 2: A does not fit into this machine's 32 bits" in err


@pytest.mark.kernel
def test_fuzz(run, tmp_path, changed_6_12, built):
    built("x86_64")
    changed = changed_6_12.root
    out_dir = tmp_path / "out"
    words = ["kernel", "fuzz", "--arch", "x86_64", "--out", out_dir]
    code, out, err = run(*words, "--time", "1", "--json")
    found = json.loads(out)
    assert (code, found["equal"], found["differences"]) == (0, True, [])
    assert 0.3 < found["coverage"]["executed"] / found["coverage"]["lines"] < 1
    assert "next seed" in err
    code, out, _ = run(*words, "--time", "1", "--source", changed)
    assert code == 1
    assert "\nmeta.end, mas_root_expand: " in out
    assert " on x86_64\n  store differs in " in out
    [path] = list(out_dir.glob("store-*.trace"))
    assert "# cause: meta.end, mas_root_expand\n" in path.read_text()
    code, out, _ = run("kernel", "diff", path, "--arch", "x86_64", "--source", changed)
    assert code == 1


@pytest.mark.kernel
def test_lines_are_counted_also_where_another_machine_was_asked_for(run, tmp_path, built):
    built("s390x")
    words = ["kernel", "fuzz", "--arch", "s390x", "--out", tmp_path, "--time", "1"]
    code, out, _ = run(*words)
    assert code == 0
    assert re.search(r"no difference in \d+ of \d+ lines of maple_tree.c executed", out)
    assert "functions never entered: " in out
    code, out, _ = run(*words, "--no-coverage")
    assert out.endswith("no difference\n")


@pytest.mark.kernel
def test_what_was_found_is_told_where_lines_are_not_counted(run, tmp_path, built, monkeypatch):
    """gcov may be broken, or the disk full: that is no reason to lose a campaign."""
    built("x86_64")
    (tmp_path / "gcov").write_text("#!/bin/sh\necho '{\"files\": 7}'\n")
    (tmp_path / "gcov").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    out_dir = tmp_path / "out"
    words = [
        "kernel",
        "fuzz",
        "--arch",
        "x86_64",
        "--out",
        out_dir,
        "--time",
        "60",
        "--traces",
        "1",
    ]
    code, out, err = run(*words)
    assert (code, out.splitlines()[-1]) == (0, "no difference")
    said = "the lines of maple_tree.c that were executed are not known: gcov has nothing to say"
    assert f"maple-layout: {said} about maple_tree.c: \n" in err


@pytest.mark.parametrize("words", [
    ["--jobs", "0"], ["--jobs", "1025"], ["--time", "x"], ["--arch", "s390y"], ["--seed", str(1 << 64)],
])  # fmt: skip
def test_wrong_use_of_fuzz(run, words):
    code, out, err = run("kernel", "fuzz", *words)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1


def test_a_test_is_printed_without_any_tool(run, trace, tmp_path):
    code, out, err = run("kernel", "test", trace)
    assert (code, err) == (0, "")
    assert out.startswith("static noinline void __init check_trace_small(struct maple_tree *mt)\n")
    assert "MT_BUG_ON(mt, mtree_load(mt, 0x15UL) != (void *)0x3001UL);" in out
    code, out, err = run("kernel", "test", trace, "--name", "no-name")
    assert (code, out) == (2, "")
    assert "--name 'no-name' is no name in C" in err
    refused = tmp_path / "refused.trace"
    refused.write_text("init 0\nfail 0\n")
    code, out, err = run("kernel", "test", refused)
    assert (code, out) == (2, "")
    assert "refused.trace, line 2: fail needs an allocator that refuses" in err


@pytest.mark.kernel
def test_a_test_is_checked(run, trace, built, kernel_6_12):
    built("s390x")
    code, _, err = run("kernel", "test", trace, "--arch", "s390x", "--check")
    assert code == 0
    assert f"passes, on s390x with Linux {kernel_6_12.version}" in err


@pytest.mark.kernel
def test_a_test_that_cannot_show_the_difference_says_so(run, trace, built, change_6_12):
    """A leaf's metadata has a gap that nobody reads."""
    built("x86_64")
    end = "ma_set_meta(node, maple_leaf_64, 0, slot);"
    changed = change_6_12(end, end.replace("0, slot", "1, slot"))
    code, out, err = run("kernel", "test", trace, "--check", "--source", changed.root)
    assert code == 0
    assert "mt_validate(mt);" in out
    assert "passes, on x86_64 with " in err
    assert "but kernel and emulator differ where no caller can see it: " in err
    assert "meta.gap of 1000000000, byte 249: kernel has 1, emulator has 0" in err


@pytest.mark.kernel
def test_a_test_fails_on_the_kernel_that_its_trace_is_of(run, tmp_path, built, changed_6_12):
    built("x86_64")
    trace = tmp_path / "t.trace"
    trace.write_text("store fffe fffe 3001\n")
    code, out, err = run("kernel", "test", trace, "--check", "--source", changed_6_12.root)
    assert code == 1
    assert "\tmt_validate(mt);\n\tmtree_destroy(mt);\n" in out
    assert "fails: BUG at mas_validate_limits" in err


def test_what_a_program_says_drives_no_terminal_and_has_an_end(capsys):
    _print_reports(["==1==ERROR: \x1b[2J", "x" * 5000, *["line"] * 500])
    said = capsys.readouterr().err.split("\n")
    assert said[:3] == ["==1==ERROR: \\x1b[2J", "x" * 2000, "line"]
    assert said[500:] == ["maple-layout: and 2 lines more of what the program said", ""]
