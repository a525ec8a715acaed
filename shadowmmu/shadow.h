/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Shadow page tables. The shadow of a guest address space is the set of host mappings inside its
 * window(s).
 *
 * Words: a *space* is one guest address space (a CR3 value under one paging configuration). It has
 * a *user view* (what ring 3 may touch) and a *kernel view* (what rings 0..2 may touch), each a
 * window. When the guest uses global pages (CR4.PGE), all spaces share ONE kernel window, which
 * then holds only translations whose leaf is global, exactly like the global entries of a hardware
 * TLB: it survives CR3 loads. Ring-0 accesses to non-global user pages then belong in the user
 * window (SHADOW_FILL_USER_VIEW). Without PGE, or when a guest touches many non- global supervisor
 * pages, each space has a kernel window of its own.
 *
 * Under CR4.SMAP no kernel window has user pages. With EFLAGS.AC set, ring 0 finds them in the user
 * window, and with AC clear it is not led there.
 *
 * The contract is the TLB's (SDM vol. 3, 4.10): an entry may stay stale until the guest flushes it.
 */
#ifndef RF_SHADOWMMU_SHADOW_H
#define RF_SHADOWMMU_SHADOW_H

#include "guest_ram.h"
#include "host_mapping.h"
#include "walker.h"
#include "young.h"

enum shadow_view { SHADOW_KERNEL, SHADOW_USER, SHADOW_NVIEWS };

struct space {
	uint32_t cr3;
	/* all spaces may share the kernel view's; with paging off both views are one window */
	hva_t window[SHADOW_NVIEWS];
	bool kernel_shared;
	/*
	 * most of what was relied on had gone when it last became current: another program has its
	 * CR3 now
	 */
	bool replaced;
	struct young young; /* the engine's; zero in a new space */
	void *engine_data; /* the engine's (link tables, branch caches); NULL in a new space */
	/* The rest is private to shadowmmu/ (embed this struct). */
};

struct shadow;

/* What the shadow tells its engine. All called on the vCPU thread. */
struct shadow_callbacks {
	void *opaque;
	/*
	 * An instruction fetch was translated at linear page gva (shadow_fetch) and that
	 * translation is now dropped or changed. space NULL: a global one, seen from every space.
	 * Links and branch caches that rely on it must go.
	 */
	void (*code_mapping_changed)(void *opaque, struct space *space, gva_t gva);
	/*
	 * A space is destroyed (evicted): free engine_data. Never the current space; but the space
	 * that was current when shadow_set_paging() was called may go before that returns, always
	 * so when the paging mode changed.
	 */
	void (*space_destroyed)(void *opaque, struct space *space);
};

enum shadow_policy { SHADOW_POLICY_ADAPTIVE, SHADOW_POLICY_COMPARE_ONLY, SHADOW_POLICY_TRACE_ONLY };

#define SHADOW_CHECK_EVERY 16384u /* where it should cost little */

struct shadow_options {
	enum shadow_policy policy;
	uint32_t window_limit;    /* most windows at once; 0: derived from the host's limits */
	/*
	 * most pieces of 4 MiB that have entries, over all windows, at 12 KiB each; 0: the default
	 */
	uint32_t leaf_limit;
	bool no_fill_around;
	/* a host fault costs more than mapping many pages: large pages come in populated pieces */
	bool dear;
	/*
	 * not 0: the structures are checked after each operation, briefly, and wholly when there
	 * have been twice as many as at the last time, or so many more; if they are broken the
	 * program ends with a message
	 */
	uint32_t check_every;
};

/* Counters, each defined in one line of shadow_stats.def (an X-macro file). */
struct shadow_stats {
#define SHADOW_STAT(name, text) uint64_t name;
#include "shadow_stats.def"
#undef SHADOW_STAT
};

int shadow_create(struct guest_ram *ram, struct host_mapping *hm,
		  const struct shadow_options *options, const struct shadow_callbacks *callbacks,
		  struct shadow **out) RF_MUST_CHECK;
void shadow_destroy(struct shadow *shadow);
/*
 * The machine was reset: as after shadow_create(), but for the counters. There is no current space
 * until shadow_set_paging().
 */
void shadow_reset(struct shadow *shadow);
const struct shadow_stats *shadow_stats(const struct shadow *shadow);

/*
 * What is kept out of all windows, though the guest's tables allow it: 0: nothing; writes to gva's
 * page; the whole page. The accesses are to be emulated.
 */
enum shadow_withheld { SHADOW_GIVEN, SHADOW_READ_ONLY, SHADOW_NOTHING };
/*
 * From now on that is asked of withheld; NULL: nothing is. What is mapped already stays:
 * shadow_reset() before, or after. Callable at any time a fill is.
 */
void shadow_withhold(struct shadow *shadow,
		     enum shadow_withheld (*withheld)(void *opaque, gva_t gva), void *opaque);

