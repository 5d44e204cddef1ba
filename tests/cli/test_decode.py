"""maple-layout decode: output, exit codes, and one clear line for whatever is wrong."""

from __future__ import annotations

import io
import json
import lzma
import sys
from pathlib import Path

import pytest

CAPTURES = Path(__file__).parents[2] / "fixtures" / "captures"
SLEEP = CAPTURES / "sparc64-6.12.117-sleep.json"
CORES = {
    "x86_64-6.12.117.core.xz": "ffff88800405b1c0",
    "s390x-6.12.95.core.xz": "0x2038100",
    "sparc64-6.12.117.core.xz": "fffff80002312ba8",
}


@pytest.fixture
def refused(run):
    """Run a command that has to end with 2 and one line on stderr, which is returned."""

    def command(*words):
        code, out, err = run(*words)
        assert (code, out, err.count("\n")) == (2, "", 1), (code, out, err)
        assert err.startswith("maple-layout")
        return err

    return command


def test_text(run):
    code, out, err = run("decode", SLEEP)
    assert (code, err) == (0, "")
    assert out.splitlines()[:3] == [
        "# sparc64 tree fffff80002312ba8, flags 307 (height 1, alloc range, RCU, external lock), "
        "root leaf_64 node fffff80002306f00",
        "100000-17ffff fffff800022f8200",
        "2fe000-2fffff fffff800022f8180",
    ]
    assert len(out.splitlines()) == 9


@pytest.mark.parametrize("path", sorted(CAPTURES.glob("*.json*")), ids=lambda path: path.name)
def test_json(run, path):
    raw = path.read_bytes()
    doc = json.loads(lzma.decompress(raw) if path.suffix == ".xz" else raw)
    holder = doc.get("mm_mt") or doc["mtree"]
    code, out, err = run("decode", path, "--json")
    assert (code, err) == (0, "")
    assert json.loads(out) == {
        "arch": doc["arch"],
        "flags": holder["ma_flags"][2:],
        "root": holder["ma_root"][2:],
        "height": doc["height"],
        "complete": True,
        "ranges": [[x[2:] for x in row] for row in doc["entries"] if row[2] != "0x0"],
    }


@pytest.mark.parametrize(("name", "tree"), CORES.items())
def test_cores(run, refused, name, tree):
    assert "--tree ADDR" in refused("decode", CAPTURES / name)
    code, out, err = run("decode", CAPTURES / name, "--tree", tree, "--json")
    assert (code, err.count("\n")) == (0, 1)
    assert err.startswith("maple-layout: ma_flags taken at offset ")
    _, expected, _ = run("decode", CAPTURES / name.replace(".core.xz", "-sleep.json"), "--json")
    assert out == expected


def test_kernel_config_and_lock_size(run):
    words = ("decode", CAPTURES / "s390x-6.12.95.core.xz", "--tree", "2038100")
    code, _, err = run(*words, "--kernel", "6.12", "--lock-size", "4")
    assert (code, "as the options say" in err) == (0, True)
    code, out, err = run(*words, "--kernel", "6.12", "--lock-size", "0", "--json")
    assert code == 1
    assert "say height 0, but the tree's height is 1" in err
    assert json.loads(out)["complete"] is False
    assert len(json.loads(out)["ranges"]) == 8
    assert run(*words, "--kernel", "6.12", "--config", "up", "--json")[:2] == (1, out)
    code, out, err = run(*words, "--kernel", "7.2", "--config", "smp", "--json")
    assert (code, json.loads(out)["complete"]) == (0, True)
    assert "ma_flags taken at offset 64 " in run(*words, "--config", "lockdep")[2]


def test_stdin(run, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(SLEEP.read_bytes())))
    assert run("decode", "-")[1] == run("decode", SLEEP)[1]


