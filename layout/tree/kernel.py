"""The kernel's maple tree code, whole: a table of all operations under their kernel names."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from layout.memory import structs
from layout.tree import (
    alloc,
    bignode,
    bulk,
    destroy,
    dup,
    find,
    flags,
    gaps,
    iterate,
    log,
    mtree,
    parents,
    printing,
    replace,
    root,
    search,
    spanning,
    split,
    store,
    validation,
    walk,
    write,
    write_walk,
)

if TYPE_CHECKING:
    from layout.memory.node import NodeMemory
    from layout.memory.pointers import Word
    from layout.memory.slab import NodeCache


class Kernel:
    """Linux 6.12's maple tree code at work on one machine's memory.

    Trees are addresses of a struct maple_tree in the machine's memory; entries, enodes and
    indexes are unsigned words. Functions that return an errno return it negative, as in C.

    ``tests`` counts evaluated debug checks as maple_tree_tests_run does, ``failures`` those
    that failed, ``warnings`` the WARN_ONs raised, ``splits`` the nodes split, ``log`` what
    printk printed.

    An operation calls others through this table, so a subclass replaces one by its name and may
    call what it replaced. Names that start with ``seam_`` are steps of the operation above
    them, kept apart for old bugs that had them otherwise.
    """

    version: ClassVar[str] = "6.12"
    """The kernel version whose operations these are."""
    gone: ClassVar[frozenset[str]] = frozenset()
    """Operations of an earlier version that this one has not."""

    def __init__(self, mem: NodeMemory, cache: NodeCache) -> None:
        self.mem = mem
        self.cache = cache
        self.ulong_max: Word = mem.arch.ulong_max
        sizes = mem.profile.sizes
        self.node_slots = sizes.node_slots
        self.mt_slots = sizes.slots
        self.mt_pivots = (*sizes.pivots, *(0,) * (16 - len(sizes.pivots)))  # for damaged types
        self.mt_min_slots = sizes.min_slots
        self.alloc_slots = sizes.alloc_slots
        self.slot0 = mem.slot0
        self.big_node = big_node_layout(mem)
        self.tests = 0
        self.failures = 0
        self.warnings = 0
        self.warned = ""
        self.splits = 0
        self.nodes_to_dump = 0
        self.log: list[str] = []
        self.rcu_queue: list[tuple[int, int]] = []

    def new_words(self) -> list[int]:
        """A zeroed struct maple_node on the stack, as words."""
        return [0] * self.mem.node_words

    # -- log
    printk = log.printk
    warn_on = log.warn_on
    livelock = log.livelock
    bug = log.bug

    # -- flags
    new_state = flags.new_state
    mas_set_err = flags.mas_set_err
    ma_error = flags.ma_error
    xa_err = flags.xa_err
    mas_set = flags.mas_set
    mas_set_range = flags.mas_set_range
    mt_init_flags = flags.mt_init_flags
    mt_in_rcu = flags.mt_in_rcu
    mt_is_alloc = flags.mt_is_alloc
    mt_set_in_rcu = flags.mt_set_in_rcu
    mt_clear_in_rcu = flags.mt_clear_in_rcu
    mas_mt_height = flags.mas_mt_height
    mas_set_height = flags.mas_set_height

    # -- parents
    ma_is_root = parents.ma_is_root
    mte_is_root = parents.mte_is_root
    mte_parent = parents.mte_parent
    seam_slot_of_parent_word = parents.seam_slot_of_parent_word
    type_of_parent = parents.type_of_parent
    mte_parent_slot = parents.mte_parent_slot
    mas_parent_type = parents.mas_parent_type
    mas_set_parent = parents.mas_set_parent
    parent_enode = parents.parent_enode
    ma_dead_node = parents.ma_dead_node
    mte_dead_node = parents.mte_dead_node
    mte_set_node_dead = parents.mte_set_node_dead
    ma_data_end = parents.ma_data_end
    mas_data_end = parents.mas_data_end

    # -- walk
    mas_start = walk.mas_start
    mas_descend = walk.mas_descend
    mas_ascend = walk.mas_ascend
    mtree_range_walk = walk.mtree_range_walk
    mtree_lookup_walk = walk.mtree_lookup_walk
    mas_state_walk = walk.mas_state_walk
    mas_walk = walk.mas_walk
    mas_rewalk = walk.mas_rewalk
    mtree_load = walk.mtree_load

    # -- iterate
    mas_prev_node = iterate.mas_prev_node
    mas_next_node = iterate.mas_next_node
    mas_prev_slot = iterate.mas_prev_slot
    mas_next_slot = iterate.mas_next_slot
    mas_next_setup = iterate.mas_next_setup
    mas_next = iterate.mas_next
    mas_next_range = iterate.mas_next_range
    mt_next = iterate.mt_next
    mas_prev_setup = iterate.mas_prev_setup
    mas_prev = iterate.mas_prev
    mas_prev_range = iterate.mas_prev_range
    mt_prev = iterate.mt_prev
    mas_pause = iterate.mas_pause

    # -- find
    mas_find_setup = find.mas_find_setup
    mas_find = find.mas_find
    mas_find_range = find.mas_find_range
    mas_find_rev_setup = find.mas_find_rev_setup
    mas_find_rev = find.mas_find_rev
    mas_find_range_rev = find.mas_find_range_rev
    mt_find = find.mt_find
    mt_find_after = find.mt_find_after

    # -- alloc
    mas_allocated = alloc.mas_allocated
    mas_set_alloc_req = alloc.mas_set_alloc_req
    mas_alloc_req = alloc.mas_alloc_req
    mas_pop_node = alloc.mas_pop_node
    mas_push_node = alloc.mas_push_node
    mas_alloc_nodes = alloc.mas_alloc_nodes
    seam_begin_next_alloc = alloc.seam_begin_next_alloc
    mas_node_count_gfp = alloc.mas_node_count_gfp
    mas_node_count = alloc.mas_node_count
    mas_nomem = alloc.mas_nomem
    mt_free_bulk = alloc.mt_free_bulk
    call_rcu = alloc.call_rcu
    ma_free_rcu = alloc.ma_free_rcu
    mas_free = alloc.mas_free

    # -- gaps
    mas_leaf_max_gap = gaps.mas_leaf_max_gap
    ma_leaf_max_gap = gaps.ma_leaf_max_gap
    ma_max_gap = gaps.ma_max_gap
    mas_max_gap = gaps.mas_max_gap
    mas_parent_gap = gaps.mas_parent_gap
    mas_update_gap = gaps.mas_update_gap

    # -- search
    mas_safe_min = search.mas_safe_min
    mas_safe_pivot = search.mas_safe_pivot
    mas_rev_awalk = search.mas_rev_awalk
    seam_search_went_up = search.seam_search_went_up
    mas_anode_descend = search.mas_anode_descend
    mas_rewind_node = search.mas_rewind_node
    mas_skip_node = search.mas_skip_node
    mas_awalk = search.mas_awalk
    mas_sparse_area = search.mas_sparse_area
    mas_empty_area = search.mas_empty_area
    mas_empty_area_rev = search.mas_empty_area_rev

    # -- destroy
    mte_dead_leaves = destroy.mte_dead_leaves
    seam_leaf_to_free = destroy.seam_leaf_to_free
    mte_destroy_descend = destroy.mte_destroy_descend
    mt_destroy_walk = destroy.mt_destroy_walk
    seam_child_to_free = destroy.seam_child_to_free
    mt_clear_meta = destroy.mt_clear_meta
    mte_destroy_walk = destroy.mte_destroy_walk
    run_rcu = destroy.run_rcu
    mte_dead_walk = destroy.mte_dead_walk
    mt_free_walk = destroy.mt_free_walk
    seam_has_dead_child = destroy.seam_has_dead_child
    mat_add = destroy.mat_add
    mas_mat_destroy = destroy.mas_mat_destroy
    mt_destroy = destroy.mt_destroy

    # -- bignode
    new_big_node = bignode.new_big_node
    mab_shift_right = bignode.mab_shift_right
    mab_middle_node = bignode.mab_middle_node
    mab_no_null_split = bignode.mab_no_null_split
    mab_calc_split = bignode.mab_calc_split
    mas_mab_cp = bignode.mas_mab_cp
    mas_leaf_set_meta = bignode.mas_leaf_set_meta
    mab_mas_cp = bignode.mab_mas_cp
    mas_bulk_rebalance = bignode.mas_bulk_rebalance
    mas_store_b_node = bignode.mas_store_b_node
    mas_new_ma_node = bignode.mas_new_ma_node
    mab_set_b_end = bignode.mab_set_b_end

    # -- replace
    mas_adopt_children = replace.mas_adopt_children
    mas_put_in_tree = replace.mas_put_in_tree
    mas_replace_node = replace.mas_replace_node
    mas_find_child = replace.mas_find_child
    mas_node_or_none = replace.mas_node_or_none
    mas_topiary_node = replace.mas_topiary_node
    mas_topiary_replace = replace.mas_topiary_replace
    mend_replaced = replace.mend_replaced
    mas_wmb_replace = replace.mas_wmb_replace

    # -- spanning
    mas_prev_sibling = spanning.mas_prev_sibling
    mas_next_sibling = spanning.mas_next_sibling
    mast_rebalance_next = spanning.mast_rebalance_next
    mast_rebalance_prev = spanning.mast_rebalance_prev
    mast_spanning_rebalance = spanning.mast_spanning_rebalance
    mast_ascend = spanning.mast_ascend
    mas_mab_to_node = spanning.mas_mab_to_node
    mas_set_split_parent = spanning.mas_set_split_parent
    mast_set_split_parents = spanning.mast_set_split_parents
    mast_cp_to_nodes = spanning.mast_cp_to_nodes
    mast_combine_cp_left = spanning.mast_combine_cp_left
    mast_combine_cp_right = spanning.mast_combine_cp_right
    mas_is_root_limits = spanning.mas_is_root_limits
    mas_spanning_rebalance = spanning.mas_spanning_rebalance
    mas_rebalance = spanning.mas_rebalance

    # -- split
    mas_split_final_node = split.mas_split_final_node
    mast_fill_bnode = split.mast_fill_bnode
    mast_split_data = split.mast_split_data
    mas_push_data = split.mas_push_data
    mas_split = split.mas_split
    mas_commit_b_node = split.mas_commit_b_node

    # -- root
    mas_root_expand = root.mas_root_expand
    mas_store_root = root.mas_store_root
    mas_new_root = root.mas_new_root

    # -- write_walk
    mas_is_span_wr = write_walk.mas_is_span_wr
    mas_wr_node_walk = write_walk.mas_wr_node_walk
    mas_wr_walk_descend = write_walk.mas_wr_walk_descend
    mas_wr_walk_traverse = write_walk.mas_wr_walk_traverse
    mas_wr_walk = write_walk.mas_wr_walk
    mas_wr_walk_index = write_walk.mas_wr_walk_index
    mas_extend_spanning_null = write_walk.mas_extend_spanning_null
    mas_wr_spanning_store = write_walk.mas_wr_spanning_store
    seam_right_leaf_stays = write_walk.seam_right_leaf_stays

    # -- write
    mas_wr_extend_null = write.mas_wr_extend_null
    mas_wr_end_piv = write.mas_wr_end_piv
    mas_wr_new_end = write.mas_wr_new_end
    mas_wr_store_type = write.mas_wr_store_type
    seam_store_type_in_leaf = write.seam_store_type_in_leaf
    mas_wr_store_entry = write.mas_wr_store_entry
    mas_wr_node_store = write.mas_wr_node_store
    mas_wr_slot_store = write.mas_wr_slot_store
    mas_wr_append = write.mas_wr_append
    mas_wr_exact_fit = write.mas_wr_exact_fit
    mas_wr_bnode = write.mas_wr_bnode

    # -- store
    mas_wr_prealloc_setup = store.mas_wr_prealloc_setup
    mas_prealloc_calc = store.mas_prealloc_calc
    mas_wr_preallocate = store.mas_wr_preallocate
    mas_preallocate = store.mas_preallocate
    mas_destroy = store.mas_destroy
    mas_store = store.mas_store
    seam_store_backwards = store.seam_store_backwards
    mas_store_gfp = store.mas_store_gfp
    mas_store_prealloc = store.mas_store_prealloc
    mas_insert = store.mas_insert
    mas_erase = store.mas_erase

    # -- bulk
    mas_expected_entries = bulk.mas_expected_entries
    mas_destroy_rebalance = bulk.mas_destroy_rebalance

    # -- mtree
    mtree_store_range = mtree.mtree_store_range
    mtree_insert_range = mtree.mtree_insert_range
    mtree_erase = mtree.mtree_erase
    mtree_alloc_range = mtree.mtree_alloc_range
    mtree_alloc_rrange = mtree.mtree_alloc_rrange
    mtree_alloc_cyclic = mtree.mtree_alloc_cyclic

    # -- dup
    mas_dup_free = dup.mas_dup_free
    mas_copy_node = dup.mas_copy_node
    mas_dup_alloc = dup.mas_dup_alloc
    mas_dup_build = dup.mas_dup_build
    mtree_dup = dup.mtree_dup

    # -- dump
    mt_dump = printing.mt_dump
    seam_says_empty = printing.seam_says_empty
    mas_dump = printing.mas_dump
    seam_reserve_of = printing.seam_reserve_of
    seam_flags_of = printing.seam_flags_of
    reserved_nodes = printing.reserved_nodes
    report_failure = printing.report_failure
    report_childless = printing.report_childless
    report_index_not_increased = printing.report_index_not_increased

    # -- validate
    mt_validate = validation.mt_validate
    seam_may_be_small = validation.seam_may_be_small


def big_node_layout(mem: NodeMemory) -> tuple[int, int, int, int]:
    """Where pivots, slots and gaps start in a struct maple_big_node, and its size; in words."""
    layout = structs.profile(mem.arch).layout("maple_big_node")  # whatever kernel is read
    word = mem.word_size
    return (
        layout.offset("pivot") // word,
        layout.offset("slot") // word,
        layout.offset("gap") // word,
        -(-layout.size // word),
    )
