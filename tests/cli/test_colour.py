"""Colour on a terminal, none in a pipe or with NO_COLOR set."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

CAPTURE = Path(__file__).parents[2] / "fixtures/captures/s390x-6.12.95-sleep.json"
COMMAND = [sys.executable, "-m", "layout.cli.main", "dump", "--format", "fields", str(CAPTURE)]


def on_a_terminal(**environment):
    master, slave = os.openpty()
    env = {**os.environ, "TERM": "xterm-256color", **environment}
    env.pop("NO_COLOR" if "NO_COLOR" not in environment else "", None)
    with subprocess.Popen(COMMAND, stdout=slave, env=env) as process:
        os.close(slave)
        data = b""
        while True:
            try:
                chunk = os.read(master, 65536)
            except OSError:  # the other side is closed
                break
            if not chunk:
                break
            data += chunk
    os.close(master)
    assert process.returncode == 0
    return data.decode()


def test_terminal_has_colour():
    text = on_a_terminal()
    assert "\x1b[32mparent" in text
    assert "root of tree 2038100" in text


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_terminal_that_wants_none(environment):
    text = on_a_terminal(**environment)
    assert "\x1b" not in text
    assert "parent     root of tree 2038100" in text


def test_pipe_has_none():
    done = subprocess.run(COMMAND, capture_output=True, check=True, text=True)
    assert "\x1b" not in done.stdout
    assert "parent     root of tree 2038100" in done.stdout
