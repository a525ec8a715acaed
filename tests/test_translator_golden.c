/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The host code of guest instructions, byte for byte: the translator alone, with a page of guest
 * code and callbacks that do nothing. A change here is to be looked at as what it is, another
 * translation; that it means the same is shown elsewhere (test_bt_differential.c).
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "translator/disasm.h"
#include "translator_goldens.h"

#define PAGE 0x1000u

static uint8_t guest_page[GUEST_PAGE_SIZE];
static unsigned protects, unprotects;

static bool fetch(void *opaque, gva_t gva, gpa_t *gpa, bool *global)
{
	*gpa = GPA(gva);
	*global = false;
	return gva >> GUEST_PAGE_SHIFT == PAGE >> GUEST_PAGE_SHIFT;
}

static const uint8_t *page(void *opaque, gpa_t gpa)
{
	return guest_page;
}

static void protect(void *opaque, gpa_t gpa)
{
	protects++;
}

static void unprotect(void *opaque, gpa_t gpa)
{
	unprotects++;
}

static struct translator *translator(uint32_t host)
{
	const struct translator_callbacks callbacks = {
		.fetch = fetch, .page = page, .protect = protect, .unprotect = unprotect,
	};
	const struct translator_options options = {
		.features = ~(feature_set)0, .cache_size = 1 << 20, .host = host,
	};
	struct translator *tr;

	cr_assert_eq(translator_create(&callbacks, &options, &tr), 0);
	return tr;
}

static void describe(const uint8_t *bytes, unsigned len)
{
	struct disasm *disasm;

	cr_assert_eq(disasm_create(&disasm), 0);
	for (unsigned at = 0, n; at < len; at += n ? n : 1) {
		char text[96];

		n = disasm_format(disasm, DISASM_64, bytes + at, len - at, at, text, sizeof(text));
		fprintf(stderr, "    ");
		for (unsigned k = 0; k < (n ? n : 1); k++)
			fprintf(stderr, "0x%02x, ", bytes[at + k]);
		fprintf(stderr, " %s\n", text);
	}
	disasm_destroy(disasm);
}

static cache_pc stub_address(const struct translator *tr, enum stub stub)
{
	switch (stub) {
	case STUB_INTERPRET:   return tr->stub_callout[CALLOUT_INTEGER];
	case STUB_STORE:       return tr->stub_callout[CALLOUT_STORE];
	case STUB_PUSH_WORD:   return tr->stub_callout[CALLOUT_PUSH_WORD];
	case STUB_FAR_JUMP:    return tr->stub_callout[CALLOUT_FAR_JUMP];
	case STUB_INT:         return tr->stub_callout[CALLOUT_INT];
	case STUB_SOFT_READ:   return tr->stub_soft[ACCESS_READ];
	case STUB_SOFT_WRITE:  return tr->stub_soft[ACCESS_WRITE];
	case STUB_LOOKUP_MISS: return tr->stub_lookup_miss;
	default:               return 0;
	}
}

/* host: in the writable alias. */
static bool same(const struct translator *tr, const struct golden *g, const uint8_t *host,
		 unsigned len)
{
	const unsigned rel_len = g->stub == STUB_NONE ? 0 : 4, end = g->rel + rel_len;
	int32_t rel;

	if (len != g->host_len || len < end)
		return false;
	if (len && (memcmp(host, g->host, g->rel) || memcmp(host + end, g->host + end, len - end)))
		return false;
	if (!rel_len)
		return true;
	memcpy(&rel, host + g->rel, sizeof(rel));
	return tr->exec_base + (host + end - tr->write_base) + rel == stub_address(tr, g->stub);
}

/*
 * Where the golden's host code ends: where that of the next instruction begins, or with the unit.
 */
static uint32_t host_end(const struct tu *tu, const struct golden *g)
{
	for (unsigned i = 1; i < tu->ninsns; i++) {
		if (tu->insn[i].guest_offset == g->guest_len)
			return tu->insn[i].host_offset;
	}
	cr_expect_eq(tu->guest_len, g->guest_len, "%s: an instruction begins elsewhere", g->text);
	return tu->body_len;
}

/* The only one of 16-bit code, so that bases do not show. */
static const struct segment code16 = { .base = 0, .limit = 0xffff };

