"""R3: destroying dead leaves, and which guard catches the metadata (July 2022)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layout.defects.defect import Defect, Shows, everywhere, fill
from layout.memory.pointers import ARANGE_64, MT_FLAGS_ALLOC_RANGE, NODE_MASK
from layout.tree.kernel import Kernel
from layout.tree.peeks import is_zero, peeks

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from layout.defects.stage import Stage


class OnlyNode(Kernel):
    """The walk over dead leaves stops at a NULL node alone."""

    @peeks("read past data end", holds=is_zero, why="unused slots are 0, which ends the list")
    def seam_leaf_to_free(self, node: int, mt: int, offset: int) -> int:
        """The word in a slot if its node is not NULL."""
        entry = self.mem.slot(node, mt, offset)
        return entry if entry & ~NODE_MASK else 0


class OnlyType(Kernel):
    """The walk over dead leaves stops at type 0 alone."""

    @peeks("read past data end", holds=is_zero, why="unused slots are 0, which ends the list")
    def seam_leaf_to_free(self, node: int, mt: int, offset: int) -> int:
        """The word in a slot if its type is not 0."""
        entry = self.mem.slot(node, mt, offset)
        return entry if entry >> 3 & 0xF else 0


class EndOfRightmost(Kernel):
    """The walk goes to the data's end, as if every node were the rightmost one; no guard."""

    def mte_dead_leaves(self, enode: int, node: int) -> int:
        """Mark the leaves up to the data's end dead."""
        mt = enode >> 3 & 0xF
        end = self.ma_data_end(node, mt, self.ulong_max)
        return kill_leaves(self, node, mt, end)


class EndOfDead(Kernel):
    """The walk goes to the data's end, which is 0 for a node that is dead already."""

    def mte_dead_leaves(self, enode: int, node: int) -> int:
        """Mark the leaves up to the data's end dead."""
        mt = enode >> 3 & 0xF
        if mt == ARANGE_64:
            return kill_leaves(self, node, mt, self.mem.meta_end(node, mt))
        end = 0
        if not self.ma_dead_node(node):
            end = self.ma_data_end(node, mt, self.ulong_max)
        return kill_leaves(self, node, mt, end)


def kill_leaves(kernel: Kernel, node: int, mt: int, end: int) -> int:
    """Mark the leaves in slots 0 to ``end`` dead, whatever lies there; how many."""
    mem = kernel.mem
    for offset in range(end + 1):
        entry = mem.slot(node, mt, offset)
        leaf = entry & ~NODE_MASK
        kernel.mte_set_node_dead(entry)
        mem.set_dead_type(leaf, entry >> 3 & 0xF)
        mem.set_slot(node, mt, offset, leaf)
    return end + 1


def destroy_after(count: int, flags: int = 0) -> str:
    """The trace that stores ``count`` contiguous ranges in order and destroys the tree."""
    return f"init {flags:x}\n{fill(count)}\ndestroy"


def destroying(counts: tuple[int, ...]) -> Callable[[Stage], None]:
    """The scene in which trees of so many entries are stored and destroyed."""

    def scene(stage: Stage) -> None:
        for count in counts:
            one = stage.fresh(f"{count} entries")
            one.run(destroy_after(count))
            one.left_over()

    return scene


def _scene_of_all(stage: Stage) -> None:
    for guard in (OnlyNode, OnlyType, EndOfRightmost, EndOfDead):
        one = stage.fresh(guard.__name__, guard)
        one.run(destroy_after(211, MT_FLAGS_ALLOC_RANGE))
        one.left_over()


_SEEN = ("metadata read as slot",)


def _defect(  # noqa: PLR0913 - what is different between the variants
    letter: str,
    title: str,
    changes: str,
    kernel: type[Kernel],
    scene: Callable[[Stage], None],
    shows: Mapping[str, Shows],
    count: int,
    flags: int = 0,
) -> Defect:
    return Defect(
        id=f"R3{letter}",
        title=f"destroying dead leaves: {title}",
        kernels="before 6.1: linux-next of July 2022",
        fix=None,
        source="run: the guard changed in the kernel's own 6.12 code",
        changes=changes,
        kernel=kernel,
        scene=scene,
        shows=shows,
        trace=destroy_after(count, flags),
    )


_META = 0x0E00000000000000
"""The last word of a node with 15 children, as a big-endian machine reads it."""


def _crash(address: int, *counts: int) -> str:
    kind = "unmapped" if address else "null"
    return "; ".join(f"{count} entries: destroy: {kind} at {address:016x}" for count in counts)


DEFECTS = (
    _defect(
        "a",
        "only the node is tested",
        "The walk that frees the leaves below a node stops where the slot's word has no node. "
        "Metadata has none on little-endian machines; on big-endian ones its byte is the top of "
        "a pointer, and the dead mark is written through it. It takes an internal range_64 node "
        "with exactly 15 children: 211 contiguous entries make the first.",
        OnlyNode,
        destroying((210, 211, 225, 226, 375, 376)),
        {
            "x86_64": Shows("ok", "", _SEEN),
            "s390x": Shows("fault", _crash(_META, 211, 225, 376), _SEEN),
            "sparc64": Shows("fault", _crash(_META, 211, 225, 376), _SEEN),
        },
        211,
    ),
    _defect(
        "b",
        "only the type is tested",
        "The walk stops where the slot's word has type 0. Metadata has that on big-endian "
        "machines; on little-endian ones its byte 14 reads as type 1 of node NULL.",
        OnlyType,
        destroying((210, 211, 225, 226, 375, 376)),
        {
            "x86_64": Shows("fault", _crash(0, 211, 225, 376), _SEEN),
            "s390x": Shows("ok", "", _SEEN),
            "sparc64": Shows("ok", "", _SEEN),
        },
        211,
    ),
    _defect(
        "c",
        "the data's end of a rightmost node",
        "No guard: the walk goes to the data's end, taken as if the node's largest index were "
        "ULONG_MAX. That is right for the root, and too far by one for a node with 15 children "
        "further left: from 376 entries on. This is the patch that was withdrawn.",
        EndOfRightmost,
        destroying((211, 220, 375, 376)),
        {
            "x86_64": Shows("fault", _crash(0, 376), _SEEN),
            "s390x": Shows("fault", _crash(_META, 376), _SEEN),
            "sparc64": Shows("fault", _crash(_META, 376), _SEEN),
        },
        376,
    ),
    _defect(
        "d",
        "the data's end of a dead node",
        "No guard: the walk asks a function for the data's end that says 0 for a dead node, and "
        "the node was marked dead before. All leaves but the first are lost.",
        EndOfDead,
        destroying((15, 16, 211)),
        everywhere(
            "leak", "16 entries: 1 node not given back; 211 entries: 14 nodes not given back"
        ),
        16,
    ),
    _defect(
        "e",
        "any of these guards where gaps are tracked",
        "Each of the four in turn, on a tree with MT_FLAGS_ALLOC_RANGE: the nodes above the "
        "leaves are arange_64 there, and their metadata is a word of its own.",
        OnlyNode,
        _scene_of_all,
        everywhere("ok"),
        211,
        MT_FLAGS_ALLOC_RANGE,
    ),
)
