/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the files of shadowmmu/ share and nobody else sees.
 *
 *   struct window   one view: which guest frame is mapped at each of its 2^20 linear pages, and
 *                   whether writable
 *   struct domain   the windows that are filled from the same guest tables, and copies of the guest
 *                   entries relied on
 *   struct region   the part of a domain below one page-directory entry (4 MiB, or 2 MiB under PAE)
 *
 * Every space has a domain; the kernel window that all spaces share (see shadow.h) has one too.
 *
 * The invariant that everything here serves: a page mapped in a window was allowed, with these
 * permissions, by the entries of its domain's *copies*. Copies follow the guest's tables at flush
 * points, entry by entry, dropping what is no longer right; between flushes the guest's tables may
 * differ, just as they may from a TLB.
 */
#ifndef RF_SHADOWMMU_SHADOW_INTERNAL_H
#define RF_SHADOWMMU_SHADOW_INTERNAL_H

#include "shadow.h"

#include <string.h>

#define WINDOW_PAGES   (1u << 20)
#define LEAF_ENTRIES   1024u
#define WINDOW_LEAVES  (WINDOW_PAGES / LEAF_ENTRIES)
#define WINDOWS_MAX    4095u /* a window's index must fit 12 bits: see rmap.c */
#define REGION_SLOTS   2048u /* directory entries of an address space, at most (PAE) */
#define PHYS_ADDR_MASK 0xfffffffffull

/* A window's entry for one page: guest physical page address and these. */
#define LEAF_PRESENT 0x1u
#define LEAF_WRITE   0x2u

/* Where a mapped page stands among all mappings of its frame: see rmap.c. */
struct rmap_link {
	uint32_t next, previous;
};

/* The entries of 4 MiB of a window. A link means something only while its entry is present. */
struct leaf {
	uint32_t entry[LEAF_ENTRIES];
	struct rmap_link link[LEAF_ENTRIES];
};

struct window {
	hva_t base;
	uint16_t index;    /* in shadow->window[]; not 0 */
	uint8_t lane;      /* which batch gathers for it */
	/* the host refused to take something away: emptied before guest code runs again */
	bool broken;
	uint32_t vmas;     /* host mappings in it */
	uint32_t present;  /* pages mapped */
	uint16_t count[WINDOW_LEAVES]; /* pages mapped, by leaf */
	struct leaf *leaf[WINDOW_LEAVES];
};

/*
 * The part of a page-table page that is relied on: entries [lo, hi) as the guest had them when last
 * looked at.
 */
struct table_copy {
	uint8_t *page;
	uint16_t lo, hi;
};

struct region {
	uint16_t slot;   /* directory entry: linear address >> region_shift */
	bool large;      /* the directory entry is the leaf; no table */
	uint16_t relied; /* pages with a bit in filled or code */
	uint16_t equal;  /* compares in a row that found no change */
	/* shadow->table_generation[] when last known equal to the guest's table */
	uint32_t generation;
	gpa_t table;
	struct table_copy copy;
	/* bit set: mapped in a window of the domain (or was, since the entry last changed) */
	uint64_t filled[LEAF_ENTRIES / 64];
	uint64_t code[LEAF_ENTRIES / 64];   /* shadow_fetch() translated it */
};

struct domain {
	struct space *space; /* NULL: the shared kernel window's */
	struct window *window[SHADOW_NVIEWS];
	struct table_copy dir[4];    /* page directories: one, or four under PAE */
	uint16_t dir_regions[4];
	/* pages relied on that were found gone since shadow_set_paging() last began */
	uint32_t gone;
	uint64_t active[REGION_SLOTS / 64];
	struct region *region[REGION_SLOTS];
};

struct space_impl {
	struct space space;
	struct domain domain;
	struct space_impl *newer, *older; /* by last use */
};

/* The bits of the paging configuration that change what tables mean. */
struct shadow_mode {
	bool paging, pae, pse, wp, nxe, smep, smap;
	uint32_t a20_mask;
};

/* Host operations gathered until a page does not continue the run. */
enum batch_kind { BATCH_PROTECT, BATCH_UNMAP, BATCH_KINDS };

struct host_batch {
	struct window *window;
	uint32_t first, count; /* pages */
};

struct shadow {
	struct guest_ram *ram;
	struct host_mapping *hm;
	struct shadow_options options;
	struct shadow_callbacks callbacks;
	enum shadow_withheld (*withheld)(void *opaque, gva_t gva); /* NULL: nothing is */
	void *withheld_opaque;
	struct shadow_stats stats;

