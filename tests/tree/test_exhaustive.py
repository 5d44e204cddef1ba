"""Every sequence of up to four stores and erases on four indexes, on every machine.

Each tree is reached once: a prefix is carried out, its machine's bytes are kept, and all
continuations start from them.
"""

from itertools import combinations_with_replacement

import pytest
from machines import THREE

import arches
from layout.images.decode import decode
from layout.machine.machine import Machine
from layout.traces.model import Model

VALUES = (0x3001, 0x4000)
STORES = [
    (first, last, value)
    for first, last in combinations_with_replacement(range(4), 2)
    for value in VALUES
]
OPERATIONS = [*STORES, 0, 1, 2, 3]  # a number is an index to erase


def apply(machine, model, operation):
    kernel, tree = machine.kernel, machine.tree(0)
    if isinstance(operation, int):
        assert kernel.mtree_erase(tree, operation) == model.erase(operation)
    else:
        assert kernel.mtree_store_range(tree, *operation) == 0
        model.store(*operation)
    kernel.run_rcu()


@pytest.mark.long
@pytest.mark.parametrize(("flags", "length"), [(0, 4), (3, 3)], ids=["plain", "alloc-rcu"])
@pytest.mark.parametrize(
    "name",
    ["s390x", *(pytest.param(each, marks=pytest.mark.slow) for each in THREE if each != "s390x")],
)
def test_all_short_sequences(name, flags, length):
    machine, model = Machine(arches.get(name)), Model()
    mem, tree = machine.mem, machine.tree(0)
    machine.kernel.mt_init_flags(tree, flags)
    reached = 0

    def visit(depth):
        nonlocal reached
        saved, ranges = machine.save(), dict(model.ranges)
        for operation in OPERATIONS:
            apply(machine, model, operation)
            reached += 1
            found = decode(mem, tree)
            assert (found.ranges, found.problems) == (model.items(), [])
            if depth < length:
                visit(depth + 1)
            machine.restore(saved)
            model.ranges = dict(ranges)

    visit(1)
    assert reached == sum(len(OPERATIONS) ** n for n in range(1, length + 1))
