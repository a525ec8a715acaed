/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The verifier against damaged translations: what the translator makes passes; with any of the
 * damages below it is refused, by the rule that the damage breaks. test_verify_mutants.c has damage
 * by chance.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "translator/decode.h"
#include "verify_damages.h"

static struct vf *vf;
static uint32_t host;

TestSuite(verify, .timeout = 300);

/* The forms that a host with BMI2 gets, and those of one without. */
static void on_each_host(void (*test)(void))
{
	static const uint32_t hosts[] = { HOST_BMI2, 0 };

	for (unsigned i = 0; i < RF_ARRAY_SIZE(hosts); i++) {
		host = hosts[i];
		vf = vf_create(false, host);
		test();
		vf_destroy(vf);
	}
}

/* What follows is run for each kind of host. */
#define TEST_ON_HOSTS(name) \
	static void name(void); \
	Test(verify, name) \
	{ \
		on_each_host(name); \
	} \
	static void name(void)

static const struct verify_failure *verify(const struct tu *tu)
{
	return verify_tu(vf->verifier, vf->tr, tu);
}

static void expect_accepted(const struct tu *tu, const char *what)
{
	const struct verify_failure *f = verify(tu);

	if (f) /* an assertion costs more than the verification */
		cr_expect_fail("%s: %s at %u (%s): %s", what, verify_rule_text(f->rule), f->offset,
			       f->text, f->why);
}

static void expect_refused(const struct tu *tu, const char *what, enum verify_rule rule)
{
	const struct verify_failure *f = verify(tu);

	cr_expect_not_null(f, "%s: accepted", what);
	if (f)
		cr_expect_eq(f->rule, rule, "%s: refused by \"%s\" at %u (%s: %s), not by \"%s\"",
			     what, verify_rule_text(f->rule), f->offset, f->text, f->why,
			     verify_rule_text(rule));
}

/* --- what is undamaged --- */

static void expect_all_accepted(const struct vf_case *cases, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		for (unsigned global = 0; global < 2; global++) {
			vf->global = global;
			expect_accepted(vf_translate(vf, &cases[i]), cases[i].name);
		}
	}
}

TEST_ON_HOSTS(what_the_translator_makes_is_accepted)
{
	expect_all_accepted(vf_cases, vf_ncases);
	expect_all_accepted(vf_cases16, vf_ncases16);
}

/* In every mode and adaptation, whatever that makes of the code. */
TEST_ON_HOSTS(modes_and_adaptations)
{
	for (unsigned i = 0; i < vf_ncases; i++) {
		for (uint32_t mode = 0; mode < 0x200; mode++) {
			struct vf_case c = vf_cases[i];

			c.mode = mode;
			vf->tr->opt.soft_views = (i ^ mode >> 3) & 1;
			c.adapt = (i + mode) &
				  (ADAPT_INTERPRET | ADAPT_DUAL | ADAPT_SOFT | ADAPT_EXACT);
			expect_accepted(vf_translate(vf, &c), c.name);
		}
	}
}

static const uint8_t escapes[4][2] = { { 0 }, { 0x0f }, { 0x0f, 0x38 }, { 0x0f, 0x3a } };

static bool is_prefix_or_escape(unsigned map, uint8_t opcode)
{
	if (map == 1)
		return opcode == 0x38 || opcode == 0x3a;
	return !map && ((opcode & 0xe7) == 0x26 || (opcode >= 0x64 && opcode <= 0x67) ||
			opcode == 0xf0 || opcode == 0xf2 || opcode == 0xf3 || opcode == 0x0f);
}

/*
 * Puts instructions with all values of ModRM from first on into the page, as many as fit; returns
 * the first that did not. *used: bytes.
 */
static unsigned fill_page(const uint8_t *prefixes, unsigned map, uint8_t opcode, unsigned first,
			  uint8_t tail, unsigned *used)
{
	unsigned at = 0, modrm = first;

	memset(vf->page, 0xc3, sizeof(vf->page));
	for (; modrm < 256 && at < sizeof(vf->page) - 32; modrm++) {
		for (unsigned i = 0; i < 2 && prefixes[i]; i++)
			vf->page[at++] = prefixes[i];
		for (unsigned i = 0; i < 2 && escapes[map][i]; i++)
			vf->page[at++] = escapes[map][i];
		vf->page[at++] = opcode;
		vf->page[at++] = modrm;
		memset(vf->page + at, tail, 6);
		at += 6;
	}
	*used = at;
	return modrm;
}

