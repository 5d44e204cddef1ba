import pytest

import arches
from layout.images.decode import decode
from layout.memory.nodeview import view
from layout.memory.pointers import LEAF_64, NODE_MASK
from layout.testing.oddities import dead_nodes, full_leaf, last_word_is_metadata, stale_tail

EVERY = pytest.mark.parametrize("arch", arches.names())


def leaf_of(odd):
    [node] = odd.tree.nodes()
    return view(odd.tree.machine.mem, node.address, node.type, node.first, node.last)


@EVERY
@pytest.mark.parametrize("first", [0, 0x1000])
def test_full_leaves(arch, first):
    full, less = full_leaf(arch, first, 1), last_word_is_metadata(arch, first, 1)
    slots = full.tree.machine.profile.sizes.slots[LEAF_64]
    assert (leaf_of(full).has_meta, leaf_of(full).end) == (False, slots - 1)
    assert (leaf_of(less).has_meta, leaf_of(less).end) == (True, slots - 2)
    mem = less.tree.machine.mem
    assert mem.meta_end(leaf_of(less).address, LEAF_64) == slots - 2
    full.tree.check()
    less.tree.check()


@EVERY
def test_stale_tails_mislead_nobody_who_asks_for_the_data_end(arch):
    odd = stale_tail(arch, 0x1000, 0x100)
    leaf = leaf_of(odd)
    assert leaf.end == 6
    words = leaf.words[odd.tree.machine.mem.slot0[LEAF_64] :]
    assert words[7:9] == (0x400, 0x500)
    assert list(odd.tree.ranges()) == list(odd.ranges)
    assert tuple(decode(odd.image.memory, odd.tree.address).ranges) == odd.ranges


@EVERY
def test_dead_nodes_are_readable_and_say_that_they_are_dead(arch):
    odd = dead_nodes(arch, 5, 1)
    [held] = odd.held
    mem, node = odd.tree.machine.mem, held & ~NODE_MASK
    assert node not in [n.address for n in odd.tree.nodes()]
    assert mem.parent(node) == node
    assert mem.slot(node, LEAF_64, 1) == 1  # what was there before the store
    assert odd.ranges[0] == (5, 6, 0x81)
    assert not odd.tree.machine.cache.freed_map[(node - odd.tree.machine.cache.base) // 256]
    odd.tree.check()
