"""maple-layout bisect: output, pages, exit codes; the kernel's own code."""

import json
import shlex

import pytest

from layout import defects


@pytest.fixture
def r1(tmp_path):
    path = tmp_path / "r1.trace"
    path.write_text(defects.get("R1").trace)
    return path


def test_a_report(run, r1):
    code, out, err = run("bisect", r1, "--until", "report", "--arch", "s390x", "--defect", "R1")
    assert (code, err) == (1, "")
    lines = out.splitlines()
    assert lines[:4] == [
        "line 11: cnext ffffffffffffffff",
        "  metadata read as slot: mas_next_nentry used 1000000000+248 as slot[15]; it is metadata end",
        "",
        "shortest trace found, 10 operations:",
    ]
    assert lines[4:14] == defects.get("R1").trace.splitlines()[1:]
    assert lines[-1] == "  r1.html#line=11&byte=1000000000+248&machine=s390x%20with%20R1"


def test_the_command_it_names_makes_the_page_it_names(run, r1, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    _, out, _ = run("bisect", r1, "--until", "report", "--arch", "s390x", "--defect", "R1")
    command, link = out.splitlines()[-2:]
    code, out, _ = run(*shlex.split(command.removeprefix("in the explorer: maple-layout ")))
    assert code == 0
    assert f"first metadata read as slot: {link.strip()}" in out


def test_a_page_of_its_own(run, r1, tmp_path):
    file = tmp_path / "a.html"
    words = ("--until", "machines x86_64,s390x", "--defect", "R1", "--shrink", "0", "-o", file)
    code, out, _ = run("bisect", r1, *words)
    assert code == 1
    assert out.splitlines()[-1] == (f"in the explorer: {file}#line=11&machine=s390x%20with%20R1")
    assert "shortest" not in out
    assert file.read_text().startswith("<!doctype html>")


def test_json(run, r1):
    words = ("--until", "byte 1000000000+248 = 0e", "--json")
    code, out, _ = run("bisect", r1, *words)
    found = json.loads(out)
    assert (code, found["line"], found["address"]) == (1, 8, "10000000f8")
    assert found["trace"] == defects.get("R1").trace.splitlines()[1:8]
    assert found["fragment"] == "#line=8&byte=1000000000+248&machine=x86_64"
    assert json.loads(run("bisect", r1, "--until", "fault", "--json")[1]) == {"found": False}


def test_it_never_holds(run, r1):
    assert run("bisect", r1, "--until", "entry 5") == (
        0,
        "entry 5: not after any of the 11 operations\n",
        "",
    )


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--until", "foo"], "--until 'foo' is no condition: give one of invalid"),
        (["--until", "machines x86_64,i386"], "whose words have the same width"),
        (["--until", "machines x86_64,vax"], "unknown architecture 'vax'"),
        (["--until", "machines x86_64,s390x", "--arch", "i386"], "leave --arch out"),
        (["--until", "kernel", "--defect", "R1"], "leave it out"),
        (["--until", "kernel", "--source", "nowhere"], "nowhere has no lib/maple_tree.c"),
        (["--until", "byte 5 = 1"], "there is no memory at 5"),
        (["--until", "fault", "-o", "missing/a.html"], "missing/a.html: No such file"),
        ([], "--until"),
    ],
)
def test_wrong_use_is_one_line(run, r1, words, complaint):
    code, out, err = run("bisect", r1, *words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert complaint in err


@pytest.mark.kernel
def test_the_kernel_differs(run, r1, change_6_12, built_of):
    """A kernel whose metadata end is one more parts from the emulator at the first leaf."""
    source = change_6_12("meta->end = end;", "meta->end = end + 1;")
    built_of(source, "x86_64")
    words = ("--until", "kernel", "--source", source.root, "--shrink", "1")
    code, out, _ = run("bisect", r1, *words)
    assert code == 1
    assert out.splitlines()[0] == "line 2: store 10000 10fff 2a0001"
    assert "shortest trace found, 1 operation:\nstore 10000 10fff 2a0001\n" in out


@pytest.mark.kernel
def test_the_kernel_is_equal(run, r1, built):
    built("x86_64")
    code, out, _ = run("bisect", r1, "--until", "kernel")
    assert (code, out) == (0, "kernel: not after any of the 11 operations\n")


@pytest.mark.kernel
def test_what_is_shown_is_the_version_that_was_compared(run, changed_6_12, tmp_path):
    """The source's emulator, also where --kernel is left out."""
    trace = tmp_path / "t.trace"
    trace.write_text("init 0\n" + "".join(f"store {i:x}0 {i:x}7 3001\n" for i in range(9)))
    words = ("bisect", trace, "--until", "kernel", "--shrink", "0")
    code, out, err = run(*words, "--source", changed_6_12.root, "--kernel", "7.3")
    assert code == 1
    assert "the emulator is 7.3" in err
    assert f"explore {trace} --arch x86_64 --kernel 7.3 -o t.html" in out
    code, out, err = run(*words, "--source", changed_6_12.root)
    assert "the emulator is 6.12" in err
    assert code == 0 or "--kernel 6.12 -o t.html" in out