static unsigned verify_page(uint32_t mode, unsigned used, const char *what)
{
	unsigned units = 0;

	for (unsigned at = 0; at < used; units++) {
		const struct tu *tu;

		if (vf->tr->size - vf->tr->used < 4 * TU_MAX_HOST_BYTES)
			translator_flush(vf->tr);
		tu = vf_find_tu(vf, VF_PAGE + at, mode);
		expect_accepted(tu, what);
		at += tu->guest_len;
	}
	translator_flush(vf->tr);
	return units;
}

/* Every opcode with every ModRM byte, with prefixes, in each way to reach memory. */
TEST_ON_HOSTS(every_opcode)
{
	static const uint8_t prefixes[][2] = { { 0 }, { 0x66 }, { 0xf3 }, { 0x64, 0xf2 } };
	static const uint32_t adapts[] = { 0, ADAPT_DUAL, ADAPT_SOFT, ADAPT_EXACT };
	unsigned units = 0;

	for (unsigned p = 0; p < RF_ARRAY_SIZE(prefixes); p++) {
		for (uint32_t at = 0; at < GUEST_PAGE_SIZE; at++) {
			translator_unadapt(vf->tr, GPA(VF_PAGE + at), ~0u);
			if (adapts[p])
				translator_adapt(vf->tr, GPA(VF_PAGE + at), adapts[p]);
		}
		for (unsigned map = 0; map < 4; map++)
		for (unsigned opcode = 0; opcode < 256; opcode++) {
			char what[64];

			if (is_prefix_or_escape(map, opcode))
				continue;
			snprintf(what, sizeof(what), "prefix %02x %02x, map %u, opcode %02x",
				prefixes[p][0], prefixes[p][1], map, opcode);
			for (unsigned modrm = 0; modrm < 256;) {
				unsigned used;

				modrm = fill_page(prefixes[p], map, opcode, modrm, (p + opcode) & 7,
					&used);
				units += verify_page(p & 1 ? VF_FLAT | 3 : VF_FLAT, used, what);
			}
		}
	}
	cr_expect_gt(units, 100000, "%u units", units);
}

/* --- damage by the tables --- */

static struct vf_insn list[VF_MAX_INSNS];
static unsigned ninsns;

static int find_insn(const char *text, unsigned nth)
{
	for (unsigned i = 0; i < ninsns; i++) {
		if (!strncmp(list[i].text, text, strlen(text)) && !nth--)
			return i;
	}
	return -1;
}

static void apply(uint8_t *at, const struct damage *d, const struct vf_insn *insn)
{
	const unsigned len = insn->len;
	uint8_t copy[2 * INSN_MAX_LEN];

	switch (d->kind) {
	case REPLACE: case DELETE:
		cr_assert_leq(d->len, len, "%s: no room", d->what);
		memset(at, 0x90, len);
		memcpy(at, d->bytes, d->len);
		break;
	case DROP:
		memmove(at + d->index, at + d->index + 1, len - d->index - 1);
		at[len - 1] = 0x90;
		break;
	case FLIP:
		at[d->index < 0 ? (int)len + d->index : d->index] ^= d->mask;
		break;
	case SWAP:
		memcpy(copy, at + len, insn[1].len);
		memcpy(copy + insn[1].len, at, len);
		memcpy(at, copy, len + insn[1].len);
		break;
	}
}

/* The damage is there, and (but where that is its point) still makes instructions. */
static void check_damage(const struct damage *d, const uint8_t *before, const uint8_t *at,
			 const struct vf_insn *insn)
{
	char text[96];

	cr_expect_neq(memcmp(before, at, insn->len), 0, "%s, %s: nothing is damaged", d->in,
		      d->what);
	if (d->rule != VERIFY_BYTES)
		cr_expect_neq(disasm_format(vf->disasm, DISASM_64, at, INSN_MAX_LEN, 0, text,
					    sizeof(text)),
			      0, "%s, %s: no instruction", d->in, d->what);
}

static void apply_damage(const struct damage *d)
{
	struct tu *tu = vf_translate(vf, vf_find(d->in));
	uint8_t *code = vf_host(vf, tu), before[TU_MAX_HOST_BYTES];
	char what[160];
	int i;

	snprintf(what, sizeof(what), "%s: %s", d->in, d->what);
	ninsns = vf_listing(vf, tu, list);
	i = find_insn(d->at, d->nth);
	cr_assert_neq(i, -1, "%s: there is no \"%s\"", what, d->at);
	memcpy(before, code, tu->host_len);
	apply(code + list[i].offset, d, &list[i]);
	check_damage(d, before + list[i].offset, code + list[i].offset, &list[i]);
	expect_refused(tu, what, d->rule);
	memcpy(code, before, tu->host_len);
	expect_accepted(tu, what);
}

