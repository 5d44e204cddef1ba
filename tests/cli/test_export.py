"""maple-layout export: the commands that it prints, and wrong usage."""

from __future__ import annotations

import json

import pytest

TRACE = "init 0\nstore 1000 1fff abc000\nstore 3000 3fff abd000\n"


@pytest.fixture
def trace(tmp_path):
    path = tmp_path / "t.trace"
    path.write_text(TRACE)
    return path


def test_the_last_command_of_an_elf_export_decodes_it(run, trace, tmp_path):
    code, out, err = run(
        "export", trace, "--arch", "s390x", "--format", "elf", "-o", tmp_path / "t.core"
    )
    assert (code, err) == (0, "")
    gdb, drgn, decode = out.splitlines()
    assert (
        gdb
        == f"gdb-multiarch -q {tmp_path}/t.core.types {tmp_path}/t.core -ex 'print *(struct maple_tree *)0xfffff0000'"
    )
    assert (
        drgn
        == f"drgn -c {tmp_path}/t.core --extra-symbols {tmp_path}/t.core.types --no-default-symbols"
    )
    code, out, _ = run(*decode.split()[1:], "--json")
    assert code == 0
    assert json.loads(out)["ranges"] == [["1000", "1fff", "abc000"], ["3000", "3fff", "abd000"]]


def test_raw_at_a_line(run, trace, tmp_path):
    code, out, _ = run(
        "export",
        trace,
        "--arch",
        "sparc64",
        "--at",
        "2",
        "--format",
        "raw",
        "-o",
        tmp_path / "t.raw",
    )
    assert code == 0
    code, out, err = run(*out.split()[1:])
    assert (code, err) == (0, "")
    assert out.splitlines()[1:] == ["1000-1fff abc000"]


def test_the_json_from_stdin_has_its_memory_in_this_directory(run, trace, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run("export", trace, "--format", "raw", "-o", "t.raw")[0] == 0
    with (tmp_path / "t.raw.json").open() as file:
        monkeypatch.setattr("sys.stdin", file)
        assert run("decode", "-")[:2] == (0, run("decode", "t.raw.json")[1])


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--format", "coff", "-o", "x"], "'coff' is none of"),
        (["-o", "x"], "required: --format"),
        (["--format", "elf"], "required: -o/--output"),
        (["--format", "elf", "-o", "/nowhere/at/all"], "/nowhere/at/all"),
    ],
)
def test_wrong_usage(run, trace, words, says):
    code, out, err = run("export", trace, *words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert says in err
