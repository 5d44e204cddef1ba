"""R1: the metadata byte pair comes back as an entry (s390x, sparc64, alpha; May 2022)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layout.defects.defect import Defect, Shows
from layout.defects.loops import Next2022

if TYPE_CHECKING:
    from layout.defects.stage import Stage


class OldNext(Next2022):
    """The loop of 2022 without its test for an offset above the data's end."""

    def seam_beyond(self, offset: int, count: int) -> bool:  # noqa: ARG002 - the test that was missing
        """The test that was missing."""
        return False


TRACE = """\
init 0
""" + "\n".join(
    f"store {0x10000 + 0x2000 * i:x} {0x10FFF + 0x2000 * i:x} {0x2A0001 + 0x100 * i:x}"
    for i in range(7)
)


def scene(stage: Stage) -> None:
    """A caller looks for a place above the last range and asks for what comes next."""
    stage.run(TRACE)
    kernel = stage.kernel
    mas = kernel.new_state(stage.tree, 0x100000, 0x100FFF)
    stage.attempt("find", lambda: kernel.mas_find(mas, 0x100FFF))
    entry = stage.attempt("next", lambda: kernel.mas_next(mas, kernel.ulong_max))
    stage.say(f"the state is at offset {mas.offset}, index {mas.index:x}")
    stage.follow(entry)


_STATE = "the state is at offset 15, index 0"
_CHECKER = ("metadata read as slot",)

DEFECT = Defect(
    id="R1",
    title="the metadata byte pair comes back as an entry",
    kernels="before 6.1: linux-next of May 2022",
    fix=(
        "the patch 'maple_tree: fix mas_next() when already on the last node entry', folded in "
        "before 6.1"
    ),
    source="run: the loop of 2022 put back into the kernel's own 6.12 code",
    changes=(
        "mas_find() leaves index and last at the limit when it returns NULL, and mas_next() is "
        "the in-node loop of 2022, which reads slot[offset] after its loop without testing that "
        "the offset is above the data's end. The tree is right and stays right; the caller gets "
        "the last word of a leaf, its metadata."
    ),
    kernel=OldNext,
    scene=scene,
    trace=TRACE + "\ncset 100000 100fff\ncfind 100fff\ncnext ffffffffffffffff",
    shows={
        "x86_64": Shows(
            "fault",
            f"next = 000000000000000e; {_STATE}; following it: null at 000000000000000e",
            _CHECKER,
        ),
        "s390x": Shows(
            "fault",
            f"next = 0e00000000000000; {_STATE}; following it: unmapped at 0e00000000000000",
            _CHECKER,
        ),
        "sparc64": Shows(
            "fault",
            f"next = 0e00000000000000; {_STATE}; following it: unmapped at 0e00000000000000",
            _CHECKER,
        ),
    },
)
