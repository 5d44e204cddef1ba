"""Examples: they are there, they are the fixtures, and the commands work on them."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from layout.cli.examples import EXAMPLES, path

FIXTURES = Path(__file__).parents[2] / "fixtures"
NAMES = [each.name for each in EXAMPLES]


def test_the_list_has_every_file(run):
    assert sorted(NAMES) == sorted(file.name for file in path(EXAMPLES[0]).parent.iterdir())
    code, out, _ = run("examples")
    assert code == 0
    assert out.splitlines()[::2] == [f"{each.name}: {each.about}" for each in EXAMPLES]
    code, out, _ = run("examples", "--json")
    assert [each["name"] for each in json.loads(out)] == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_the_path_of_one(run, name):
    code, out, err = run("examples", name)
    assert (code, err) == (0, "")
    [original] = FIXTURES.glob(f"*/{name}")
    assert Path(out.rstrip("\n")).read_bytes() == original.read_bytes()


@pytest.mark.long
def test_the_commands_work_on_copies(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, _ = run("examples", "--copy", ".")
    assert (code, out.split()) == (0, NAMES)
    for each in EXAMPLES:
        program, *words = shlex.split(each.command)
        assert program == "maple-layout"
        assert run(*words)[0] == 0, each.command


def test_no_other_file_is_overwritten(run, tmp_path):
    folder = tmp_path / "new" / "folder"
    assert run("examples", "cat.log", "--copy", folder)[0] == 0
    assert run("examples", "--copy", folder)[0] == 0
    (folder / "cat.maps").write_text("mine")
    code, out, err = run("examples", "--copy", folder)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "is there already, and is another file" in err
    assert (folder / "cat.maps").read_text() == "mine"


def test_what_is_no_example(run):
    code, _, err = run("examples", "dog.log")
    assert (code, err.count("\n")) == (2, 1)
    assert "'dog.log' is none of" in err
