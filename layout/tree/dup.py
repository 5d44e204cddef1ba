"""Duplicating a tree node by node: mtree_dup."""

from __future__ import annotations

from layout.pointers import ENODE_NULL, MT_FLAGS_HEIGHT_MASK, NODE_MASK, ROOT_NODE, ROOT_PARENT
from layout.slab import GFP_KERNEL
from layout.tree.base import MAX_DESCENT
from layout.tree.state import EINVAL, ENOMEM, MA_ERROR, MA_NONE, MA_ROOT, MaState
from layout.tree.store import Store

_MAX_STEPS = 1 << 26


class Dup(Store):
    """Copies of whole trees."""

    def mas_dup_free(self, mas: MaState) -> None:
        """Free an incomplete copy; the state points at the node whose children failed."""
        mem = self.mem
        if mas.status == MA_NONE:
            return
        while not self.ma_is_root(mas.node & ~NODE_MASK):
            self.mas_ascend(mas)
            if mas.offset:
                mas.offset -= 1
                while True:
                    self.mas_descend(mas)
                    mas.offset = self.mas_data_end(mas)
                    if mas.node >> 3 & 0xF < 2:
                        break
                self.mas_ascend(mas)
            node, mt = mas.node & ~NODE_MASK, mas.node >> 3 & 0xF
            count = self.mas_data_end(mas) + 1
            for i in range(count):
                mem.set_slot(node, mt, i, mem.slot(node, mt, i) & ~NODE_MASK)
            self.mt_free_bulk(count, node + mem.slot_offset[mt])
        self.cache.free(mas.node & ~NODE_MASK)

    def mas_copy_node(self, mas: MaState, new_mas: MaState, parent: int) -> None:
        """Copy a node whole and give the copy its parent."""
        mem = self.mem
        node, new_node = mas.node & ~NODE_MASK, new_mas.node & ~NODE_MASK
        mem.copy_node(new_node, node)
        mem.set_parent(new_node, mem.parent(node) & NODE_MASK | parent)

    def mas_dup_alloc(self, mas: MaState, new_mas: MaState, gfp: int) -> None:
        """Allocate the copy's children, with the tags of the originals; may set -ENOMEM."""
        mem = self.mem
        mt = mas.node >> 3 & 0xF
        node, new_node = mas.node & ~NODE_MASK, new_mas.node & ~NODE_MASK
        count = self.mas_data_end(mas) + 1
        children = self.cache.alloc_bulk(gfp, count)
        if not children:
            mem.set_slots(new_node, mt, 0, [0] * count)
            self.mas_set_err(mas, ENOMEM)
            return
        for i, child in enumerate(children):
            mem.set_slot(new_node, mt, i, child | mem.slot(node, mt, i) & NODE_MASK)

    def mas_dup_build(self, mas: MaState, new_mas: MaState, gfp: int) -> None:
        """Copy in preorder. Sets -EINVAL in ``mas`` if the trees do not fit together."""
        mem = self.mem
        flags, new_flags = mem.ma_flags(mas.tree), mem.ma_flags(new_mas.tree)
        if (flags ^ new_flags) & ~MT_FLAGS_HEIGHT_MASK or mem.ma_root(new_mas.tree):
            self.mas_set_err(mas, EINVAL)
            return
        root = self.mas_start(mas)
        if mas.status not in (MA_ROOT, MA_NONE):
            node = self.cache.alloc_one(gfp)
            if not node:
                new_mas.status = MA_NONE
                self.mas_set_err(mas, ENOMEM)
                return
            new_mas.node = node | (mas.node >> 3 & 0xF) << 3 | ENODE_NULL
            root = new_mas.node | ROOT_NODE
            new_mas.min = 0
            new_mas.max = self.ulong_max
            if not self._copy_below(mas, new_mas, gfp):
                return
            mem.set_parent(root & ~NODE_MASK, new_mas.tree | ROOT_PARENT)
        mem.set_ma_flags(new_mas.tree, mem.ma_flags(mas.tree))
        mem.set_ma_root(new_mas.tree, root)

    def _copy_below(self, mas: MaState, new_mas: MaState, gfp: int) -> bool:
        parent = depth = 0
        for _ in range(_MAX_STEPS):
            self.mas_copy_node(mas, new_mas, parent)
            if mas.node >> 3 & 0xF >= 2:
                self.mas_dup_alloc(mas, new_mas, gfp)
                if mas.status == MA_ERROR:
                    return False
            else:
                if mas.max == self.ulong_max:
                    return True
                while True:
                    self.mas_ascend(mas)
                    self.mas_ascend(new_mas)
                    depth -= 1
                    if mas.offset != self.mas_data_end(mas):
                        break
                    if self.ma_is_root(mas.node & ~NODE_MASK):
                        self.livelock("mas_dup_build finds no last leaf", mas.node & ~NODE_MASK)
                mas.offset += 1
                new_mas.offset += 1
            depth += 1
            if depth > MAX_DESCENT:
                break
            self.mas_descend(mas)
            parent = new_mas.node & ~NODE_MASK
            self.mas_descend(new_mas)
            mas.offset = 0
            new_mas.offset = 0
        self.livelock("mas_dup_build: the tree has a cycle", mas.node & ~NODE_MASK)

    def mtree_dup(self, tree: int, new: int, gfp: int = GFP_KERNEL) -> int:
        """Copy a tree into the empty tree ``new``, which must have the same flags but for height.

        Returns 0, -EINVAL or -ENOMEM. O(n).
        """
        mas, new_mas = self.new_state(tree), self.new_state(new)
        self.mas_dup_build(mas, new_mas, gfp)
        if mas.status != MA_ERROR:
            return 0
        err = self.xa_err(mas.node)
        if err == -ENOMEM:
            self.mas_dup_free(new_mas)
        return err
