import copy
import errno
import pickle

import pytest
from machines import THREE

import arches
from layout import MapleTree, Range
from layout.machine.machine import Machine
from layout.memory.errors import BrokenTree, KernelError, UsageError

TOP = 2**64 - 1
pytestmark = pytest.mark.parametrize("arch", THREE)


def test_ranges_in_both_directions(arch):
    tree = MapleTree(arch)
    for i in range(40):
        tree.store(i * 10, i * 10 + 4, i << 1 | 1)
    everything = [Range(i * 10, i * 10 + 4, i << 1 | 1) for i in range(40)]
    assert list(tree) == everything
    assert list(reversed(tree)) == everything[::-1]
    assert list(tree.ranges(12, 33)) == everything[1:4]
    assert list(tree.ranges_reversed(12, 33)) == everything[1:4][::-1]
    assert list(tree.ranges(15, 19)) == []
    assert list(tree.ranges_reversed(15, 19)) == []
    assert len(tree) == 40
    assert (14 in tree, 15 in tree) == (True, False)
    assert tree.height == 2
    assert [node.depth for node in tree.nodes()][:2] == [0, 1]


def test_a_tree_may_change_while_it_is_iterated(arch):
    tree = MapleTree(arch, rcu=True)
    for i in range(60):
        tree.store(i * 10, i * 10 + 4, i << 1 | 1)
    for found in tree:
        tree.erase(found.first)
    assert list(tree) == []
    assert not tree


def test_whole_address_space(arch):
    tree = MapleTree(arch)
    tree.store(0, TOP, 0x1001)
    assert list(tree) == [Range(0, TOP, 0x1001)] == list(reversed(tree))
    assert list(tree.gaps()) == []
    tree.clear()
    assert list(tree.gaps()) == [Range(0, TOP, 0)]


def test_single_entry_in_the_root(arch):
    tree = MapleTree(arch)
    tree.store(0, 0, 0x1001)
    assert (tree.height, list(tree), list(reversed(tree))) == (
        0,
        [Range(0, 0, 0x1001)],
        [Range(0, 0, 0x1001)],
    )
    assert tree.range_at(7) == Range(1, TOP, 0)
    assert list(tree.gaps(0, 9)) == [Range(1, 9, 0)]


def test_refusals_are_kernel_errors(arch):
    tree = MapleTree(arch, alloc_range=True)
    tree.store(10, 19, 0x1001)
    with pytest.raises(KernelError, match="EEXIST") as caught:
        tree.insert(15, 30, 0x2001)
    assert caught.value.errno == errno.EEXIST
    with pytest.raises(KernelError, match="EINVAL"):
        tree.store(20, 10, 0x2001)
    with pytest.raises(KernelError, match="EINVAL"):
        tree.store(20, 30, 0x402)  # reserved
    with pytest.raises(KernelError, match="EBUSY"):
        tree.find_empty_area(100, 0, 100)
    tree.machine.cache.fail(0, None, nowait_only=False)
    with pytest.raises(KernelError, match="ENOMEM"):
        MapleTree(machine=tree.machine).store(5, 6, 0x1001)
    with pytest.raises(ValueError, match="does not fit"):
        tree.load(TOP + 1)
    with pytest.raises(ValueError, match="does not fit"):
        tree.store(0, 1, -1)
    assert list(tree) == [Range(10, 19, 0x1001)]


@pytest.mark.parametrize("wrong", [1.0, "1", None, 0x1001 + 0j])
@pytest.mark.parametrize(
    "call",
    [
        lambda tree, wrong: tree.load(wrong),
        lambda tree, wrong: tree.store(wrong, 2, 0x1001),
        lambda tree, wrong: tree.store(1, 2, wrong),
        lambda tree, wrong: tree.insert(1, wrong, 0x1001),
        lambda tree, wrong: tree.erase(wrong),
        lambda tree, wrong: tree.range_at(wrong),
        lambda tree, wrong: list(tree.ranges(wrong)),
        lambda tree, wrong: list(tree.ranges_reversed(wrong)),
        lambda tree, wrong: list(tree.gaps(wrong)),
        lambda tree, wrong: tree.find_empty_area(wrong),
        lambda tree, wrong: wrong in tree,
        lambda tree, wrong: tree.preallocate(1, 2, wrong).__enter__(),
    ],
)
def test_indexes_and_entries_are_integers(arch, call, wrong):
    tree = MapleTree(arch, alloc_range=True)
    tree.store(10, 19, 0x1001)
    with pytest.raises(TypeError, match="cannot be interpreted as an integer"):
        call(tree, wrong)
    assert list(tree) == [Range(10, 19, 0x1001)]


