"""What a difference comes from: the field that differs first, and who writes it in the emulator.

Many traces show one bug, in many operations and on many machines. What they have in common is the
first write that is not the kernel's: the function that makes it, and the field.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, NamedTuple

import arches
from layout.ckernel.explain import explain
from layout.machine.machine import Machine
from layout.machine.watch.report import STEP
from layout.memory.node import NodeMemory
from layout.traces.runner import Runner
from layout.tree.versions import kernel_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from arches import Arch
    from layout.ckernel.build import Built
    from layout.ckernel.diff import Mismatch
    from layout.compare.difference import Difference
    from layout.memory.structs import Profile
    from layout.traces.trace import Operation

_OPERATIONS = "layout.tree."


class Cause(NamedTuple):
    """The field in which both sides part, and the function that writes it; "" if none does.

    Where no byte of a node differs, ``field`` is that of the transcript and ``function`` is the
    operation. If that is a warning of the kernel's, ``function`` is its place in the C code.
    """

    field: str
    function: str

    def __str__(self) -> str:
        if self.field == "warn":
            return f"warning, {self.function}"
        return f"{self.field}, {self.function}" if self.function else f"{self.field}, not written"


def find_cause(built: Built, operations: Sequence[Operation], mismatch: Mismatch) -> Cause:
    """The cause of a mismatch at the last of these operations.

    Both sides are run once more; so the trace should be short.
    """
    difference = explain(built, operations, mismatch)
    field = difference.field.partition("[")[0]
    if difference.node is None or difference.offset is None:
        place = mismatch.warning if field == "warn" else ""
        return Cause(field, place or mismatch.operation.op)
    return Cause(field, _writer(built, operations, difference))


def _writer(built: Built, operations: Sequence[Operation], difference: Difference) -> str:
    """The kernel function that wrote the byte last, as the emulator carries it out."""
    assert difference.node is not None
    assert difference.offset is not None
    machine = Machine(arches.get(built.arch), WriterMemory, kernel_of(built.source.emulator))
    assert isinstance(machine.mem, WriterMemory)
    machine.mem.watched = difference.node + difference.offset
    runner = Runner(machine)
    for operation in operations:
        runner.execute(operation)
    return machine.mem.writer


class WriterMemory(NodeMemory):
    """Remembers the kernel function that wrote the byte at ``watched`` last."""

    def __init__(self, arch: Arch, profile: Profile) -> None:
        self.watched = -1
        self.writer = ""
        super().__init__(arch, profile)

    def _written(self, address: int, size: int) -> None:
        if address <= self.watched < address + size:
            self.writer = _function()

    def write(self, address: int, data: bytes, doing: str = "bytes", *, align: int = 1) -> None:
        """Memory.write(), noted."""
        self._written(address, len(data))
        super().write(address, data, doing, align=align)

    def write_words(self, address: int, values: Sequence[int], doing: str = "words") -> None:
        """Memory.write_words(), noted."""
        self._written(address, len(values) * self.word_size)
        super().write_words(address, values, doing)

    def write_word(self, address: int, value: int, doing: str = "a word") -> None:
        """Memory.write_word(), noted."""
        self._written(address, self.word_size)
        super().write_word(address, value, doing)

    def write_u8(self, address: int, value: int, doing: str = "a byte") -> None:
        """Memory.write_u8(), noted."""
        self._written(address, 1)
        super().write_u8(address, value, doing)


def _function() -> str:
    """The innermost function of the tree's code that is no mere step of another."""
    frame = sys._getframe(2)  # noqa: SLF001
    while frame is not None:
        name = frame.f_code.co_name
        if frame.f_globals.get("__name__", "").startswith(_OPERATIONS) and not name.startswith(
            STEP
        ):
            return name
        if frame.f_back is None:
            return ""
        frame = frame.f_back
    return ""
