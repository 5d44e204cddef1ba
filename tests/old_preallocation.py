"""Preallocation as in Linux 6.1, for tests: nodes for any write, and a write that asks again."""

from layout.memory.slab import GFP_KERNEL
from layout.tree.kernel import Kernel
from layout.tree.state import MA_ERROR, MA_STATE_PREALLOC, WrState


class OldPreallocation(Kernel):
    """Three nodes a level and one; a store without them asks without blocking."""

    def mas_preallocate(self, mas, _entry, gfp=GFP_KERNEL):
        self.mas_node_count_gfp(mas, 1 + 3 * self.mas_mt_height(mas), gfp)
        mas.mas_flags |= MA_STATE_PREALLOC
        return 0

    def mas_store_prealloc(self, mas, entry):
        wr = WrState(mas, entry)
        self.mas_wr_prealloc_setup(wr)
        self.mas_wr_store_type(wr)
        self.mas_node_count(mas, self.mas_prealloc_calc(mas, entry))
        if mas.status == MA_ERROR:
            self.bug("mas_store_prealloc: no memory", mas.tree)
        self.mas_wr_store_entry(wr)
        self.mas_destroy(mas)
