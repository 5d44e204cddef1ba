"""Scans: every tree of real dumps is found in each form, and nothing in memory without trees."""

from __future__ import annotations

import json
import random
import time
from pathlib import Path

import pytest

import arches
from layout.images.anymemory import open_memory
from layout.images.mapped import image_memory
from layout.images.packed import open_bytes
from layout.images.scan import scan
from layout.images.treestruct import Known
from layout.mapletree import MapleTree
from layout.memory import structs
from layout.memory.errors import InputError, UsageError

MEMORY = Path(__file__).parents[2] / "fixtures" / "memory"


def scan_of(data, arch=None, base=None, direct_map=None):
    machine = arches.get(arch) if arch else None
    memory = open_memory(data, "f", Path(), arch=machine, known=Known(), base=base)
    return memory, scan(memory.store, memory.arch, "f", memory.known, direct_map)


@pytest.mark.parametrize(
    ("name", "shift"),
    [
        ("x86_64-6.12.117.elf", 0xFFFF8A3680000000),
        ("x86_64-6.12.117.elf-paging", 0),
        ("s390x-6.12.95.elf-vmcoreinfo", 0),
        ("s390x-6.12.95.raw", 0),
    ],
)
def test_real_dumps(name, shift):
    """All 13 trees that the guest had, three of them with the truth beside them."""
    data, _ = open_bytes(str(MEMORY / f"{name}.xz"))
    memory, found = scan_of(data)
    assert found.shift == shift
    truth = json.loads((MEMORY / f"{name.rpartition('.')[0]}.truth.json").read_text())
    assert memory.arch.name == truth["arch"]
    assert [(one.state, one.score) for one in found.candidates] == [("live", 1.0)] * 13
    by_tree = {one.tree: one for one in found.candidates}
    for process in truth["processes"]:
        one = by_tree[int(process["tree"], 16)]
        assert one.root_node == int(process["nodes"][0], 16)
        assert (one.nodes, one.entries, one.height, one.flags) == (
            len(process["nodes"]),
            len(process["entries"]),
            process["height"],
            int(process["flags"], 16),
        )


def a_tree(arch, count=60):
    """A tree, moved to where that machine's nodes lie.

    Its memory, the address of that, of the struct behind the nodes, and how many nodes there are.
    """
    tree = MapleTree(arch)
    for i in range(count):
        tree.store(0x10000 + 0x2000 * i, 0x10FFF + 0x2000 * i, 0x2A0001 + 0x100 * i)
    machine, memory = tree.machine.arch, tree.machine.mem
    w, order = machine.word_size, machine.byteorder
    low = machine.kernel_nodes[0] + 0x100000 & -0x1000
    nodes = [node.address for node in tree.nodes()]
    first = min(nodes)
    size = (max(nodes) - first + 0x1000) & -0x1000
    image = bytearray(size + 0x1000)

    def put(at, raw):
        for i in range(0, len(raw), w):
            word = int.from_bytes(raw[i : i + w], order)
            if first <= word < first + size:
                word += low - first
            elif word & -256 == tree.address & -256:
                word += low + size - tree.address
            image[at + i : at + i + w] = word.to_bytes(w, order)

    for node in nodes:
        put(node - first, memory.read(node, 256))
    root = tree.machine.profile.layout("maple_tree").offset("ma_root")
    image[size : size + root] = memory.read(tree.address, root)
    put(size + root, memory.read(tree.address + root, w))
    return image, low, low + size, len(nodes)


@pytest.mark.parametrize("kernel", ["x86_64-6.12.117", "s390x-6.12.95", "sparc64-6.12.117"])
def test_real_cores_with_freed_nodes(kernel):
    """Nodes that were freed are still there; those of live trees are taken for nothing else."""
    captures = MEMORY.parent / "captures"
    data, _ = open_bytes(str(captures / f"{kernel}.core.xz"))
    memory, found = scan_of(data)
    by_tree = {one.tree: one for one in found.candidates if one.tree}
    for name in ("sleep", "medium", "level3"):
        truth = json.loads((captures / f"{kernel}-{name}.json").read_text())
        one = by_tree[int(truth["mm_mt"]["addr"], 16)]
        entries = sum(int(entry[2], 16) != 0 for entry in truth["entries"])
        assert (one.nodes, one.entries, one.score) == (len(truth["nodes"]), entries, 1.0)
        nodes = {int(node["addr"], 16) for node in truth["nodes"]}
        assert [c.root_node for c in found.candidates if c.root_node in nodes] == [one.root_node]
    dead = [one for one in found.candidates if one.state == "dead"]
    assert len(dead) > 50
    for one in dead:
        assert (
            image_memory(memory.arch, structs.profile(memory.arch), memory.store).parent(
                one.root_node
            )
            == one.root_node
        )


