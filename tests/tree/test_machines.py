"""Random operations on every machine and kind of tree, held against a plain model."""

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from machines import THREE
from plain_model import Model

import arches
from layout.images.decode import decode
from layout.machine import Machine
from layout.slab import GFP_KERNEL, GFP_NOWAIT
from layout.tree.state import EBUSY, EEXIST, ENOMEM, MA_ERROR

TOP = 2**64 - 1
ALLOC, RCU = 1, 2

small = st.integers(0, 400)
pages = st.integers(0, 120).map(lambda n: n << 12)
edges = st.sampled_from([0, 1, 2**63 - 1, 2**63, TOP - 4096, TOP - 1, TOP])
index = st.one_of(small, small, pages, edges)
length = st.one_of(st.integers(1, 3), st.integers(1, 60), st.sampled_from([4096, 8192, 2**40]))
entry = st.one_of(
    st.integers(0, 500).map(lambda n: n << 1 | 1),  # values
    st.integers(1, 2**20).map(lambda n: n << 8),  # small pointers, below most addresses
    st.integers(1, 2**20).map(lambda n: 0xFFFF888000000000 | n << 8),
    st.sampled_from([1, 4, TOP, TOP - 8, 2**63 | 1]),
)


class TreeMachine(RuleBasedStateMachine):
    arch = "x86_64"
    flags = 0

    @initialize()
    def start(self):
        self.machine = Machine(arches.get(self.arch))
        self.kernel = self.machine.kernel
        self.cache = self.machine.cache
        self.tree = self.machine.tree(0)
        self.kernel.mt_init_flags(self.tree, self.flags)
        self.model = Model()
        self.copies = 0
        self.changed = True

    def done(self):
        """The grace period after an operation."""
        self.kernel.run_rcu()
        self.changed = True

    def is_reserved(self, value):
        return value & 3 == 2 and value < 4096

    # -- writing

    @rule(first=index, size=length, value=entry)
    def store(self, first, size, value):
        last = min(first + size - 1, TOP)
        assert self.kernel.mtree_store_range(self.tree, first, last, value) == 0
        self.model.store(first, last, value)
        self.done()

    @rule(first=index, size=length)
    def store_null(self, first, size):
        last = min(first + size - 1, TOP)
        assert self.kernel.mtree_store_range(self.tree, first, last, 0) == 0
        self.model.store(first, last, 0)
        self.done()

    @rule(first=st.one_of(small, pages), count=st.integers(5, 60), size=st.integers(1, 20))
    def fill(self, first, count, size):
        for i in range(count):
            start = first + i * size
            assert (
                self.kernel.mtree_store_range(self.tree, start, start + size - 1, i << 1 | 1) == 0
            )
            self.model.store(start, start + size - 1, i << 1 | 1)
            self.kernel.run_rcu()
        self.changed = True

    @rule(first=index, size=length, value=entry)
    def insert(self, first, size, value):
        last = min(first + size - 1, TOP)
        free = self.model.is_free(first, last)
        ret = self.kernel.mtree_insert_range(self.tree, first, last, value)
        assert ret == (0 if free else -EEXIST)
        if free:
            self.model.store(first, last, value)
        self.done()

    @rule(at=index)
    def erase(self, at):
        assert self.kernel.mtree_erase(self.tree, at) == self.model.erase(at)
        self.done()

    @rule(first=index, size=length, value=st.one_of(entry, st.just(0)))
    def preallocated(self, first, size, value):
        last = min(first + size - 1, TOP)
        mas = self.kernel.new_state(self.tree, first, last)
        assert self.kernel.mas_preallocate(mas, value) == 0
        self.kernel.mas_store_prealloc(mas, value)
        self.model.store(first, last, value)
        self.done()

    @rule(
        first=index,
        size=length,
        value=st.one_of(entry, st.just(0)),
        limit=st.one_of(st.just((0, None)), st.tuples(st.integers(0, 3), st.integers(1, 3))),
    )
    def store_with_little_memory(self, first, size, value, limit):
        """A store that is refused nodes leaves the tree as it was.

        One that gets some but not all retries as long as it is refused, so refusals have to end.
        """
        last = min(first + size - 1, TOP)
        self.cache.fail(*limit, nowait_only=False)
        ret = self.kernel.mtree_store_range(self.tree, first, last, value, GFP_NOWAIT)
        self.cache.fail(None, None, nowait_only=False)
        assert ret in (0, -ENOMEM)
        if ret == 0:
            self.model.store(first, last, value)
        self.done()

    @rule(first=index, size=length, value=st.one_of(entry, st.just(0)))
    def store_that_has_to_block(self, first, size, value):
        last = min(first + size - 1, TOP)
        self.cache.fail(0, None, nowait_only=True)
        assert self.kernel.mtree_store_range(self.tree, first, last, value, GFP_KERNEL) == 0
        self.cache.fail(None, None, nowait_only=False)
        self.model.store(first, last, value)
        self.done()

    @rule(at=index, value=entry, steps=st.integers(0, 3))
    def store_at_a_cursor(self, at, value, steps):
        """mas_find moves a state to a range, mas_store writes just that range."""
        mas = self.kernel.new_state(self.tree, at)
        found = self.kernel.mas_find(mas, TOP)
        for _ in range(steps):
            if found:
                found = self.kernel.mas_find(mas, TOP)
        if not found:
            return
        first, last = mas.index, mas.last
        assert self.model.at(first) == (first, last, found)
        assert self.kernel.mas_store(mas, value) == found
        assert mas.status != MA_ERROR
        self.kernel.mas_destroy(mas)
        self.model.store(first, last, value)
        self.done()

    @rule(at=index, steps=st.integers(0, 3))
    def erase_at_a_cursor(self, at, steps):
        """mas_find moves a state to an entry, mas_erase erases its range and keeps the state."""
        mas = self.kernel.new_state(self.tree, at)
        found = self.kernel.mas_find(mas, TOP)
        for _ in range(steps):
            if found:
                found = self.kernel.mas_find(mas, TOP)
        if not found:
            return
        first = mas.index  # the state's range then grows by the gaps beside it
        assert self.kernel.mas_erase(mas) == found == self.model.erase(first)
        self.done()

    @rule(at=index, limit=st.tuples(st.integers(0, 3), st.integers(1, 3)))
    def erase_with_little_memory(self, at, limit):
        """Refusals end, and mtree_erase asks until it has what it needs, or gives up whole."""
        self.cache.fail(*limit, nowait_only=False)
        value = self.kernel.mtree_erase(self.tree, at)
        self.cache.fail(None, None, nowait_only=False)
        assert value == self.model.load(at)
        if self.kernel.mtree_load(self.tree, at) == 0:
            self.model.erase(at)
        self.done()

    @precondition(lambda self: not self.model.ranges and not self.flags & RCU)
    @rule(
        count=st.integers(1, 200),
        spare=st.integers(0, 50),
        size=st.integers(1, 9),
        gap=st.integers(0, 9),
    )
    def load_in_bulk(self, count, spare, size, gap):
        mas = self.kernel.new_state(self.tree)
        assert self.kernel.mas_expected_entries(mas, count + spare) == 0
        for i in range(count):
            mas.index = i * (size + gap)
            mas.last = mas.index + size - 1
            self.kernel.mas_store(mas, i << 1 | 1)
            assert mas.status != MA_ERROR
            self.model.store(mas.index, mas.last, i << 1 | 1)
        self.kernel.mas_destroy(mas)
        self.done()

    @precondition(lambda self: self.copies < 7)
    @rule(after=st.integers(0, 40))
    def copy_with_little_memory(self, after):
        """A copy that is refused nodes leaves nothing behind."""
        new = self.machine.tree(7)
        self.kernel.mt_init_flags(new, self.flags)
        live = self.cache.allocated - self.cache.freed
        self.cache.fail(after, None, nowait_only=False)
        ret = self.kernel.mtree_dup(self.tree, new)
        self.cache.fail(None, None, nowait_only=False)
        if ret:
            assert ret == -ENOMEM
            assert self.machine.mem.ma_root(new) == 0
        else:
            assert decode(self.machine.mem, new).ranges == self.model.items()
            self.kernel.mt_destroy(new)
        self.done()
        assert self.cache.allocated - self.cache.freed == live

    @precondition(lambda self: self.flags & ALLOC)
    @rule(size=length, low=index, span=length, value=entry, reverse=st.booleans())
    def allocate(self, size, low, span, value, reverse):
        high = min(low + span + size, TOP)
        if high - low < size - 1:
            return
        where = self.model.free_area(size, low, high, TOP, reverse=reverse)
        allocate = self.kernel.mtree_alloc_rrange if reverse else self.kernel.mtree_alloc_range
        ret, start = allocate(self.tree, value, size, low, high)
        if where is None:
            assert ret == -EBUSY
        else:
            assert (ret, start) == (0, where)
            self.model.store(where, where + size - 1, value)
        self.done()

    @precondition(lambda self: self.copies < 6)
    @rule()
    def continue_with_a_copy(self):
        self.copies += 1
        new = self.machine.tree(self.copies)
        self.kernel.mt_init_flags(new, self.flags)
        assert self.kernel.mtree_dup(self.tree, new) == 0
        self.kernel.mt_destroy(self.tree)
        self.tree = new
        self.done()

    @rule()
    def destroy(self):
        self.kernel.mt_destroy(self.tree)
        self.model = Model()
        self.done()
        assert self.cache.allocated == self.cache.freed

    # -- reading

    @rule(at=index)
    def load(self, at):
        assert self.kernel.mtree_load(self.tree, at) == self.model.load(at)

    @rule(at=index, high=index)
    def find(self, at, high):
        found, _ = self.kernel.mt_find(self.tree, at, high)
        after = [e for first, last, e in self.model.items() if last >= at and first <= high]
        assert found == (after[0] if after and at <= high else 0)

    @rule(at=index, high=index)
    def next(self, at, high):
        later = [e for first, _, e in self.model.items() if at < first <= high]
        assert self.kernel.mt_next(self.tree, at, high) == (later[0] if later else 0)

    @rule(at=index, low=index)
    def prev(self, at, low):
        if self.kernel.mem.ma_root(self.tree) & 3 != 2:
            low = 0  # of a single entry in the root the kernel does not ask whether it is too low
            if at <= low:
                return
        earlier = [e for _, last, e in self.model.items() if low <= last < at]
        assert self.kernel.mt_prev(self.tree, at, low) == (earlier[-1] if earlier else 0)

    @rule(at=index)
    def walk(self, at):
        mas = self.kernel.new_state(self.tree, at)
        value = self.kernel.mas_walk(mas)
        assert (mas.index, mas.last, value) == self.model.span(at, TOP)

    @precondition(lambda self: self.flags & ALLOC)  # others have no gaps to search by
    @rule(size=length, low=index, span=length, reverse=st.booleans())
    def empty_area(self, size, low, span, reverse):
        high = min(low + span + size, TOP)
        if high - low < size - 1:
            return
        where = self.model.free_area(size, low, high, TOP, reverse=reverse)
        mas = self.kernel.new_state(self.tree)
        search = self.kernel.mas_empty_area_rev if reverse else self.kernel.mas_empty_area
        ret = search(mas, low, high, size)
        if where is None:
            assert ret == -EBUSY
        else:
            assert (ret, mas.index, mas.last) == (0, where, where + size - 1)

    # -- after each step

    @invariant()
    def agrees_with_the_model(self):
        if not getattr(self, "changed", False):
            return
        self.changed = False
        kernel, tree = self.kernel, self.tree
        assert kernel.mt_validate(tree), "".join(kernel.log)
        truth = self.model.items()
        mas = kernel.new_state(tree)
        seen = []
        while value := kernel.mas_find(mas, TOP):
            seen.append((mas.index, mas.last, value))
        assert seen == truth
        mas = kernel.new_state(tree, TOP)
        seen = []
        while value := kernel.mas_find_rev(mas, 0):
            seen.append((mas.index, mas.last, value))
        assert seen[::-1] == truth
        found = decode(self.machine.mem, tree)
        assert (found.ranges, found.problems) == (truth, [])
        assert self.cache.allocated - self.cache.freed == len(found.nodes)

    def teardown(self):
        if hasattr(self, "kernel"):
            self.kernel.mt_destroy(self.tree)
            self.kernel.run_rcu()
            assert self.cache.allocated == self.cache.freed


@pytest.mark.parametrize(
    "flags", [0, ALLOC, RCU, ALLOC | RCU], ids=["plain", "alloc", "rcu", "both"]
)
@pytest.mark.parametrize("name", THREE)
def test_random_operations_against_the_model(name, flags):
    machine = type("Machine", (TreeMachine,), {"arch": name, "flags": flags})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=40,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
