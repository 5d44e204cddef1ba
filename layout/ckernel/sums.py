"""The emulator with a checksum of all its memory after every operation, as in the harness.

Only memory that an operation wrote is summed again, so the cost is small.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from layout.compare.tracking import TrackingMemory
from layout.machine.machine import TREES, Machine
from layout.memory.node import NODE_SIZE
from layout.memory.structs import DEFAULT_VERSION
from layout.traces.runner import Runner
from layout.tree.versions import kernel_of

if TYPE_CHECKING:
    from arches import Arch
    from layout.compiled._core import Core
    from layout.traces.session import Line
    from layout.traces.trace import Operation

_PRIME = 0x100000001B3
_MASK = (1 << 64) - 1


class SummingRunner(Runner):
    """A Runner whose lines carry ``sum``: of the trees, the nodes in use and those just freed."""

    def __init__(
        self, arch: Arch, version: str = DEFAULT_VERSION, *, in_python: bool = False
    ) -> None:
        machine = Machine(arch, TrackingMemory, kernel_of(version), in_python=in_python)
        super().__init__(machine)
        self._memory = machine.mem
        self._core: Core | None = machine.core
        self._node_words = struct.Struct(f"{arch.order_char}{NODE_SIZE // 8}Q")
        self._tree_bytes = machine.tree(1) - machine.tree(0)
        self._tree_words = struct.Struct(f"{arch.order_char}{TREES * self._tree_bytes // 8}Q")
        if self._core is not None:
            self._core.begin_sums(self._tree_words.size, _PRIME)
        self._sums: dict[int, int] = {}
        self._known = 0
        self._total = 0

    def execute(self, operation: Operation) -> Line:
        """Runner.execute(), with a sum unless there is a fault."""
        line = super().execute(operation)
        if not self.faulted:
            line["sum"] = f"{self._sum():x}"
        return line

    def _sum(self) -> int:
        if self._core is not None:
            return self._core.memory_sum()
        mem, cache, sums = self._memory, self.cache, self._sums
        dirty: set[int] = mem.take_dirty()  # type: ignore[attr-defined] # TrackingMemory's
        written = {address - cache.base >> 8 for address in dirty}
        for number in range(self._known, cache.allocated):
            sums[number] = 0
            written.add(number)
        self._known = cache.allocated
        for number in written:
            if number in sums:  # neither a tree nor freed before
                address = cache.address(number)
                new = _sum_of(number + 1, self._node_words.unpack(mem.read(address, NODE_SIZE)))
                self._total += new - sums[number]
                sums[number] = new
        trees = mem.read(self.machine.tree(0), self._tree_words.size)
        total = _sum_of(0, self._tree_words.unpack(trees)) + self._total
        for number in cache.frees:
            self._total -= sums.pop(number)
        return total & _MASK


def _sum_of(start: int, words: tuple[int, ...]) -> int:
    value = start
    for word in words:
        value = (value ^ word) * _PRIME & _MASK
    return value
