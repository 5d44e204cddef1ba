"""The forgiving validator: each rule with a damage that breaks it, and valid trees."""

import json
import lzma
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from machines import ARANGE, LEAF, RANGE, THREE

import arches
from layout import MapleTree
from layout.images import links
from layout.images.decode import decode
from layout.images.validator import check, validate
from layout.images.violation import Rule, Violation
from layout.machine.machine import Machine
from layout.memory.errors import MachineFault
from layout.memory.node import NodeMemory
from layout.traces.inputs import load

CAPTURES = Path(__file__).parents[2] / "fixtures" / "captures"
CORES = {
    "x86_64-6.12.117.core.xz": "ffff88800405b1c0",
    "s390x-6.12.95.core.xz": "2038100",
    "sparc64-6.12.117.core.xz": "fffff80002312ba8",
}
TOP = 0xFFFFFFFFFFFFFFFF
LIMITS, GAPS = "mas_validate_limits", "mas_validate_gaps"
PARENT_SLOT, CHILD_SLOT = "mas_validate_parent_slot", "mas_validate_child_slot"


class Tree:
    """A root over two leaves: leaf 1 ends at slot 9 and index 10dfff, leaf 2 at slot 10.

    NULL and entries take turns; the entries are 1234000, 1234040 and so on.
    """

    def __init__(self, name, alloc):
        machine = Machine(arches.get(name))
        self.mem, self.kernel, self.tree = machine.mem, machine.kernel, machine.tree(0)
        self.alloc = alloc
        self.kernel.mt_init_flags(self.tree, int(alloc))
        for i in range(10):
            first = 0x100000 + i * 0x3000
            self.kernel.mtree_store_range(self.tree, first, first + 0x1FFF, 0x1234000 + i * 0x40)
        self.inner = ARANGE if alloc else RANGE
        self.root, self.left, self.right = (v.address for v in decode(self.mem, self.tree).nodes)
        self.slot_at = 80 if alloc else 128  # of the root
        self.flags_at = self.mem.profile.layout("maple_tree").offset("ma_flags")
        self.dead = next(
            node
            for node in range(machine.node_base, machine.node_base + 0x800, 0x100)
            if node not in (self.root, self.left, self.right)
        )

    def word(self, node, offset, value):
        self.mem.write_word(node + offset, value)

    def held(self, node, offset):
        return self.mem.read_word(node + offset)

    def kernel_says(self):
        """Whether mt_validate() lets the tree pass; None if the kernel would fault."""
        try:
            passed = self.kernel.mt_validate(self.tree)
        except (MachineFault, IndexError):
            return None, ""
        log = "".join(self.kernel.log)
        return passed, "" if passed else re.findall(r"(?:BUG|WARN) at (\w+):", log)[-1]


@pytest.fixture(params=THREE)
def name(request):
    return request.param


@pytest.fixture(params=[False, True], ids=["plain", "alloc"])
def tree(request, name):
    return Tree(name, request.param)


@pytest.fixture
def alloc_tree(name):
    return Tree(name, alloc=True)


def swapped(value, width=8):
    return int.from_bytes(value.to_bytes(width, "little"), "big")


def finds(tree, *expected):
    """The violations have to be these, and the kernel's own validator has to agree."""
    found = validate(tree.mem, tree.tree)
    assert found == [Violation(*fields) for fields in expected]
    passed, where = tree.kernel_says()
    checks = {violation.kernel_check for violation in found}
    if passed:
        assert checks == {""}
    elif passed is False:
        assert where in checks
    return found


def test_a_valid_tree(tree):
    report = check(tree.mem, tree.tree)
    assert (report.valid, report.nodes, report.height) == (True, 3, 2)
    assert report.as_json() == {"valid": True, "violations": []}


def test_an_empty_tree_and_single_entries(name):
    tree = Tree(name, alloc=False)
    tree.mem.set_ma_flags(tree.tree, 0)
    for entry in (0, 0x1234500, 0x9, 0x406, 0x1234506 & ~2):
        tree.mem.set_ma_root(tree.tree, entry)
        assert validate(tree.mem, tree.tree) == []


