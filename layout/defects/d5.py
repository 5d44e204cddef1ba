"""D5: an offset out of range stays in the state (May 2022)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layout.defects.defect import Defect, Shows, fill
from layout.defects.loops import Loops2022
from layout.defects.r1 import TRACE as SEVEN

if TYPE_CHECKING:
    from layout.defects.stage import Stage
    from layout.tree.state import MaState


class OffsetRunsOff(Loops2022):
    """Each next that finds nothing leaves the offset one higher; prev starts from there."""

    def seam_next_nothing(self, mas: MaState, before: int) -> None:
        """Leave the offset where the search ended."""

    def seam_into_node(self, offset: int, mt: int) -> int:  # noqa: ARG002 - the clamp that was missing
        """The clamp that was missing."""
        return offset


def scene(stage: Stage) -> None:
    """A caller asks twice what comes next, with a higher limit, and then what came before."""
    one = stage.fresh("data end 14")
    one.run(SEVEN)
    _there_and_back(one, 0x100000)
    two = stage.fresh("full leaf")
    two.run(f"init 0\n{fill(15)}\nsel 1\nstore 0 9 4a000000\nstore 20 29 4a000000")
    _there_and_back(two, 0x100000)


def _there_and_back(stage: Stage, index: int) -> None:
    kernel = stage.kernel
    mas = kernel.new_state(stage.tree, index, index + 0xFFF)
    stage.attempt("find", lambda: kernel.mas_find(mas, index + 0xFFF))
    for limit in (index + 0x1FFF, index + 0x2FFF):
        kernel.mas_next(mas, limit)
    stage.attempt("prev", lambda: kernel.mas_prev(mas, 0))


_BEHIND = "0000000fffff0041"
"""The parent word of the root behind the leaf: its tree's address and bit 0."""

DEFECT = Defect(
    id="D5",
    title="an offset out of range stays in the state, and prev reads there",
    kernels="before 6.1: linux-next of May 2022",
    fix=(
        "the patch 'maple_tree: Fix potential out of range offset on mas_next()/mas_prev()', "
        "folded in before 6.1"
    ),
    source="modelled on the loops of 2022; the kernel's own code of then was not run",
    changes=(
        "mas_next() in the loop of 2022 leaves its offset where the search ended, one higher at "
        "each call, and mas_prev() steps back from there without a clamp. In a leaf whose data "
        "ends at slot 14, prev reads the metadata as slot 15; in a full leaf it reads slot 16, "
        "which is the parent word of the node behind it."
    ),
    kernel=OffsetRunsOff,
    scene=scene,
    shows={
        arch: Shows(
            "wrong result",
            f"data end 14: prev = {word}; full leaf: prev = {_BEHIND}",
            ("metadata read as slot", "read past the node", "slot read as pivot"),
        )
        for arch, word in (
            ("x86_64", "000000000000000e"),
            ("s390x", "0e00000000000000"),
            ("sparc64", "0e00000000000000"),
        )
    },
)
