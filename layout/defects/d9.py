"""D9: searching downwards for a gap, where there is no node or no gap (2022, 2024)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layout.defects.defect import Defect, everywhere, fill
from layout.memory.pointers import NODE_MASK
from layout.tree.kernel import Kernel
from layout.tree.state import MA_START
from layout.tree.walk import MAX_DESCENT

if TYPE_CHECKING:
    from layout.defects.stage import Stage
    from layout.tree.state import MaState


class EndBeforeNull(Kernel):
    """The search asks for the data's end before it looks for a node, and misses the root."""

    def mas_empty_area_rev(self, mas: MaState, low: int, high: int, size: int) -> int:
        """Find the highest gap."""
        if mas.status == MA_START:
            self.mas_start(mas)
            self.mas_data_end(mas)
            mas.reset()
        return super().mas_empty_area_rev(mas, low, high, size)

    def seam_search_went_up(self, mas: MaState, node: int) -> None:
        """The root is not noticed."""

    def mas_rewind_node(self, mas: MaState) -> bool:
        """Go to the slot before; at the root, try again."""
        for _ in range(MAX_DESCENT):
            self.mas_ascend(mas)  # stays at the root, offset 0
            if mas.offset:
                mas.offset -= 1
                return True
        self.livelock("mas_rewind_node", mas.node & ~NODE_MASK)


def scene(stage: Stage) -> None:
    """Reverse searches in a tree with one entry, and in one without a gap."""
    for name, trace in (
        ("empty tree", "init 1\nempty_area_rev 0 ffff 100"),
        ("one entry", "init 1\nstore 0 0 2a000000\nempty_area_rev 0 ffff 100"),
        ("no gap", f"init 1\n{fill(6)}\nempty_area_rev 0 5fff 1000"),
    ):
        stage.fresh(name).run(trace)


DEFECT = Defect(
    id="D9",
    title="a search downwards asks for the end of no node, or never ends",
    kernels="6.1 to 6.8 (the NULL dereference); linux-next of July 2022 (the endless loop)",
    fix=(
        "955a923d2809803980ff574270f81510112be9cf; for the loop the patch 'maple_tree: Fix "
        "mas_empty_area_rev() search exhaustion at root node', folded in before 6.1"
    ),
    source="the order of tests of then put into 6.12; the endless loop is modelled",
    changes=(
        "mas_empty_area_rev() asks for the end of the node's data before it tests whether there "
        "is a node: a NULL dereference in a tree that is empty or has one entry at 0. And the "
        "search does not notice that it has come to the root without a gap."
    ),
    kernel=EndBeforeNull,
    scene=scene,
    shows=everywhere(
        "fault",
        "empty tree: empty_area_rev 0 ffff 100: null at 0000000000000000; "
        "one entry: empty_area_rev 0 ffff 100: null at 0000000000000000; "
        "no gap: empty_area_rev 0 5fff 1000: livelock at 0000001000000000",
    ),
)
