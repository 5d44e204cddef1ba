import json
from pathlib import Path

import pytest

from layout.cli.main import main

GOLDEN = Path(__file__).parents[2] / "fixtures/golden"
CAPTURES = GOLDEN.parent / "captures"


@pytest.fixture
def trace(tmp_path):
    path = tmp_path / "t.trace"
    path.write_text("init 0\nstore 10 20 3001\npoke 1000000000 8 77\n")
    return str(path)


def test_no_difference_is_a_short_summary(capsys):
    assert main(["compare", str(GOLDEN / "08b-alloc-tree-short.trace")]) == 0
    out = capsys.readouterr().out
    assert out.startswith("equal on x86_64, s390x, sparc64: 538 operations, ")
    assert "splits" in out
    assert "bytes differ only by byte order" in out


def test_difference_shows_both_nodes_with_field_names(capsys, trace):
    assert main(["compare", trace, "--arch", "amd64,s390x"]) == 1
    out = capsys.readouterr().out.splitlines()
    assert out[0] == (
        "line 3 (poke): pivot[0] of 1000000000, byte 8: x86_64 has 77, s390x has 770000000000000f"
    )
    assert out[4] == (
        "!   8  77 00 00 00 00 00 00 00  77 00 00 00 00 00 00 0f  pivot[0]   "
        "slot 0 is for 0-77 | slot 0 is for 0-770000000000000f"
    )
    assert sum(line.startswith("!") for line in out) == 1


def test_json(capsys, trace):
    assert main(["compare", trace, "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["equal"], found["operations"]) == (False, 3)
    assert found["first_difference"]["field"] == "pivot[0]"


def test_two_traces_as_images(capsys, trace, tmp_path):
    good = tmp_path / "good.trace"
    good.write_text("init 0\nstore 10 20 3001\n")
    assert main(["compare", str(good), trace, "--arch", "sparc64", "--first"]) == 1
    assert "pivot[0] of 1000000000, byte 8: good.trace has f" in capsys.readouterr().out
    assert main(["compare", str(good), trace, "--arch", "sparc64,x86_64", "--first"]) == 1
    assert "pivot[0] of 1000000000, byte 8: sparc64 has f, x86_64 has 77" in capsys.readouterr().out
    assert main(["compare", str(good), trace, "--at", "2", "--arch", "sparc64,x86_64"]) == 0
    assert capsys.readouterr().out == "equal: 1 nodes, 1 ranges\n"
    assert main(["compare", str(good), trace, "--at", "2", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "equal": True,
        "operations": 0,
        "first_difference": None,
    }


def test_a_changed_byte_in_a_capture(capsys, tmp_path):
    good = CAPTURES / "s390x-6.12.95-medium.json"
    capture = json.loads(good.read_text())
    data = bytearray.fromhex(capture["nodes"][1]["hex"])
    data[15] ^= 1
    capture["nodes"][1]["hex"] = data.hex()
    bad = tmp_path / "bad.json"
    bad.write_text(json.dumps(capture))
    assert main(["compare", str(good), str(good)]) == 0
    assert capsys.readouterr().out == "equal: 5 nodes, 32 ranges\n"
    assert main(["compare", str(good), str(bad)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "--- s390x-6.12.95-medium.json: 32 ranges, 5 nodes"
    assert lines[1].startswith("+++ bad.json: ")
    assert "nodes: 0 came, 0 went, 1 changed, 4 equal" in lines
    assert [line for line in lines if line.startswith("    ")] == [
        "    pivot[0]   byte 8    ffffff -> fffffe"
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["a", "b", "c"], "not 3 inputs"),
        ([str(GOLDEN / "01-root-only.trace"), "--arch", "s390x"], "two machines or more"),
        ([str(GOLDEN / "01-root-only.trace"), "--at", "3"], "--at is for two inputs: leave it out"),
        (
            [str(GOLDEN / "01-root-only.trace")] * 2 + ["--arch", "s390x,x86_64,sparc64"],
            "at most two",
        ),
        ([str(GOLDEN / "01-root-only.trace"), "--arch", "s390x,vax"], "unknown architecture 'vax'"),
        ([str(GOLDEN / "01-root-only.trace"), "--arch", "s390x,arm"], "32-bit and 64-bit machines"),
    ],
)
def test_wrong_usage(capsys, options, message):
    assert main(["compare", *options]) == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1


def test_agreeing_on_a_fault_is_no_difference_but_1(capsys, tmp_path):
    path = tmp_path / "t.trace"
    path.write_text("init 0\nbulk 1 100 0 10 8 3000\n")
    assert main(["compare", str(path)]) == 1
    captured = capsys.readouterr()
    assert captured.out.startswith("equal on")
    assert "line 2: all fault" in captured.err


@pytest.mark.parametrize("arches", ["arm,mips,m68k", "i386,hppa"])
def test_32_bit_machines_agree(capsys, arches):
    trace = GOLDEN.parent / "extra/32bit-08b-alloc-tree-short.trace"
    assert main(["compare", str(trace), "--arch", arches]) == 0
    assert capsys.readouterr().out.startswith("equal on ")
