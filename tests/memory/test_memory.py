from functools import partial

import pytest
from machines import THREE

import arches
from layout.memory import structs
from layout.memory.errors import MachineFault
from layout.memory.memory import CELL, Memory
from layout.memory.node import NodeMemory
from layout.memory.pointers import ARANGE_64, LEAF_64
from layout.memory.quick import QuickMemory

NAMES = THREE

BASE = 0x10000


def memory(name, size=64):
    mem = Memory(arches.get(name))
    mem.map(BASE, bytearray(size), "test")
    return mem


def cells(name, count, kind=Memory):
    """Memory with ``count`` cells that nothing was written to."""
    arch = arches.get(name)
    mem = kind(arch) if kind is Memory else kind(arch, structs.profile(arch))
    mem.map_near(BASE, "nodes")
    mem.grow_near(count * CELL)
    return mem


@pytest.mark.parametrize("near", [False, True])
@pytest.mark.parametrize(
    ("name", "raw"), [("x86_64", "0807060504030201"), ("s390x", "0102030405060708")]
)
def test_words_are_in_the_machines_byte_order(name, raw, near):
    mem = cells(name, 1) if near else memory(name)
    mem.write_word(0x10008, 0x0102030405060708)
    assert mem.read(0x10008, 8).hex() == raw
    assert mem.read_word(0x10008) == 0x0102030405060708
    assert mem.read_words(0x10000, 2) == (0, 0x0102030405060708)
    mem.write_u32(0x10000, 0x01020304)
    assert mem.read(0x10000, 4).hex() == ("04030201" if name == "x86_64" else "01020304")
    assert mem.read_u32(0x10000) == 0x01020304
    mem.write_u8(0x1003F, 0xAB)
    assert mem.read_u8(0x1003F) == 0xAB


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("address", [0x10000 - 8, 0x10000 + 64, 0x10000 + 57, 2**64 - 8])
def test_outside_is_unmapped(name, address):
    mem = memory(name)
    if arches.get(name).strict_alignment and address % 8:
        address -= 1
        address += 8
    with pytest.raises(MachineFault) as caught:
        mem.read_word(address, "a pivot")
    fault = caught.value
    assert (fault.kind, fault.address, fault.width, fault.arch) == ("unmapped", address, 8, name)
    assert fault.doing == "a pivot"
    assert "a pivot" in str(fault)


@pytest.mark.parametrize("name", NAMES)
def test_first_page_is_null(name):
    with pytest.raises(MachineFault) as caught:
        memory(name).write_word(0x10, 1)
    assert caught.value.kind == "null"


@pytest.mark.parametrize("near", [False, True])
def test_misaligned_words_trap_on_sparc64_only(near):
    for name in NAMES:
        mem = cells(name, 1) if near else memory(name)
        if name == "sparc64":
            for access in (mem.read_word, partial(mem.write_word, value=1), mem.read_u32):
                with pytest.raises(MachineFault) as caught:
                    access(0x10001)
                assert caught.value.kind == "misaligned"
        else:
            mem.write_word(0x10001, 0x0102030405060708)
            assert mem.read_word(0x10001) == 0x0102030405060708


def test_overlapping_arenas_are_refused():
    mem = memory("x86_64")
    for base in (0x10000, 0x1003F, 0x0FFF8):
        with pytest.raises(ValueError, match="overlaps"):
            mem.map(base, bytearray(16), "second")
    mem.map(0x10040, bytearray(16), "behind")
    assert mem.size() == 80
    assert mem.arena_at(0x10040).name == "behind"
    with pytest.raises(MachineFault):  # an access may not cross arenas
        mem.read(0x1003C, 8)


# -- the near arena: cells of 256 bytes


def test_near_arena_grows_with_zeros():
    mem = cells("s390x", 0)
    with pytest.raises(MachineFault):
        mem.read_word(BASE)
    mem.grow_near(CELL)
    assert mem.read_word(BASE + 248) == 0
    with pytest.raises(MachineFault):
        mem.read_word(BASE + 256)
    mem.map(BASE + 256, bytearray(8), "behind")


