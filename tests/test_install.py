"""What is installed: every file that the package needs, and nothing that it is made from."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

pytestmark = pytest.mark.checkout

ROOT = Path(__file__).parents[1]
PACKAGES = [
    path.parent for top in ("layout", "arches") for path in ROOT.glob(f"{top}/**/__init__.py")
]
BUILT = {".pyx", ".pyc", ".so", "_core.c"}
"""Suffixes, and a name, of what an extension is made from or what is made by running."""


def test_each_data_file_is_installed():
    setuptools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    installed = {ROOT / name for name in setuptools["script-files"]}
    for name, patterns in setuptools["package-data"].items():
        folders = PACKAGES if name == "*" else [ROOT.joinpath(*name.split("."))]
        installed |= {path for folder in folders for each in patterns for path in folder.glob(each)}
    there = {
        path
        for top in ("layout", "arches")
        for path in (ROOT / top).rglob("*")
        if path.is_file() and not {path.suffix, path.name} & BUILT
    }
    modules = {path for folder in PACKAGES for path in folder.glob("*.py")}
    assert there - modules == installed
