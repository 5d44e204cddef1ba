"""A line of progress: on a terminal alone, and gone at the end."""

import io
from types import SimpleNamespace

import pytest

from layout.host import progress
from layout.host.progress import Progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def stderr(monkeypatch):
    made = Terminal()
    monkeypatch.setattr(progress, "sys", SimpleNamespace(stderr=made))
    monkeypatch.setattr(progress, "note", lambda text, end: made.write(text + end))
    monkeypatch.setattr(progress, "_PATIENCE", 0)
    monkeypatch.setattr(progress, "_PAUSE", 0)
    return made


def test_things_are_counted_and_the_line_goes(stderr):
    assert list(Progress("reading", 2, "lines").over("ab")) == ["a", "b"]
    assert stderr.getvalue().split("\r") == [
        "", "reading: 1 lines (50%)", "reading: 2 lines (100%)", " " * 23, "",
    ]  # fmt: skip


def test_bytes_are_told_in_mib(stderr):
    with Progress("unpacking x") as line:
        line.at(5 << 20)
    assert "unpacking x: 5 MiB\r" in stderr.getvalue()


def test_an_error_takes_the_line_away(stderr):
    def fail():
        with Progress("reading", unit="lines") as line:
            line.step()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert stderr.getvalue().endswith(" \r")


def test_nothing_is_told_to_a_file(stderr):
    stderr.isatty = lambda: False
    assert list(Progress("x", unit="y").over([1])) == [1]
    assert stderr.getvalue() == ""
