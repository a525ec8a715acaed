/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Filling windows: a host fault becomes a true fault of the guest's or a mapping.
 *
 * A fill maps more than the page that was asked for, since a host fault costs several host
 * mappings: all of a large guest page; else the run of neighbours in the same guest table that
 * continue the page physically, and a few others near by. A neighbour is mapped only if the guest's
 * tables allow it now and have its accessed bit set (and is writable only if they have its dirty
 * bit set), so that nothing is ever mapped that an access of the guest could not have brought into
 * a TLB.
 */
#include "shadow_internal.h"

#include <assert.h>
#include <errno.h>

#define RUN_REACH      64u /* how far a physically contiguous run is followed, each way */
#define AROUND_PAGES   16u /* aligned block in which other neighbours are looked for */
#define AROUND_MAPS    8u  /* how many host mappings are made for them */
#define LARGE_MAPS     16u /* the same within a large page, which protected pages may break up */
#define POPULATE_PAGES 64u /* longer runs are left to the host's own faults */
#define UPGRADE        0x4u /* with a window's entry: the page is mapped, but read-only */

struct fill {
	struct shadow *s;
	struct domain *domain;
	struct region *region;  /* NULL with paging off */
	struct window *window;
	enum shadow_view view;
	const uint8_t *table;   /* the guest's, unless the page is large */
	struct walk walk;
	bool dir_user, dir_write;
	uint32_t base;          /* linear page number of entry 0 */
	unsigned entries;
	unsigned maps;
};

static uint32_t identity_entry(const struct fill *f, unsigned i)
{
	const gpa_t gpa = gpa_a20(gpa_of_frame(f->base + i), f->s->mode.a20_mask);

	if (!guest_ram_shows(f->s->ram, gpa))
		return 0;
	return (uint32_t)gpa.v | LEAF_PRESENT |
	       (guest_ram_flags(f->s->ram, gpa) & RAM_PAGE_PROTECTED ? 0 : LEAF_WRITE);
}

/*
 * What the guest's tables allow for entry i of the region in this view, as a window's entry; 0:
 * nothing.
 */
static uint32_t allowed_entry(const struct fill *f, unsigned i)
{
	const struct shadow *s = f->s;
	const struct walk *w = &f->walk;
	bool user = f->dir_user, write = f->dir_write, global = w->global, dirty = w->dirty;
	uint64_t entry;
	gpa_t gpa;

	if (!f->region)
		return identity_entry(f, i);
	if (f->region->large) {
		gpa = gpa_add(GPA(w->gpa.v & ~((1ull << w->page_shift) - 1)),
			      (uint64_t)i << GUEST_PAGE_SHIFT);
	} else {
		entry = entry_read(s, f->table, i);
		if ((entry & (PTE_P | PTE_A)) != (PTE_P | PTE_A))
			return 0;
		if ((entry & ~(PHYS_ADDR_MASK | PTE_NX)) || ((entry & PTE_NX) && !s->mode.nxe))
			return 0;
		user &= !!(entry & PTE_U);
		write &= !!(entry & PTE_W);
		global = entry & PTE_G;
		dirty = entry & PTE_D;
		gpa = entry_address(entry);
	}
	if ((f->view == SHADOW_USER && !user) || (!f->domain->space && !global))
		return 0;
	if (f->view == SHADOW_KERNEL && user && s->mode.smap)
		return 0;
	gpa = gpa_a20(gpa, s->mode.a20_mask);
	if (!guest_ram_shows(s->ram, gpa))
		return 0;
	write |= f->view == SHADOW_KERNEL && !s->mode.wp;
	write &= dirty && !(guest_ram_flags(s->ram, gpa) & RAM_PAGE_PROTECTED);
	return (uint32_t)gpa.v | LEAF_PRESENT | (write ? LEAF_WRITE : 0);
}

void shadow_withhold(struct shadow *s, enum shadow_withheld (*withheld)(void *opaque, gva_t gva),
		     void *opaque)
{
	s->withheld = withheld;
	s->withheld_opaque = opaque;
}

