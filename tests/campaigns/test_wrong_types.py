"""A node of the wrong type: kernel and emulator, on a few of the campaign's traces."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import wrong_types

pytestmark = pytest.mark.kernel


@pytest.mark.parametrize("version", ["6.12", "7.2", "7.3"])
@pytest.mark.parametrize("arch", ["x86_64", "i386"])
def test_a_sample(kernel, version, arch):
    faults, found = wrong_types.campaign(kernel(version), arch, traces=120, seed=7)
    assert found == []
    assert 30 < faults < 90  # both kinds are there
