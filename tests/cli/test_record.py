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
    assert "closest is line 31, where 5604a0680000" in out
    assert trace.exists()


def test_to_stdout(capsys):
    assert main(["record", CAT, "--maps", str(STRACE / "cat.maps"), "-o", "-"]) == 0
    done = capsys.readouterr()
    first, second, *_, last = done.out.splitlines()
    assert first.startswith("#: begin")
    assert second.startswith("# log line 1, process 1791: execve(")
    assert last == f"#: end at line {done.out.count(chr(10))}"
    assert "agrees last with line 30" in done.err


def test_from_maps(tmp_path, capsys):
    trace = tmp_path / "t.trace"
    assert main(["record", "--from-maps", str(STRACE / "cat.maps"), "-o", str(trace)]) == 0
    assert main(["run", str(trace)]) == 0
    assert capsys.readouterr().out.count('"op":"prealloc"') == 37


def test_the_input_is_not_written_over(tmp_path, capsys):
    log = tmp_path / "log"
    log.write_bytes(Path(CAT).read_bytes())
    assert main(["record", str(log), "-o", str(log)]) == 2
    assert "is the input: choose another name" in capsys.readouterr().err
    assert log.read_bytes() == Path(CAT).read_bytes()


def test_many_notes(tmp_path, capsys):
    log = tmp_path / "log"
    log.write_text("1 brk(NULL) = 0x1000\n" + "odd\n" * 30)
    assert main(["record", str(log), "-o", str(tmp_path / "t")]) == 0
    err = capsys.readouterr().err
    assert f"{log}, line 2: no line of strace" in err
    assert err.endswith(f"{log}: and 10 more lines\n")


def test_borders_that_are_only_on_one_side(tmp_path, capsys):
    log, maps = tmp_path / "log", tmp_path / "maps"
    log.write_text(
        "1 mmap(NULL, 8192, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x10000\n"
        "1 mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x20000\n"
        "1 mmap(NULL, 4096, PROT_NONE, MAP_SHARED|MAP_ANONYMOUS, -1, 0) = 0x22000\n"
        "1 mmap(0x21000, 4096, PROT_NONE, MAP_SHARED|MAP_ANONYMOUS|MAP_FIXED, -1, 0) = 0x21000\n"
        "2 fork() = 3\n"
    )
    maps.write_text(
        "00010000-00011000 r--p 00000000 00:00 0\n00011000-00012000 r--p 00000000 00:00 0\n"
        "00020000-00021000 ---p 00000000 00:00 0\n00021000-00023000 ---s 00000000 00:01 9\n"
    )
    assert main(["record", str(log), "--maps", str(maps), "-o", str(tmp_path / "t")]) == 0
    assert capsys.readouterr().out.splitlines()[1] == (
        "borders of VMAs: 5 the same; 1 only in the log (22000); 1 only in the maps (11000)"
    )


def test_another_process_may_be_meant(tmp_path, capsys):
    log = tmp_path / "log"
    log.write_text("1 fork() = 2\n2 brk(NULL) = 0x1000\n")
    args = ["record", str(log), "--maps", str(STRACE / "cat.maps"), "-o", str(tmp_path / "t")]
    assert main(args) == 1
    out = capsys.readouterr().out
    assert "no call of that process has left a page mapped" in out
    assert "this was process 1: choose another with --pid" in out
    assert main(["record", "--from-maps", CAT + "x", "-o", str(tmp_path / "t")]) == 2


def test_no_text(tmp_path, capsys):
    path = tmp_path / "log"
    path.write_bytes(bytes(100))
    assert main(["record", str(path), "-o", str(tmp_path / "t")]) == 2
    assert "this is no text" in capsys.readouterr().err


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