/* The same, without what is withheld. */
static uint32_t wanted_entry(const struct fill *f, unsigned i)
{
	const uint32_t entry = allowed_entry(f, i);

	if (rf_likely(!f->s->withheld) || !entry)
		return entry;
	switch (f->s->withheld(f->s->withheld_opaque, (f->base + i) << GUEST_PAGE_SHIFT)) {
	case SHADOW_GIVEN: return entry;
	case SHADOW_READ_ONLY: return entry & ~(uint32_t)LEAF_WRITE;
	default: return 0;
	}
}

/*
 * What to map at entry i, with UPGRADE if only the right to write is missing; 0: nothing allowed or
 * nothing to be gained.
 */
static uint32_t missing_entry(struct fill *f, unsigned i)
{
	uint32_t wanted = wanted_entry(f, i), have;

	if (!wanted)
		return 0;
	/* The entry may be relied on by the other view, for what it said earlier. */
	if (f->region && !f->region->large)
		region_follow(f->s, f->domain, f->region, i);
	have = window_get(f->window, f->base + i);
	if (!(have & LEAF_PRESENT))
		return wanted;
	return wanted == (have | LEAF_WRITE) && !(have & LEAF_WRITE) ? wanted | UPGRADE : 0;
}

/* Mapping a scattered page costs the host four times what changing its protection does. */
static int window_change(struct fill *f, unsigned first, unsigned count, uint32_t entry)
{
	const bool soon = count <= POPULATE_PAGES || f->s->options.dear;

	if (entry & UPGRADE)
		return window_allow_write(f->s, f->window, f->base + first, count);
	return window_map(f->s, f->window, f->base + first, entry >> GUEST_PAGE_SHIFT, count,
			  (entry & LEAF_WRITE ? ACCESS_WRITE : ACCESS_READ) |
				  (soon ? ACCESS_SOON : 0));
}

static int map_run(struct fill *f, unsigned first, unsigned count, uint32_t entry)
{
	struct shadow *s = f->s;
	bool retry;
	unsigned i;
	int err;

	assert(count && first + count <= f->entries);
	do {
		err = window_change(f, first, count, entry);
		/* A refused upgrade has emptied the window: there is something to map now. */
		retry = err == -ENOMEM && ((entry & UPGRADE) || space_evict_one(s, NULL));
		entry &= ~UPGRADE;
	} while (retry);
	if (err || !f->region)
		return err;
	f->maps++;
	for (i = first; i < first + count; i++) {
		if (!f->region->large)
			copy_cover(s, &f->region->copy, f->table, i);
		region_rely(f->region, f->region->filled, i);
	}
	return 0;
}

/* Whether b, the entry of the page after a's, goes on with the frames after a's. */
static bool follows(uint32_t a, uint32_t b)
{
	return b == a + GUEST_PAGE_SIZE && b > a; /* the last frame is followed by none */
}

/* Maps the run around entry i, as far as it is contiguous within [lo, hi). */
static int map_wanted(struct fill *f, unsigned i, unsigned lo, unsigned hi)
{
	uint32_t entry = missing_entry(f, i);
	unsigned first = i, end = i + 1;

	if (!entry)
		entry = wanted_entry(f, i);
	if (!entry) /* a device has just stored to the table: the access is made again */
		return 0;
	while (first > lo && follows(missing_entry(f, first - 1),
				     entry - (i - first) * GUEST_PAGE_SIZE))
		first--;
	while (end < hi && follows(entry + (end - 1 - i) * GUEST_PAGE_SIZE, missing_entry(f, end)))
		end++;
	f->s->stats.pages_prefilled += end - first - 1;
	return map_run(f, first, end - first, entry - (i - first) * GUEST_PAGE_SIZE);
}

/*
 * Maps what is missing in [lo, hi). An error here hurts nobody: the guest did not ask for these
 * pages.
 */
static void map_others(struct fill *f, unsigned lo, unsigned hi, unsigned maps)
{
	unsigned i, first, limit = f->maps + maps;
	uint32_t entry;

	for (i = lo; i < hi && f->maps < limit;) {
		first = i++;
		entry = missing_entry(f, first);
		if (!entry)
			continue;
		while (i < hi && follows(entry + (i - 1 - first) * GUEST_PAGE_SIZE,
					 missing_entry(f, i)))
			i++;
		f->s->stats.pages_prefilled += i - first;
		if (map_run(f, first, i - first, entry))
			return;
	}
}

