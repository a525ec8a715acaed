/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What decides how an instruction is translated (mode, adaptation), what must never be copied, and
 * what a TU says of itself. Host code is looked at through Capstone; nothing is executed.
 * test_translator_golden.c has the forms themselves.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include "translator/disasm.h"
#include "translator/tu.h"

#define CODE_GVA 0xc0100000u
#define CODE_GPA 0x00100000u
#define FLAT (MODE_SS_FLAT | MODE_DS_FLAT | MODE_ES_FLAT | MODE_FPU | MODE_SSE | MODE_TSC)

static uint8_t page[GUEST_PAGE_SIZE];
static unsigned protects, unprotects;
static char listing[4096];
static struct tu_description logged;
static struct disasm *disasm;

static bool fetch(void *opaque, gva_t gva, gpa_t *gpa, bool *global)
{
	*gpa = GPA(gva - CODE_GVA + CODE_GPA);
	*global = false;
	return gva - CODE_GVA < GUEST_PAGE_SIZE;
}

static const uint8_t *code_page(void *opaque, gpa_t gpa)
{
	return page;
}

static void protect(void *opaque, gpa_t gpa)
{
	protects++;
}

static void unprotect(void *opaque, gpa_t gpa)
{
	unprotects++;
}

/*
 * The body, less the exit that a size cap adds, as "insn; insn | insn": a bar between guest
 * instructions.
 */
static void log_tu(void *opaque, const struct tu *tu, const uint8_t *guest, const uint8_t *host)
{
	const struct tu_description d = translator_tu_describe(tu);
	size_t used = 0;

	logged = d;
	listing[0] = 0;
	for (unsigned i = 0; i < d.ninsns; i++) {
		const struct tu_insn_description insn = translator_tu_insn(tu, i);

		for (unsigned at = 0, n; at < insn.host_len; at += n ? n : 1) {
			char text[128];
			cache_pc pc = d.entry + insn.host_offset + at;

			n = disasm_format(disasm, DISASM_64, host + insn.host_offset + at,
					  insn.host_len - at, pc, text, sizeof(text));
			used += snprintf(listing + used, sizeof(listing) - used, "%s%s",
					 at ? "; " :
					 i  ? " | " :
					      "",
					 text);
		}
	}
}

static struct translator *tr;
static struct tc_space *space;

static void setup_options(struct translator_options options)
{
	const struct translator_callbacks callbacks = {
		.fetch = fetch, .page = code_page, .protect = protect, .unprotect = unprotect,
		.log_tu = log_tu,
	};

	if (!options.features)
		options.features = ~(feature_set)0;
	cr_assert_eq(translator_create(&callbacks, &options, &tr), 0);
	space = tc_space_create(tr);
	cr_assert(space);
	cr_assert_eq(disasm_create(&disasm), 0);
	memset(page, 0xf4, sizeof(page)); /* HLT */
}

static void setup(void)
{
	setup_options((struct translator_options){ 0 });
}

static void teardown(void)
{
	translator_destroy(tr);
	disasm_destroy(disasm);
}

TestSuite(translation, .init = setup, .fini = teardown, .timeout = 120);

/* What guest bytes are translated to in mode. */
static const char *translate_bytes(const char *bytes, size_t len, uint32_t mode)
{
	memcpy(page, bytes, len);
	translator_flush(tr);
	cr_assert(translator_find(tr, space, CODE_GVA, mode));
	return listing;
}

/* The base's place in struct cpu is not what this is about. */
Test(translation, other_segments_add_their_base)
{
	const char *got = translate_bytes("\x64\x8b\x03", 3, FLAT);

	cr_expect(strstr(got, "mov r9, qword ptr [r15 - "), "%s", got);
	cr_expect(strstr(got, "mov r9d, dword ptr [r9]; lea r10d, [r9 + rbx]; mov eax, dword ptr "
			      "[r10 + r13]"),
		  "%s", got);
	got = translate_bytes("\x8b\x03", 2, FLAT & ~MODE_DS_FLAT);
	cr_expect(strstr(got, "lea r10d, [r9 + rbx]; mov eax, dword ptr [r10 + r13]"), "%s", got);
}

/*
 * Where the mode does not allow the copy, nothing of it is there: there is a call of the
 * interpreter.
 */
Test(translation, modes_are_heeded)
{
	cr_expect_null(strstr(translate_bytes("\xdd\x03", 2, FLAT & ~MODE_FPU), "fld"));
	cr_expect_null(strstr(translate_bytes("\x0f\x58\xc1", 3, FLAT & ~MODE_SSE), "addps"));
	cr_expect(strstr(translate_bytes("\x0f\x58\xc1", 3, FLAT), "addps"));
	cr_expect_null(strstr(translate_bytes("\x0f\x31", 2, FLAT & ~MODE_TSC), "rdtsc"));
	cr_expect_null(strstr(translate_bytes("\x55", 1, FLAT & ~MODE_SS_FLAT), "r13"));
}

