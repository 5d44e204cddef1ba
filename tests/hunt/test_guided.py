"""libFuzzer over the kernel's own code. Needs clang."""

import pytest

from layout.hunt import hunt
from layout.hunt.corpus import operations_of
from layout.hunt.guided import merge, search, tidy
from layout.hunt.hunt import Plan, executed_by

pytestmark = [pytest.mark.kernel, pytest.mark.toolchain]


def test_what_a_caller_may_not_do_is_left_out(guided, tmp_path):
    lines = {
        "a cursor that was not set": ("init 0\ncnext 5\n", "init 0\n"),
        "a cursor after a change": (
            "store 1 2 3\ncset 0\ncnext 9\nstore 5 5 7\ncnext 9\n",
            "store 1 2 3\ncset 0\ncnext 9\nstore 5 5 7\ncreset\ncnext 9\n",
        ),
        "it is reset already": (
            "store 1 2 3\ncset 0\ncnext 9\nstore 5 5 7\ncreset\ncnext 9\n",
            "store 1 2 3\ncset 0\ncnext 9\nstore 5 5 7\ncreset\ncnext 9\n",
        ),
        "readers see the old nodes": (
            "init 2\nstore 1 2 3\nrcu_lock\ncset 0\ncnext 9\nstore 5 5 7\ncnext 9\n",
            "init 2\nstore 1 2 3\nrcu_lock\ncset 0\ncnext 9\nstore 5 5 7\ncnext 9\n",
        ),
        "words": ("rcu on\nfail -\nnothing 1\nstore 1\nrcu off\n", "rcu on\nfail -\nrcu off\n"),
        "a range that ends before it begins, where no function looks": (
            "prealloc 9 5 3\ncset 9 5\ncstore 3\nstore 9 5 3\nmstore 9 5 3\n",
            "cset 9 5\nstore 9 5 3\nmstore 9 5 3\n",
        ),
        "damage is looked at, no more": (
            "store 1 2 3\npoke 1000000000 8 77\nvalidate\nstore 1 2 3\n",
            "store 1 2 3\npoke 1000000000 8 77\nvalidate\n",
        ),
        "a crash is the end": (
            "bulk ef ef 0 2 2 1001\nrcu on\ndestroy\nload 1\n",
            "bulk ef ef 0 2 2 1001\nrcu on\ndestroy\n",
        ),
    }
    paths = []
    for number, (given, _) in enumerate(lines.values()):
        paths.append(tmp_path / str(number))
        paths[-1].write_text(given)
    found = dict(zip(lines, tidy(guided, paths), strict=True))
    assert found == {name: wanted for name, (_, wanted) in lines.items()}
    for number, text in enumerate(found.values()):
        paths[number].write_text(text)
    assert tidy(guided, paths) == [*found.values()]
    assert tidy(guided, paths[::-1]) == [*found.values()][::-1]  # nothing is left of the last one


@pytest.mark.long
def test_a_search_executes_more(guided, kernel_6_12, tmp_path):
    pool = tmp_path / "pool"
    pool.mkdir()
    (pool / "0").write_text("init 1\nstore 10 20 3001\n")
    seen = []
    history = search(guided, pool, seconds=8, jobs=1, seed=0, progress=seen.append)
    assert seen == history
    merge(guided, tmp_path / "least", [pool])
    least = sorted((tmp_path / "least").iterdir())
    assert 1 < len(least) <= len(list(pool.iterdir()))
    traces = {str(n): operations_of(text) for n, text in enumerate(tidy(guided, least))}
    before = executed_by(kernel_6_12, {"": operations_of((pool / "0").read_text())})
    after = executed_by(kernel_6_12, traces)
    assert after.executed > 2 * before.executed
    assert sum(map(len, after.missed.values())) == after.lines - after.executed


@pytest.mark.usefixtures("guided")
def test_an_interrupted_search_keeps_what_it_found(kernel_6_12, monkeypatch):
    found = "init 1\nstore 10 20 3001\nerase 15\n"
    kept = []

    def interrupted(_built, pool, **_options):
        (pool / "found").write_text(found)
        raise KeyboardInterrupt

    monkeypatch.setattr(hunt, "search", interrupted)
    monkeypatch.setattr(hunt, "_beginning", lambda *_: ["init 1\n"])
    with pytest.raises(KeyboardInterrupt):
        hunt._guided(kernel_6_12, Plan(1, 1, 0, ""), {}, kept.append, print)
    assert found in kept[0]