static void check(const struct golden *g, uint32_t host_features)
{
	struct translator *tr = translator(host_features);
	struct tc_space *space = tc_space_create(tr);
	const uint8_t *host;
	unsigned len;
	struct tu *tu;

	memset(guest_page, 0x90, sizeof(guest_page));
	memcpy(guest_page + 0x100, g->guest, g->guest_len);
	if (g->adapt)
		translator_adapt(tr, GPA(PAGE + 0x100), g->adapt);
	translator_learn_code_segment(tr, &code16);
	tu = translator_find(tr, space, PAGE + 0x100,
			     g->mode & MODE_CODE16 ?
				     g->mode | translator_code_segment(tr, &code16) :
				     g->mode);
	cr_assert_not_null(tu);
	host = tr->write_base + (tu->entry - tr->exec_base) + tu->insn[0].host_offset;
	len = host_end(tu, g) - tu->insn[0].host_offset;
	cr_expect(same(tr, g, host, len), "%s: other code, host features %#x", g->text,
		host_features);
	if (!same(tr, g, host, len)) {
		fprintf(stderr, "%s is\n", g->text);
		describe(host, len);
	}
	tc_space_destroy(tr, space);
	translator_destroy(tr);
}

Test(translator_golden, instructions)
{
	for (size_t i = 0; i < RF_ARRAY_SIZE(goldens); i++) {
		if (goldens[i].hosts != WITHOUT_BMI2)
			check(&goldens[i], HOST_BMI2);
		if (goldens[i].hosts != WITH_BMI2)
			check(&goldens[i], 0);
	}
}

/* The stubs, whose code is not listed here: none may use what the host lacks. */
Test(translator_golden, without_bmi2_nothing_of_it)
{
	struct translator *tr = translator(0);
	struct disasm *disasm;
	char text[96];

	cr_assert_eq(disasm_create(&disasm), 0);
	for (unsigned at = 0, n; at < tr->stubs_len; at += n ? n : 1) {
		n = disasm_format(disasm, DISASM_64, tr->write_base + at, tr->stubs_len - at, 0,
			text, sizeof(text));
		cr_expect(!strstr(text, "shlx") && !strstr(text, "shrx") && !strstr(text, "rorx") &&
			!strstr(text, "pext") &&
			  !strstr(text, "pdep"), "stub at %u: %s", at, text);
	}
	disasm_destroy(disasm);
	translator_destroy(tr);
}

/* Guest state can be told from any host address of a unit. */
Test(translator_golden, host_addresses_lead_back)
{
	/* add; push; mov; pusha; jmp . */
	static const uint8_t code[] = { 0x01, 0xd8, 0x50, 0x8b, 0x03, 0x60, 0xeb, 0xfe };
	static const unsigned starts[] = { 0, 2, 3, 5, 6 };
	struct translator *tr = translator(HOST_BMI2);
	struct tc_space *space = tc_space_create(tr);
	struct tu *tu;

	memset(guest_page, 0x90, sizeof(guest_page));
	memcpy(guest_page + 0x100, code, sizeof(code));
	tu = translator_find(tr, space, PAGE + 0x100, FLAT);
	cr_assert_not_null(tu);
	cr_assert_eq(tu->ninsns, 5);
	for (unsigned i = 0; i < 5; i++) {
		const uint32_t from = tu->insn[i].host_offset,
			       to = i < 4 ? tu->insn[i + 1].host_offset : from + 5;

		cr_expect_eq(tu->insn[i].guest_offset, starts[i]);
		for (uint32_t offset = from; offset < to; offset++) {
			struct tc_position at;

			cr_assert(translator_locate(tr, tu->entry + offset, &at));
			cr_expect_eq(at.eip, PAGE + 0x100 + starts[i]);
			cr_expect_eq(at.boundary, offset == from, "offset %u", offset);
		}
	}
	tc_space_destroy(tr, space);
	translator_destroy(tr);
}

/*
 * A store to a unit's bytes drops it, one beside them does not; a page without units is left alone.
 */
Test(translator_golden, stores_drop_what_they_hit)
{
	struct translator *tr = translator(HOST_BMI2);
	struct tc_space *space = tc_space_create(tr);
	struct tu *tu;

	memset(guest_page, 0x90, sizeof(guest_page));
	guest_page[0x110] = 0xc3;
	tu = translator_find(tr, space, PAGE + 0x100, FLAT);
	cr_assert_not_null(tu);
	cr_expect_eq(protects, 1);
	cr_expect_eq(translator_find(tr, space, PAGE + 0x100, FLAT), tu, "translated twice");
	cr_expect_neq(translator_find(tr, space, PAGE + 0x100, FLAT & ~MODE_DS_FLAT), tu,
		      "shared between modes");
	cr_expect_eq(translator_invalidate(tr, GPA(PAGE + 0xff), 1), 0);
	cr_expect_eq(translator_invalidate(tr, GPA(PAGE + 0x111), 4), 0);
	cr_expect_eq(unprotects, 0);
	cr_expect_eq(translator_invalidate(tr, GPA(PAGE + 0x110), 1), 2);
	cr_expect_eq(unprotects, 1);
	cr_expect_eq(translator_invalidate(tr, GPA(PAGE + 0x110), 1), 0);
	tu = translator_find(tr, space, PAGE + 0x100, FLAT);
	cr_expect_eq(protects, 2);
	tc_space_destroy(tr, space);
	translator_destroy(tr);
}
