"""A small sample of the campaign of hostile input."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

CAMPAIGN = Path(__file__).with_name("hostile.py")


@pytest.mark.long
def test_a_sample():
    """Apart, since it forks: a test's process may have threads."""
    done = subprocess.run(
        [sys.executable, CAMPAIGN, "--cases", "6"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    summary = json.loads(done.stdout)
    assert summary["findings"] == 0
    assert summary["cases"] == 6 * 18
    assert summary["in other surroundings"] > 20
