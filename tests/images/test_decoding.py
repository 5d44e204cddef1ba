"""Decoding trees made by hand, whole and broken: it ends, and says what is wrong and where."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from machines import ARANGE, LEAF, RANGE

from layout.images.decode import MAX_PROBLEMS, decode, measure_height
from layout.memory.errors import MachineFault
from layout.traces.inputs import load

CAPTURES = Path(__file__).parents[2] / "fixtures" / "captures"
TREE = 0xFFFF0000
NODES = 0x1000000000
ULONG_MAX = 0xFFFFFFFFFFFFFFFF


def flags(height):
    return height << 2


def two_leaves(hand, kind=RANGE):
    """Node 0 over leaves 1 and 2: 0-9 is 0x11, 10-19 NULL, 20-29 0x33, the rest 0x44."""
    root = hand.node(kind, [0x13, ULONG_MAX], [NODES + 0x100 | 0xC, NODES + 0x200 | 0xC], meta=1)
    hand.node(LEAF, [0x9, 0x13], [0x11, 0], meta=1)
    hand.node(LEAF, [0x1D, ULONG_MAX], [0x33, 0x44], meta=1)
    hand.root(root | 2, flags(2))


WHOLE = [(0, 9, 0x11), (0x14, 0x1D, 0x33), (0x1E, ULONG_MAX, 0x44)]


@pytest.mark.parametrize("kind", [RANGE, ARANGE])
def test_two_leaves(hand, kind):
    two_leaves(hand, kind)
    found = decode(hand.mem, TREE)
    assert (found.ranges, found.problems, found.complete) == (WHOLE, [], True)
    assert [tuple(visit) for visit in found.nodes] == [
        (NODES, kind, 0, ULONG_MAX, 0),
        (NODES + 0x100, LEAF, 0, 0x13, 1),
        (NODES + 0x200, LEAF, 0x14, ULONG_MAX, 1),
    ]


def test_the_bytes_of_a_big_endian_leaf(hand):
    """The same words lie in each machine's own byte order."""
    two_leaves(hand)
    order = hand.mem.arch.byteorder
    assert hand.mem.read(NODES + 0x208, 8) == (0x1D).to_bytes(8, order)
    assert hand.mem.read(NODES + 0x2F8, 8) == b"\x01\0\0\0\0\0\0\0"


def test_an_empty_tree_and_single_entries(hand):
    hand.root(0, 0)
    assert decode(hand.mem, TREE).ranges == []
    for entry in (0x1234500, 0x9, 0x406, 0x2):
        hand.root(entry, 0)
        found = decode(hand.mem, TREE)
        assert (found.ranges, found.nodes, found.complete) == ([(0, 0, entry)], [], True)


def test_zero_entries_are_ranges(hand):
    hand.root(hand.node(LEAF, [4, ULONG_MAX], [0x406, 0], meta=1) | 2, flags(1))
    assert decode(hand.mem, TREE).ranges == [(0, 4, 0x406)]


def test_pivot_0_of_0_is_a_bound(hand):
    hand.root(hand.node(LEAF, [0, ULONG_MAX], [0x11, 0x33], meta=1) | 2, flags(1))
    found = decode(hand.mem, TREE)
    assert (found.ranges, found.complete) == ([(0, 0, 0x11), (1, ULONG_MAX, 0x33)], True)


def test_a_full_leaf_has_an_entry_where_metadata_would_be(hand):
    pivots = [10 * (i + 1) for i in range(15)]
    slots = [0x101 + 2 * i for i in range(15)] + [0x0E00000000000E01]
    hand.root(hand.node(LEAF, pivots, slots) | 2, flags(1))
    found = decode(hand.mem, TREE)
    assert found.problems == []
    assert found.ranges[-1] == (151, ULONG_MAX, 0x0E00000000000E01)
    assert len(found.ranges) == 16


def test_a_leaf_that_ends_at_pivot_14_has_no_slot_15(hand):
    pivots = [10 * (i + 1) for i in range(14)] + [ULONG_MAX]
    root = hand.node(LEAF, pivots, [0x101 + 2 * i for i in range(15)], meta=14)
    hand.root(root | 2, flags(1))
    found = decode(hand.mem, TREE)
    assert (found.problems, len(found.ranges)) == ([], 15)
    assert found.ranges[-1] == (141, ULONG_MAX, 0x11D)


def test_a_full_arange_node(hand):
    leaves = [NODES + 0x100 * (i + 1) | 0xC for i in range(10)]
    root = hand.node(ARANGE, [16 * (i + 1) - 1 for i in range(9)], leaves, meta=9)
    for i in range(10):
        hand.node(LEAF, [16 * (i + 1) - 1 if i < 9 else ULONG_MAX], [0x201 + 2 * i], meta=0)
    hand.root(root | 2, flags(2))
    found = decode(hand.mem, TREE)
    assert found.problems == []
    assert found.ranges[9] == (144, ULONG_MAX, 0x213)


