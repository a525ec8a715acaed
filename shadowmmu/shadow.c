/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The shadow as a whole: its life, changes of the paging configuration, and flushes.
 *
 * What tables mean depends on a few mode bits (struct shadow_mode). When those change, which guests
 * do a handful of times in their lives, everything is dropped; so all spaces that exist were made
 * under the current mode.
 */
#include "shadow_internal.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#define WINDOW_LIMIT_DEFAULT 160u
#define WINDOW_LIMIT_LEAST   2u /* a space, whichever way the kernel is mapped */

/* 384 MiB of window entries, as much as 32 windows that are mapped all over. */
#define LEAF_LIMIT_DEFAULT (32 * WINDOW_LEAVES)
/*
 * What the current space can use, when all others have been evicted, and the shared kernel window.
 */
#define LEAF_LIMIT_LEAST   (3 * WINDOW_LEAVES)

int shadow_create(struct guest_ram *ram, struct host_mapping *hm,
		  const struct shadow_options *options, const struct shadow_callbacks *callbacks,
		  struct shadow **out)
{
	struct shadow *s = calloc(1, sizeof(*s));
	uint32_t limit;
	int err;

	if (!s)
		return -ENOMEM;
	assert(ram->flat && hm->ram == ram);
	s->ram = ram;
	s->hm = hm;
	if (options)
		s->options = *options;
	if (callbacks)
		s->callbacks = *callbacks;
	s->mode.a20_mask = ~0u;
	limit = s->options.window_limit ? s->options.window_limit : WINDOW_LIMIT_DEFAULT;
	s->window_limit = limit < WINDOW_LIMIT_LEAST ? WINDOW_LIMIT_LEAST :
			  limit > WINDOWS_MAX        ? WINDOWS_MAX :
						       limit;
	limit = s->options.leaf_limit ? s->options.leaf_limit : LEAF_LIMIT_DEFAULT;
	s->leaf_limit = limit < LEAF_LIMIT_LEAST ? LEAF_LIMIT_LEAST : limit;
	s->vma_limit = hm->ops->mapping_limit(hm) / 2;
	err = rmap_create(s);
	if (!err)
		err = table_trace_create(s);
	if (err) {
		shadow_destroy(s);
		return err;
	}
	*out = s;
	return 0;
}

static void drop_everything(struct shadow *s)
{
	s->current = NULL;
	while (s->newest)
		space_destroy(s, s->newest);
	kernel_share_end(s);
	assert(!s->oldest && !s->windows && !s->vmas);
}

void shadow_reset(struct shadow *s)
{
	drop_everything(s);
	table_trace_reset(s);
	rmap_reset(s);
	pool_destroy(s);
	s->paging = (struct paging){ .a20_mask = ~0u };
	s->mode = (struct shadow_mode){ .a20_mask = ~0u };
	share_reset(s);
	s->host_errno = 0;
}

void shadow_destroy(struct shadow *s)
{
	if (!s)
		return;
	drop_everything(s);
	table_trace_destroy(s);
	rmap_destroy(s);
	pool_destroy(s);
	free(s);
}

const struct shadow_stats *shadow_stats(const struct shadow *s)
{
	return &s->stats;
}

/*
 * Bits that do not matter in a mode are the same in all its values, so that modes compare by value.
 */
static struct shadow_mode mode_of(const struct paging *p)
{
	struct shadow_mode mode = { .paging = p->cr0 & CR0_PG, .a20_mask = p->a20_mask };

	if (!mode.paging)
		return mode;
	mode.pae = p->cr4 & CR4_PAE;
	mode.pse = !mode.pae && (p->cr4 & CR4_PSE);
	mode.nxe = mode.pae && p->nxe;
	mode.wp = p->cr0 & CR0_WP;
	mode.smep = p->cr4 & CR4_SMEP;
	mode.smap = p->cr4 & CR4_SMAP;
	return mode;
}

