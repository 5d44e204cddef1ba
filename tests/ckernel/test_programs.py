"""Programs that stay give each trace the transcript that it has alone."""

import shutil
from dataclasses import replace

import pytest

from layout.ckernel.build import COVERAGE
from layout.ckernel.execute import run
from layout.ckernel.programs import Programs
from layout.memory.errors import TraceError
from layout.traces.trace import parse

pytestmark = pytest.mark.kernel

STORES = "".join(f"store {i:x}0 {i:x}7 {i:x}001\n" for i in range(1, 40))
TRACES = {
    "stores": f"init 1\n{STORES}dump\nmemdump\n",
    "refuses, reads and has callbacks waiting": (
        f"sel 3\ninit 2\n{STORES}rcu_lock\nerase 30\nstore 0 400 0\ncset 5 9\nfail 0 8\nstore 1 2 5\n"
    ),
    "looks at a fresh machine": "memdump\ntreemem\ncset 0\ncwalk\nstore 3 4 7\nsel 3\ntreemem\n",
    "crashes": "init 0\nbulk ef ef 0 2 2 1001\nrcu on\ndestroy\nload 1\n",
    "has a byte overwritten": "init 0\nstore 10 20 3001\npoke 1000000000 3f 77\nmemdump\n",
    "breaks the tree, and a failed check prints how many passed": (
        "init 0\nstore 1 2 1\nstore 3 4 5\n"
        + "".join(f"store {i:x}0 {i:x}8 {i:x}001\n" for i in range(6, 16))
        + "bulk 102 2 50 c 5 1\nbulk 103 3 5d 8 1 1\nvalidate\n"
    ),
    "is longer than a pipe": "init 0\n" + STORES * 100 + "dump\n" * 400,
}


def operations(text):
    return list(parse(text.split("\n"), (1 << 64) - 1))


@pytest.mark.parametrize("arch", ["x86_64", "s390x"])
def test_a_trace_does_not_see_the_one_before(built, arch):
    kernel = built(arch)
    traces = [operations(text) for text in TRACES.values()]
    alone = [run(kernel, trace, sums=True) for trace in traces]
    with Programs() as programs:
        for order in (range(len(traces)), reversed(range(len(traces))), [1, 2, 1, 2]):
            for number in order:
                outcome = run(kernel, traces[number], sums=True, programs=programs)
                assert outcome == alone[number], list(TRACES)[number]


def test_one_program_carries_out_many_traces_and_ends_with_the_block(built):
    kernel, trace = built("x86_64"), operations(TRACES["stores"])
    with Programs() as programs:
        run(kernel, trace, programs=programs)
        [standing] = programs._standing.values()
        run(kernel, [], programs=programs)
        run(kernel, trace, programs=programs)
        assert [each.process.pid for each in programs._standing.values()] == [standing.process.pid]
        assert standing.process.poll() is None
    assert standing.process.poll() is not None


def test_what_does_not_fit_is_told_as_by_a_program_that_ends(built):
    with Programs() as programs:
        with pytest.raises(TraceError, match="line 2: rcu_unlock without rcu_lock"):
            run(built("x86_64"), operations("init 0\nrcu_unlock\n"), programs=programs)
        assert (
            run(built("x86_64"), operations("init 0\n"), programs=programs).lines[0]["op"] == "init"
        )


def test_an_interrupted_exchange_leaves_nothing_behind(built, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    kernel = built("x86_64")
    with Programs() as programs:
        run(kernel, operations("init 0\n"), programs=programs)
        [standing] = programs._standing.values()
        with monkeypatch.context() as patch:
            patch.setattr("layout.ckernel.programs._exchange", interrupted)
            with pytest.raises(KeyboardInterrupt):
                run(kernel, operations("init 0\n"), programs=programs)
        assert standing.process.poll() is not None
        assert len(run(kernel, operations("init 0\nload 5\n"), programs=programs).lines) == 2


def test_executed_lines_are_kept_after_each_trace(built, tmp_path):
    kernel = built("x86_64", COVERAGE)
    own = tmp_path / "build"  # the cached one is of all that run at the same time
    shutil.copytree(kernel.directory, own, ignore=shutil.ignore_patterns("*.gcda"))
    with Programs() as programs:
        run(replace(kernel, directory=own), operations("init 0\nstore 1 2 3\n"), programs=programs)
        assert list(own.glob("*.gcda"))
