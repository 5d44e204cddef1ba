"""Kernel versions: which class has the operations, and what a version has not."""

import pytest

import arches
from layout import MapleTree
from layout.machine.equip import equip
from layout.machine.machine import Machine
from layout.machine.watch.check import CHECK
from layout.machine.watch.ledger import LEDGER
from layout.memory.errors import UsageError
from layout.tree.kernel import Kernel
from layout.tree.state import WR_APPEND, WR_NODE_STORE
from layout.tree.v7_2.kernel import GONE, Kernel72
from layout.tree.versions import KERNELS, kernel_of

NEWER = ["7.2", "7.3"]


def machine(version, arch="s390x"):
    return Machine(arches.get(arch), kernel=kernel_of(version))


def test_each_version_has_its_class():
    assert list(KERNELS) == ["6.12", "7.2", "7.3"]
    assert kernel_of("6.12.117") is Kernel
    with pytest.raises(UsageError, match=r"kernel '6.18' are not known: choose one of 6.12, 7.2"):
        kernel_of("6.18")


def test_what_is_gone_was_there():
    assert {name for name in GONE if not hasattr(Kernel, name)} == set()


@pytest.mark.parametrize("version", NEWER)
def test_what_is_gone_says_so(version):
    kernel = machine(version).kernel
    with pytest.raises(UsageError, match=f"Linux {version} has no mas_expected_entries"):
        kernel.mas_expected_entries(kernel.new_state(0), 5)


@pytest.mark.parametrize(("version", "depths"), [("6.12", 1), ("7.2", 0), ("7.3", 0)])
def test_the_root_is_at_a_depth(version, depths):
    made = machine(version)
    kernel, tree = made.kernel, made.tree(0)
    kernel.mtree_store_range(tree, 5, 9, 0x1000)
    mas = kernel.new_state(tree, 6)
    assert kernel.mas_walk(mas) == 0x1000
    assert mas.depth == depths


@pytest.mark.parametrize(
    ("version", "kind"), [("6.12", WR_NODE_STORE), ("7.2", WR_NODE_STORE), ("7.3", WR_APPEND)]
)
def test_a_small_root_is_appended_to_since_7_3(version, kind):
    made = machine(version)
    kernel, tree = made.kernel, made.tree(0)
    kernel.mtree_store_range(tree, 0, 9, 0x1000)
    mas = kernel.new_state(tree, 20, 29)
    assert kernel.mas_preallocate(mas, 0x2000) == 0
    assert mas.store_type == kind
    kernel.mas_destroy(mas)


@pytest.mark.parametrize(("version", "erased"), [("6.12", False), ("7.2", False), ("7.3", True)])
def test_erasing_cannot_fail_since_7_3(version, erased):
    made = machine(version)
    kernel, tree = made.kernel, made.tree(0)
    kernel.mt_set_in_rcu(tree)
    for i in range(8):
        kernel.mtree_store_range(tree, i * 0x10, i * 0x10 + 5, 0x1000)
    made.cache.fail(0, None, nowait_only=False)
    made.begin(1, "erase")
    assert kernel.mtree_erase(tree, 0x20) == 0x1000
    assert (kernel.mtree_load(tree, 0x20) == 0) == erased
    assert made.cache.calls == ["!n1", "k1" if erased else "!k1"]


@pytest.mark.parametrize("version", NEWER)
def test_an_empty_tree_is_dumped_in_a_word(version):
    made = machine(version)
    made.kernel.mt_dump(made.tree(0))
    assert made.kernel.log[-1] == "(empty)\n"


@pytest.mark.parametrize("version", NEWER)
def test_watches_stand_in_front_of_any_version(version):
    watched = equip("s390x", watch=[CHECK, LEDGER], version=version)
    assert isinstance(watched.kernel, Kernel72)
    assert watched.kernel.version == version
    assert watched.profile.version == version


@pytest.mark.parametrize("kernel", ["6.12", "7.2.13", "7.3"])
def test_a_tree_has_the_operations_of_a_kernel(kernel):
    tree = MapleTree("s390x", kernel=kernel, alloc_range=True)
    assert kernel.startswith(tree.kernel.version)
    for i in range(100):
        tree.store(i * 16, i * 16 + 7, (i + 1) * 0x1000)
    tree.store(0x55, 0x333, 0)
    tree.check()
    assert tree.copy() == tree
    assert len(tree) == 100 - 45
    assert tree.machine.profile.version == tree.kernel.version


def test_kernels_differ_in_nodes_not_in_ranges():
    trees = [MapleTree(kernel=kernel) for kernel in ("6.12", "7.3")]
    for tree in trees:
        for i in range(0, 2000, 3):
            tree.store(i * 7 % 2000, i * 7 % 2000, i + 1 << 8)
    old, new = trees
    assert list(old) == list(new)
    assert len(old.nodes()) != len(new.nodes())


def test_a_kernel_is_of_a_machine():
    with pytest.raises(UsageError, match="are not known: choose one of"):
        MapleTree(kernel="6.18")
    with pytest.raises(UsageError, match="kernel, defects and watches are of a machine"):
        MapleTree(machine=MapleTree().machine, kernel="7.3")
    with pytest.raises(UsageError, match="R4 changes mas_preallocate, and kernel"):
        MapleTree(kernel="7.2", defects=["R4"])
