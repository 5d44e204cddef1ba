"""Next beyond the end, then prev: which word comes back."""

from __future__ import annotations

import pytest

from layout.defects import operations
from layout.machine.equip import equip

META = {"x86_64": 0xE, "s390x": 0x0E00000000000000, "sparc64": 0x0E00000000000000}


def there_and_back(arch, defects, stores, steps):
    machine = equip(arch, kernels=operations(defects))
    kernel, tree = machine.kernel, machine.tree(0)
    for first, last in stores:
        kernel.mtree_store_range(tree, first, last, 0x2A000001)
    kernel.mtree_store_range(machine.tree(1), 0x20, 0x29, 0x4A000000)  # the node behind
    mas = kernel.new_state(tree, 0x100000, 0x100FFF)
    assert kernel.mas_find(mas, 0x100FFF) == 0
    for i in range(steps):
        assert kernel.mas_next(mas, 0x101FFF + 0x1000 * i) == 0
    offset = mas.offset
    return offset, kernel.mas_prev(mas, 0)


SEVEN = [(0x10000 + 0x2000 * i, 0x10FFF + 0x2000 * i) for i in range(7)]
FULL = [(0x1000 * i, 0x1000 * i + 0xFFF) for i in range(15)]


@pytest.mark.parametrize("arch", META)
def test_metadata(arch):
    assert there_and_back(arch, ["D5"], SEVEN, 2) == (16, META[arch])
    assert there_and_back(arch, ["D5"], SEVEN, 1) == (15, 0x2A000001)


@pytest.mark.parametrize("arch", META)
def test_the_parent_word_behind_a_full_leaf(arch):
    assert there_and_back(arch, ["D5"], FULL, 2) == (17, 0xFFFFF0040 | 1)
    assert there_and_back(arch, ["D5"], FULL, 1) == (16, 0x2A000001)


@pytest.mark.parametrize("arch", META)
@pytest.mark.parametrize("stores", [SEVEN, FULL])
def test_today(arch, stores):
    assert there_and_back(arch, [], stores, 2)[1] == 0x2A000001
