/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Every operation of a trace, as calls of the kernel's functions. What an older kernel lacks
 * (build.py looks for it in the headers) is left out of the lines, or refused.
 */

typedef unsigned long word;

static struct maple_tree *tree;
static struct ma_state cursor;
static bool failed, with_sums;

/* -- what a state says */

#ifdef HAVE_STATUS
#define IS_ERROR(mas) ((mas)->status == ma_error)
#else
#define IS_ERROR(mas) mas_is_err(mas)
#endif

static void say_state(const struct ma_state *mas)
{
	say(",\"index\":\"%lx\",\"last\":\"%lx\"", mas->index, mas->last);
#ifdef HAVE_STATUS
	static const char *const names[] = {
		[ma_active] = "active", [ma_start] = "start", [ma_root] = "root", [ma_none] = "none",
		[ma_pause] = "pause", [ma_overflow] = "overflow", [ma_underflow] = "underflow",
		[ma_error] = "error",
	};
	say(",\"status\":\"%s\",\"node\":\"%lx\"", names[mas->status], (word)mas->node);
#else
	if (xa_is_internal(mas->node) || !((word)mas->node & 3))
		say(",\"node\":\"%lx\"", (word)mas->node);
#endif
	say(",\"min\":\"%lx\",\"max\":\"%lx\",\"offset\":%u", mas->min, mas->max, mas->offset);
#ifdef HAVE_STATUS
	say(",\"end\":%u", mas->end);
#endif
	say(",\"depth\":%u", mas->depth);
}

static void say_entry(const void *entry)
{
	say(",\"entry\":\"%lx\"", (word)entry);
}

static void say_moved(const void *entry)
{
	say_entry(entry);
	say_state(&cursor);
}

static void say_error(int ret)
{
	say(",\"ret\":%d", ret);
}

static void say_node(const void *node, bool first)
{
	say("%s{\"addr\":\"%lx\"", first ? "" : ",", (word)node);
	say_bytes("hex", node, NODE_BYTES);
}

/* -- trees */

static void op_init(const word *a) { mt_init_flags(tree, a[0]); }
static void op_destroy(const word *a) { mtree_destroy(tree); }
static void op_rcu_lock(const word *a) { readers++; }

static void op_rcu_unlock(const word *a)
{
	if (!readers)
		give_up("rcu_unlock without rcu_lock: put rcu_lock before it");
	readers--;
}

static void op_sel(const word *a)
{
	tree = TREE(a[0] % TREES);
	say(",\"tree\":%lu", a[0] % TREES);
}

static void op_rcu(const word *a)
{
	if (a[0])
		mt_set_in_rcu(tree);
	else
		mt_clear_in_rcu(tree);
}

#ifdef HAVE_MTREE_DUP
static void op_dup_noinit(const word *a)
{
	struct maple_tree *copy = TREE(a[0] % TREES);

	say_error(mtree_dup(tree, copy, GFP_KERNEL));
	say(",\"droot\":\"%lx\",\"dflags\":\"%x\"", (word)copy->ma_root, copy->ma_flags);
}

static void op_dup(const word *a)
{
	mt_init_flags(TREE(a[0] % TREES), tree->ma_flags & ~MT_FLAGS_HEIGHT_MASK);
	op_dup_noinit(a);
}
#endif

/* -- the ordinary API */

static void op_store(const word *a)
{
	say_error(mtree_store_range(tree, a[0], a[1], (void *)a[2], GFP_KERNEL));
}

static void op_storenw(const word *a)
{
	say_error(mtree_store_range(tree, a[0], a[1], (void *)a[2], GFP_NOWAIT));
}

static void op_insert(const word *a)
{
	say_error(mtree_insert_range(tree, a[0], a[1], (void *)a[2], GFP_KERNEL));
}

static void op_erase(const word *a) { say_entry(mtree_erase(tree, a[0])); }
static void op_load(const word *a) { say_entry(mtree_load(tree, a[0])); }
static void op_next(const word *a) { say_entry(mt_next(tree, a[0], a[1])); }
static void op_prev(const word *a) { say_entry(mt_prev(tree, a[0], a[1])); }

static void op_find(const word *a)
{
	word index = a[0];

	say_entry(mt_find(tree, &index, a[1]));
	say(",\"index\":\"%lx\"", index);
}

static void op_find_after(const word *a)
{
	word index = a[0];

	say_entry(mt_find_after(tree, &index, a[1]));
	say(",\"index\":\"%lx\"", index);
}

