from math import comb

import pytest

import arches
from layout.defects.interleave import Play, Until, interleavings, replay, schedule
from layout.machine.equip import equip
from layout.machine.machine import Machine
from layout.machine.watch.sections import SECTIONS, STALE
from layout.memory.errors import MachineFault, UsageError
from layout.tree.kernel import Kernel
from layout.tree.state import MA_ACTIVE


def count(names):
    yield from names
    return len(names)


def plain(**tasks):
    return Play(Machine(arches.get("s390x")), {name: count(steps) for name, steps in tasks.items()})


@pytest.mark.long
@pytest.mark.parametrize(("first", "second"), [(0, 0), (1, 0), (1, 3), (4, 4), (6, 6)])
def test_all_orders_and_each_once(first, second):
    runs = list(interleavings(lambda: plain(A=["a"] * first, B=["b"] * second)))
    assert len({run.choices for run in runs}) == len(runs) == comb(first + second, first)
    for run in runs:
        assert run.choices.count(0) == first
        assert run.results == {"A": first, "B": second}
        assert [{"A": 0, "B": 1}[step.task] for step in run.steps] == list(run.choices)
        assert {step.name for step in run.steps if step.task == "A"} <= {"a"}


def test_three_tasks():
    runs = list(interleavings(lambda: plain(A="aa", B="bb", C="cc")))
    assert len({run.choices for run in runs}) == len(runs) == 90


def test_steps_that_depend_on_the_order():
    def make():
        done = []

        def reader():
            yield "look"
            if not done:
                yield "look again"

        def writer():
            yield "write"
            done.append(1)

        return Play(Machine(arches.get("s390x")), {"R": reader(), "W": writer()})

    orders = ["-".join(step.name for step in run.steps) for run in interleavings(make)]
    assert orders == ["look-look again-write", "look-write-look again", "write-look"]


def test_waiting():
    def make():
        lock = []

        def task(name):
            yield Until("lock", lambda: not lock)
            lock.append(name)
            yield "work"
            assert lock == [name]
            lock.clear()

        return Play(Machine(arches.get("s390x")), {"A": task("A"), "B": task("B")})

    assert [run.choices for run in interleavings(make)] == [(0, 0, 1, 1), (1, 1, 0, 0)]
    play = plain(A=[Until("never", lambda: False)], B=["b"])
    run = replay(play, [])
    assert (run.stuck, run.results) == (("A",), {"B": 1})
    assert schedule(run) == ["B   A", "-   -", "b", "    ! waits for ever"]


def test_an_order_that_cannot_be():
    with pytest.raises(UsageError, match="step 2: task 1 of 2 cannot run"):
        replay(plain(A="aa", B="b"), [1, 1])


def test_a_task_that_does_not_end():
    def forever():
        while True:
            yield "again"

    with pytest.raises(UsageError, match="goes on after 1000 steps"):
        replay(Play(Machine(arches.get("s390x")), {"A": forever()}), [])


def test_a_fault_ends_the_run():
    def make():
        machine = Machine(arches.get("s390x"))

        def reader():
            yield "follow"
            machine.dereference(0x0E00000000000000)
            yield "never"

        return Play(machine, {"R": reader(), "W": count(["w"])})

    runs = list(interleavings(make))
    assert [[step.name for step in run.steps] for run in runs] == [["follow"], ["w", "follow"]]
    assert isinstance(runs[0].fault, MachineFault)
    assert schedule(runs[1]) == [
        "W   R",
        "-   -",
        "w",
        "    follow",
        "    ! Unable to handle kernel pointer dereference in virtual kernel address space",
        "    ! Failing address: 0e00000000000000 TEID: 0e00000000000803",
    ]


class WalkContinuesActive(Kernel):
    def mas_walk(self, mas):
        if mas.status == MA_ACTIVE:
            entry = self.mas_state_walk(mas)
            if mas.status == MA_ACTIVE:
                return entry
        return super().mas_walk(mas)


def lookup(arch, *, fixed):
    """R6: a reader drops the lock around a retry, a writer replaces the node."""
    machine = equip(arch, kernels=[WalkContinuesActive], watch=[SECTIONS], reuse_nodes=True)
    machine.manual_grace = True
    kernel, tree = machine.kernel, machine.tree(0)
    kernel.mt_init_flags(tree, 2)
    for i in range(3):
        kernel.mtree_store_range(tree, i << 12, (i << 12) + 0xFFF, 0x3001 + (i << 4))
        machine.grace()

    def reader():
        mas = kernel.new_state(tree, 0x1800)
        yield "rcu_read_lock"
        machine.rcu_read_lock()
        yield "mas_walk"
        kernel.mas_walk(mas)
        yield "rcu_read_unlock"
        machine.rcu_read_unlock()
        yield "rcu_read_lock"
        machine.rcu_read_lock()
        try:
            yield "mas_walk"
            if fixed:
                kernel.mas_set(mas, 0x1800)
            return kernel.mas_walk(mas)
        finally:
            machine.rcu_read_unlock()

    def writer():
        yield "store"
        kernel.mtree_store_range(tree, 0x1000, 0x13FF, 0x7001)
        yield "grace period"
        machine.grace()
        yield "another tree"
        kernel.mtree_store_range(machine.tree(1), 0, 0x1FFF, 0x9001)

    return Play(machine, {"reader": reader(), "writer": writer()})


@pytest.mark.parametrize("arch", ["x86_64", "s390x", "sparc64", "mips"])
def test_stale_in_every_order_and_never_when_fixed(arch):
    runs = list(interleavings(lambda: lookup(arch, fixed=False)))
    assert len(runs) == comb(8, 3)
    for run in runs:
        assert [report["kind"] for report in run.reports] == [STALE]
        assert run.steps[run.reports[0]["operation"] - 1].name == "mas_walk"
    # where the node is another tree's by then, the walk answers from that
    assert {run.results["reader"] for run in runs} == {0x3011, 0x7001, 0x9001}
    for run in interleavings(lambda: lookup(arch, fixed=True)):
        assert (run.reports, run.results["reader"], run.fault) == ([], 0x3011, None)


def test_the_schedule_of_the_wrong_answer():
    runs = interleavings(lambda: lookup("s390x", fixed=False))
    run = next(run for run in runs if run.results["reader"] == 0x9001)
    assert schedule(run) == [
        "reader                writer",
        "------                ------",
        "rcu_read_lock",
        "mas_walk",
        "rcu_read_unlock",
        "                      store",
        "rcu_read_lock",
        "                      grace period",  # which does not wait for the second section
        "                      another tree",
        "mas_walk",
        "! stale maple state",
    ]
    assert replay(lookup("s390x", fixed=False), run.choices).results == run.results
