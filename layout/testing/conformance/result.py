"""The result of a run of the corpus, as data and as JSON."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from layout.formats.findings import Checked, Finding

if TYPE_CHECKING:
    from layout.testing.conformance.answer import Answer, Row
    from layout.testing.conformance.cases import Case


@dataclass(slots=True)
class Failure:
    """One case that a reader got wrong.

    ``causes`` are the mistakes that give this answer, likeliest first; the first is "not known" if
    there is none. ``where`` names the bytes that show the cause, if they were searched.
    ``expected`` are the correct rows, or a text for a damaged image.
    """

    case: str
    arch: str
    about: str
    causes: list[str]
    expected: list[Row] | str
    answer: Answer
    where: str = ""

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
            "where": self.where or None,
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
    """The failures, the cases that were run, and the seconds of each."""

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

    def checked(self) -> list[Checked]:
        """Each case, with what was found."""
        failed = {failure.case: failure for failure in self.failures}
        return [
            Checked(case.arch.name, case.name, _finding(failed.get(case.name)), seconds)
            for case, seconds in self.ran
        ]


def _finding(failure: Failure | None) -> Finding | None:
    if failure is None:
        return None
    told = (failure.about, failure.where, failure.difference(), failure.how_it_ended())
    detail = "\n".join([*told, ""])
    return Finding("conformance", failure.cause, failure.case, detail=detail)
