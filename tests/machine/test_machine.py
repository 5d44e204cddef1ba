"""What becomes of callers who take any word for a pointer."""

import pytest

import arches
from layout.machine.machine import Machine
from layout.memory.errors import MachineFault

METADATA = 0x0E00000000000000
XA_ZERO = 0x406


@pytest.mark.parametrize(
    ("arch", "entry", "kind", "words"),
    [
        ("x86_64", 0xE, "null", "BUG: kernel NULL pointer dereference, address: 000000000000000e"),
        ("x86_64", XA_ZERO, "null", "BUG: kernel NULL pointer dereference, address: 0000000000000406"),
        ("x86_64", METADATA, "unmapped", "Oops: general protection fault, probably for non-canonical address 0xe00000000000000"),
        ("x86_64", 0x7F0000000000, "unmapped", "BUG: unable to handle page fault for address: 00007f0000000000"),
        ("s390x", METADATA, "unmapped", "Unable to handle kernel pointer dereference in virtual kernel address space\nFailing address: 0e00000000000000 TEID: 0e00000000000803"),
        ("sparc64", METADATA, "unmapped", "Unable to handle kernel paging request at virtual address 0e00000000000000"),
        ("sparc64", XA_ZERO, "misaligned", "Kernel unaligned access at TPC[...]\nUnable to handle kernel NULL pointer dereference in mna handler\n at virtual address 0000000000000406"),
    ],
)  # fmt: skip
def test_entry_that_is_no_pointer(arch, entry, kind, words):
    with pytest.raises(MachineFault) as stop:
        Machine(arches.get(arch)).dereference(entry)
    fault = stop.value
    assert (fault.kind, fault.address, str(fault)) == (kind, entry, words)


@pytest.mark.parametrize("arch", arches.names())
def test_pointers_and_offsets(arch):
    machine = Machine(arches.get(arch))
    machine.mem.write_word(machine.tree(3) + 8, 0xABC)
    assert machine.dereference(machine.tree(3), 8) == 0xABC
    assert machine.kernel.log == []
    with pytest.raises(MachineFault):
        machine.dereference(machine.arch.ulong_max & ~0xFFFF, 0x8000)


def test_lowcore():
    s390x = Machine(arches.get("s390x"))
    assert s390x.dereference(XA_ZERO) == s390x.dereference(0) == s390x.dereference(0x1FF8) == 0
    with pytest.raises(MachineFault, match="Failing address: 0000000000002000 TEID"):
        s390x.dereference(0x2000)


def test_misaligned_pointers_into_memory_are_carried_out_and_logged():
    for arch, logged in (("sparc64", "Kernel unaligned access at TPC[...]\n"), ("x86_64", None)):
        machine = Machine(arches.get(arch))
        address = machine.tree(3)
        machine.mem.write(address, bytes(range(16)))
        value = machine.dereference(address + 4)
        assert value.to_bytes(8, machine.arch.byteorder) == bytes(range(4, 12))
        assert machine.kernel.log == ([logged] if logged else [])
