"""Compares an answer with the expected one, and finds the mistake that gives a wrong answer.

A mistake is a reader of ``layout.testing.conformance.suspects``. It explains a failure if it gives
exactly the same answer, or the same rows printed in another known way. If several do, those come
first that also pass the cases that the reader passed. Of these, the one that explains most failures
comes first. If none does, ``layout.testing.conformance.evidence`` searches the image's bytes.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from layout.memory.pointers import XA_ZERO_ENTRY
from layout.testing.conformance.evidence import find_evidence
from layout.testing.conformance.printings import PRINTINGS
from layout.testing.conformance.result import Failure
from layout.testing.conformance.suspects import SUSPECTS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from layout.testing.conformance.answer import Answer, Row
    from layout.testing.conformance.cases import Built, Case
    from layout.testing.conformance.walker import Reader

UNKNOWN = "not known"
NOT_SAID = "damage not noticed: it ended with status 0 and nothing on stderr"
FELL = "right, but it ended with an error"
NOTHING = "nothing told in any case: it ended with an error"
OUT_OF_ORDER = "ranges out of order"

_SMALL = 64
"""Passed cases of up to so many ranges are held against a mistake."""


class Mistake(NamedTuple):
    """A simulated mistake, and how it prints what it found, if not as it should."""

    suspect: type[Reader]
    how: str = ""

    def __str__(self) -> str:
        return f"{self.suspect.CAUSE}; {self.how}" if self.how else self.suspect.CAUSE


class Judge:
    """Judges the answers of one reader.

    With ``hide_zero`` the expected ranges do not contain XA_ZERO. With ``entries`` only entries are
    compared, for readers that print no ranges. ``seconds`` is the time limit of a reader.
    """

    def __init__(
        self, *, hide_zero: bool = False, entries: bool = False, seconds: float = 10
    ) -> None:
        self.hide_zero = hide_zero
        self.entries = entries
        self.seconds = seconds
        self.failures: list[Failure] = []
        self._passed: list[Built] = []
        self._mistakes: dict[str, list[Mistake]] = {}

    def rows(self, ranges: Iterable[tuple[int, int, int]]) -> list[Row]:
        """Ranges as this reader should tell them."""
        return [
            (entry,) if self.entries else (first, last, entry)
            for first, last, entry in ranges
            if not (self.hide_zero and entry == XA_ZERO_ENTRY)
        ]

    def judge(self, case: Case, built: Built, answer: Answer) -> bool:
        """Whether the answer is right; if it is not, there is one more of ``failures``."""
        wanted = self.rows(built.expected)
        wrong = self._obvious(case, wanted, answer)
        if wrong is None:
            if len(wanted) <= _SMALL and not case.damaged:
                self._passed.append(built)
            return True
        evidence = None
        if wrong in (UNKNOWN, FELL):
            self._mistakes[case.name] = found = self._explain(built, answer)
            if wrong == UNKNOWN and not found:
                evidence = find_evidence(built.image, wanted, answer.rows)
                wrong = evidence.cause if evidence else wrong
        expected: list[Row] | str = wanted
        if case.damaged:
            expected = f"an end within {self.seconds:g} s that says that something is wrong"
        self.failures.append(
            Failure(
                case.name,
                case.arch.name,
                case.about,
                [wrong],
                expected,
                answer,
                evidence.where if evidence else "",
            )
        )
        return False

    def _obvious(self, case: Case, wanted: list[Row], answer: Answer) -> str | None:
        """What is wrong as far as it shows without a closer look, None if nothing is."""
        if answer.stopped:
            return answer.stopped
        if case.damaged:
            return None if answer.status or answer.said else NOT_SAID
        if answer.strange is not None:
            return "output not understood"
        if answer.rows == wanted:
            return FELL if answer.status else None
        return OUT_OF_ORDER if sorted(answer.rows) == sorted(wanted) else UNKNOWN

    def _explain(self, built: Built, answer: Answer) -> list[Mistake]:
        """The mistakes that give exactly this answer, those printed as they should be first.

        One that crashes has to crash in the simulation, after the same rows or before it told
        any.
        """
        found, otherwise = [], []
        for suspect in SUSPECTS:
            reader = suspect(built.image)
            rows = self.rows(reader.run())
            if reader.crashed != bool(answer.status):
                continue
            if rows == answer.rows or (reader.crashed and not answer.rows):
                found.append(Mistake(suspect))
            elif len(rows) == len(answer.rows) or len(rows) <= _SMALL:
                otherwise += [
                    Mistake(suspect, how)
                    for how, printed in PRINTINGS.items()
                    if not self.entries and printed(rows) == answer.rows != self.rows(())
                ]
        return found or otherwise

    def settle(self) -> None:
        """Name the causes of the failures, likeliest first, once all cases are judged.

        A reader that never told anything gives no ground for more than that.
        """
        if not self._passed and not any(self._told(failure) for failure in self.failures):
            for failure in self.failures:
                if not isinstance(failure.expected, str):
                    failure.causes = [NOTHING]
            return
        counts = Counter(mistake for found in self._mistakes.values() for mistake in found)
        refuted = {mistake for mistake in counts if self._refuted(mistake)}
        for failure in self.failures:
            found = self._mistakes.get(failure.case, [])
            found.sort(key=lambda mistake: (mistake in refuted, -counts[mistake]))
            if found:
                failure.causes = list(dict.fromkeys(map(str, found)))

    @staticmethod
    def _told(failure: Failure) -> bool:
        answer = failure.answer
        return bool(
            answer.rows or answer.stopped or answer.strange is not None or not answer.status
        )

    def _refuted(self, mistake: Mistake) -> bool:
        """Whether a case that was passed would not have been with this mistake."""
        for built in self._passed:
            reader = mistake.suspect(built.image)
            rows = self.rows(reader.run())
            told = PRINTINGS[mistake.how](rows) if mistake.how else rows
            if told != self.rows(built.expected) or reader.crashed:
                return True
        return False
