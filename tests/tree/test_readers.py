"""Readers that hold a node which a writer replaces: they meet a dead node and start again."""

import pytest
from machines import THREE

from layout.memory.errors import MachineFault
from layout.memory.pointers import NODE_MASK
from layout.tree.state import MA_ACTIVE

TOP = 2**64 - 1
pytestmark = pytest.mark.maple_arch(*THREE)


@pytest.fixture
def tree(make_maple_tree):
    tree = make_maple_tree(rcu=True)
    for i in range(60):
        tree.store(i * 10, i * 10 + 4, i << 1 | 1)
    return tree


def replace_leaf(tree, index):
    """Make the writer replace the leaf around ``index`` without changing what readers look for."""
    tree.store(index + 6, index + 7, 0x7001)
    tree.store(index + 6, index + 7, 0)


@pytest.mark.parametrize("at", [100, 290, 300, 590])
def test_next_and_prev_go_on_from_where_they_were(tree, at):
    kernel = tree.kernel
    with tree.read_section():
        for step, expected in (
            (lambda mas: kernel.mas_next(mas, TOP), at + 10),
            (lambda mas: kernel.mas_prev(mas, 0), at - 10),
            (lambda mas: kernel.mas_find(mas, TOP), at + 10),
            (lambda mas: kernel.mas_find_rev(mas, 0), at - 10),
        ):
            mas = tree.state(at)
            assert kernel.mas_walk(mas) == at // 10 << 1 | 1
            node = mas.node & ~NODE_MASK
            replace_leaf(tree, at)
            assert kernel.ma_dead_node(node)
            found = step(mas)
            if expected > 590:
                assert found == 0
            else:
                assert (found, mas.index) == (expected // 10 << 1 | 1, expected)
                assert mas.node & ~NODE_MASK != node
                assert mas.status == MA_ACTIVE


def test_whole_iteration_while_every_leaf_is_replaced(tree):
    kernel = tree.kernel
    seen = []
    with tree.read_section():
        mas = tree.state(0)
        while value := kernel.mas_find(mas, TOP):
            seen.append((mas.index, mas.last, value))
            replace_leaf(tree, mas.index)
    assert seen == [(i * 10, i * 10 + 4, i << 1 | 1) for i in range(60)]


@pytest.mark.parametrize(
    "read",
    [
        lambda tree: tree.load(300),
        lambda tree: tree.range_at(300),
        lambda tree: tree.kernel.mt_find(tree.address, 300, TOP),
        lambda tree: tree.kernel.mas_next(tree.state(300), TOP),
        lambda tree: tree.kernel.mas_prev(tree.state(300), 0),
        list,
        lambda tree: list(reversed(tree)),
    ],
)
def test_dead_node_that_stays_reachable_is_a_livelock(tree, read):
    """The kernel would start again for ever."""
    for node in tree.nodes()[1:]:
        tree.kernel.mte_set_node_dead(node.address)
    with pytest.raises(MachineFault) as caught:
        read(tree)
    assert caught.value.kind == "livelock"
    tree.kernel.mte_set_node_dead(tree.nodes()[0].address)
    with pytest.raises(MachineFault) as caught:
        read(tree)
    assert caught.value.kind == "livelock"


def test_paused_states_and_limits(tree):
    kernel = tree.kernel
    mas = tree.state(100)
    assert kernel.mas_find(mas, TOP) == 21
    kernel.mas_pause(mas)
    assert (kernel.mas_find(mas, TOP), mas.index) == (23, 110)
    kernel.mas_pause(mas)
    assert kernel.mas_find(mas, 114) == 0  # nothing is left below the limit
    kernel.mas_pause(mas)
    assert (kernel.mas_find_rev(mas, 0), mas.index) == (21, 100)
    kernel.mas_pause(mas)
    assert kernel.mas_find_rev(mas, 100) == 0
    assert kernel.mas_next(mas, 50) == 0
    assert kernel.mas_prev(mas, TOP) == 0
