"""D1: a spanning store keeps data that it has overwritten (CVE-2024-50200)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layout.defects.defect import Defect, everywhere, fill
from layout.tree.kernel import Kernel

if TYPE_CHECKING:
    from layout.defects.stage import Stage
    from layout.tree.state import MaState


class RightByOffset(Kernel):
    """A spanning store that asks for the offset in the right leaf, not for its indexes."""

    def seam_right_leaf_stays(self, r_mas: MaState) -> bool:
        """Whether the offset is not above the data's end, as it is wherever the walk stops."""
        return r_mas.offset <= r_mas.end


TRACE = f"""\
init 1
{fill(400)}
store 76000 86fff 3a000000
iter 75000 88fff"""


def scene(stage: Stage) -> None:
    """A write over several leaves ends with the last leaf of its parent."""
    stage.run(TRACE)


DEFECT = Defect(
    id="D1",
    title="a spanning store leaves a stale slot at the end of its right leaf",
    kernels="6.1 to 6.11, 6.12-rc",
    fix="bea07fd63192 (cover.1728314402.git.lorenzo.stoakes@oracle.com)",
    source=(
        "run: the old test put into the kernel's own 6.12 code gives the same nodes, byte for byte"
    ),
    changes=(
        "mas_wr_spanning_store() copies what is right of the write if the offset in the right "
        "leaf is not above the end of its data. The walk to the right side goes to the index "
        "behind the write; where the right leaf is its parent's last child that index is not in "
        "the leaf, the walk stops at its last slot, and that slot, just overwritten, is copied."
    ),
    kernel=RightByOffset,
    scene=scene,
    trace=TRACE,
    shows=everywhere(
        "corrupt",
        "iter 75000 88fff = 87000-86fff 2a008600; "
        "mt_validate: node0000001000014e00: data_end 14 != the last slot offset 13",
    ),
)
