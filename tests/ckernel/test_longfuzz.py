import json
import math

import pytest

from layout.ckernel import longfuzz
from layout.ckernel.build import build
from layout.ckernel.fuzz import Options, fuzz
from layout.ckernel.longfuzz import LongTraces
from layout.ckernel.longtrace import LINES
from layout.ckernel.programs import Programs

pytestmark = pytest.mark.kernel

SHORT = ["init 1", "store 0 5 1001", "store 6 9 3", "walk 7", "fail 0 1", "store 20 30 5"]


@pytest.fixture
def programs():
    with Programs() as programs:
        yield programs


def quiet(_campaign):
    pass


def test_6_12_equals_the_emulator(built, tmp_path):
    builds = [built("x86_64"), built("mips")]
    campaign = fuzz(builds, Options(seconds=60, traces=2), tmp_path, quiet, LongTraces)
    assert campaign.found == []
    assert dict(campaign.on) == {"x86_64": 1, "mips": 1}
    assert campaign.operations == sum(campaign.counts.values()) > 2 * LINES
    usual = fuzz(builds, Options(seconds=60, traces=1), tmp_path, quiet)
    assert usual.next_seed == 1  # a campaign of its own


def test_machines_of_one_word_size_share_a_trace(built, programs):
    judge = LongTraces([built("x86_64"), built("s390x"), built("mips")], Options(), None)
    assert [judge.where(seed) for seed in (4, 5)] == ["mips", "x86_64+s390x"]
    trial = judge.attempt(5, math.inf, programs)
    assert (trial.wrong, trial.on) == (None, "x86_64+s390x")
    assert trial.compared > 2 * LINES
    cut_off = judge.attempt(5, 0, programs)
    assert (cut_off.on, cut_off.compared) == ("x86_64", trial.compared // 2)


def test_a_difference_is_found_and_made_short(changed_6_12, tmp_path):
    changed = build(changed_6_12, "x86_64")
    options = Options(seconds=60, shrink_seconds=10, stop_at_first=True, traces=1)
    campaign = fuzz([changed], options, tmp_path, quiet, LongTraces)
    (found,) = campaign.found
    assert len(found.shrunk) < 10
    assert found.path.read_text().startswith(f"# {changed.source}\n# on x86_64 differs from")


def test_other_text_with_the_same_meaning_is_no_difference(built, programs, monkeypatch):
    def written_otherwise(*args, **options):
        lines = run_text(*args, **options)
        return [json.dumps(json.loads(line), sort_keys=True).encode() for line in lines]

    run_text = longfuzz.run_text
    monkeypatch.setattr(longfuzz, "run_text", written_otherwise)
    monkeypatch.setattr(longfuzz, "long_trace", lambda *_: SHORT)
    trial = LongTraces([built("s390x")], Options(), None).attempt(0, 0, programs)
    assert (trial.wrong, trial.compared) == (None, len(SHORT))


def test_the_same_fault_on_both_sides_ends_a_trace(built, programs, monkeypatch):
    root = ["poke fffff0008 0 50", "load 1", "load 2"]  # the tree's root leads nowhere
    monkeypatch.setattr(longfuzz, "long_trace", lambda *_: [*SHORT, *root])
    trial = LongTraces([built("s390x")], Options(), None).attempt(0, 0, programs)
    assert trial.wrong is None
    assert trial.compared == len(SHORT) + 2
    assert "Failing address: 5000001000000000" in trial.fault


def test_a_program_that_is_gone_differs_at_its_last_line(built, programs, monkeypatch):
    run = Programs.run

    def killed(*args):
        done = run(*args)
        done.stdout, done.returncode = b"".join(done.stdout.splitlines(keepends=True)[:3]), -9
        return done

    monkeypatch.setattr(Programs, "run", killed)
    monkeypatch.setattr(longfuzz, "long_trace", lambda *_: SHORT)
    trial = LongTraces([built("x86_64")], Options(), None).attempt(0, 0, programs)
    assert trial.wrong.fields == ("fault",)
    assert trial.wrong.operation.n == trial.compared == 4
    assert trial.wrong.kernel["fault"]["message"] == "the program ended with SIGKILL"
