"""What a worker keeps between seeds: a process for each of its threads, of one campaign."""

import threading

import pytest

from layout.ckernel import unit
from layout.ckernel.coverage import Executed
from layout.ckernel.oracle import Trial
from layout.memory.errors import InputError


class Process:
    """Stands for a process; some seeds kill it."""

    made = ()

    def __init__(self, name):
        self.name, self.asked, self.closed = name, [], False
        unit._started.append(self)
        Process.made = (*Process.made, self)

    def ask(self, seed, end):
        del end
        if seed is None:
            return Executed(frozenset(self.asked))
        self.asked.append(seed)
        if seed == 13:
            raise EOFError
        return InputError("14") if seed == 14 else Trial(seed)

    def close(self):
        self.closed = True
        unit._started.remove(self)


@pytest.fixture
def made(monkeypatch):
    monkeypatch.setattr(unit, "_Process", Process)
    monkeypatch.setattr(unit, "_own", threading.local())
    monkeypatch.setattr(unit, "_started", [])
    monkeypatch.setattr(Process, "made", ())
    return lambda: [(each.name, each.asked, each.closed) for each in Process.made]


def test_a_thread_has_one_process_for_a_campaign(made):
    trials = unit.carry_out("a", [1], 9), unit.carry_out("a", [2], 9)
    assert [[trial.seed for trial in each] for each in trials] == [[1], [2]]
    assert made() == [("a", [1, 2], False)]
    thread = threading.Thread(target=unit.carry_out, args=("a", [3], 9))
    thread.start()
    thread.join()
    assert made() == [("a", [1, 2], False), ("a", [3], False)]
    assert [trial.seed for trial in unit.carry_out("b", [4], 9)] == [4]
    assert made() == [("a", [1, 2], True), ("a", [3], False), ("b", [4], False)]


def test_after_a_process_was_killed_there_is_another(made):
    with pytest.raises(unit.Gone, match=r"a process on \S+ was killed at seed 13"):
        unit.carry_out("a", [12, 13], 9)
    assert [trial.seed for trial in unit.carry_out("a", [12], 9)] == [12]
    assert made() == [("a", [12, 13], True), ("a", [12], False)]


def test_seeds_of_a_task_have_their_lines_together(made):
    trials = unit.carry_out("a", [5, 6, 7], 9)
    assert [trial.executed for trial in trials] == [None, None, Executed(frozenset({5, 6, 7}))]
    assert str(unit.carry_out("a", [8, 14, 9], 9)) == "14"
    assert made() == [("a", [5, 6, 7, 8, 14], False)]


def test_a_campaign_that_is_forgotten_leaves_no_process(made):
    unit.keep("a", b"oracle")
    thread = threading.Thread(target=unit.carry_out, args=("a", [1], 9))
    thread.start()
    thread.join()
    unit.carry_out("b", [2], 9)
    unit.forget("b")
    assert made() == [("a", [1], False), ("b", [2], True)]
    assert unit._packed == {"a": b"oracle"}
    unit.forget("a")
    unit.forget("a")  # nothing is left to forget
    assert unit._packed == {}


def test_an_error_names_the_computer(monkeypatch):
    monkeypatch.setattr(unit.socket, "gethostname", lambda: "far")

    def attempt(*_):
        raise InputError("no compiler")

    monkeypatch.setattr(unit, "attempt", attempt)
    assert str(unit._answer(1, 2.0)) == "worker on far: no compiler"


def test_one_process_compiles_at_a_time(monkeypatch, tmp_path):
    monkeypatch.setattr(unit, "cache_directory", lambda: tmp_path / "cache")
    inside, order = threading.Event(), []

    def second():
        with unit._alone():
            order.append("second")

    with unit._alone():
        other = threading.Thread(target=second)
        other.start()
        inside.wait(0.3)
        order.append("first")
    other.join()
    assert order == ["first", "second"]
