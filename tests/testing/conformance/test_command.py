"""Readers that are commands: how they are run, stopped, judged, and what is kept."""

from __future__ import annotations

import json
import os
import shlex
import sys
import time
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from layout.cli.main import main

READER = Path(__file__).parents[2] / "some_reader.py"


@pytest.fixture
def conformance(capsys):
    """Run some_reader.py with a mistake over cases; returns exit code, stdout, stderr."""

    def run(mistake, *options):
        code = main(["conformance", *map(str, options), "--", sys.executable, str(READER), mistake])
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err.replace("some_reader", "")
        return code, out, err

    return run


def test_a_right_reader(conformance):
    code, out, err = conformance(
        "right", "--arch", "s390x,m68k", "-k", "leaf", "-k", "*-cycle", "--jobs", 2
    )
    assert (code, err) == (0, "")
    assert out.splitlines()[-1] == "16 of 16 cases passed"
    assert [line.split() for line in out.splitlines() if "8" in line] == [
        ["s390x", "8", "8"],
        ["m68k", "8", "8"],
    ]


def test_failures_as_json_and_junit(conformance, tmp_path):
    junit = tmp_path / "report.xml"
    code, out, _ = conformance(
        "sixteenth", "--arch", "sparc64", "-k", "full-leaf", "--json", "--junit", junit
    )
    assert code == 1
    doc = json.loads(out)
    assert (doc["cases"], doc["passed"], len(doc["failures"])) == (4, 3, 1)
    [failure] = doc["failures"]
    assert (failure["case"], failure["arch"]) == ("sparc64-6.12-full-leaf", "sparc64")
    assert (
        failure["cause"]
        == "last slot of a full node dropped (the 16th, on 32-bit machines the 32nd)"
    )
    assert failure["expected"][:-1] == failure["got"]
    assert failure["expected"][-1][1] == "ffffffffffffffff"
    suite = ET.fromstring(junit.read_text())[0]
    assert (suite.get("tests"), suite.get("failures"), len(suite)) == ("4", "1", 4)
    [failed] = suite.findall("testcase/failure")
    assert failed.get("message") == failure["cause"]
    assert "range 14: expected " in failed.text


@pytest.mark.parametrize(
    ("mistake", "case", "cause", "tells"),
    [
        (
            "crashes",
            "*-one-range",
            "right, but it ended with an error",
            "status 1: it fell over at the end",
        ),
        ("talks", "*-one-range", "output not understood", "'Hello, I am a reader.'"),
        (
            "silent",
            "*-missing-leaf",
            "damage not noticed: it ended with status 0 and nothing on stderr",
            "no ranges told",
        ),
        ("hangs", "*-one-range", "did not end within 1 s", "it was stopped"),
        ("floods", "*-one-range", "printed more than 4 MiB", "it was stopped"),
    ],
)
def test_how_a_reader_fails(conformance, mistake, case, cause, tells):
    start = time.monotonic()
    seconds = 1 if mistake == "hangs" else 20
    code, out, _ = conformance(mistake, "--arch", "s390x", "-k", case, "--timeout", seconds)
    assert time.monotonic() - start < 30  # not the 60 that it sleeps
    assert code == 1
    assert cause in out.splitlines()[0]
    assert tells in out.splitlines()[0]


def test_a_reader_that_cannot_even_start(capsys):
    options = ["--arch", "s390x", "-k", "leaf", "-k", "levels", "--json"]
    words = ["conformance", *options, "--", sys.executable, "-c", "raise SystemExit('usage: ...')"]
    assert main(words) == 1
    doc = json.loads(capsys.readouterr().out)
    assert {failure["cause"] for failure in doc["failures"]} == {
        "nothing told in any case: it ended with an error"
    }


