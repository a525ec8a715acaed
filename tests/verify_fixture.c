/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include "verify_fixture.h"

#define B(...) (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ })
#define RING0 VF_FLAT
#define RING3 (VF_FLAT | 3)
#define REAL (VF_FLAT | MODE_CODE16 | MODE_PARAGRAPHS)

/* Code that does not end by itself is ended by the RETs after it. */
const struct vf_case vf_cases[] = {
	/* mov eax, [ebx] */
	{ "load", RING0, 0, B(0x8b, 0x03) },
	/* mov [ebp + ecx*4 + disp], dx */
	{ "store 16", RING3, 0, B(0x66, 0x89, 0x94, 0x8d, 1, 2, 3, 4) },
	/* mov dword [ebp + ecx*4 + disp], 0x08070605 */
	{ "wide", RING3, 0, B(0xc7, 0x84, 0x8d, 1, 2, 3, 4, 5, 6, 7, 8) },
	/* mov eax, [0x12345678] */
	{ "direct", RING0, 0, B(0xa1, 0x78, 0x56, 0x34, 0x12) },
	/* mov [ecx*8 + 0x1000], edx */
	{ "scaled", RING3, 0, B(0x89, 0x14, 0xcd, 0, 0x10, 0, 0) },
	/*
	 * mov eax, [ebx + ecx]; mov [ebx + esi*4 + 8], edx; add ebx, 4; add eax, [ebx + ecx*4 - 4]
	 */
	{ "indexed", RING3, 0,
		B(0x8b, 0x04, 0x0b, 0x89, 0x54, 0xb3, 8, 0x83, 0xc3, 4, 0x03, 0x44, 0x8b, 0xfc) },
	/* mov eax, [ebx + ecx]; cpuid; mov eax, [ebx + ecx] */
	{ "indexed, interpreted", RING3, 0, B(0x8b, 0x04, 0x0b, 0x0f, 0xa2, 0x8b, 0x04, 0x0b) },
	/* the same with a call between */
	{ "indexed, called", RING3, 0, B(0x8b, 0x04, 0x0b, 0xe8, 0, 0, 1, 0, 0x8b, 0x04, 0x0b) },
	/* mov eax, [ecx + edx]; loop; mov eax, [ecx + edx] */
	{ "indexed, looped", RING3, 0, B(0x8b, 0x04, 0x11, 0xe2, 0x10, 0x8b, 0x04, 0x11) },
	/* the same with rep stosb between */
	{ "indexed, repeated", RING3, 0, B(0x8b, 0x04, 0x11, 0xf3, 0xaa, 0x8b, 0x04, 0x11) },
	/* mov ecx, [eax + edx]; cmpxchg [eax + edx], ebx; mov ecx, [eax + edx] */
	{ "indexed, exchanged", RING3, 0,
	  B(0x8b, 0x0c, 0x10, 0x0f, 0xb1, 0x1c, 0x10, 0x8b, 0x0c, 0x10) },
	/* mov eax, [ecx + edx]; repne movsd; mov eax, [ecx + edx] */
	{ "indexed, moved", RING3, 0, B(0x8b, 0x04, 0x11, 0xf2, 0xa5, 0x8b, 0x04, 0x11) },
	/* mov eax, [0x80000000]; mov [ebx + ecx*4 + 0xc4030201], eax */
	{ "upper half", RING0, 0, B(0xa1, 0, 0, 0, 0x80, 0x89, 0x84, 0x8b, 1, 2, 3, 0xc4) },
	/* mov eax, [ebx - 8]; mov [ecx*8 + 0x1000], edx; push eax */
	{ "exact", RING3, ADAPT_EXACT, B(0x8b, 0x43, 0xf8, 0x89, 0x14, 0xcd, 0, 0x10, 0, 0, 0x50) },
	/* add eax, ebx; add esp, 256; inc eax; neg ecx */
	{ "alu", RING3, 0, B(0x01, 0xd8, 0x81, 0xc4, 0, 1, 0, 0, 0x40, 0xf7, 0xd9) },
	/* add al, ah; mov [ebx], ah; mov ah, [esp + 4] */
	{ "bytes", RING3, 0, B(0x00, 0xe0, 0x88, 0x23, 0x8a, 0x64, 0x24, 0x04) },
	/* add ah, [ebx]; adc [ebx + ecx], ch; test [ebx], bh; cmp dh, [0x04030201] */
	{ "high bytes and memory", RING3, 0,
		B(0x02, 0x23, 0x10, 0x2c, 0x0b, 0x84, 0x3b, 0x3a, 0x35, 1, 2, 3, 4) },
	/* push ebp; mov ebp, esp; push 1; push [ebx]; pop [ebx]; pusha; popa; leave */
	{ "stack", RING0, 0,
		B(0x55, 0x89, 0xe5, 0x68, 1, 0, 0, 0, 0xff, 0x33, 0x8f, 0x03, 0x60, 0x61, 0xc9) },
	/* mov eax, gs:[0x14]; mov eax, fs:[ebx + 8]; mov eax, fs:[ebx + ecx*2] */
	{ "based", RING3, 0,
		B(0x65, 0xa1, 0x14, 0, 0, 0, 0x64, 0x8b, 0x43, 8, 0x64, 0x8b, 0x04, 0x4b) },
	/* mov eax, [ebx]; push eax; mov [ebp + 4], eax */
	{ "not flat", RING3 & ~(MODE_DS_FLAT | MODE_SS_FLAT), 0,
		B(0x8b, 0x03, 0x50, 0x89, 0x45, 4) },
	/* mov eax, [ebx]; add [ebx + ecx*4 + 4], 0x04030201 */
	{ "dual", RING0, ADAPT_DUAL, B(0x8b, 0x03, 0x81, 0x44, 0x8b, 4, 1, 2, 3, 4) },
	/* mov eax, fs:[ebx] */
	{ "dual based", RING0, ADAPT_DUAL, B(0x64, 0x8b, 0x03) },
	/* mov eax, [ebx]; mov [ebx], dx; movzx eax, [ebx] */
	{ "soft", RING3, ADAPT_SOFT, B(0x8b, 0x03, 0x66, 0x89, 0x13, 0x0f, 0xb6, 0x03) },
	/* add [ebx], eax; lock cmpxchg8b [ebx] */
	{ "soft read-modify-write", RING0, ADAPT_SOFT, B(0x01, 0x03, 0xf0, 0x0f, 0xc7, 0x0b) },
	/* rep movsd; stosb; lodsb; repne scasb */
	{ "strings", RING3, 0, B(0xf3, 0xa5, 0xaa, 0xac, 0xf2, 0xae) },
	/* rep movsb; stosw */
	{ "dual strings", RING0, ADAPT_DUAL, B(0xf3, 0xa4, 0x66, 0xab) },
	/* call: this page */
	{ "call", RING3, 0, B(0xe8, 0x10, 0, 0, 0) },
	/* call: another page */
	{ "call far away", RING3, 0, B(0xe8, 0x10, 0, 1, 0) },
	{ "call through register", RING0, 0, B(0xff, 0xd0) },                    /* call eax */
	/* jmp [ecx*4 + 0x1000] */
	{ "jump through memory", RING3, 0, B(0xff, 0x24, 0x8d, 0, 0x10, 0, 0) },
	{ "return", RING0, 0, B(0xc3) },
	{ "return 8", RING3, 0, B(0xc2, 8, 0) },
	/* test eax, eax; jz: this page; jnz: another */
	{ "jcc", RING3, 0, B(0x85, 0xc0, 0x74, 0x10, 0x0f, 0x85, 0, 0, 1, 0) },
	{ "loop", RING3, 0, B(0xe2, 0x10, 0xe3, 0x10) },                         /* loop; jecxz */
	{ "flags", RING0, 0, B(0x9c, 0x9d) },                                    /* pushf; popf */
	{ "popf", RING0, 0, B(0x9d) },
	{ "interrupt flag", RING0, 0, B(0xfa, 0xfb, 0x90) },                     /* cli; sti; nop */
	{ "rdtsc", RING3, 0, B(0x0f, 0x31) },
	/* mov ds, eax; mov eax, ds; mov [ebx], ds; pop es; push fs */
	{ "segments", RING0, 0, B(0x8e, 0xd8, 0x8c, 0xd8, 0x8c, 0x1b, 0x07, 0x0f, 0xa0) },
	/* mov eax, cr3; invlpg [ebx] */
	{ "ring 0", RING0, 0, B(0x0f, 0x20, 0xd8, 0x0f, 0x01, 0x3b) },
	/* mov [ebx], ah; mov dh, [ebx] */
	{ "high bytes", RING0, ADAPT_DUAL, B(0x88, 0x23, 0x8a, 0x33) },
	{ "interpreted", RING3, 0, B(0x0f, 0xa2, 0xf4) },                        /* cpuid; hlt */
	{ "int", RING3, 0, B(0xcd, 0x80) },
	{ "iret", RING0, 0, B(0xcf) },
	{ "sysenter", RING3, 0, B(0x0f, 0x34) },
	{ "sysexit", RING0, 0, B(0x0f, 0x35) },
	/* fld [ebx]; fwait; fnstsw ax; fnstcw [ebp - 4] */
	{ "fpu", RING3, 0, B(0xdd, 0x03, 0x9b, 0xdf, 0xe0, 0xd9, 0x7d, 0xfc) },
	/* movaps xmm1, [ebx]; movd xmm0, eax; cvtss2si eax, xmm1; lfence */
	{ "sse", RING3, 0,
		B(0x0f, 0x28, 0x0b, 0x66, 0x0f, 0x6e, 0xc0, 0xf3, 0x0f, 0x2d, 0xc1, 0x0f, 0xae,
			0xe8) },
	/* paddb mm1, [ebx]; emms */
	{ "mmx", RING3, 0, B(0x0f, 0xfc, 0x0b, 0x0f, 0x77) },
	/* paddb mm1, [ebx] */
	{ "mmx without sse", RING3 & ~MODE_SSE, 0, B(0x0f, 0xfc, 0x0b) },
	/* bts [ebx], eax; cmpxchg [ebx], cl; lock inc [ebx] */
	{ "bits", RING3, 0, B(0x0f, 0xab, 0x03, 0x0f, 0xb0, 0x0b, 0xf0, 0xff, 0x03) },
	{ "interpreted by adaptation", RING0, ADAPT_INTERPRET, B(0x8b, 0x03) },
	/* mov [ebx], ecx; mov dword gs:[ebx + 4], 0x04030201; mov [0x04030201], eax */
	{ "store by adaptation", RING3, ADAPT_INTERPRET,
		B(0x89, 0x0b, 0x65, 0xc7, 0x43, 4, 1, 2, 3, 4, 0xa3, 1, 2, 3, 4) },
};
const unsigned vf_ncases = RF_ARRAY_SIZE(vf_cases);

