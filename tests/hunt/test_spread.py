"""A search by the workers of a cluster. Needs clang, and dask.distributed."""

import signal
import time

import pytest

from layout.cli.main import main
from layout.hunt import spread
from layout.hunt.corpus import name_of, operations_of
from layout.hunt.guided import Status
from layout.hunt.hunt import executed_by
from layout.hunt.spread import Slice, Spread

ONE = "init 1\nstore 10 20 3001\n"


def test_what_comes_twice_changes_nothing():
    kept = []
    search = Spread(None, "", kept.append, None)
    first = Slice(0, texts=["init 0\n", "init 1\n"], last=Status(5, 100, 30, 40, 2))
    other = Slice(1, texts=["init 1\n", "init 2\n"], last=Status(5, 50, 20, 90, 2))
    for each in (first, first, other, first, other):
        search._count(each)
    assert kept == [["init 0\n", "init 1\n"], ["init 0\n", "init 1\n", "init 2\n"]]
    assert search.texts == kept[-1]
    assert [(one.runs, one.edges, one.features, one.corpus) for one in search.history] == [
        (100, 30, 40, 2),
        (150, 30, 90, 3),
    ]


@pytest.mark.kernel
@pytest.mark.toolchain
@pytest.mark.cluster
def test_a_worker_and_the_scheduler_are_killed_in_the_middle_of_a_search(
    guided, kernel_6_12, daemons, monkeypatch, tmp_path
):
    work = tmp_path / "work"  # of all workers
    work.mkdir()
    monkeypatch.setattr(spread, "_FIRST", 2)
    monkeypatch.setattr(spread, "_LONGEST", 2)
    scheduler = daemons.scheduler()
    daemons.worker(TMPDIR=str(work))
    kept, killed, shown = [], {}, []

    def progress(status):
        shown.append(status)
        searches = bool(list(work.glob("*/new")))
        if searches and not killed:  # it alone has the slice
            killed["worker"] = len(search.history)
            daemons.workers[0].send_signal(signal.SIGKILL)
            daemons.worker(TMPDIR=str(work))
        elif searches and len(killed) == 1 and search.history:
            killed["scheduler"] = len(search.history)
            scheduler.kill()
            scheduler.wait()
            daemons.scheduler()
            daemons.worker(TMPDIR=str(work))
        elif len(killed) == 2 and len(search.history) > killed["scheduler"]:
            raise KeyboardInterrupt

    start = time.monotonic()
    search = Spread(kernel_6_12, daemons.address, kept.append, progress)
    with pytest.raises(KeyboardInterrupt):
        search.search([ONE], 600, 0)
    print(time.monotonic() - start, search.history, list(map(len, kept)), killed)
    import os
    for _ in range(5):
        os.system(f"find {work} -maxdepth 2| grep -v dask-sc; ps aux | grep ckernel.unit | grep -v grep")
        time.sleep(1)
    assert 0