def test_a_last_pivot_that_was_left_out(hand):
    hand.root(hand.node(LEAF, [5, 0], [0x11, 0x33], meta=1) | 2, flags(1))
    found = decode(hand.mem, TREE)
    assert (found.problems, found.ranges) == ([], [(0, 5, 0x11), (6, ULONG_MAX, 0x33)])


def broken(hand, *texts):
    """Decode; the problems have to hold these texts, one each."""
    found = decode(hand.mem, TREE)
    assert not found.complete
    assert len(found.problems) == len(texts), found.problems
    for problem, text in zip(found.problems, texts, strict=True):
        assert text in problem
    return found


def test_a_cycle(hand):
    two_leaves(hand)
    hand.mem.set_slot(NODES, RANGE, 0, NODES | 0x14)
    found = broken(hand, f"node {NODES:x}: slot 0 points to node {NODES:x} again: a cycle")
    assert found.ranges == WHOLE[1:]
    assert found.cyclic


def test_a_node_with_two_parents(hand):
    two_leaves(hand)
    hand.mem.set_slot(NODES, RANGE, 1, NODES + 0x100 | 0xC)
    found = broken(hand, f"node {NODES:x}: slot 1 points to node {NODES + 0x100:x} again")
    assert found.ranges == WHOLE[:1]


@pytest.mark.parametrize("pointer", [0x5555000, ULONG_MAX - 0xFF, 0x200])
def test_a_pointer_into_nowhere(hand, pointer):
    two_leaves(hand)
    hand.mem.set_slot(NODES, RANGE, 1, pointer | 0xC)
    found = broken(hand, f"node {NODES:x}: slot 1 is {pointer | 0xC:x}, a pointer into nowhere")
    assert found.ranges == WHOLE[:1]
    assert not found.cyclic


def test_a_root_into_nowhere(hand):
    hand.root(0x777000 | 0x0E, flags(1))
    found = broken(hand, f"tree {TREE:x}: ma_root is 77700e, a pointer into nowhere")
    assert (found.ranges, found.nodes) == ([], [])


@pytest.mark.parametrize(
    ("word", "text"),
    [
        (0, "is NULL where a node is needed"),
        (NODES + 0x104, "node type 0 (dense)"),
        (NODES + 0x100 | 5 << 3 | 4, "node type 5 (unknown)"),
        (NODES + 0x100 | 0x08, "points to no node"),
        (NODES + 0x100 | 0x0D, "points to no node"),
        (NODES + 0x100 | 0x8C, "points to no node"),
    ],
)
def test_a_slot_that_holds_no_node(hand, word, text):
    two_leaves(hand)
    hand.mem.set_slot(NODES, RANGE, 0, word)
    assert broken(hand, text).ranges == WHOLE[1:]


def test_pivots_that_go_backward(hand):
    two_leaves(hand)
    hand.mem.set_pivot(NODES + 0x200, 0, 0x3)
    found = broken(hand, f"node {NODES + 0x200:x}: pivot 0 is 3, but slot 0 starts at 14")
    assert found.ranges == WHOLE[:1]


def test_a_pivot_beyond_the_nodes_last_index(hand):
    two_leaves(hand)
    hand.mem.set_pivot(NODES + 0x100, 1, 0x99)
    found = broken(hand, f"node {NODES + 0x100:x}: pivot 1 is 99, beyond the node's last index 13")
    assert found.ranges == WHOLE


@pytest.mark.parametrize(
    ("end", "text"),
    [
        (0xFF, "metadata says that data ends at slot 255, beyond the last, 15"),
        (16, "metadata says that data ends at slot 16, beyond the last, 15"),
        (0, "metadata says that data ends at slot 0, pivots say 1"),
        (9, "metadata says that data ends at slot 9, pivots say 1"),
    ],
)
def test_garbage_metadata_costs_no_range(hand, end, text):
    two_leaves(hand)
    hand.mem.set_meta(NODES + 0x200, LEAF, 0, end)
    found = broken(hand, f"node {NODES + 0x200:x}: {text}")
    assert found.ranges == WHOLE


def test_a_freed_node_in_the_tree(hand):
    two_leaves(hand)
    hand.mem.set_parent(NODES + 0x100, NODES + 0x100)
    broken(hand, f"node {NODES + 0x100:x}: its parent word marks it as freed")


@pytest.mark.parametrize("height", [0, 1, 3, 31])
def test_a_height_that_is_not_the_trees(hand, height):
    two_leaves(hand)
    hand.mem.set_ma_flags(TREE, flags(height))
    found = broken(hand, f"say height {height}, but the tree's height is 2")
    assert (found.ranges, found.height) == (WHOLE, height)