@pytest.mark.parametrize("name", NAMES)
def test_a_cell_exists_once_it_is_written_to(name):
    mem = cells(name, 1000)
    [arena] = mem.arenas
    assert mem.size() == 1000 * CELL
    for at in range(BASE, BASE + 1000 * CELL, 8):
        assert mem.read_word(at) == 0
    assert arena.cells == {}
    writes = (
        lambda at: mem.write_word(at + 8, 1),
        lambda at: mem.write_words(at + 16, (0, 1)),
        lambda at: mem.write_u32(at + 4, 1),
        lambda at: mem.write_u8(at + 255, 1),
        lambda at: mem.write(at + 7, b"\0\1"),
    )
    for number, write in enumerate(writes):
        write(BASE + 3 * number * CELL)
    assert list(arena.cells) == [BASE + 3 * number * CELL for number in range(len(writes))]
    assert {len(cell) for cell in arena.cells.values()} == {CELL}


def test_a_whole_cell_of_zeros_is_none():
    mem = cells("x86_64", 3)
    [arena] = mem.arenas
    mem.write(BASE, bytes(range(256)) * 3)
    assert mem.near_cells() == (bytes(range(256)),) * 3
    mem.zero(BASE + CELL, CELL)
    assert list(arena.cells) == [BASE, BASE + 2 * CELL]
    assert mem.near_cells() == (bytes(range(256)), bytes(CELL), bytes(range(256)))
    mem.zero(BASE, 255)  # not known to be all zero
    assert list(arena.cells) == [BASE, BASE + 2 * CELL]
    assert arena.data == bytes(255) + b"\xff" + bytes(CELL) + bytes(range(256))


def test_cells_that_are_written_to_share_nothing():
    mem = cells("s390x", 3)
    kept = mem.near_cells()
    mem.write_u8(BASE + CELL, 7)
    assert mem.near_cells() == (bytes(CELL), b"\7" + bytes(255), bytes(CELL))
    assert kept == (bytes(CELL),) * 3
    written = mem.near_cells()
    mem.replace_near(kept)
    assert mem.arenas[0].cells == {}
    mem.replace_near(written[:2])
    assert mem.size() == 2 * CELL
    mem.write_u8(BASE + CELL, 8)
    assert written[1][0] == 7
    with pytest.raises(MachineFault):
        mem.read_u8(BASE + 2 * CELL)


@pytest.mark.parametrize("name", NAMES)
def test_words_across_two_cells(name):
    mem = cells(name, 3)
    mem.write_words(BASE + 248, (1, 2, 3))
    assert [mem.read_word(BASE + at) for at in (240, 248, 256, 264, 272)] == [0, 1, 2, 3, 0]
    assert mem.read_words(BASE + 248, 3) == (1, 2, 3)
    assert mem.read_words(BASE + 240, 36) == (0, 1, 2, 3, *(0,) * 32)
    assert mem.read(BASE + 255, 2) == mem.read(BASE + 255, 1) + mem.read(BASE + 256, 1)
    mem.copy(BASE + 500, BASE + 244, 32)
    assert mem.read(BASE + 500, 32) == mem.read(BASE + 244, 32)
    if not arches.get(name).strict_alignment:
        mem.write_word(BASE + 508, 0x0102030405060708)
        assert mem.read_word(BASE + 508) == 0x0102030405060708
        assert list(mem.arenas[0].cells) == [BASE, BASE + CELL, BASE + 2 * CELL]
        with pytest.raises(MachineFault):
            mem.read_word(BASE + 3 * CELL - 4)


# -- nodes in cells


@pytest.fixture(params=[NodeMemory, QuickMemory])
def nodes(request):
    """Two nodes, of which the second begins with 0x77 and has 5 in slot 0 of a leaf."""
    mem = cells("x86_64", 4, request.param)
    mem.set_parent(BASE + CELL, 0x77)
    mem.set_slot(BASE + CELL, LEAF_64, 0, 5)
    return mem


