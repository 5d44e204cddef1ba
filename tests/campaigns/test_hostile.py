"""A small sample of the campaign of hostile input."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from hostile import KINDS, campaign

pytestmark = pytest.mark.long


@pytest.mark.parametrize("kind", KINDS)
def test_a_sample(kind):
    tally = campaign([kind], 0, 25)
    assert tally.findings == []
    assert sum(tally.codes.values()) == 25
