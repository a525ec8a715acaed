/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The translator's life: the code cache (shared memory mapped twice, so that nothing is writable
 * and executable at once), the return stack, entering translated code, and the flush when the cache
 * is full.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include "tu.h"
#include "verify.h"
#include "x86/fpu_spill.h"

#define CACHE_DEFAULT (64u << 20)
#define CACHE_MIN     (256u << 10)
#define RETURN_STACK_BYTES 65536u
#define HOST_PAGE 4096u
#define RETURN_AREA_BYTES (RETURN_STACK_BYTES + HOST_PAGE)

static void *map_reserve(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

/*
 * Shared anonymous memory, so that mremap() with an old size of 0 gives a second mapping of it, and
 * so that perf takes it for memory that code is generated into, which it does not do with a memfd
 * (perf_map.c).
 */
static int cache_map(struct translator *tr)
{
	void *w = mmap(NULL, tr->size, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0),
	     *x;

	if (w == MAP_FAILED)
		return -errno;
	tr->write_base = w;
	x = mremap(w, 0, tr->size, MREMAP_MAYMOVE);
	if (x == MAP_FAILED)
		return -errno;
	tr->exec_base = (uintptr_t)x;
	return mprotect(x, tr->size, PROT_READ | PROT_EXEC) ? -errno : 0;
}

/* Two stacks, for ring 3 and for the others, each between guard pages. */
static int return_stack_map(struct translator *tr)
{
	tr->return_area = map_reserve(2 * RETURN_AREA_BYTES + HOST_PAGE);
	if (!tr->return_area)
		return -ENOMEM;
	for (int i = 0; i < 3; i++) {
		if (mprotect(tr->return_area + i * RETURN_AREA_BYTES, HOST_PAGE, PROT_NONE))
			return -ENOMEM;
	}
	for (int i = 0; i < 2; i++)
		tr->return_top[i] = hva_of(tr->return_area + (i + 1) * RETURN_AREA_BYTES - 64);
	return 0;
}

int translator_create(const struct translator_callbacks *callbacks,
		      const struct translator_options *options, struct translator **out)
{
	struct translator *tr = calloc(1, sizeof(*tr));
	struct emitter e;
	int err;

	if (!tr)
		return -ENOMEM;
	tr->cb = *callbacks;
	tr->opt = *options;
	if (!tr->opt.max_insns || tr->opt.max_insns > TU_MAX_INSNS)
		tr->opt.max_insns = TU_MAX_INSNS;
	tr->size = (options->cache_size ? options->cache_size : CACHE_DEFAULT) &
		   ~(uint64_t)(HOST_PAGE - 1);
	if (tr->size < CACHE_MIN)
		tr->size = CACHE_MIN;
	err = cache_map(tr);
	if (!err)
		err = return_stack_map(tr);
	if (!err && options->verify)
		err = verifier_create(&tr->verifier);
	tr->exits = map_reserve(EXIT_MAX * sizeof(*tr->exits));
	tr->x87_sites = map_reserve(X87_SITE_MAX * sizeof(*tr->x87_sites));
	tr->link_template = map_reserve(EXIT_MAX * sizeof(uint64_t));
	tr->global_links = map_reserve(LINEAR_PAGES * sizeof(*tr->global_links));
	tr->tu_memory = map_reserve(TU_MEMORY(tr->size));
	if (err || !tr->tu_memory || !tr->exits || !tr->x87_sites || !tr->link_template ||
	    !tr->global_links) {
		translator_destroy(tr);
		return err ? err : -ENOMEM;
	}
	e = (struct emitter){ .p = tr->write_base, .limit = tr->write_base + tr->size,
			      .exec_delta = (intptr_t)tr->exec_base - (intptr_t)tr->write_base };
	stubs_emit(tr, &e);
	assert(!e.overflow);
	tr->stubs_len = tr->used = (e.p - tr->write_base + 63) & ~63ull;
	for (int i = 0; i < 2; i++)
		*(uint64_t *)hva_ptr(tr->return_top[i]) = tr->stub_underflow;
	*out = tr;
	return 0;
}

static void translator_drop_tus(struct translator *tr)
{
	struct verifier *verifier = tr->verifier;

	/* none of them runs again: unlinking each from each need not be verified */
	tr->verifier = NULL;
	for (struct tc_space *s = tr->spaces; s; s = s->next) {
		s->stale = true;
		s->slots_known = 0; /* slots get other exits */
	}
	for (uint32_t i = tr->norder; i-- > 0;) { /* as their pages list them */
		struct tu *tu = tr->order[i];

		if (tu->valid)
			tu_invalidate(tr, tu);
		if (tu->in_global_links)
			/* with those after it, which go as well */
			tr->global_links[tu->eip >> GUEST_PAGE_SHIFT] = NULL;
	}
	tr->norder = 0;
	tr->verifier = verifier;
}

/* After translator_drop_tus(): what is known of guest pages and instructions. */
static void translator_drop_knowledge(struct translator *tr)
{
	adapt_forget(tr);
	code_segments_forget(tr);
	for (int i = 0; i < PAGE_HASH_SIZE; i++) {
		for (struct code_page *p = tr->pages[i], *next; p; p = next) {
			next = p->next;
			free(p);
		}
		tr->pages[i] = NULL;
	}
	free(tr->order);
	tr->order = NULL;
	tr->order_cap = 0;
}

void translator_destroy(struct translator *tr)
{
	if (tr->write_base && tr->exec_base) {
		if (tr->verifier)
			translator_check_or_abort(tr);
		translator_drop_tus(tr);
		translator_drop_knowledge(tr);
	}
	while (tr->spaces)
		tc_space_destroy(tr, tr->spaces);
	verifier_destroy(tr->verifier);
	if (tr->write_base)
		munmap(tr->write_base, tr->size);
	if (tr->exec_base)
		munmap((void *)tr->exec_base, tr->size);
	if (tr->tu_memory)
		munmap(tr->tu_memory, TU_MEMORY(tr->size));
	if (tr->exits)
		munmap(tr->exits, EXIT_MAX * sizeof(*tr->exits));
	if (tr->x87_sites)
		munmap(tr->x87_sites, X87_SITE_MAX * sizeof(*tr->x87_sites));
	if (tr->link_template)
		munmap(tr->link_template, EXIT_MAX * sizeof(uint64_t));
	if (tr->global_links)
		munmap(tr->global_links, LINEAR_PAGES * sizeof(*tr->global_links));
	if (tr->return_area)
		munmap(tr->return_area, 2 * RETURN_AREA_BYTES + HOST_PAGE);
	free(tr);
}

const struct translator_stats *translator_stats(const struct translator *tr)
{
	return &tr->stats;
}

void translator_flush(struct translator *tr)
{
	assert(!tr->translating);
	if (tr->verifier)
		translator_check_or_abort(tr);
	verify_tables_or_abort(tr);
	translator_drop_tus(tr);
	adapt_forget_many(tr);
	tr->used = tr->stubs_len;
	tr->tu_bytes = 0;
	tr->nexits = tr->nslots = tr->nx87_sites = 0;
	tr->stats.cache_flushes++;
	if (tr->cb.flushed)
		tr->cb.flushed(tr->cb.opaque);
}

void translator_reset(struct translator *tr)
{
	const uint64_t keep = (tr->stubs_len + HOST_PAGE - 1) & ~(uint64_t)(HOST_PAGE - 1);

	translator_flush(tr);
	translator_drop_knowledge(tr);
	/* A host that cannot take the memory back keeps it: there is no more to it. */
	(void)!madvise(tr->write_base + keep, tr->size - keep, MADV_REMOVE);
	(void)!madvise(tr->tu_memory, TU_MEMORY(tr->size), MADV_DONTNEED);
	tr->write_ahead = tr->exec_ahead = tr->exits_ahead = tr->tu_ahead = (struct ahead){ 0 };
	(void)!madvise(tr->exits, EXIT_MAX * sizeof(*tr->exits), MADV_DONTNEED);
	(void)!madvise(tr->x87_sites, X87_SITE_MAX * sizeof(*tr->x87_sites), MADV_DONTNEED);
	(void)!madvise(tr->link_template, EXIT_MAX * sizeof(uint64_t), MADV_DONTNEED);
	(void)!madvise(tr->global_links, LINEAR_PAGES * sizeof(*tr->global_links), MADV_DONTNEED);
}

/* The memory that another TU may fill. */
static void look_ahead(struct translator *tr)
{
	ahead_make(&tr->write_ahead, tr->write_base, tr->size, tr->used, TU_MAX_HOST_BYTES, true);
	ahead_make(&tr->exec_ahead, (void *)tr->exec_base, tr->size, tr->used, TU_MAX_HOST_BYTES,
		   false);
	ahead_make(&tr->exits_ahead, tr->exits, EXIT_MAX * sizeof(*tr->exits),
		   tr->nexits * sizeof(*tr->exits), 3 * TU_MAX_INSNS * sizeof(*tr->exits), true);
	ahead_make(&tr->tu_ahead, tr->tu_memory, TU_MEMORY(tr->size), tr->tu_bytes,
		   TU_MAX_HOST_BYTES, true);
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

/* What describes TUs is not in the cache, and a TU of NOPs has more of that than host code. */
static bool cache_is_full(const struct translator *tr)
{
	return tr->size - tr->used < 2 * TU_MAX_HOST_BYTES ||
	       EXIT_MAX - tr->nexits < 4 * TU_MAX_INSNS ||
	       X87_SITE_MAX - tr->nx87_sites < TU_MAX_INSNS || tr->tu_bytes > 2 * tr->size ||
	       (tr->opt.flush_every && tr->norder >= tr->opt.flush_every);
}

struct tu *translator_find(struct translator *tr, struct tc_space *space, gva_t eip, uint32_t mode)
{
	struct tu *tu;
	gpa_t gpa;
	bool global;
	uint64_t start;

	assert(space && !tr->translating && mode_is_whole(mode));
	if (!tr->cb.fetch(tr->cb.opaque, eip, &gpa, &global))
		return NULL;
	tu = tu_lookup(tr, eip, gpa, mode, global);
	if (tu) {
		if (tu_is_installed(tu))
			link_install_page(tr, space, tu);
		return tu;
	}
	if (!tr->cb.page(tr->cb.opaque, gpa))
		return NULL;
	if (cache_is_full(tr)) {
		translator_flush(tr);
		link_refresh_space(tr, space); /* it is in use already */
	}
	start = now_ns();
	look_ahead(tr);
	tr->translating = true;
	tu = translate(tr, eip, gpa, mode, global);
	tr->translating = false;
	tr->stats.translate_ns += now_ns() - start;
	if (tu)
		verify_or_abort(tr, tu);
	if (tu && tr->cb.log_tu)
		tr->cb.log_tu(tr->cb.opaque, tu, tr->cb.page(tr->cb.opaque, gpa),
			      tr->write_base + (tu->entry - tr->exec_base));
	if (tu && tr->cb.tu_made)
		tr->cb.tu_made(tr->cb.opaque, tu);
	return tu;
}

enum tc_leave translator_enter(struct translator *tr, struct cpu *cpu, struct tu *tu)
{
	int (*enter)(struct cpu *, cache_pc);
	struct tc_words *w = tcw(cpu);
	enum tc_leave why;

	assert(tu->valid && w->fpu_live == FPU_SAVED);
	assert(w->window && !(w->window & 0xffffffff));
	assert(!(w->if_flag & ~X86_IF) && !(w->eflags_sys & (LIVE_FLAGS | X86_IF)));
	assert(translator_on_return_stack(tr, HVA(w->tc_rsp)));
	memcpy(&enter, &tr->stub_enter, sizeof(enter));
	w->mxcsr_for_c = MXCSR_FOR_C;
	translator_x87_load(cpu);
	why = enter(cpu, tu->entry);
	assert(why <= TC_LEAVE_DEAD && w->fpu_live == FPU_SAVED);
	assert(translator_on_return_stack(tr, HVA(w->tc_rsp)));
	translator_x87_store(tr, cpu);
	return why;
}

cache_pc translator_leave_address(const struct translator *tr)
{
	return tr->stub_leave;
}

bool translator_on_return_stack(const struct translator *tr, hva_t rsp)
{
	return hva_within(rsp, hva_of(tr->return_area), 2 * RETURN_AREA_BYTES + HOST_PAGE);
}

bool translator_is_translating(const struct translator *tr)
{
	return tr->translating;
}

bool translator_return_overflow(const struct translator *tr, hva_t address, hva_t *empty)
{
	for (int i = 0; i < 2; i++) {
		const hva_t guard = hva_of(tr->return_area + i * RETURN_AREA_BYTES);

		if (hva_within(address, guard, HOST_PAGE)) {
			*empty = tr->return_top[i];
			return true;
		}
	}
	return false;
}
