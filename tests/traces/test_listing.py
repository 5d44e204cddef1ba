"""Transcript lines for people."""

from __future__ import annotations

import json
import lzma
from pathlib import Path

import pytest

import arches
from layout.machine.machine import Machine
from layout.traces.listing import listing
from layout.traces.runner import Runner
from layout.traces.source import TraceText
from layout.traces.stream import Stream
from layout.traces.trace import parse

GOLDEN = Path(__file__).parents[2] / "fixtures" / "golden"

TRACE = b"""\
init 1
store 1000 1fff 2a000100
store 0 fff 3
find 800 ffffffff
store 5 4 3
insert 1000 1000 5
store 0 1 402
fail 0
storenw 3 4 5
fail -
iter 0 3000
validate
expect_raw 20
"""

SHOWN = """\
 line  operation                       returned              nodes
    1  init 1
    2  store 1000 1fff 2a000100        0                     1 taken
    3  store 0 fff 3                   0
    4  find 800 ffffffff               value 1; index 1000
    5  store 5 4 3                     -EINVAL
    6  insert 1000 1000 5              -EEXIST
    7  store 0 1 402                   -EINVAL
         kernel warning: mtree_store_range: the entry is one that only the
           kernel's tree code may use
    8  fail 0
    9  storenw 3 4 5                   0
   10  fail -
   11  iter 0 3000                     4 ranges
         0-2 value 1
         3-4 value 2
         5-fff value 1
         1000-1fff entry 2a000100
   12  validate                        valid
   13  expect_raw 20                   0; 9 nodes            9 held, 9 taken, 9 freed
"""


def shown(data, arch, *, in_python=False):
    stream = Stream(Runner(Machine(arches.get(arch), in_python=in_python)), TraceText(data, "t"))
    return b"".join(stream.listing()).decode()


@pytest.mark.parametrize("in_python", [True, False])
@pytest.mark.parametrize("arch", ["x86_64", "s390x"])
def test_rows(arch, in_python):
    assert shown(TRACE, arch, in_python=in_python) == SHOWN


def test_a_fault_is_told_below_its_row():
    text = shown(b"init 0\nrcu on\nbulk 28 28 0 10 8 5\n", "s390x")
    assert text.splitlines()[3:] == [
        "    3  bulk 28 28 0 10 8 5             stopped               10 taken",
        "         kernel warning: mas_pop_node: the state holds no node",
        "         null: Unable to handle kernel pointer dereference in virtual kernel",
        "           address space Failing address: 0000000000000000 TEID:",
        "           0000000000000403 (parent)",
    ]


@pytest.mark.parametrize(
    "name", ["01-root-only", "15c-fault-injection-alloc", "12-dup-and-destroy"]
)
def test_every_line_of_the_kernel_has_its_row(name):
    operations = parse((GOLDEN / f"{name}.trace").read_text().splitlines(), (1 << 64) - 1)
    lines = lzma.decompress((GOLDEN / f"{name}.s390x.jsonl.xz").read_bytes()).splitlines()
    for operation, text in zip(operations, lines, strict=True):
        line = json.loads(text)
        row, *below = listing(operation, line, "why")
        assert row.split()[0] == str(line["n"])
        assert len(below) >= len(line.get("ranges", ())) + ("warn" in line)
