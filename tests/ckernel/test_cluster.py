import json
import os
import pickle
import signal
import sys
import time

import pytest

from layout.ckernel import cluster, unit
from layout.ckernel.build import COVERAGE
from layout.ckernel.coverage import coverage, coverage_of, forget
from layout.ckernel.fuzz import Emulator, Options, fuzz
from layout.ckernel.oracle import Campaign
from layout.cli.main import main
from layout.hunt.corpus import operations_of
from layout.hunt.replay import replay
from layout.memory.errors import InputError


def sums(campaign):
    return (
        campaign.traces,
        campaign.operations,
        campaign.counts,
        campaign.on,
        campaign.faults,
        campaign.next_seed,
        campaign.ahead,
        campaign.found,
    )


def alike(lines):
    """What is the same of a coverage wherever it was counted."""
    return str(lines), lines.never, lines.missed


def quiet(_campaign):
    pass


def at(traces, act):
    """A progress display that acts once so many traces are there."""
    done = []

    def progress(campaign):
        if campaign.traces >= traces and not done:
            done.append(campaign.traces)
            act()

    return progress


@pytest.mark.kernel
@pytest.mark.cluster
def test_a_killed_worker_loses_nothing_and_repeats_nothing(built, daemons, tmp_path, capsys):
    builds, counting = [built("x86_64")], built("x86_64", COVERAGE)
    daemons.scheduler()
    daemons.worker()
    shown = []

    def kill():  # it alone has what is pending
        daemons.workers[0].send_signal(signal.SIGKILL)
        daemons.worker()

    killing = at(8, kill)

    def progress(campaign):
        shown.append((campaign.workers, campaign.pace))
        killing(campaign)

    options = Options(seconds=60, traces=40, scheduler=daemons.address, counting=counting)
    spread = fuzz(builds, options, tmp_path / "spread", progress)
    forget(counting)
    options = Options(seconds=60, traces=40, counting=counting)
    local = fuzz(builds, options, tmp_path / "local", quiet)
    assert daemons.workers[0].wait() == -signal.SIGKILL
    assert sums(spread) == sums(local)
    assert (spread.traces, spread.next_seed) == (40, 40)
    assert (1, True) in {(workers, pace.startswith("1 worker, ")) for workers, pace in shown}
    assert any(pace.endswith(" operations/s") for _, pace in shown)
    assert alike(coverage_of(counting, spread.executed)) == alike(coverage(counting))
    again, more = [], []
    for told, name, where in (
        (again, "spread", ["--scheduler", daemons.address]),
        (more, "local", []),
    ):
        words = ["--arch", "x86_64", "--traces", "10", "--out", str(tmp_path / name), "--json"]
        assert main(["kernel", "fuzz", *words, *where]) == 0
        told.append({**json.loads(capsys.readouterr().out), "seconds": 0})
    assert again == more
    assert (again[0]["traces"], again[0]["seeds"]) == ({"x86_64": 10}, [0, 50])
    assert 2000 < again[0]["coverage"]["executed"] < again[0]["coverage"]["lines"]


@pytest.mark.kernel
@pytest.mark.cluster
def test_the_traces_of_a_corpus_are_units_of_a_cluster_too(built, daemons, tmp_path):
    builds = [built("x86_64"), built("mips")]
    traces = {
        f"{n}.trace": operations_of(f"init {n % 4}\nstore {n:x} {n + 9:x} 1001\nload {n:x}\n")
        for n in range(12)
    }
    daemons.scheduler()
    daemons.worker()

    def kill():
        daemons.workers[0].send_signal(signal.SIGKILL)
        daemons.worker()

    options = Options(scheduler=daemons.address)
    spread = replay(builds, traces, options, tmp_path / "spread", at(8, kill))
    local = replay(builds, traces, Options(jobs=2), tmp_path / "local", quiet)
    assert sums(spread) == sums(local)
    assert (spread.legs, spread.reports) == (local.legs, local.reports) == ([], {})
    assert spread.digests == local.digests
    assert {name: set(of) for name, of in local.digests.items()} == {
        "x86_64": set(traces),
        "mips": set(traces),
    }


@pytest.mark.kernel
@pytest.mark.cluster
def test_a_scheduler_that_restarts_loses_nothing_and_repeats_nothing(
    built, daemons, tmp_path, monkeypatch
):
    builds = [built("x86_64")]
    scheduler = daemons.scheduler()
    daemons.worker()

    def restart():
        scheduler.kill()
        scheduler.wait()
        daemons.scheduler()
        daemons.worker()

    options = Options(seconds=60, traces=24, scheduler=daemons.address)
    spread = fuzz(builds, options, tmp_path / "spread", at(8, restart))
    local = fuzz(builds, Options(seconds=60, traces=24), tmp_path / "local", quiet)
    assert sums(spread) == sums(local)
    # gone for good: what was counted stands, and the next run has the rest
    monkeypatch.setattr(cluster, "PATIENCE", 1)
    seen = []
    options = Options(seconds=60, traces=24, scheduler=daemons.address)
    ending = at(8, daemons.end)

    def progress(campaign):
        seen.append(campaign)
        ending(campaign)

    with pytest.raises(InputError, match=r"connection was lost\. The same command goes on"):
        fuzz(builds, options, tmp_path / "spread", progress)
    part = seen[-1]
    assert part.next_seed + len(part.ahead) == 24 + part.traces
    state = json.loads(next((tmp_path / "spread").glob("campaign-*.json")).read_text())
    assert (state["next_seed"], state["ahead"]) == (part.next_seed, sorted(part.ahead))
    rest = Options(seconds=60, traces=24 - part.traces)
    rest = fuzz(builds, rest, tmp_path / "spread", quiet)
    more = fuzz(builds, Options(seconds=60, traces=24), tmp_path / "local", quiet)
    assert rest.next_seed == more.next_seed == 48
    assert part.operations + rest.operations == more.operations
    assert part.counts + rest.counts == more.counts


