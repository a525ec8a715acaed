/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the translator's parts share: translation units, exits, the translator itself. Private to
 * translator/.
 */
#ifndef RF_TRANSLATOR_TU_H
#define RF_TRANSLATOR_TU_H

#include "x86/ahead.h"
#include "emit.h"
#include "translator.h"

#define TU_HASH_BITS 16
#define TU_MAX_INSNS 96
#define TU_MAX_HOST_BYTES 16384
#define EXIT_MAX (1u << 18)
/* a flush is due at twice the cache's size */
#define TU_MEMORY(cache_size) (2 * (cache_size) + (1u << 20))

/* One guest instruction within a TU. */
struct tu_insn {
	uint16_t host_offset;
	uint16_t guest_offset;
	int16_t esp_delta;     /* guest ESP = r14d + esp_delta while it runs */
	uint8_t adapt;
	uint8_t shadow : 1;    /* after STI: no interrupt is taken before it */
	uint8_t x87 : 7;       /* of the TU's x87 sites the one that waits, from 1; 0: none */
};
_Static_assert(TU_MAX_INSNS < 1 << 7, "struct tu_insn.x87");

/* An instruction that sets the x87 last-instruction pointers (x87_notes.c). */
struct x87_site {
	uint32_t eip;
	uint16_t fop;
	uint8_t seg;           /* of its operand; X86_NSEG: it has none */
	bool initial : 1;      /* FNINIT: all pointers are zero */
	/* fdp is the sum of host registers below, if they have not changed since */
	bool has_address : 1;
	struct memref address;
};
#define X87_SITE_MAX (1u << 18)

struct tu {
	gva_t eip;
	gpa_t gpa;             /* of its first byte */
	/* page of its second part if the (only) instruction crosses a page, else ~0 */
	gpa_t gpa2;
	uint32_t mode;
	uint16_t guest_len;
	uint16_t ninsns;
	uint32_t host_len;
	uint32_t body_len;     /* of host_len: before the exits' cold paths */
	cache_pc entry;        /* executable address */
	bool global;           /* made from a global mapping */
	bool valid;
	uint32_t first_exit, nexits;
	uint32_t first_x87_site;
	struct tu *hash_next;
	struct tu *page_next;  /* TUs made from the same guest page */
	struct tu *page2_next;
	struct tu *mapped_next; /* of tr->mapped */
	/* exits linked to it: nincoming, room for a power of two from 4 */
	struct tu_incoming *incoming;
	uint32_t nincoming;
	bool in_global_links;
	struct tu *global_links_next;
	struct tu_insn insn[]; /* ninsns */
};

struct tu_incoming {
	uint32_t exit;
	/*
	 * EXIT_TABLE: of the link tables; EXIT_DIRECT: NO_SLOT. Here, too, as long lists of these
	 * are gone through
	 */
	uint32_t slot;
};
#define NO_SLOT 0xffffffffu

enum exit_form {
	EXIT_DIRECT, /* JMP/Jcc/CALL rel32, patched */
	EXIT_TABLE,  /* through the space's link table */
};

struct tu_exit {
	gva_t target;
	uint8_t form;
	uint32_t slot;       /* EXIT_TABLE: its place in every link table */
	struct tu *tu;       /* owner; NULL once that is invalid */
	uint8_t *patch;      /* EXIT_DIRECT: the rel32 field, in the writable alias */
	cache_pc cold;       /* its unlinked path */
	struct tu *noted;    /* the TU whose incoming list last got this exit */
};

/* TUs by their EIP, all of one mode: what a look-up finds may be entered as it is. */
struct branch_cache {
	uint32_t mode;
	uint32_t written;    /* bit n: its nth host page */
	/* at the mode's place in the space's tables; NULL: not in use */
	struct branch_entry *entries;
};

