"""Loading any input: told apart by content, unpacked within bounds, options checked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import arches
from layout.images.kinds import kind_of, parse_address
from layout.memory.errors import InputError, UsageError
from layout.traces.inputs import load

CAPTURES = Path(__file__).parents[2] / "fixtures" / "captures"
PACKED = CAPTURES / "sparc64-6.12.117-mt_churn_plain.json.xz"
MEDIUM = CAPTURES / "x86_64-6.12.117-medium.json"


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"store 1 2 3\n", "trace"),
        (b"\n# \xc3\xa4\n", "trace"),
        (b'  {"arch": "s390x", "kernel": "6.1"', "capture"),
        (b'{"mtree": {}}', "capture"),
        (b'\xef\xbb\xbf{"offsets": {}}', "capture"),
        (b'{"arch":"s390x","tree":"1","root":"0","flags":"0","nodes":[]}', "dump"),
        (b"\x7fELF\2\1", "core"),
        (b"\x7f", "core"),
    ],
)
def test_kinds(data, kind):
    assert kind_of(data) == kind


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", r"^f is empty"),
        (b"{", r"^f: JSON, but neither a capture"),
        (b'{"n": 1, "op": "store", "root": "0"}', r"^f is the transcript of a run"),
        (b"\xfd7z", r"^f is none of trace"),
        (b"\x1f\x8b\x08\x00", r"^f is none of trace"),
        (b"store 1\0", r"^f is none of trace"),
    ],
)
def test_what_is_nothing_known(data, text):
    with pytest.raises(InputError, match=text):
        kind_of(data, "f")


def test_addresses():
    assert parse_address("0xffff0000") == parse_address("FFFF0000") == 0xFFFF0000
    assert parse_address("7") == 7
    for text in ("", "0x", "-1", "1" * 17, "xyz", "1 2", "0x0x1", "１"):
        with pytest.raises(UsageError, match=r"--tree .* is no address"):
            parse_address(text)


def test_options_that_do_not_fit():
    with pytest.raises(UsageError, match=r"--at is for traces, but .* is a capture"):
        load(str(MEDIUM), at=3)
    with pytest.raises(UsageError, match=r"holds one tree"):
        load(str(MEDIUM), tree="3")
    with pytest.raises(UsageError, match=r"is of x86_64, not s390x"):
        load(str(MEDIUM), arch=arches.get("s390x"))
    with pytest.raises(UsageError, match=r"--tree ADDR"):
        load(str(CAPTURES / "s390x-6.12.95.core.xz"))


def test_traces_have_the_kernels_whose_operations_are_known(tmp_path):
    trace = tmp_path / "t.trace"
    trace.write_text("store 1 2 11\n")
    with pytest.raises(UsageError, match=r"'6.1' are not known: choose one of 6.12, 7.2, 7.3"):
        load(str(trace), kernel="6.1")
    assert load(str(trace), kernel="7.2.13").profile.version == "7.2"
    with pytest.raises(UsageError, match=r"leave out --lock-size"):
        load(str(trace), lock_size=0)


def test_files_that_can_not_be_opened(tmp_path):
    with pytest.raises(FileNotFoundError):
        load(str(tmp_path / "none"))
    with pytest.raises(IsADirectoryError):
        load(str(tmp_path))


def test_dumps_are_told_from_captures(tmp_path):
    dump = {"arch": "s390x", "tree": "1000", "root": "5", "flags": "0", "nodes": []}
    (tmp_path / "d").write_text(json.dumps(dump))
    image = load(str(tmp_path / "d"), tree="0x1000")
    assert (image.kind, image.tree, image.memory.ma_root(0x1000)) == ("dump", 0x1000, 5)