@pytest.mark.parametrize("path", sorted(CAPTURES.glob("*.json*")), ids=lambda path: path.name)
def test_captures_are_valid(path):
    image = load(str(path))
    report = check(image.memory, image.tree)
    assert report.violations == []
    raw = path.read_bytes()
    doc = json.loads(lzma.decompress(raw) if path.suffix == ".xz" else raw)
    assert (report.nodes, report.height) == (len(doc["nodes"]), doc["height"])


@pytest.mark.parametrize(("core", "address"), CORES.items())
def test_cores_are_valid(core, address):
    image = load(str(CAPTURES / core), tree=address)
    assert validate(image.memory, image.tree) == []


# -- struct maple_tree


def test_unreadable_tree(tree):
    found = validate(tree.mem, 0x5555550000)
    assert found == [
        Violation(0x5555550000, 0, Rule.TREE_READABLE, "a struct maple_tree", "unmapped")
    ]


def test_unknown_flags(tree):
    flags = tree.mem.ma_flags(tree.tree)
    tree.mem.set_ma_flags(tree.tree, flags | 0x80)
    fields = (tree.tree, tree.flags_at, "tree flags", "no bits beside b7f", f"{flags | 0x80:x}")
    finds(tree, fields)
    tree.mem.set_ma_flags(tree.tree, swapped(flags, 4))
    found = validate(tree.mem, tree.tree)[0]
    assert (found.rule, found.cause) == ("tree flags", "bytes swapped")


@pytest.mark.parametrize("height", [0, 1, 3, 31])
def test_height(tree, height):
    tree.mem.set_ma_flags(tree.tree, int(tree.alloc) | height << 2)
    finds(tree, (tree.tree, tree.flags_at, "tree height", "2", str(height)))


@pytest.mark.parametrize("root", [0, 0x1234500])
def test_height_of_a_tree_without_nodes(tree, root):
    tree.mem.set_ma_root(tree.tree, root)
    finds(tree, (tree.tree, tree.flags_at, "tree height", "0", "2"))


def test_root_word(tree):
    root = tree.mem.ma_root(tree.tree)
    says = (tree.tree, 8, "node word", "a node, as the height says")
    tree.mem.set_ma_root(tree.tree, root & ~2)
    finds(tree, (*says, f"{root & ~2:x}", "", "the root's bit 1 lost"))
    tree.mem.set_ma_root(tree.tree, swapped(root))
    finds(tree, (*says, f"{swapped(root):x}", "", "bytes swapped"))
    tree.mem.set_ma_root(tree.tree, root | 0x80)
    finds(tree, (tree.tree, 8, "node word", f"{root:x}", f"{root | 0x80:x}"))


def test_reserved_root_entry(tree):
    tree.mem.set_ma_flags(tree.tree, 0)
    tree.mem.set_ma_root(tree.tree, 0x402)
    finds(tree, (tree.tree, 8, "reserved entry", "an entry that mtree_store() takes", "402"))


# -- links


def test_node_word(tree):
    good = tree.held(tree.root, tree.slot_at + 8)
    tree.word(tree.root, tree.slot_at + 8, good | 0x80)
    finds(tree, (tree.root, tree.slot_at + 8, "node word", f"{good:x}", f"{good | 0x80:x}"))


@pytest.mark.parametrize(("mt", "held"), [(0, "dense"), (2, "range_64"), (9, "9")])
def test_node_type_of_a_leaf(tree, mt, held):
    tree.word(tree.root, tree.slot_at + 8, tree.right | mt << 3 | 4)
    cause = "the node reads as leaf_64: the pointer's tag is wrong"
    found = validate(tree.mem, tree.tree)
    fields = (tree.root, tree.slot_at + 8, "node type", "leaf_64", held, "", cause)
    assert found == [Violation(*fields)]


def test_alloc_flag_that_denies_the_nodes(tree):
    tree.mem.set_ma_flags(tree.tree, tree.mem.ma_flags(tree.tree) ^ 1)
    kinds = ("range_64", "arange_64") if tree.alloc else ("arange_64", "range_64")
    sees = PARENT_SLOT if tree.alloc else GAPS
    cause = "MT_FLAGS_ALLOC_RANGE and the node types disagree"
    found = validate(tree.mem, tree.tree)
    assert found == [Violation(tree.tree, 8, Rule.NODE_TYPE, *kinds, sees, cause)]


