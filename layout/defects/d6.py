"""D6: a leaf is appended to while readers are in it (August 2023)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layout.defects.defect import Defect, everywhere
from layout.defects.onlooker import looking_on
from layout.tree.kernel import Kernel
from layout.tree.state import WR_APPEND, WR_NODE_STORE, WR_SLOT_STORE

if TYPE_CHECKING:
    from layout.defects.stage import Stage
    from layout.tree.state import WrState


class AppendUnderReaders(Kernel):
    """Stores behind the data of a leaf append in RCU mode too."""

    def seam_store_type_in_leaf(self, wr: WrState) -> int:
        """Append wherever there is room behind the data."""
        chosen = super().seam_store_type_in_leaf(wr)
        room = self.mt_min_slots[wr.mt] <= self.mas_wr_new_end(wr) < self.mt_slots[wr.mt]
        if chosen in (WR_NODE_STORE, WR_SLOT_STORE) and wr.mas.offset == wr.mas.end and room:
            return WR_APPEND
        return chosen


OLD = [(0x1000 * i, 0x1000 * i + 0xFFF, 0x2A000000 + 0x100 * i) for i in range(8)]
WRITES = ("set_pivot", "set_meta", "set_slot")
NEW = (0x100000, (1 << 64) - 1, 0x3A000000)


def scene(stage: Stage) -> None:
    """A writer stores behind the last entry, while one reader stands in the leaf."""
    kernel, tree = stage.kernel, stage.tree
    kernel.mt_set_in_rcu(tree)
    for first, last, entry in OLD:
        kernel.mtree_store_range(tree, first, last, entry)
    kernel.run_rcu()
    stage.machine.rcu_read_lock()
    reader = kernel.new_state(tree, OLD[-1][0])
    kernel.mas_walk(reader)
    order: list[str] = []

    def look(write: str, *where: int) -> None:
        place = {"set_pivot": f"pivot[{where[1]}]", "set_slot": f"slot[{where[2]}]"}
        order.append(place.get(write, "metadata"))
        mas = kernel.new_state(tree, 0)
        found = []
        while entry := kernel.mas_find(mas, kernel.ulong_max):
            found.append((mas.index, mas.last, entry))
        if found not in (OLD, [*OLD, NEW]):
            stage.say(f"after the {order[-1]} a fresh reader finds {found}")

    with looking_on(stage.mem, WRITES, look):
        kernel.mtree_store_range(tree, *NEW)
    if len(order) == 4:
        stage.say(f"written in order: {', '.join(order)}")
    entry = kernel.mas_next_range(reader, kernel.ulong_max)
    stage.say(f"the reader in the leaf goes on to {reader.index:x}-{reader.last:x} {entry:x}")
    stage.attempt("and then", lambda: kernel.mas_next_range(reader, kernel.ulong_max))


DEFECT = Defect(
    id="D6",
    title="a leaf is appended to while readers are in it",
    kernels="6.4 (trees of address spaces in RCU mode) to 6.5-rc",
    fix="cfeb6ae8bcb96ccf674724f223661bbcef7b0d0b",
    source="the store type changed in 6.12; readers between the writes are this project's",
    changes=(
        "Choosing how to store does not ask for RCU mode before it appends. The writes come in "
        "the order end pivot, metadata, slot, old end pivot, and a reader who walks to the leaf "
        "sees the old or the new state at every step. A state that stands in the leaf has its "
        "old end: it answers one range to the end of the leaf and never shows the new entry."
    ),
    kernel=AppendUnderReaders,
    scene=scene,
    shows=everywhere(
        "wrong result",
        "written in order: pivot[9], metadata, slot[9], pivot[8]; "
        "the reader in the leaf goes on to 8000-ffffffffffffffff 0; and then = 0000000000000000",
    ),
)