static void op_alloc_range(const word *a)
{
	word start = 0;

	say_error(mtree_alloc_range(tree, &start, (void *)a[0], a[1], a[2], a[3], GFP_KERNEL));
	say(",\"start\":\"%lx\"", start);
}

static void op_alloc_rrange(const word *a)
{
	word start = 0;

	say_error(mtree_alloc_rrange(tree, &start, (void *)a[0], a[1], a[2], a[3], GFP_KERNEL));
	say(",\"start\":\"%lx\"", start);
}

#ifdef HAVE_MTREE_ALLOC_CYCLIC
static void op_alloc_cyclic(const word *a)
{
	word start = 0, next = a[3];

	say_error(mtree_alloc_cyclic(tree, &start, (void *)a[0], a[1], a[2], &next, GFP_KERNEL));
	say(",\"start\":\"%lx\",\"next\":\"%lx\"", start, next);
}
#endif

/* -- the advanced API, with a state of its own */

static void op_walk(const word *a)
{
	MA_STATE(mas, tree, a[0], a[0]);

	say_entry(mas_walk(&mas));
	say_state(&mas);
}

static void op_empty_area(const word *a)
{
	MA_STATE(mas, tree, 0, 0);
	int ret = mas_empty_area(&mas, a[0], a[1], a[2]);

	say_error(ret);
	if (!ret)
		say_state(&mas);
}

static void op_empty_area_rev(const word *a)
{
	MA_STATE(mas, tree, 0, 0);
	int ret = mas_empty_area_rev(&mas, a[0], a[1], a[2]);

	say_error(ret);
	if (!ret)
		say_state(&mas);
}

static void op_mstore(const word *a)
{
	MA_STATE(mas, tree, a[0], a[1]);

	say_entry(mas_store(&mas, (void *)a[2]));
	say(",\"err\":%d", IS_ERROR(&mas) ? xa_err(mas.node) : 0);
	mas_destroy(&mas);
}

/* how many nodes a state holds */
static word held(const struct ma_state *mas)
{
#ifdef HAVE_SHEAVES
	return (mas->alloc != NULL) + (mas->sheaf ? kmem_cache_sheaf_size(mas->sheaf) : 0);
#else
	return mas_allocated(mas);
#endif
}

static int preallocate(struct ma_state *mas, word entry)
{
	int ret = mas_preallocate(mas, (void *)entry, GFP_KERNEL);

	say_error(ret);
#ifdef HAVE_STORE_TYPE
	say(",\"store_type\":%d", mas->store_type);
#endif
	return ret;
}

static void op_prealloc(const word *a)
{
	MA_STATE(mas, tree, a[0], a[1]);
	word before = nodes_allocated;
	int ret = preallocate(&mas, a[2]);

	say(",\"requested\":%lu,\"allocated\":%lu", nodes_allocated - before, held(&mas));
	if (ret)
		return;
	before = nodes_freed;
	mas_store_prealloc(&mas, (void *)a[2]);
	say(",\"leftover\":%lu", nodes_freed - before);
}

#ifdef HAVE_SHEAVES
/* in the order in which they would be taken */
static void say_reserve(const struct ma_state *mas)
{
	bool first = true;

	say(",\"total\":%lu,\"nodes\":[", held(mas));
	if (mas->alloc)
		say_node(mas->alloc, true), say("}"), first = false;
	for (unsigned int i = mas->sheaf ? mas->sheaf->size : 0; i--; first = false)
		say_node(mas->sheaf->objects[i], first), say("}");
	say("]");
}
#else
/* struct maple_alloc by struct maple_alloc: each before what it holds; slot 0 holds the next */
static void say_reserve(const struct ma_state *mas)
{
	struct maple_alloc *head = mas->alloc;
	bool first = true;

	if (!head || (word)head & 1) {
		say(",\"total\":0,\"nodes\":[]");
		return;
	}
	say(",\"total\":%lu,\"nodes\":[", (word)head->total);
	for (; head; head = head->node_count ? (void *)head->slot[0] : NULL) {
		/* a later head has been shown as slot 0 of the one before */
		if (first)
			say_node(head, true), say("}");
		first = false;
		for (unsigned int i = 0; i < head->node_count; i++)
			say_node(head->slot[i], false), say("}");
	}
	say("]");
}
#endif

