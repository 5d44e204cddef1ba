"""D2: the walk of a write reads pivot 15, which no leaf has (July 2022)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layout.defects.defect import Defect, everywhere, fill
from layout.tree.kernel import Kernel

if TYPE_CHECKING:
    from layout.defects.stage import Stage
    from layout.tree.state import WrState


class PivotBehindLast(Kernel):
    """mas_wr_node_walk() that takes a full leaf's last bound from behind its pivots."""

    def mas_wr_node_walk(self, wr: WrState) -> None:
        """Find the slot; slot 15 of a full leaf ends where the word of slot 0 says."""
        super().mas_wr_node_walk(wr)
        if wr.offset_end == self.mt_pivots[wr.mt]:
            wr.r_max = self.mem.pivot(wr.node, wr.offset_end)


ALONE = f"""\
init 0
{fill(15)}
store f000 {(1 << 64) - 1:x} 3a000000
load 0
load 1000"""

BESIDE_ROOT = f"""\
init 0
{fill(24)}
store 18000 {(1 << 64) - 1:x} 3a000000
load 0"""


def scene(stage: Stage) -> None:
    """The last slot of a full leaf is written, alone and with its root behind it."""
    for name, trace in (("alone", ALONE), ("root behind it", BESIDE_ROOT)):
        one = stage.fresh(name)
        one.run(trace)
        leaf = one.machine.node_base + (0 if trace is ALONE else 0x100)
        one.say(f"the word behind the leaf is {one.mem.read_word(leaf + 0x100):x}")


DEFECT = Defect(
    id="D2",
    title="a write reads pivot 15 and appends to a full leaf",
    kernels="before 6.1: linux-next of July 2022",
    fix="20220713021256.542856-1-Liam.Howlett@oracle.com",
    source="modelled: in 2022 the word was read and thrown away; here it is used",
    changes=(
        "mas_wr_node_walk() takes the bound of slot 15 from pivots[15], which is slot[0]. An "
        "exact fit there is then not seen as one and becomes an append: slots 0 and 1 get "
        "pivots, and the entry is written behind the node, over the parent word of the next one."
    ),
    kernel=PivotBehindLast,
    scene=scene,
    trace=ALONE,
    shows=everywhere(
        "corrupt",
        "alone: load 0 = efff; alone: load 1000 = ffffffffffffffff; "
        "alone: the word behind the leaf is 3a000000; "
        "root behind it: the word behind the leaf is 3a000000; "
        "root behind it: tree 0: the validator is stopped",
        (
            "slot read as pivot",
            "slot overwritten as pivot",
            "written past the node",
            "pivot read as slot",
            "slot read as parent",
        ),
    ),
)
