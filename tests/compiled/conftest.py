"""The legs: compiled operations where they were built, and the Python ones."""

from __future__ import annotations

import os

import pytest

from layout import compiled

REQUIRED = "MAPLE_LAYOUT_REQUIRE_EXT"


@pytest.fixture
def extension():
    """Needs the extension; without it a skip, or a failure where REQUIRED is set."""
    why = compiled.why_not()
    if why and not compiled.PURE and (os.environ.get(REQUIRED) or "older" in why):
        pytest.fail(f"no extension: {why}")
    if why:
        pytest.skip(why)


@pytest.fixture(params=["compiled", "python"])
def leg(request, monkeypatch):
    """One leg after the other."""
    if request.param == "compiled":
        request.getfixturevalue("extension")
    else:
        monkeypatch.setattr(compiled, "PURE", True)
    return request.param


@pytest.fixture
def on_both(request, monkeypatch):
    """``on_both(function)``: what it returns where operations are compiled, and in Python."""
    request.getfixturevalue("extension")

    def call(function):
        first = function()
        with monkeypatch.context() as patch:
            patch.setattr(compiled, "PURE", True)
            return first, function()

    return call
