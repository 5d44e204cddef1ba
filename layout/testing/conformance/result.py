"""What a run of the corpus gave: as data, as JSON, and as JUnit XML."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from layout.testing.conformance.answer import Answer, Row
    from layout.testing.conformance.cases import Case

_NOT_XML = re.compile(r"[^\t\n\r -\ud7ff\ue000-\ufffd]")


@dataclass(slots=True)
class Failure:
    """One case that a reader got wrong.

    ``causes`` are the mistakes that would have given this answer, likeliest first; the first is
    "not known" where none would. ``expected`` are the right rows, or words for a damaged image.
    """

    case: str
    arch: str
    about: str
    causes: list[str]
    expected: list[Row] | str
    answer: Answer

    @property
    def cause(self) -> str:
        """The likeliest cause."""
        return self.causes[0]

    def how_it_ended(self) -> str:
        """The reader's end in words, empty if it was as it should be."""
        answer = self.answer
        words = []
        if answer.stopped:
            words.append("it was stopped")
        elif answer.status < 0:
            words.append(f"killed by signal {-answer.status}")
        elif answer.status:
            words.append(f"status {answer.status}")
        if answer.said:
            words.append(answer.said)
        return ": ".join(words)

    def difference(self) -> str:
        """The first row that is not as expected, both sides, in words."""
        if self.answer.stopped:
            return ""
        if self.answer.strange is not None:
            return f"line {self.answer.strange!r}"
        got = self.answer.rows
        if isinstance(self.expected, str):
            return f"{len(got)} ranges told" if got else "no ranges told"
        at = 0
        while self.expected[at : at + 1] == got[at : at + 1] and at < len(got):
            at += 1
        if at == len(got) == len(self.expected):
            return ""
        sides = [_text(rows[at]) if at < len(rows) else "no more" for rows in (self.expected, got)]
        return f"range {at}: expected {sides[0]}, got {sides[1]}"

    def as_json(self) -> dict[str, Any]:
        """The failure as ``--json`` prints it: numbers in strings are hex."""
        expected = self.expected
        return {
            "case": self.case,
            "arch": self.arch,
            "cause": self.cause,
            "other_causes": self.causes[1:],
            "expected": expected if isinstance(expected, str) else _hex(expected),
            "got": _hex(self.answer.rows),
            "status": None if self.answer.stopped else self.answer.status,
            "said": self.answer.said,
        }


def _hex(rows: list[Row]) -> list[list[str]]:
    return [[f"{number:x}" for number in row] for row in rows]


def _text(row: Row) -> str:
    return f"{row[0]:x}-{row[1]:x} {row[2]:x}" if len(row) == 3 else f"{row[0]:x}"


@dataclass(slots=True)
class Result:
    """What failed, which cases were run, and how many seconds each took."""

    failures: list[Failure]
    ran: list[tuple[Case, float]] = field(default_factory=list)

    @property
    def cases(self) -> int:
        """How many cases were run."""
        return len(self.ran)

    @property
    def passed(self) -> int:
        """How many of them the reader got right."""
        return self.cases - len(self.failures)

    def as_json(self) -> dict[str, Any]:
        """The result as ``--json`` prints it."""
        return {
            "cases": self.cases,
            "passed": self.passed,
            "failures": [failure.as_json() for failure in self.failures],
        }

    def junit(self) -> bytes:
        """The result as JUnit XML, one test case for each case."""
        failed = {failure.case: failure for failure in self.failures}
        suite = ET.Element(
            "testsuite",
            name="maple-layout conformance",
            tests=str(self.cases),
            failures=str(len(failed)),
            errors="0",
            time=f"{sum(seconds for _, seconds in self.ran):.3f}",
        )
        for case, seconds in self.ran:
            element = ET.SubElement(
                suite, "testcase", classname=case.arch.name, name=case.name, time=f"{seconds:.3f}"
            )
            if case.name in failed:
                failure = failed[case.name]
                text = f"{failure.about}\n{failure.difference()}\n{failure.how_it_ended()}\n"
                ET.SubElement(element, "failure", message=failure.cause).text = _xml(text)
        root = ET.Element("testsuites")
        root.append(suite)
        return b"%s\n" % ET.tostring(root, encoding="utf-8", xml_declaration=True)


def _xml(text: str) -> str:
    return _NOT_XML.sub("?", text)
