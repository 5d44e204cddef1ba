/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel's own maple_tree.c, in which the other side runs at a barrier: a writer where a reader
 * has an smp_rmb() or loads the root or a slot, a reader where a writer has an smp_wmb(). One
 * thread, so what it shows holds on every machine. Nodes are never reused, callbacks never run.
 */
#include "kernel.h"
#include <signal.h>
#include <stdarg.h>

static void at(const char *what, const char *function);
#undef smp_rmb
#undef smp_wmb
#undef rcu_dereference_check
#define smp_rmb() at("rmb", __func__)
#define smp_wmb() at("wmb", __func__)
#define rcu_dereference_check(p, cond) \
	({ at("to dereference", __func__); \
	   __auto_type p_ = READ_ONCE(p); at("dereference", __func__); p_; })
#include "maple_tree.c"

static struct kmem_cache node_cache;
#ifdef HAVE_CACHE_ARGS
static struct kmem_cache *kmem_cache_create(const char *name, unsigned int size,
		struct kmem_cache_args *args, unsigned int flags) { return &node_cache; }
#else
static struct kmem_cache *kmem_cache_create(const char *name, unsigned int size,
		unsigned int align, unsigned int flags, void (*ctor)(void *)) { return &node_cache; }
#endif
static void *node(void) { return memset(aligned_alloc(256, 256), 0x6b, 256); }
static void *kmem_cache_alloc(struct kmem_cache *cache, gfp_t gfp) { return node(); }
static int kmem_cache_alloc_bulk(struct kmem_cache *cache, gfp_t gfp, size_t count, void **nodes)
{
	for (size_t i = 0; i < count; i++)
		nodes[i] = node();
	return count;
}
static void kmem_cache_free(struct kmem_cache *cache, void *one) {}
static void kmem_cache_free_bulk(struct kmem_cache *cache, size_t count, void **nodes) {}
static void kfree(const void *one) {}
static void free_later(void *one) {}
static void call_rcu(struct rcu_head *head, void (*func)(struct rcu_head *))
{
	head->next = NULL;
	head->func = func;
}
struct slab_sheaf { unsigned int count; };
static struct slab_sheaf *kmem_cache_prefill_sheaf(struct kmem_cache *cache, gfp_t gfp,
		unsigned int count)
{
	struct slab_sheaf *sheaf = malloc(sizeof(*sheaf));

	sheaf->count = count;
	return sheaf;
}
static int kmem_cache_refill_sheaf(struct kmem_cache *cache, gfp_t gfp,
		struct slab_sheaf **sheaf, unsigned int count)
{
	(*sheaf)->count = count;
	return 0;
}
static void kmem_cache_return_sheaf(struct kmem_cache *cache, gfp_t gfp, struct slab_sheaf *sheaf) {}
static void *kmem_cache_alloc_from_sheaf(struct kmem_cache *cache, gfp_t gfp,
		struct slab_sheaf *sheaf) { sheaf->count--; return node(); }
static unsigned int kmem_cache_sheaf_size(struct slab_sheaf *sheaf) { return sheaf->count; }
static void kernel_log(const char *format, ...) {}
static void kernel_warn(const char *function, int line, const char *condition)
{
	printf("WARN %s: %s\n", function, condition);
}
static void kernel_bug(const char *function, int line, const char *condition) { exit(3); }
static void check_failed(const char *function, int line) { exit(4); }

static struct { const char *what, *function; void (*run)(void); int skip; } side;
static void at(const char *what, const char *function)
{
	void (*run)(void) = side.run;

	if (!run || strcmp(what, side.what) || strcmp(function, side.function)
	    || side.skip-- > 0)
		return;
	side.run = NULL;
	run();
}

static struct maple_tree tree;
static struct ma_state mas;

static void store(unsigned long first, unsigned long last, unsigned long entry)
{
	mtree_store_range(&tree, first, last, (void *)entry, GFP_KERNEL);
}
static void told(const char *call, void *entry)
{
	printf("%s = %s %lx-%lx\n", call, !entry ? "NULL" : xa_is_node(entry) ? "a node" : "an entry",
	       mas.index, mas.last);
}
static void first_node(void) { store(0, 0xfff, 0x1001); }
static void shrink(unsigned long entry)
{
	store(0x3000, 0x3fff, 0x89001);
	store(0x2000, 0x2fff, entry);
}
static void replace(void) { shrink(0x79001); }
static void erase(void) { shrink(0); }
static void cover(void) { store(0, 0x1fff, 0x9001); }
static void back(void)
{
	mas_set(&mas, 0x1afff);
	mas_walk(&mas);
	told("mas_prev", mas_prev(&mas, 0));
}
static void crash(int number)
{
	printf("SIGSEGV\n");
	fflush(stdout);
	_exit(0);
}

int main(int count, char **words)
{
	const char *name = words[1];

	signal(SIGSEGV, crash);
	maple_tree_init();
	mt_init_flags(&tree, MT_FLAGS_USE_RCU);
	mas_init(&mas, &tree, 0x1000);
	if (!strcmp(name, "first")) {
		side = (__typeof__(side)){ "dereference", "mas_root", first_node };
		told("mas_find_rev", mas_find_rev(&mas, 0));
	} else if (!strcmp(name, "emptied") || !strcmp(name, "destroyed")) {
		for (unsigned long i = 0; i < 8; i++)
			store(i << 12, (i << 12) + 0xfff, (i << 12) + 0x1001);
		mas_walk(&mas);
		if (!strcmp(name, "emptied"))
			store(0, ULONG_MAX, 0);
		else
			mtree_destroy(&tree);
		told("mas_next", mas_next(&mas, ULONG_MAX));
	} else if (!strcmp(name, "passed")) {
		store(0x1000, 0x1fff, 0x1001);
		store(0x3000, 0x3fff, 0x3001);
		mas_set(&mas, 0);
		/* behind the walk, which has tested the root and the leaf */
		side = (__typeof__(side)){ "rmb", "ma_dead_node", cover, 2 };
		told("mas_find", mas_find(&mas, ULONG_MAX));
	} else if (!strcmp(name, "moved") || !strcmp(name, "missed")) {
		for (unsigned long i = 0; i < 20; i++)
			store(i << 12, (i << 12) + 0xfff, (i << 12) + 0x1001);
		store(0x2000, 0x37ff, 0x99001);
		/* in the leaf, behind the pivots */
		side = (__typeof__(side)){ "to dereference", "mt_slot",
					   name[1] == 'o' ? replace : erase, 1 };
		printf("mtree_load = %lx\n", (unsigned long)mtree_load(&tree, 0x3400));
	} else if (!strcmp(name, "crossed")) {
		for (unsigned long i = 0; i < 8; i++)
			store(i << 12, (i << 12) + 0xfff, (i << 12) + 0x1001);
		mas_set(&mas, 0x3000);
		mas_walk(&mas);
		store(0x2000, 0x3bff, 0x99001);
		store(0x1000, 0x39ff, 0x89001);
		told("mas_prev", mas_prev(&mas, 0));
	} else if (!strcmp(name, "span")) {
		for (unsigned long i = 0; i < 60; i++)
			store(i << 12, (i << 12) + 0x7ff, (i << 12) + 0x1001);
		side = (__typeof__(side)){ "wmb", "mte_set_node_dead", back };
		store(0x8000, 0x1afff, 0x9001);
	}
	return 0;
}
