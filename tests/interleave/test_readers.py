"""Readers' operations: alone they are the plain ones; beside a writer each test for dead nodes counts."""

import ast
import sys
from collections import Counter
from pathlib import Path

import pytest

import arches
from layout.ckernel.generate import generate
from layout.interleave import readers, search
from layout.interleave.barriers import TSO
from layout.interleave.programs import named
from layout.interleave.readers import ReaderKernel
from layout.interleave.search import Search, Setting
from layout.interleave.view import Plan, ViewMemory
from layout.machine.equip import in_front
from layout.machine.machine import Machine
from layout.traces.runner import Runner
from layout.traces.trace import parse
from layout.tree.versions import kernel_of


class Alone(Runner):
    """A reader's machine without a writer beside it; lines that change nothing are readers."""

    def __init__(self, arch, version):
        kernel = in_front(kernel_of(version), [ReaderKernel])
        super().__init__(Machine(arch, ViewMemory, kernel, in_python=True))

    def execute(self, operation):
        if operation.declared.changes:
            return super().execute(operation)
        self.mem.watch(Plan((), (), TSO, frozenset()))
        self.mem.begin(None, 0)
        try:
            return super().execute(operation)
        finally:
            self.mem.end()


@pytest.mark.parametrize("version", ["6.12", "7.3"])
@pytest.mark.parametrize("arch", ["x86_64", "s390x"])
def test_alone_they_answer_as_the_plain_operations(arch, version):
    """The whole transcript: entries, each field of the cursor's state, and what a write then does."""
    machine = arches.get(arch)
    done = Counter()
    for seed, profile in enumerate((*("cursor", "edges", "rcu", "nulls") * 4, "deep")):
        trace = generate(seed, machine, version=version, profile=profile).operations
        plain = Runner(Machine(machine, kernel=kernel_of(version)))
        alone = Alone(machine, version)
        for operation in trace:
            expected = plain.execute(operation)
            assert alone.execute(operation) == expected, (seed, profile, operation)
            done[operation.op] += "fault" not in expected
    reads = {name for name in vars(ReaderKernel) if name.startswith("m")}
    assert {"mas_start", "mas_ascend", "mas_next_slot", "mtree_load"} <= reads
    moves = ("cwalk", "cfind", "cfind_rev", "cnext", "cprev", "cnext_range", "cprev_range")
    assert all(done[name] >= 20 for name in moves), done
    assert all(done[name] >= 5 for name in ("load", "find", "next", "prev", "empty_area")), done


DEAD = {"ma_dead_node", "mte_dead_node", "mas_ascend", "mas_prev_node", "mas_next_node"}
DEAD |= {"_rewalk_if_dead"}
"""Operations that return true where they met a dead node."""


def sites():
    """Where an operation of a reader looks for that: line, the operation, what it calls."""
    found = {}
    for function in ast.walk(ast.parse(Path(readers.__file__).read_text())):
        if not isinstance(function, ast.FunctionDef) or function.name == "_no_node":
            continue  # that is for parents that are wrong
        for call in ast.walk(function):
            if getattr(getattr(call, "func", None), "attr", "") in DEAD:
                found[call.lineno] = (function.name, call.func.attr)
    return found


def counting(seen, restarts):
    """ReaderKernel, which notes what each of these calls returned, and restarts."""

    def noting(name):
        plain = getattr(ReaderKernel, name)

        def operation(self, *args):
            returned = plain(self, *args)
            caller = sys._getframe(1)
            if caller.f_globals["__name__"] == readers.__name__:
                seen.add((caller.f_lineno, bool(returned)))
            return returned

        return operation

    plainly = ViewMemory.restart

    def restart(self, doing, node):
        restarts.add(doing)
        plainly(self, doing, node)

    return type("Counting", (ReaderKernel,), {name: noting(name) for name in DEAD}), restart


BESIDE = {
    "store 46000 49000 99001": ["next 46000", "prev 48000", "find 46000 48000"],
    "store 400 4ff 99001": ["prev 0", "prev 1000", "find 0 1800", "load 400"],
}
"""Writes to a tree of three levels, whose root has two children, and readers beside them."""


@pytest.mark.parametrize(("version", "arch"), [("6.12", "s390x"), ("7.3", "x86_64")])
def test_each_test_for_a_dead_node_answers_both_ways(version, arch, monkeypatch):
    seen, restarts = set(), set()
    kernel, restart = counting(seen, restarts)
    monkeypatch.setattr(search, "ReaderKernel", kernel)
    monkeypatch.setattr(ViewMemory, "restart", restart)
    machine = arches.get(arch)
    base = [f"store {i:x}000 {i:x}7ff {i:x}001" for i in range(138)]
    for last, wanted in BESIDE.items():
        lines = list(parse(["init 3", *base, last], machine.ulong_max))
        programs = tuple(named(words, machine.ulong_max) for words in wanted)
        setting = Setting(machine, version=version, only=lines[-1].n, readers=1, wanted=programs)
        *_, result = Search(setting).lines(lines)
        assert result.wrong == []
    found = sites()
    assert len(found) > 20
    missing = {
        (*names, answer)
        for line, names in found.items()
        for answer in (True, False)
        if (line, answer) not in seen
    }
    # only after 6.12 does one call the other
    one = {("mte_dead_node", "ma_dead_node", answer) for answer in (True, False)}
    assert missing == (one if version == "6.12" else set())
    assert restarts == {"mas_start", "mas_state_walk", "mas_rewalk", "mtree_load"}
