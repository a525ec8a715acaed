/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Links: how one TU comes to jump to another without the dispatcher.
 *
 *   direct   a patched rel32. Right only where the target's mapping is a matter of course: within
 *            one guest page, or between pages mapped globally.
 *   table    jmp [r12+slot]: the slot belongs to the current space, so that the same TU, shared by
 *            processes, leads each to its own target.
 *   lookup   the exit asks the branch cache each time: where neither is allowed.
 *
 * A slot or rel32 that is not linked leads to the exit's cold path, which leaves with
 * TC_LEAVE_LINK.
 */
#include <assert.h>
#include <stdlib.h>
#include <sys/mman.h>
#include "tu.h"
#include "verify.h"

#define LINK_TABLE_BYTES (EXIT_MAX * sizeof(uint64_t))
#define TABLES_BYTES (MODE_KEYS * (size_t)BRANCH_CACHE_BYTES + LINK_TABLE_BYTES)
#define HOST_PAGE 4096u
_Static_assert(BRANCH_CACHE_BYTES / HOST_PAGE <= 32, "a bit of branch_cache.written for each page");

/* Only pages that were written are touched: a new space pays for no others. */
static void branches_clear(struct branch_cache *cache)
{
	for (uint32_t pages = cache->written; pages; pages &= pages - 1)
		memset((uint8_t *)cache->entries + (unsigned)__builtin_ctz(pages) * HOST_PAGE, 0,
		       HOST_PAGE);
	cache->entries[0].negated_eip = BRANCH_CACHE_NONE(0);
	cache->written = 1;
}

static void branch_set(struct branch_cache *cache, uint32_t index, struct branch_entry entry)
{
	assert(cache->entries && index < BRANCH_CACHE_ENTRIES);
	cache->entries[index] = entry;
	cache->written |= 1u << index * sizeof(entry) / HOST_PAGE;
}

