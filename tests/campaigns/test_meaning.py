"""A sample of the campaign, and that it finds what is known."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import arches
from layout.traces.meaning import Judge
from layout.traces.trace import parse

sys.path.insert(0, str(Path(__file__).parent))
import meaning

pytestmark = pytest.mark.long

INSERTS = """\
init 0
store 10 20 7001
insert 0 ffffffffffffffff 3001
"""
EMPTY = """\
init 1
store 8 8 3001
store 0 ffffffffffffffff 3001
cset 0
cerase
empty_area_rev 1000 1fff 10
"""


def operations(text):
    return list(parse(text.splitlines(), (1 << 64) - 1))


@pytest.mark.parametrize("version", ["6.12", "7.2", "7.3"])
@pytest.mark.parametrize(
    ("text", "forgives", "answer"),
    [
        (INSERTS, "inserted over all", "ret is 0, it should be -17"),
        (EMPTY, "overlooked", "ret is -16, it should be 0"),
    ],
)
def test_bugs_of_every_kernel_are_found_unless_forgiven(
    monkeypatch, version, text, forgives, answer
):
    arch = arches.get("s390x")
    assert meaning.wrong(operations(text), arch, version) is None
    monkeypatch.setattr(Judge, "forgives", lambda _, name: name != forgives)
    found = meaning.wrong(operations(text), arch, version)
    assert found.message.endswith(answer)


@pytest.mark.parametrize("version", ["6.12", "7.3"])
def test_a_sample(version):
    counts = meaning.campaign(["s390x", "mips"], version, seconds=2, start=7)
    assert counts.operations > 100
    assert not counts.kinds
