from pathlib import Path

import pytest
from machines import THREE

import arches
from layout.images.decode import decode
from layout.machine.machine import Machine
from layout.record import maps
from layout.record.start import from_maps
from layout.traces.runner import Runner
from layout.traces.trace import parse

STRACE = Path(__file__).parents[2] / "fixtures/strace"


@pytest.mark.long
def test_one_entry_for_each_mapping():
    for path in sorted(STRACE.glob("*.maps")):
        found = maps.parse(path.read_text(encoding="ascii"), path.name)
        for name in THREE:
            arch = arches.get(name)
            runner = Runner(Machine(arch))
            for operation in parse(from_maps(found, arches.get("x86_64")), arch.ulong_max):
                runner.execute(operation)
            tree = decode(runner.mem, runner.tree)
            entries = [(low, high + 1) for low, high, entry in tree.ranges if entry]
            assert entries == [(mapping.start, mapping.end) for mapping in found]
            assert runner.kernel.mt_validate(runner.tree)
