/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The trees and nodes of a trace at their fixed addresses, the allocator that hands nodes out in
 * order and refuses on demand, and the queue of RCU callbacks.
 */

#include <setjmp.h>
#include <sys/mman.h>

#define NODE_BYTES 256UL
#define TREES 8
#define TREE_STRIDE 0x40UL
#if __SIZEOF_LONG__ == 8
#define NODE_BASE 0x1000000000UL
#define NODE_COUNT 0x400000UL
#else
/* it ends below 0x1e000000, which is how a big-endian machine reads the metadata of 31 slots */
#define NODE_BASE 0x10000000UL
#define NODE_COUNT 0x80000UL
#endif
#ifndef MOST_NODES
#define MOST_NODES NODE_COUNT
#endif
#define TREE_BASE (NODE_BASE - 0x10000UL)
#define ARENA_BYTES (NODE_BASE - TREE_BASE + NODE_COUNT * NODE_BYTES)
#define MARGIN_NODES 16
#define MOST_REFUSALS 1000

#define TREE(k) ((struct maple_tree *)(TREE_BASE + (k) * TREE_STRIDE))

static struct kmem_cache node_cache;
static bool freed[NODE_COUNT];
static unsigned int in_sum[NODE_COUNT];	/* the numbers of nodes that the next checksum is of */
static unsigned long in_sum_count, handed_to_sum;
static unsigned long nodes_allocated, nodes_freed;

static struct {
	bool on, nowait_only;
	unsigned long left;	/* nodes still granted */
	bool limited;
	unsigned long calls;	/* refusals until it ends, if limited */
	unsigned long in_operation;
} refusal;

/* what the line of a mutating operation tells: allocation calls, numbers of freed nodes */
static struct text calls, frees;

static struct waiting {
	void *head;
	void (*func)(struct rcu_head *head);	/* NULL: the node at head is freed */
} *queue;
static size_t queue_length, queue_room;
static unsigned long readers;	/* read sections that hold the callbacks up */

#ifdef __SANITIZE_ADDRESS__
/*
 * The sanitizer keeps a byte of its own for every 8 bytes of memory. For addresses as low as
 * these it has none mapped, so map them here and mark what is no handed-out node.
 */
#include <sanitizer/asan_interface.h>
const char *__asan_default_options(void)
{
	return "protect_shadow_gap=0:detect_leaks=0:handle_segv=0:handle_sigbus=0:"
	       "handle_abort=0:handle_sigfpe=0:handle_sigill=0:abort_on_error=1:"
	       "allow_user_segv_handler=1:detect_stack_use_after_return=0";
}
#define SHADOW_OF(address) (((address) >> 3) + 0x7fff8000UL)
static void forbid(const void *node) { memset((void *)SHADOW_OF((unsigned long)node), 0xf7, NODE_BYTES / 8); }
static void permit(const void *node) { memset((void *)SHADOW_OF((unsigned long)node), 0, NODE_BYTES / 8); }
#else
static void forbid(const void *node) { (void)node; }
static void permit(const void *node) { (void)node; }
#endif

/*
 * Whether a poke may write there: to the trees, the nodes handed out so far, and as many behind
 * them as layout/memory/slab.py maps. All else of the arena is memory of this program alone.
 */
static bool is_mapped(unsigned long address)
{
	return address >= TREE_BASE &&
	       address < NODE_BASE + (nodes_allocated + MARGIN_NODES) * NODE_BYTES;
}

static void map_at(unsigned long address, size_t size)
{
	void *got = mmap((void *)address, size, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);

	if (got != (void *)address) {
		fprintf(stderr, "no memory at %lx: %s\n", address, strerror(errno));
		exit(3);
	}
}

static void memory_init(void)
{
	map_at(TREE_BASE, ARENA_BYTES);
#ifdef __SANITIZE_ADDRESS__
	map_at(SHADOW_OF(TREE_BASE) & ~0xfffUL, (ARENA_BYTES >> 3) + 0x2000);
	/* 0xf7 is what the sanitizer calls poisoned by the user */
	memset((void *)SHADOW_OF(NODE_BASE), 0xf7, NODE_COUNT * NODE_BYTES >> 3);
#endif
}

/* As after memory_init(), for the next trace. */
static void memory_reset(void)
{
	for (unsigned long i = 0; i < nodes_allocated; i++) {
		void *node = (void *)(NODE_BASE + i * NODE_BYTES);

		permit(node);
		memset(node, 0, NODE_BYTES);
		forbid(node);
	}
	memset((void *)TREE_BASE, 0, TREES * TREE_STRIDE);
	memset(freed, 0, nodes_allocated);
	nodes_allocated = nodes_freed = in_sum_count = handed_to_sum = 0;
	memset(&refusal, 0, sizeof(refusal));
	queue_length = readers = 0;
}

