/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What lib/maple_tree.c needs of the kernel, for a process in user space. Every header that it
 * includes is served by this file, linux/maple_tree.h alone is the kernel's own.
 */
#ifndef HARNESS_KERNEL_H
#define HARNESS_KERNEL_H

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if __SIZEOF_LONG__ == 8
#define CONFIG_64BIT 1
#define BITS_PER_LONG 64
#else
#define BITS_PER_LONG 32
#endif
#define CONFIG_DEBUG_MAPLE_TREE 1

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;

/* -- annotations and compiler words */

#define __rcu
#define __init
#define __must_check
#define __must_hold(lock)
#define __maybe_unused __attribute__((unused))
#ifndef __always_inline
#define __always_inline inline __attribute__((always_inline))
#endif
#define noinline __attribute__((noinline))
#define noinline_for_stack noinline
#define fallthrough __attribute__((fallthrough))
#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define EXPORT_SYMBOL(name)
#define EXPORT_SYMBOL_GPL(name)
#define BUILD_BUG_ON(cond) _Static_assert(!(cond), #cond)

#define min(x, y) ({ __auto_type x_ = (x); __auto_type y_ = (y); x_ < y_ ? x_ : y_; })
#define max(x, y) ({ __auto_type x_ = (x); __auto_type y_ = (y); x_ > y_ ? x_ : y_; })
#define min_t(type, x, y) min((type)(x), (type)(y))
#define max_t(type, x, y) max((type)(x), (type)(y))
#define swap(x, y) do { __auto_type x_ = (x); (x) = (y); (y) = x_; } while (0)
#define ARRAY_SIZE(array) (sizeof(array) / sizeof(*(array)))
#define DIV_ROUND_UP(n, by) (((n) + (by) - 1) / (by))
#define container_of(ptr, type, member) \
	((type *)((char *)(ptr) - offsetof(type, member)))
#define READ_ONCE(word) (*(volatile __typeof__(word) *)&(word))
#define WRITE_ONCE(word, value) do { *(volatile __typeof__(word) *)&(word) = (value); } while (0)

/* -- one thread: locks are words, barriers stop the compiler alone */

#define barrier() __asm__ volatile("" : : : "memory")
#define smp_mb() barrier()
#define smp_rmb() barrier()
#define smp_wmb() barrier()
#define cond_resched() barrier()

typedef struct { u32 word; } spinlock_t;
#define __SPIN_LOCK_UNLOCKED(name) { 0 }
#define SINGLE_DEPTH_NESTING 1
#define spin_lock_init(lock) ((lock)->word = 0)
#define spin_lock(lock) ((void)(lock))
#define spin_unlock(lock) ((void)(lock))
#define spin_lock_nested(lock, depth) spin_lock(lock)
#define spin_lock_irqsave(lock, flags) ((void)(flags), spin_lock(lock))
#define spin_unlock_irqrestore(lock, flags) ((void)(flags), spin_unlock(lock))
#define lock_is_held(lock) 1
#define lockdep_is_held(lock) 1

typedef struct { int counter; } atomic_t;
#define atomic_read(a) ((a)->counter)
#define atomic_inc(a) ((void)(a)->counter++)

/* -- RCU: call_rcu() queues, run_callbacks() is the end of the grace period (memory.c) */

struct callback_head {
	struct callback_head *next;
	void (*func)(struct callback_head *head);
} __attribute__((aligned(sizeof(void *))));
#define rcu_head callback_head
#define rcu_read_lock() barrier()
#define rcu_read_unlock() barrier()
#define rcu_dereference(p) READ_ONCE(p)
#define rcu_dereference_raw(p) READ_ONCE(p)
#define rcu_dereference_check(p, cond) READ_ONCE(p)
#define rcu_dereference_protected(p, cond) (p)
#define rcu_assign_pointer(p, value) WRITE_ONCE(p, value)
#define RCU_INIT_POINTER(p, value) WRITE_ONCE(p, value)
static void call_rcu(struct rcu_head *head, void (*func)(struct rcu_head *head));

/* -- the slab allocator (memory.c) */

typedef unsigned int gfp_t;
#define ___GFP_HIGH 0x20u
#define __GFP_IO 0x40u
#define __GFP_FS 0x80u
#define __GFP_ZERO 0x100u
#define __GFP_DIRECT_RECLAIM 0x400u
#define __GFP_KSWAPD_RECLAIM 0x800u
#define __GFP_NOWARN 0x2000u
#define __GFP_NOFAIL 0x8000u
#define GFP_KERNEL (__GFP_DIRECT_RECLAIM | __GFP_KSWAPD_RECLAIM | __GFP_IO | __GFP_FS)
#define GFP_NOWAIT __GFP_KSWAPD_RECLAIM
#define GFP_ATOMIC (___GFP_HIGH | __GFP_KSWAPD_RECLAIM)
#define might_alloc(gfp) ((void)(gfp))
#define gfpflags_allow_blocking(gfp) (!!((gfp) & __GFP_DIRECT_RECLAIM))
#define SLAB_PANIC 0x40000u