def test_leaves_at_different_heights(hand):
    two_leaves(hand)
    below = hand.node(LEAF, [ULONG_MAX], [0x55], meta=0)
    hand.mem.write(NODES + 0x200, bytes(256))
    hand.mem.set_pivots(NODES + 0x200, 0, [ULONG_MAX])
    hand.mem.set_slots(NODES + 0x200, RANGE, 0, [below])
    hand.mem.set_slot(NODES, RANGE, 1, NODES + 0x200 | 0x14)
    found = broken(hand, "say height 2, but the tree's height is 2, 3")
    assert found.ranges == [WHOLE[0], (0x14, ULONG_MAX, 0x55)]


def test_a_chain_without_an_end(hand):
    for i in range(40):
        hand.node(RANGE, [ULONG_MAX], [NODES + 0x100 * (i + 1) | 0x14], meta=0)
    hand.root(NODES | 0x16, flags(31))
    found = broken(hand, "leads deeper than 31 nodes")
    assert len(found.nodes) == 31


def test_problems_have_a_limit(hand):
    """A wide tree whose every leaf is wrong does not flood the terminal."""
    wide = 16
    hand.node(RANGE, [0x100 * (i + 1) - 1 for i in range(15)], [0] * 16)
    hand.mem.set_slots(NODES, RANGE, 0, [NODES + 0x100 * (i + 1) | 0x14 for i in range(wide)])
    for i in range(wide):
        pivots = [0x100 * i + 16 * (j + 1) - 1 for j in range(15)]
        hand.node(RANGE, pivots, [0] * 16)
    hand.root(NODES | 0x16, flags(3))
    found = decode(hand.mem, TREE)
    assert len(found.problems) == MAX_PROBLEMS + 1
    assert found.problems[-1] == f"more than {MAX_PROBLEMS} problems: the rest is not told"


def test_a_tree_that_is_not_there(hand):
    with pytest.raises(MachineFault):
        decode(hand.mem, 0x123400)


@pytest.mark.parametrize(
    ("change", "height"),
    [
        (lambda _: None, 2),
        (lambda hand: hand.mem.set_ma_root(TREE, 0), 0),
        (lambda hand: hand.mem.set_ma_root(TREE, 0x5000), 0),
        (lambda hand: hand.mem.set_slot(NODES, RANGE, 0, 0x500C), 2),  # another path is taken
        (lambda hand: hand.mem.set_slot(NODES, RANGE, 0, NODES | 0x14), 2),
        (lambda hand: hand.mem.set_slot(NODES, RANGE, 0, NODES | 0x04), 2),
        (lambda hand: hand.mem.set_slots(NODES, RANGE, 0, [0x500C, 0x600C]), None),
        (lambda hand: hand.mem.set_slots(NODES, RANGE, 0, [NODES | 0x14] * 2), None),
        (lambda hand: hand.mem.set_slots(NODES, RANGE, 0, [NODES | 0x04] * 2), None),
        (lambda hand: hand.mem.set_ma_root(TREE, 0x500E), None),
    ],
)
def test_measured_height(hand, change, height):
    two_leaves(hand)
    change(hand)
    assert measure_height(hand.mem, hand.mem.ma_root(TREE)) == height


ANY_IMAGE = st.sampled_from(
    [
        "x86_64-6.12.117-medium.json",
        "s390x-6.12.95-medium.json",
        "sparc64-6.12.117-medium.json",
        "x86_64-6.12.117-mt_plain200.json",
        "sparc64-6.12.117-mt_plain200.json",
        "s390x-6.1.0-sleep.json",
    ]
)


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(ANY_IMAGE, st.data())
def test_damage_never_stops_decoding(name, data):
    """Whatever bytes change, decoding ends, and its ranges are in order without overlap."""
    image = load(str(CAPTURES / name))
    mem = image.memory
    targets = [arena.base for arena in mem.arenas]
    for _ in range(data.draw(st.integers(1, 12))):
        arena = mem.arena_at(data.draw(st.sampled_from(targets)))
        at = data.draw(st.integers(0, len(arena.data) - 8))
        pointer = st.sampled_from(targets).map(lambda base: base & ~0xFF)
        tagged = st.builds(
            lambda base, tag: base | tag, pointer, st.sampled_from([0xC, 0x14, 0x1C])
        )
        if data.draw(st.booleans()):
            arena.data[at] = data.draw(st.integers(0, 255))
        else:
            at -= at % 8
            word = data.draw(tagged)
            arena.data[at : at + 8] = word.to_bytes(8, mem.arch.byteorder)
    found = decode(mem, image.tree)
    assert found.complete == (found.problems == [])
    last_seen = -1
    for first, last, entry in found.ranges:
        assert last_seen < first <= last <= ULONG_MAX
        assert entry
        last_seen = last
    addresses = [visit.address for visit in found.nodes]
    assert len(addresses) == len(set(addresses))
