"""The ledger over compiled operations: they note what was done, the Ledger counts it."""

from __future__ import annotations

from functools import cache, partial
from typing import TYPE_CHECKING, Any

from layout.compiled.twin import CoreCache, CoreKernel, CoreMemory, core_kernel, stand_in_for
from layout.machine.machine import Compiled
from layout.machine.watch.ledger import LedgerCalls, LedgerMemory
from layout.machine.watch.watched_state import Records

if TYPE_CHECKING:
    from arches import Arch
    from layout.memory.structs import Profile
    from layout.tree.kernel import Kernel


class LedgerCoreMemory(LedgerMemory, CoreMemory):
    """Compiled memory with a ledger: it notes writes of compiled code, LedgerMemory all others."""

    def __init__(self, arch: Arch, profile: Profile, kernel: type[CoreKernel]) -> None:
        super().__init__(arch, profile, kernel=kernel)
        self.core.set_noting(True)
        self.ledger.core = self.core


def over_compiled(kernel: type[Kernel]) -> Compiled | None:
    """The ledger's parts over the compiled twin of a plain kernel; None if there is no twin."""
    twin = stand_in_for(kernel)
    if twin is None:
        return None
    return Compiled(partial(LedgerCoreMemory, kernel=_kernel(twin)), CoreCache, core_kernel)


@cache
def _kernel(twin: type[CoreKernel]) -> type[CoreKernel]:
    """A compiled kernel whose outermost calls are operations, with states that have records."""

    class WatchedState(Records, twin.extension.State):  # type: ignore[misc, name-defined]
        """A compiled state with the records of the ledger."""

        def copy(self) -> WatchedState:
            """State.copy(), without the records."""
            new = WatchedState()
            new.assign(self)
            return new

    class LedgerCoreKernel(LedgerCalls, twin):  # type: ignore[misc, valid-type]
        """The compiled operations of one kernel, with a ledger."""

        def new_state(self, *args: Any, **options: Any) -> WatchedState:
            new = WatchedState()
            new.assign(super().new_state(*args, **options))
            return new

    return LedgerCoreKernel
