"""The look of hexdump -C."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from layout.show.hexdump import hexdump
from layout.show.text import plain


def lines(address, data, **options):
    return [plain(line) for line in hexdump(address, data, **options)]


def test_lines():
    assert lines(0xFFFF888005314500, bytes(range(0x58, 0x58 + 18)) + b"\0\x7f\x80 ~") == [
        "ffff888005314500  58 59 5a 5b 5c 5d 5e 5f  60 61 62 63 64 65 66 67  |XYZ[\\]^_`abcdefg|",
        "ffff888005314510  68 69 00 7f 80 20 7e                              |hi... ~|",
    ]
    assert lines(0, b"") == []


def test_nothing_is_left_out():
    assert lines(0x10, bytes(48), digits=8) == [
        f"000000{at}  00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00  |................|"
        for at in ("10", "20", "30")
    ]


@pytest.mark.skipif(shutil.which("hexdump") is None, reason="there is no hexdump to compare with")
@pytest.mark.parametrize("size", [1, 7, 8, 9, 15, 16, 17, 256])
def test_as_hexdump_prints_it(size):
    data = bytes(i * 7 & 0xFF for i in range(size))
    theirs = subprocess.run(
        ["hexdump", "-v", "-C"], input=data, capture_output=True, check=True
    ).stdout.decode()
    assert lines(0, data, digits=8) == theirs.splitlines()[:-1]
