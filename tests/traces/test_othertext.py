"""Text that is no trace is not run as one."""

from __future__ import annotations

from pathlib import Path

import pytest

from layout.memory.errors import InputError
from layout.traces.othertext import refuse_other_text
from layout.traces.source import TraceText

FIXTURES = Path(__file__).parents[2] / "fixtures"


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (
            b"# a comment\n\nHello, world\n",
            r"no trace, as line 3, 'Hello, world', starts with no op",
        ),
        (b"120 mmap(NULL, 8192) = 0x7f\n", r"by line 1 it is a log of strace: maple-layout record"),
        (b"mmap(NULL, 8192) = 0x7f\n", r"a log of strace"),
        (b"00400000-00401000 r-xp 00000000 08:01 5 /bin/x\n", r"/proc/PID/maps: .*--from-maps"),
        (b"400000-400fff ffff8a368537f630\n", r"ranges that decode prints, which hold no nodes"),
        (b"int main(void) {\n", r"no trace, as line 1"),
    ],
)
def test_other_text(data, says):
    with pytest.raises(InputError, match=rf"^f is .*{says}"):
        refuse_other_text(TraceText(data, "f"))


@pytest.mark.parametrize(
    "data", [b"", b"# only\n", b"stor 1 2\n", b"store 1 zz\n", b"xyzzy", b"rcu on\n", b"fail -"]
)
def test_traces_and_what_may_be_one(data):
    refuse_other_text(TraceText(data, "f"))


def test_every_trace_here_is_one():
    paths = [*FIXTURES.glob("golden/*.trace"), *FIXTURES.glob("captured/*.trace")]
    assert len(paths) > 50
    for path in paths:
        refuse_other_text(TraceText(path.read_bytes(), path.name))
