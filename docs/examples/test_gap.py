"""A test of one's own, with the fixture of the pytest plugin. It runs on three machines."""


def test_the_gap_between_two_ranges(maple_tree) -> None:  # noqa: ANN001 - a fixture
    """What is free between two ranges is one gap."""
    maple_tree.store(0x1000, 0x1FFF, 0x2A0001)
    maple_tree.store(0x3000, 0x3FFF, 0x2A0101)
    [gap] = maple_tree.gaps(0x1000, 0x3FFF)
    assert (gap.first, gap.last) == (0x2000, 0x2FFF)
