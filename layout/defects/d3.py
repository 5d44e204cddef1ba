"""D3: parent words hold five bits of slot on 32-bit machines, and four were read (May 2022)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layout.defects.defect import SHOWN_ON, Defect, Shows, fill
from layout.tree.kernel import Kernel

if TYPE_CHECKING:
    from layout.defects.stage import Stage

_OLD_MASK = 0x78


class FourSlotBits(Kernel):
    """Parent words read with the mask that is right for 16 slots."""

    def seam_slot_of_parent_word(self, word: int) -> int:
        """The slot that a parent word holds, without its highest bit."""
        return (word & _OLD_MASK) >> 3


TRACE = f"""\
init 0
{fill(500)}
cset 1e2000
cfind ffffffff
cprev 0
load 1e2000"""


def scene(stage: Stage) -> None:
    """A reader goes back from the leaf in slot 16 of the root."""
    stage.run(TRACE)


_LOST = "cprev 0 = 0; mt_validate: parent 10009700[0] does not have 10009800"

DEFECT = Defect(
    id="D3",
    title="parent words read with a mask for 16 slots, on machines with 32",
    kernels="before 6.1: linux-next of May 2022",
    fix="the patch 'maple_tree: Fix 32b parent pointers', folded in before 6.1",
    source=(
        "modelled: only the slot is read with the old mask; with 6.12's own masks changed the "
        "parent's type is lost as well, and the kernel's C crashes on arm, mips and m68k"
    ),
    changes=(
        "A node of a 32-bit machine has up to 32 slots, and its children hold theirs in bits 3 "
        "to 7 of their parent word. With the mask 0x78 a child in slot 16 is taken for the one "
        "in slot 0, and going up from it leads back to the start. Nodes of 64-bit machines have "
        "16 slots: nothing happens there."
    ),
    kernel=FourSlotBits,
    scene=scene,
    trace=TRACE,
    shows={
        **{arch: Shows("ok") for arch in SHOWN_ON},
        **{arch: Shows("corrupt", _LOST) for arch in ("arm", "mips", "m68k")},
    },
)