static bool is_refused(gfp_t gfp, size_t count)
{
	if (!refusal.on || gfp & __GFP_NOFAIL ||
	    (refusal.nowait_only && gfpflags_allow_blocking(gfp)))
		return false;
	if (count <= refusal.left) {
		refusal.left -= count;
		return false;
	}
	if (refusal.limited) {
		if (!refusal.calls) {
			refusal.on = false;
			return false;
		}
		refusal.on = --refusal.calls != 0;
	}
	if (++refusal.in_operation > MOST_REFUSALS)
		stop_operation("livelock", 0, "more than 1000 refused allocations");
	return true;
}

static void *hand_out(void)
{
	void *node;

	if (nodes_allocated == MOST_NODES)
		give_up("the trace needs more nodes than there is room for");
	node = (void *)(NODE_BASE + nodes_allocated++ * NODE_BYTES);
	permit(node);
#ifdef OLD_BYTES	/* as in a slab: of what was there before */
	memset(node, OLD_BYTES, NODE_BYTES);
#endif
	return node;
}

static unsigned int sheaf_capacity;

static struct kmem_cache *create_cache(unsigned int size, unsigned int align)
{
	if (size != NODE_BYTES || align != NODE_BYTES)
		give_up("this kernel's nodes are not 256 bytes");
	node_cache.size = size;
	return &node_cache;
}

#ifdef HAVE_CACHE_ARGS
static struct kmem_cache *kmem_cache_create(const char *name, unsigned int size,
		struct kmem_cache_args *args, unsigned int flags)
{
	sheaf_capacity = args->sheaf_capacity;
	return create_cache(size, args->align);
}
#else
static struct kmem_cache *kmem_cache_create(const char *name, unsigned int size,
		unsigned int align, unsigned int flags, void (*ctor)(void *))
{
	return create_cache(size, align);
}
#endif

static void note_call(gfp_t gfp, bool refused, const char *what, size_t count)
{
	append(&calls, "%s\"%s%c%s%zu\"", calls.length ? "," : "", refused ? "!" : "",
	       gfpflags_allow_blocking(gfp) ? 'k' : 'n', what, count);
}

static void *kmem_cache_alloc(struct kmem_cache *cache, gfp_t gfp)
{
	bool refused = is_refused(gfp, 1);

	note_call(gfp, refused, "", 1);
	return refused ? NULL : hand_out();
}

static int kmem_cache_alloc_bulk(struct kmem_cache *cache, gfp_t gfp, size_t count, void **nodes)
{
	bool refused = is_refused(gfp, count);

	note_call(gfp, refused, "b", count);
	if (refused)
		return 0;
	for (size_t i = 0; i < count; i++)
		nodes[i] = hand_out();
	return (int)count;
}

static void kmem_cache_free(struct kmem_cache *cache, void *node)
{
	unsigned long at = (unsigned long)node - NODE_BASE, number = at / NODE_BYTES;

	if (at % NODE_BYTES || (unsigned long)node < NODE_BASE || number >= nodes_allocated)
		stop_operation("bad free", (unsigned long)node, "kmem_cache_free of what is no node");
	if (freed[number])
		stop_operation("double free", (unsigned long)node, "kmem_cache_free of a free node");
	freed[number] = true;
	nodes_freed++;
	append(&frees, "%s%lu", frees.length ? "," : "", number);
	forbid(node);
}

static void kmem_cache_free_bulk(struct kmem_cache *cache, size_t count, void **nodes)
{
	for (size_t i = 0; i < count; i++)
		kmem_cache_free(cache, nodes[i]);
}

static void kfree(const void *node)
{
	kmem_cache_free(&node_cache, (void *)node);
}

/* -- sheaves: filled in address order, emptied from the end */

struct slab_sheaf {
	unsigned int size, capacity;
	void *objects[];
};

static struct slab_sheaf *kmem_cache_prefill_sheaf(struct kmem_cache *cache, gfp_t gfp,
		unsigned int count)
{
	bool refused = is_refused(gfp, count);
	struct slab_sheaf *sheaf;

	note_call(gfp, refused, "s", count);
	if (refused)
		return NULL;
	sheaf = malloc(sizeof(*sheaf) + max(count, sheaf_capacity) * sizeof(void *));
	if (!sheaf)
		give_up("no memory for a sheaf");
	sheaf->capacity = max(count, sheaf_capacity);
	for (sheaf->size = 0; sheaf->size < count; sheaf->size++)
		sheaf->objects[sheaf->size] = hand_out();
	return sheaf;
}

static void kmem_cache_return_sheaf(struct kmem_cache *cache, gfp_t gfp, struct slab_sheaf *sheaf)
{
	kmem_cache_free_bulk(cache, sheaf->size, sheaf->objects);
	free(sheaf);
}

