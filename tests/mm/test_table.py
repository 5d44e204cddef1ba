"""The table of operations that AddressSpace is, and their replacement by name."""

import inspect

import pytest

import arches
from layout.machine.machine import Machine
from layout.mm import fault, iterator, mapping, merge, place, process, protect, remap, unmap
from layout.mm.addressspace import AddressSpace
from layout.mm.manager import MemoryManager
from layout.mm.vm_flags import MAP_ANONYMOUS, MAP_PRIVATE, PROT_READ

MODULES = (fault, iterator, mapping, merge, place, process, protect, remap, unmap)


OPERATIONS = [
    (name, function)
    for module in MODULES
    for name, function in vars(module).items()
    if inspect.isfunction(function)
    and function.__module__ == module.__name__
    and not name.startswith("_")
]


@pytest.mark.parametrize(("name", "function"), OPERATIONS)
def test_every_operation_is_in_the_table(name, function):
    assert next(iter(inspect.signature(function).parameters)) == "mm"
    assert vars(AddressSpace)[name] is function


def test_a_subclass_replaces_an_operation_for_all_callers():
    class Noting(AddressSpace):
        def vma_find(self, vmi, end):
            found.append(end)
            return super().vma_find(vmi, end)

    found = []
    mm = MemoryManager(Machine(arches.get("x86_64")), spaces=Noting).new_mm()
    mm.mmap(0x10000, 0x1000, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS)
    assert found == [0x11000]  # mmap_region() looks for what is there
    mm.munmap(0x10000, 0x1000)
    assert found == [0x11000] * 4  # so does do_vmi_munmap(), then it is gathered, to the end
    assert list(mm) == []