def test_fields_behind_a_node_are_the_next_node(nodes):
    assert nodes.slot(BASE, LEAF_64, 16) == 0x77
    assert nodes.pivot(BASE, 31) == 0x77
    assert nodes.slot(BASE, LEAF_64, 32) == 5
    assert nodes.pivot(BASE, -1) == 0
    assert nodes.pivot(BASE + CELL, -1) == 0x77
    nodes.set_slot(BASE, LEAF_64, 17, 9)
    assert nodes.pivot(BASE + CELL, 0) == 9


def test_pivots_are_read_at_once_or_behind_the_node_one_by_one(nodes):
    nodes.set_pivot(BASE, 2, 3)
    assert nodes.pivots(BASE, LEAF_64, 4) == (0, 0, 3, 0)
    behind = nodes.pivots(BASE, LEAF_64, 40)
    assert (behind[2], behind[31], behind[32]) == (3, 0x77, 0)
    nodes.set_pivot(BASE, 2, 4)
    assert behind[2] == 4
    slots = nodes.slots(BASE, LEAF_64, 17)
    assert (slots[0], slots[16]) == (0, 0x77)
    assert nodes.slots(BASE + CELL, LEAF_64, 2) == (5, 0)


def test_reading_nodes_brings_none_about(nodes):
    cells = nodes.arenas[0].cells
    node = BASE + 2 * CELL
    assert (nodes.parent(node), nodes.slot(node, ARANGE_64, 9), nodes.gap(node, 0)) == (0, 0, 0)
    assert (nodes.meta_end(node, LEAF_64), nodes.meta_gap(node)) == (0, 0)
    assert nodes.pivots(node, LEAF_64, 3) == (0, 0, 0)
    assert nodes.read_node(node, LEAF_64) == (0,) * 32
    assert list(cells) == [BASE + CELL]
    nodes.copy_node(BASE, node)
    assert list(cells) == [BASE + CELL]


def test_runs_between_nodes_and_local_words(nodes):
    words = [1] * 6
    nodes.load_slots(words, 1, BASE, LEAF_64, 15, 3)
    assert words == [1, 0, 0x77, 0, 1, 1]
    nodes.store_pivots(BASE, 30, words, 0, 3)
    assert nodes.read_words(BASE + 248, 3) == (1, 0, 0x77)
    for at, count in ((4, 3), (-1, 2)):
        with pytest.raises(IndexError, match="local struct"):
            nodes.load_gaps(words, at, BASE, 0, count)
        with pytest.raises(IndexError, match="local struct"):
            nodes.store_gaps(BASE, 0, words, at, count)
    nodes.load_pivots(words, 0, BASE, 0, 0)
    nodes.load_pivots(words, 0, 0, 0, -1)  # a count below 1 copies nothing
    assert words == [1, 0, 0x77, 0, 1, 1]


def test_types_without_pivots_follow_null(nodes):
    for mt in (0, 4, 15):
        pivots = nodes.pivots(BASE, mt, 3)  # not followed yet
        with pytest.raises(MachineFault) as caught:
            pivots[2]
        assert (caught.value.kind, caught.value.address) == ("null", 2 * nodes.word_size)
    for read in (
        lambda mt: nodes.ma_pivot(BASE, mt, 0),
        lambda mt: nodes.read_node(BASE, mt),
    ):
        for mt in (0, 4, 15):
            with pytest.raises(MachineFault, match=f"type {mt}") as caught:
                read(mt)
            assert (caught.value.kind, caught.value.address) == ("null", 0)


def test_memsets_of_runs(nodes):
    node = BASE + 3 * CELL
    nodes.write_words(node, [7] * 32)
    nodes.clear_pivots(node, 3, 2)
    nodes.clear_slots(node, LEAF_64, 1, 3)
    words = nodes.read_node(node, LEAF_64)
    assert [at for at, word in enumerate(words) if not word] == [4, 5, 17, 18, 19]