@pytest.mark.parametrize("pointer", [0x5555550000, 0xFFFFFFFFFFFFFF00, 0x200])
def test_pointer_into_nowhere(tree, pointer):
    tree.word(tree.root, tree.slot_at + 8, pointer | 0xC)
    found = validate(tree.mem, tree.tree)[0]
    kind = "null" if pointer == 0x200 else "unmapped"
    assert found == Violation(
        tree.root,
        tree.slot_at + 8,
        Rule.NODE_READABLE,
        "a pointer to a node in memory",
        f"{pointer | 0xC:x} ({kind})",
    )


def test_swapped_pointer(tree):
    word = swapped(tree.held(tree.root, tree.slot_at))
    tree.word(tree.root, tree.slot_at, word)
    expected = "a pointer to a node in memory"
    fields = (tree.root, tree.slot_at, "node readable", expected, f"{word:x} (unmapped)")
    finds(tree, (*fields, "", "bytes swapped"))


def test_null_child(tree):
    tree.word(tree.root, tree.slot_at, 0)
    fields = (tree.root, tree.slot_at, "child present", "a node", "NULL", CHILD_SLOT)
    assert Violation(*fields) in validate(tree.mem, tree.tree)


def test_a_child_twice(tree):
    word = tree.held(tree.root, tree.slot_at + 8)
    tree.word(tree.root, tree.slot_at, word)
    cause = f"the node belongs to slot 1 of node {tree.root:x}"
    expected = "a node that no other slot holds"
    fields = (tree.root, tree.slot_at, "node reached once", expected, f"{word:x}")
    finds(tree, (*fields, PARENT_SLOT, cause))


def test_a_cycle(tree):
    word = tree.root | tree.inner << 3 | 4
    tree.word(tree.root, tree.slot_at + 8, word)
    found = validate(tree.mem, tree.tree)
    expected = "a node that no other slot holds"
    fields = (tree.root, tree.slot_at + 8, "node reached once", expected, f"{word:x}")
    assert found == [Violation(*fields, CHILD_SLOT, "a cycle")]


def test_a_chain_without_an_end(name):
    machine = Machine(arches.get(name))
    mem, base = machine.mem, machine.node_base
    mem.grow_near(40 * 256)
    for i in range(40):
        node = base + i * 256
        mem.set_parent(node, machine.tree(0) | 1 if i == 0 else (node - 256) | 6)
        mem.set_pivot(node, 0, TOP)
        mem.set_slot(node, RANGE, 0, (node + 256) | 0x14)
    mem.set_ma_root(machine.tree(0), base | 0x16)
    mem.set_ma_flags(machine.tree(0), 31 << 2)
    found = validate(mem, machine.tree(0))
    assert [(v.node, v.offset, v.rule, v.actual) for v in found] == [
        (base + 29 * 256, 128, "leaf depth", "range_64 at depth 31"),
        (base + 30 * 256, 128, "leaf depth", "more"),
    ]
    assert check(mem, machine.tree(0)).nodes == 31


def test_leaf_depth(tree):
    """The right leaf becomes a node of its own, above an empty leaf."""
    mem = tree.mem
    bottom, top = tree.dead, tree.right
    mem.write(bottom, bytes(256))
    mem.write(top, mem.read(top, 8) + bytes(248))
    for node, mt, slot in ((top, tree.inner, bottom | 0xC), (bottom, LEAF, 0x1234500)):
        mem.set_pivot(node, 0, TOP)
        mem.set_slot(node, mt, 0, slot)
    mem.set_parent(bottom, top | 6)
    tree.word(tree.root, tree.slot_at + 8, top | tree.inner << 3 | 4)
    kind = "arange_64" if tree.alloc else "range_64"
    expected = "leaf_64, leaves being at depth 2"
    fields = (tree.root, tree.slot_at + 8, "leaf depth", expected, f"{kind} at depth 2")
    found = validate(mem, tree.tree)
    assert Violation(*fields) in found
    assert {v.rule for v in found} <= {"leaf depth", "gap", "metadata gap"}