@pytest.mark.kernel
@pytest.mark.cluster
def test_a_scheduler_without_workers(built, daemons, monkeypatch):
    monkeypatch.setattr(cluster, "PATIENCE", 0.5)
    daemons.scheduler()
    options = Options(seconds=60, scheduler=daemons.address)
    with pytest.raises(InputError, match=f"no worker is there; dask worker {daemons.address} "):
        fuzz([built("x86_64")], options, None, quiet)


@pytest.mark.kernel
@pytest.mark.cluster
def test_an_address_where_nobody_listens(built, daemons, tmp_path, monkeypatch, capsys):
    built("x86_64")
    monkeypatch.setattr(cluster, "CONNECT", 1)
    start = time.monotonic()
    words = ["kernel", "fuzz", "--arch", "x86_64", "--out", str(tmp_path / "out")]
    hunt = ["hunt", "--arch", "x86_64", "--corpus", str(tmp_path / "corpus")]  # no search before it
    for each in (words, [*words, "--meaning"], [*words, "--long"], hunt):
        assert main([*each, "--scheduler", daemons.address]) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith(f"maple-layout: --scheduler {daemons.address}: no scheduler answers")
        assert err.count("\n") == 1
    assert main([*words, "--scheduler", "no address"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert time.monotonic() - start < 15


@pytest.mark.parametrize("verb", ["fuzz", "compare --fuzz", "fuzz --meaning"])
def test_without_the_library(verb, monkeypatch, capsys, tmp_path):
    monkeypatch.setitem(sys.modules, "distributed", None)
    words = ["--arch", "x86_64,s390x", "--out", str(tmp_path / "out")]
    assert main(["kernel", *verb.split(), *words, "--scheduler", "tcp://127.0.0.1:9"]) == 2
    message = "--scheduler needs dask.distributed: pip install 'maple-layout[cluster]'"
    assert capsys.readouterr().err == f"maple-layout: {message}\n"
    assert not (tmp_path / "out").exists()


def test_a_seed_counts_once():
    campaign = Campaign(5, 5)
    assert [campaign.finish(seed) for seed in (7, 5, 7, 5, 4, 6, 6)] == [
        True, True, False, False, False, True, False,
    ]  # fmt: skip
    assert (campaign.next_seed, campaign.ahead) == (8, set())
    assert campaign.finish(9)
    assert (campaign.next_seed, campaign.ahead) == (8, {9})


@pytest.mark.kernel
def test_an_oracle_travels_with_its_kernel(built, tmp_path, monkeypatch):
    here = built("x86_64")
    packed = unit.pack(Emulator([here], Options(), tmp_path))
    assert os.fsencode(here.source.root) not in packed
    there = tmp_path / "cache/maple-layout"
    (there / "builds").mkdir(parents=True)
    (there / "builds" / here.directory.name).symlink_to(here.directory)  # as if compiled there
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    oracle = unit.unpack(packed)
    (other,) = oracle._builds
    assert other.directory == there / "builds" / here.directory.name
    assert other.source.root.parent == there / "received"
    assert other.source.code.read_bytes() == here.source.code.read_bytes()
    assert str(other.source) == str(here.source)
    assert other.source.emulator == here.source.emulator
    assert oracle.identity == Emulator([here], Options(), None).identity


def test_another_version_is_refused():
    packed = pickle.dumps("0.0.1")  # what follows could be read there alone
    with pytest.raises(InputError, match=r"the campaign 0\.0\.1: install that one there"):
        unit.unpack(packed)


@pytest.mark.kernel
def test_a_killed_process_is_told(built):
    unit.keep("campaign", unit.pack(Emulator([built("x86_64")], Options(), None)))
    try:
        (trial,) = unit.carry_out("campaign", [3], 60)
        local = Emulator([built("x86_64")], Options(), None)
        assert (trial.seed, trial.on, trial.wrong) == (3, "x86_64", None)
        assert trial.compared == sum(trial.counts.values()) > 0
        assert local.where(3) == trial.on
        (process,) = unit._started
        process._blocks.close()
        with pytest.raises(unit.Gone, match="was killed at seed 4"):
            unit.carry_out("campaign", [4], 60)
        assert [trial.seed for trial in unit.carry_out("campaign", [4, 5], 60)] == [4, 5]
    finally:
        unit.forget("campaign")
    assert unit._started == []
    assert unit._packed == {}
