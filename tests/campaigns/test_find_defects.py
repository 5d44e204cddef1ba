"""Random search for defects, a quick one here and all when asked for."""

import sys
from pathlib import Path

import pytest

from layout import defects

sys.path.insert(0, str(Path(__file__).parent))
import find_defects


@pytest.mark.long
@pytest.mark.parametrize("check", [False, True])
def test_a_quick_one(check):
    kernel = defects.get("D2").kernel
    found = find_defects.hunt("s390x", kernel, check=check, start=1, seconds=60, shrink=2)
    assert found.trace is not None
    assert find_defects.why_it_fails(found.trace, "s390x", kernel, check=check) == found.why
    assert (
        find_defects.why_it_fails(found.trace, "s390x", find_defects.CONTROLS["none"], check=True)
        == ""
    )


def test_steps_tell_fills():
    text = "init 0\nstore 0 fff 1\nstore 1000 1fff 1\nstore 2000 2fff 1\nstore 5 6 1\nload 5\n"
    assert find_defects.steps(find_defects.Trace(text, "s390x")) == [
        "init 0",
        "fill 3 ranges of 1000, 1000 apart, from 0 on",
        "store 5 6 ...",
        "load 5",
    ]


@pytest.mark.slow
@pytest.mark.parametrize("check", [False, True])
@pytest.mark.parametrize("name", find_defects.CONTROLS)
def test_nothing_is_found_in_correct_code(name, check):
    found = find_defects.hunt(
        "s390x", find_defects.CONTROLS[name], check=check, start=1, seconds=120, shrink=5
    )
    assert found.trace is None, found.why


@pytest.mark.slow
@pytest.mark.parametrize("name", ["D2", "R2", "R3a", "R3b"])
def test_found_within_ten_minutes(name):
    kernel = defects.get(name).kernel
    found = find_defects.hunt("s390x", kernel, check=True, start=1, seconds=600, shrink=60)
    assert found.trace is not None