static int kmem_cache_refill_sheaf(struct kmem_cache *cache, gfp_t gfp,
		struct slab_sheaf **place, unsigned int count)
{
	struct slab_sheaf *sheaf = *place;
	unsigned int missing;
	bool refused;

	if (sheaf->size >= count)
		return 0;
	if (count > sheaf->capacity) {
		struct slab_sheaf *larger = kmem_cache_prefill_sheaf(cache, gfp, count);

		if (!larger)
			return -ENOMEM;
		kmem_cache_return_sheaf(cache, gfp, sheaf);
		*place = larger;
		return 0;
	}
	missing = count - sheaf->size;
	refused = is_refused(gfp, missing);
	note_call(gfp, refused, "r", missing);
	if (refused)
		return -ENOMEM;
	while (sheaf->size < count)
		sheaf->objects[sheaf->size++] = hand_out();
	return 0;
}

static void *kmem_cache_alloc_from_sheaf(struct kmem_cache *cache, gfp_t gfp,
		struct slab_sheaf *sheaf)
{
	return sheaf->size ? sheaf->objects[--sheaf->size] : NULL;
}

static unsigned int kmem_cache_sheaf_size(struct slab_sheaf *sheaf)
{
	return sheaf->size;
}

/*
 * A checksum of the trees, of the nodes in use and of those freed during this operation. Two
 * machines with one byte order that carry out the same operations have the same ones.
 */
#define SUM_PRIME 0x100000001b3ULL

static u64 sum_of_words(u64 sum, const void *memory, size_t size)
{
	const u64 *at = memory;

	for (size_t i = 0; i < size / sizeof(*at); i++)
		sum = (sum ^ at[i]) * SUM_PRIME;
	return sum;
}

static u64 sum_of_memory(void)
{
	u64 total = sum_of_words(0, (void *)TREE_BASE, TREES * TREE_STRIDE);
	unsigned long kept = 0;

	while (handed_to_sum < nodes_allocated)
		in_sum[in_sum_count++] = handed_to_sum++;
	for (unsigned long i = 0; i < in_sum_count; i++) {
		unsigned long number = in_sum[i];
		const void *node = (void *)(NODE_BASE + number * NODE_BYTES);

		if (freed[number])
			permit(node);
		else
			in_sum[kept++] = number;
		total += sum_of_words(number + 1, node, NODE_BYTES);
		if (freed[number])
			forbid(node);
	}
	in_sum_count = kept;
	return total;
}

/* The kernel's own user-space tests have these; nothing here needs them to do anything. */
void kmem_cache_set_non_kernel(struct kmem_cache *cache, unsigned int value) { }
void kmem_cache_set_callback(struct kmem_cache *cache, void (*callback)(void *)) { }
void kmem_cache_set_private(struct kmem_cache *cache, void *private) { }
void kmem_cache_zero_nr_tallocated(struct kmem_cache *cache) { }
unsigned int kmem_cache_nr_tallocated(struct kmem_cache *cache) { return nodes_allocated; }
unsigned int kmem_cache_nr_allocated(struct kmem_cache *cache) { return nodes_allocated - nodes_freed; }
unsigned long kmem_cache_get_alloc(struct kmem_cache *cache)
{
	return NODE_BYTES * (nodes_allocated - nodes_freed);
}

/* the callbacks that maple_tree.c queues */
static void mt_free_walk(struct rcu_head *head);
#ifdef HAVE_MT_FREE_RCU
static void mt_free_rcu(struct rcu_head *head);
#define IS_MT_FREE_RCU(func) ((func) == mt_free_rcu)
#else
#define IS_MT_FREE_RCU(func) false
#endif

static void queue_up(void *head, void (*func)(struct rcu_head *head))
{
	if (queue_length == queue_room) {
		queue_room = queue_room ? 2 * queue_room : 256;
		queue = realloc(queue, queue_room * sizeof(*queue));
		if (!queue)
			give_up("no memory for the RCU callbacks");
	}
	queue[queue_length++] = (struct waiting){ head, func };
}

static void call_rcu(struct rcu_head *head, void (*func)(struct rcu_head *head))
{
	unsigned long token = IS_MT_FREE_RCU(func) ? 0xf1 : func == mt_free_walk ? 0xf2 : 0xff;

	/* the node's bytes must not tell where this program was loaded */
	head->next = NULL;
	head->func = (void (*)(struct rcu_head *))token;
	queue_up(head, func);
}

/* the allocator notes elsewhere which nodes it is to free: their bytes stay */
static void free_later(void *node)
{
	queue_up(node, NULL);
}

static unsigned long run_callbacks(void)
{
	unsigned long run = 0;

	if (readers)
		return 0;
	for (; run < queue_length; run++) {
		if (queue[run].func)
			queue[run].func(queue[run].head);
		else
			kfree(queue[run].head);
	}
	queue_length = 0;
	return run;
}