def test_dead_node(tree):
    tree.mem.set_parent(tree.left, tree.left)
    fields = (tree.left, 0, "live node", f"{tree.root | 6:x} (slot 0 of node {tree.root:x})")
    held = f"{tree.left:x} (slot 0 of node {tree.left:x})"
    finds(tree, (*fields, held, "mt_validate", "dead node reachable"))


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        (lambda word: word ^ 2 << 3, "wrong parent slot"),
        (lambda word: word + 0x4400, "wrong parent node"),
        (swapped, "bytes swapped"),
        (lambda word: word ^ 4, ""),
    ],
)
def test_parent_word(tree, change, cause):
    word = tree.root | 1 << 3 | 6
    tree.mem.set_parent(tree.right, change(word))
    found = validate(tree.mem, tree.tree)
    assert [(v.node, v.offset, v.rule, v.cause) for v in found] == [
        (tree.right, 0, "parent word", cause)
    ]
    assert found[0].expected == f"{word:x} (slot 1 of node {tree.root:x})"
    assert found[0].actual.startswith(f"{change(word):x} (")
    assert found[0].kernel_check == PARENT_SLOT


def test_parent_word_that_marks_a_root(tree):
    tree.mem.set_parent(tree.right, tree.tree | 1)
    expected = f"{tree.root | 14:x} (slot 1 of node {tree.root:x})"
    held = f"{tree.tree | 1:x} (root of tree {tree.tree:x})"
    cause = "the kernel takes the node for a root"
    finds(tree, (tree.right, 0, "parent word", expected, held, "", cause))


def test_parent_word_of_the_root(tree):
    other = tree.tree + 0x40
    tree.mem.set_parent(tree.root, other | 1)
    expected = f"{tree.tree | 1:x} (root of tree {tree.tree:x})"
    cause = "a node of another tree, or the tree was moved"
    held = f"{other | 1:x} (root of tree {other:x})"
    finds(tree, (tree.root, 0, "parent word", expected, held, "", cause))


# -- pivots and data end


@pytest.mark.parametrize("value", [0x10E000, 0xFFFFF, 0xFFFF_0000_0000_0000])
def test_pivot_order(tree, value):
    tree.word(tree.left, 8 + 3 * 8, value)
    fields = (tree.left, 32, "pivot order", "103000 to 105ffe", f"{value:x}", LIMITS)
    if tree.alloc:  # the size of a NULL range follows from the pivot, so no gap is judged
        assert validate(tree.mem, tree.tree) == [Violation(*fields)]
    finds(tree, fields)


def test_pivot_below_the_node(tree):
    tree.word(tree.right, 8, 0x10DFFF)
    finds(tree, (tree.right, 8, "pivot order", "10e000 to 110ffe", "10dfff", LIMITS))


def test_swapped_pivot(tree):
    tree.word(tree.left, 8 + 3 * 8, swapped(0x104FFF))
    held = f"{swapped(0x104FFF):x}"
    finds(tree, (tree.left, 32, "pivot order", "103000 to 105ffe", held, LIMITS, "bytes swapped"))


def test_two_equal_pivots(tree):
    tree.word(tree.left, 8 + 3 * 8, 0x102FFF)
    finds(tree, (tree.left, 32, "pivot order", "103000 to 105ffe", "102fff", ""))


def test_missing_pivot(tree):
    tree.word(tree.left, 8 + 4 * 8, 0)
    finds(tree, (tree.left, 40, "pivot present", "105000 to 107ffe", "0", LIMITS))


def test_last_pivot(tree):
    tree.word(tree.left, 8 + 9 * 8, 0x10DFFE)
    finds(tree, (tree.left, 80, "last pivot", "10dfff", "10dffe", LIMITS))
    tree.word(tree.left, 8 + 9 * 8, swapped(0x10DFFF))
    held = f"{swapped(0x10DFFF):x}"
    finds(tree, (tree.left, 80, "last pivot", "10dfff", held, LIMITS, "bytes swapped"))
    tree.word(tree.left, 8 + 9 * 8, 0)
    finds(tree, (tree.left, 80, "pivot present", "10dfff", "0", LIMITS))


