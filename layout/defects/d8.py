"""D8: nodes held in reserve are forgotten when more are asked for (2023)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layout.defects.defect import Defect, everywhere
from layout.defects.onlooker import looking_on
from layout.memory.slab import GFP_KERNEL
from layout.tree.kernel import Kernel

if TYPE_CHECKING:
    from layout.defects.stage import Stage
    from layout.tree.state import MaState


class CountReset(Kernel):
    """mas_alloc_nodes() that takes the next node of the chain for a new one every time."""

    def seam_begin_next_alloc(self, node: int, used: int) -> None:  # noqa: ARG002 - the bug
        """Clear the counts of the chain's next node, however many it holds."""
        super().seam_begin_next_alloc(node, 0)


def scene(stage: Stage) -> None:
    """A state that holds 40 nodes asks for 20 more, and all are used."""
    kernel, mem = stage.kernel, stage.mem
    mas = kernel.new_state(stage.tree)
    for count in (40, 60):
        kernel.mas_node_count_gfp(mas, count, GFP_KERNEL)

    def look(_: str, node: int, slot: int, *_more: int) -> None:
        if slot >= kernel.alloc_slots:
            offset = mem.alloc_slot_offset + slot * mem.word_size
            stage.say(f"slot[{slot}] is read, {offset} bytes from the start of node {node:x}")

    with looking_on(mem, ["alloc_slot"], look):
        stage.attempt("using all nodes", lambda: _use_up(kernel, mas))


def _use_up(kernel: Kernel, mas: MaState) -> int:
    while kernel.mas_allocated(mas):
        kernel.mas_pop_node(mas)
    return 0


DEFECT = Defect(
    id="D8",
    title="nodes in reserve are forgotten when more are asked for",
    kernels="6.1 to 6.3-rc",
    fix=(
        "the patch 'maple_tree: fix a potential memory leak, OOB access, or other "
        "unpredictable bug' of 2023"
    ),
    source="the reset put into 6.12, which was not run; requests made by mas_node_count()",
    changes=(
        "mas_alloc_nodes() clears the count of the next node in the chain after each bulk "
        "request, also when that node is filled already: with more than 31 nodes in a state, and "
        "a second request. Taking a node then counts 0 - 1 = 255 in a byte, and slot 255 of a "
        "struct with 30 is read and cleared."
    ),
    kernel=CountReset,
    scene=scene,
    shows=everywhere(
        "fault",
        "slot[255] is read, 2056 bytes from the start of node 1000000000; "
        "using all nodes: null at 0000000000000000",
        ("read past the node", "written past the node"),
    ),
)
