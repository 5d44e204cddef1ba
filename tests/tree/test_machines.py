"""Random operations on every machine and kind of tree, held against a plain model."""

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from layout.testing.machines import DEFAULT
from layout.testing.statemachine import MapleTreeMachine


@pytest.mark.long
@pytest.mark.parametrize(
    ("alloc_range", "rcu"),
    [(False, False), (True, False), (False, True), (True, True)],
    ids=["plain", "alloc", "rcu", "both"],
)
@pytest.mark.parametrize("name", DEFAULT)
def test_random_operations_against_the_model(name, alloc_range, rcu):
    kind = {"arch": name, "alloc_range": alloc_range, "rcu": rcu}
    run_state_machine_as_test(
        type("Machine", (MapleTreeMachine,), kind),
        settings=settings(
            max_examples=30,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
