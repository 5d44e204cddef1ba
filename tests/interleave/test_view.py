"""The reduction loses nothing, and the memory of a reader follows the model."""

import itertools

import pytest
from interleave.cases import operations

import arches
from layout.interleave.programs import named
from layout.interleave.schedule import executions
from layout.interleave.search import Search, Setting, _State
from layout.interleave.stores import FREED, Store, Writer
from layout.interleave.view import Seen, ViewMemory, seen


class Naive(ViewMemory):
    """Any view that contains what it must: in TSO at each load, else at each that can tell."""

    views = ()

    def _see(self, place, doing, floor):
        if self._schedule is None or (self._plan.order != "tso" and not place.hits):
            return super()._see(place, doing, floor)
        for word in place.words:
            for number in place.hits:
                if self._shown.get(word, 0) >> number & 1:
                    floor |= self._plan.closed[number]
        possible = [view for view in self.views if view & floor == floor]
        view = possible[self._schedule.choose(len(possible))]
        for word in place.words:
            self._shown[word] = self._shown.get(word, 0) | view & place.mask
        return view


def all_views(plan):
    """Every set of stores that contains what each of them forces."""
    count = len(plan.stores)
    for size in range(count + 1):
        for chosen in itertools.combinations(range(count), size):
            view = sum(1 << number for number in chosen)
            if all(plan.closed[number] & view == plan.closed[number] for number in chosen):
                yield view


@pytest.mark.parametrize(("name", "words", "order", "without"), [
    ("border moved", "load 3400", "weak", ()),
    ("border moved", "walk 2000", "weak", ("mas_wr_slot_store",)),
    ("exact fit", "load 2000", "weak", ("ma_dead_node", "mas_wr_store_entry")),
    ("exact fit", "load 2000", "tso", ()),
    ("single entry", "walk 0", "tso", ()),
    ("single entry", "walk 0", "weak", ("mas_root",)),
])  # fmt: skip
def test_the_reduced_search_gives_all_answers(name, words, order, without):
    machine = arches.get("powerpc64")
    wanted = operations(name, machine)
    found = []
    for memory in (ViewMemory, Naive):
        search = Search(Setting(machine, order=order, without=frozenset(without)))
        for operation in wanted[:-1]:
            search.windows.windows[0].writer.run(operation)
        _, writing = search.windows.windows[0].writer.record(wanted[-1])
        search._mem.__class__ = memory
        search.start(writing)
        if memory is Naive:
            search._mem.views = tuple(all_views(search._mem._plan))
        reader, state = named(words, machine.ulong_max), _State(0, frozenset())
        ends = [
            (end.answers, end.stopped)
            for _, end in executions(lambda each: search._run(writing.tree, reader, state, each))  # noqa: B023
        ]
        found.append(ends)
    reduced, naive = found
    assert set(reduced) == set(naive)
    assert len(reduced) < len(naive)


@pytest.mark.parametrize("version", ["6.12", "7.3"])
@pytest.mark.parametrize("name", ["leaf replaced", "leaf split", "destroyed"])
def test_recorded_stores_make_the_bytes_that_are_there(name, version):
    machine = arches.get("s390x")
    writer = Writer(machine, (), version)
    *before, last = operations(name, machine)
    for operation in before:
        writer.run(operation)
    mem = writer.machine.mem
    copy = {}
    writer.machine.rcu_read_lock()  # no callback runs behind the line
    start = {at: mem.read(at, 8) for at in range(mem.near_base, mem.near_base + mem.near_size, 8)}
    _, writing = writer.record(last)
    for store in writing.stores:
        if store.field == FREED or store.function == "kfree_rcu":
            continue
        for i, byte in enumerate(store.data):
            copy[store.address + i] = byte
    assert copy
    assert {at: mem.read(at, 1)[0] for at in copy} == copy
    untouched = [at for at in start if not any(at + i in copy for i in range(8))]
    assert all(mem.read(at, 8) == start[at] for at in untouched)


def test_numbers_remember_what_they_are_made_of():
    a, b = seen(0x100, 1), seen(8, 2)
    assert type(a + 1) is Seen
    assert (a + b).view == 3
    assert (a & ~0xFF).view == 1
    assert (1 | b).view == 2
    assert type(seen(5, 0)) is int


def test_a_reader_does_not_write():
    search = Search(Setting(arches.get("x86_64")))
    search._mem.begin(None, 0)
    with pytest.raises(AssertionError, match="a reader writes"):
        search._mem.write_word(search._side.node_base, 1)


def test_closed_sets():
    writer = Writer(arches.get("aarch64"), (), "6.12")
    *before, last = operations("leaf replaced", arches.get("aarch64"))
    for operation in before:
        writer.run(operation)
    _, writing = writer.record(last)
    [publishes] = [i for i, each in enumerate(writing.stores) if each.release]
    assert writing.stores[publishes][2:5] == ("mas_put_in_tree", "ma_root", "mas_put_in_tree")
    weak = writing.before_each("weak", frozenset())
    assert weak[publishes] == (1 << publishes + 1) - 1
    [behind] = [i for i, each in enumerate(writing.stores) if each.fence]
    assert writing.stores[behind].field.startswith("rcu_head")
    assert weak[behind] == (1 << behind + 1) - 1
    out = writing.before_each("weak", frozenset({"mas_put_in_tree"}))
    assert out[publishes] == 1 << publishes
    assert writing.before_each("tso", frozenset())[3] == 0b1111
    assert isinstance(writing.stores[0], Store)