def test_a_left_out_last_pivot_is_fine_in_6_1():
    image = load(str(CAPTURES / "s390x-6.1.0-sleep.json"))
    mem, node = image.memory, decode(image.memory, image.tree).nodes[0].address
    end = mem.meta_end(node, LEAF)
    mem.set_pivot(node, end, 0)
    assert validate(mem, image.tree) == []


@pytest.mark.parametrize("end", [6, 11, 14, 255])
def test_data_end(tree, end):
    tree.mem.write_u8(tree.left + 248, end)
    finds(tree, (tree.left, 248, "data end", "9", str(end), LIMITS))


def test_swapped_metadata(tree):
    tree.mem.write(tree.left + 248, bytes([0] * 7 + [9]))
    found = validate(tree.mem, tree.tree)[0]
    fields = (tree.left, 248, Rule.DATA_END, "9", "0", LIMITS, "bytes swapped")
    assert found == Violation(*fields)


def test_slot_written_over_metadata(tree):
    tree.mem.write(tree.left + 248, bytes.fromhex("44 00 23 01 00 88 ff ff"))
    found = validate(tree.mem, tree.tree)[0]
    assert found.cause == "a slot taken for metadata"


def test_data_end_that_the_kernel_does_not_read(tree):
    """A leaf whose last pivot is the node's: the kernel needs no metadata, but writes it."""
    for i in range(4):
        first = 0x10F000 + i * 0x3000
        tree.kernel.mtree_store_range(tree.tree, first, first, 0x1234800 + i * 0x40)
    assert validate(tree.mem, tree.tree) == []
    assert tree.mem.meta_end(tree.right, LEAF) == 14
    tree.mem.write_u8(tree.right + 248, 13)
    finds(tree, (tree.right, 248, "data end", "14", "13", ""))


def test_stale_tail_of_a_spanning_store(tree):
    """One slot too many is kept, and counted: its pivot is the node's last index again."""
    tree.word(tree.left, 8 + 10 * 8, 0x10DFFF)
    tree.word(tree.left, 128 + 10 * 8, 0x1234500)
    tree.mem.write_u8(tree.left + 248, 10)
    finds(
        tree,
        (tree.left, 88, "unused pivot", "0", "10dfff", LIMITS, "stale tail"),
        (tree.left, 208, "unused slot", "0", "1234500", LIMITS, "stale tail"),
        (tree.left, 248, "data end", "9", "10", LIMITS, "stale tail"),
    )


def test_unused_pivot(tree):
    tree.word(tree.left, 8 + 11 * 8, 0x10FFFF)
    finds(tree, (tree.left, 96, "unused pivot", "0", "10ffff", LIMITS, "stale tail"))


def test_metadata_taken_for_a_slot(tree):
    """With a word in the place of its last pivot a leaf seems full, without metadata."""
    tree.word(tree.left, 8 + 14 * 8, 0x10FFFF)
    cause = "metadata taken for a slot"
    finds(tree, (tree.left, 120, "unused pivot", "0", "10ffff", LIMITS, cause))


def test_unused_slot(tree):
    tree.word(tree.left, 128 + 11 * 8, 0x1234500)
    finds(tree, (tree.left, 216, "unused slot", "0", "1234500", LIMITS, "stale tail"))


def test_unused_last_slot_of_an_arange_node(alloc_tree):
    tree = alloc_tree
    tree.word(tree.root, 80 + 9 * 8, 0x1234500)
    finds(tree, (tree.root, 152, "unused slot", "0", "1234500", "", "stale tail"))


def test_unused_bytes(tree):
    tree.mem.write_u8(tree.left + 251, 0x7F)
    finds(tree, (tree.left, 251, "unused bytes", "00", "7f 00 00 00 00", "", "stale tail"))


def test_minimum_fill(tree):
    """A leaf of two slots, each of them right."""
    mem, node = tree.mem, tree.left
    mem.write(node + 8, bytes(248))
    mem.set_pivots(node, 0, [0xFFFFF, 0x10DFFF])
    mem.set_slots(node, LEAF, 0, [0, 0x1234500])
    mem.set_meta(node, LEAF, 0, 1)
    finds(tree, (node, 248, "minimum fill", "a data end of at least 6", "1", "mt_validate"))


