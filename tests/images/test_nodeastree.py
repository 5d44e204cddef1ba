"""Nodes given as trees: each is told by the words that prove it, and no tree is."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

import arches
from layout import MapleTree
from layout.images.decode import decode
from layout.images.nodeastree import doubt, refuse_node
from layout.memory.errors import UsageError
from layout.memory.pointers import LEAF_64
from layout.traces.inputs import load

CAPTURES = Path(__file__).parents[2] / "fixtures" / "captures"


def names(memory, tree):
    """What each node of a tree is called, with its address and a pointer to it."""
    for visit in decode(memory, tree).nodes:
        kind = "a leaf" if visit.type == LEAF_64 else "an inner node"
        word = visit.address | visit.type << 3 | (4 if visit.depth else 6)
        yield visit.address, word, kind if visit.depth else "a root node"


def refused(memory, tree):
    """How many nodes are told from the tree that holds them."""
    count = 0
    for node, word, kind in names(memory, tree):
        says = f", not a tree; its tree is at {tree:x}: give --tree {tree:x}"
        with pytest.raises(UsageError) as error:
            refuse_node([memory], node, "f")
        assert str(error.value) == f"f: {node:x} is {kind}{says}"
        with pytest.raises(UsageError) as error:
            refuse_node([memory], word, "f")
        assert str(error.value) == f"f: {word:x} points to {node:x}, {kind},{says[1:]}"
        count += 1
    refuse_node([memory], tree, "f")
    assert doubt(memory, tree) is None
    return count


@pytest.mark.parametrize("path", sorted(CAPTURES.glob("*.json*")), ids=lambda path: path.name)
def test_every_node_of_every_capture(path):
    image = load(str(path))
    assert refused(image.memory, image.tree) == len(decode(image.memory, image.tree).nodes)


@pytest.mark.parametrize("arch", arches.names())
@pytest.mark.parametrize("alloc_range", [False, True])
def test_every_node_on_every_machine(arch, alloc_range):
    tree = MapleTree(arch, alloc_range=alloc_range)
    for i in range(300):
        tree.store(100 * i, 100 * i + 50, 0x3000 + 4 * i)
    assert tree.height == (3 if tree.machine.arch.word_size == 8 else 2)
    memory = tree.machine.mem
    assert refused(memory, tree.address) > 8
    freed = tree.nodes()[-1].address
    tree.clear()
    memory.set_parent(freed, freed)
    with pytest.raises(UsageError, match=rf"^f: {freed:x} is a freed node, not a tree: give the"):
        refuse_node([memory], freed, "f")


@pytest.mark.parametrize("arch", ["x86_64", "s390x", "arm", "m68k"])
def test_no_tree_is_refused_however_damaged(arch):
    rng = random.Random(arch)
    machine = arches.get(arch)
    for _ in range(300):
        tree = MapleTree(arch)
        for i in range(40):
            tree.store(100 * i, 100 * i + 50, 0x3000 + 4 * i)
        memory, nodes = tree.machine.mem, [node.address for node in tree.nodes()]
        for _ in range(8):
            at = rng.choice([*nodes, tree.address]) + machine.word_size * rng.randrange(4)
            word = rng.choice([*nodes, tree.address, 0, machine.ulong_max]) | rng.randrange(32)
            memory.write_word(at, word & machine.ulong_max)
        refuse_node([memory], tree.address, "f")


def test_links_that_prove_nothing():
    tree = MapleTree("s390x")
    for i in range(40):
        tree.store(100 * i, 100 * i + 50, 0x3000 + 4 * i)
    memory, root, leaf = tree.machine.mem, tree.nodes()[0].address, tree.nodes()[3].address
    memory.set_ma_root(tree.address, 0)  # its children still point to the root
    with pytest.raises(UsageError, match=rf"{root:x} is a root node, not a tree; its tree is at"):
        refuse_node([memory], root, "f")
    with pytest.raises(UsageError, match=rf"{leaf:x} is a leaf, not a tree: give the address of"):
        refuse_node([memory], leaf, "f")
    memory.set_parent(leaf, memory.parent(leaf) ^ 8)  # another slot
    refuse_node([memory], leaf, "f")


@pytest.mark.parametrize(
    ("flags", "root", "says"),
    [
        (0xFFFF8880, 0, "its ma_flags ffff8880 have bits that no tree has (ffff8080)"),
        (0x8, 0x3001, "its ma_flags 8 say height 2, but ma_root is no node"),
        (0x307, 0x1000, "its ma_flags 307 say height 1, but ma_root is no node"),
    ],
)
def test_flags_that_no_kernel_writes(flags, root, says):
    tree = MapleTree("x86_64")
    memory, at = tree.machine.mem, tree.address
    memory.set_ma_flags(at, flags)
    memory.set_ma_root(at, root)
    assert doubt(memory, at) == f"{at:x} may be no struct maple_tree, or a damaged one: {says}"