def test_a_broken_tree(run, tmp_path):
    doc = json.loads((CAPTURES / "x86_64-6.12.117-medium.json").read_text())
    root = int(doc["nodes"][0]["addr"], 16)
    raw = bytearray.fromhex(doc["nodes"][0]["hex"])
    raw[80 + 8 : 80 + 16] = (root | 0x1C).to_bytes(8, "little")  # slot 1 leads back to the root
    raw[80 + 16 : 80 + 24] = (0x123400 | 0x0C).to_bytes(8, "little")
    doc["nodes"][0]["hex"] = raw.hex()
    path = tmp_path / "broken.json"
    path.write_text(json.dumps(doc))
    code, out, err = run("decode", path, "--json")
    assert code == 1
    assert err.splitlines() == [
        f"maple-layout: node {root:x}: slot 1 points to node {root:x} again: "
        "a cycle, or a node with two parents",
        f"maple-layout: node {root:x}: slot 2 is 12340c, a pointer into nowhere (unmapped)",
    ]
    found = json.loads(out)
    assert found["complete"] is False
    whole = [[x[2:] for x in row] for row in doc["entries"] if row[2] != "0x0"]
    pivots = [int.from_bytes(raw[8 * i : 8 * i + 8], "little") for i in (1, 3)]
    kept = [row for row in whole if not pivots[0] < int(row[0], 16) <= pivots[1]]
    assert found["ranges"] == kept
    assert 0 < len(kept) < len(whole)


@pytest.mark.parametrize(
    "name",
    [
        "sparc64-6.12.117-sleep.json",
        "s390x-6.12.95-level3.json",
        "x86_64-6.12.117-mt_churn_plain.json.xz",
        "sparc64-6.12.117.core.xz",
    ],
)
def test_every_cut_is_refused(refused, tmp_path, name):
    data = (CAPTURES / name).read_bytes().rstrip(b"\n")
    path = tmp_path / "cut"
    lengths = {*range(40), *range(40, len(data), len(data) // 60), len(data) - 1}
    for length in sorted(lengths):
        path.write_bytes(data[:length])
        assert str(path) in refused("decode", path, "--tree", "fffff80002312ba8")


def test_every_cut_of_a_plain_core_is_refused(refused, tmp_path):
    data = lzma.decompress((CAPTURES / "s390x-6.12.95.core.xz").read_bytes())
    path = tmp_path / "cut"
    for length in [*range(1, 200, 7), *range(200, len(data), len(data) // 50), len(data) - 1]:
        path.write_bytes(data[:length])
        assert str(path) in refused("decode", path, "--tree", "2038100")


def test_wrong_usage(refused, tmp_path):
    assert "IMAGE" in refused("decode")
    assert "unrecognized arguments: --frob" in refused("decode", SLEEP, "--frob")
    assert "none: No such file or directory" in refused("decode", tmp_path / "none")
    assert "Is a directory" in refused("decode", tmp_path)
    assert "choose one of aarch64, arm" in refused("decode", SLEEP, "--arch", "vax")
    assert "leave out --arch" in refused("decode", SLEEP, "--arch", "amd64")
    assert "is no address" in refused("decode", SLEEP, "--tree", "zz")
    assert "leave out --tree" in refused("decode", SLEEP, "--tree", "fffff80002312bb0")
    assert "--at is for traces" in refused("decode", SLEEP, "--at", "3")
    assert "invalid number value: 'x'" in refused("decode", SLEEP, "--at", "x")
    assert "invalid number value: '-4'" in refused("decode", SLEEP, "--lock-size", "-4")
    (tmp_path / "empty").touch()
    assert "is empty" in refused("decode", tmp_path / "empty")
    (tmp_path / "a\nb").write_bytes(b"\0")
    assert "a b is none of trace" in refused("decode", tmp_path / "a\nb")


def test_aliases(run):
    words = ("decode", CAPTURES / "x86_64-6.12.117-sleep.json", "--arch", "AMD64", "--json")
    assert run(*words)[0] == 0
