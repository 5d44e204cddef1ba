"""Readers that are wrong in one way fail just the cases that show it, with the right cause."""

from __future__ import annotations

import pytest
from some_reader import MISTAKES, Reader

import arches
from layout.images.decode import decode
from layout.testing.conformance import check, corpus

SMALL = [
    f"*-6.1*-{name}"
    for name in (
        "*leaf",
        "*root*",
        "*range",
        "values",
        "first-index",
        "neighbours",
        "zero-entries",
        "high-half",
        "three-levels-arange",
        "full-leaves",
    )
]
"""Cases that are built fast and that show every mistake."""


def facts(memory):
    return {
        "word_size": memory.word_size,
        "byteorder": memory.byteorder,
        "root_at": memory.layout("maple_tree").offset("ma_root"),
    }


def with_mistake(mistake):
    return lambda memory, tree: Reader(memory.read, facts(memory), mistake).ranges(tree)


@pytest.mark.parametrize("name", arches.names())
def test_a_right_reader_passes(name):
    result = check(with_mistake(""), arches=[name])
    assert [failure.case for failure in result.failures] == []
    assert result.passed == result.cases == len(corpus([name])) >= 39


def test_this_packages_own_decoder_passes():
    def reader(memory, tree):
        found = decode(memory.mem, tree)
        if not found.complete:
            raise ValueError(found.problems[0])
        return found.ranges

    result = check(reader, arches=["x86_64", "sparc64", "m68k"])
    assert [failure.case for failure in result.failures] == []


@pytest.mark.long
@pytest.mark.parametrize("mistake", MISTAKES)
def test_the_cause_is_named(mistake):
    """Every failure has this cause."""
    result = check(with_mistake(mistake), arches=["s390x", "x86_64"], pattern=SMALL)
    wrong = [failure for failure in result.failures if "damage" not in failure.cause]
    assert wrong, "no case shows the mistake"
    assert {failure.cause for failure in wrong} == {MISTAKES[mistake]}, [
        (failure.case, failure.causes, failure.difference()) for failure in wrong
    ]


@pytest.mark.parametrize("mistake", ["low byte", "low"])
def test_where_a_mistake_does_not_show(mistake):
    """The low byte is right on little-endian machines, and nodes of x86_64 are high."""
    result = check(with_mistake(mistake), arches=["x86_64"], pattern=["leaf", "levels"])
    assert {f.case for f in result.failures} <= {"x86_64-6.12-smeared-leaf"}


def test_what_is_not_known_is_not_named():
    def reader(memory, tree):
        found = decode(memory.mem, tree).ranges
        return [*found, (7, 7, 7)]

    result = check(reader, arches=["s390x"], pattern=["one-range"])
    [failure] = result.failures
    assert failure.causes == ["not known"]
    assert failure.difference() == "range 1: expected no more, got 7-7 7"


def test_hide_zero():
    result = check(with_mistake("zero"), arches=["s390x"], pattern=["zero-entries"], hide_zero=True)
    assert result.passed == 1
    result = check(with_mistake(""), arches=["s390x"], pattern=["zero-entries"], hide_zero=True)
    assert result.passed == 0


def test_a_callable_that_reads_for_ever_is_stopped():
    def reader(memory, tree):
        while True:
            try:
                memory.read(tree, 1)
            except Exception:  # noqa: BLE001 - as careless readers do
                return []

    [failure] = check(reader, arches=["s390x"], pattern=["*-empty"], seconds=0.05).failures
    assert failure.cause == "did not end within 0.05 s"


def test_a_callable_has_to_raise_over_damage():
    result = check(
        lambda memory, tree: decode(memory.mem, tree).ranges, arches=["s390x"], pattern=["*-cycle"]
    )
    [failure] = result.failures
    assert failure.cause == "damage not noticed: it ended with status 0 and nothing on stderr"


def test_reads_cross_segments_and_end_at_holes():
    [case] = corpus(["s390x"], ["three-levels-range"])
    seen = []

    def reader(memory, tree):
        node = int.from_bytes(memory.read(tree + 8, 8), "big") & ~0xFF
        seen.append(
            memory.read(node - 256, 512) == memory.read(node - 256, 256) + memory.read(node, 256)
        )
        with pytest.raises(LookupError, match="no memory at 0"):
            memory.read(0, 4)
        return []

    assert check(reader, arches=["s390x"], pattern=[case.name]).passed == 0
    assert seen == [True]