struct kmem_cache { size_t size; };
#ifdef HAVE_CACHE_ARGS
struct kmem_cache_args { unsigned int align, sheaf_capacity; };
static struct kmem_cache *kmem_cache_create(const char *name, unsigned int size,
		struct kmem_cache_args *args, unsigned int flags);
#else
static struct kmem_cache *kmem_cache_create(const char *name, unsigned int size,
		unsigned int align, unsigned int flags, void (*ctor)(void *));
#endif
static void *kmem_cache_alloc(struct kmem_cache *cache, gfp_t gfp);
static int kmem_cache_alloc_bulk(struct kmem_cache *cache, gfp_t gfp, size_t count, void **nodes);
static void kmem_cache_free(struct kmem_cache *cache, void *node);
static void kmem_cache_free_bulk(struct kmem_cache *cache, size_t count, void **nodes);
static void kfree(const void *node);
#define kfree_rcu(pointer, field) free_later(pointer)
static void free_later(void *node);

/* nodes that are asked for together and taken one by one */
struct slab_sheaf;
static struct slab_sheaf *kmem_cache_prefill_sheaf(struct kmem_cache *cache, gfp_t gfp,
		unsigned int count);
static int kmem_cache_refill_sheaf(struct kmem_cache *cache, gfp_t gfp,
		struct slab_sheaf **sheaf, unsigned int count);
static void kmem_cache_return_sheaf(struct kmem_cache *cache, gfp_t gfp, struct slab_sheaf *sheaf);
static void *kmem_cache_alloc_from_sheaf(struct kmem_cache *cache, gfp_t gfp,
		struct slab_sheaf *sheaf);
static unsigned int kmem_cache_sheaf_size(struct slab_sheaf *sheaf);

/* -- warnings and messages (report.c) */

static void kernel_log(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void kernel_warn(const char *function, int line, const char *condition);
static void kernel_bug(const char *function, int line, const char *condition)
	__attribute__((noreturn));
static void check_failed(const char *function, int line);
#define pr_info(...) kernel_log(__VA_ARGS__)
#define pr_err(...) kernel_log(__VA_ARGS__)
#define pr_warn(...) kernel_log(__VA_ARGS__)
#define pr_cont(...) kernel_log(__VA_ARGS__)
#define printk(...) kernel_log(__VA_ARGS__)
#define KERN_INFO
#define KERN_ERR
#define BUG() kernel_bug(__func__, __LINE__, "BUG()")
#define BUG_ON(cond) \
	do { if (unlikely(cond)) kernel_bug(__func__, __LINE__, #cond); } while (0)
#define WARN_ON(cond) ({ \
	bool warn_ = !!(cond); \
	if (unlikely(warn_)) \
		kernel_warn(__func__, __LINE__, #cond); \
	unlikely(warn_); })
#define WARN_ON_ONCE(cond) WARN_ON(cond)
/* the debug checks of maple_tree.h end in this, after they have said what is wrong */
#define dump_stack() check_failed(__func__, __LINE__)
#define tracepoint_string(text) (text)
#define trace_ma_op(...) ((void)0)
#define trace_ma_read(...) ((void)0)
#define trace_ma_write(...) ((void)0)

/* -- entries, by the rules of linux/xarray.h: bit 0 is a value, bits 10 are internal */

#define MAX_ERRNO 4095
#define WORD_OF(entry) ((unsigned long)(entry))
#define xa_mk_internal(number) ((void *)(((unsigned long)(number) << 2) + 2))
#define xa_to_internal(entry) (WORD_OF(entry) >> 2)
#define xa_mk_value(number) ((void *)(((unsigned long)(number) << 1) + 1))
#define xa_to_value(entry) (WORD_OF(entry) >> 1)
#define xa_is_value(entry) ((WORD_OF(entry) & 1) != 0)
#define xa_is_internal(entry) ((WORD_OF(entry) & 3) == 2)
#define xa_is_node(entry) (xa_is_internal(entry) && WORD_OF(entry) > 4096)
#define xa_is_advanced(entry) (xa_is_internal(entry) && WORD_OF(entry) <= WORD_OF(xa_mk_internal(256)))
#define xa_is_err(entry) \
	(xa_is_internal(entry) && WORD_OF(entry) >= WORD_OF(xa_mk_internal(-MAX_ERRNO)))
#define xa_err(entry) (xa_is_err(entry) ? (int)((long)WORD_OF(entry) >> 2) : 0)
#define XA_ZERO_ENTRY xa_mk_internal(257)
#define xa_is_zero(entry) (WORD_OF(entry) == WORD_OF(XA_ZERO_ENTRY))

#endif
