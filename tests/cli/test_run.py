import io
import json
import lzma
import sys
from pathlib import Path

import pytest
from machines import THREE
from terminal import on_a_terminal

from layout.cli.main import main

RUN = [sys.executable, "-m", "layout", "run"]
GOLDEN = Path(__file__).parents[2] / "fixtures/golden"


@pytest.mark.parametrize("arch", THREE)
def test_transcript_on_stdout(capsys, arch):
    assert main(["run", str(GOLDEN / "02-ascending-append.trace"), "--arch", arch]) == 0
    out = capsys.readouterr().out.splitlines()
    with lzma.open(GOLDEN / f"02-ascending-append.{arch}.jsonl.xz", "rt") as lines:
        assert [json.loads(line) for line in out] == [json.loads(line) for line in lines]


@pytest.mark.parametrize("watch", [[], ["--check"], ["--ledger"]])
@pytest.mark.parametrize("kernel", ["7.2", "7.3.4"])
def test_transcript_of_another_kernel(capsys, kernel, watch):
    name = "15b-fault-injection-alloc-rcu"
    words = ["run", str(GOLDEN / f"{name}.trace"), "--arch", "s390x", "--kernel", kernel]
    assert main([*words, *watch]) == 0
    out = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    for line in out:
        line.pop("ledger", None)
    folder = GOLDEN.with_name(f"golden{kernel[0]}{kernel[2]}")
    with lzma.open(folder / f"{name}.s390x.jsonl.xz", "rt") as lines:
        assert out == [json.loads(line) for line in lines]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["--kernel", "6.18"],
            "operations of kernel '6.18' are not known: choose one of 6.12, 7.2",
        ),
        (["--kernel", "7.3", "--defect", "R4"], "R4 changes mas_preallocate, and kernel 7.3 has"),
    ],
)
def test_no_such_kernel_here(tmp_path, capsys, options, message):
    code, out, err = run(tmp_path, capsys, "load 1\n", *options)
    assert (code, out) == (2, [])
    assert message in err
    assert err.count("\n") == 1


def test_packed_trace_from_stdin(capsys, monkeypatch):
    data = io.TextIOWrapper(io.BytesIO(lzma.compress(b"init 0\nstore 1 2 3001\nload 1\n")))
    monkeypatch.setattr(sys, "stdin", data)
    assert main(["run", "-", "--arch", "sparc64"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == {
        "n": 3,
        "op": "load",
        "entry": "3001",
    }


def run(tmp_path, capsys, text, *options):
    trace = tmp_path / "t.trace"
    trace.write_bytes(text if isinstance(text, bytes) else text.encode())
    code = main(["run", str(trace), *options])
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err
    return code, captured.out.splitlines(), captured.err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("load 1\nstor 1 2 3\n", "t.trace, line 2: unknown operation 'stor'"),
        ("load 1\nload 10000000000000000\n", "line 2: I does not fit"),
        ("load 1\nload\n", "line 2: missing argument"),
        (b"load 1\nload \xff\n", "none of trace, JSON capture"),
    ],
)
def test_bad_traces_are_one_line_and_exit_code_2(tmp_path, capsys, text, message):
    code, out, err = run(tmp_path, capsys, text)
    assert code == 2
    assert message in err
    assert err.count("\n") == 1
    assert len(out) == (0 if isinstance(text, bytes) else 1)  # what was before it is kept


def test_fault_ends_the_run_with_1(tmp_path, capsys):
    text = "init 0\nstore 10 20 3001\npoke 0 0 0\nload 10\n"
    code, out, err = run(tmp_path, capsys, text, "--arch", "s390x")
    assert code == 1
    fault = json.loads(out[-1])["fault"]
    assert fault["kind"] == "null"
    assert "Failing address: 0000000000000000" in fault["message"]
    assert len(out) == 3
    assert "line 3: poke: null" in err
    assert err.count("\n") == 1


def test_failed_validate_is_1_at_the_end(tmp_path, capsys):
    text = "init 0\nstore 10 20 3001\npoke 1000000000 f8 1\nvalidate\nload 10\n"
    code, out, _ = run(tmp_path, capsys, text)
    assert (code, len(out)) == (1, 5)


