from functools import partial

import pytest
from machines import THREE

import arches
from layout.errors import MachineFault
from layout.memory import Memory

NAMES = THREE


def memory(name, size=64):
    mem = Memory(arches.get(name))
    mem.map(0x10000, bytearray(size), "test")
    return mem


@pytest.mark.parametrize("near", [False, True])
@pytest.mark.parametrize(
    ("name", "raw"), [("x86_64", "0807060504030201"), ("s390x", "0102030405060708")]
)
def test_words_are_in_the_machines_byte_order(name, raw, near):
    mem = Memory(arches.get(name))
    mem.map(0x10000, bytearray(64), "test", near=near)
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
        mem = Memory(arches.get(name))
        mem.map(0x10000, bytearray(64), "test", near=near)
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


def test_near_arena_grows_with_zeros():
    mem = Memory(arches.get("s390x"))
    mem.map(0x10000, bytearray(), "nodes", near=True)
    with pytest.raises(MachineFault):
        mem.read_word(0x10000)
    mem.grow_near(16)
    assert mem.read_word(0x10008) == 0
    with pytest.raises(MachineFault):
        mem.read_word(0x10010)
    mem.map(0x10010, bytearray(8), "behind")
