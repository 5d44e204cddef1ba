import pytest

from layout.machine.equip import equip
from layout.memory.limits import nodes_for


@pytest.mark.parametrize("arch", ["x86_64", "arm"])
@pytest.mark.parametrize("flags", [0, 1])
def test_entries_reserve_no_more_nodes(arch, flags):
    machine = equip(arch)
    machine.kernel.mt_init_flags(machine.tree(0), flags)
    for entries in (0, 1, 2, 15, 16, 17, 31, 33, 1000, 12345, 1 << 17):
        mas = machine.kernel.new_state(machine.tree(0), 0, 0)
        before = machine.cache.allocated
        assert not machine.kernel.mas_expected_entries(mas, entries)
        assert machine.cache.allocated - before <= nodes_for(entries)
        machine.kernel.mas_destroy(mas)