@pytest.mark.parametrize("arch", arches.names())
def test_every_byte_order_and_word_size(arch):
    """A tree is found at its virtual addresses, and at physical ones."""
    image, low, tree, nodes = a_tree(arch)
    _, found = scan_of(bytes(image), arch, base=low)
    [one] = found.candidates
    assert (one.tree, one.nodes, one.entries, one.state) == (tree, nodes, 60, "live")
    _, found = scan_of(bytes(image), arch, base=0)
    assert [(c.tree, c.root_node - c.physical) for c in found.candidates] == [(tree, low)]
    assert found.shift == low


def test_a_tree_whose_struct_was_used_anew_is_freed():
    image, low, tree, nodes = a_tree("s390x")
    image[tree - low : tree - low + 16] = b"\x11" * 16
    _, found = scan_of(bytes(image), "s390x", base=low)
    [one] = found.candidates
    assert (one.tree, one.nodes, one.entries, one.state, one.score) == (
        None,
        nodes,
        60,
        "freed",
        0.7,
    )


def test_a_node_that_names_itself_is_dead():
    """As a replaced leaf is left: call_rcu() wrote over its first two pivots."""
    image, low, _, _ = a_tree("x86_64")
    leaf = bytearray(image[0x100:0x200])
    leaf[:24] = b"".join(
        word.to_bytes(8, "little") for word in (low + 0x80000, 0, 0xFFFFFFFF81234560)
    )
    data = bytes(image).ljust(0x80000, b"\0") + bytes(leaf)
    _, found = scan_of(data, "x86_64", base=low)
    live, dead = found.candidates
    assert (live.state, dead.state, dead.root_node, dead.tree) == (
        "live",
        "dead",
        low + 0x80000,
        None,
    )
    assert dead.score < live.score


def test_a_damaged_tree_is_found_with_a_lower_score():
    image, low, tree, _ = a_tree("x86_64")
    image[0:0x100] = bytes(256)
    _, found = scan_of(bytes(image), "x86_64", base=low)
    assert [(one.tree, one.state) for one in found.candidates if one.state == "live"] == [
        (tree, "live")
    ]
    assert found.candidates[0].score < 1


@pytest.mark.parametrize("arch", ["x86_64", "s390x", "arm"])
def test_memory_without_trees(arch):
    """Random bytes, words that look like pointers, lists that point to themselves."""
    rng = random.Random(5)
    machine = arches.get(arch)
    low, high = machine.kernel_nodes
    w, order = machine.word_size, machine.byteorder
    words = [
        rng.randint(low, min(high, low + (1 << 24))).to_bytes(w, order) for _ in range(1 << 15)
    ]
    heads = b"".join((low + 256 * i).to_bytes(w, order).ljust(256, b"\0") for i in range(1 << 10))
    data = rng.randbytes(1 << 22) + b"".join(words) + heads + bytes(1 << 20)
    started = time.process_time()
    _, found = scan_of(data, arch)
    assert found.candidates == []
    assert time.process_time() - started < 10


def test_what_cannot_be_scanned():
    with pytest.raises(InputError, match=r"^f is a trace: give raw memory or a core"):
        scan_of(b"store 1 2 3\n")
    with pytest.raises(UsageError, match=r"no maple tree of any machine .* give --arch"):
        scan_of(bytes(1 << 16))
    with pytest.raises(InputError, match=r"kdump-compressed dump: decode reads it by drgn, scan"):
        scan_of(b"KDUMP   " + bytes(4096))


def test_segments_that_name_the_same_bytes_again_and_again(make_core):
    """2000 segments of all of the file: looking through them would never end."""
    core = bytearray(make_core("x86_64", [(0xFFFF888000000000, b"x" * 4096)] * 2000))
    size = len(core)
    for i in range(2000):
        at = 64 + 56 * i
        core[at + 8 : at + 16] = bytes(8)
        core[at + 16 : at + 24] = (0xFFFF888000000000 + (i << 32)).to_bytes(8, "little")
        core[at + 32 : at + 40] = size.to_bytes(8, "little")
    with pytest.raises(InputError, match=r"name the same bytes of the file more than 64 times"):
        scan_of(bytes(core))
