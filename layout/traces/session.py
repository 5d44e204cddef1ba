"""What lasts between the lines of a trace: the machine, the current tree and the cursor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from layout.memory.limits import LIMIT
from layout.memory.node import NODE_SIZE
from layout.memory.pointers import RANGE_64, ROOT_NODE, mte_node_type, mte_to_node, xa_is_node
from layout.tree.state import STATUS_NAMES
from layout.tree.walk import MAX_DESCENT

if TYPE_CHECKING:
    from layout.machine.machine import Machine
    from layout.tree.state import MaState

Line = dict[str, Any]
"""One transcript line: ``n``, ``op`` and what the operation returned."""


class Session:
    """A machine on which operations are carried out, with the current tree and the cursor.

    ``failed`` turns true when a validate fails.
    """

    def __init__(self, machine: Machine, limit: int = LIMIT) -> None:
        self.machine = machine
        self.limit = limit
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


def reachable(run: Session) -> list[int]:
    """The enodes below the root, breadth first, as far as the kernel's data ends say."""
    kernel, mem = run.kernel, run.mem
    root = mem.ma_root(run.tree)
    enodes = [root & ~ROOT_NODE] if xa_is_node(root) else []
    for enode in enodes:
        node, mt = mte_to_node(enode), mte_node_type(enode)
        if mt < RANGE_64:
            continue
        end = kernel.ma_data_end(node, mt, _node_max(run, enode))
        enodes += [mem.slot(node, mt, i) for i in range(end + 1)]
        if len(enodes) > mem.near_size:
            kernel.livelock("dump: the tree has a cycle", node)
    return enodes


def _node_max(run: Session, enode: int) -> int:
    """The node's largest index, from the pivots of its parents."""
    kernel, mem = run.kernel, run.mem
    mas = run.new_state()
    for _ in range(MAX_DESCENT):
        if kernel.ma_is_root(mte_to_node(enode)):
            break
        slot, parent = kernel.mte_parent_slot(enode), kernel.parent_enode(mas, enode)
        if slot < kernel.mt_pivots[mte_node_type(parent)]:
            pivot = mem.pivot(mte_to_node(parent), slot)
            if pivot:
                return pivot
        enode = parent
    return kernel.ulong_max
