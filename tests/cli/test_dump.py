"""maple-layout dump: formats, one node, colour, pipes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from terminal import on_a_terminal

ROOT = Path(__file__).parents[2]
CAPTURES = ROOT / "fixtures" / "captures"
MEDIUM = CAPTURES / "s390x-6.12.95-medium.json"
EMPTY = CAPTURES / "x86_64-6.12.117-mt_empty.json"


def test_hex(run):
    code, out, err = run("dump", MEDIUM)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[:4] == [
        "s390x tree 203a400, flags 30b (height 2, alloc range, RCU, external lock), "
        "root arange_64 node 2a51800",
        "",
        "arange_64 node 2a51800, depth 0, 0-ffffffffffffffff",
        "0000000002a51800  00 00 00 00 02 03 a4 01  00 00 03 ff b3 fd 5f ff  |.............._.|",
    ]
    assert len(lines) == 1 + 5 * 18


def test_hex_holds_every_byte(run):
    doc = json.loads(MEDIUM.read_text())
    _, out, _ = run("dump", MEDIUM)
    found = {}
    for line in out.splitlines():
        if line.endswith("|"):
            at = int(line[:16], 16)
            found.setdefault(at & ~0xFF, bytearray()).extend(bytes.fromhex(line[18:66]))
    assert {f"{at:#x}": bytes(raw).hex() for at, raw in found.items()} == {
        node["addr"]: node["hex"] for node in doc["nodes"]
    }


def test_fields(run):
    code, out, _ = run("dump", MEDIUM, "--format", "fields")
    assert code == 0
    assert "   80  00 00 00 00 02 a5 12 0c  slot[0]   leaf_64 node 2a51200\n" in out
    assert "  248  0d                       meta.end   data ends at slot 13\n" in out


def test_json_is_read_back(run, tmp_path):
    for path in sorted(CAPTURES.glob("*.json*")):
        code, out, err = run("dump", path, "--format", "json")
        assert (code, err) == (0, "")
        doc = json.loads(out)
        assert set(doc) == {"arch", "tree", "root", "flags", "nodes"}
        for node in doc["nodes"]:
            assert set(node) == {"addr", "type", "hex", "fields"}
            assert len(node["hex"]) == 512
        (tmp_path / "dump.json").write_text(out)
        assert run("dump", tmp_path / "dump.json", "--format", "json")[1] == out
        assert run("decode", tmp_path / "dump.json") == run("decode", path)


def test_an_empty_tree(run):
    assert run("dump", EMPTY) == (
        0,
        "x86_64 tree ffffffffc0203540, flags 0 (height 0), root NULL\n",
        "",
    )


def test_one_node(run):
    code, out, _ = run("dump", MEDIUM, "--node", "2a51200")
    assert code == 0
    assert "leaf_64 node 2a51200, depth 1, 0-3ffb3fd5fff" in out
    assert len(out.splitlines()) == 3 + 16
    code, out, err = run("dump", MEDIUM, "--node", "5500")
    assert (code, out) == (2, "")
    assert "node 5500 is not in the tree" in err


def test_a_node_outside_the_tree(run):
    """The core holds nodes that the tree given does not reach."""
    core = CAPTURES / "s390x-6.12.95.core.xz"
    words = ("dump", core, "--tree", "2038100", "--format", "fields", "--node")
    code, out, _ = run(*words, "2a5120c")
    assert code == 0
    assert "leaf_64 node 2a51200, not in the tree, 0-3ffb3fd5fff" in out


def test_a_broken_tree(run, tmp_path):
    doc = json.loads(MEDIUM.read_text())
    del doc["nodes"][2]
    (tmp_path / "x").write_text(json.dumps(doc))
    code, out, err = run("dump", tmp_path / "x")
    assert (code, err.count("a pointer into nowhere")) == (1, 1)
    assert out.count(" node ") == 1 + 4


def test_wrong_format(run):
    code, out, err = run("dump", MEDIUM, "--format", "xml")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "is none of hex, fields, mt, json" in err


def test_colour_only_where_it_is_wanted(run):
    words = ("dump", MEDIUM, "--format", "fields")
    plain = run(*words)[1]
    assert "\x1b" not in plain
    command = [sys.executable, "-m", "layout", *map(str, words)]
    coloured = on_a_terminal(command)
    assert "\x1b[1m" in coloured
    assert "\x1b[32mpivot[0]" in coloured
    assert on_a_terminal(command, NO_COLOR="1") == plain
    assert on_a_terminal(command, TERM="dumb") == plain


def test_a_pipe_that_closes_early():
    process = subprocess.Popen(
        [sys.executable, "-m", "layout", "dump", CAPTURES / "s390x-6.12.95-level3.json"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert process.stdout.readline().startswith(b"s390x tree")
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait() in (0, 141)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_a_full_disk():
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "layout", "dump", MEDIUM],
            stdout=full, stderr=subprocess.PIPE, env=os.environ | {"PYTHONPATH": str(ROOT)},
            check=False,
        )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.count(b"\n") == 1
    assert b"No space left on device" in done.stderr


@pytest.mark.parametrize("kernel", ["6.18", "7.2"])
@pytest.mark.parametrize("form", ["fields", "mt", "json"])
def test_later_kernels_trees_look_alike(run, form, kernel):
    words = ("dump", CAPTURES / "s390x-6.12.95.core.xz", "--tree", "2038100", "--format", form)
    code, out, _ = run(*words, "--kernel", kernel, "--config", "smp")
    assert (code, out) == run(*words, "--kernel", "6.12")[:2]
