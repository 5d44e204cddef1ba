import json
import xml.etree.ElementTree as ET

from layout.formats.findings import Checked, Finding, github, junit, sarif

WRONG = Finding("gap", "expected 5,\nfound \x00 6 %", "a,b:c.trace", 3, "two\nlines \ud800")


def test_junit():
    suite = ET.fromstring(
        junit("maple", [Checked("s390x", "a"), Checked("m68k", "b", WRONG, 1.5)])
    )[0]
    assert suite.attrib == {
        "name": "maple", "tests": "2", "failures": "1", "errors": "0", "time": "1.500",
    }  # fmt: skip
    good, bad = suite
    assert (good.get("classname"), good.get("name"), len(good)) == ("s390x", "a", 0)
    assert bad.get("time") == "1.500"
    assert bad[0].get("message") == "expected 5,\nfound ? 6 %"
    assert bad[0].text == "two\nlines ?"


def test_sarif():
    [run] = json.loads(sarif([WRONG, Finding("gap", "m", "f")]))["runs"]
    assert run["tool"]["driver"]["rules"] == [{"id": "gap"}]
    first, second = run["results"]
    place = first["locations"][0]["physicalLocation"]
    assert place == {"artifactLocation": {"uri": "a,b:c.trace"}, "region": {"startLine": 3}}
    assert first["message"]["text"].endswith("\ntwo\nlines \ud800")
    assert second["locations"] == [{"physicalLocation": {"artifactLocation": {"uri": "f"}}}]


def test_sarif_names_any_file_by_a_uri():
    [run] = json.loads(sarif([Finding("gap", "m", "/a b/\udcff\n%.trace")]))["runs"]
    place = run["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]
    assert place == {"uri": "/a%20b/%FF%0A%25.trace"}


def test_a_run_without_findings_is_a_whole_log_too():
    assert json.loads(sarif([]))["runs"][0]["results"] == []


def test_github_escapes_what_its_runner_reads_as_syntax():
    assert github(WRONG) == (
        "::error file=a%2Cb%3Ac.trace,line=3,title=gap::expected 5,%0Afound \x00 6 %25"
    )
