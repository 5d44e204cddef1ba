"""The kernel's own answers, held against a model of ranges."""

import json
from pathlib import Path

import pytest

from layout.ckernel.answerfuzz import fuzz_meaning
from layout.ckernel.answers import meant, shrink_wrong
from layout.ckernel.build import build
from layout.ckernel.oracle import Limits
from layout.cli.main import main
from layout.memory.errors import UsageError
from layout.traces.quirks import QUIRKS
from layout.traces.trace import parse

pytestmark = pytest.mark.kernel

FIXTURES = Path(__file__).parents[2] / "fixtures"
ALL = "f" * 16
NONE = frozenset()

KNOWN = {
    "inserted over all": f"init 0\nstore 10 20 7001\ninsert 0 {ALL} 3001\n",
    "overlooked": f"init 1\nstore {ALL[:-1]}b {ALL[:-1]}c 1001\nempty_area_rev 0 {ALL} 9\n",
    "start of a NULL": "init 1\nstore c69 cb6 3001\nalloc_range 0 42 7f4 cb5\n",
    "nothing but room": f"init 1\nstore 0 {ALL} 3001\nerase 5\nalloc_cyclic 2001 0 {ALL} 0\n",
    "end of a new root": "init 0\nstore 0 0 2001\ncset 5\ncstore 3001\ncprev 0\ncnext ff\n",
    "below the limit": "init 0\nstore 0 0 3001\nprev 10 5\n",
    "entry at A": "init 0\nstore 10 10 3001\nmstore 0 20 5001\n",
    "anything from mas_store": "init 0\nbulk 1ac 1ab 1 1000 1 1\nmstore 5f001 5f003 5b\n",
    "freed in RCU mode": "init 0\nbulk ef ef 0 2 2 1001\nrcu on\ndestroy\n",
    "refused": "init 0\nfail 0\nstore 1 2 3001\n",
}


def operations(text):
    return list(parse(text.split("\n"), (1 << 64) - 1))


@pytest.mark.parametrize("name", KNOWN)
def test_what_is_forgiven_is_met_and_wrong_where_it_is_not(built, name):
    kernel, trace = built("x86_64"), operations(KNOWN[name])
    found = meant(kernel, trace)
    assert found.wrong is None
    assert set(found.forgiven) == {name}
    strict = meant(kernel, trace, forgiving=frozenset(QUIRKS) - {name})
    assert strict.wrong is not None
    assert strict.wrong.operation == trace[-1]


GOLDEN = ["02-ascending-append-alloc", "07b-spanning-stores-alloc", "12-dup-and-destroy", "15-fault-injection",
          "18-cursor-and-mas-store", "09b-rcu-short"]  # fmt: skip


@pytest.mark.parametrize("name", GOLDEN)
def test_recorded_traces_have_right_answers(built, name):
    trace = operations((FIXTURES / f"golden/{name}.trace").read_text())
    for arch in ("x86_64", "s390x"):
        found = meant(built(arch), trace)
        assert found.wrong is None
        assert found.operations == len(trace) + 1 or found.fault


CHANGES = [
    ("size - 1;\n\tmas->end", "size;\n\tmas->end"),
    ("mas_set_err(mas, -EEXIST);", ";"),
]


@pytest.mark.parametrize(("old", "new"), CHANGES)
def test_a_changed_kernel_answers_wrongly(change_6_12, built, tmp_path, old, new):
    built("x86_64")
    kernel = build(change_6_12(old, new), "x86_64")
    limits = Limits(seconds=30, shrink_seconds=2, stop_at_first=True)
    campaign = fuzz_meaning([kernel], limits, tmp_path, lambda _: None)
    found = campaign.found[0]
    assert len(found.shrunk) < 60
    again = meant(kernel, operations(found.path.read_text()))
    assert again.wrong.kind == found.wrong.kind
    assert len(shrink_wrong(kernel, found.shrunk, again.wrong, seconds=1)) <= len(found.shrunk)


@pytest.mark.parametrize("version", ["7.3", "7.2"])
def test_a_sample_of_later_kernels(kernel, built_of, version, tmp_path):
    builds = [built_of(kernel(version), arch) for arch in ("x86_64", "s390x")]
    campaign = fuzz_meaning(builds, Limits(seconds=3, seed=40), tmp_path, lambda _: None)
    assert campaign.found == []
    assert campaign.operations > 300
    assert set(campaign.on) == {"x86_64", "s390x"}


def test_the_command(built, capsys, tmp_path, change_6_12):
    built("x86_64")
    trace = tmp_path / "t.trace"
    trace.write_text(KNOWN["below the limit"])
    words = ["kernel", "diff", str(trace), "--meaning", "--arch", "x86_64"]
    assert main(words) == 0
    assert (
        capsys.readouterr().out
        == "x86_64       right: 4 operations; forgiven: below the limit (1)\n"
    )
    root = change_6_12("mas_set_err(mas, -EEXIST);", ";").root
    trace.write_text("init 0\nstore 1 5 3001\nload 3\ninsert 2 3 5\n")
    assert main([*words, "--source", str(root), "--json", "--github"]) == 1
    out, err = capsys.readouterr()
    found = json.loads(out)["arches"]["x86_64"]
    assert found["wrong"]["line"] == 4
    assert found["shrunk"][-1] == "insert 2 3 5"
    assert "title=kernel meaning::x86_64: line 4 (insert 2 3 5)" in err
    assert main([*words, "--source", str(root), "--shrink", "0"]) == 1
    assert capsys.readouterr().out.count("\n") == 1
    assert main([*words, "--source", str(root)]) == 1
    assert "shrunk to 2 operations:\nstore 1 5 3001\ninsert 2 3 5\n" in capsys.readouterr().out
    fuzz = [
        "kernel",
        "fuzz",
        "--meaning",
        "--arch",
        "x86_64",
        "--time",
        "1",
        "--out",
        str(tmp_path),
    ]
    assert main([*fuzz, "--seed", "60"]) == 0
    assert "no wrong answer" in capsys.readouterr().out
    assert main([*fuzz, "--kernel", "6.12"]) == 2
    assert "leave --kernel out" in capsys.readouterr().err


def test_overwritten_bytes_have_no_meaning(built):
    trace = operations("init 0\nstore 1 2 3\npoke 1000000000 0 1\n")
    with pytest.raises(UsageError, match="can't be held against a model"):
        meant(built("x86_64"), trace)
