/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Translation units: finding them by guest address, by guest page and by host address; dropping
 * them.
 *
 * A TU is keyed by (linear EIP, physical address, mode): processes that run the same binary share
 * its TUs, and a page mapped elsewhere finds none of its old ones. The memory of dropped TUs is
 * used again only after a flush of the whole cache, which happens in the dispatcher, where no
 * translated code is active.
 */
#include <assert.h>
#include <stdlib.h>
#include "tu.h"

static uint32_t tu_hash(gva_t eip, gpa_t gpa, uint32_t mode)
{
	uint64_t h = (eip * 0x9e3779b97f4a7c15ull) ^
		     (gpa_frame(gpa) * 0xc2b2ae3d27d4eb4full) ^
		     mode * 0x165667b19e3779f9ull;

	return (h ^ h >> 32) >> 8 & ((1u << TU_HASH_BITS) - 1);
}

static struct code_page *page_get(struct translator *tr, gpa_t page)
{
	struct code_page *p = code_page_find(tr, page),
			 **slot = &tr->pages[gpa_frame(page) % PAGE_HASH_SIZE];

	if (p)
		return p;
	p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	p->page = page;
	p->next = *slot;
	*slot = p;
	return p;
}

static bool tu_crosses(const struct tu *tu)
{
	return !gpa_is_none(tu->gpa2);
}

/*
 * What is mapped globally has direct links. What crosses a page end needs both of its pages where
 * they were.
 */
bool tu_is_installed(const struct tu *tu)
{
	return !tu->global && !tu_crosses(tu);
}

struct tu **tu_mapped(struct translator *tr, const struct tu *tu)
{
	return &tr->mapped[tu_hash(tu->eip & GUEST_PAGE_MASK, gpa_page(tu->gpa), 0)];
}

struct tu **tu_bucket(struct translator *tr, const struct tu *tu)
{
	return &tr->hash[tu_hash(tu->eip, tu->gpa, tu->mode)];
}

/* What of its code lies in the page it begins in. */
static uint32_t tu_first_len(const struct tu *tu)
{
	return tu_crosses(tu) ? GUEST_PAGE_SIZE - gpa_offset(tu->gpa) : tu->guest_len;
}

struct tu *tu_insert(struct translator *tr, struct tu *tu)
{
	struct tu **bucket = tu_bucket(tr, tu);
	struct code_page *p = page_get(tr, gpa_page(tu->gpa)),
			 *p2 = tu_crosses(tu) ? page_get(tr, tu->gpa2) : NULL;

	assert(!tu->valid);
	/* tu_by_host() halves a list in order */
	assert(!tr->norder || tr->order[tr->norder - 1]->entry < tu->entry);
	if (tr->norder == tr->order_cap) {
		uint32_t cap = tr->order_cap ? tr->order_cap * 2 : 4096;
		struct tu **order = realloc(tr->order, cap * sizeof(*order));

		if (!order)
			return NULL;
		tr->order = order;
		tr->order_cap = cap;
	}
	if (!p || (tu_crosses(tu) && !p2))
		return NULL;
	if (!p->tus && !p->tus2)
		tr->cb.protect(tr->cb.opaque, p->page);
	if (p2 && !p2->tus && !p2->tus2)
		tr->cb.protect(tr->cb.opaque, p2->page);
	tu->hash_next = *bucket;
	*bucket = tu;
	tu->page_next = p->tus;
	p->tus = tu;
	code_lines_add(p, gpa_offset(tu->gpa), tu_first_len(tu));
	if (p2) {
		/* An undefined opcode may have been read across, and its first byte alone count. */
		if (tu->guest_len > tu_first_len(tu))
			code_lines_add(p2, 0, tu->guest_len - tu_first_len(tu));
		tu->page2_next = p2->tus2;
		p2->tus2 = tu;
	}
	if (tu_is_installed(tu)) {
		struct tu **mapped = tu_mapped(tr, tu);

		tu->mapped_next = *mapped;
		*mapped = tu;
	}
	tr->order[tr->norder++] = tu;
	tu->valid = true;
	return tu;
}

