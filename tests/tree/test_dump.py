import pytest
from machines import THREE

from layout import MapleTree
from layout.memory.pointers import XA_ZERO_ENTRY

pytestmark = pytest.mark.parametrize("arch", THREE)


def text(tree, **options):
    return tree.mt_dump(**options).splitlines()


def test_every_kind_of_entry(arch):
    tree = MapleTree(arch)
    for index, entry in ((0, 0x3001), (1, XA_ZERO_ENTRY), (2, 0x40A), (3, 0xABC000)):
        mas = tree.state(index)
        tree.kernel.mas_store(mas, entry)
    lines = text(tree)
    assert lines[0] == "maple_tree(0000000fffff0000) flags 4, height 1 root 000000100000000e"
    assert lines[2:] == [
        "  0: value 6144 (0x1800) [0000000000003001]",
        "  1: zero (257)",
        "  2: UNKNOWN ENTRY (000000000000040a)",
        "  3: 0000000000abc000",
        "  4-ffffffffffffffff: 0000000000000000",
    ]


def test_decimal_and_gaps(arch):
    tree = MapleTree(arch, alloc_range=True)
    for i in range(20):
        tree.store(i * 16, i * 16 + 7, 0x3001)
    lines = text(tree, decimal=True)
    root = lines[1]
    assert root.startswith("0-18446744073709551615: node ")
    assert " contents: 8 8 18446744073709551304 0 0 0 0 0 0 0 | 02 02| " in root
    assert "  200-18446744073709551615: node " in "\n".join(lines)
    assert "| 02 02| " in text(tree)[1]


def test_root_without_nodes(arch):
    tree = MapleTree(arch)
    assert text(tree)[1:] == ["0: 0000000000000000"]
    tree.store(0, 0, 0x1001)
    assert text(tree)[1:] == ["0: value 2048 (0x800) [0000000000001001]"]


def test_pivot_beyond_the_node(arch):
    tree = MapleTree(arch)
    for i in range(20):
        tree.store(i * 16, i * 16 + 7, 0x3001)
    leaf = tree.nodes()[1]
    tree.machine.mem.set_pivot(leaf.address, 2, 0x1000)
    pointer = f"{leaf.address:016x}"
    assert f"node {pointer} last (1000) > max ({leaf.last:x}) at pivot 2!" in tree.mt_dump()
    assert f"node {pointer} last (4096) > max ({leaf.last}) at pivot 2!" in tree.mt_dump(
        decimal=True
    )


def test_nodes_of_types_that_trees_do_not_use(arch):
    tree = MapleTree(arch)
    tree.store(16, 31, 0x3001)
    [node] = tree.nodes()
    mem = tree.machine.mem
    mem.set_ma_root(tree.address, node.address | 9 << 3 | 6)
    assert tree.mt_dump().endswith("parent 0000000fffff0001 UNKNOWN TYPE\n")
    mem.set_ma_root(tree.address, node.address | 6)
    lines = text(tree)  # a dense node: one slot an index
    assert lines[1].startswith("0-1f: node ")
    assert len(lines) == 2 + 31


def test_state(arch):
    tree = MapleTree(arch)
    mas = tree.state(20, 10)
    tree.kernel.mas_dump(mas)
    assert "".join(tree.kernel.log) == (
        "MAS: tree=0000000fffff0000 enode=0000000000000000 (ma_start) Store Type: "
        "invalid store type\n"
        "[0/0] index=14 last=a\n"
        "     min=0 max=ffffffffffffffff alloc=0000000000000000, depth=0, flags=0\n"
        "Check index & last\n"
    )
