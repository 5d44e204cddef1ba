"""What lasts between the lines of a trace: the machine, the current tree and the cursor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from layout.memory.node import NODE_SIZE
from layout.tree.state import STATUS_NAMES

if TYPE_CHECKING:
    from layout.machine.machine import Machine
    from layout.tree.state import MaState

Line = dict[str, Any]
"""One transcript line: ``n``, ``op`` and what the operation returned."""


class Session:
    """A machine on which operations are carried out, with the current tree and the cursor.

    ``failed`` turns true when a validate fails.
    """

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.mem = machine.mem
        self.cache = machine.cache
        self.kernel = machine.kernel
        self.tree = machine.tree(0)
        self.cursor = self.kernel.new_state(self.tree)
        self.failed = False

    def new_state(self, index: int = 0, last: int | None = None) -> MaState:
        """A state at the current tree, as MA_STATE makes it; ``last`` is ``index`` if left out."""
        return self.kernel.new_state(self.tree, index, last)

    def raw(self, node: int) -> Line:
        """A node: its address and raw bytes."""
        return {"addr": f"{node:x}", "hex": self.mem.read(node, NODE_SIZE, "a node").hex()}


def entry_line(entry: int) -> Line:
    """The line of an operation that returned an entry."""
    return {"entry": f"{entry:x}"}


def state_line(mas: MaState) -> Line:
    """What a line says of a state."""
    return {
        "index": f"{mas.index:x}",
        "last": f"{mas.last:x}",
        "status": STATUS_NAMES[mas.status],
        "node": f"{mas.node:x}",
        "min": f"{mas.min:x}",
        "max": f"{mas.max:x}",
        "offset": mas.offset,
        "end": mas.end,
        "depth": mas.depth,
    }