/* Large pages would be filled with zeros whole for the few entries that a space needs of each. */
static bool tables_map(struct tc_space *space)
{
	void *p = mmap(NULL, TABLES_BYTES, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return false;
	(void)!madvise(p, TABLES_BYTES, MADV_NOHUGEPAGE);
	space->tables = p;
	space->links = (uint64_t *)(space->tables + MODE_KEYS * (size_t)BRANCH_CACHE_BYTES);
	return true;
}

struct tc_space *tc_space_create(struct translator *tr)
{
	struct tc_space *space = calloc(1, sizeof(*space));

	if (!space)
		return NULL;
	if (!tables_map(space)) {
		free(space);
		return NULL;
	}
	space->next = tr->spaces;
	tr->spaces = space;
	space->stale = true;
	return space;
}

void tc_space_destroy(struct translator *tr, struct tc_space *space)
{
	struct tc_space **at = &tr->spaces;

	while (*at != space) {
		assert(*at); /* it is one of tr's */
		at = &(*at)->next;
	}
	*at = space->next;
	munmap(space->tables, TABLES_BYTES);
	free(space);
}

static void link_set(struct tc_space *space, uint32_t slot, cache_pc to)
{
	const uint32_t page = slot / SLOTS_PER_PAGE;

	assert(slot < EXIT_MAX);
	space->links[slot] = to;
	space->linked[page / 64] |= 1ull << page % 64;
}

/* Slots that the space has not seen yet. */
static void links_learn(struct translator *tr, struct tc_space *space)
{
	const uint32_t known = space->slots_known, made = space->slots_made;

	assert(known <= tr->nslots);
	if (tr->nslots > made) {
		memory_make(space->links + made, (tr->nslots - made) * sizeof(uint64_t));
		space->slots_made = tr->nslots;
	}
	memcpy(space->links + known, tr->link_template + known,
	       (tr->nslots - known) * sizeof(uint64_t));
	space->slots_known = tr->nslots;
}

/*
 * Only pages of slots in which something was linked: most code that a space runs is linked
 * directly.
 */
static void links_forget(struct translator *tr, struct tc_space *space)
{
	for (unsigned i = 0; i < RF_ARRAY_SIZE(space->linked); i++) {
		for (uint64_t pages = space->linked[i]; pages; pages &= pages - 1) {
			const uint32_t first =
				(i * 64 + (unsigned)__builtin_ctzll(pages)) * SLOTS_PER_PAGE;

			memcpy(space->links + first, tr->link_template + first,
			       SLOTS_PER_PAGE * sizeof(uint64_t));
		}
		space->linked[i] = 0;
	}
}

void link_refresh_space(struct translator *tr, struct tc_space *space)
{
	links_forget(tr, space);
	links_learn(tr, space);
	for (unsigned i = 0; i < SPACE_BRANCH_CACHES; i++) {
		if (space->branches[i].entries)
			branches_clear(&space->branches[i]);
	}
	memset(space->installed, 0, sizeof(space->installed));
	space->stale = false;
}

/*
 * How many modes there are is up to the guest, and each that a space was ever in has memory: once
 * there are too many, all of it is given back, and no branch cache is in use any more. A host that
 * cannot take it back keeps it.
 */
static void places_limit(struct tc_space *space)
{
	if (space->places_made < SPACE_PLACES)
		return;
	if (madvise(space->tables, MODE_KEYS * (size_t)BRANCH_CACHE_BYTES, MADV_DONTNEED))
		return;
	memset(space->branches, 0, sizeof(space->branches));
	memset(space->modes_used, 0, sizeof(space->modes_used));
	space->places_made = 0;
}

/* What an earlier turn of the mode left at its place is not known: all of it is cleared. */
struct branch_cache *branch_cache_take(struct tc_space *space, uint32_t mode)
{
	struct branch_cache *cache = &space->branches[space->branches_victim];
	const uint32_t key = mode & (MODE_KEYS - 1);
	const bool fresh = !(space->modes_used[key / 32] >> key % 32 & 1);

	assert(mode_is_whole(mode) && !branch_cache_find(space, mode));
	if (fresh) {
		places_limit(space);
		space->places_made++;
	}
	space->branches_victim = (space->branches_victim + 1) % SPACE_BRANCH_CACHES;
	space->modes_used[key / 32] |= 1u << key % 32;
	*cache = (struct branch_cache){
		.mode = key,
		.written = fresh ? 0 : (uint32_t)(1ull << BRANCH_CACHE_BYTES / HOST_PAGE) - 1,
		.entries = (struct branch_entry *)((uint8_t *)space->links +
						   branch_cache_offset(mode)),
	};
	if (fresh)
		memory_make(cache->entries, BRANCH_CACHE_BYTES); /* entries are all over it soon */
	branches_clear(cache);
	return cache;
}

void link_patch_rel32(struct translator *tr, uint8_t *field, cache_pc target)
{
	cache_pc end = (uintptr_t)(field - tr->write_base) + tr->exec_base + 4;
	uint32_t rel = target - end;

	assert(end > tr->exec_base && end <= tr->exec_base + tr->size);
	assert(translator_contains(tr, target));
	memcpy(field, &rel, 4);
}

uint32_t link_new_exit(struct translator *tr, gva_t target, enum exit_form form)
{
	uint32_t exit = tr->nexits++;

	assert(exit < EXIT_MAX && tr->nslots < EXIT_MAX);
	tr->exits[exit] = (struct tu_exit){ .target = target,
					    .form = form,
					    .slot = form == EXIT_TABLE ? tr->nslots++ : 0 };
	return exit;
}

gva_t translator_exit_target(const struct translator *tr, uint32_t exit)
{
	assert(exit < tr->nexits);
	return tr->exits[exit].target;
}

uint32_t translator_exit_taken(const struct cpu *cpu)
{
	return rf_container_of(cpu, const struct tc_cpu, cpu)->tcw.exit;
}

/*
 * An exit that must not be linked asks the branch cache: rewrite its cold path (mov r9d, exit; jmp
 * link).
 */
static void link_make_indirect(struct translator *tr, struct tu_exit *exit)
{
	struct emitter e = {
		.p = tr->write_base + (exit->cold - tr->exec_base),
		.exec_delta = (intptr_t)tr->exec_base - (intptr_t)tr->write_base,
	};

	e.limit = e.p + 11;
	emit_mov32_imm(&e, H_R8, mode_lookup(tr, exit->tu->mode, exit->target));
	emit_jmp(&e, tr->stub_lookup);
	assert(e.p == e.limit && !e.overflow); /* as long as what was there */
	tr->stats.links_indirect++;
	verify_or_abort(tr, exit->tu);
}

static bool link_direct_allowed(const struct tu_exit *exit, const struct tu *tu)
{
	if (exit->tu->global && tu->global)
		return true;
	return gpa_is_none(tu->gpa2) &&
	       gpa_frame(tu->gpa) == gpa_frame(exit->tu->gpa) &&
	       tu->eip >> GUEST_PAGE_SHIFT == exit->tu->eip >> GUEST_PAGE_SHIFT;
}

static int incoming_compare(const void *a, const void *b)
{
	const uint32_t x = ((const struct tu_incoming *)a)->exit,
		       y = ((const struct tu_incoming *)b)->exit;

	return (x > y) - (x < y);
}

/* An exit that leads to several TUs in turn, in different spaces, is noted with each every time. */
static void incoming_drop_doubles(struct tu *tu)
{
	struct tu_incoming *list = tu->incoming;
	uint32_t kept = 0;

	qsort(list, tu->nincoming, sizeof(*list), incoming_compare);
	for (uint32_t i = 0; i < tu->nincoming; i++) {
		if (!kept || list[i].exit != list[kept - 1].exit)
			list[kept++] = list[i];
	}
	tu->nincoming = kept;
}

static bool incoming_is_full(const struct tu *tu)
{
	const uint32_t n = tu->nincoming;

	return !n || (n >= 4 && !(n & (n - 1)));
}

/* Makes room when the number of entries is a power of two from 4, or zero. */
static bool incoming_grow(struct tu *tu)
{
	struct tu_incoming *grown;
	uint32_t n;

	if (!incoming_is_full(tu))
		return true;
	if (tu->nincoming)
		incoming_drop_doubles(tu);
	if (!incoming_is_full(tu))
		return true;
	n = tu->nincoming;
	grown = realloc(tu->incoming, (n ? 2 * n : 4) * sizeof(*grown));
	if (!grown)
		return false;
	tu->incoming = grown;
	return true;
}

static void global_links_add(struct translator *tr, struct tu *tu)
{
	struct tu **list = &tr->global_links[tu->eip >> GUEST_PAGE_SHIFT];

	if (!tu->global || tu->in_global_links)
		return;
	tu->in_global_links = true;
	tu->global_links_next = *list;
	*list = tu;
}

static bool link_note(struct translator *tr, struct tu *tu, uint32_t number)
{
	struct tu_exit *exit = &tr->exits[number];

	if (exit->noted == tu)
		return true;
	if (!incoming_grow(tu))
		return false;
	exit->noted = tu;
	tu->incoming[tu->nincoming++] =
		(struct tu_incoming){ number, exit->form == EXIT_TABLE ? exit->slot : NO_SLOT };
	global_links_add(tr, tu);
	return true;
}

void translator_link(struct translator *tr, struct tc_space *space, uint32_t number, struct tu *tu)
{
	struct tu_exit *exit = &tr->exits[number];

	if (tr->opt.no_links || number >= tr->nexits || !exit->tu || !tu->valid ||
	    exit->tu->mode != tu->mode || exit->target != tu->eip)
		return;
	if (exit->form == EXIT_TABLE) {
		if (link_note(tr, tu, number)) {
			link_set(space, exit->slot, tu->entry);
			tr->stats.links_table++;
		}
	} else if (!link_direct_allowed(exit, tu)) {
		link_make_indirect(tr, exit);
	} else if (link_note(tr, tu, number)) {
		link_patch_rel32(tr, exit->patch, tu->entry);
		tr->stats.links_direct++;
		verify_or_abort(tr, exit->tu);
	}
}

static void cache_fill(struct translator *tr, struct branch_cache *cache, const struct tu *tu)
{
	const uint32_t lookup = mode_lookup(tr, tu->mode, tu->eip);

	branch_set(cache, lookup & (BRANCH_CACHE_ENTRIES - 1),
		   (struct branch_entry){ .negated_eip = -lookup, .host = tu->entry });
	tr->stats.branch_cache_fills++;
}

void translator_cache_branch(struct translator *tr, struct tc_space *space, struct tu *tu)
{
	struct branch_cache *cache = branch_cache_find(space, tu->mode);

	assert(tu->valid);
	if (!tr->opt.no_links && cache)
		cache_fill(tr, cache, tu);
}

/* The links to tu, and its entry in the branch cache, in one space. */
static void space_forget_tu(const struct translator *tr, struct tc_space *space,
			    const struct tu *tu)
{
	const uint32_t index = mode_lookup(tr, tu->mode, tu->eip) & (BRANCH_CACHE_ENTRIES - 1);
	struct branch_cache *cache = branch_cache_find(space, tu->mode);

	for (uint32_t i = 0; i < tu->nincoming; i++) {
		const uint32_t slot = tu->incoming[i].slot;

		if (slot != NO_SLOT && space->links[slot] == tu->entry)
			space->links[slot] = tr->link_template[slot];
	}
	if (cache && cache->entries[index].host == tu->entry)
		branch_set(cache, index,
			   (struct branch_entry){ .negated_eip = BRANCH_CACHE_NONE(index) });
}

/* Leads every way to tu back to the dispatcher. */
void link_forget_tu(struct translator *tr, struct tu *tu)
{
	for (uint32_t i = 0; i < tu->nincoming; i++) {
		struct tu_exit *exit = &tr->exits[tu->incoming[i].exit];

		if (exit->form == EXIT_DIRECT && exit->tu) {
			link_patch_rel32(tr, exit->patch, exit->cold);
			verify_or_abort(tr, exit->tu);
		}
		if (exit->noted == tu)
			exit->noted = NULL;
	}
	for (struct tc_space *s = tr->spaces; s; s = s->next) {
		if (!s->stale)
			space_forget_tu(tr, s, tu);
	}
	free(tu->incoming);
	tu->incoming = NULL;
	tu->nincoming = 0;
}

/*
 * That this space maps tu's linear page to tu's guest page has just been found out, and holds for
 * every TU of both: what other spaces have linked to them is linked here at once. Spares a new
 * process a trip to the dispatcher for each link.
 */
void link_install_page(struct translator *tr, struct tc_space *space, const struct tu *tu)
{
	const uint32_t number = tu->eip >> GUEST_PAGE_SHIFT, tag = number << 1 | 1;
	uint32_t *installed = &space->installed[number % SPACE_PAGES];
	struct branch_cache *cache;

	assert(tu->valid && tu_is_installed(tu));
	if (*installed == tag || tr->opt.no_links)
		return;
	*installed = tag;
	cache = branch_cache_find(space, tu->mode);
	for (const struct tu *t = *tu_mapped(tr, tu); t; t = t->mapped_next) {
		if (t->eip >> GUEST_PAGE_SHIFT != number ||
		    gpa_frame(t->gpa) != gpa_frame(tu->gpa) ||
		    t->mode != tu->mode)
			continue;
		for (uint32_t i = 0; i < t->nincoming; i++) {
			if (t->incoming[i].slot != NO_SLOT)
				link_set(space, t->incoming[i].slot, t->entry);
		}
		if (cache)
			cache_fill(tr, cache, t);
	}
}

static void link_forget_global_page(struct translator *tr, uint32_t number)
{
	struct tu **list = &tr->global_links[number];

	while (*list) {
		struct tu *tu = *list;

		assert(tu->global && tu->in_global_links && tu->eip >> GUEST_PAGE_SHIFT == number);
		*list = tu->global_links_next;
		tu->in_global_links = false;
		link_forget_tu(tr, tu);
	}
}

void translator_mapping_changed(struct translator *tr, struct tc_space *space, gva_t gva)
{
	const uint32_t number = gva >> GUEST_PAGE_SHIFT;

	tr->stats.mapping_changes++;
	for (struct tc_space *s = tr->spaces; s; s = s->next) {
		if (!space || s == space)
			s->stale = true;
	}
	if (space) /* its link table and branch caches are all that led by this mapping */
		return;
	link_forget_global_page(tr, number);
	if (number) /* an instruction may begin on the page before */
		link_forget_global_page(tr, number - 1);
}
