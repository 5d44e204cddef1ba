"""Quick memory is the general one: the same results, faults and bytes, whatever it is asked."""

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

import arches
from layout.memory import structs
from layout.memory.errors import MachineFault
from layout.memory.memory import CELL
from layout.memory.node import NodeMemory
from layout.memory.quick import QuickMemory, QuickReads

BASE, TREES = 0x100000, 0x80000

node = st.sampled_from(
    [BASE, BASE + CELL, BASE + 2 * CELL, BASE + 3 * CELL, BASE + CELL + 8, BASE + CELL + 3, 0, 96]
)
tree = st.sampled_from([TREES, TREES + 16, TREES + 3, TREES + 60, BASE + CELL, 8])
address = st.integers(BASE - 8, BASE + 3 * CELL + 8) | st.integers(TREES - 2, TREES + 66)
mt = st.integers(0, 3)
i = st.integers(-1, 40)
value = st.integers(0, 2**32 - 1)
byte = st.integers(0, 255)
words = st.lists(value, max_size=8)
at = st.integers(-1, 9)
count = st.integers(-1, 40)
doing = st.just("a test")

ARGUMENTS = {
    "parent": (node,),
    "set_parent": (node, value),
    "slot": (node, mt, i),
    "set_slot": (node, mt, i, value),
    "pivot": (node, i),
    "set_pivot": (node, i, value),
    "ma_pivot": (node, st.integers(0, 5), i),
    "pivots": (node, st.integers(0, 5), st.integers(0, 40)),
    "slots": (node, mt, st.integers(0, 40)),
    "meta_end": (node, mt),
    "set_meta": (node, mt, byte, byte),
    "ma_flags": (tree,),
    "ma_root": (tree,),
    "alloc_total": (node,),
    "set_alloc_total": (node, value),
    "alloc_count": (node,),
    "set_alloc_count": (node, byte),
    "alloc_slot": (node, i),
    "set_alloc_slot": (node, i, value),
    "load": (words, at, address, count, doing),
    "store": (address, words, at, count, doing),
    "read_u32": (address,),
    "write_u32": (address, value),
    "read_word": (address,),
    "write_word": (address, value),
    "read_u8": (address,),
    "write_u8": (address, byte),
    "zero": (address, st.sampled_from([0, 8, CELL, CELL + 8])),
}


def test_each_quick_access_is_compared():
    quick = {*vars(QuickReads), *vars(QuickMemory)}
    assert {name for name in quick if name[0] != "_"} == set(ARGUMENTS)


def made(memory, arch):
    mem = memory(arch, structs.profile(arch))
    mem.map_near(BASE, "nodes")
    mem.grow_near(3 * CELL)
    mem.map(TREES, bytearray(range(64)), "trees")
    mem.write(BASE + CELL, bytes(range(256)))
    return mem


def asked(mem, name, arguments):
    """What it returned, or how it failed; a run of fields as all that can be read of it."""
    given_ = [[*each] if isinstance(each, list) else each for each in arguments]
    try:
        result = getattr(mem, name)(*given_)
        if name in {"pivots", "slots"}:
            result = [result[at] for at in range(arguments[-1])]
    except MachineFault as fault:
        result = (fault.kind, fault.address, str(fault))
    except IndexError as error:
        result = str(error)
    return result, given_, mem.near_cells(), bytes(mem.arena_at(TREES).data)


@pytest.mark.parametrize("arch", ["x86_64", "s390x", "sparc64", "arm", "mips"])
@pytest.mark.parametrize("name", ARGUMENTS)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_equal_to_the_general_memory(arch, name, data):
    arguments = data.draw(st.tuples(*ARGUMENTS[name]))
    machine = arches.get(arch)
    assert asked(made(QuickMemory, machine), name, arguments) == asked(
        made(NodeMemory, machine), name, arguments
    )
