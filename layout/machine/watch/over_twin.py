"""A watch over compiled operations: it wraps calls from outside, the core notes the rest."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from layout.compiled.twin import CoreCache, CoreMemory, core_kernel, stand_in_for
from layout.machine.machine import Compiled
from layout.machine.watch.watched_state import Records

if TYPE_CHECKING:
    from layout.memory.node import NodeMemory
    from layout.tree.kernel import Kernel


def over_compiled(
    memory: type[NodeMemory], calls: type[Kernel], plain: type[Kernel]
) -> Compiled | None:
    """These classes in front of the compiled twin of a plain kernel; None if it has no twin.

    ``calls`` wraps operations that are called from outside. ``memory`` sees writes of Python code.
    """
    twin = stand_in_for(plain)
    if twin is None:
        return None
    kernel = type(twin.__name__, (calls, _with_records(twin.extension.State), twin), {})
    make_memory = type(CoreMemory.__name__, (memory, CoreMemory), {})
    return Compiled(partial(make_memory, kernel=kernel), CoreCache, core_kernel)


def _with_records(state: type[Any]) -> type[Any]:
    """A part of a kernel: callers get compiled states with additional records."""

    class WatchedState(Records, state):  # type: ignore[misc] # of any extension
        """State, with what a watch records of it."""

        def copy(self) -> WatchedState:
            """State.copy(), without the records."""
            new = WatchedState()
            new.assign(self)
            return new

    class States:
        """Kernel.new_state(), with records."""

        def new_state(self, *args: Any, **options: Any) -> WatchedState:
            new = WatchedState()
            new.assign(super().new_state(*args, **options))  # type: ignore[misc] # the twin's
            return new

    return States
