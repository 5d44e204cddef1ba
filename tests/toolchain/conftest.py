"""Tools of other projects: a test that misses one is skipped, or fails where all are required."""

from __future__ import annotations

import os

import pytest

REQUIRED = "MAPLE_LAYOUT_NEEDS_TOOLCHAIN"


@pytest.fixture(scope="session")
def missing():
    """What to call where a tool is not there: ``missing("what", "how to install it")``."""

    def tell(what, remedy):
        if os.environ.get(REQUIRED):
            pytest.fail(f"{REQUIRED} is set, but {what} is missing: {remedy}")
        pytest.skip(f"{what} is missing: {remedy}")

    return tell