const struct vf_case vf_cases16[] = {
	/* movsw; cmpsw; stosb; lodsb; scasb; std */
	{ "16-bit strings", REAL, 0, B(0xa5, 0xa7, 0xaa, 0xac, 0xae, 0xfd) },
	/* mov ds, ax; pop es; les bx, [bx] */
	{ "16-bit segments", REAL, 0, B(0x8e, 0xd8, 0x07, 0xc4, 0x1f) },
	/* mov ax, [bx + si]; push ax; call; loop */
	{ "16-bit code", REAL, 0, B(0x8b, 0x00, 0x50, 0xe8, 0x10, 0, 0xe2, 0x10) },
	/* call 2000h:1000h */
	{ "16-bit far call", REAL, 0, B(0x9a, 0, 0x10, 0, 0x20) },
	{ "16-bit far jump", REAL | 3, 0, B(0xff, 0x2f) },      /* jmp far [bx] */
	{ "16-bit far return", REAL, 0, B(0xca, 2, 0) },
	{ "16-bit popf", REAL, 0, B(0x9d) },
	/* push ax; mov [bx], cx; mov byte [bx], 1; call */
	{ "16-bit stores by adaptation", REAL, ADAPT_INTERPRET,
		B(0x50, 0x89, 0x0f, 0xc6, 0x07, 1, 0xe8, 0x10, 0) },
};
const unsigned vf_ncases16 = RF_ARRAY_SIZE(vf_cases16);

