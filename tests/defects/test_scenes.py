"""Whether what is found decides the verdict, and not what the defect's file says."""

from __future__ import annotations

import dataclasses

import pytest

import arches
from layout import defects
from layout.defects import Shows
from layout.defects.scenes import show, trial

S390X = arches.get("s390x")


@pytest.mark.long
@pytest.mark.parametrize("name", defects.names())
def test_shows_as_documented(name):
    defect = defects.get(name)
    # 3400 stores on each machine take a while: one of either byte order
    machines = [arches.get("x86_64"), S390X] if defect.bug == "D4" else None
    for found in show(defect, machines):
        assert (found.outcome, found.detail) == (found.expected.outcome, found.expected.detail)
        assert found.correct == "ok"
        assert found.as_documented


def test_another_expectation_fails():
    defect = defects.get("R1")
    for shows in (Shows("ok"), Shows("fault", "next = 1"), Shows("wrong result")):
        wrong = dataclasses.replace(defect, shows={"s390x": shows})
        assert [found.as_documented for found in show(wrong)] == [False]


def test_a_defect_that_does_nothing_fails():
    plain = dataclasses.replace(defects.get("R1"), kernel=defects.get("R3a").kernel)
    found = trial(plain, S390X)
    assert (found.outcome, found.as_documented) == ("ok", False)


@pytest.mark.long
def test_leaks_faults_and_results_are_told_apart():
    outcomes = {
        name: trial(defects.get(name), S390X).outcome for name in ("R1", "R3a", "R3b", "R3d")
    }
    assert outcomes == {"R1": "fault", "R3a": "fault", "R3b": "ok", "R3d": "leak"}


def test_a_machine_that_history_does_not_speak_of():
    [found] = show(defects.get("R1"), [arches.get("powerpc64")])
    assert "next = 0e00000000000000" in found.detail
    assert found.expected is None
    assert found.as_documented
