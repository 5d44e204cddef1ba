import errno
import io
import os
import shutil
import time

import pytest

from layout.ckernel.build import COVERAGE, SANITIZE, build
from layout.ckernel.source import open_source
from layout.memory.errors import InputError, UsageError

pytestmark = pytest.mark.kernel


@pytest.fixture
def copy(kernel_6_12, tmp_path):
    """6.12's maple tree in a directory of its own."""
    for path in (kernel_6_12.code, kernel_6_12.header):
        target = tmp_path / "linux" / path.relative_to(kernel_6_12.root)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    return tmp_path / "linux"


def test_builds_are_cached_by_content(copy, built):
    first = built("x86_64")
    again = build(open_source(str(copy)), "x86_64")
    assert again.cached
    assert again.directory == first.directory
    code = copy / "lib/maple_tree.c"
    code.write_text(code.read_text() + f"/* changed at {time.time_ns()} */\n")
    changed = build(open_source(str(copy)), "x86_64")
    assert not changed.cached
    assert changed.directory != first.directory
    assert changed.source.sha256 != first.source.sha256
    assert changed.as_json()["sha256"] == changed.source.sha256
    shutil.rmtree(changed.directory)


def test_what_does_not_compile_is_told_in_one_line(copy, built, monkeypatch):
    built("x86_64")
    monkeypatch.setenv("XDG_CACHE_HOME", str(copy.parent / "cache"))
    code = copy / "lib/maple_tree.c"
    code.write_text(code.read_text() + "int broken(void) { return nothing_of_this_name; }\n")
    with pytest.raises(
        InputError,
        match=r"does not compile in the harness: .*nothing_of_this_name.* undeclared.*: "
        r"the harness knows kernels from 6.1 to 7.3",
    ):
        build(open_source(str(copy)), "x86_64")
    assert list((copy.parent / "cache/maple-layout/builds").iterdir()) == []


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("lib/maple_tree.c", "int broken(void) { return 1 }", "expected .;. before "),
        ("include/linux/maple_tree.h", "#error out", "#error out"),
    ],
)
def test_an_error_of_the_kernels_own_is_told_as_that(copy, built, monkeypatch, name, text, says):
    """It has nothing to do with which kernels the harness knows."""
    built("x86_64")
    monkeypatch.setenv("XDG_CACHE_HOME", str(copy.parent / "cache"))
    path = copy / name
    line = path.read_text().count("\n") + 1
    path.write_text(path.read_text() + f"{text}\n")
    with pytest.raises(InputError, match=rf"^{path}:{line}:\d+: error: {says}") as found:
        build(open_source(str(copy)), "x86_64")
    assert "the harness" not in str(found.value)


def test_a_terminal_shows_that_something_is_compiled(copy, built, monkeypatch):
    built("x86_64")
    monkeypatch.setenv("XDG_CACHE_HOME", str(copy.parent / "cache"))
    code = copy / "lib/maple_tree.c"
    code.write_text(code.read_text() + "#error out\n")  # so that it is over soon
    written = io.StringIO()
    written.isatty = lambda: True
    monkeypatch.setattr("sys.stderr", written)
    with pytest.raises(InputError, match="#error out"):
        build(open_source(str(copy)), "x86_64")
    what = "compiling the harness for x86_64"
    assert written.getvalue() == f"\r{what}\r{' ' * len(what)}\r"


def test_a_full_disk_names_the_cache_and_nothing_is_left(copy, monkeypatch):
    """An error without a file would be taken for one of stdout."""

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    builds = copy.parent / "cache/maple-layout/builds"
    monkeypatch.setenv("XDG_CACHE_HOME", str(copy.parent / "cache"))
    monkeypatch.setattr("layout.ckernel.build.shutil.copy", full)
    with pytest.raises(OSError, match="No space left") as found:
        build(open_source(str(copy)), "x86_64")
    assert found.value.filename.startswith(str(builds))
    assert list(builds.iterdir()) == []


@pytest.mark.parametrize("mode", [SANITIZE, COVERAGE])
def test_sanitizers_and_coverage_are_native(kernel_6_12, built, mode):
    built("s390x")
    with pytest.raises(UsageError, match=f"{mode} is for this computer's own architecture"):
        build(kernel_6_12, "s390x", mode)
