"""Linux 7.2's maple tree code: a table of what is not as in 6.12."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from layout.memory.errors import UsageError
from layout.tree.kernel import Kernel
from layout.tree.v7_2 import alloc, checks, copy, dup, root, stores, walk, write

if TYPE_CHECKING:
    from collections.abc import Callable

GONE = frozenset(
    # bulk loading
    {"mas_expected_entries", "mas_destroy_rebalance", "mas_bulk_rebalance"}
    # the chain of struct maple_alloc
    | {"mas_alloc_req", "mas_set_alloc_req", "mas_push_node", "mas_node_count"}
    | {"mas_node_count_gfp", "seam_begin_next_alloc", "mas_set_height"}
    # stores by way of struct maple_big_node and struct maple_subtree_state
    | {"mab_calc_split", "mab_mas_cp", "mab_middle_node", "mab_no_null_split", "mab_set_b_end"}
    | {"mab_shift_right", "mas_mab_cp", "mas_leaf_set_meta", "mas_store_b_node"}
    | {"mas_new_ma_node", "new_big_node", "mas_node_or_none", "mas_mab_to_node"}
    | {"mas_set_split_parent", "mas_spanning_rebalance", "mas_rebalance", "mas_push_data"}
    | {"mas_split", "mas_split_final_node", "mas_commit_b_node", "mas_wr_bnode"}
    | {"mast_ascend", "mast_combine_cp_left", "mast_combine_cp_right", "mast_cp_to_nodes"}
    | {"mast_fill_bnode", "mast_rebalance_next", "mast_rebalance_prev", "mast_split_data"}
    | {"mast_set_split_parents", "mast_spanning_rebalance", "seam_right_leaf_stays"}
)
"""Operations of 6.12 that are not there any more."""


class Kernel72(Kernel):
    """Linux 7.2's maple tree code at work on one machine's memory.

    Where a line says so, the operation has other arguments than that of 6.12: whatever calls it
    is listed here as well.
    """

    version: ClassVar[str] = "7.2"
    gone: ClassVar[frozenset[str]] = GONE

    # -- alloc
    mas_allocated = alloc.mas_allocated
    mas_pop_node = alloc.mas_pop_node
    mas_alloc_nodes = alloc.mas_alloc_nodes
    mas_empty_nodes = alloc.mas_empty_nodes
    mas_destroy = alloc.mas_destroy
    mas_nomem = alloc.mas_nomem
    call_rcu = alloc.call_rcu
    mas_free = alloc.mas_free
    mas_topiary_node = alloc.mas_topiary_node

    # -- root
    mt_set_height = root.mt_set_height
    mas_root_expand = root.mas_root_expand
    mas_new_root = root.mas_new_root
    mas_put_in_tree = root.mas_put_in_tree  # type: ignore[assignment] # new_height
    mas_replace_node = root.mas_replace_node  # type: ignore[assignment] # new_height
    mas_topiary_replace = root.mas_topiary_replace  # type: ignore[assignment] # new_height

    # -- walk
    mas_start = walk.mas_start
    mas_walk = walk.mas_walk
    mas_may_activate = walk.mas_may_activate
    mas_next_setup = walk.mas_next_setup
    mas_prev_setup = walk.mas_prev_setup
    mas_find_setup = walk.mas_find_setup
    mas_anode_descend = walk.mas_anode_descend
    mas_empty_area = walk.mas_empty_area

    # -- write
    mas_wr_walk = write.mas_wr_walk
    mas_prealloc_calc = write.mas_prealloc_calc  # type: ignore[assignment] # of a write state
    mas_wr_preallocate = write.mas_wr_preallocate
    mas_preallocate = write.mas_preallocate
    mas_store = write.mas_store
    mas_wr_store_entry = write.mas_wr_store_entry
    mas_wr_node_store = write.mas_wr_node_store  # type: ignore[assignment] # no new_end
    mas_wr_slot_store = write.mas_wr_slot_store
    seam_first_overwritten = write.seam_first_overwritten

    # -- copy
    new_copy = copy.new_copy
    cp_leaf_init = copy.cp_leaf_init
    cp_data_calc = copy.cp_data_calc
    data_fits = copy.data_fits
    push_data_sib = copy.push_data_sib
    append_mas_cp = copy.append_mas_cp
    append_wr_mas_cp = copy.append_wr_mas_cp
    init_cp_src = copy.init_cp_src
    multi_src_setup = copy.multi_src_setup
    dst_setup = copy.dst_setup
    node_copy = copy.node_copy
    node_finalise = copy.node_finalise
    cp_data_write = copy.cp_data_write
    cp_dst_to_slots = copy.cp_dst_to_slots
    cp_is_new_root = copy.cp_is_new_root
    cp_converged = copy.cp_converged
    copy_tree_location = copy.copy_tree_location
    wr_mas_setup = copy.wr_mas_setup
    wr_mas_ascend = copy.wr_mas_ascend
    mas_wmb_replace = copy.mas_wmb_replace  # type: ignore[assignment] # of a maple_copy
    seam_gap_of_replaced = copy.seam_gap_of_replaced
    mas_set_parent_slots = copy.mas_set_parent_slots

    # -- stores
    split_data = stores.split_data
    split_ascend = stores.split_ascend
    mas_wr_split = stores.mas_wr_split
    rebalance_sib = stores.rebalance_sib
    rebalance_data = stores.rebalance_data
    rebalance_ascend = stores.rebalance_ascend
    mas_wr_rebalance = stores.mas_wr_rebalance
    mas_extend_spanning_null = stores.mas_extend_spanning_null
    spanning_sib = stores.spanning_sib
    spanning_data = stores.spanning_data
    spanning_ascend = stores.spanning_ascend
    mas_wr_spanning_store = stores.mas_wr_spanning_store

    # -- dup
    mas_dup_alloc = dup.mas_dup_alloc
    mas_dup_build = dup.mas_dup_build

    # -- checks
    seam_reserve_of = checks.seam_reserve_of
    seam_flags_of = checks.seam_flags_of
    reserved_nodes = checks.reserved_nodes
    seam_says_empty = checks.seam_says_empty
    seam_may_be_small = checks.seam_may_be_small


def _gone(name: str) -> Callable[..., None]:
    """What stands for an operation that this kernel has not."""

    def refuse(k: Kernel, *_args: object, **_named: object) -> None:
        message = f"Linux {k.version} has no {name}: kernel 6.12 has it"
        raise UsageError(message)

    return refuse


for _name in GONE:
    setattr(Kernel72, _name, _gone(_name))