/*
 * The host's own faults, one for each page that is touched, cost more than making its entries for a
 * whole piece; a piece no larger than this, since memory that nobody wants is made as well.
 */
static int map_piece(struct fill *f, unsigned i)
{
	const unsigned lo = i & ~(POPULATE_PAGES - 1), hi = lo + POPULATE_PAGES;
	int err = map_wanted(f, i, lo, hi);

	f->maps = 0;
	if (!err)
		map_others(f, lo, hi, AROUND_MAPS);
	return err;
}

static int map_page(struct fill *f, unsigned i)
{
	bool large = !f->region || f->region->large;
	unsigned reach = large ? f->entries : RUN_REACH, lo, hi;
	int err;

	if (f->s->options.no_fill_around)
		return map_wanted(f, i, i, i + 1);
	if (large && f->s->options.dear)
		return map_piece(f, i);
	lo = i > reach ? i - reach : 0;
	hi = i + reach < f->entries ? i + reach : f->entries;
	err = map_wanted(f, i, lo, hi);
	if (err)
		return err;
	f->maps = 0;
	if (large)
		map_others(f, 0, f->entries, LARGE_MAPS);
	else
		map_others(f, i & ~(AROUND_PAGES - 1), (i | (AROUND_PAGES - 1)) + 1, AROUND_MAPS);
	return 0;
}

/* Chooses the window and the domain whose tables fill it. */
static enum shadow_fill choose_window(struct fill *f, struct shadow_fill_info *info,
				      bool speculative)
{
	struct shadow *s = f->s;
	int err;

	f->domain = &s->current->domain;
	if (!s->mode.paging) {
		f->window = f->domain->window[SHADOW_USER];
		return SHADOW_FILL_OK;
	}
	if (f->view == SHADOW_USER && !f->walk.user)
		return SHADOW_FILL_EMULATE;
	/* The walk allowed it, for AC is set. */
	if (f->view == SHADOW_KERNEL && s->mode.smap && f->walk.user)
		return SHADOW_FILL_USER_VIEW;
	if (f->view == SHADOW_KERNEL && s->share_kernel) {
		if (f->walk.global) {
			f->domain = s->kernel;
		} else if (f->walk.user) {
			return SHADOW_FILL_USER_VIEW;
		} else {
			if (speculative || share_bear(s))
				return SHADOW_FILL_EMULATE;
			err = share_give_up(s);
			if (err) {
				info->host_errno = -err;
				return SHADOW_FILL_HOST_ERROR;
			}
		}
	}
	f->window = f->domain->window[f->view];
	assert(f->window);
	return SHADOW_FILL_OK;
}

/* Fills in what wanted_entry() needs. False: no memory. */
static bool find_region(struct fill *f, gva_t gva)
{
	struct shadow *s = f->s;
	struct region *r;
	uint64_t dir;
	unsigned slot;

	if (!s->mode.paging) {
		f->entries = LEAF_ENTRIES;
		f->base = (gva >> GUEST_PAGE_SHIFT) & ~(LEAF_ENTRIES - 1);
		return true;
	}
	r = f->region = region_get(s, f->domain, gva, &f->walk);
	if (!r)
		return false;
	slot = r->slot;
	dir = entry_read(s, guest_dir(s, slot_dir(s, slot)), slot_index(s, slot));
	f->dir_user = dir & PTE_U;
	f->dir_write = dir & PTE_W;
	f->table = r->large ? NULL : guest_ram_at(s->ram, r->table);
	f->entries = region_pages(s);
	f->base = region_first_page(s, r);
	return true;
}

static bool already_mapped(const struct shadow *s, enum shadow_view view, gva_t gva,
			   enum access access)
{
	const struct domain *d = &s->current->domain;
	const struct window *w = d->window[view];
	uint32_t entry;

	if (!s->mode.paging)
		w = d->window[SHADOW_USER];
	else if (view == SHADOW_KERNEL && s->share_kernel)
		w = s->kernel->window[SHADOW_KERNEL];
	if (!w)
		return false;
	entry = window_get(w, gva >> GUEST_PAGE_SHIFT);
	return (entry & LEAF_PRESENT) && (!(access & ACCESS_WRITE) || (entry & LEAF_WRITE));
}

