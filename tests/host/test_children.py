"""Programs that are run: what they print is bounded, and nothing of them stays."""

import sys
import time
from pathlib import Path

import pytest

from layout.host import children


def shell(text, **options):
    return children.run(["/bin/sh", "-c", text], **options)


def test_a_program_that_ends_by_itself():
    done = shell("cat; echo said >&2; exit 3", given=b"asked\n")
    assert (done.returncode, done.stdout, done.stderr) == (3, b"asked\n", b"said\n")
    assert done.stopped == ""


def test_without_input_it_reads_none():
    assert shell("cat").stdout == b""


@pytest.mark.parametrize(("where", "name"), [("", ""), (">&2", " on stderr")])
def test_one_that_prints_for_ever_is_ended(where, name):
    done = shell(f"exec yes {where}", most=1 << 20)
    assert done.stopped == f"printed more than 1 MiB{name}"
    assert (done.returncode, len(done.stdout) + len(done.stderr)) == (-9, 1 << 20)


def test_a_child_that_it_leaves_holds_nobody_up():
    begin = time.monotonic()
    done = shell("sleep 100 & echo $!")
    assert time.monotonic() < begin + 20
    stat = Path(f"/proc/{int(done.stdout)}/stat")
    while stat.exists() and ") Z " not in stat.read_text():  # until it has got its signal
        assert time.monotonic() < begin + 20


def test_one_that_does_nothing_is_ended():
    done = shell("echo begun; exec sleep 100", idle=0.3)
    assert (done.stdout, done.stopped) == (b"begun\n", "did nothing for 0.3 s")


def test_one_that_computes_is_not():
    code = "import time\nwhile time.process_time() < 1: pass"
    done = children.run([sys.executable, "-S", "-c", code], idle=0.3)
    assert (done.returncode, done.stopped) == (0, "")