#define SPACE_PAGES 512u
#define SLOTS_PER_PAGE 512u
#define SPACE_PLACES 16u /* modes whose branch caches have memory at a time */
#define SPACE_BRANCH_CACHES 6u /* modes that a space uses by turns: commonly one for each ring */
struct tc_space {
	/*
	 * links and branch caches are to be forgotten before they are used again; nobody keeps them
	 * right
	 */
	bool stale;
	/*
	 * Linear pages whose incoming links were installed (link_install_page), direct mapped; 0:
	 * none.
	 */
	uint32_t installed[SPACE_PAGES];
	uint8_t *tables;     /* lazily backed: the branch cache of each mode, then links */
	uint64_t *links;     /* EXIT_MAX slots */
	uint32_t slots_made; /* of them, the first, that have memory */
	uint32_t slots_known; /* the first that have been set since the cache was flushed */
	/* bit set: the page of slots may differ from the template's */
	uint64_t linked[EXIT_MAX / SLOTS_PER_PAGE / 64];
	struct branch_cache branches[SPACE_BRANCH_CACHES];
	uint32_t branches_victim; /* the one to give to another mode next */
	uint32_t modes_used[MODE_KEYS / 32]; /* bit set: the mode's place was written to */
	uint32_t places_made;             /* their number */
	struct tc_space *next;
};

/* Guest page with code. */
struct code_page {
	gpa_t page;
	struct tu *tus;      /* by page_next */
	struct tu *tus2;     /* by page2_next */
	uint64_t lines;      /* bit n: some TU was made from its nth 64 bytes (code_lines.c) */
	struct code_page *next;
};

struct adapt_table {
	struct adapt_entry **buckets; /* 1 << bits; NULL: no instruction is adapted */
	unsigned bits;
	uint32_t count;
};

/* A code segment of 16-bit code, as TUs are made for it (code_segment.c). */
struct code_segment {
	bool used;
	uint32_t base;
	uint32_t limit;      /* FFFFh at most */
};
#define CODE_SEGMENTS ((MODE_CODE >> MODE_CODE_SHIFT) + 1)

#define LINEAR_PAGES (1u << 20)
#define PAGE_HASH_SIZE 8192

struct translator {
	struct translator_callbacks cb;
	struct translator_options opt;
	struct translator_stats stats;
	struct verifier *verifier; /* NULL: not wanted */

	/* Code cache: shared memory mapped twice. */
	uint8_t *write_base;
	cache_pc exec_base;
	uint64_t size, stubs_len, used;
	uint64_t tu_bytes;   /* of struct tu, for all TUs since the last flush */
	/* they lie here, one after the other: TU_MEMORY(size) bytes, lazily backed */
	uint8_t *tu_memory;
	struct ahead write_ahead, exec_ahead, exits_ahead, tu_ahead;
	bool flush_wanted;
	volatile bool translating; /* for a signal handler of this thread */

	/* Stubs (executable addresses). */
	cache_pc stub_enter, stub_link, stub_lookup, stub_lookup_miss, stub_leave, stub_return_miss,
		stub_underflow, stub_callout[CALLOUT_COUNT];
	cache_pc stub_soft[2]; /* by enum access */
	cache_pc stub_dual[2];
	cache_pc stub_ac[2]; /* CLAC, STAC */
	/* ring 0's way into stub_callout[CALLOUT_LOAD_SEGMENT]; CS, SS: 0 */
	cache_pc stub_segment[X86_NSEG];

	struct tu *hash[1u << TU_HASH_BITS];
	/* TUs that links are installed to (tu_is_installed), by linear and physical page */
	struct tu *mapped[1u << TU_HASH_BITS];
	struct tu **order;   /* all TUs since the last flush, by ascending entry */
	uint32_t norder, order_cap;
	struct code_page *pages[PAGE_HASH_SIZE];
	struct adapt_table adapts;
	/* by their number in the mode; that of number 0 is flat */
	struct code_segment code_segment[CODE_SEGMENTS];
	uint32_t ncode_segments;

	struct tu_exit *exits; /* EXIT_MAX, lazily backed */
	uint32_t nexits, nslots;
	struct x87_site *x87_sites; /* X87_SITE_MAX, lazily backed; number n is at n - 1 */
	uint32_t nx87_sites;   /* since the last flush */
	uint64_t *link_template; /* unlinked state of every slot */
	/*
	 * By linear page, lazily backed: the global TUs that begin there and were linked to since
	 * the page was last mapped otherwise, so that each of many such changes costs no more than
	 * the links it undoes. Some may have become invalid since.
	 */
	struct tu **global_links;
	struct tc_space *spaces;