/*
 * Whether tu is what a translation of its code now would be: as global as its pages are, and the
 * part after the page end, if there is one, still mapped where it was translated from. global is
 * the first page's. To ask may drop tu: a fetch stores accessed bits.
 */
static bool tu_pages_match(struct translator *tr, const struct tu *tu, bool global)
{
	bool second;
	gpa_t gpa;

	if (!tu_crosses(tu))
		return tu->global == global;
	return tr->cb.fetch(tr->cb.opaque, (tu->eip & GUEST_PAGE_MASK) + GUEST_PAGE_SIZE, &gpa,
			    &second) &&
	       gpa_equal(gpa, tu->gpa2) && tu->global == (global && second);
}

struct tu *tu_lookup(struct translator *tr, gva_t eip, gpa_t gpa, uint32_t mode, bool global)
{
	struct tu *tu = tr->hash[tu_hash(eip, gpa, mode)];

	while (tu) {
		if (tu->eip == eip && gpa_equal(tu->gpa, gpa) && tu->mode == mode &&
		    tu_pages_match(tr, tu, global) && tu->valid)
			return tu;
		tu = tu->hash_next;
	}
	return NULL;
}

static void page_unlink(struct translator *tr, gpa_t page, struct tu *tu, bool second)
{
	struct code_page *p = code_page_find(tr, page);
	struct tu **at = second ? &p->tus2 : &p->tus;

	while (*at != tu) {
		assert(*at);
		at = second ? &(*at)->page2_next : &(*at)->page_next;
	}
	*at = second ? tu->page2_next : tu->page_next;
	if (p->tus || p->tus2)
		return;
	p->lines = 0;
	tr->cb.unprotect(tr->cb.opaque, page);
}

static void mapped_unlink(struct translator *tr, const struct tu *tu)
{
	struct tu **at = tu_mapped(tr, tu);

	while (*at != tu) {
		assert(*at);
		at = &(*at)->mapped_next;
	}
	*at = tu->mapped_next;
}

/*
 * The TU is unreachable afterwards, but its host code stays in place: a callout may still return
 * from it to leave.
 */
void tu_invalidate(struct translator *tr, struct tu *tu)
{
	struct tu **at = tu_bucket(tr, tu);

	assert(tu->valid);
	while (*at != tu) {
		assert(*at);
		at = &(*at)->hash_next;
	}
	*at = tu->hash_next;
	page_unlink(tr, gpa_page(tu->gpa), tu, false);
	if (tu_crosses(tu))
		page_unlink(tr, tu->gpa2, tu, true);
	if (tu_is_installed(tu))
		mapped_unlink(tr, tu);
	link_forget_tu(tr, tu);
	for (uint32_t i = 0; i < tu->nexits; i++)
		tr->exits[tu->first_exit + i].tu = NULL;
	tu->valid = false;
	tr->stats.tus_invalidated++;
}

static bool ranges_meet(gpa_t a, uint32_t a_len, gpa_t b, uint32_t b_len)
{
	return gpa_below(a, gpa_add(b, b_len)) && gpa_below(b, gpa_add(a, a_len));
}

static bool tu_overlaps(const struct tu *tu, gpa_t gpa, uint32_t len)
{
	const uint32_t first_len = tu_first_len(tu);

	if (tu_crosses(tu) && ranges_meet(gpa, len, tu->gpa2, tu->guest_len - first_len))
		return true;
	return ranges_meet(gpa, len, tu->gpa, first_len);
}

unsigned translator_invalidate(struct translator *tr, gpa_t gpa, uint32_t len)
{
	struct code_page *p = code_page_find(tr, gpa_page(gpa));
	unsigned n = 0;

	assert(len && len <= GUEST_PAGE_SIZE - gpa_offset(gpa));
	if (!p)
		return 0;
	for (struct tu *tu = p->tus, *next; tu; tu = next) {
		next = tu->page_next;
		if (tu_overlaps(tu, gpa, len)) {
			tu_invalidate(tr, tu);
			n++;
		}
	}
	for (struct tu *tu = p->tus2, *next; tu; tu = next) {
		next = tu->page2_next;
		if (tu_overlaps(tu, gpa, len)) {
			tu_invalidate(tr, tu);
			n++;
		}
	}
	return n;
}

