import time
from collections import Counter

import pytest

import arches
from layout.ckernel import fuzz as fuzzing
from layout.ckernel.build import COVERAGE, build
from layout.ckernel.coverage import coverage, forget
from layout.ckernel.fuzz import Options, fuzz
from layout.ckernel.generate import generate
from layout.memory.errors import InputError, TraceError
from layout.traces.trace import parse

pytestmark = pytest.mark.kernel


def quiet(_campaign):
    pass


@pytest.mark.long
def test_6_12_equals_the_emulator(built, tmp_path):
    builds = [built(arch) for arch in ("x86_64", "s390x", "sparc64", "mips")]
    campaign = fuzz(builds, Options(seconds=8, seed=10_000_000, jobs=2), tmp_path, quiet)
    assert campaign.found == []
    assert campaign.traces >= 8
    assert set(campaign.on) == {"x86_64", "s390x", "sparc64", "mips"}
    assert campaign.counts["store"] > 50


def test_a_campaign_goes_on_where_it_ended(built, tmp_path):
    seen = []
    builds = [built("x86_64")]
    first = fuzz(builds, Options(seconds=1), tmp_path, lambda c: seen.append(c.next_seed))
    assert seen == sorted(seen)
    again = fuzz(builds, Options(seconds=0.5), tmp_path, quiet)
    assert (first.first_seed, again.first_seed) == (0, 0)
    assert again.next_seed == first.next_seed + again.traces
    other = fuzz(builds, Options(seconds=0.2, seed=7), tmp_path, quiet)
    assert other.next_seed == 7 + other.traces
    for path in tmp_path.glob("campaign-*.json"):
        path.write_text("{}")
    with pytest.raises(InputError, match="delete it, or give another folder"):
        fuzz(builds, Options(seconds=1), tmp_path, quiet)


def test_differences_are_made_short_and_saved(changed_6_12, built, tmp_path):
    built("x86_64")
    changed = build(changed_6_12, "x86_64")
    out = tmp_path / "out"
    options = Options(seconds=60, shrink_seconds=10, stop_at_first=True)
    campaign = fuzz([changed], options, out, quiet)
    assert campaign.found
    found = campaign.found[0]
    text = found.path.read_text()
    assert text.startswith(f"# {changed.source}\n# on x86_64 differs from the emulator in: ")
    assert list(parse(text.split("\n"), 2**64 - 1))[-1].op == found.mismatch.operation.op
    assert len(found.shrunk) < 10
    again = fuzz([changed], Options(seconds=0), out, quiet)
    assert again.earlier == [str(other.path) for other in campaign.found]


def test_coverage_is_counted(built, tmp_path):
    native = built("x86_64", COVERAGE)
    forget(native)
    with pytest.raises(InputError, match="nothing has been executed"):
        coverage(native)
    fuzz([native], Options(seconds=2), tmp_path, quiet)
    found = coverage(native)
    assert 3000 < found.lines < 6000
    assert 0.5 < found.executed / found.lines < 1
    assert "mas_store" not in found.never
    assert Counter(found.never).most_common(1)[0][1] == 1


def test_one_bug_is_one_cause_on_all_machines(changed_6_12, built, tmp_path):
    for arch in ("x86_64", "s390x"):
        built(arch)
    builds = [build(changed_6_12, arch) for arch in ("x86_64", "s390x")]
    campaign = fuzz(builds, Options(seconds=8, seed=100), tmp_path, quiet)
    first = campaign.found[0]
    assert first.cause == ("meta.end", "mas_root_expand")
    assert first.arches == ("s390x", "x86_64")
    assert first.times > len(campaign.found)
    assert len(first.shrunk) <= 2
    assert len(list(tmp_path.glob("*.trace"))) == len(campaign.found)


def test_the_time_is_kept_while_traces_are_made_shorter(changed_6_12, built):
    built("x86_64")
    start = time.monotonic()
    shown = []
    options = Options(seconds=3, shrink_seconds=60)
    fuzz([build(changed_6_12, "x86_64")], options, None, lambda c: shown.append(c.shrinking))
    assert time.monotonic() - start < 3 + 4
    assert any(shown)


def test_a_trace_is_cut_off_where_the_time_is_up():
    whole = generate(5, arches.get("s390x")).operations
    cut = generate(5, arches.get("s390x"), until=time.monotonic()).operations
    assert cut[:3] == whole[:3]
    assert (cut[-1].op, whole[-1].op) == ("memdump", "memdump")  # the look at its end is there
    assert len(cut) < 20 < len(whole)


def test_a_trace_without_room_is_left_out(built, monkeypatch):
    def large(_seed, _arch, **_options):
        raise TraceError(1, "more nodes than there is room for")

    monkeypatch.setattr(fuzzing, "generate", large)
    campaign = fuzz([built("x86_64")], Options(seconds=0.3), None, quiet)
    assert campaign.too_large == campaign.traces > 0
    assert campaign.found == []
