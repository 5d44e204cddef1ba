"""A state kept over the end of its read section: found in every order in which it is used."""

from __future__ import annotations

import functools
import itertools
from math import comb

import pytest

from layout.defects.interleave import Play, interleavings, schedule
from layout.defects.r6 import NEW, OLD, OTHER, ContinuesActive, lookup
from layout.machine.equip import equip
from layout.machine.watch.sections import SECTIONS, STALE


@functools.cache
def runs(arch, *, keeps=True, continues=True, reuse=False):
    def make():
        kernels = [ContinuesActive] if continues else []
        machine = equip(arch, kernels=kernels, watch=[SECTIONS], reuse_nodes=reuse)
        return Play(machine, lookup(machine, retry_keeps_state=keeps))

    return list(interleavings(make))


def retries(run):
    """Whether the reader walks in a second read section, by the schedule alone."""
    names = [step.name for step in run.steps if step.task == "reader"]
    return names.count("rcu_read_lock") == 2


def place(run, task, name, number=0):
    found = [i for i, step in enumerate(run.steps) if (step.task, step.name) == (task, name)]
    return found[number]


def taken_over(run):
    """Whether the reader's node is another tree's when it walks again, by the schedule alone.

    It was replaced while nobody, or the reader's first section alone, could hold it up.
    """
    walk, store = place(run, "reader", "mas_walk"), place(run, "writer", "store")
    grace, other = (
        place(run, "writer", name) for name in ("grace period", "store in another tree")
    )
    return (
        walk < store < place(run, "reader", "rcu_read_lock", 1)
        and place(run, "reader", "detached? rcu_read_unlock") < grace
        and other < place(run, "reader", "mas_walk", 1)
    )


@pytest.mark.parametrize("reuse", [False, True])
def test_found_in_every_order_in_which_it_happens(arch, reuse):
    found = runs(arch, reuse=reuse)
    assert len({run.choices for run in found}) == len(found) == 128
    for run in found:
        kinds = [report["kind"] for report in run.reports]
        assert kinds == ([STALE] if retries(run) else [])
        assert run.fault is None
        if kinds:
            [report] = run.reports
            at = place(run, "reader", "mas_walk", 1)
            assert report["operation"] == at + 1
            assert "read section 1 and is used in read section 2" in report["detail"]
    assert sum(map(retries, found)) == 105


def orders(reader_steps, *, retry):
    """In how many orders with four steps of the writer the reader retries, or does not.

    It does if the writer has marked the entry before the reader's third step looks at it, and
    had not yet stored when its second step found the entry.
    """
    total = 0
    for places in itertools.combinations(range(reader_steps + 4), 4):
        readers = [i for i in range(reader_steps + 4) if i not in places]
        total += (places[0] < readers[2] and places[1] > readers[1]) == retry
    return total


def test_the_orders_are_those_that_there_are(arch):
    assert (orders(6, retry=True), orders(3, retry=False)) == (105, 23)
    found = runs(arch)
    assert sum(map(retries, found)) == 105
    assert len(found) == 105 + 23


@pytest.mark.parametrize("reuse", [False, True])
def test_nothing_is_found_in_the_fixed_reader(arch, reuse):
    found = runs(arch, keeps=False, reuse=reuse)
    assert sum(map(retries, found)) == 105  # it tries again all the same
    for run in found:
        assert (run.reports, run.fault) == ([], None)
        assert run.results["reader"] in (OLD, NEW, 0)


@pytest.mark.parametrize("reuse", [False, True])
def test_it_takes_both_switches(arch, reuse):
    for run in runs(arch, continues=False, reuse=reuse):
        assert (run.reports, run.fault) == ([], None)
        assert run.results["reader"] in (OLD, NEW, 0)


def test_what_the_reader_gets(arch):
    for reuse, others in ((False, 0), (True, 18)):
        found = runs(arch, reuse=reuse)
        expected = [reuse and retries(run) and taken_over(run) for run in found]
        assert [run.results["reader"] == OTHER for run in found] == expected
        assert sum(expected) == others


def test_the_report_names_the_freed_node(arch):
    wrong = next(run for run in runs(arch) if retries(run) and taken_over(run))
    [report] = wrong.reports
    assert report["written_as"] == "freed node"
    store = place(wrong, "writer", "store") + 1
    grace = place(wrong, "writer", "grace period") + 1
    assert report["written_by"] == grace
    assert f"dead in operation {store}, queued in operation {store}" in report["detail"]
    assert f"freed in operation {grace}" in report["detail"]


def test_schedule(arch):
    run = next(run for run in runs(arch, reuse=True) if run.results["reader"] == OTHER)
    assert schedule(run) == [
        "reader                      writer",
        "------                      ------",
        "rcu_read_lock",
        "mas_walk",
        "                            mark detached",
        "detached? rcu_read_unlock",
        "                            store",
        "rcu_read_lock",
        "                            grace period",
        "                            store in another tree",
        "mas_walk",
        "! stale maple state",
        "detached? rcu_read_unlock",
    ]


def six_and_six(machine, *, keeps):
    """A reader that always tries again and a writer, six steps each."""
    machine.manual_grace = True
    kernel, tree = machine.kernel, machine.tree(0)
    kernel.mt_init_flags(tree, 2)
    kernel.mtree_store_range(tree, 0x1000, 0x1FFF, OLD)
    kernel.mtree_store_range(tree, 0x3000, 0x3FFF, OLD + 16)

    def reader():
        mas = kernel.new_state(tree, 0x1800)
        for _ in range(2):
            yield "rcu_read_lock"
            machine.rcu_read_lock()
            yield "mas_walk"
            entry = kernel.mas_walk(mas)
            yield "rcu_read_unlock"
            machine.rcu_read_unlock()
            if not keeps:
                kernel.mas_set(mas, 0x1800)
        return entry

    def writer():
        for tree_, entry in ((tree, NEW), (machine.tree(1), OTHER), (tree, NEW + 16)):
            yield "store"
            kernel.mtree_store_range(tree_, 0x1400, 0x1BFF, entry)
            yield "grace period"
            machine.grace()

    return {"reader": reader(), "writer": writer()}


@pytest.mark.long
@pytest.mark.parametrize("keeps", [True, False])
def test_six_steps_each(keeps):
    def make():
        machine = equip("s390x", kernels=[ContinuesActive], watch=[SECTIONS], reuse_nodes=True)
        return Play(machine, six_and_six(machine, keeps=keeps))

    count = 0
    for run in interleavings(make):
        count += 1
        assert [report["kind"] for report in run.reports] == [STALE] * keeps
    assert count == comb(12, 6)