TEST_ON_HOSTS(damage)
{
	cr_assert_geq(vf_ndamages, 50);
	for (unsigned i = 0; i < vf_ndamages; i++) {
		if (vf_damages[i].host != (host & HOST_BMI2 ? WITHOUT_BMI2 : WITH_BMI2))
			apply_damage(&vf_damages[i]);
	}
}

TEST_ON_HOSTS(foreign_instructions)
{
	for (unsigned i = 0; i < vf_nforeign; i++)
		apply_damage(&vf_foreign[i]);
}

/* --- damage beside the code --- */

TEST_ON_HOSTS(places)
{
	struct tu *tu = vf_translate(vf, vf_find("call"));
	const uint32_t host_len = tu->host_len, body_len = tu->body_len;

	tu->host_len--;
	expect_refused(tu, "a unit cut off in its last instruction", VERIFY_BYTES);
	tu->host_len = body_len + 6;
	expect_refused(tu, "a unit cut off behind an instruction", VERIFY_FLOW);
	tu->host_len = host_len + 1;
	expect_refused(tu, "a unit with a byte behind it", VERIFY_BYTES);
	tu->host_len = host_len;
	tu->body_len -= 2;
	expect_refused(tu, "a body that ends in an instruction", VERIFY_BYTES);
	tu->body_len = 13 + 5; /* a push, LEA, CALL */
	expect_refused(tu, "a body that ends behind a call", VERIFY_FLOW);
	tu->body_len = host_len;
	expect_refused(tu, "a body that takes in the unlinked path", VERIFY_FLOW);
	tu->body_len = body_len;
	tu->insn[1].host_offset++;
	expect_refused(tu, "a guest instruction that starts in a host instruction", VERIFY_BYTES);
	tu->insn[1].host_offset -= 4;
	expect_refused(tu, "a guest instruction that starts in a sequence", VERIFY_REST);
	tu->insn[1].host_offset += 3;
	tu->entry -= vf->tr->used;
	expect_refused(tu, "a unit outside the cache", VERIFY_BYTES);
	tu->entry += vf->tr->used;
	expect_accepted(tu, "mended");
}

TEST_ON_HOSTS(modes)
{
	static const struct { const char *in; uint32_t clear, set; } wrong[] = {
		{ "fpu", MODE_FPU, 0 }, { "mmx", MODE_FPU, 0 }, { "sse", MODE_SSE, 0 },
		{ "rdtsc", MODE_TSC, 0 }, { "interrupt flag", 0, 3 }, { "flags", 0, 3 },
		{ "ring 0", 0, 3 },
	};

	for (unsigned i = 0; i < RF_ARRAY_SIZE(wrong); i++) {
		struct tu *tu = vf_translate(vf, vf_find(wrong[i].in));
		const uint32_t mode = tu->mode;

		tu->mode = (mode & ~wrong[i].clear) | wrong[i].set;
		expect_refused(tu, wrong[i].in, VERIFY_MODE);
		tu->mode = mode;
	}
}

/* Points the rel32 at offset of the TU to target. */
static void aim(struct tu *tu, uint32_t offset, cache_pc target)
{
	const uint32_t rel = target - (tu->entry + offset + 4); /* whatever is there */

	memcpy(vf_host(vf, tu) + offset, &rel, sizeof(rel));
}

static uint32_t insn_end(const char *text)
{
	const int i = find_insn(text, 0);

	cr_assert_neq(i, -1);
	return list[i].offset + list[i].len;
}

