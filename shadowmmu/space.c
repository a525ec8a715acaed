/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Spaces: one for each guest CR3 seen under the current paging mode, in order of last use, and the
 * windows they own.
 *
 * Nobody tells when a guest address space dies. The least recently used one goes when windows or
 * host mappings run short.
 */
#include "shadow_internal.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

struct space_impl *space_find(struct shadow *s, uint32_t cr3)
{
	struct space_impl *sp;

	for (sp = s->newest; sp && sp->space.cr3 != cr3; sp = sp->older)
		;
	return sp;
}

static void list_remove(struct shadow *s, struct space_impl *sp)
{
	assert((sp->newer ? sp->newer->older : s->newest) == sp);
	assert((sp->older ? sp->older->newer : s->oldest) == sp);
	if (sp->newer)
		sp->newer->older = sp->older;
	else
		s->newest = sp->older;
	if (sp->older)
		sp->older->newer = sp->newer;
	else
		s->oldest = sp->newer;
	sp->newer = sp->older = NULL;
}

static void list_insert(struct shadow *s, struct space_impl *sp)
{
	assert(!sp->newer && !sp->older && s->newest != sp);
	sp->newer = NULL;
	sp->older = s->newest;
	if (s->newest)
		s->newest->newer = sp;
	else
		s->oldest = sp;
	s->newest = sp;
}

void space_touch(struct shadow *s, struct space_impl *sp)
{
	if (s->newest == sp)
		return;
	list_remove(s, sp);
	list_insert(s, sp);
}

bool space_evict_one(struct shadow *s, const struct space_impl *keep)
{
	struct space_impl *sp;

	for (sp = s->oldest; sp && (sp == keep || sp == s->current); sp = sp->newer)
		;
	if (!sp)
		return false;
	s->stats.spaces_evicted++;
	space_destroy(s, sp);
	return true;
}

static int own_window(struct shadow *s, struct space_impl *sp, enum shadow_view view)
{
	int err;

	if (sp->domain.window[view])
		return 0;
	while (s->windows >= s->window_limit && space_evict_one(s, sp))
		;
	do
		err = window_create(s, view, &sp->domain.window[view]);
	while (err && space_evict_one(s, sp));
	return err;
}

static void disown_window(struct shadow *s, struct space_impl *sp, enum shadow_view view)
{
	window_destroy(s, sp->domain.window[view]);
	sp->domain.window[view] = NULL;
	sp->space.window[view] = HVA_NONE;
}

int space_windows(struct shadow *s, struct space_impl *sp)
{
	struct domain *d = &sp->domain;
	int err = own_window(s, sp, SHADOW_USER);

	if (err)
		return err;
	sp->space.window[SHADOW_USER] = d->window[SHADOW_USER]->base;
	sp->space.kernel_shared = s->share_kernel && s->mode.paging;
	if (!s->mode.paging) {
		sp->space.window[SHADOW_KERNEL] = sp->space.window[SHADOW_USER];
	} else if (s->share_kernel) {
		assert(s->kernel);
		disown_window(s, sp, SHADOW_KERNEL);
		sp->space.window[SHADOW_KERNEL] = s->kernel->window[SHADOW_KERNEL]->base;
	} else {
		err = own_window(s, sp, SHADOW_KERNEL);
		if (err)
			return err;
		sp->space.window[SHADOW_KERNEL] = d->window[SHADOW_KERNEL]->base;
	}
	return 0;
}

struct space_impl *space_create(struct shadow *s, uint32_t cr3, int *err)
{
	struct space_impl *sp = calloc(1, sizeof(*sp));

	assert(!space_find(s, cr3));
	*err = -ENOMEM;
	if (!sp)
		return NULL;
	sp->space.cr3 = cr3;
	sp->domain.space = &sp->space;
	list_insert(s, sp);
	*err = space_windows(s, sp);
	if (*err) {
		space_destroy(s, sp);
		return NULL;
	}
	s->stats.spaces_created++;
	return sp;
}

void space_destroy(struct shadow *s, struct space_impl *sp)
{
	unsigned view;

	assert(sp != s->current);
	if (s->callbacks.space_destroyed)
		s->callbacks.space_destroyed(s->callbacks.opaque, &sp->space);
	for (view = 0; view < SHADOW_NVIEWS; view++)
		disown_window(s, sp, view);
	domain_destroy(s, &sp->domain);
	list_remove(s, sp);
	free(sp);
}

/* Of the windows that are in use now, the one with the most host mappings. */
static struct window *largest_window(const struct shadow *s)
{
	struct window *in_use[] = {
		s->current ? s->current->domain.window[SHADOW_USER] : NULL,
		s->current ? s->current->domain.window[SHADOW_KERNEL] : NULL,
		s->kernel ? s->kernel->window[SHADOW_KERNEL] : NULL,
	}, *largest = NULL;
	unsigned i;

	for (i = 0; i < RF_ARRAY_SIZE(in_use); i++)
		if (in_use[i] && (!largest || in_use[i]->vmas > largest->vmas))
			largest = in_use[i];
	return largest;
}

void space_relieve(struct shadow *s)
{
	struct window *w;

	if (rf_likely(!s->vma_limit || s->vmas < s->vma_limit))
		return;
	while (s->vmas >= s->vma_limit / 4 * 3 && space_evict_one(s, NULL))
		;
	/*
	 * The largest, since emptying must make room: a small one would soon be emptied again, and
	 * could not even come to hold all pages of one instruction.
	 */
	while (s->vmas >= s->vma_limit && (w = largest_window(s)) && w->vmas)
		window_empty(s, w);
}

int kernel_share_begin(struct shadow *s)
{
	struct domain *d = calloc(1, sizeof(*d));
	int err;

	assert(!s->share_kernel && !s->kernel);
	if (!d)
		return -ENOMEM;
	while (s->windows >= s->window_limit && space_evict_one(s, NULL))
		;
	err = window_create(s, SHADOW_KERNEL, &d->window[SHADOW_KERNEL]);
	if (err) {
		free(d);
		return err;
	}
	s->kernel = d;
	s->share_kernel = true;
	return 0;
}

/* Spaces other than the current one get their windows when they become current. */
void kernel_share_end(struct shadow *s)
{
	struct domain *d = s->kernel;
	unsigned slot, i;

	assert(s->share_kernel == !!d);
	s->share_kernel = false;
	s->kernel = NULL;
	if (!d)
		return;
	for (slot = 0; slot < REGION_SLOTS; slot++)
		for (i = 0; d->region[slot] && i < region_pages(s); i++)
			if (bit_test(d->region[slot]->code, i))
				code_dropped(s, d, d->region[slot], i);
	window_destroy(s, d->window[SHADOW_KERNEL]);
	domain_destroy(s, d);
	free(d);
}