@pytest.mark.parametrize(("version", "small"), [("6.12", False), ("7.2", True), ("7.3", True)])
def test_minimum_fill_of_the_last_leaf_is_a_rule_since_7_2(version, small):
    """Memory where the last leaf has two entries; mt_validate of that kernel says the same."""
    tree = MapleTree("s390x", kernel=version)
    for i in range(40):
        tree.store(i, i, (i + 1) << 8)
    mem, leaf = tree.machine.mem, decode(tree.machine.mem, tree.address).nodes[-1]
    mem.write(leaf.address + 8, bytes(248))
    mem.set_pivots(leaf.address, 0, [leaf.min, leaf.max])
    mem.set_slots(leaf.address, LEAF, 0, [0x100, 0])
    mem.set_meta(leaf.address, LEAF, 0, 1)
    found = [v.rule.value for v in validate(mem, tree.address)]
    assert found == ["minimum fill"] * small
    assert tree.kernel.mt_validate(tree.address) is not small


# -- gaps


def test_gap(alloc_tree):
    tree = alloc_tree
    tree.word(tree.root, 160, 0xFFFFF)
    finds(tree, (tree.root, 160, "gap", "100000", "fffff", GAPS))
    tree.word(tree.root, 160, swapped(0x100000))
    held = f"{swapped(0x100000):x}"
    finds(tree, (tree.root, 160, "gap", "100000", held, GAPS, "bytes swapped"))


def test_gap_after_an_entry_became_null(alloc_tree):
    tree = alloc_tree
    tree.word(tree.right, 128 + 9 * 8, 0)
    found = validate(tree.mem, tree.tree)
    assert [(v.node, v.offset, v.rule) for v in found] == [
        (tree.right, 200, "null run"),
        (tree.right, 208, "null run"),
    ]


def test_unused_gap(alloc_tree):
    tree = alloc_tree
    tree.word(tree.root, 160 + 5 * 8, 0x1000)
    finds(tree, (tree.root, 200, "unused gap", "0", "1000", GAPS, "stale tail"))


@pytest.mark.parametrize("offset", [0, 2, 200])
def test_metadata_gap(alloc_tree, offset):
    tree = alloc_tree
    tree.mem.write_u8(tree.root + 241, offset)
    finds(tree, (tree.root, 241, "metadata gap", "1", str(offset), GAPS))


def test_metadata_gap_of_a_leaf(tree):
    tree.mem.write_u8(tree.left + 249, 3)
    finds(tree, (tree.left, 249, "metadata gap", "0", "3"))


# -- entries


def test_two_nulls(tree):
    tree.word(tree.left, 128 + 3 * 8, 0)
    said = ("null run", "an entry after NULL", "NULL", "mt_validate_nulls")
    found = validate(tree.mem, tree.tree)
    assert found == [Violation(tree.left, 152, *said), Violation(tree.left, 160, *said)]


def test_null_at_the_end_and_two_nulls_across_leaves(tree):
    tree.word(tree.left, 128 + 9 * 8, 0)
    found = [v for v in validate(tree.mem, tree.tree) if v.rule != "gap"]
    nulls = ("an entry after NULL", "NULL", "mt_validate_nulls")
    assert found == [
        Violation(tree.left, 200, Rule.NULL_RUN, *nulls),
        Violation(tree.left, 200, Rule.NULL_AT_END, "an entry in the last slot", "NULL"),
        Violation(tree.right, 128, Rule.NULL_RUN, *nulls),
    ]


@pytest.mark.parametrize("entry", [0x2, 0x402])
def test_reserved_entry(tree, entry):
    tree.word(tree.left, 136, entry)
    said = ("reserved entry", "an entry that mtree_store() takes", f"{entry:x}")
    finds(tree, (tree.left, 136, *said))


def test_entries_that_the_kernel_takes(tree):
    for entry in (1, 0xE << 56, 0x406, 0x40A, TOP, TOP & ~1, 0x1234506):
        tree.word(tree.left, 136, entry)
        assert validate(tree.mem, tree.tree) == []


# -- several, and any