	struct paging paging;
	struct shadow_mode mode;
	struct space_impl *current;
	struct space_impl *newest, *oldest;

	/* The shared kernel window. */
	bool share_kernel;
	/* times sharing was given up, because the guest used too many pages it does not suit */
	unsigned share_refusals;
	uint64_t share_again_at;   /* spaces_created at which it is tried again */
	/*
	 * faults of ring 0 at supervisor pages that are not global: since a flush, and that count
	 */
	uint32_t nonglobal_now, nonglobal;
	struct domain *kernel;

	/* windows.c */
	struct window *window[WINDOWS_MAX + 1];
	uint32_t windows, window_limit;
	uint32_t vmas, vma_limit;
	bool any_broken;
	int host_errno; /* sticky: the host refused even to empty a window */
	struct host_batch batch[SHADOW_NVIEWS][BATCH_KINDS];

	/* rmap.c: per guest page frame */
	uint32_t frames;
	uint32_t *rmap_first;

	/* table_trace.c: per guest page frame */
	uint32_t *table_generation;
	uint8_t *table_backoff;

	/* shadow_check.c: public operations so far, and when all is checked next */
	uint64_t operations, check_at;

	/* pool.c */
	void *free_block, *free_region, *free_leaf;
	void *chunks;
	uint32_t leaves, leaf_limit;
};

/* Geometry of the current mode. */
static inline unsigned region_shift(const struct shadow *s) { return s->mode.pae ? 21 : 22; }
static inline unsigned region_pages(const struct shadow *s) { return s->mode.pae ? 512 : 1024; }
static inline unsigned entry_size(const struct shadow *s) { return s->mode.pae ? 8 : 4; }
static inline unsigned slot_dir(const struct shadow *s, unsigned slot)
{
	return s->mode.pae ? slot >> 9 : 0;
}

static inline unsigned slot_index(const struct shadow *s, unsigned slot)
{
	return s->mode.pae ? slot & 511 : slot;
}

static inline uint32_t region_first_page(const struct shadow *s, const struct region *r)
{
	return (uint32_t)r->slot << (region_shift(s) - GUEST_PAGE_SHIFT);
}

static inline uint64_t entry_read(const struct shadow *s, const uint8_t *table, unsigned i)
{
	return s->mode.pae ? ((const uint64_t *)table)[i] : ((const uint32_t *)table)[i];
}

/* The table or page that an entry of a table or of the PDPT leads to. */
static inline gpa_t entry_address(uint64_t entry)
{
	return gpa_page(GPA(entry & PHYS_ADDR_MASK));
}

static inline void entry_write(const struct shadow *s, uint8_t *table, unsigned i, uint64_t value)
{
	if (s->mode.pae)
		((uint64_t *)table)[i] = value;
	else
		((uint32_t *)table)[i] = (uint32_t)value;
}

static inline bool bit_test(const uint64_t *map, unsigned i) { return map[i / 64] >> (i % 64) & 1; }
static inline void bit_set(uint64_t *map, unsigned i) { map[i / 64] |= 1ull << (i % 64); }
static inline void bit_clear(uint64_t *map, unsigned i) { map[i / 64] &= ~(1ull << (i % 64)); }

static inline struct space_impl *space_impl(struct space *space)
{
	return rf_container_of(space, struct space_impl, space);
}

/* pool.c: memory that may be had in a signal handler. NULL when the host has none. */
void *pool_block_alloc(struct shadow *s); /* GUEST_PAGE_SIZE zeroed bytes */
void pool_block_free(struct shadow *s, void *block);
/* all entries 0; NULL also when there are leaf_limit of them */
struct leaf *pool_leaf_alloc(struct shadow *s);
void pool_leaf_free(struct shadow *s, struct leaf *leaf);
struct region *pool_region_alloc(struct shadow *s);
void pool_region_free(struct shadow *s, struct region *r);
void pool_destroy(struct shadow *s);
/* A zeroed array that costs memory only where touched. */
void *pool_array(uint64_t bytes);
void pool_array_free(void *array, uint64_t bytes);
void pool_array_clear(void *array, uint64_t bytes); /* all zeros again, and no memory */

/* rmap.c: which windows map a guest page frame. */
int rmap_create(struct shadow *s);
void rmap_destroy(struct shadow *s);
void rmap_reset(struct shadow *s); /* there are no mappings */
void rmap_add(struct shadow *s, uint32_t gfn, const struct window *w, uint32_t page);
void rmap_remove(struct shadow *s, uint32_t gfn, const struct window *w, uint32_t page);
/* Makes every mapping of the frame read-only. The caller finishes the batches. */
void rmap_write_protect(struct shadow *s, uint32_t gfn);
/* Takes every mapping of the frame away. The caller finishes the batches. */
void rmap_drop(struct shadow *s, uint32_t gfn);

