import random
from itertools import pairwise

from layout.record.ranges import Ranges


def test_like_a_set():
    rng = random.Random(1)
    for _ in range(60):
        ranges, wanted = Ranges(), set()
        for _ in range(40):
            start = rng.randrange(60)
            end = start + rng.randrange(12)
            if rng.random() < 0.6:
                ranges.add(start, end)
                wanted |= set(range(start, end))
            else:
                ranges.remove(start, end)
                wanted -= set(range(start, end))
            parts = list(ranges)
            assert {p for low, high in parts for p in range(low, high)} == wanted
            assert all(low < high for low, high in parts)
            assert all(one[1] < two[0] for one, two in pairwise(parts))
            low, high = sorted(rng.sample(range(70), 2))
            inside = {p for a, b in ranges.within(low, high) for p in range(a, b)}
            assert inside == wanted & set(range(low, high))


def test_a_copy_is_its_own():
    one = Ranges()
    one.add(0, 5)
    two = one.copy()
    two.remove(0, 5)
    assert list(one) == [(0, 5)]
    assert not two