void translator_drop(struct translator *tr, bool (*test)(void *opaque, gva_t gva, uint32_t len),
		     void *opaque)
{
	for (uint32_t i = 0; i < tr->norder; i++) {
		struct tu *tu = tr->order[i];

		if (tu->valid && test(opaque, tu->eip, tu->guest_len))
			tu_invalidate(tr, tu);
	}
}

/* The TU whose host code contains pc, valid or not. */
static struct tu *tu_by_host(const struct translator *tr, cache_pc pc)
{
	uint32_t low = 0, high = tr->norder;

	while (low < high) {
		uint32_t mid = (low + high) / 2;

		if (tr->order[mid]->entry <= pc)
			low = mid + 1;
		else
			high = mid;
	}
	if (!low || pc >= tr->order[low - 1]->entry + tr->order[low - 1]->host_len)
		return NULL;
	return tr->order[low - 1];
}

/*
 * Whether pc is a repeated string instruction: between two iterations the guest's registers say how
 * far it is (translate_string.c), so it may be left there. Stepping on to its end could take
 * seconds.
 */
static bool at_repeated_string(cache_pc pc)
{
	const uint8_t *code = (const uint8_t *)pc;

	code += *code == 0x66;
	return (*code == 0xf2 || *code == 0xf3) &&
	       ((code[1] >= 0xa4 && code[1] <= 0xa7) || (code[1] >= 0xaa && code[1] <= 0xaf));
}

bool translator_locate(const struct translator *tr, cache_pc pc, struct tc_position *position)
{
	/*
	 * A signal may have come while C code changes the list of TUs or frees them: only while the
	 * cache runs is that sound.
	 */
	struct tu *tu = translator_contains(tr, pc) ? tu_by_host(tr, pc) : NULL;
	uint32_t offset, i;
	bool repeats;

	if (!tu)
		return false;
	repeats = at_repeated_string(pc);
	offset = pc - tu->entry;
	for (i = tu->ninsns; i-- > 0;) {
		if (tu->insn[i].host_offset <= offset)
			break;
	}
	*position = (struct tc_position){
		.tu = tu,
		.eip = mode_eip(tr, tu->mode, tu->eip + tu->insn[i].guest_offset),
		.gpa = gpa_add(tu->gpa, tu->insn[i].guest_offset),
		.adapt = tu->insn[i].adapt,
		.esp_delta = tu->insn[i].esp_delta,
		.boundary = (tu->insn[i].host_offset == offset || repeats) && !tu->insn[i].shadow,
		.repeats = repeats,
		.shadow = tu->insn[i].shadow,
		.x87_site = tu->insn[i].x87 ? tu->first_x87_site + tu->insn[i].x87 : 0,
	};
	return true;
}

bool translator_contains(const struct translator *tr, cache_pc pc)
{
	return pc >= tr->exec_base && pc < tr->exec_base + tr->size;
}

/* --- description --- */

struct tu_description translator_tu_describe(const struct tu *tu)
{
	return (struct tu_description){
		.eip = tu->eip, .gpa = tu->gpa, .gpa2 = tu->gpa2, .mode = tu->mode,
		.global = tu->global, .guest_len = tu->guest_len, .ninsns = tu->ninsns,
		.entry = tu->entry, .host_len = tu->host_len, .body_len = tu->body_len,
	};
}

struct tu_insn_description translator_tu_insn(const struct tu *tu, unsigned i)
{
	const struct tu_insn *insn = &tu->insn[i];
	const bool last = i + 1 == tu->ninsns;

	assert(i < tu->ninsns);
	return (struct tu_insn_description){
		.guest_offset = insn->guest_offset, .host_offset = insn->host_offset,
		.adapt = insn->adapt,
		.guest_len = (last ? tu->guest_len : insn[1].guest_offset) - insn->guest_offset,
		.host_len = (last ? tu->body_len : insn[1].host_offset) - insn->host_offset,
	};
}
