"""D10: a lookup takes a full leaf's last entry for metadata (2023)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layout.defects.defect import Defect, Shows, fill
from layout.memory.pointers import ma_is_leaf, mte_node_type, mte_to_node
from layout.tree.kernel import Kernel
from layout.tree.walk import MAX_DESCENT

if TYPE_CHECKING:
    from layout.defects.stage import Stage
    from layout.tree.state import MaState


class EndFromMetadata(Kernel):
    """mtree_lookup_walk() that goes as far as the metadata says, where there is any or not."""

    def mtree_lookup_walk(self, mas: MaState) -> int:
        """The entry at the state's index."""
        index, enode = mas.index, mas.node
        for _ in range(MAX_DESCENT):
            mt = mte_node_type(enode)
            node = mte_to_node(enode)
            end = self.mem.meta_end(node, mt)
            offset = 0
            while self.mem.ma_pivot(node, mt, offset) < index:
                offset += 1
                if offset >= end:
                    break
            enode = self.mem.slot(node, mt, offset)
            if self.ma_dead_node(node):
                mas.reset()
                return 0
            if ma_is_leaf(mt):
                return enode
        self.livelock("mtree_lookup_walk: the tree has a cycle", mte_to_node(mas.node))


LAST = 0x05000000_2A00080A
"""The 16th entry: its lowest byte is 10, its highest is 5."""

TRACE = f"""\
init 0
{fill(60)}
store f000 f7ff 2a010000
store 1d000 1dfff {LAST:x}
load f000
load 13000
load 14000
load 18000
load 19000
load 1d000"""


def scene(stage: Stage) -> None:
    """Entries of a full leaf are looked up."""
    stage.run(TRACE)


_BIG = "; ".join(f"load {index} = 2a001300" for index in ("14000", "18000", "19000", "1d000"))

_SEEN = ("slot read as metadata",)

DEFECT = Defect(
    id="D10",
    title="a lookup takes a full leaf's last entry for metadata",
    kernels="6.1 to 6.5 asked for the wrong end, to no effect",
    fix=None,
    source="modelled: as it was in 2023 it never showed",
    changes=(
        "mtree_lookup_walk() looks at as many pivots as the metadata says, in full leaves too, "
        "where byte 248 belongs to the 16th entry: its lowest byte on little-endian machines, "
        "its highest on big-endian ones. Lookups behind that slot find the entry in it."
    ),
    kernel=EndFromMetadata,
    scene=scene,
    trace=TRACE,
    shows={
        "x86_64": Shows("wrong result", "load 19000 = 2a001800; load 1d000 = 2a001800", _SEEN),
        "s390x": Shows("wrong result", _BIG, _SEEN),
        "sparc64": Shows("wrong result", _BIG, _SEEN),
    },
)
