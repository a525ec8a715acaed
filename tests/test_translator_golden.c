/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The host code of single guest instructions, byte for byte: the translator alone, with a page of guest code and nobody behind the
 * callbacks. A change here is to be looked at as what it is, another translation; that it means the same is shown elsewhere
 * (test_bt_differential.c).
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "translator/disasm.h"
#include "translator/tu.h"

#define FLAT (MODE_SS_FLAT | MODE_DS_FLAT | MODE_ES_FLAT | MODE_FPU | MODE_SSE | MODE_TSC)
#define PAGE 0x1000u

static uint8_t guest_page[GUEST_PAGE_SIZE];
static unsigned protects, unprotects;

static bool fetch(void *opaque, gva_t gva, gpa_t *gpa, bool *global)
{
	*gpa = gva;
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

static struct translator *translator(void)
{
	const struct translator_callbacks callbacks = { .fetch = fetch, .page = page, .protect = protect, .unprotect = unprotect };
	const struct translator_options options = { .features = ~0u, .cache_size = 1 << 20 };
	struct translator *tr;

	cr_assert_eq(translator_create(&callbacks, &options, &tr), 0);
	return tr;
}

#define B(...) (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ })
/* Displacements into struct cpu. */
#define CPU8(field) (uint8_t)CPU_OFF(tcw.field)
#define CPU32(field) (uint8_t)CPU_OFF(tcw.field), (uint8_t)(CPU_OFF(tcw.field) >> 8), 0, 0

static const struct golden {
	const char *text;
	uint32_t mode, adapt;
	const uint8_t *guest;
	unsigned guest_len;
	const uint8_t *host;
	unsigned host_len;
} goldens[] = {
	{ "add eax, ebx", FLAT, 0, B(0x01, 0xd8),
	  B(0x01, 0xd8) }, /* add eax, ebx */
	{ "add esp, 8", FLAT, 0, B(0x83, 0xc4, 0x08),
	  B(0x41, 0x83, 0xc6, 0x08) }, /* add r14d, 8 */
	{ "mov eax, [ebx]", FLAT, 0, B(0x8b, 0x03),
	  B(0x65, 0x67, 0x8b, 0x03) }, /* mov eax, dword ptr gs:[ebx] */
	{ "mov eax, [esp + 4]", FLAT, 0, B(0x8b, 0x44, 0x24, 0x04),
	  B(0x65, 0x67, 0x41, 0x8b, 0x46, 0x04) }, /* mov eax, dword ptr gs:[r14d + 4] */
	{ "mov ah, [ebx]", FLAT, 0, B(0x8a, 0x23),
	  B(0x65, 0x67, 0x8a, 0x23) }, /* mov ah, byte ptr gs:[ebx] */
	{ "mov ah, [esp + 0x40]", FLAT, 0, B(0x8a, 0x64, 0x24, 0x40),
	  B(0x65, 0x67, 0x45, 0x8a, 0x46, 0x40, /* mov r8b, byte ptr gs:[r14d + 0x40] */
	    0x86, 0xe0, /* xchg al, ah */
	    0x41, 0x8a, 0xc0, /* mov al, r8b */
	    0x86, 0xe0) }, /* xchg al, ah */
	{ "mov [esp], bh", FLAT, 0, B(0x88, 0x3c, 0x24),
	  B(0x44, 0x8b, 0xc3, /* mov r8d, ebx */
	    0xc4, 0x43, 0x7b, 0xf0, 0xc0, 0x08, /* rorx r8d, r8d, 8 */
	    0x65, 0x67, 0x45, 0x88, 0x06) }, /* mov byte ptr gs:[r14d], r8b */
	{ "mov edi, cr2", FLAT, 0, B(0x0f, 0x20, 0xd7),
	  B(0x41, 0x8b, 0xbf, (uint8_t)CPU_OFF(cr2), (uint8_t)(CPU_OFF(cr2) >> 8), 0, 0) }, /* mov edi, dword ptr [r15 + cr2] */
	{ "mov [ebp + ecx*4 + 0x11223344], dx", FLAT, 0, B(0x66, 0x89, 0x94, 0x8d, 0x44, 0x33, 0x22, 0x11),
	  B(0x65, 0x67, 0x66, 0x89, 0x94, 0x8d, 0x44, 0x33, 0x22, 0x11) }, /* mov word ptr gs:[ebp + ecx*4 + 0x11223344], dx */
	{ "mov eax, [0x12345678]", FLAT, 0, B(0xa1, 0x78, 0x56, 0x34, 0x12),
	  B(0x65, 0x67, 0x8b, 0x04, 0x25, 0x78, 0x56, 0x34, 0x12) }, /* mov eax, dword ptr gs:[0x12345678] */
	{ "inc eax", FLAT, 0, B(0x40),
	  B(0xff, 0xc0) }, /* inc eax */
	{ "dec esp", FLAT, 0, B(0x4c),
	  B(0x41, 0xff, 0xce) }, /* dec r14d */
	{ "xchg eax, esp", FLAT, 0, B(0x94),
	  B(0x41, 0x96) }, /* xchg eax, r14d */
	{ "mov esp, 0x10", FLAT, 0, B(0xbc, 0x10, 0x00, 0x00, 0x00),
	  B(0x41, 0xbe, 0x10, 0x00, 0x00, 0x00) }, /* mov r14d, 0x10 */
	{ "push ecx", FLAT, 0, B(0x51),
	  B(0x65, 0x67, 0x41, 0x89, 0x4e, 0xfc) }, /* mov dword ptr gs:[r14d - 4], ecx; r14d follows later */
	{ "push esp", FLAT, 0, B(0x54),
	  B(0x65, 0x67, 0x45, 0x89, 0x76, 0xfc) }, /* mov dword ptr gs:[r14d - 4], r14d */
	{ "push 0x1234", FLAT, 0, B(0x68, 0x34, 0x12, 0x00, 0x00),
	  B(0x65, 0x67, 0x41, 0xc7, 0x46, 0xfc, 0x34, 0x12, 0x00, 0x00) }, /* mov dword ptr gs:[r14d - 4], 0x1234 */
	{ "pop edx", FLAT, 0, B(0x5a),
	  B(0x65, 0x67, 0x41, 0x8b, 0x16) }, /* mov edx, dword ptr gs:[r14d] */
	{ "pop esp", FLAT, 0, B(0x5c),
	  B(0x65, 0x67, 0x45, 0x8b, 0x36) }, /* mov r14d, dword ptr gs:[r14d] */
	{ "pop dword [esp + 4]", FLAT, 0, B(0x8f, 0x44, 0x24, 0x04),
	  B(0x65, 0x67, 0x45, 0x8b, 0x06, /* mov r8d, dword ptr gs:[r14d] */
	    0x65, 0x67, 0x45, 0x89, 0x46, 0x08) }, /* mov dword ptr gs:[r14d + 8], r8d */
	{ "leave", FLAT, 0, B(0xc9),
	  B(0x65, 0x67, 0x44, 0x8b, 0x45, 0x00, /* mov r8d, dword ptr gs:[ebp] */
	    0x44, 0x8d, 0x75, 0x04, /* lea r14d, [rbp + 4] */
	    0x41, 0x8b, 0xe8) }, /* mov ebp, r8d */
	{ "lea eax, [esp + esi*2]", FLAT, 0, B(0x8d, 0x04, 0x74),
	  B(0x41, 0x8d, 0x04, 0x76) }, /* lea eax, [r14 + rsi*2] */
	{ "lock cmpxchg8b [edi]", FLAT, 0, B(0xf0, 0x0f, 0xc7, 0x0f),
	  B(0x65, 0x67, 0xf0, 0x0f, 0xc7, 0x0f) }, /* lock cmpxchg8b qword ptr gs:[edi] */
	{ "rep movsd", FLAT, 0, B(0xf3, 0xa5),
	  B(0x4d, 0x8b, 0x4f, CPU8(window), /* mov r9, qword ptr [r15 + 0x48] */
	    0x4a, 0x8d, 0x34, 0x0e, /* lea rsi, [rsi + r9] */
	    0x4d, 0x8b, 0x4f, CPU8(window), /* mov r9, qword ptr [r15 + 0x48] */
	    0x4a, 0x8d, 0x3c, 0x0f, /* lea rdi, [rdi + r9] */
	    0xf3, 0xa5, /* rep movsd dword ptr [rdi], dword ptr [rsi] */
	    0x8b, 0xf6, /* mov esi, esi */
	    0x8b, 0xff) }, /* mov edi, edi */
	{ "stosb", FLAT, 0, B(0xaa),
	  B(0x4d, 0x8b, 0x4f, CPU8(window), /* mov r9, qword ptr [r15 + 0x48] */
	    0x4a, 0x8d, 0x3c, 0x0f, /* lea rdi, [rdi + r9] */
	    0xaa, /* stosb byte ptr [rdi], al */
	    0x8b, 0xff) }, /* mov edi, edi */
	{ "movaps xmm1, [eax]", FLAT, 0, B(0x0f, 0x28, 0x08),
	  B(0x65, 0x67, 0x0f, 0x28, 0x08) }, /* movaps xmm1, xmmword ptr gs:[eax] */
	{ "fld qword [esp]", FLAT, 0, B(0xdd, 0x04, 0x24),
	  B(0x65, 0x67, 0x41, 0xdd, 0x06) }, /* fld qword ptr gs:[r14d] */
	{ "movzx eax, byte [edx]", FLAT, 0, B(0x0f, 0xb6, 0x02),
	  B(0x65, 0x67, 0x0f, 0xb6, 0x02) }, /* movzx eax, byte ptr gs:[edx] */
	{ "bsf eax, ecx with a REP prefix", FLAT, 0, B(0xf3, 0x0f, 0xbc, 0xc1),
	  B(0x0f, 0xbc, 0xc1) }, /* bsf eax, ecx */
	{ "nop dword [eax]", FLAT, 0, B(0x0f, 0x1f, 0x00),
	  NULL, 0 },
	{ "mov eax, fs:[ebx + 8]", FLAT, 0, B(0x64, 0x8b, 0x43, 0x08),
	  B(0x4d, 0x8b, 0x4f, CPU8(seg_base[X86_FS]), /* mov r9, qword ptr [r15 + 0x70] */
	    0x45, 0x8b, 0x09, /* mov r9d, dword ptr [r9] */
	    0x65, 0x67, 0x41, 0x8b, 0x44, 0x19, 0x08) }, /* mov eax, dword ptr gs:[r9d + ebx + 8] */
	{ "mov eax, gs:[0x14]", FLAT, 0, B(0x65, 0xa1, 0x14, 0x00, 0x00, 0x00),
	  B(0x4d, 0x8b, 0x4f, CPU8(seg_base[X86_GS]), /* mov r9, qword ptr [r15 + 0x78] */
	    0x45, 0x8b, 0x09, /* mov r9d, dword ptr [r9] */
	    0x65, 0x67, 0x41, 0x8b, 0x41, 0x14) }, /* mov eax, dword ptr gs:[r9d + 0x14] */
	{ "mov eax, fs:[ebx + ecx*2]", FLAT, 0, B(0x64, 0x8b, 0x04, 0x4b),
	  B(0x4d, 0x8b, 0x4f, CPU8(seg_base[X86_FS]), /* mov r9, qword ptr [r15 + 0x70] */
	    0x45, 0x8b, 0x09, /* mov r9d, dword ptr [r9] */
	    0x44, 0x8d, 0x14, 0x4b, /* lea r10d, [rbx + rcx*2] */
	    0x65, 0x67, 0x43, 0x8b, 0x04, 0x11) }, /* mov eax, dword ptr gs:[r9d + r10d] */
	{ "mov eax, [ebx], DS not flat", FLAT & ~MODE_DS_FLAT, 0, B(0x8b, 0x03),
	  B(0x4d, 0x8b, 0x4f, CPU8(seg_base[X86_DS]), /* mov r9, qword ptr [r15 + 0x68] */
	    0x45, 0x8b, 0x09, /* mov r9d, dword ptr [r9] */
	    0x65, 0x67, 0x41, 0x8b, 0x04, 0x19) }, /* mov eax, dword ptr gs:[r9d + ebx] */
	{ "mov eax, [ebx], user memory from ring 0", FLAT, ADAPT_DUAL, B(0x8b, 0x03),
	  B(0x44, 0x8d, 0x13, /* lea r10d, [rbx] */
	    0x41, 0xb9, 0x1e, 0x00, 0x00, 0x00, /* mov r9d, 0x1e */
	    0xc4, 0x42, 0x33, 0xf7, 0xca, /* shrx r9d, r10d, r9d */
	    0x4f, 0x8b, 0x8c, 0xcf, CPU32(view_by_gib), /* mov r9, qword ptr [r15 + r9*8 + 0x80] */
	    0x43, 0x8b, 0x04, 0x11) }, /* mov eax, dword ptr [r9 + r10] */
	{ "mov [esp + 4], ecx, to a device", FLAT, ADAPT_INTERPRET, B(0x89, 0x4c, 0x24, 0x04),
	  B(0x45, 0x8d, 0x56, 0x04, /* lea r10d, [r14 + 4] */
	    0x44, 0x8b, 0xc9, /* mov r9d, ecx */
	    0x41, 0xb8, 0x00, 0x11, 0x00, 0x00, /* mov r8d, EIP */
	    0x41, 0xbb, 0x04, 0x11, 0x00, 0x00, /* mov r11d, EIP of the next */
	    0xe8, 0, 0, 0, 0) }, /* call stub_callout[CALLOUT_STORE] */
	{ "mov dword fs:[ebx], 7, to a device", FLAT, ADAPT_INTERPRET, B(0x64, 0xc7, 0x03, 0x07, 0x00, 0x00, 0x00),
	  B(0x44, 0x8d, 0x13, /* lea r10d, [rbx] */
	    0x4d, 0x8b, 0x4f, CPU8(seg_base[X86_FS]), /* mov r9, qword ptr [r15 + 0x70] */
	    0x45, 0x8b, 0x09, /* mov r9d, dword ptr [r9] */
	    0x47, 0x8d, 0x14, 0x11, /* lea r10d, [r9 + r10] */
	    0x41, 0xb9, 0x07, 0x00, 0x00, 0x00, /* mov r9d, 7 */
	    0x41, 0xb8, 0x00, 0x11, 0x00, 0x00, /* mov r8d, EIP */
	    0x41, 0xbb, 0x07, 0x11, 0x00, 0x00, /* mov r11d, EIP of the next */
	    0xe8, 0, 0, 0, 0) }, /* call stub_callout[CALLOUT_STORE] */
	{ "pause", FLAT, 0, B(0xf3, 0x90),
	  B(0xf3, 0x90) }, /* pause */
};

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

static bool same(const struct translator *tr, const struct golden *g, const uint8_t *host, unsigned len)
{
	static const uint8_t call[5] = { 0xe8 }; /* of the stub for stores */
	int32_t rel;

	if (len != g->host_len || len < sizeof(call) || memcmp(g->host + len - sizeof(call), call, sizeof(call)))
		return len == g->host_len && (!len || !memcmp(host, g->host, len));
	memcpy(&rel, host + len - 4, 4);
	return !memcmp(host, g->host, len - 4) &&
	       tr->exec_base + (host + len - tr->write_base) + rel == tr->stub_callout[CALLOUT_STORE];
}

static void check(const struct golden *g)
{
	struct translator *tr = translator();
	struct tc_space *space = tc_space_create(tr);
	const uint8_t *host;
	unsigned len;
	struct tu *tu;

	memset(guest_page, 0x90, sizeof(guest_page));
	memcpy(guest_page + 0x100, g->guest, g->guest_len);
	if (g->adapt)
		translator_adapt(tr, PAGE + 0x100, g->adapt);
	tu = translator_find(tr, space, PAGE + 0x100, g->mode);
	cr_assert_not_null(tu);
	cr_assert_gt(tu->ninsns, 1);
	cr_expect_eq(tu->insn[1].guest_offset, g->guest_len, "%s: not one instruction", g->text);
	host = tr->write_base + (tu->entry - tr->exec_base) + tu->insn[0].host_offset;
	len = tu->insn[1].host_offset - tu->insn[0].host_offset;
	cr_expect(same(tr, g, host, len), "%s: other code", g->text);
	if (!same(tr, g, host, len)) {
		fprintf(stderr, "%s is\n", g->text);
		describe(host, len);
	}
	tc_space_destroy(tr, space);
	translator_destroy(tr);
}

Test(translator_golden, single_instructions)
{
	for (size_t i = 0; i < RF_ARRAY_SIZE(goldens); i++)
		check(&goldens[i]);
}

/* Guest state can be told from any host address of a unit. */
Test(translator_golden, host_addresses_lead_back)
{
	static const uint8_t code[] = { 0x01, 0xd8, 0x50, 0x8b, 0x03, 0x60, 0xeb, 0xfe }; /* add; push; mov; pusha; jmp . */
	static const unsigned starts[] = { 0, 2, 3, 5, 6 };
	struct translator *tr = translator();
	struct tc_space *space = tc_space_create(tr);
	struct tu *tu;

	memset(guest_page, 0x90, sizeof(guest_page));
	memcpy(guest_page + 0x100, code, sizeof(code));
	tu = translator_find(tr, space, PAGE + 0x100, FLAT);
	cr_assert_not_null(tu);
	cr_assert_eq(tu->ninsns, 5);
	for (unsigned i = 0; i < 5; i++) {
		const uint32_t from = tu->insn[i].host_offset, to = i < 4 ? tu->insn[i + 1].host_offset : from + 5;

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

/* A store to a unit's bytes drops it, one beside them does not; a page without units is left alone. */
Test(translator_golden, stores_drop_what_they_hit)
{
	struct translator *tr = translator();
	struct tc_space *space = tc_space_create(tr);
	struct tu *tu;

	memset(guest_page, 0x90, sizeof(guest_page));
	guest_page[0x110] = 0xc3;
	tu = translator_find(tr, space, PAGE + 0x100, FLAT);
	cr_assert_not_null(tu);
	cr_expect_eq(protects, 1);
	cr_expect_eq(translator_find(tr, space, PAGE + 0x100, FLAT), tu, "translated twice");
	cr_expect_neq(translator_find(tr, space, PAGE + 0x100, FLAT & ~MODE_DS_FLAT), tu, "shared between modes");
	cr_expect_eq(translator_invalidate(tr, PAGE + 0xff, 1), 0);
	cr_expect_eq(translator_invalidate(tr, PAGE + 0x111, 4), 0);
	cr_expect_eq(unprotects, 0);
	cr_expect_eq(translator_invalidate(tr, PAGE + 0x110, 1), 2);
	cr_expect_eq(unprotects, 1);
	cr_expect_eq(translator_invalidate(tr, PAGE + 0x110, 1), 0);
	tu = translator_find(tr, space, PAGE + 0x100, FLAT);
	cr_expect_eq(protects, 2);
	tc_space_destroy(tr, space);
	translator_destroy(tr);
}
