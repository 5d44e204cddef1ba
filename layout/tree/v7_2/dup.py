"""Duplicating a tree: mtree_dup, with one sheaf for the children of every node."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layout.memory.pointers import NODE_MASK, mte_node_type, mte_to_node
from layout.tree.dup import mas_dup_build as copy_in_preorder
from layout.tree.state import MA_ERROR, MaState

if TYPE_CHECKING:
    from layout.tree.v7_2.kernel import Kernel72


def mas_dup_alloc(k: Kernel72, mas: MaState, new_mas: MaState, gfp: int) -> None:
    """Take the copy's children, with the tags of the originals; may set -ENOMEM.

    Then the copied node's slots stay as they are, pointing into the source.
    """
    mem = k.mem
    mt = mte_node_type(mas.node)
    node = mte_to_node(mas.node)
    new_node = mte_to_node(new_mas.node)
    count = k.mas_data_end(mas) + 1
    mas.node_request = count
    k.mas_alloc_nodes(mas, gfp)
    if mas.status == MA_ERROR:
        return
    for i in range(count):
        tags = mem.slot(node, mt, i) & NODE_MASK
        mem.set_slot(new_node, mt, i, k.mas_pop_node(mas) | tags)


def mas_dup_build(k: Kernel72, mas: MaState, new_mas: MaState, gfp: int) -> None:
    """Copy in preorder. Sets -EINVAL in ``mas`` if the trees do not fit together."""
    copy_in_preorder(k, mas, new_mas, gfp)
    k.mas_empty_nodes(mas)
