"""What the tests of defects share."""

from __future__ import annotations

import functools

import pytest
from machines import THREE

from layout.defects import operations
from layout.machine.equip import equip
from layout.traces.runner import Runner
from layout.traces.trace import parse


@pytest.fixture(params=THREE)
def arch(request):
    return request.param


@pytest.fixture
def played():
    """Carry out a trace on a machine with defects: the runner, and the transcript lines."""

    @functools.cache
    def play(arch, trace, *defects):
        runner = Runner(equip(arch, kernels=operations(defects)))
        top = runner.machine.arch.ulong_max
        return runner, [runner.execute(op) for op in parse(trace.split("\n"), top)]

    return play
