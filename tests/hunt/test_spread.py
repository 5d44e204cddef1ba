"""A search by the workers of a cluster. Needs clang, and dask.distributed."""

import signal
import socket
from itertools import pairwise

import pytest

from layout.ckernel import cluster
from layout.ckernel.toolchain import find_clang
from layout.cli.main import main
from layout.hunt import spread
from layout.hunt.corpus import name_of, operations_of
from layout.hunt.guided import Status, fill, merge
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


def new_there(guided, texts, others, folder):
    """How many of the others execute something that the texts do not."""
    fill(folder / "texts", texts)
    fill(folder / "others", others)
    merge(guided, folder / "texts", [folder / "others"])
    return len(list((folder / "texts").iterdir())) - len(texts)


@pytest.mark.kernel
@pytest.mark.toolchain
@pytest.mark.cluster
def test_a_worker_and_the_scheduler_are_killed_in_the_middle_of_a_search(
    guided, kernel_6_12, daemons, monkeypatch, tmp_path
):
    work = tmp_path / "work"  # of all workers
    work.mkdir()
    monkeypatch.setattr(spread, "_FIRST", 2)
    monkeypatch.setattr(spread, "_USUAL", 4)
    monkeypatch.setattr(spread, "_MERGES", 1)
    monkeypatch.setattr(cluster, "_LOOK", 0.5)
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

    search = Spread(kernel_6_12, daemons.address, kept.append, progress)
    with pytest.raises(KeyboardInterrupt):
        search.search([ONE, "store 1\n"], 600, 0)
    assert killed == {"worker": 0, "scheduler": 1}
    assert daemons.workers[0].wait() == -signal.SIGKILL
    sets = [set(texts) for texts in kept]
    assert sets[0] == {ONE}
    assert all(one <= next_one or next_one <= one for one, next_one in pairwise(sets))
    assert sets[0] < sets[1] > sets[2]  # a slice; merged
    assert sets[-2] < sets[-1]
    assert kept[-1] == search.texts
    runs = [status.runs for status in search.history]
    assert 0 < runs[0] < runs[1] == shown[-1].runs
    assert {status.workers for status in shown} == {0, 1}
    assert shown[-1].edges == max(status.edges for status in shown) > 0
    # what was kept is what the same command goes on from
    again = Spread(kernel_6_12, daemons.address, kept.append, shown.append)
    again.search(search.texts, 0, 0)
    assert again.texts == kept[-1]
    assert again.clang == find_clang("x86_64").compiler_version
    assert new_there(guided, again.texts, search.texts, tmp_path) == 0  # nothing was lost
    assert new_there(guided, [ONE], again.texts, tmp_path / "work") > 0
    lines = executed_by(kernel_6_12, {"": operations_of(ONE)}).executed
    traces = {name_of(text): operations_of(text) for text in again.texts}
    assert executed_by(kernel_6_12, traces).executed > 2 * lines
    assert not list(work.glob("maple-layout-*"))  # not even of the killed


@pytest.mark.kernel
@pytest.mark.cluster
def test_a_worker_without_clang(built, daemons, tmp_path, capsys):
    built("x86_64")
    folder = tmp_path / "corpus"
    folder.mkdir()
    (folder / "one.trace").write_text(ONE)
    daemons.scheduler()
    daemons.worker(PATH=str(tmp_path))
    words = ["hunt", "--arch", "x86_64", "--corpus", str(folder), "--scheduler", daemons.address]
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    progress = [line for line in err.splitlines() if " traces tried, " in line]
    assert err.splitlines() == [  # the worker may take its time
        *progress,
        f"maple-layout: worker on {socket.gethostname()}: clang with libFuzzer is missing: "
        "apt install clang libclang-rt-14-dev",
    ]
    assert [path.read_text() for path in folder.iterdir()] == [ONE]
