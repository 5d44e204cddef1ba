"""D7: a reader goes on in a dead node whose pivots are an rcu_head (early 2023)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layout.defects.defect import Defect, everywhere
from layout.memory.pointers import mte_node_type, mte_to_node
from layout.tree.kernel import Kernel

if TYPE_CHECKING:
    from layout.defects.stage import Stage
    from layout.tree.state import MaState


class NoDeadTest(Kernel):
    """mas_next_slot() that never asks whether its node is dead."""

    def mas_next_slot(self, mas: MaState, limit: int, *, empty: bool) -> int:
        """The entry in the next slot of the same node; beyond it, today's code."""
        mem = self.mem
        node, mt = mte_to_node(mas.node), mte_node_type(mas.node)
        while mas.offset < mas.end and mas.last < limit:
            mas.index = mem.pivot(node, mas.offset) + 1 & self.ulong_max
            mas.offset += 1
            mas.last = mem.pivot(node, mas.offset) if mas.offset < mas.end else mas.max
            entry = mem.slot(node, mt, mas.offset)
            if entry or empty:
                return entry
        return super().mas_next_slot(mas, limit, empty=empty)


def scene(stage: Stage) -> None:
    """A reader stands in a leaf; a writer replaces it and queues the old one."""
    kernel, tree = stage.kernel, stage.tree
    kernel.mt_set_in_rcu(tree)
    for i in range(4):
        kernel.mtree_store_range(tree, 0x10000 * i, 0x10000 * i + 0xFFFF, 0x2A000000 + 0x100 * i)
    kernel.run_rcu()
    stage.machine.rcu_read_lock()
    reader = kernel.new_state(tree, 0)
    kernel.mas_walk(reader)
    kernel.mtree_store_range(tree, 0x30000, 0x37FFF, 0x3A000000)
    for _ in range(2):
        entry = kernel.mas_next_range(reader, kernel.ulong_max)
        stage.say(f"the reader goes on to {reader.index:x}-{reader.last:x} {entry:x}")


DEFECT = Defect(
    id="D7",
    title="a reader takes the rcu_head of a dead node for pivots",
    kernels="6.1 to 6.2",
    fix="a7b92d59c885 and others of the series 20230227173632.3292573-3-surenb@google.com",
    source="the tests left out of 6.12's mas_next_slot()",
    changes=(
        "mas_next_slot() never asks whether its node is dead. A node that was replaced and "
        "waits for its grace period has the callback's list pointer in pivot 0 and its function "
        "in pivot 1."
    ),
    kernel=NoDeadTest,
    scene=scene,
    shows=everywhere(
        "wrong result",
        "the reader goes on to 1-f1 2a000100; the reader goes on to f2-2ffff 2a000200",
        ("rcu_head read as pivot, then used",),
    ),
)