static const struct segment code16 = { .base = 0, .limit = 0xffff };

/* --- callbacks --- */

static bool fetch(void *opaque, gva_t gva, gpa_t *gpa, bool *global)
{
	struct vf *vf = opaque;

	*gpa = GPA(gva);
	*global = vf->global;
	return true;
}

static const uint8_t *page(void *opaque, gpa_t gpa)
{
	return ((struct vf *)opaque)->page;
}

static void protect(void *opaque, gpa_t gpa)
{
}

struct vf *vf_create(bool verify, uint32_t host)
{
	struct vf *vf = calloc(1, sizeof(*vf));
	const struct translator_callbacks callbacks = {
		.opaque = vf, .fetch = fetch, .page = page, .protect = protect, .unprotect = protect
	};
	const struct translator_options options = {
		.features = ~(feature_set)0, .cache_size = 1 << 20, .verify = verify, .host = host,
	};

	cr_assert_eq(translator_create(&callbacks, &options, &vf->tr), 0);
	cr_assert_eq(verifier_create(&vf->verifier), 0);
	cr_assert_eq(disasm_create(&vf->disasm), 0);
	translator_learn_code_segment(vf->tr, &code16);
	vf->space = tc_space_create(vf->tr);
	cr_assert_not_null(vf->space);
	return vf;
}

