"""Programs that read kernel memory: skipped where one is missing, unless CI needs them all."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys

import pytest

from layout.formats.export import script

NEEDED = "MAPLE_LAYOUT_NEEDS_READERS"
INSTALL = {
    "drgn": "pip install '.[readers]'",
    "volatility3": "pip install '.[readers]'",
    "gdb-multiarch": "apt-get install gdb-multiarch",
}


@pytest.fixture
def need():
    """Skip the test where a program or package is missing, saying how to get it."""
    return _need


def _need(name: str) -> None:
    if not (importlib.util.find_spec(name) or shutil.which(name)):
        message = f"{name} is missing: {INSTALL[name]}"
        if os.environ.get(NEEDED):
            pytest.fail(message)
        pytest.skip(message)


@pytest.fixture
def drgn(tmp_path):
    """The command that reads with drgn's mt_for_each()."""
    _need("drgn")
    path = tmp_path / "drgn_ranges.py"
    path.write_text(script("drgn_ranges"))
    return [sys.executable, str(path)]


@pytest.fixture
def gdb(tmp_path):
    """The command that reads with gdb and the script that exports bring along."""
    _need("gdb-multiarch")
    path = tmp_path / "ranges.gdb"
    path.write_text(f"python\n{script('gdb_ranges')}end\n")
    command = ["gdb-multiarch", "-nx", "-q", "-batch", "-x", str(path)]
    return [*command, "-ex", "maple-ranges {tree} {core}"]


@pytest.fixture
def volatility3(tmp_path):
    """The command that reads with volatility3's walker of maple trees."""
    _need("volatility3")
    path = tmp_path / "volatility3_entries.py"
    path.write_text(script("volatility3_entries"))
    return [sys.executable, str(path)]
