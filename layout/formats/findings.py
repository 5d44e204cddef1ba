"""Findings for other programs: JUnit XML, SARIF 2.1.0, GitHub's annotation lines."""

from __future__ import annotations

import json
import os
import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

from layout.host.version import version

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_NOT_XML = re.compile(r"[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_SARIF = "https://json.schemastore.org/sarif-2.1.0.json"


@dataclass(frozen=True, slots=True)
class Finding:
    """One error that the check ``rule`` found.

    ``file`` is the input, ``line`` its line from 1, or 0 if a line is not meaningful. ``message``
    is one line; ``detail`` adds to it.
    """

    rule: str
    message: str
    file: str
    line: int = 0
    detail: str = ""


class Checked(NamedTuple):
    """One thing that was looked at, in ``seconds``: it is right if ``finding`` is None."""

    group: str
    name: str
    finding: Finding | None = None
    seconds: float = 0


def junit(suite: str, checked: Sequence[Checked]) -> bytes:
    """JUnit XML, a test case for each thing that was looked at."""
    element = ET.Element(
        "testsuite",
        name=suite,
        tests=str(len(checked)),
        failures=str(sum(each.finding is not None for each in checked)),
        errors="0",
        time=f"{sum(each.seconds for each in checked):.3f}",
    )
    for each in checked:
        case = ET.SubElement(
            element,
            "testcase",
            classname=_xml(each.group),
            name=_xml(each.name),
            time=f"{each.seconds:.3f}",
        )
        if each.finding is not None:
            failure = ET.SubElement(case, "failure", message=_xml(each.finding.message))
            failure.text = _xml(each.finding.detail)
    root = ET.Element("testsuites")
    root.append(element)
    return b"%s\n" % ET.tostring(root, encoding="utf-8", xml_declaration=True)


def _xml(text: str) -> str:
    return _NOT_XML.sub("?", text)


def sarif(findings: Iterable[Finding]) -> bytes:
    """A SARIF log of one run."""
    results: list[dict[str, Any]] = []
    rules: dict[str, dict[str, Any]] = {}
    for finding in findings:
        rules.setdefault(finding.rule, {"id": finding.rule})
        place: dict[str, Any] = {"artifactLocation": {"uri": _uri(finding.file)}}
        if finding.line:
            place["region"] = {"startLine": finding.line}
        text = finding.message if not finding.detail else f"{finding.message}\n{finding.detail}"
        results.append(
            {
                "ruleId": finding.rule,
                "level": "error",
                "message": {"text": text},
                "locations": [{"physicalLocation": place}],
            }
        )
    driver = {
        "name": "maple-layout",
        "version": version(),
        "rules": list(rules.values()),
    }
    log = {
        "$schema": _SARIF,
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "results": results}],
    }
    return json.dumps(log, indent=1).encode() + b"\n"


def _uri(path: str) -> str:
    return quote(os.fsencode(path), safe="/,:@+=~")


def github(finding: Finding) -> str:
    r"""The line by which GitHub's runner annotates a file.

    >>> print(github(Finding("gap", "expected 5,\nfound 6", "a.trace", 3)))
    ::error file=a.trace,line=3,title=gap::expected 5,%0Afound 6
    """
    where = f"file={_property(finding.file)}"
    if finding.line:
        where += f",line={finding.line}"
    return f"::error {where},title={_property(finding.rule)}::{_data(finding.message)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
