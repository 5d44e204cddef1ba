"""Tables of segments: each address has the bytes of the row that was added first."""

from __future__ import annotations

import random
import time

from hypothesis import given
from hypothesis import strategies as st

from layout.images.segments import Row, SegmentTable

ROWS = st.lists(
    st.tuples(st.integers(0, 20), st.integers(1, 12), st.sampled_from([0, 100, 5000])),
    min_size=1,
    max_size=7,
)


def table_of(rows):
    table = SegmentTable()
    for row in rows:
        table.add(*row)
    table.finish()
    return table


@given(ROWS)
def test_every_address_has_the_first_row_that_names_it(rows):
    wanted = {}
    for start, size, offset in reversed(rows):
        wanted |= {start + i: offset + i for i in range(size)}
    table = table_of(rows)
    found = {}
    before = -1
    for start, end, offset in table:
        assert before <= start < end
        before = end
        found |= {start + i: offset + i for i in range(end - start)}
    assert found == wanted
    assert table.size() == len(wanted)
    for address in range(40):
        row = table.find(address)
        assert (row and row.offset + address - row.start) == wanted.get(address)


def test_rows_without_a_seam_are_one():
    assert list(table_of([(0x2000, 16, 116), (0x1FF0, 16, 100)])) == [Row(0x1FF0, 0x2010, 100)]
    assert len(table_of([(0x2000, 16, 117), (0x1FF0, 16, 100)])) == 2


def test_the_same_bytes_twice_are_no_overlap():
    assert table_of([(0, 16, 100), (8, 16, 108)]).overlaps == 0
    assert table_of([(0, 16, 100), (8, 16, 100)]).overlaps == 1


def test_the_last_address():
    table = table_of([((1 << 64) - 16, 16, 0)])
    assert table.find((1 << 64) - 1) == Row((1 << 64) - 16, 1 << 64, 0)
    assert table.find(1 << 64) is None
    assert table.find(-1) is None


def test_a_hundred_thousand_rows_that_all_overlap():
    """Nested rows would take hours if each were held against each."""
    count = 100_000
    rows = [(i, 2 * count, 7 * i) for i in range(count)]
    random.Random(1).shuffle(rows)
    started = time.process_time()
    table = table_of(rows)
    assert time.process_time() - started < 20
    assert table.size() == 3 * count - 1
