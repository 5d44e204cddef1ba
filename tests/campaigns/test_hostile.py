"""A small sample of the campaign of hostile input, and what it has to know."""

import json
import random
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import hostile_options
import pytest

CAMPAIGN = Path(__file__).with_name("hostile.py")
CASES = 250


@pytest.mark.long
def test_a_sample():
    """Apart, since it forks: a test's process may have threads."""
    done = subprocess.run(
        [sys.executable, CAMPAIGN, "--cases", str(CASES)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    summary = json.loads(done.stdout)
    assert (summary["findings"], summary["tried again"]) == (0, 0)
    assert summary["cases"] == CASES
    assert len(summary["kinds"]) >= 20
    assert summary["in other surroundings"] > 60


def test_every_option_of_every_verb_has_values_or_a_reason():
    assert hostile_options.unknown() == []


@pytest.mark.parametrize("verb", hostile_options.options())
def test_every_option_occurs_with_a_value(verb, tmp_path):
    """The grammar makes all options that are not left out, and gives a value to what takes one."""
    r, known = random.Random(str(verb)), hostile_options.options()[verb]
    wanted = set(known) - {*hostile_options.LEFT_OUT, "-h", "--help"}
    for _ in range(60):
        words = hostile_options.given(r, verb, tmp_path / "in", tmp_path / "out", 20)
        wanted -= {one for one in words if known.get(one, "") is None}
        wanted -= {one for one, _ in pairwise(words) if known.get(one)}
    assert not wanted
