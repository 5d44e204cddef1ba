"""The shadow of many nodes: what was not used for long is packed, and read as it was."""

import random
from array import array

import pytest

from layout.machine.watch import shadow
from layout.machine.watch.shadow import Cells


@pytest.mark.parametrize("alike", [True, False])
def test_cells_are_read_as_they_were_written(alike, monkeypatch):
    monkeypatch.setattr(shadow, "_HOT", 4)
    monkeypatch.setattr(shadow, "_MOST_KNOWN", 3)
    rng = random.Random(alike)
    cells, plain = Cells("H", 9, alike=alike), array("H", [9]) * 256 * 20
    for _ in range(400):
        at, width = rng.randrange(19 * 256), rng.choice((1, 8, 256))
        new = array("H", [rng.choice((0, 1, 500))]) * width
        cells.put(at, new)
        plain[at : at + width] = new
        at = rng.randrange(19 * 256)
        assert cells[at] == plain[at]
        assert cells[at : at + 64] == plain[at : at + 64]
    for number in (3, 7, 19):
        cells.drop(number * 256)
        plain[number * 256 : number * 256 + 256] = array("H", [9]) * 256
    assert cells[0 : 256 * 20] == plain
    assert cells[-5] == 9  # below the nodes


def test_cells_that_are_alike_are_kept_once(monkeypatch):
    monkeypatch.setattr(shadow, "_HOT", 2)
    cells = Cells("H", 0, alike=True)
    for number in range(40):
        cells.put(number * 256, array("H", [7]) * 256)
    packed = [each for each in cells._cold if each]
    assert len(packed) > 30
    assert len({id(each) for each in packed}) == 1
