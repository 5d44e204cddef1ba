"""What an answer may be: of the old tree or the new one, and never older than one before."""

import pytest

from layout.interleave.judge import Contents, Judge
from layout.interleave.programs import Answer

TOP = 2**64 - 1
OLD = [(0x10, 0x1F, 0x1001), (0x30, 0x3F, 0x3001)]
NEW = [(0x10, 0x17, 0x1001), (0x18, 0x1F, 0x9001), (0x30, 0x3F, 0x3001)]


@pytest.fixture
def judge():
    return Judge(Contents(OLD, TOP), Contents(NEW, TOP))


@pytest.mark.parametrize(
    ("answer", "wrong"),
    [
        (Answer("walk", 0x1001, 0x10, 0x1F, 0x12), ""),
        (Answer("walk", 0x1001, 0x10, 0x17, 0x12), ""),
        (Answer("walk", 0x9001, 0x18, 0x1F, 0x18), ""),
        (Answer("walk", 0, 0x20, 0x2F, 0x20), ""),
        (
            Answer("walk", 0x9001, 0x10, 0x1F, 0x12),
            "walk = 9001 over 10-1f, but 10-17 held 1001 all the time",
        ),
        (
            Answer("walk", 0x3001, 0x18, 0x1F, 0x18),
            "walk = 3001 over 18-1f, but 18-1f held 1001 before and holds 9001 after",
        ),
        (
            Answer("walk", 0x1001, 0x18, 0x18, 0x18, late=True),
            "walk = 1001 over 18-18, but 18 held 9001 since before it began",
        ),
        (
            Answer("walk", 0x1001, 0x1F, 0x10, 0x12),
            "walk = 1001 over 1f-10: the range is upside down",
        ),
        (
            Answer("walk", 0x3001, 0x30, 0x3F, 0x12),
            "walk = 3001 over 30-3f: 30-3f does not hold 12",
        ),
        (Answer("find", 0, 5, 4), ""),
        (
            Answer("find", 0x3001, 0x30, 0x3F, None, (0x12, 0x2F)),
            "find = 3001 over 30-3f passes over 12-17, but 12-17 held 1001 all the time",
        ),
        # who went on from the old entry has had all of it, unless the new tree was there already
        (Answer("next", 0x3001, 0x30, 0x3F, None, (0x18, 0x2F), 0x17), ""),
        (
            Answer("next", 0x3001, 0x30, 0x3F, None, (0x18, 0x2F), 0x17, late=True),
            "next = 3001 over 30-3f passes over 18-1f, but 18-1f held 9001 since before it began",
        ),
        (Answer("next", 0x3001, 0x30, 0x3F, None, (0x20, 0x2F), 0x1F, late=True), ""),
        # a NULL is what a range holds, or the end of a search
        (Answer("range", 0, 0x20, 0x2F, None, None, 0x1F, empty=True), ""),
        (
            Answer("range", 0, 0x18, 0x2F, None, None, 0x17, empty=True),
            "range = NULL over 18-2f, but 18-1f held 1001 before and holds 9001 after",
        ),
        (
            Answer("range", 0, 0x40, 0x4F, None, (0x30, 0x3F), 0x2F, empty=True),
            "range = NULL over 40-4f passes over 30-3f, but 30-3f held 3001 all the time",
        ),
    ],
)
def test_an_answer_is_of_one_of_the_trees(judge, answer, wrong):
    assert judge.wrong(answer) == wrong


A, B, C = 0x1001, 0x9001, 0x8001


@pytest.fixture
def three():
    """One entry, then another, then the first again in half of it."""
    return Judge(
        Contents([(0x10, 0x1F, A), (0x30, 0x3F, C)], TOP),
        Contents([(0x10, 0x2F, B), (0x30, 0x3F, C)], TOP),
        Contents([(0x10, 0x17, A), (0x18, 0x1F, C), (0x30, 0x3F, C)], TOP),
    )