static void op_prealloc_raw(const word *a)
{
	MA_STATE(mas, tree, a[0], a[1]);

	preallocate(&mas, a[2]);
	say_reserve(&mas);
	mas_destroy(&mas);
}

/* the line of an operation that this kernel has not: that alone, and the run goes on */
static bool not_here;

static void op_not_here(const word *a)
{
	say(",\"error\":\"not in this kernel\"");
	not_here = true;
}

#ifdef HAVE_EXPECTED_ENTRIES
static void op_expect_raw(const word *a)
{
	MA_STATE(mas, tree, 0, 0);

	say_error(mas_expected_entries(&mas, a[0]));
	say_reserve(&mas);
	mas_destroy(&mas);
}

static void op_bulk(const word *a)
{
	MA_STATE(mas, tree, 0, 0);
	int ret = mas_expected_entries(&mas, a[0]);

	say_error(ret);
	say(",\"allocated\":%lu", held(&mas));
	if (ret)
		return;
	for (word i = 0; i < a[1]; i++) {
		mas.index = a[2] + i * a[3];
		mas.last = mas.index + a[4] - 1;
		mas_store(&mas, (void *)(a[5] + i * 0x1000));
		if (IS_ERROR(&mas)) {
			say(",\"err_at\":%lu", i);
			break;
		}
	}
	say(",\"left\":%lu", held(&mas));
	mas_destroy(&mas);
}
#else
#define op_expect_raw op_not_here
#define op_bulk op_not_here
#endif

static void op_iter(const word *a)
{
	MA_STATE(mas, tree, a[0], a[0]);
	const char *comma = "";
	void *entry;

	say(",\"ranges\":[");
	mas_for_each(&mas, entry, a[1]) {
		say("%s[\"%lx\",\"%lx\",\"%lx\"]", comma, mas.index, mas.last, (word)entry);
		comma = ",";
	}
	say("]");
}

/* -- the cursor */

static void op_cset(const word *a)
{
	memset(&cursor, 0, sizeof(cursor));
#ifdef HAVE_MAS_INIT
	mas_init(&cursor, tree, a[0]);
#else
	MA_STATE(fresh, tree, a[0], a[0]);
	cursor = fresh;
#endif
	cursor.last = a[1];
}

static void op_cnext(const word *a) { say_moved(mas_next(&cursor, a[0])); }
static void op_cprev(const word *a) { say_moved(mas_prev(&cursor, a[0])); }
static void op_cfind(const word *a) { say_moved(mas_find(&cursor, a[0])); }
static void op_cfind_rev(const word *a) { say_moved(mas_find_rev(&cursor, a[0])); }
#ifdef HAVE_MAS_NEXT_RANGE
static void op_cnext_range(const word *a) { say_moved(mas_next_range(&cursor, a[0])); }
static void op_cprev_range(const word *a) { say_moved(mas_prev_range(&cursor, a[0])); }
static void op_cfind_range(const word *a) { say_moved(mas_find_range(&cursor, a[0])); }
static void op_cfind_range_rev(const word *a) { say_moved(mas_find_range_rev(&cursor, a[0])); }
#endif
static void op_cwalk(const word *a) { say_moved(mas_walk(&cursor)); }
static void op_creset(const word *a) { mas_reset(&cursor); }
static void op_cerase(const word *a) { say_moved(mas_erase(&cursor)); }

static void op_cpause(const word *a)
{
	mas_pause(&cursor);
	say_state(&cursor);
}

static void op_cstore(const word *a)
{
	say_error(mas_store_gfp(&cursor, (void *)a[0], GFP_KERNEL));
	say_state(&cursor);
}

/* -- memory and diagnostics */

/* a[1] is 0 where the trace gives no number of calls, else that number plus one */
static void refuse(const word *a, bool nowait_only)
{
	refusal.on = a[0] <= LONG_MAX;
	refusal.left = a[0];
	refusal.limited = a[1] && a[1] - 1 <= LONG_MAX;
	refusal.calls = a[1] - 1;
	refusal.nowait_only = nowait_only;
}

static void op_fail(const word *a) { refuse(a, false); }
static void op_failnw(const word *a) { refuse(a, true); }

static void op_validate(const word *a)
{
	volatile bool ok = false;	/* in memory, which a long jump leaves alone */

	checks_may_fail = true;
	if (!sigsetjmp(check_exit, 1)) {
		mt_validate(tree);
		ok = true;
	}
	checks_may_fail = false;
	failed |= !ok;
	say(",\"ok\":%s", ok ? "true" : "false");
}

