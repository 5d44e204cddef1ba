"""A program of mutants shows which traces find them, and whose machine code is the original's."""

import signal
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from corners import area_traces, border_traces, cursor_traces
from mutants import mutants
from mutation_score import ARCH, Suite, Way, program_of, same_code, table

from layout.hunt.corpus import operations_of

STORES = "init 0\n" + "".join(f"store {i:x}0 {i:x}7 {i:x}001\n" for i in range(1, 30))


@pytest.mark.kernel
@pytest.mark.long
def test_traces_find_mutants_of_the_kernel(built, tmp_path, monkeypatch):
    monkeypatch.setattr(signal, "alarm", lambda _: 0)
    kernel = built(ARCH)
    every = list(enumerate(mutants(kernel.source.code.read_text()), 1))
    named = {(each.function, each.rule): (n, each) for n, each in every}
    step = named["mas_root_expand", "step"]
    lock = named["mtree_erase", "statement left out"]
    way = Way("corpus", kernel)
    program, refused = program_of(way, tmp_path, [step, lock])
    assert refused == set()
    suite = Suite({"none": operations_of("init 0\nload 1\n"), "many": operations_of(STORES)})
    assert suite.record(program).keys() == suite.traces.keys()
    assert suite.find(program, 0, suite.traces) == ""
    assert suite.find(program, step[0], suite.traces) == "many"
    assert suite.find(program, lock[0], suite.traces) == ""
    assert same_code(way, tmp_path, [step, lock]) == {lock[0]}


def test_the_table_counts_what_can_be_found():
    rows = [
        {"rule": "logic", "outcome": outcome, "seconds": 0.25}
        for outcome in ("invalid", "same code", "corpus", "corpus", "not found")
    ]
    lines = {line.split("|")[1].strip(): line for line in table(rows)}
    assert lines["logic"] == "| logic | 5 | 1 | 1 | 2 | 0 | 1 | 66.7 % | 250 ms |"
    assert lines["all"].replace("all", "logic") == lines["logic"]


def test_traces_of_corners_have_names_of_their_own_and_parse():
    found = [*cursor_traces(), *border_traces(), *area_traces()]
    assert len({name for name, _ in found}) == len(found)
    assert all(operations_of(text) for _, text in found[::40])