	uint8_t *return_area; /* guard page, stack, guard page, stack, guard page */
	hva_t return_top[2];  /* [user] */
};

static inline bool mode_is_whole(uint32_t mode)
{
	return !(mode & ~((MODE_KEYS - 1) | MODE_CODE)) &&
	       (mode & MODE_CODE16 || !(mode & MODE_CODE));
}

static inline const struct code_segment *mode_code(const struct translator *tr, uint32_t mode)
{
	return &tr->code_segment[(mode & MODE_CODE) >> MODE_CODE_SHIFT];
}

/* The guest's EIP of the linear address gva, in code of that mode. */
static inline uint32_t mode_eip(const struct translator *tr, uint32_t mode, gva_t gva)
{
	return gva - mode_code(tr, mode)->base;
}

/* What a branch to the linear address gva looks up. */
static inline uint32_t mode_lookup(const struct translator *tr, uint32_t mode, gva_t gva)
{
	return mode_lookup_base(mode) + mode_eip(tr, mode, gva);
}

/* code_segment.c: forgets them all; no TU is left. */
void code_segments_forget(struct translator *tr);

/* stubs.c: all stubs, at the start of the code cache. */
void stubs_emit(struct translator *tr, struct emitter *e);
/*
 * stub_soft.c:
 * r9 = the base of the window that a ring-0 access to the address in reg goes to (struct tc_words,
 * view_by_gib).
 */
void emit_view(struct emitter *e, unsigned reg);
/*
 * stub_lookup.c: looks r8d up in the branch cache of mode without touching a flag. Returns the
 * rel32 of a jump taken on a miss, which finds rcx in r11; on a hit the code that follows transfers
 * to branch_lookup_hit().
 */
uint8_t *emit_branch_lookup(struct emitter *e, uint32_t mode);
struct memref branch_lookup_hit(uint32_t mode);

/* translate.c: NULL if the first instruction cannot be translated. */
struct tu *translate(struct translator *tr, gva_t eip, gpa_t gpa, uint32_t mode, bool global);

/* code_lines.c */
struct code_page *code_page_find(const struct translator *tr, gpa_t page);
void code_lines_add(struct code_page *p, uint32_t offset, uint32_t len);

/* adapt.c: ADAPT_* of the instruction at gpa. */
uint32_t adapt_lookup(const struct translator *tr, gpa_t gpa);
void adapt_forget(struct translator *tr);
/* Part of translator_check(). */
const char *adapt_check(const struct translator *tr);
/* At a flush: if there are too many to keep. */
void adapt_forget_many(struct translator *tr);

/* tu.c */
struct tu *tu_insert(struct translator *tr, struct tu *tu);
/*
 * global is part of the key: code translated before its mapping became global would keep its slower
 * links.
 */
struct tu *tu_lookup(struct translator *tr, gva_t eip, gpa_t gpa, uint32_t mode, bool global);
void tu_invalidate(struct translator *tr, struct tu *tu);
/*
 * Whether links to it are installed together with those to all such TUs of its page
 * (link_install_page).
 */
bool tu_is_installed(const struct tu *tu);
struct tu **tu_mapped(struct translator *tr, const struct tu *tu);
/* The list by hash_next that it is in, or would be. */
struct tu **tu_bucket(struct translator *tr, const struct tu *tu);

/* check.c: translator_check(), for debug and test builds. */
void translator_check_or_abort(const struct translator *tr);

/* link.c */
void link_forget_tu(struct translator *tr, struct tu *tu);
uint32_t link_new_exit(struct translator *tr, gva_t target, enum exit_form form);
void link_patch_rel32(struct translator *tr, uint8_t *field, cache_pc target);
/*
 * Forgets a space's links and branch caches, once for any number of changed mappings: the tables
 * are long.
 */
void link_refresh_space(struct translator *tr, struct tc_space *space);
/* A branch cache for mode, taken from another mode if need be. */
struct branch_cache *branch_cache_take(struct tc_space *space, uint32_t mode);

/* space_use.c: the mode's branch cache, or NULL. */
struct branch_cache *branch_cache_find(struct tc_space *space, uint32_t mode);

void link_install_page(struct translator *tr, struct tc_space *space, const struct tu *tu);

#endif