/* F3 0F BD is what the guest's model has, whatever the host makes of these bytes. */
Test(translation, lzcnt_is_the_models)
{
	static const char lzcnt[] = "\xf3\x0f\xbd\xc3";
	const char *got = translate_bytes(lzcnt, 4, FLAT);

	cr_expect_null(strstr(got, "bsr"), "%s", got);
	cr_expect_null(strstr(got, "lzcnt"), "%s", got);
	teardown();
	setup_options((struct translator_options){ .host = HOST_LZCNT });
	got = translate_bytes(lzcnt, 4, FLAT);
	cr_expect(strstr(got, "lzcnt eax, ebx"), "%s", got);
	teardown();
	setup_options((struct translator_options){ .host = HOST_LZCNT, .features = FEATURE_486 });
	got = translate_bytes(lzcnt, 4, FLAT);
	cr_expect(strstr(got, "bsr eax, ebx"), "%s", got);
}

Test(translation, rdtscp_and_rdpid)
{
	const char *got = translate_bytes("\x0f\x01\xf9", 3, FLAT);

	cr_expect(strstr(got, "lfence; rdtsc; "), "%s", got);
	cr_expect(strstr(got, "mov ecx, dword ptr [r15 + "), "%s", got);
	cr_expect_null(strstr(translate_bytes("\x0f\x01\xf9", 3, FLAT & ~MODE_TSC), "rdtsc"));
	got = translate_bytes("\xf3\x0f\xc7\xff", 4, FLAT & ~MODE_TSC);
	cr_expect(strstr(got, "mov edi, dword ptr [r15 + "), "%s", got);
	got = translate_bytes("\xf3\x0f\xc7\xfc", 4, FLAT);
	cr_expect(strstr(got, "mov r14d, dword ptr [r15 + "), "%s", got);
}

/* Bytes that show or change what is the host's never get into the cache as they are. */
Test(translation, nothing_privileged_is_copied)
{
	static const char *const bytes[] = {
		"\xf4", "\xcd\x80", "\xcf", "\xec", "\xee", "\x0f\x05", "\x0f\x34", "\x0f\xa2",
		"\x0f\x22\xd8", "\x0f\x20\xc0", "\x8e\xe8", "\x0f\x01\x10",
	};
	static const char *const names[] = {
		"hlt", "int ", "iret", "in al", "out ", "syscall", "sysenter", "cpuid", "cr3",
		"cr0", "gs, ", "lgdt",
	};

	for (size_t i = 0; i < RF_ARRAY_SIZE(bytes); i++) {
		const char *got = translate_bytes(bytes[i], strlen(bytes[i]), FLAT);

		cr_expect_null(strstr(got, names[i]), "%s: %s", names[i], got);
	}
}

Test(translation, a_tu_describes_itself)
{
	translate_bytes("\x55\x89\xe5\x5d\xc3", 5, FLAT);
	cr_expect_eq(logged.eip, CODE_GVA);
	cr_expect_eq(logged.gpa.v, CODE_GPA);
	cr_expect(gpa_is_none(logged.gpa2));
	cr_expect_eq(logged.ninsns, 4);
	cr_expect_eq(logged.guest_len, 5);
	cr_expect_eq(logged.host_len, logged.body_len, "a RET has no exit");
	translate_bytes("\x74\x10\xeb\x20", 4, FLAT);
	cr_expect_eq(logged.ninsns, 2);
	cr_expect_gt(logged.host_len, logged.body_len, "two exits");
}

/* For a signal that came in C code, which may be freeing them. */
Test(translation, places_outside_the_cache_are_told_without_a_look_at_the_tus)
{
	struct tc_position at;
	struct tu **order;

	translate_bytes("\x90\xc3", 2, FLAT);
	cr_expect(translator_locate(tr, logged.entry, &at));
	cr_expect_eq(at.eip, CODE_GVA);
	order = tr->order;
	tr->order = NULL;
	cr_expect_not(translator_locate(tr, (uintptr_t)translate_bytes, &at));
	cr_expect_not(translator_locate(tr, tr->exec_base - 1, &at));
	cr_expect_not(translator_locate(tr, tr->exec_base + tr->size, &at));
	tr->order = order;
}

Test(translation, pages_with_code_are_protected_while_they_have_any)
{
	protects = unprotects = 0;
	translate_bytes("\x90\xc3", 2, FLAT);
	cr_expect_eq(protects, 1);
	cr_expect_eq(translator_invalidate(tr, GPA(CODE_GPA + 2), 8), 0, "behind its bytes");
	cr_expect_eq(unprotects, 0);
	cr_expect_eq(translator_invalidate(tr, GPA(CODE_GPA + 1), 1), 1);
	cr_expect_eq(unprotects, 1);
}

