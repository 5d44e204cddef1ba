"""Each verb that finds something writes it for other programs."""

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from layout.cli.main import main

GOLDEN = Path(__file__).parents[2] / "fixtures/golden"
BROKEN = "init 1\nstore 10 20 3001\npoke 1000000000 f 77\n"


@pytest.fixture
def findings(tmp_path, capsys):
    """Runs a verb; gives status, JUnit failures, SARIF results, annotation lines."""

    def run(*words):
        files = tmp_path / "f.xml", tmp_path / "f.sarif"
        options = ["--junit", str(files[0]), "--sarif", str(files[1]), "--github"]
        status = main([*map(str, words), *options])
        failures = ET.fromstring(files[0].read_bytes()).findall(".//failure")
        results = json.loads(files[1].read_bytes())["runs"][0]["results"]
        lines = [x for x in capsys.readouterr().err.splitlines() if x.startswith("::error")]
        assert len(failures) == len(results) == len(lines)
        return status, failures, results, lines

    return run


def test_validate(findings, tmp_path):
    trace = tmp_path / "t.trace"
    trace.write_text(BROKEN)
    status, _, results, lines = findings("validate", trace)
    assert status == 1
    assert {result["ruleId"] for result in results} >= {"pivot order"}
    assert lines[0].startswith(f"::error file={trace},title=")
    assert findings("validate", GOLDEN / "01-root-only.trace")[:2] == (0, [])


def test_a_name_that_drives_a_terminal_is_escaped(findings, tmp_path):
    trace = tmp_path / "\x1b[2J.trace"
    trace.write_text(BROKEN)
    _, _, _, lines = findings("validate", trace)
    assert lines[0].startswith(f"::error file={tmp_path}/\\x1b[2J.trace,title=")


def test_compare(findings, tmp_path):
    trace = tmp_path / "t.trace"
    trace.write_text(BROKEN)
    status, failures, results, lines = findings("compare", trace)
    assert status == 1
    assert results[0]["ruleId"] == "pivot[0]"
    assert "byte 8: x86_64 has" in failures[0].get("message")
    assert lines[0].startswith(f"::error file={trace},line=3,title=pivot[0]::line 3 (poke)")
    good = GOLDEN / "01-root-only.trace"
    assert findings("compare", good)[:2] == (0, [])
    *_, lines = findings("compare", good, trace)
    assert "title=ma_flags::" in lines[0]
    other = GOLDEN / "18-cursor-and-mas-store.trace"
    status, _, results, _ = findings("compare", other, "--kernel", "6.12,7.3")
    assert (status, results[0]["ruleId"]) == (1, "entry")
    assert results[0]["locations"][0]["physicalLocation"]["region"] == {"startLine": 161}


def test_run_check(findings, tmp_path):
    trace = tmp_path / "t.trace"
    trace.write_text("init 0\nbulk ef ef 0 2 2 1001\nrcu on\ndestroy\n")
    status, failures, results, _ = findings("run", trace, "--arch", "s390x", "--check")
    assert status == 1
    assert results[0]["ruleId"] == "metadata read as slot"
    assert results[0]["locations"][0]["physicalLocation"]["region"] == {"startLine": 4}
    assert "mt_free_bulk in operation 4" in failures[0].get("message")


def test_run_that_ends_in_a_fault_or_finds_a_broken_tree(findings, tmp_path):
    trace = tmp_path / "t.trace"
    trace.write_text(BROKEN + "validate\npoke 1000000000 8 77\npoke fffff0008 0 7\nload 5\n")
    status, _, results, _ = findings("run", trace)
    assert status == 1
    assert [result["ruleId"] for result in results] == ["validate"]
    bad = tmp_path / "bad.trace"
    bad.write_text("init 0\nbulk 1 100 0 10 8 3000\n")
    _, failures, results, _ = findings("run", bad)
    assert results[0]["locations"][0]["physicalLocation"]["region"] == {"startLine": 2}
    assert len(failures) == 1


@pytest.mark.kernel
def test_kernel_diff_and_fuzz(findings, changed_6_12, tmp_path):
    trace = tmp_path / "t.trace"
    trace.write_text("init 0\nstore 1 2 3001\n")
    source = ["--source", changed_6_12.root, "--arch", "x86_64"]
    status, failures, results, lines = findings("kernel", "diff", trace, *source, "--shrink", 1)
    assert (status, len(failures)) == (1, 1)
    assert failures[0].text == "store 1 2 3001"
    assert lines[0].startswith(f"::error file={trace},line=2,title=kernel diff::store on x86_64 ")
    status, failures, results, _ = findings(
        "kernel", "fuzz", *source, "--time", 2, "--out", tmp_path / "out"
    )
    assert status == 1
    assert results[0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"].startswith(
        str(tmp_path / "out")
    )


def test_a_file_that_cannot_be_written_is_told_first(capsys):
    words = ["validate", str(GOLDEN / "01-root-only.trace"), "--junit", "/nowhere/x.xml"]
    assert main(words) == 2
    captured = capsys.readouterr()
    assert "/nowhere/x.xml" in captured.err
    assert captured.out == ""
