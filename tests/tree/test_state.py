from dataclasses import fields

import pytest

from layout.machine.watch.watched_state import WatchedState
from layout.tree.state import MaState


@pytest.mark.parametrize("state", [MaState, WatchedState])
def test_assign_and_copy_have_every_field(state):
    one, other = state(1, 2, 3, 4), state(0, 0, 0, 0)
    for number, field in enumerate(fields(MaState), 10):
        setattr(one, field.name, number)
    other.assign(one)
    for same in (other, one.copy()):
        values = [getattr(same, field.name) for field in fields(MaState)]
        assert values == list(range(10, 10 + len(values)))
