"""The memory management of one machine, which creates its address spaces."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layout.mm.addressspace import AddressSpace
from layout.mm.shared import Shared

if TYPE_CHECKING:
    from layout.machine.machine import Machine


class MemoryManager(Shared):
    """Makes the address spaces of a machine, and has their common data.

    ``spaces`` is the class of new address spaces, for the behaviour of another kernel.
    """

    def __init__(
        self,
        machine: Machine,
        *,
        reuse_vmas: bool = False,
        spaces: type[AddressSpace] = AddressSpace,
    ) -> None:
        super().__init__(machine, reuse_vmas=reuse_vmas)
        self._spaces = spaces

    def new_mm(self) -> AddressSpace:
        """mm_alloc: an empty address space, its tree in RCU mode. Raises TooManySpaces."""
        return self._spaces(self, self.take_tree())