@pytest.mark.parametrize(
    ("answer", "wrong"),
    [
        (Answer("walk", A, 0x10, 0x1F, 0x12), ""),
        (Answer("walk", B, 0x10, 0x2F, 0x12), ""),
        (Answer("walk", C, 0x18, 0x1F, 0x18), ""),
        (
            Answer("walk", C, 0x10, 0x1F, 0x12),
            "walk = 8001 over 10-1f, but 10-17 held 1001 before, then 9001, and holds 1001 after",
        ),
        (
            Answer("walk", A, 0x10, 0x2F, 0x12),
            "walk = 1001 over 10-2f, but 20-2f held NULL before, then 9001, and holds NULL after",
        ),
        (Answer("mtree_load", 0, 0x20, 0x20, 0x20), ""),
        (Answer("mtree_load", B, 0x20, 0x20, 0x20), ""),
        (
            Answer("mtree_load", B, 0x20, 0x20, 0x20, late=True),
            "mtree_load = 9001, but 20 held NULL since before it began",
        ),
        (Answer("find", C, 0x30, 0x3F, None, (0x20, 0x2F)), ""),
        (
            Answer("find", C, 0x30, 0x3F, None, (0x18, 0x2F)),
            "find = 8001 over 30-3f passes over 18-1f, "
            "but 18-1f held 1001 before, then 9001, and holds 8001 after",
        ),
        # the entry between holds them
        (Answer("next", C, 0x30, 0x3F, None, (0x18, 0x2F), 0x17), ""),
        (
            Answer("next", C, 0x30, 0x3F, None, (0x18, 0x2F), 0x17, late=True),
            "next = 8001 over 30-3f passes over 18-1f, but 18-1f held 8001 since before it began",
        ),
    ],
)
def test_an_answer_is_of_one_of_three_trees(three, answer, wrong):
    assert three.wrong(answer) == wrong


def test_an_entry_that_comes_back_is_newer_where_another_was_seen(three):
    first = Answer("walk", A, 0x10, 0x17, 0x12)
    between = Answer("walk", B, 0x10, 0x2F, 0x12)
    assert list(three.news(first)) == []
    known = list(three.news(between))
    assert known == [(0x10, 0x17, 1), (0x18, 0x1F, 1), (0x20, 0x2F, 1)]
    assert three.older(first, known) == three.older(between, known) == ""
    assert three.older(Answer("walk", A, 0x10, 0x1F, 0x12), known) == (
        "walk = 1001 over 10-1f, but an earlier reader saw a newer tree there: "
        "18-1f held 1001 before, then 9001, and holds 8001 after"
    )
    back = list(three.news(first, known))
    assert back == [(0x10, 0x17, 2)]
    assert "saw the new tree there: 10-17 held" in three.older(between, back)
    # what is known of a part says nothing of the rest
    assert list(three.news(first, [(0x10, 0x13, 1)])) == []


def test_what_a_load_hides_is_the_same_as_nothing():
    zero = 0x406
    judge = Judge(Contents([(5, 5, zero)], TOP), Contents([], TOP))
    nothing = Answer("mtree_load(5)", 0, 5, 5, 5)
    assert judge.wrong(nothing) == ""
    assert list(judge.news(nothing)) == []
    assert list(judge.news(Answer("mas_walk(5)", 0, 5, 5, 5))) == [(5, 5, 1)]


def test_a_reader_sees_nothing_older_than_readers_before(judge):
    of_both = Answer("walk", 0x1001, 0x10, 0x17, 0x12)
    of_new = Answer("walk", 0x9001, 0x18, 0x1F, 0x18)
    of_old = Answer("walk", 0x1001, 0x10, 0x1F, 0x12)
    nothing = Answer("find", 0, 0, TOP)
    assert list(judge.news(of_both)) == list(judge.news(of_old)) == list(judge.news(nothing)) == []
    news = list(judge.news(of_new))
    assert news == [(0x18, 0x1F, 1)]
    assert judge.older(of_old, news) == (
        "walk = 1001 over 10-1f, but an earlier reader saw the new tree there: "
        "18-1f held 1001 before and holds 9001 after"
    )
    assert judge.older(of_old, []) == judge.older(of_both, news) == judge.older(of_new, news) == ""
    assert judge.older(nothing, news) == ""
