"""The search without clang."""

import time

import arches
from layout.ckernel.source import KernelSource
from layout.hunt.corpus import operations_of
from layout.hunt.weighted import grow


def test_traces_are_kept_for_what_no_earlier_one_reached(tmp_path):
    source = KernelSource(tmp_path, "6.12", "", frozenset(), frozenset())
    known = [operations_of("init 0\nstore 10 20 3001\n"), operations_of("init 0\n")]
    seen = []
    start = time.monotonic()
    kept, history = grow(
        source, arches.get("s390x"), seconds=1.5, seed=3, known=known, progress=seen.append
    )
    assert time.monotonic() - start < 12
    assert kept[0] == "init 0\nstore 10 20 3001\n"
    assert "init 0\n" not in kept  # the first trace reaches all that it does
    assert seen == history
    assert 1 < len(kept) <= len(history) + 1
    edges = [each.edges for each in history]
    assert edges == sorted(edges)
    assert edges[-1] > 300
    assert not any(line.startswith(("dump", "memdump", "treemem")) for line in kept[-1].split("\n"))
