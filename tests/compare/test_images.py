import pytest

import arches
from layout.compare.image_diff_text import lines
from layout.compare.images import RangeChange, diff_images
from layout.mapletree import MapleTree
from layout.memory.pointers import mte_to_node
from layout.show.text import plain
from layout.traces.snapshot import snapshot
from layout.traces.source import TraceText

BASE = "init 1\nstore 10 20 3001\nstore 30 3f 3003\nstore 50 5f 3005\n"


def image(text, arch="s390x", source="a"):
    return snapshot(TraceText(text.encode(), source), arch=arches.get(arch))


def text_of(diff):
    return [plain(line) for line in lines(diff, ("a", "b"))]


def test_nothing_differs_across_byte_orders():
    diff = diff_images(image(BASE), image(BASE, "x86_64"))
    assert not diff
    assert diff.equal_nodes == 1
    assert diff.as_json() == {"words": [], "ranges": [], "nodes": []}


def test_ranges_that_came_went_and_changed():
    more = BASE + "store 21 2f 3007\nerase 35\nstore 50 6f 3005\nstore 10 20 3009\n"
    diff = diff_images(image(BASE), image(more, "x86_64"))
    assert diff.ranges == (
        RangeChange((0x10, 0x20, 0x3001), (0x10, 0x20, 0x3009)),
        RangeChange(None, (0x21, 0x2F, 0x3007)),
        RangeChange((0x30, 0x3F, 0x3003), None),
        RangeChange((0x50, 0x5F, 0x3005), (0x50, 0x6F, 0x3005)),
    )
    [node] = diff.nodes
    assert [field.name for field in node.fields if field.used][:3] == [
        "pivot[3]",
        "pivot[4]",
        "pivot[5]",
    ]
    assert not node.reused
    assert text_of(diff)[3:7] == [
        "~ 10-20 3001 -> 10-20 3009",
        "+ 21-2f 3007",
        "- 30-3f 3003",
        "~ 50-5f 3005 -> 50-6f 3005",
    ]


def test_every_field_is_in_the_json_and_long_runs_are_folded_in_text():
    diff = diff_images(image(BASE), image(BASE.replace("300", "500")))
    fields = diff.as_json()["nodes"][0]["fields"]
    assert [field["field"] for field in fields] == ["slot[1]", "slot[3]", "slot[5]"]
    assert fields[0] == {
        "field": "slot[1]",
        "offset": 136,
        "values": ["3001", "5001"],
        "used": True,
    }
    many = "init 0\n" + "".join(f"store {i:x} {i:x} {0x3001 + 4 * i:x}\n" for i in range(12))
    folded = text_of(diff_images(image(many), image(many.replace("30", "70"))))
    assert "    ... 10 more up to" in folded
    assert "    slot[11]   byte 216  302d -> 702d" in folded


def test_nodes_that_came_and_a_root_that_is_another_node_now():
    few = "init 1\n" + "".join(f"store {i:x} {i:x} 3001\n" for i in range(14))
    many = few + "".join(f"store {i:x} {i:x} 3001\n" for i in range(14, 20))
    diff = diff_images(image(few), image(many))
    assert [word.name for word in diff.words] == ["ma_flags", "ma_root"]
    came = [change for change in diff.nodes if change.before is None]
    went = [change for change in diff.nodes if change.after is None]
    assert (len(came), len(went), diff.equal_nodes) == (3, 1, 0)
    assert any("height 1, alloc range -> height 2, alloc range" in line for line in text_of(diff))


def test_a_node_that_was_freed_and_taken_again_elsewhere():
    tree = MapleTree("s390x", alloc_range=True)
    for i in range(40):
        tree.store(i, i, 0x3001)
    before = snapshot_of(tree)
    for i in range(0, 40, 2):
        tree.erase(i)
    for i in range(100, 160):
        tree.store(i, i, 0x5001)
    diff = diff_images(before, tree.image())
    reused = [change for change in diff.nodes if change.reused]
    assert reused
    assert all(change.before.address == change.after.address for change in reused)
    assert any(line.startswith("  reused, now ") for line in text_of(diff))


FORTY = "init 3\n" + "".join(f"store {2 * i:x} {2 * i:x} {0x3001 + 4 * i:x}\n" for i in range(40))


def test_nodes_that_were_replaced_name_their_successors_and_what_became_of_their_memory():
    diff = diff_images(image(FORTY), image(FORTY + "erase 2\n"))
    assert [change.kind for change in diff.nodes] == ["changed", "replaced", "came"]
    [_, gone, come] = diff.nodes
    assert gone.successors == (come.after,)
    assert gone.before[1:] == come.after[1:]
    assert gone.fate == "dead"
    assert diff.as_json()["nodes"][1]["replaced_by"] == [f"{come.after.address:x}"]
    [*_, by, memory, _] = text = text_of(diff)
    assert "nodes: 1 came, 0 went, 1 changed, 1 replaced, 5 equal" in text
    assert by == f"  replaced by {come.after.address:x}"
    assert memory == "  its memory: a dead node, perhaps freed"


@pytest.mark.parametrize(
    ("data", "fate"), [(bytes(256), "wiped"), (b"\x01" * 256, "reused"), (None, "unchanged")]
)
def test_what_the_memory_of_a_node_that_went_holds(data, fate):
    before, after = image(FORTY), image(FORTY + "erase 2\n")
    gone = next(c.before for c in diff_images(before, after).nodes if c.kind == "replaced")
    old = before.memory.read(gone.address, 256)
    after.memory.write(gone.address, data or old)
    diff = diff_images(before, after)
    assert [change.fate for change in diff.nodes if change.kind == "replaced"] == [fate]


@pytest.mark.long
def test_leaves_of_a_tree_that_grows_are_deeper_and_not_reused():
    few = "init 0\n" + "".join(f"store {i:x} {i:x} 3001\n" for i in range(0x80))
    for more in range(0x80, 0x200):
        few, before = f"{few}store {more:x} {more:x} 3001\n", few
        if len(diff_images(image(before), image(few)).words) == 2:  # the root and the height
            break
    diff = diff_images(image(before), image(few))
    deeper = [c for c in diff.nodes if c.before and c.after and c.after.depth > c.before.depth]
    assert deeper
    assert not any(change.reused for change in deeper)


def snapshot_of(tree):
    """The tree's image as it is now, in memory of its own."""
    copy = MapleTree("s390x", alloc_range=True)
    machine = copy.machine
    machine.restore(tree.machine.save())
    assert mte_to_node(machine.mem.ma_root(tree.address)) == mte_to_node(
        tree.machine.mem.ma_root(tree.address)
    )
    return copy.image()


def test_trees_at_other_addresses_are_matched_by_place():
    one, two = MapleTree("s390x"), MapleTree("s390x")
    MapleTree(machine=two.machine).store(1, 2, 0x7001)
    for tree in (one, two):
        for i in range(40):
            tree.store(2 * i, 2 * i, 0x3001)
    other = MapleTree(machine=two.machine)
    for i in range(40):
        other.store(2 * i, 2 * i, 0x3001)
    diff = diff_images(one.image(), other.image())
    assert [change for change in diff.nodes if change.before is None or change.after is None] == []
    assert not diff.ranges