static void op_mtdump(const word *a)
{
#ifdef HAVE_MT_DUMP_FORMAT
	mt_dump(tree, mt_dump_hex);
	say(",\"text\":");
	say_string(&messages);
#else
	mt_dump(tree);	/* in decimal, as this kernel prints it */
#endif
	messages.length = 0;
}

/* Breadth first from the root, as far as the kernel's own data ends say. */
static void op_dump(const word *a)
{
	struct { struct maple_enode *enode; word max; } *nodes;
	size_t length = 0, room = 256;

	say(",\"tree\":\"%lx\",\"root\":\"%lx\",\"flags\":\"%x\",\"nodes\":[", (word)tree,
	    (word)tree->ma_root, tree->ma_flags);
	nodes = malloc(room * sizeof(*nodes));
	if (nodes && xa_is_node(tree->ma_root)) {
		nodes[length].enode = (void *)((word)tree->ma_root & ~2UL);
		nodes[length++].max = ULONG_MAX;
	}
	for (size_t i = 0; i < length; i++) {
		struct maple_enode *enode = nodes[i].enode;
		struct maple_node *node = mte_to_node(enode);
		enum maple_type type = mte_node_type(enode);
		word max = nodes[i].max, *pivots;

		say_node(node, !i);
		say(",\"type\":%d}", type);
		if (ma_is_leaf(type))
			continue;
		pivots = ma_pivots(node, type);
		for (unsigned int slot = 0; slot <= ma_data_end(node, type, pivots, max); slot++) {
			if (length == room) {
				room *= 2;
				nodes = realloc(nodes, room * sizeof(*nodes));
				if (!nodes || length > NODE_COUNT)
					stop_operation("livelock", (word)node, "dump: the tree has a cycle");
			}
			nodes[length].enode = ma_slots(node, type)[slot];
			nodes[length++].max = slot < mt_pivots[type] && pivots[slot] ? pivots[slot] : max;
		}
	}
	free(nodes);
	say("]");
}

static void op_memdump(const word *a)
{
	say(",\"mem\":[");
	for (word i = 0; i < nodes_allocated; i++) {
		const void *node = (void *)(NODE_BASE + i * NODE_BYTES);

		if (freed[i])
			permit(node);
		say_node(node, !i);
		say(",\"freed\":%d}", freed[i]);
		if (freed[i])
			forbid(node);
	}
	say("]");
}

static void op_treemem(const word *a) { say_bytes("hex", tree, sizeof(*tree)); }

static void op_poke(const word *a)
{
	unsigned char *byte = (unsigned char *)(a[0] + a[1]);

	if (!is_mapped(a[0] + a[1]))
		stop_operation("unmapped", a[0] + a[1], "poke of what is no memory");
	say(",\"was\":\"%02x\"", *byte);
	*byte = a[2];
}

/* -- all of them; table.h is written by build.py, from the declarations of the operations */

enum { READS, CHANGES };

static const struct operation {
	const char *name;
	void (*run)(const word *arguments);
	int kind;	/* the line of one that CHANGES ends with allocations, frees, root and flags */
	bool on_cursor;	/* it needs a cset before it */
	const char *arguments;	/* a letter each: i index, e entry, c count, t tree, f flags, */
	size_t required;	/* s switch, a address, b byte; so many may not be left out */
} operations[] = {
#include "table.h"
};

static void run_operation(const struct operation *operation, const word *arguments)
{
	word callbacks;

	calls.length = frees.length = 0;
	refusal.in_operation = 0;
	operation_name = operation->name;
	not_here = false;
	begin_line();
	operation->run(arguments);
	callbacks = run_callbacks();
	if (callbacks)
		say(",\"rcu\":%lu", callbacks);
	if (operation->kind == CHANGES && !not_here) {
		append(&calls, "%s", "");
		append(&frees, "%s", "");
		say(",\"ac\":[%s],\"fr\":[%s],\"na\":%lu,\"nf\":%lu", calls.bytes, frees.bytes,
		    nodes_allocated, nodes_freed);
		say(",\"root\":\"%lx\",\"flags\":\"%x\"", (word)tree->ma_root, tree->ma_flags);
	}
	if (with_sums)
		say(",\"sum\":\"%llx\"", (unsigned long long)sum_of_memory());
	end_line();
}