void vf_destroy(struct vf *vf)
{
	tc_space_destroy(vf->tr, vf->space);
	translator_destroy(vf->tr);
	verifier_destroy(vf->verifier);
	disasm_destroy(vf->disasm);
	free(vf);
}

const struct vf_case *vf_find(const char *name)
{
	for (unsigned i = 0; i < vf_ncases; i++) {
		if (!strcmp(vf_cases[i].name, name))
			return &vf_cases[i];
	}
	for (unsigned i = 0; i < vf_ncases16; i++) {
		if (!strcmp(vf_cases16[i].name, name))
			return &vf_cases16[i];
	}
	cr_assert_fail("no case is called \"%s\"", name);
	return NULL;
}

struct tu *vf_find_tu(struct vf *vf, gva_t eip, uint32_t mode)
{
	struct tu *tu = translator_find(vf->tr, vf->space, eip, mode);

	cr_assert_not_null(tu);
	return tu;
}

struct tu *vf_translate(struct vf *vf, const struct vf_case *c)
{
	translator_flush(vf->tr);
	memset(vf->page, 0xc3, sizeof(vf->page));
	memcpy(vf->page + (VF_CODE - VF_PAGE), c->guest, c->len);
	for (unsigned i = 0; i < c->len; i++) {
		translator_unadapt(vf->tr, GPA(VF_CODE + i), ~0u);
		if (c->adapt)
			translator_adapt(vf->tr, GPA(VF_CODE + i), c->adapt);
	}
	return vf_find_tu(vf, VF_CODE,
			  c->mode & MODE_CODE16 ?
				  c->mode | translator_code_segment(vf->tr, &code16) :
				  c->mode);
}

uint8_t *vf_host(const struct vf *vf, const struct tu *tu)
{
	return vf->tr->write_base + (tu->entry - vf->tr->exec_base);
}

unsigned vf_listing(struct vf *vf, const struct tu *tu, struct vf_insn *list)
{
	unsigned n = 0;

	for (uint32_t at = 0; at < tu->host_len; at += list[n++].len) {
		cr_assert_lt(n, VF_MAX_INSNS);
		list[n].offset = at;
		list[n].len = disasm_format(vf->disasm, DISASM_64, vf_host(vf, tu) + at,
					    tu->host_len - at, tu->entry + at, list[n].text,
					    sizeof(list[n].text));
		if (!list[n].len) /* Capstone knows the fences with one ModRM.rm each */
			list[n].len =
				vf_host(vf, tu)[at] == 0x0f && vf_host(vf, tu)[at + 1] == 0xae ? 3 :
												 1;
	}
	return n;
}
