from pathlib import Path

import pytest

from layout.cli.main import main

STRACE = Path(__file__).parents[2] / "fixtures/strace"
CAT = str(STRACE / "cat.log")


def test_a_log(tmp_path, capsys):
    trace = tmp_path / "t.trace"
    assert main(["record", CAT, "--maps", str(STRACE / "cat.maps"), "-o", str(trace)]) == 0
    assert "agrees last with line 30 of" in capsys.readouterr().out
    assert main(["compare", str(trace)]) == 0
    assert "equal on x86_64, s390x, sparc64" in capsys.readouterr().out


def test_no_agreement(tmp_path, capsys):
    trace = tmp_path / "t.trace"
    assert main(["record", CAT, "--maps", str(STRACE / "perl.maps"), "-o", str(trace)]) == 1
    out = capsys.readouterr().out
    assert "agrees with no line" in out
    assert "closest is line 3" in out
    assert trace.exists()


def test_to_stdout(capsys):
    assert main(["record", CAT, "--maps", str(STRACE / "cat.maps"), "-o", "-"]) == 0
    done = capsys.readouterr()
    assert done.out.startswith("# log line 1, process 1791: execve(")
    assert "agrees last with line 30" in done.err


def test_from_maps(tmp_path, capsys):
    trace = tmp_path / "t.trace"
    assert main(["record", "--from-maps", str(STRACE / "cat.maps"), "-o", str(trace)]) == 0
    assert main(["run", str(trace)]) == 0
    assert capsys.readouterr().out.count('"op":"prealloc"') == 37


@pytest.mark.parametrize(
    ("args", "why"),
    [
        (["-o", "x"], "one of the arguments LOG --from-maps is required"),
        ([CAT], "the following arguments are required: -o/--output"),
        ([CAT, "--pid", "7", "-o", "x"], "there is no process 7 in it: choose one of 1791"),
        ([CAT, "--pid", "x", "-o", "x"], "invalid number value"),
        ([CAT, "--maps", CAT, "-o", "x"], "line 1: this is no line of /proc/PID/maps"),
        (["--from-maps", CAT, "-o", "x"], "cat.log, line 1: this is no line of"),
        (["--from-maps", CAT, "--pid", "1", "-o", "x"], "leave out --pid and --maps"),
        ([str(STRACE / "cat.maps"), "-o", "x"], "no line of strace in it"),
        (["/nonexistent", "-o", "x"], "check the path"),
        ([CAT, "-o", "/nonexistent/x"], "check the path"),
    ],
)
def test_wrong(args, why, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert main(["record", *args]) == 2
    done = capsys.readouterr()
    assert why in done.err
    assert done.err.count("\n") == 1
    assert not (tmp_path / "x").exists()
