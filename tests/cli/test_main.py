"""maple-layout itself: verbs, exit codes and the one line for each error."""

from __future__ import annotations

import pytest

from arches import UnknownArchError
from layout import compiled
from layout.cli import structs
from layout.cli.main import main
from layout.memory.errors import BrokenTree, InputError, MachineFault, TraceError, UsageError


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (InputError("x.json: cut short"), 2, "maple-layout: x.json: cut short\n"),
        (TraceError(3, "no such operation"), 2, "maple-layout: line 3: no such operation\n"),
        (UsageError("two\nlines"), 2, "maple-layout: two lines\n"),
        (UnknownArchError("unknown"), 2, "maple-layout: unknown\n"),
        (BrokenTree("a cycle"), 1, "maple-layout: a cycle\n"),
        (
            MachineFault("unmapped", 5, "Oops:\naddress 5", doing="a node"),
            1,
            "maple-layout: Oops: address 5 (a node)\n",
        ),
        (MemoryError(), 2, "maple-layout: not enough memory for this input"),
        (
            OSError(28, "No space left on device"),
            2,
            "maple-layout: stdout: No space left on device",
        ),
        (
            PermissionError(13, "Permission denied", "secret"),
            2,
            "maple-layout: secret: Permission denied",
        ),
        (KeyboardInterrupt(), 130, ""),
        (BrokenPipeError(32, "Broken pipe"), 141, ""),
    ],
)
def test_errors_become_lines_and_exit_codes(monkeypatch, capfd, error, code, line):
    def fail(_):
        raise error

    # stdout is left alone: after some errors it is pointed elsewhere
    monkeypatch.setattr("layout.host.streams.drop_stdout", lambda: None)
    monkeypatch.setattr(structs, "run", fail)
    assert main(["struct", "ma_state"]) == code
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith(line)
    assert err.count("\n") == (line != "")


def test_an_error_of_our_own_is_not_hidden(monkeypatch):
    def fail(_):
        raise KeyError

    monkeypatch.setattr(structs, "run", fail)
    with pytest.raises(KeyError):
        main(["struct", "ma_state"])


def test_no_verb_and_unknown_verbs(capsys):
    for words, text in (([], "required: VERB"), (["frobnicate"], "'frobnicate' is none of run, ")):
        assert main(words) == 2
        out, err = capsys.readouterr()
        assert (out, err.count("\n")) == ("", 1)
        assert text in err


def test_version_and_help(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.endswith(f" ({compiled.leg()})\n")
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    for verb in ("run", "compare", "dump", "decode", "struct"):
        assert f"    {verb} " in out
    assert main(["decode", "--help"]) == 0
    assert "--lock-size" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["rnu"], "did you mean run?"),
        (["run", "--arhc", "s390x", "t"], "did you mean --arch?"),
        (["kernel", "biuld"], "did you mean build?"),
        (["completion", "bsah"], "did you mean bash?"),
        (["run", "--kernel", "6.12.x", "t"], "operations of kernel '6.12.x' are not known"),
        (["decode", "--kernel", "", "t"], "kernel version '' is not known"),
        (["decode", "--config", "lockdpe", "t"], "did you mean lockdep?"),
        (["run", ""], "argument TRACE: a path is needed here"),
        (["validate", "t", "--junit", ""], "argument --junit: a path is needed here"),
        (["validate", "t", "--junit", "-"], "give the name of a file"),
        (["export", "t", "--format", "elf", "-o", "-"], "give the name of a file"),
        (["defects", "d1", "--arch", ""], "unknown architecture ''"),
        (["decode", "t", "--lock-size", "9" * 5000], "9..."),
    ],
)
def test_wrong_words_are_told_before_any_work(capsys, words, text):
    """No file is looked for: there is none."""
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("maple-layout")
    assert err.count("\n") == 1
    assert len(err) < 1000
    assert text in err


@pytest.mark.parametrize(
    "words",
    [
        "bisect {} --until invalid -o {}",
        "draw {} -o {}",
        "explore {} -o {}",
        "export {} --format raw -o {}",
        "export {}.core --format drgn -o {}",
        "run {} --sarif {}",
        "validate {} --junit {}",
        "run {} --junit x --sarif x",
    ],
)
def test_no_output_takes_the_place_of_an_input_or_of_another(capsys, tmp_path, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    for name in ("in", "in.core"):
        (tmp_path / name).write_text("init 0\nstore 10 20 3001\n")
    assert main(words.replace("{}", "in").split()) == 2
    told = capsys.readouterr().err
    assert "is the input: choose another name" in told or "x would be written twice" in told
    assert {path.name for path in tmp_path.iterdir()} == {"in", "in.core"}
    assert (tmp_path / "in").read_text() == "init 0\nstore 10 20 3001\n"
