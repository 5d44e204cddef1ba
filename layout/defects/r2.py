"""R2: the end of a write is sought in slot 0, and one slot too many is copied (CVE-2023-54135)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layout.defects.defect import Defect, everywhere, fill
from layout.tree.kernel import Kernel

if TYPE_CHECKING:
    from layout.defects.stage import Stage
    from layout.tree.state import WrState


class OldEndPivot(Kernel):
    """mas_wr_end_piv() before May 2023."""

    def mas_wr_end_piv(self, wr: WrState) -> None:
        """Find the slot in which the write ends; in a full leaf as far as pivot 15: slot 0."""
        mas = wr.mas
        pivot = wr.r_max
        while mas.last > pivot and wr.offset_end < mas.end:
            wr.offset_end += 1
            pivot = self.mem.pivot(wr.node, wr.offset_end)
        wr.end_piv = mas.max if mas.last > pivot else pivot


def trigger(entry: int = 0x2A000000) -> str:
    """The trace for 60 ranges with entries from ``entry`` on."""
    return f"""\
init 0
{fill(60, entry=entry)}
store f000 f7ff {entry + 0x10000:x}
store 17000 1dfff {entry + 0x20000:x}
iter 16000 1ffff
load 1dfff"""


def scene(stage: Stage) -> None:
    """A full leaf is written up to its end."""
    stage.run(trigger())


DEFECT = Defect(
    id="R2",
    title="stale data copied by a write that ends with its leaf",
    kernels="6.1 to 6.3 in part (a guard in the node store hid it); here as 6.12 would have it",
    fix="20230506024752.2550-1-zhangpeng.00@bytedance.com",
    source=(
        "run: the old function put into the kernel's own 6.12 code gives the same nodes, "
        "byte for byte"
    ),
    changes=(
        "mas_wr_end_piv() steps on to pivots[++offset_end] up to the node's end. In a full leaf "
        "that is pivots[15], which is slot[0]: if the entry there is not below the last index "
        "of the write, the search ends on a pointer. The leaf gets a slot 10 with an entry of "
        "before and twice the pivot 1dfff; loads are right until a split or merge brings the "
        "stale entry to life. It depends on the numbers and not on byte order: entries have to "
        "lie above the indexes."
    ),
    kernel=OldEndPivot,
    scene=scene,
    trace=trigger(),
    shows=everywhere(
        "corrupt",
        "iter 16000 1ffff = 1e000-1dfff 2a001d00; "
        "mt_validate: node0000001000001200: data_end 10 != the last slot offset 9",
        ("slot read as pivot",),
    ),
)