/* The access is allowed by the walk and goes to RAM: see that it succeeds. */
static enum shadow_fill map_walked(struct fill *f, gva_t gva, enum access access,
				   struct shadow_fill_info *info, bool speculative)
{
	enum shadow_fill result = choose_window(f, info, speculative);
	uint32_t wanted;
	unsigned i;
	int err;

	if (result != SHADOW_FILL_OK)
		return result;
	if (!find_region(f, gva)) {
		info->host_errno = ENOMEM;
		return SHADOW_FILL_HOST_ERROR;
	}
	i = (gva >> GUEST_PAGE_SHIFT) - f->base;
	wanted = wanted_entry(f, i);
	if (!wanted || ((access & ACCESS_WRITE) && !(wanted & LEAF_WRITE)))
		return SHADOW_FILL_EMULATE;
	err = map_page(f, i);
	if (err) {
		info->host_errno = -err;
		return SHADOW_FILL_HOST_ERROR;
	}
	space_relieve(f->s);
	return SHADOW_FILL_OK;
}

static enum shadow_fill fill(struct shadow *s, enum shadow_view view, gva_t gva, enum access access,
			     struct shadow_fill_info *info, bool speculative)
{
	struct fill f = { .s = s, .view = view };
	uint8_t flags;

	assert(view < SHADOW_NVIEWS && !(access & ~(ACCESS_WRITE | ACCESS_WHO)));
	if (!s->current || s->host_errno) {
		info->host_errno = s->host_errno ? s->host_errno : EINVAL;
		return SHADOW_FILL_HOST_ERROR;
	}
	if (already_mapped(s, view, gva, access))
		return SHADOW_FILL_OK;
	if (!walk_guest(s->ram, &s->paging, gva, access, &f.walk)) {
		info->error = f.walk.error;
		return SHADOW_FILL_FAULT;
	}
	info->gpa = f.walk.gpa;
	if (!guest_ram_shows(s->ram, f.walk.gpa))
		return SHADOW_FILL_UNBACKED;
	flags = guest_ram_flags(s->ram, f.walk.gpa);
	if ((access & ACCESS_WRITE) && flags) {
		if (flags & (RAM_PAGE_CODE | RAM_PAGE_ROM))
			return SHADOW_FILL_PROTECTED;
		if (flags & RAM_PAGE_WATCHED)
			guest_ram_video_touched(s->ram, f.walk.gpa);
		else
			table_trace_lift(s, f.walk.gpa);
	}
	return map_walked(&f, gva, access, info, speculative);
}

static void count_fill(struct shadow_stats *stats, enum shadow_fill result)
{
	switch (result) {
	case SHADOW_FILL_OK:
		stats->hidden_faults++;
		break;
	case SHADOW_FILL_FAULT:
		stats->true_faults++;
		break;
	case SHADOW_FILL_UNBACKED:
		stats->unbacked_faults++;
		break;
	case SHADOW_FILL_PROTECTED:
		stats->protected_faults++;
		break;
	case SHADOW_FILL_USER_VIEW:
		stats->user_view_faults++;
		break;
	case SHADOW_FILL_EMULATE:
		stats->emulate_faults++;
		break;
	case SHADOW_FILL_HOST_ERROR:
		break;
	}
}

enum shadow_fill shadow_fill(struct shadow *s, enum shadow_view view, gva_t gva, enum access access,
			     struct shadow_fill_info *info)
{
	enum shadow_fill result;

	memset(info, 0, sizeof(*info));
	result = fill(s, view, gva, access, info, false);
	batch_finish(s);
	if (s->host_errno) {
		info->host_errno = s->host_errno;
		result = SHADOW_FILL_HOST_ERROR;
	}
	count_fill(&s->stats, result);
	check_sometimes(s);
	return result;
}

void shadow_prefill(struct shadow *s, enum shadow_view view, gva_t gva, enum access access)
{
	struct shadow_fill_info info = { 0 };
	uint64_t maps = s->stats.host_maps;

	fill(s, view, gva, access, &info, true);
	batch_finish(s);
	s->stats.pages_prefilled += s->stats.host_maps != maps;
	check_sometimes(s);
}