/* windows.c: a window's entries and the host mappings that follow them. */
int window_create(struct shadow *s, enum shadow_view view, struct window **out);
void window_destroy(struct shadow *s, struct window *w);
uint32_t window_get(const struct window *w, uint32_t page);
/*
 * Maps count pages at page to frames from gfn on, with access as host_mapping.map takes it; entries
 * are set only if the host agreed.
 */
int window_map(struct shadow *s, struct window *w, uint32_t page, uint32_t gfn, uint32_t count,
	       enum access access);
/* Makes count pages at page, mapped read-only, writable. */
int window_allow_write(struct shadow *s, struct window *w, uint32_t page, uint32_t count);
void window_drop_page(struct shadow *s, struct window *w, uint32_t page);
void window_protect_page(struct shadow *s, struct window *w, uint32_t page);
/* Unmaps everything. */
void window_empty(struct shadow *s, struct window *w);
/* Carries out what drop and protect have gathered. Every public function ends with it. */
void batch_finish(struct shadow *s);
void batch_finish_view(struct shadow *s, enum shadow_view view);
bool batch_waits(const struct shadow *s);

/* regions.c: copies of guest tables. */
/* current space's page directory; zeroes if it has none */
const uint8_t *guest_dir(const struct shadow *s, unsigned dir);
void copy_cover(const struct shadow *s, struct table_copy *copy, const uint8_t *guest, unsigned i);
/*
 * The region of gva, brought into being by walk w (which succeeded) and in step with the guest.
 * NULL: no memory.
 */
struct region *region_get(struct shadow *s, struct domain *d, gva_t gva, const struct walk *w);
void region_drop(struct shadow *s, struct domain *d, struct region *r);
void region_free(struct shadow *s, struct domain *d, struct region *r);
void region_rely(struct region *r, uint64_t *map, unsigned i);
void domain_destroy(struct shadow *s, struct domain *d);

/* compare.c: following the guest's changes. */
/* Brings gva's entries in step with the guest's tables, dropping what is wrong. */
void domain_sync_page(struct shadow *s, struct domain *d, gva_t gva);
void domain_compare(struct shadow *s, struct domain *d);
/* The same for one entry of a table; does nothing if it is not relied on. */
void region_follow(struct shadow *s, struct domain *d, struct region *r, unsigned i);
void code_dropped(struct shadow *s, struct domain *d, struct region *r, unsigned i);

/* table_trace.c: traces of page tables */
int table_trace_create(struct shadow *s);
void table_trace_destroy(struct shadow *s);
void table_trace_reset(struct shadow *s);
/* traced, and unwritten since r was compared */
bool table_trace_is_current(const struct shadow *s, const struct region *r);
void table_trace_note_equal(struct shadow *s, struct region *r);
void table_trace_note_changed(struct shadow *s, struct region *r);
void table_trace_note_created(struct shadow *s, struct region *r);
void table_trace_lift(struct shadow *s, gpa_t gpa);

/* shadow_check.c: every public function that changes anything ends with it. */
void check_structures(struct shadow *s);
static inline void check_sometimes(struct shadow *s)
{
	if (rf_unlikely(s->options.check_every))
		check_structures(s);
}

/* space.c */
struct space_impl *space_find(struct shadow *s, uint32_t cr3);
struct space_impl *space_create(struct shadow *s, uint32_t cr3, int *err);
void space_destroy(struct shadow *s, struct space_impl *sp);
void space_touch(struct shadow *s, struct space_impl *sp); /* now the most recently used */
/* Gives sp the windows that the current policy wants it to have. */
int space_windows(struct shadow *s, struct space_impl *sp);
bool space_evict_one(struct shadow *s, const struct space_impl *keep);
/* Keeps the number of host mappings well below the host's limit. */
void space_relieve(struct shadow *s);
int kernel_share_begin(struct shadow *s);
void kernel_share_end(struct shadow *s);

/* share.c: whether it is shared */
void share_reset(struct shadow *s);
/* The guest has set its paging and flushed: sharing may begin. */
void share_flushed(struct shadow *s, enum shadow_flush flush);
/* Ring 0 has met a supervisor page that is not global. False: there were too many. */
bool share_bear(struct shadow *s);
/* The current space gets a kernel window of its own. 0 or a negative errno. */
int share_give_up(struct shadow *s);

#endif
