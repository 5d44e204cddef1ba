import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st

import arches
from layout import MapleTree
from layout.images.decode import decode
from layout.memory.pointers import LEAF_64, XA_ZERO_ENTRY, xa_is_advanced
from layout.testing.checked import check
from layout.testing.machines import DEFAULT
from layout.testing.strategies import (
    KINDS,
    architectures,
    corruptions,
    counts,
    entries,
    images,
    indexes,
    nearly_full_root,
    operations,
    ranges,
    sizes,
    traces,
    trees,
)

QUICK = settings(
    max_examples=200,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)
MACHINES = pytest.mark.parametrize("arch", ["s390x", "sparc64", "m68k"])


def drawn(strategy, count=200):
    """What a strategy gives in so many examples."""
    found = []

    @settings(QUICK, max_examples=count, phases=[Phase.generate])
    @given(strategy)
    def draw(value):
        found.append(value)

    draw()
    return found


def test_architectures():
    assert set(drawn(architectures(), 100)) == set(DEFAULT)
    assert set(drawn(architectures("32bit"), 100)) == {"arm", "hppa", "i386", "m68k", "mips"}
    assert find(architectures(), lambda _: True) == "x86_64"


@MACHINES
def test_indexes_are_at_the_edges(arch):
    machine = arches.get(arch)
    top, page = machine.ulong_max, machine.page_size
    found = set(drawn(indexes(arch, near=(0x7777,)), 1000))
    assert all(0 <= index <= top for index in found)
    assert {0, 1, top - 1, top, top // 2, top // 2 + 1, 0x7776, 0x7777, 0x7778} <= found
    assert {end + beside for end in machine.user[-1] for beside in (0, 1)} & found
    for beside in (-1, 0, 1):
        assert any((index - beside) % page == 0 for index in found - {0, 1})
    assert find(indexes(arch), lambda index: index > 17) == 18


@MACHINES
def test_ranges_and_sizes(arch):
    top = arches.get(arch).ulong_max
    found = drawn(ranges(arch))
    assert all(0 <= first <= last <= top for first, last in found)
    assert any(first == last for first, last in found)
    assert any(last - first > top // 4 for first, last in found)
    assert find(ranges(arch), lambda _: True) == (0, 0)
    assert min(drawn(sizes(arch))) == 1


@MACHINES
def test_entries(arch):
    machine = arches.get(arch)
    plain, odd = set(drawn(entries(arch))), set(drawn(entries(arch, null=True, reserved=True)))
    assert not any(entry == 0 or xa_is_advanced(entry) for entry in plain)
    assert XA_ZERO_ENTRY in plain
    assert any(entry > machine.ulong_max // 2 for entry in plain)
    assert any(entry & 1 for entry in plain)
    assert 0 in odd
    assert any(xa_is_advanced(entry) for entry in odd)
    assert max(odd) <= machine.ulong_max


@pytest.mark.parametrize("arch", arches.names())
def test_counts_reach_metadata_in_a_root(arch):
    """With so many contiguous ranges in order, and not with one fewer."""
    tree, wanted = MapleTree(arch), nearly_full_root(arch)
    children = []
    for i in range(wanted):
        tree.store(i * 16, i * 16 + 15, i << 1 | 1)
        if i >= wanted - 2:
            children.append(sum(node.depth == 1 for node in tree.nodes()))
    slots = tree.machine.profile.sizes.slots[LEAF_64]
    assert children == [slots - 2, slots - 1]
    assert {slots - 1, slots, slots + 1, wanted} <= set(drawn(counts(arch)))


@MACHINES
def test_traces_are_right_on_a_right_kernel(arch):
    @settings(QUICK, max_examples=12)
    @given(traces(arch, max_steps=4 if arch == "m68k" else 10))
    def hold(trace):
        assert trace.arch == arch
        check(trace, every=50)

    hold()


WRITTEN = {
    "store": "store storenw mstore",
    "fill": "store",
    "erase": "erase",
    "insert": "insert",
    "prealloc": "prealloc",
    "read": "load walk find find_after next prev iter",
    "cursor": "cset cnext cprev cfind cfind_rev cnext_range cprev_range cfind_range cfind_range_rev cstore cerase",
    "alloc": "alloc_range alloc_rrange empty_area empty_area_rev",
    "bulk": "bulk",
    "dup": "dup sel",
    "destroy": "destroy",
    "rcu": "rcu",
    "fail": "fail failnw store storenw mstore insert erase prealloc",
}


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_step(kind):
    found = drawn(
        traces("x86_64", only=(kind,), max_steps=8, alloc_range=True), 12 if kind == "fill" else 40
    )
    seen = {line.split()[0] for trace in found for line in trace.text.splitlines()}
    assert seen - {"init"} == set(WRITTEN[kind].split())
    for trace in found[:5]:
        check(trace, every=1000)


def test_single_operations():
    for operation in drawn(operations("m68k"), 50):
        assert len(str(operation).split()) == 1 + len(operation.args)
        assert operation.op in ("store", "storenw", "mstore", "insert", "erase", "prealloc", "load", "walk", "find", "find_after", "next", "prev", "iter")  # fmt: skip


@settings(QUICK, max_examples=10)
@given(st.data())
def test_trees_know_how_they_grew(data):
    tree = data.draw(trees(data.draw(architectures()), max_steps=4))
    tree.check()
    assert tree.recorder.replays()
    assert str(tree.recorder.operations[0]).startswith("init")


def test_images_are_right_however_they_look():
    seen = set()
    for arch in ("s390x", "m68k"):
        for odd in drawn(images(arch), 30):
            seen.add(odd.oddity)
            found = decode(odd.image.memory, odd.tree.address)
            assert (tuple(found.ranges), found.problems) == (odd.ranges, [])
            assert len(odd.ranges) == len({first for first, _, _ in odd.ranges}) > 4
    assert len(seen) == 4


@settings(QUICK, max_examples=60)
@given(st.data())
def test_a_corruption_changes_one_byte(data):
    tree = data.draw(images(data.draw(architectures()))).tree
    before = tree.nodes()
    damage = data.draw(corruptions(tree))
    mem = tree.machine.mem
    raw = mem.read(damage.node, 256)
    damage.apply(mem)
    changed = mem.read(damage.node, 256)
    assert [i for i in range(256) if raw[i] != changed[i]] == [damage.offset]
    assert str(damage) == f"poke {damage.node:x} {damage.offset:x} {changed[damage.offset]:x}"
    damage.undo(mem)
    assert [node.raw for node in tree.nodes()] == [node.raw for node in before]


@pytest.mark.parametrize("kernel", ["7.3"])
def test_traces_for_later_kernels(kernel):
    @settings(QUICK, max_examples=12)
    @given(architectures("s390x", "arm").flatmap(lambda arch: traces(arch, kernel=kernel)))
    def every_trace_is_right(trace):
        assert trace.kernel == kernel
        assert all(operation.op != "bulk" for operation in trace.operations())
        check(trace)

    @settings(QUICK, max_examples=6)
    @given(trees("s390x", kernel=kernel), images("x86_64", kernel))
    def trees_are_of_that_kernel(tree, odd):
        assert tree.kernel.version == odd.tree.kernel.version == kernel
        assert tuple(decode(odd.image.memory, odd.image.tree).ranges) == odd.ranges

    every_trace_is_right()
    trees_are_of_that_kernel()
