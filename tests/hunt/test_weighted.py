"""The search without clang."""

import time
from collections import Counter

import arches
from layout.ckernel.generate import Generated
from layout.ckernel.source import KernelSource
from layout.hunt import weighted
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


def test_a_kind_that_reaches_something_new_is_made_more_often(tmp_path, monkeypatch):
    made = Counter()

    def generate(seed, _arch, *, profile, **_options):
        made[profile] += 1
        generate.last = profile
        return Generated(profile, seed)

    monkeypatch.setattr(weighted, "generate", generate)
    monkeypatch.setattr(weighted, "shown_to_kernel", lambda _made: [])
    monkeypatch.setattr(weighted, "_try", lambda *_: 20 * (generate.last == "rcu"))
    source = KernelSource(tmp_path, "6.12", "", frozenset(), frozenset())
    grow(source, arches.get("s390x"), seconds=0.3, seed=3, known=(), progress=lambda _: None)
    others = [count for profile, count in made.items() if profile != "rcu"]
    assert min(others) > 0
    assert made["rcu"] > 5 * max(others)