/* How much a guest operation flushes. */
enum shadow_flush {
	SHADOW_FLUSH_NONGLOBAL, /* MOV CR3 with CR4.PGE */
	/*
	 * MOV CR3 without PGE; a change of CR4.PGE/PSE/PAE/SMEP/SMAP, CR0.PG/WP, EFER.NXE; A20;
	 * INIT
	 */
	SHADOW_FLUSH_ALL,
};

/*
 * Makes paging the current configuration, performing flush, and returns the current space (created
 * if new; one whose host mapping fails is NULL with *err a negative errno). Called for every MOV
 * CR3, task switch, and change of a paging mode bit.
 */
struct space *shadow_set_paging(struct shadow *shadow, const struct paging *paging,
				enum shadow_flush flush, int *err);
struct space *shadow_current(const struct shadow *shadow);

/* INVLPG in the current space. */
void shadow_invlpg(struct shadow *shadow, gva_t gva);

/*
 * Whether a translation of gva is relied on by a window of the current space, or by translated
 * code. Light: x86/fpu_spill.h.
 */
bool shadow_relies_on(const struct shadow *shadow, gva_t gva);

/*
 * INVLPG that may put the user window's host calls off, so that a run of them becomes one: true if
 * anything waits. Whoever uses that window calls shadow_settle() first; every other call here that
 * touches windows does so itself. Nothing is put off while the current space has a kernel window of
 * its own, since ring 0 then sees user pages there.
 */
bool shadow_invlpg_deferred(struct shadow *shadow, gva_t gva);
void shadow_settle(struct shadow *shadow);

/*
 * Takes everything out of the current space's user window: nothing is going to use it for a while.
 */
void shadow_empty_user(struct shadow *shadow);

enum shadow_fill {
	SHADOW_FILL_OK,         /* mapped: restart the access */
	/*
	 * a true fault: fill->error, to be injected; whoever delivers it also ends what the TLB
	 * held for gva (shadow_invlpg())
	 */
	SHADOW_FILL_FAULT,
	/* no RAM there (MMIO or nothing): emulate the access at fill->gpa */
	SHADOW_FILL_UNBACKED,
	/*
	 * a write to ROM, or to a page that translations were made from: emulate it;
	 * guest_ram_written() does the rest
	 */
	SHADOW_FILL_PROTECTED,
	/*
	 * view was KERNEL (shared, or SMAP is on) and the page is a user page: make the access
	 * through the user view
	 */
	SHADOW_FILL_USER_VIEW,
	/*
	 * cannot be mapped with the right permissions in this view (e.g. CR0.WP=0): emulate the
	 * access
	 */
	SHADOW_FILL_EMULATE,
	SHADOW_FILL_HOST_ERROR, /* the host refused (fill->host_errno): kill the VM */
};

struct shadow_fill_info {
	gpa_t gpa;
	uint32_t error;
	int host_errno;
};

/*
 * A host fault at linear address gva in view of the current space: find out why and mend it if it
 * is hidden. access is ACCESS_READ or ACCESS_WRITE, with what access_explicit() says (a ring-0
 * access through the user view has view USER and no ACCESS_USER). May be called from a synchronous
 * signal handler that interrupted translated code.
 */
enum shadow_fill shadow_fill(struct shadow *shadow, enum shadow_view view, gva_t gva,
			     enum access access, struct shadow_fill_info *info);

/*
 * After a true fault at gva was delivered and the guest is about to resume the access: map it now
 * if the walk allows it, sparing the hidden fault. Never faults, never sets D bits unless access is
 * a write that the walk allows.
 */
void shadow_prefill(struct shadow *shadow, enum shadow_view view, gva_t gva, enum access access);

/*
 * Translates an instruction fetch at gva (access: ACCESS_EXEC, plus ACCESS_USER at CPL 3) in the
 * current space and records that code there is relied on (see code_mapping_changed). False: true
 * fault, info->error, as with shadow_fill(). *global says that the translation is global (same in
 * every space).
 */
bool shadow_fetch(struct shadow *shadow, gva_t gva, enum access access,
		  struct shadow_fill_info *info, bool *global);

/* Begins and ends the trace of a page that translations were made from. */
void shadow_protect_code(struct shadow *shadow, gpa_t gpa);
void shadow_unprotect_code(struct shadow *shadow, gpa_t gpa);

/*
 * Other memory, or none, is about to be shown at [gpa, gpa + size), or was shown until now (display
 * memory: guest_ram_show()): no window has what was there. Whole pages below
 * guest_ram_frames_end(); no RAM among them.
 */
void shadow_memory_hidden(struct shadow *shadow, gpa_t gpa, uint32_t size);
/* Those of the pages that are flagged RAM_PAGE_WATCHED are read-only in all windows. */
void shadow_memory_watched(struct shadow *shadow, gpa_t gpa, uint32_t size);

/* C code stored to a page flagged RAM_PAGE_TABLE (from guest_ram's written hook). */
void shadow_table_written(struct shadow *shadow, gpa_t gpa, uint32_t len);

/*
 * Walks every structure and checks every invariant against the guest tables. Returns a static text
 * or NULL.
 */
const char *shadow_check(const struct shadow *shadow);

#endif
