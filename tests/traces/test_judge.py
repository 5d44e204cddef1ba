"""Answers that are right, forgiven or wrong."""

import pytest

from layout.memory.pointers import MT_FLAGS_ALLOC_RANGE
from layout.traces.judge import Judge, WrongResultError
from layout.traces.trace import parse

TOP = 2**64 - 1


class Told:
    """A witness of what a test says."""

    def __init__(self, *, flags=0, stays=0, cursor=None):
        self._flags, self._stays, self._cursor = flags, stays, cursor

    def root(self, number):
        del number
        return 0

    def flags(self, number):
        del number
        return self._flags

    def first_end(self, number):
        del number
        return 0

    def entry_at(self, number, index):
        del number, index
        return self._stays

    def cursor(self):
        return self._cursor


@pytest.fixture
def judge():
    """Judges a line that answers an operation, on a tree that has these ranges."""

    def judged(text, line, ranges, before="", **told):
        one = Judge(TOP, 8, Told(**told))
        for first, last, entry in ranges:
            one.model.store(first, last, entry)
        for operation in parse([before] if before else [], TOP):
            one.judge(operation, {"n": 1, "op": operation.op})
        *_, operation = parse(["cset 0", text], TOP)
        one.judge(operation, {"n": 2, "op": operation.op, **line})
        return one

    return judged


def test_the_entry_at_0_is_below_a_limit_and_not_below_none(judge):
    ranges = [(0, 0, 0x1001)]
    assert judge("prev 5 1", {"entry": "1001"}, ranges).forgiven == {"below the limit": 1}
    assert judge("prev 5 0", {"entry": "1001"}, ranges).forgiven == {}
    with pytest.raises(WrongResultError, match="entry is 1001, it should be 0"):
        judge("prev 0 0", {"entry": "1001"}, ranges)


def test_an_erase_is_refused_only_where_memory_is(judge):
    ranges = [(1, 5, 0x1001)]
    refused = judge("erase 3", {"entry": "1001"}, ranges, before="fail 0", stays=0x1001)
    assert (refused.model.items(), refused.forgiven) == ([(1, 5, 0x1001)], {"refused": 1})
    for options in ({"before": "fail 0"}, {"stays": 0x1001}, {"before": "fail -", "stays": 0x1001}):
        assert judge("erase 3", {"entry": "1001"}, ranges, **options).model.items() == []


def test_a_cursor_finds_an_entry_that_ends_at_its_limit(judge):
    ranges, cursor = [(1, 5, 0x1001)], ("start", 9, 9)
    found = {"entry": "1001", "index": "1", "last": "5", "status": "active"}
    judge("cfind_rev 5", found, ranges, cursor=cursor)
    nothing = {"entry": "0", "index": "9", "last": "9", "status": "none"}
    judge("cfind_rev 6", nothing, ranges, cursor=cursor)
    with pytest.raises(WrongResultError, match="entry is 0, it should be 1001"):
        judge("cfind_rev 5", nothing, ranges, cursor=cursor)


def test_a_cyclic_allocation_goes_on_behind_what_it_found(judge):
    text = "alloc_cyclic 1001 0 9 0"
    line = {"ret": 0, "start": "1", "next": "2"}
    ranges = [(0, 0, 0x3001)]
    right = judge(text, line, ranges, flags=MT_FLAGS_ALLOC_RANGE)
    assert right.model.at(1) == (1, 1, 0x1001)
    with pytest.raises(WrongResultError, match="next is 3, it should be 2"):
        judge(text, {**line, "next": "3"}, ranges, flags=MT_FLAGS_ALLOC_RANGE)