static bool same_mode(const struct shadow_mode *a, const struct shadow_mode *b)
{
	return a->paging == b->paging && a->pae == b->pae && a->pse == b->pse && a->wp == b->wp &&
	       a->nxe == b->nxe && a->smep == b->smep && a->smap == b->smap &&
	       a->a20_mask == b->a20_mask;
}

static uint32_t space_key(const struct shadow *s)
{
	if (!s->mode.paging)
		return 0;
	return s->paging.cr3 & (s->mode.pae ? ~0x1fu : GUEST_PAGE_MASK);
}

static int enter_space(struct shadow *s, enum shadow_flush flush)
{
	struct space_impl *sp;
	int err = 0;

	/* The space that is left may be evicted to make room, like any other. */
	s->current = NULL;
	share_flushed(s, flush);
	sp = space_find(s, space_key(s));
	if (sp)
		err = space_windows(s, sp);
	else
		sp = space_create(s, space_key(s), &err);
	if (err)
		return err;
	s->current = sp;
	space_touch(s, sp);
	return 0;
}

#define REPLACED_PAGES 4u

/* Whether at least as much has gone as is left. */
static bool was_replaced(const struct domain *d)
{
	uint32_t left = 0;

	if (d->gone < REPLACED_PAGES)
		return false;
	for (unsigned i = 0; i < REGION_SLOTS / 64; i++) {
		for (uint64_t active = d->active[i]; active; active &= active - 1)
			left += d->region[i * 64 + (unsigned)__builtin_ctzll(active)]->relied;
	}
	return d->gone >= left;
}

struct space *shadow_set_paging(struct shadow *s, const struct paging *paging,
				enum shadow_flush flush, int *err)
{
	struct shadow_mode mode = mode_of(paging);

	if (!same_mode(&mode, &s->mode))
		drop_everything(s);
	s->mode = mode;
	s->paging = *paging;
	if (flush == SHADOW_FLUSH_ALL)
		s->stats.flushes_all++;
	else
		s->stats.flushes++;
	*err = enter_space(s, flush);
	if (!*err && s->mode.paging) {
		s->current->domain.gone = 0;
		domain_compare(s, &s->current->domain);
		s->current->space.replaced = was_replaced(&s->current->domain);
		/*
		 * Without PGE no translation is global, whatever was taken for global before it was
		 * cleared.
		 */
		if ((flush == SHADOW_FLUSH_ALL || !(paging->cr4 & CR4_PGE)) && s->kernel)
			domain_compare(s, s->kernel);
	}
	batch_finish(s);
	if (!*err)
		*err = -s->host_errno;
	if (*err) {
		s->current = NULL;
		return NULL;
	}
	check_sometimes(s);
	return &s->current->space;
}

void shadow_empty_user(struct shadow *s)
{
	struct window *w = s->current ? s->current->domain.window[SHADOW_USER] : NULL;

	batch_finish(s);
	if (w && w->present && s->mode.paging)
		window_empty(s, w);
	check_sometimes(s);
}

void shadow_settle(struct shadow *s)
{
	batch_finish(s);
}

bool shadow_invlpg_deferred(struct shadow *s, gva_t gva)
{
	s->stats.invlpgs++;
	if (!s->mode.paging || !s->current)
		return false;
	domain_sync_page(s, &s->current->domain, gva);
	if (s->kernel)
		domain_sync_page(s, s->kernel, gva);
	if (!s->current->space.kernel_shared)
		batch_finish(s);
	else
		batch_finish_view(s, SHADOW_KERNEL);
	check_sometimes(s);
	return batch_waits(s);
}

void shadow_invlpg(struct shadow *s, gva_t gva)
{
	shadow_invlpg_deferred(s, gva);
	batch_finish(s);
}

void shadow_table_written(struct shadow *s, gpa_t gpa, uint32_t len)
{
	assert(len && gpa_offset(gpa) + len <= GUEST_PAGE_SIZE);
	if (guest_ram_backs(s->ram, gpa))
		table_trace_lift(s, gpa);
}
