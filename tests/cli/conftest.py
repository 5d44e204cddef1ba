"""What the tests of commands share."""

from __future__ import annotations

import pytest

from layout.cli.main import main


@pytest.fixture
def run(capsys):
    """Run a command; returns exit code, stdout, stderr."""

    def command(*words):
        code = main([str(word) for word in words])
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return code, out, err

    return command
