"""The verb ``scan``: candidates as text and JSON, notes apart, exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from layout.cli.main import main

MEMORY = Path(__file__).parents[2] / "fixtures" / "memory"
ELF = str(MEMORY / "x86_64-6.12.117.elf.xz")


def test_json(capsys):
    assert main(["scan", ELF, "--json"]) == 0
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert len(found) == 13
    assert found[1] == {
        "tree": "ffff8a368405b740",
        "root_node": "ffff8a36841cfd00",
        "arch": "x86_64",
        "nodes": 6,
        "entries": 34,
        "height": 2,
        "flags": "30b",
        "state": "live",
        "score": 1.0,
        "physical": "41cfd00",
    }
    assert "the direct map starts at ffff8a3680000000, as 14 pairs of nodes agree" in err


@pytest.mark.long
def test_what_is_found_can_be_decoded(capsys):
    main(["scan", ELF, "--json"])
    found = json.loads(capsys.readouterr().out)
    for one in found:
        assert main(["decode", ELF, "--tree", one["tree"], "--json"]) == 0
        assert len(json.loads(capsys.readouterr().out)["ranges"]) == one["entries"]


def test_text(capsys):
    assert main(["scan", str(MEMORY / "s390x-6.12.95.raw.xz")]) == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert lines[0].split() == [
        "tree",
        "root",
        "node",
        "nodes",
        "entries",
        "height",
        "state",
        "score",
    ]
    assert lines[2].split() == ["428f00", "26e4e00", "5", "32", "2", "live", "1.00"]
    assert len(lines) == 14
    assert err.startswith("maple-layout: machine taken for s390x, as trees of it are there")


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "is empty"),
        (b"\x7fELF" + bytes(99), "its headers can't be read"),
        (b"makedumpfile\0" + bytes(5000), "scan does not: dump anew"),
        (b"store 1 2 3\n", "is a trace"),
        (bytes(4096), "no maple tree of any machine"),
    ],
)
def test_what_cannot_be_scanned(tmp_path, capsys, data, says):
    (tmp_path / "m").write_bytes(data)
    assert main(["scan", str(tmp_path / "m")]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert says in err


def test_nothing_found_is_no_error(tmp_path, capsys):
    (tmp_path / "m").write_bytes(bytes(4096))
    assert main(["scan", str(tmp_path / "m"), "--arch", "arm"]) == 0
    assert capsys.readouterr().err.endswith(
        "no maple tree found in 4096 bytes of " + f"{tmp_path}/m\n"
    )


def test_what_is_freed_or_dead_is_left_out_of_text(capsys):
    core = str(MEMORY.parent / "captures" / "x86_64-6.12.117.core.xz")
    assert main(["scan", core]) == 0
    out, err = capsys.readouterr()
    assert {line.split()[5] for line in out.splitlines()[1:]} == {"live"}
    assert "freed trees or parts, " in err
    assert main(["scan", core, "--all"]) == 0
    out, err = capsys.readouterr()
    assert {line.split()[5] for line in out.splitlines()[1:]} == {"live", "freed", "dead"}
    assert err == ""