Test(translation, adaptation_changes_the_form)
{
	cr_expect(strstr(translate_bytes("\x8b\x03", 2, FLAT), "mov eax, dword ptr [rbx + r13]"),
		  "%s", listing);
	translator_adapt(tr, GPA(CODE_GPA), ADAPT_DUAL);
	cr_expect_null(strstr(translate_bytes("\x8b\x03", 2, FLAT), "r13"));
	cr_expect(strstr(listing, "mov eax, dword ptr [r9 + r10]"), "%s", listing);
	translator_adapt(tr, GPA(CODE_GPA), ADAPT_INTERPRET);
	cr_expect_null(strstr(translate_bytes("\x8b\x03", 2, FLAT), "mov eax, dword"), "%s",
		       listing);
}

/*
 * Adapts n instructions: number i is at i * 5, so their distances are no power of two, with the
 * bits of i % 7 + 1.
 */
static void adapt_many(uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		translator_adapt(tr, GPA(i * 5), i % 7 + 1);
}

Test(translation, each_of_many_adapted_instructions_is_known)
{
	adapt_many(50000);
	cr_expect_geq(1u << tr->adapts.bits, tr->adapts.count, "or chains grow long");
	translator_flush(tr);
	for (uint32_t i = 0; i < 50000; i++) {
		cr_assert_eq(adapt_lookup(tr, GPA(i * 5)), i % 7 + 1, "%u", i);
		cr_assert_eq(adapt_lookup(tr, GPA(i * 5 + 1)), 0, "%u", i);
	}
}

Test(translation, an_instruction_without_a_reason_is_forgotten)
{
	adapt_many(5000);
	cr_expect_eq(tr->adapts.count, 5000);
	for (uint32_t i = 0; i < 5000; i++)
		translator_unadapt(tr, GPA(i * 5), ADAPT_INTERPRET);
	for (uint32_t i = 0; i < 5000; i++)
		cr_assert_eq(adapt_lookup(tr, GPA(i * 5)), (i % 7 + 1) & ~ADAPT_INTERPRET, "%u", i);
	cr_expect_eq(tr->adapts.count, 5000 - 715, "those of ADAPT_INTERPRET alone");
	for (uint32_t i = 0; i < 5000; i++)
		translator_unadapt(tr, GPA(i * 5), ~0u);
	cr_expect_eq(tr->adapts.count, 0);
	translator_adapt(tr, GPA(CODE_GPA), ADAPT_DUAL);
	cr_expect_eq(adapt_lookup(tr, GPA(CODE_GPA)), ADAPT_DUAL);
}

/* As many as a guest likes to make. */
Test(translation, too_many_adapted_instructions_go_at_a_flush)
{
	adapt_many(200000);
	cr_expect_eq(tr->adapts.count, 200000);
	translator_flush(tr);
	cr_expect_eq(tr->adapts.count, 0);
	cr_expect_eq(adapt_lookup(tr, GPA(5)), 0);
	adapt_many(1);
	cr_expect_eq(adapt_lookup(tr, GPA(0)), 1);
}

/* A NOP of three bytes has no host code, but the TU has a note of it. */
Test(translation, what_describes_tus_is_bounded)
{
	uint64_t bytes, most = 0;

	teardown();
	setup_options((struct translator_options){ .cache_size = 256 << 10 });
	for (unsigned i = 0; i + 3 <= sizeof(page); i += 3)
		memcpy(page + i, "\x0f\x1f\0", 3);
	for (uint32_t mode = 0; mode < 8; mode++) {
		for (unsigned i = 0; i < 0x800; i += 3) {
			cr_assert(translator_find(tr, space, CODE_GVA + i,
						  FLAT ^ mode * MODE_SS_FLAT));
			bytes = 0;
			for (uint32_t t = 0; t < tr->norder; t++)
				bytes += sizeof(struct tu) +
					 tr->order[t]->ninsns * sizeof(struct tu_insn);
			most = bytes > most ? bytes : most;
		}
	}
	cr_expect_geq(most, 256 << 10, "nothing to bound");
	cr_expect_lt(most, 3 * (256 << 10), "%llu bytes", (unsigned long long)most);
}

Test(translation, size_cap)
{
	teardown();
	setup_options((struct translator_options){ .max_insns = 1 });
	translate_bytes("\x40\x41\x42", 3, FLAT);
	cr_expect_eq(logged.ninsns, 1);
	cr_expect_eq(logged.guest_len, 1);
	cr_expect(!strncmp(listing, "inc eax; jmp ", 13), "%s", listing);
}