def test_what_a_stopped_reader_started_is_stopped_too(capsys, tmp_path):
    script = f"sh -c 'echo $$ > {shlex.quote(str(tmp_path))}/pid; exec sleep 60' & wait"
    code = main(
        [
            "conformance",
            "--arch",
            "s390x",
            "-k",
            "*-6.12-empty",
            "--timeout",
            "3",
            "--",
            "sh",
            "-c",
            script,
        ]
    )
    assert code == 1
    capsys.readouterr()
    pid = int((tmp_path / "pid").read_text())
    for _ in range(50):
        try:
            if Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0] == "Z":
                return
            os.kill(pid, 0)
        except (ProcessLookupError, FileNotFoundError):
            return
        time.sleep(0.1)
    pytest.fail("it still runs")


def test_entries_alone(conformance):
    assert conformance("entries", "--arch", "s390x", "-k", "almost-full-leaf", "--entries")[0] == 0
    assert conformance("entries", "--arch", "s390x", "-k", "almost-full-leaf")[0] == 1


def test_this_packages_own_decode(capsys):
    command = [sys.executable, "-m", "layout", "decode", "{core}", "--tree", "{tree}"]
    shapes = (
        "6.1-no-last-pivot",
        "up-root-entry",
        "process-map",
        "zero-entries",
        "truncated",
        "smeared-leaf",
    )
    patterns = [word for shape in shapes for word in ("-k", shape)]
    code = main(["conformance", "--arch", "sparc64,hppa", *patterns, "--", *command])
    out = capsys.readouterr().out
    assert (code, out.splitlines()[-1]) == (0, "12 of 12 cases passed"), out


def test_files_of_failures_are_kept(conformance, tmp_path):
    keep = tmp_path / "kept"
    code, _, _ = conformance(
        "metadata", "--arch", "s390x", "-k", "*-almost-full-leaf", "-k", "*-empty", "--keep", keep
    )
    assert code == 1
    name = "s390x-6.12-almost-full-leaf"
    suffixes = ("core", "core.isf", "core.json", "core.types", "expected", "stderr", "stdout")
    assert sorted(file.name for file in keep.iterdir()) == [
        f"{name}.{suffix}" for suffix in suffixes
    ]
    assert main(["decode", str(keep / f"{name}.core.json")]) == 0
    assert (
        (keep / f"{name}.stdout")
        .read_text()
        .splitlines()[-1]
        .endswith(" ffffffffffffffff e00000000000000")
    )
    assert len((keep / f"{name}.expected").read_text().splitlines()) == 2 + 7


def test_the_corpus_alone(run_main, tmp_path):
    code, out, err = run_main(
        "conformance", "--arch", "arm", "-k", "values", "-k", "cycle", "--keep", tmp_path
    )
    assert (code, out, err) == (0, "", f"maple-layout: 2 cases written to {tmp_path}\n")
    assert "damaged" in (tmp_path / "arm-6.12-cycle.expected").read_text()


def test_list(run_main):
    code, out, _ = run_main("conformance", "--arch", "s390x", "-k", "sleep", "--list")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == [
        "s390x-6.1.0-sleep-captured",
        "s390x-6.12.95-sleep-captured",
    ]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "what reader? give its command after --"),
        (["-k", "nothing-like-it", "--", "true"], "no case matches nothing-like-it: --list shows"),
        (["--arch", "vax", "--", "true"], "unknown architecture 'vax'"),
        (["--", "no-such-reader"], "no-such-reader: no such command: give a path"),
        (["--jobs", "0", "--", "true"], "argument --jobs: invalid number value: '0'"),
        (["--jobs", "1025", "--", "true"], "1025 are too many processes: 1 to 1024"),
        (["--timeout", "x", "--", "true"], "invalid number value: 'x'"),
        (["--junit", "/nowhere/x.xml", "-k", "s390x-6.12-empty", "--", "true"], "/nowhere/x.xml"),
    ],
)
def test_wrong_usage(run_main, words, says):
    code, out, err = run_main("conformance", *words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert says in err


@pytest.fixture
def run_main(capsys):
    def command(*words):
        code = main([str(word) for word in words])
        return code, *capsys.readouterr()

    return command
