"""Output files are whole or not there, whatever ends the command that writes them."""

import errno
import os
import shutil
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from layout.host import files, signals
from layout.host.files import Output, settle
from layout.memory.errors import UsageError

TWO = """
import sys
from pathlib import Path
from layout.host.files import Output
with Output() as files:
    files.write(sys.argv[1], "new main")
    files.write(sys.argv[1] + ".json", "new places")
"""


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_takes_its_place_at_the_end(tmp_path):
    path = tmp_path / "out"
    path.write_text("old")
    path.chmod(0o640)
    with Output() as output:
        output.open(path).write(b"new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert names(tmp_path) == ["out"]


def test_an_error_leaves_what_was_there(tmp_path):
    (tmp_path / "a").write_text("old")

    def fail():
        with Output() as output:
            output.write(tmp_path / "a", "new")
            output.write(tmp_path / "b", "new")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert names(tmp_path) == ["a"]
    assert (tmp_path / "a").read_text() == "old"


def test_a_link_stays_one(tmp_path):
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to("real")
    files.write(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "new"


@pytest.mark.parametrize(
    ("name", "error"),
    [("", IsADirectoryError), ("none/x", FileNotFoundError), ("folder", IsADirectoryError)],
)
def test_the_error_names_what_was_asked_for(tmp_path, name, error):
    (tmp_path / "folder").mkdir()
    path = tmp_path / name if name else ""
    with pytest.raises(error) as found:
        files.write(path, "x")
    assert str(found.value.filename) == str(path)


def test_links_in_a_circle_are_an_error_of_that_path(tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    for call in (lambda path: files.write(path, "x"), settle, files.check):
        with pytest.raises(OSError, match="Too many levels") as found:
            call(tmp_path / "loop")
        assert str(found.value.filename) == str(tmp_path / "loop")


def test_an_input_is_not_written_over(tmp_path):
    """By no name of it."""
    path, link = tmp_path / "in", tmp_path / "link"
    path.write_text("old")
    link.symlink_to("in")
    for target in (path, link, tmp_path / "." / "in"):
        with Output(None, "-", str(path)) as output, pytest.raises(UsageError, match="the input"):
            output.write(target, "new")
        with pytest.raises(UsageError, match="the input"):
            files.check(target, inputs=[str(path)])
    with Output(str(tmp_path / "none")) as output:
        output.write(tmp_path / "out", "new")
    assert path.read_text() == "old"
    assert names(tmp_path) == ["in", "link", "out"]


def test_no_file_is_written_twice(tmp_path):

    def twice(one, other):
        with Output() as output:
            output.write(one, "1")
            output.write(other, "2")

    (tmp_path / "link").symlink_to("a")
    for one, other in (("a", "a"), ("a", "link"), ("link", "a")):
        with pytest.raises(UsageError, match="written twice"):
            twice(tmp_path / one, tmp_path / other)
        with pytest.raises(UsageError, match="written twice"):
            files.check(tmp_path / one, tmp_path / other)
        assert names(tmp_path) == ["link"]
    twice("/dev/null", "/dev/null")


@pytest.mark.parametrize("name", ["a\0b", "a\ud800"])
def test_what_no_file_can_be_called_is_an_error_of_that_path(tmp_path, name):
    for call in (lambda path: files.write(path, "x"), settle, files.check):
        with pytest.raises(OSError, match="Invalid argument"):
            call(tmp_path / name)


def test_files_of_two_folders_have_a_list_each(tmp_path, monkeypatch):
    """A list names files beside it: those of another folder would be lost after a kill."""
    listed = []
    real = files._write_list
    monkeypatch.setattr(
        files, "_write_list", lambda path, steps: (listed.append((path, steps)), real(path, steps))
    )
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    with Output() as output:
        for name in ("a/1", "b/1", "a/2", "b/2"):
            output.write(tmp_path / name, name)
    assert [path for path, _ in listed] == [tmp_path / "a" / ".1.unit", tmp_path / "b" / ".1.unit"]
    for path, steps in listed:
        assert {target.parent for _, target in steps} == {path.parent}
    assert (tmp_path / "b" / "2").read_text() == "b/2"


@pytest.mark.parametrize("step", ["_take_over_rights", "os.fdopen"])
def test_an_error_before_the_first_byte_leaves_nothing(tmp_path, monkeypatch, step):
    """As where the old file may not be written to: the new one has begun by then."""

    def refuse(*_):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    path = tmp_path / "out"
    path.write_text("old")
    before = sum(1 for _ in Path("/proc/self/fd").iterdir())
    for act in (files.check, lambda where: files.write(where, "new")):
        with monkeypatch.context() as patch:
            patch.setattr(f"layout.host.files.{step}", refuse)
            with pytest.raises(PermissionError) as found:
                act(path)
        assert found.value.filename == str(path)
    assert names(tmp_path) == ["out"]
    assert path.read_text() == "old"
    assert sum(1 for _ in Path("/proc/self/fd").iterdir()) == before


def test_a_signal_while_it_cleans_up_leaves_nothing(tmp_path, monkeypatch):
    real = files._Part.drop

    def drop(part):
        signal.raise_signal(signal.SIGTERM)
        real(part)

    def fail():
        with Output() as output:
            output.write(tmp_path / "a", "new")
            output.write(tmp_path / "b", "new")
            raise ZeroDivisionError

    monkeypatch.setattr(files._Part, "drop", drop)
    monkeypatch.setattr(signals._State, "came", 0)
    before = signal.getsignal(signal.SIGTERM)
    signal.signal(signal.SIGTERM, signals._came)
    try:
        with pytest.raises(signals.Stopped):
            fail()
    finally:
        signal.signal(signal.SIGTERM, before)
    assert names(tmp_path) == []


def refuse_to_remove(patch, times):
    """Let so many removals fail."""
    real, left = Path.unlink, [None] * times

    def unlink(path, **options):
        if left:
            left.pop()
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        real(path, **options)

    patch.setattr(Path, "unlink", unlink)


def test_a_removal_that_fails_once_is_tried_again(tmp_path, monkeypatch, capsys):
    refuse_to_remove(monkeypatch, 1)
    files.check(tmp_path / "out")
    assert names(tmp_path) == []
    assert capsys.readouterr().err == ""


def test_what_cannot_be_removed_is_named_and_the_rest_removed(tmp_path, monkeypatch, capsys):
    """The error that came before is the one that the command ends with."""

    def fail():
        with Output() as output:
            output.write(tmp_path / "a", "new")
            output.write(tmp_path / "b", "new")
            raise ZeroDivisionError

    refuse_to_remove(monkeypatch, 2)
    with pytest.raises(ZeroDivisionError):
        fail()
    [left] = tmp_path.iterdir()
    assert left.name.startswith(".a.")
    told = f"maple-layout: {left} stays: Input/output error: remove it\n"
    assert capsys.readouterr().err == told


def test_names_that_are_no_text_are_written_as_escapes(tmp_path):
    files.write(tmp_path / "out", "of \udcff\N{SNOWMAN}")
    assert (tmp_path / "out").read_bytes() == b"of \\udcff\xe2\x98\x83"


def test_a_full_device_is_named():
    with pytest.raises(OSError, match="No space left") as found:
        files.write("/dev/full", b"x" * 100_000)
    assert found.value.filename == "/dev/full"


def test_a_kill_between_the_steps_of_two_files_is_made_good(tmp_path, monkeypatch):
    path = tmp_path / "out"
    path.write_text("old main")
    (tmp_path / "out.json").write_text("old places")
    placed = []

    def place(part):
        if placed:
            raise KeyboardInterrupt
        placed.append(part)
        part.name.replace(part.target)

    def export():
        with Output() as output:
            output.write(path, "new main")
            output.write(tmp_path / "out.json", "new places")

    with monkeypatch.context() as patch:
        patch.setattr(files._Part, "place", place)
        with pytest.raises(KeyboardInterrupt):
            export()
    assert path.read_text() == "old main"
    assert ".out.unit" in names(tmp_path)
    settle(tmp_path / "out.json")
    assert path.read_text() == "new main"
    assert (tmp_path / "out.json").read_text() == "new places"
    assert names(tmp_path) == ["out", "out.json"]


@pytest.mark.parametrize("when", [1, 2, 3])
def test_an_error_of_the_moment_between_the_steps_of_two_files_is_made_good(
    tmp_path, monkeypatch, when
):
    """Of the list, of the first file or of the second."""
    real, left = Path.replace, [None] * when

    def replace(path, target):
        left.pop()
        if not left:
            monkeypatch.undo()
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real(path, target)

    monkeypatch.setattr(Path, "replace", replace)
    try:
        with Output() as output:
            output.write(tmp_path / "a", "new")
            output.write(tmp_path / "b", "new")
    except OSError as error:
        assert (when, error.filename) == (1, str(tmp_path / "a"))
    assert names(tmp_path) == ([] if when == 1 else ["a", "b"])


def test_an_error_that_stays_leaves_the_list(tmp_path, monkeypatch):
    real, calls = Path.replace, []

    def replace(path, target):
        calls.append(path)
        if len(calls) > 1:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real(path, target)

    def two():
        with Output() as output:
            output.write(tmp_path / "a", "new")
            output.write(tmp_path / "b", "new")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", replace)
        with pytest.raises(OSError, match="Input/output error"):
            two()
    assert ".a.unit" in names(tmp_path)
    settle(tmp_path / "a")
    assert names(tmp_path) == ["a", "b"]


def test_a_list_that_is_none_is_only_removed(tmp_path):
    damaged = ('[["x.part", "a\\u0000b"]]', '[["\\ud800.part", "x"]]')
    for text in ("", "[1]", "[[]]", '[["../x.part", "/etc/passwd"]]', "[" * 100_000, *damaged):
        (tmp_path / ".out.unit").write_text(text)
        settle(tmp_path / "out")
        assert names(tmp_path) == []


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
@pytest.mark.parametrize("call", ["fsync", "rename"])
@pytest.mark.parametrize("when", range(1, 5))
def test_a_kill_at_any_step(tmp_path, call, when):
    """After it, and a look, both files are old or both are new."""
    path = tmp_path / "out"
    path.write_text("old main")
    (tmp_path / "out.json").write_text("old places")
    kill = [f"--inject={call}:signal=SIGKILL:when={when}", "-o", os.devnull]
    subprocess.run(["strace", "-f", *kill, sys.executable, "-c", TWO, path], check=False)
    settle(path)
    both = path.read_text(), (tmp_path / "out.json").read_text()
    assert both in {("old main", "old places"), ("new main", "new places")}
