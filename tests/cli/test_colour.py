"""Colour on a terminal, none in a pipe or with NO_COLOR set."""

import subprocess
import sys
from pathlib import Path

import pytest
from terminal import on_a_terminal

CAPTURE = Path(__file__).parents[2] / "fixtures/captures/s390x-6.12.95-sleep.json"
COMMAND = [sys.executable, "-m", "layout", "dump", "--format", "fields", str(CAPTURE)]


def test_terminal_has_colour():
    text = on_a_terminal(COMMAND)
    assert "\x1b[32mparent" in text
    assert "root of tree 2038100" in text


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_terminal_that_wants_none(environment):
    text = on_a_terminal(COMMAND, **environment)
    assert "\x1b" not in text
    assert "parent     root of tree 2038100" in text


def test_pipe_has_none():
    done = subprocess.run(COMMAND, capture_output=True, check=True, text=True)
    assert "\x1b" not in done.stdout
    assert "parent     root of tree 2038100" in done.stdout