@pytest.mark.parametrize("text", ["", "# nothing\n\n"])
@pytest.mark.parametrize("more", [(), ("--check",), ("--ledger",)])
def test_empty_and_comment_only_traces_are_told(tmp_path, capsys, text, more):
    code, out, err = run(tmp_path, capsys, text, *more)
    assert (code, out) == (0, [])
    assert "has no operation: nothing was run\n" in err
    assert "has no operation" not in run(tmp_path, capsys, "load 1\n", *more)[2]


def test_other_kinds_of_file_are_named(tmp_path, capsys):
    capture = GOLDEN.parent / "captures/s390x-6.12.95-sleep.json"
    assert main(["run", str(capture)]) == 2
    assert "is a capture: give a trace" in capsys.readouterr().err
    assert main(["run", str(tmp_path)]) == 2
    assert main(["run", str(tmp_path / "none")]) == 2
    assert main(["run", str(capture), "--arch", "vax"]) == 2
    assert "unknown architecture 'vax'" in capsys.readouterr().err


def test_machine_out_of_memory(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("layout.memory.slab.NODE_LIMIT", 100)
    code, out, err = run(tmp_path, capsys, "init 0\nexpect_raw ffff\n")
    assert (code, len(out)) == (2, 1)
    assert "line 2: expect_raw: the simulated machine is out of memory: 100 nodes" in err


def test_ledger_on_every_line_and_a_summary(tmp_path, capsys):
    text = "init 0\ncset 1000 1fff\ncstore 3001\ncset 0 1fff\ncstore 3003\n"
    code, out, err = run(tmp_path, capsys, text, "--ledger", "--arch", "s390x")
    assert code == 0
    ledgers = [json.loads(line)["ledger"] for line in out]
    assert [ledger["used"] for ledger in ledgers] == [0, 0, 1, 0, 0]
    assert ledgers[-1] == {
        "requested": 0,
        "refused": 0,
        "used": 0,
        "given_back": 0,
        "freed": 0,
        "bytes_written": 256,
        "words_written": 32,
        "cache_lines": 1,
        "warnings": [
            "line 3, cstore 1000-1fff: "
            "completely overwritten by the next store of the same state before any read"
        ],
    }
    assert err.startswith("ledger of 5 operations; nodes: 1 requested, 1 used, ")
    assert "warnings, 1:\n5, cstore: line 3" in err


def test_ledger_up_to_a_fault(tmp_path, capsys):
    text = "init 0\nstore 1000 1fff 3001\npoke 5000 0 1\nload 1\n"
    code, out, err = run(tmp_path, capsys, text, "--ledger")
    assert code == 1
    last = json.loads(out[-1])
    assert (last["n"], last["ledger"]["bytes_written"]) == (3, 0)
    assert "ledger of 3 operations" in err


@pytest.mark.parametrize("arch", THREE)
def test_check_reports_states_of_another_section(tmp_path, capsys, arch):
    text = (
        "init 2\nstore 1000 1fff 3001\nstore 3000 3fff 3003\nrcu_lock\ncset 1000\ncwalk\n"
        "{}store 1000 17ff 3005\n{}cnext ffff\nrcu_unlock\n"
    )
    stale = text.format("rcu_unlock\n", "rcu_lock\n")
    code, out, err = run(tmp_path, capsys, stale, "--check", "--arch", arch)
    assert code == 1
    kinds = [[r["kind"] for r in json.loads(line).get("reports", [])] for line in out]
    # whether the node is dead is asked of the node, which is free by now
    assert kinds == [[]] * 9 + [["stale maple state", "freed node read"]] + [[]]
    assert "stale maple state" in err
    code, out, err = run(tmp_path, capsys, text.format("", ""), "--check", "--arch", arch)
    assert (code, err) == (0, "")


def test_a_terminal_gets_rows_and_json_if_asked(tmp_path, capfd):
    trace = tmp_path / "t.trace"
    trace.write_text("init 0\nstore 0 fff 3\n")
    assert on_a_terminal([*RUN, str(trace)]).splitlines() == [
        " line  operation                       returned              nodes",
        "    1  init 0",
        "    2  store 0 fff 3                   0                     1 taken",
    ]
    (tmp_path / "e.trace").touch()
    assert capfd.readouterr().err == ""
    on_a_terminal([*RUN, str(tmp_path / "e.trace")])
    assert "has no operation: nothing was run" in capfd.readouterr().err
    lines = on_a_terminal([*RUN, "--json", str(trace)]).splitlines()
    assert [json.loads(line)["op"] for line in lines] == ["init", "store"]
