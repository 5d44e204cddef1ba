"""VMAs as bytes at the kernel's offsets."""

import json
import lzma
from pathlib import Path

import pytest

import arches
from layout.machine.machine import Machine
from layout.memory import structs
from layout.memory.errors import MachineFault
from layout.mm.manager import MemoryManager
from layout.mm.vm_flags import MAP_ANONYMOUS, MAP_PRIVATE, PROT_READ, PROT_WRITE
from layout.mm.vmas import RCU_FREE_VMA, Vma

FIXTURES = Path(__file__).parents[2] / "fixtures"
CAPTURES = ("x86_64-6.12.117-level3", "s390x-6.12.95-level3", "sparc64-6.12.117-level3")


def manager_on(name, **options):
    return MemoryManager(Machine(arches.get(name)), **options)


@pytest.mark.parametrize("name", CAPTURES)
def test_layout_of_booted_kernels(name):
    capture = json.loads((FIXTURES / f"captures/{name}.json").read_text(encoding="ascii"))
    layout = structs.profile(arches.get(capture["arch"])).layout("vm_area_struct")
    offsets = capture["offsets"]
    assert layout.size == offsets["vma_size"]
    assert layout.offset("vm_start") == offsets["vm_start"]
    assert layout.offset("vm_end") == offsets["vm_end"]


def test_layout_of_compilers():
    wanted = json.loads((FIXTURES / "layouts/vm_area_struct.json").read_text(encoding="ascii"))
    assert len(wanted) == 7
    for name, expected in wanted.items():
        layout = structs.profile(arches.get(name)).layout("vm_area_struct")
        assert {"size": layout.size, "align": layout.align} == {
            key: expected[key] for key in ("size", "align")
        }
        found = {member.name: member.offset for member in layout.members}
        assert expected["offsets"].items() <= found.items(), name


@pytest.mark.parametrize(
    ("name", "order", "offsets"),
    [
        ("x86_64", "little", (0, 8, 16, 32, 120, 128)),
        ("s390x", "big", (0, 8, 16, 32, 120, 128)),
        ("sparc64", "big", (0, 8, 16, 32, 104, 112)),
    ],
)
def test_fields_are_bytes(name, order, offsets):
    manager = manager_on(name)
    mm = manager.new_mm()
    file = manager.new_file()
    start = mm.mmap(0, 0x4000, PROT_READ, MAP_PRIVATE, file, 0x6000)
    [vma] = mm
    raw = mm.mem.read(vma.address, manager.vmas.size)
    words = [int.from_bytes(raw[at : at + 8], order) for at in offsets]
    assert words == [start, start + 0x4000, mm.mm_mt, 0x71, 0x6000 // mm.page_size, file]
    assert [entry for _, _, entry in mm.entries()] == [vma.address]


def test_freeing_overlays_the_range():
    manager = manager_on("s390x")
    mm = manager.new_mm()
    mm.mmap(0x10000, 0x1000, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS)
    [vma] = mm
    manager.machine.rcu_read_lock()
    assert mm.munmap(0x10000, 0x1000) == 0
    assert (vma.vm_start, vma.vm_end, vma.detached) == (0, RCU_FREE_VMA, True)
    assert manager.vmas.live == {vma.address}
    manager.machine.rcu_read_unlock()
    manager.quiesce()
    assert manager.vmas.live == set()


def test_reuse():
    manager = manager_on("x86_64", reuse_vmas=True)
    one = manager.vm_area_alloc(0)
    one.vm_start = 7
    manager.vm_area_free_now(one)
    two = manager.vm_area_alloc(0)
    assert two == one
    assert two.vm_start == 0
    assert hash(two) == hash(one)
    assert repr(two) == f"<Vma {two.address:x}>"


def test_bad_frees():
    manager = manager_on("x86_64")
    vma = manager.vm_area_alloc(0)
    manager.vm_area_free_now(vma)
    with pytest.raises(MachineFault, match="vm_area_struct") as fault:
        manager.vm_area_free_now(vma)
    assert fault.value.kind == "double free"
    with pytest.raises(MachineFault) as fault:
        manager.vm_area_free_now(Vma(manager.vmas, 0x406))
    assert fault.value.kind == "bad free"


def test_real_vmas_lie_as_these_do():
    """The captured kernels' VMAs are as far apart as the struct is long."""
    for path in sorted((FIXTURES / "captures").glob("*-6.12*.json*")):
        data = path.read_bytes()
        capture = json.loads(lzma.decompress(data) if path.suffix == ".xz" else data)
        if "vmas" not in capture:
            continue
        size = structs.profile(arches.get(capture["arch"])).layout("vm_area_struct").size
        addresses = [int(vma[2], 16) for vma in capture["vmas"]]
        pages = {}
        for address in addresses:
            pages.setdefault(address // 4096, []).append(address % 4096)
        assert all(
            offset % size == min(offsets) % size for offsets in pages.values() for offset in offsets
        )