TEST_ON_HOSTS(stubs)
{
	struct tu *tu = vf_translate(vf, vf_find("interpreted"));
	struct translator *tr = vf->tr;
	const struct { const char *what; cache_pc target; enum verify_rule rule; } wrong[] = {
		{ "a callout to where C code enters", tr->stub_enter, VERIFY_BRANCH },
		{ "a callout to the way out", tr->stub_leave, VERIFY_BRANCH },
		{ "a callout to the link stub", tr->stub_link, VERIFY_BRANCH },
		{ "a callout to the look-up", tr->stub_lookup, VERIFY_BRANCH },
		{ "a callout to a missed look-up", tr->stub_lookup_miss, VERIFY_STUB },
		{ "a callout to a missed return", tr->stub_return_miss, VERIFY_STUB },
		{ "a callout to the sentinel", tr->stub_underflow, VERIFY_BRANCH },
		{ "a callout of another kind", tr->stub_callout[CALLOUT_INVLPG], VERIFY_MODE },
		{ "a far jump in 32-bit code", tr->stub_callout[CALLOUT_FAR_JUMP], VERIFY_MODE },
		{ "a far return to nowhere", tr->stub_callout[CALLOUT_FAR_RETURN], VERIFY_STUB },
		{ "a callout to the software TLB", tr->stub_soft[ACCESS_READ], VERIFY_STUB },
		{ "a callout to C", (uintptr_t)verify_tu, VERIFY_BRANCH },
		{ "a callout to its own unit", tu->entry, VERIFY_BRANCH },
		{ "ring 0's segment load", tr->stub_segment[X86_FS], VERIFY_MODE },
		{ "the middle of ring 0's segment load", tr->stub_segment[X86_FS] + 1,
			VERIFY_BRANCH },
	};
	uint32_t at;

	ninsns = vf_listing(vf, tu, list);
	at = insn_end("call") - 4;
	for (unsigned i = 0; i < RF_ARRAY_SIZE(wrong); i++) {
		aim(tu, at, wrong[i].target);
		expect_refused(tu, wrong[i].what, wrong[i].rule);
	}
	/* A store through the software TLB's table for loads. */
	tu = vf_translate(vf, vf_find("soft read-modify-write"));
	ninsns = vf_listing(vf, tu, list);
	aim(tu, insn_end("call") - 4, tr->stub_soft[ACCESS_READ]);
	expect_refused(tu, "a store looked up as a load", VERIFY_MEMORY);
}

/* Nothing in the soft mode may go to a window, whatever has been looked up. */
TEST_ON_HOSTS(soft_mode)
{
	const uint8_t in_window[4] = { 0x42, 0x8b, 0x04, 0x2b }; /* mov eax, [rbx + r13] */
	struct vf_case c = *vf_find("soft");
	struct tu *tu;
	int load;

	c.mode |= MODE_SOFT;
	c.adapt = 0;
	tu = vf_translate(vf, &c);
	ninsns = vf_listing(vf, tu, list);
	aim(tu, insn_end("call") - 4, vf->tr->stub_dual[ACCESS_READ]);
	expect_refused(tu, "a choice of windows", VERIFY_MODE);
	aim(tu, insn_end("call") - 4, vf->tr->stub_soft[ACCESS_READ]);
	expect_accepted(tu, "no choice");
	load = find_insn("mov eax, dword ptr [r9 + r10]", 0);
	cr_assert_neq(load, -1);
	memcpy(vf_host(vf, tu) + list[load].offset, in_window, sizeof(in_window));
	expect_refused(tu, "a window behind a look-up", VERIFY_MODE);
	c = *vf_find("strings");
	tu = vf_translate(vf, &c);
	expect_accepted(tu, "strings");
	tu->mode |= MODE_SOFT;
	expect_refused(tu, "strings in the soft mode", VERIFY_MODE);
	tu->mode &= ~MODE_SOFT;
}

/* Outside real and virtual-8086 mode a load looks at the descriptor. */
TEST_ON_HOSTS(segments_set_without_descriptors)
{
	struct tu *tu = vf_translate(vf, vf_find("16-bit segments"));

	expect_accepted(tu, "paragraphs");
	tu->mode &= ~MODE_PARAGRAPHS;
	expect_refused(tu, "paragraphs in protected mode", VERIFY_MODE);
	tu->mode |= MODE_PARAGRAPHS;
}

TEST_ON_HOSTS(direct_links)
{
	struct tu *tu = vf_translate(vf, vf_find("call")), *there, *other, *other_mode;
	struct tu_exit *exit = &vf->tr->exits[tu->first_exit];
	const uint32_t at = exit->patch - vf_host(vf, tu);

	there = vf_find_tu(vf, exit->target, tu->mode);
	other = vf_find_tu(vf, exit->target + 1, tu->mode);
	other_mode = vf_find_tu(vf, exit->target, tu->mode & ~MODE_ES_FLAT);
	aim(tu, at, there->entry);
	expect_accepted(tu, "linked");
	aim(tu, at, there->entry + 1);
	expect_refused(tu, "linked into a unit", VERIFY_BRANCH);
	aim(tu, at, other->entry);
	expect_refused(tu, "linked to another unit", VERIFY_BRANCH);
	aim(tu, at, other_mode->entry);
	expect_refused(tu, "linked to another mode", VERIFY_BRANCH);
	aim(tu, at, vf->tr->exec_base + vf->tr->used);
	expect_refused(tu, "linked to where no unit is", VERIFY_BRANCH);
	aim(tu, at, there->entry);
	there->valid = false;
	expect_refused(tu, "linked to a unit that was dropped", VERIFY_BRANCH);
	there->valid = true;
	there->eip += GUEST_PAGE_SIZE;
	exit->target += GUEST_PAGE_SIZE;
	expect_refused(tu, "linked directly across pages", VERIFY_BRANCH);
	there->eip -= GUEST_PAGE_SIZE;
	exit->target -= GUEST_PAGE_SIZE;
	aim(tu, at, exit->cold);
	expect_accepted(tu, "unlinked");
	exit->cold -= tu->host_len - tu->body_len + 1;
	expect_refused(tu, "an unlinked path in the body", VERIFY_FLOW);
}