def test_every_violation_is_listed(tree):
    tree.mem.write_u8(tree.left + 248, 7)
    tree.mem.set_parent(tree.right, tree.root | 6)
    tree.word(tree.right, 128 + 12 * 8, 0x99)
    found = validate(tree.mem, tree.tree)
    assert [(v.node, v.offset, v.rule) for v in found] == [
        (tree.left, 248, "data end"),
        (tree.right, 0, "parent word"),
        (tree.right, 224, "unused slot"),
    ]


def test_text_and_json(tree):
    tree.mem.write_u8(tree.left + 248, 7)
    (found,) = validate(tree.mem, tree.tree)
    node = f"{tree.left:x}"
    assert str(found) == f"{node}+248 data end: expected 9, found 7 [mas_validate_limits]"
    assert found.as_json() == {
        "node": node,
        "offset": 248,
        "rule": "data end",
        "expected": "9",
        "actual": "7",
        "kernel_check": "mas_validate_limits",
        "cause": "",
    }
    assert json.loads(json.dumps(found.as_json())) == found.as_json()


def test_garbage_is_given_up(name, monkeypatch):
    monkeypatch.setattr(links, "MAX_VIOLATIONS", 10)
    tree = Tree(name, alloc=False)
    tree.mem.write(tree.left + 8, bytes(range(1, 249)))
    found = validate(tree.mem, tree.tree)
    assert len(found) == 11
    assert found[-1].rule == "too many violations"


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(sorted(CAPTURES.glob("*-m*.json"))), st.data())
def test_damage_never_stops_the_validator(path, data):
    """Whatever words change, it ends, and what it says can be printed."""
    image = load(str(path))
    mem = image.memory
    bases = [arena.base for arena in mem.arenas]
    for _ in range(data.draw(st.integers(1, 12))):
        arena = mem.arena_at(data.draw(st.sampled_from(bases)))
        at = data.draw(st.integers(0, len(arena.data) // 8 - 1)) * 8
        pointers = st.builds(
            lambda base, tag: (base & ~0xFF) | tag,
            st.sampled_from(bases),
            st.sampled_from([0x6, 0xC, 0xE, 0x14, 0x1C, 0x1E]),
        )
        word = data.draw(pointers | st.integers(0, TOP))
        arena.data[at : at + 8] = word.to_bytes(8, mem.arch.byteorder)
    for violation in validate(mem, image.tree):
        assert str(violation)
        json.dumps(violation.as_json())


@pytest.mark.parametrize("order", ["little", "big"])
def test_32_bit_layouts(order):
    """Sizes come from the machine: no 32-bit machine needs to be registered for this."""
    host = arches.get("x86_64" if order == "little" else "s390x")
    arch = arches.Arch(
        name="narrow",
        byteorder=order,
        word_size=4,
        page_size=4096,
        strict_alignment=False,
        kernel_nodes=(0xC0000000, 0xFFFFFFFF),
        user=((0, 0xBFFFFFFF),),
        word_fault=host.word_fault,
        long_align=4,
    )
    machine = Machine(arch)
    tree = machine.tree(0)
    machine.kernel.mt_init_flags(tree, 1)
    for i in range(100):
        machine.kernel.mtree_store_range(tree, i * 0x300, i * 0x300 + 0x1FF, 0x1000 + i * 4)
    report = check(machine.mem, tree)
    assert (report.violations, report.height) == ([], 2)
    leaf = decode(machine.mem, tree).nodes[1].address
    machine.mem.write_u8(leaf + 252, 3)
    (found,) = validate(machine.mem, tree)
    assert (found.node, found.offset, found.rule, found.actual) == (leaf, 252, "data end", "3")


def test_dumps_of_the_kernel(tree):
    """Every state on the way to a larger tree is valid."""
    for i in range(60):
        first = (i * 37 % 60) * 0x800
        tree.kernel.mtree_store_range(tree.tree, first, first + 0x3FF, 0x1234000 + i * 8)
        assert validate(tree.mem, tree.tree) == []


def test_memory_is_not_touched(tree):
    before = [bytes(arena.data) for arena in tree.mem.arenas]
    assert isinstance(tree.mem, NodeMemory)
    validate(tree.mem, tree.tree)
    assert [bytes(arena.data) for arena in tree.mem.arenas] == before