@pytest.mark.parametrize("copied", [copy.deepcopy, pickle.dumps])
def test_what_lies_on_a_machine_is_not_copied_by_python(arch, copied):
    tree = MapleTree(arch)
    for each in (tree, tree.machine, [tree]):
        with pytest.raises(
            TypeError, match=r"can't be copied or pickled.*MapleTree\.copy\(\) copies a"
        ):
            copied(each)


def test_free_areas(arch):
    tree = MapleTree(arch, alloc_range=True)
    tree.store(10, 19, 0x1001)
    assert tree.find_empty_area(10) == Range(0, 9, 0)
    assert tree.find_empty_area(11) == Range(20, 30, 0)
    assert tree.find_empty_area(5, 0, 18, reverse=True) == Range(5, 9, 0)
    with pytest.raises(UsageError, match="alloc_range=True"):
        MapleTree(arch).find_empty_area(1)


def test_copy_is_independent(arch):
    tree = MapleTree(arch, alloc_range=True, rcu=True)
    for i in range(100):
        tree.store(i * 2, i * 2, i << 1 | 1)
    copy = tree.copy()
    tree.clear()
    assert len(copy) == 100
    copy.check()
    assert copy.machine is tree.machine
    assert copy.address != tree.address


def test_readers_hold_up_frees(arch):
    tree = MapleTree(arch, rcu=True)
    for i in range(30):
        tree.store(i, i, i << 1 | 1)
    cache = tree.machine.cache
    numbers = [(node.address - cache.base) // 256 for node in tree.nodes()]
    assert len(numbers) > 1
    with tree.read_section():
        for i in range(30):
            tree.store(i, i, 0)
        assert not any(cache.freed_map[number] for number in numbers)
    assert all(cache.freed_map[number] for number in numbers)


def test_preallocation(arch):
    tree = MapleTree(arch, rcu=True)  # so that every store needs a node
    for i in range(16):
        tree.store(i * 10, i * 10 + 9, 0x1001)
    cache = tree.machine.cache
    with tree.preallocate(5, 6, 0x2001) as write:
        assert write.nodes > 0
        cache.fail(0, None, nowait_only=False)
        write.store()
        with pytest.raises(UsageError, match="spent"):
            write.store()
    assert tree.load(5) == 0x2001
    cache.fail(None, None, nowait_only=False)
    live = cache.allocated - cache.freed
    with tree.preallocate(7, 8, 0x2001):
        pass
    assert cache.allocated - cache.freed == live == len(tree.nodes())


def test_check_tells_what_is_broken(arch):
    tree = MapleTree(arch)
    tree.store(10, 19, 0x1001)
    tree.check()
    [node] = tree.nodes()
    tree.machine.mem.set_pivot(node.address, 0, 12)
    tree.machine.mem.set_pivot(node.address, 1, 11)
    with pytest.raises(BrokenTree, match="piv 11 < prev_piv 12") as caught:
        tree.check()
    assert "maple_tree(0000000fffff0000) flags 4, height 1" in str(caught.value)
    assert tree.kernel.log == []


def test_dumps(arch):
    tree = MapleTree(arch)
    tree.store(10, 19, 0x1001)
    assert "0000001000000000" in tree.dump()
    assert "slot 1 is for a-13" in tree.dump(fields=True)
    assert tree.mt_dump().startswith("maple_tree(0000000fffff0000) flags 4, height 1 root")
    assert repr(tree) == f"<MapleTree fffff0000 on {arch}, height 1>"


def test_advanced_operations_on_a_state(arch):
    tree = MapleTree(arch)
    tree.store(10, 19, 0x1001)
    mas = tree.state(12)
    assert tree.kernel.mas_walk(mas) == 0x1001
    assert (mas.index, mas.last, mas.offset) == (10, 19, 1)
    assert "active" in repr(mas)


def test_machines_have_room_for_many_trees(arch):
    machine = Machine(arches.get(arch))
    trees = [MapleTree(machine=machine) for _ in range(1024)]
    assert trees[9].address - trees[0].address == 9 * 0x40
    with pytest.raises(UsageError, match="1024 trees"):
        MapleTree(machine=machine)
