"""D4: destroying trees of three levels, and what ends a full upper node (June 2022)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layout.defects.defect import Defect, Shows, everywhere
from layout.defects.r3 import destroy_after, destroying
from layout.memory.pointers import NODE_MASK
from layout.tree.kernel import Kernel
from layout.tree.peeks import is_zero, peeks

if TYPE_CHECKING:
    from collections.abc import Mapping


class AllButLast(Kernel):
    """The walk over upper nodes never looks at the last slot."""

    def seam_child_to_free(self, node: int, mt: int, offset: int) -> int:
        """The enode in a slot; 0 for the last one."""
        if offset >= self.mt_slots[mt] - 1:
            return 0
        return super().seam_child_to_free(node, mt, offset)


class OnlyNode(Kernel):
    """The walk over upper nodes stops at a NULL node alone."""

    @peeks("read past data end", holds=is_zero, why="unused slots are 0, which ends the list")
    def seam_child_to_free(self, node: int, mt: int, offset: int) -> int:
        """The word in a slot if its node is not NULL."""
        entry = self.mem.slot(node, mt, offset)
        return entry if entry & ~NODE_MASK else 0


class OnlyType(Kernel):
    """The walk over upper nodes stops at type 0 alone."""

    @peeks("read past data end", holds=is_zero, why="unused slots are 0, which ends the list")
    def seam_child_to_free(self, node: int, mt: int, offset: int) -> int:
        """The word in a slot if its type is not 0."""
        entry = self.mem.slot(node, mt, offset)
        return entry if entry >> 3 & 0xF else 0


class NotZero(Kernel):
    """The walk over upper nodes stops at an empty slot alone."""

    @peeks("read past data end", holds=is_zero, why="unused slots are 0, which ends the list")
    def seam_child_to_free(self, node: int, mt: int, offset: int) -> int:
        """The word in a slot."""
        return self.mem.slot(node, mt, offset)


FIFTEEN, SIXTEEN = 3280, 3400
"""Contiguous entries that give an upper node 15 children, or 16."""


def _defect(  # noqa: PLR0913 - what is different between the variants
    letter: str,
    title: str,
    changes: str,
    kernel: type[Kernel],
    shows: Mapping[str, Shows],
    count: int = FIFTEEN,
) -> Defect:
    return Defect(
        id=f"D4{letter}",
        title=f"destroying full upper nodes: {title}",
        kernels="before 6.1: linux-next of June 2022",
        fix="20220616011739.802669-2-Liam.Howlett@oracle.com",
        source="run: the test changed in the kernel's own 6.12 code",
        changes=changes,
        kernel=kernel,
        scene=destroying((count,)),
        shows=shows,
        trace=destroy_after(count),
    )


_LITTLE = "3280 entries: destroy: null at 0000000000000080"
_BIG = "3280 entries: destroy: unmapped at 0e00000000000008"

_SEEN = ("metadata read as slot",)

DEFECTS = (
    _defect(
        "a",
        "the 16th child is skipped",
        "The walk goes on below a slot only if it is not the last one, where metadata may lie. "
        "In a node with 16 children a subtree is lost.",
        AllButLast,
        everywhere("leak", "3400 entries: 8 nodes not given back"),
        SIXTEEN,
    ),
    _defect(
        "b",
        "only the node is tested",
        "Metadata is taken for a child on big-endian machines, in an upper node with exactly 15 "
        "children.",
        OnlyNode,
        {
            "x86_64": Shows("ok", "", _SEEN),
            "s390x": Shows("fault", _BIG, _SEEN),
            "sparc64": Shows("fault", _BIG, _SEEN),
        },
    ),
    _defect(
        "c",
        "only the type is tested",
        "Metadata is taken for a child on little-endian machines, in an upper node with exactly "
        "15 children.",
        OnlyType,
        {
            "x86_64": Shows("fault", _LITTLE, _SEEN),
            "s390x": Shows("ok", "", _SEEN),
            "sparc64": Shows("ok", "", _SEEN),
        },
    ),
    _defect(
        "d",
        "only an empty slot ends the walk",
        "Metadata is taken for a child on every machine, in an upper node with exactly 15 "
        "children.",
        NotZero,
        {
            "x86_64": Shows("fault", _LITTLE, _SEEN),
            "s390x": Shows("fault", _BIG, _SEEN),
            "sparc64": Shows("fault", _BIG, _SEEN),
        },
    ),
)
