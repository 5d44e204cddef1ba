"""What a campaign goes on from: a file that an earlier run has left, or that somebody has changed."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from layout.ckernel import campaign
from layout.ckernel.oracle import Campaign
from layout.memory.errors import InputError


@pytest.mark.parametrize(
    "text",
    [
        *("", "{}", "[]", "1", "[" * 100_000, '{"next_seed": 1e999, "differences": []}'),
        '{"next_seed": 1, "differences": [], "ahead": [1e999]}',
        '{"next_seed": 1, "differences": 5}',
        '{"next_seed": 1, "ahead": {}, "differences": null}',
    ],
)
def test_a_damaged_state_is_told(tmp_path, text):
    path = tmp_path / "campaign-1.json"
    path.write_text(text)
    with pytest.raises(InputError, match=r"campaign-1\.json can't be read: delete it"):
        campaign._resume(path, Campaign(0, 0))


def test_a_whole_one_is_gone_on_from(tmp_path):
    path = tmp_path / "campaign-1.json"
    path.write_text('{"next_seed": 9, "ahead": [12], "differences": ["a.trace"]}')
    new = Campaign(0, 0)
    campaign._resume(path, new)
    assert (new.next_seed, new.ahead, new.earlier) == (9, {12}, ["a.trace"])


def of_session(session):
    """The processes of a session and those that these have started, but for ones that ended."""
    found = set()
    for folder in sorted(Path("/proc").glob("[0-9]*"), key=lambda each: int(each.name)):
        with contextlib.suppress(OSError):  # it has ended
            state, parent, _, own = (folder / "stat").read_text().rpartition(")")[2].split()[:4]
            if state != "Z" and (int(own) == session or int(parent) in found):
                found.add(int(folder.name))
    return found


@pytest.mark.kernel
@pytest.mark.parametrize("parent", [signal.SIGTERM, signal.SIGKILL])
def test_workers_end_that_have_a_signal_and_lose_their_parent(built, tmp_path, parent):
    """As timeout or systemd stop a command: all of its processes have the signal."""
    built("x86_64")
    words = ["kernel", "fuzz", "--long", "--arch", "x86_64", "--time", "60", "--jobs", "3"]
    program = [sys.executable, "-m", "layout", *words, "--out", str(tmp_path / "out")]
    pipe = subprocess.PIPE
    process = subprocess.Popen(program, stdout=pipe, stderr=pipe, start_new_session=True)
    begun = time.monotonic()
    while len(running := of_session(process.pid)) < 7:  # three workers, a harness for each
        assert time.monotonic() < begun + 30
        time.sleep(0.05)
    for pid in running - {process.pid}:
        with contextlib.suppress(ProcessLookupError):  # a harness whose worker has ended
            os.kill(pid, signal.SIGTERM)
    time.sleep(0.1)
    os.kill(process.pid, parent)
    out, err = process.communicate(timeout=30)
    assert out == b""
    assert b"Traceback" not in err
    begun = time.monotonic()
    while left := running & of_session(process.pid):
        assert time.monotonic() < begun + 10, left
        time.sleep(0.05)