/* What the translator itself does to units as it links and drops: it aborts if that is wrong. */
TEST_ON_HOSTS(links_come_and_go)
{
	struct vf *own = vf_create(true, host);
	struct tc_cpu *tc = aligned_alloc(64, (sizeof(*tc) + 63) & ~63ul);
	struct tu *tu, *there;
	struct tu_exit *exit;

	for (unsigned global = 0; global < 2; global++) {
		for (unsigned i = 0; i < 2; i++) {
			own->global = global;
			tu = vf_translate(own, vf_find(i ? "call far away" : "jcc"));
			translator_use_space(own->tr, &tc->cpu, own->space, tu->mode);
			for (unsigned e = 0; e < tu->nexits; e++) {
				exit = &own->tr->exits[tu->first_exit + e];
				there = vf_find_tu(own, exit->target, tu->mode);
				translator_link(own->tr, own->space, tu->first_exit + e, there);
				translator_cache_branch(own->tr, own->space, there);
				verify_tables_or_abort(own->tr);
				translator_invalidate(own->tr, GPA(exit->target), 1);
				verify_tables_or_abort(own->tr);
			}
		}
	}
	/* An exit that may not be linked after all becomes a look-up. */
	own->global = true;
	tu = vf_translate(own, vf_find("call far away"));
	own->global = false;
	there = vf_find_tu(own, own->tr->exits[tu->first_exit].target, tu->mode);
	translator_link(own->tr, own->space, tu->first_exit, there);
	cr_expect_eq(own->tr->stats.links_indirect, 1);
	cr_expect_gt(own->tr->stats.tus_verified, 10);
	free(tc);
	vf_destroy(own);
}

static void expect_tables(bool fine, const char *what)
{
	const struct verify_failure *f = verify_tables(vf->verifier, vf->tr);

	cr_expect_eq(!f, fine, "%s: %s", what, f ? f->why : "accepted");
	cr_expect(!f || f->rule == VERIFY_TABLE, "%s", what);
}

TEST_ON_HOSTS(tables)
{
	struct tc_cpu *tc = aligned_alloc(64, (sizeof(*tc) + 63) & ~63ul);
	struct tu *tu = vf_translate(vf, vf_find("call far away")), *there, *other;
	const struct tu_exit *exit = &vf->tr->exits[tu->first_exit];
	struct branch_entry *entry;

	translator_use_space(vf->tr, &tc->cpu, vf->space, tu->mode);
	there = vf_find_tu(vf, exit->target, tu->mode);
	other = vf_find_tu(vf, exit->target + 1, tu->mode);
	translator_link(vf->tr, vf->space, tu->first_exit, there);
	translator_cache_branch(vf->tr, vf->space, there);
	expect_tables(true, "linked");
	vf->space->links[exit->slot] = there->entry + 4;
	expect_tables(false, "a slot that leads into a unit");
	vf->space->links[exit->slot] = other->entry;
	expect_tables(false, "a slot that leads to another unit");
	vf->space->links[exit->slot] = 0;
	expect_tables(false, "an empty slot");
	vf->space->stale = true;
	expect_tables(true, "a table that is reset before it is used");
	vf->space->stale = false;
	vf->space->links[exit->slot] = vf->tr->link_template[exit->slot];
	expect_tables(true, "unlinked");
	entry = &branch_cache_find(vf->space,
		tu->mode)->entries[there->eip & (BRANCH_CACHE_ENTRIES - 1)];
	entry->host = other->entry;
	expect_tables(false, "an entry of another unit");
	entry->host = (uintptr_t)verify_tables;
	expect_tables(false, "an entry of no unit");
	entry->host = there->entry;
	there->mode ^= MODE_DS_FLAT;
	expect_tables(false, "an entry of another mode");
	there->mode ^= MODE_DS_FLAT;
	expect_tables(true, "mended");
	vf->tr->link_template[exit->slot] = tu->entry;
	expect_refused(tu, "a slot's unlinked state elsewhere", VERIFY_TABLE);
	free(tc);
}
