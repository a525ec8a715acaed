/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The decoder against three judges: facts from the manual, Capstone over all opcodes, ModRM bytes
 * and prefixes, and the host CPU itself for which MMX and SSE encodings exist.
 */
#include <criterion/criterion.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "translator/disasm.h"
#include "translator/opcode_map.h"

/* --- Facts --- */

struct fact {
	const char *name;
	uint8_t bytes[15];
	bool code16;
	enum decode_result result;
	unsigned len, mem_size;
	uint32_t attr_set, attr_clear;
};

static const struct fact facts[] = {
	{ "mov eax, [esp+4]", { 0x8b, 0x44, 0x24, 4 }, 0, DECODE_OK, 4, 4, OPA_MEM_READ,
		OPA_MEM_WRITE | OPA_BYTE },
	{ "add [eax], cl", { 0x00, 0x08 }, 0, DECODE_OK, 2, 1,
		OPA_MEM_READ | OPA_MEM_WRITE | OPA_BYTE, 0 },
	{ "cmp [eax], ecx", { 0x39, 0x08 }, 0, DECODE_OK, 2, 4, OPA_MEM_READ, OPA_MEM_WRITE },
	{ "lock add [eax], ecx", { 0xf0, 0x01, 0x08 }, 0, DECODE_OK, 3, 4, OPA_LOCK, 0 },
	{ "lock add eax, ecx", { 0xf0, 0x01, 0xc8 }, 0, DECODE_UNDEFINED, 3, 0, 0, 0 },
	{ "lock add ecx, [eax]", { 0xf0, 0x03, 0x08 }, 0, DECODE_UNDEFINED, 3, 0, 0, 0 },
	{ "lock cmp [eax], ecx", { 0xf0, 0x39, 0x08 }, 0, DECODE_UNDEFINED, 3, 0, 0, 0 },
	{ "lock mov [eax], ecx", { 0xf0, 0x89, 0x08 }, 0, DECODE_UNDEFINED, 3, 0, 0, 0 },
	{ "lock bt [eax], ecx", { 0xf0, 0x0f, 0xa3, 0x08 }, 0, DECODE_UNDEFINED, 4, 0, 0, 0 },
	{ "lock btc [eax], 3", { 0xf0, 0x0f, 0xba, 0x38, 3 }, 0, DECODE_OK, 5, 4, OPA_LOCK, 0 },
	{ "lock cmpxchg8b [eax]", { 0xf0, 0x0f, 0xc7, 0x08 }, 0, DECODE_OK, 4, 8, OPA_LOCK, 0 },
	{ "lock nop", { 0xf0, 0x90 }, 0, DECODE_UNDEFINED, 2, 0, 0, 0 },
	{ "lea eax, eax", { 0x8d, 0xc0 }, 0, DECODE_UNDEFINED, 2, 0, 0, 0 },
	{ "lea eax, [eax]", { 0x8d, 0x00 }, 0, DECODE_OK, 2, 0, 0, OPA_MEM_READ },
	{ "les with a register: VEX", { 0xc4, 0xc0 }, 0, DECODE_UNDEFINED, 2, 0, 0, 0 },
	{ "les", { 0xc4, 0x00 }, 0, DECODE_OK, 2, 6, OPA_SEG_LOAD | OPA_SYSTEM, 0 },
	{ "les, 16 bits", { 0xc4, 0x00 }, 1, DECODE_OK, 2, 4, OPA_SEG_LOAD, 0 },
	{ "bound with a register: EVEX", { 0x62, 0xc0 }, 0, DECODE_UNDEFINED, 2, 0, 0, 0 },
	{ "bound", { 0x62, 0x00 }, 0, DECODE_OK, 2, 8, 0, 0 },
	{ "mov cs", { 0x8e, 0xc8 }, 0, DECODE_UNDEFINED, 2, 0, 0, 0 },
	{ "mov ?6", { 0x8e, 0xf0 }, 0, DECODE_UNDEFINED, 2, 0, 0, 0 },
	{ "mov ss, ax", { 0x8e, 0xd0 }, 0, DECODE_OK, 2, 0, OPA_SEG_LOAD, 0 },
	{ "mov eax, cr0, mod 0", { 0x0f, 0x20, 0x05 }, 0, DECODE_OK, 3, 0, OPA_PRIV | OPA_MOD_REG,
		0 },
	{ "mov eax, cr1", { 0x0f, 0x20, 0xc8 }, 0, DECODE_UNDEFINED, 3, 0, 0, 0 },
	{ "test alias F7 /1", { 0xf7, 0xc8, 1, 2, 3, 4 }, 0, DECODE_OK, 6, 0, 0, 0 },
	{ "not has no immediate", { 0xf7, 0xd0 }, 0, DECODE_OK, 2, 0, 0, 0 },
	{ "shl alias D0 /6", { 0xd0, 0xf0 }, 0, DECODE_OK, 2, 0, 0, 0 },
	{ "add alias 82", { 0x82, 0xc0, 1 }, 0, DECODE_OK, 3, 0, OPA_BYTE, 0 },
	{ "salc", { 0xd6 }, 0, DECODE_OK, 1, 0, 0, 0 },
	{ "int1", { 0xf1 }, 0, DECODE_OK, 1, 0, OPA_INT, 0 },
	{ "xop: 8f /1", { 0x8f, 0xc8 }, 0, DECODE_UNDEFINED, 2, 0, 0, 0 },
	{ "ff /7", { 0xff, 0x38 }, 0, DECODE_UNDEFINED, 2, 0, 0, 0 },
	{ "far call through a register", { 0xff, 0xd8 }, 0, DECODE_UNDEFINED, 2, 0, 0, 0 },
	{ "far jmp [eax]", { 0xff, 0x28 }, 0, DECODE_OK, 2, 6, OPA_JUMP | OPA_FAR, 0 },
	{ "call [eax]", { 0xff, 0x10 }, 0, DECODE_OK, 2, 4, OPA_CALL | OPA_INDIRECT, OPA_FAR },
	{ "call far 2:1", { 0x9a, 1, 0, 0, 0, 2, 0 }, 0, DECODE_OK, 7, 0, OPA_CALL | OPA_FAR, 0 },
	{ "call far, 16 bits", { 0x9a, 1, 0, 2, 0 }, 1, DECODE_OK, 5, 0, OPA_CALL | OPA_FAR, 0 },
	{ "mov eax, moffs", { 0xa1, 1, 2, 3, 4 }, 0, DECODE_OK, 5, 4, OPA_MEM_READ, 0 },
	{ "mov eax, moffs16", { 0x67, 0xa1, 1, 2 }, 0, DECODE_OK, 4, 4, OPA_MEM_READ, 0 },
	{ "enter", { 0xc8, 1, 2, 3 }, 0, DECODE_OK, 4, 0, OPA_STACK, 0 },
	{ "jz near, 16 bits", { 0x66, 0x0f, 0x84, 1, 2 }, 0, DECODE_OK, 5, 0, OPA_BRANCH, 0 },
	{ "ud2", { 0x0f, 0x0b }, 0, DECODE_UNDEFINED, 2, 0, 0, 0 },
	{ "ud1 eats a ModRM", { 0x0f, 0xb9, 0x44, 0x24, 1 }, 0, DECODE_UNDEFINED, 5, 0, 0, 0 },
	{ "syscall", { 0x0f, 0x05 }, 0, DECODE_UNDEFINED, 2, 0, 0, 0 },
	{ "rdtscp", { 0x0f, 0x01, 0xf9 }, 0, DECODE_OK, 3, 0, OPA_SYSTEM, OPA_PRIV },
	{ "lock rdtscp", { 0xf0, 0x0f, 0x01, 0xf9 }, 0, DECODE_UNDEFINED, 4, 0, 0, 0 },
	{ "clac", { 0x0f, 0x01, 0xca }, 0, DECODE_OK, 3, 0, OPA_SYSTEM, OPA_PRIV },
	{ "stac", { 0x0f, 0x01, 0xcb }, 0, DECODE_OK, 3, 0, OPA_SYSTEM, OPA_PRIV },
	{ "eretu", { 0xf3, 0x0f, 0x01, 0xca }, 0, DECODE_UNDEFINED, 4, 0, 0, 0 },
	{ "66 stac", { 0x66, 0x0f, 0x01, 0xcb }, 0, DECODE_UNDEFINED, 4, 0, 0, 0 },
	{ "monitorx", { 0x0f, 0x01, 0xfa }, 0, DECODE_UNDEFINED, 3, 0, 0, 0 },
	{ "rdpid", { 0xf3, 0x0f, 0xc7, 0xf8 }, 0, DECODE_OK, 4, 0, OPA_SYSTEM, OPA_PRIV },
	{ "rdseed", { 0x0f, 0xc7, 0xf8 }, 0, DECODE_UNDEFINED, 3, 0, 0, 0 },
	{ "rdrand", { 0xf3, 0x0f, 0xc7, 0xf0 }, 0, DECODE_UNDEFINED, 4, 0, 0, 0 },
	{ "vmcall", { 0x0f, 0x01, 0xc1 }, 0, DECODE_UNDEFINED, 3, 0, 0, 0 },
	{ "invlpg [eax]", { 0x0f, 0x01, 0x38 }, 0, DECODE_OK, 3, 0, OPA_PRIV, OPA_MEM_READ },
	{ "sgdt", { 0x0f, 0x01, 0x00 }, 0, DECODE_OK, 3, 6, OPA_MEM_WRITE | OPA_SYSTEM, OPA_PRIV },
	{ "nop [eax+1]", { 0x0f, 0x1f, 0x40, 1 }, 0, DECODE_OK, 4, 0, OPA_NOP, 0 },
	{ "endbr32", { 0xf3, 0x0f, 0x1e, 0xfb }, 0, DECODE_OK, 4, 0, OPA_NOP, 0 },
	{ "pause", { 0xf3, 0x90 }, 0, DECODE_OK, 2, 0, OPA_NOP, 0 },
	{ "fxsave", { 0x0f, 0xae, 0x00 }, 0, DECODE_OK, 3, 512, OPA_SYSTEM | OPA_MEM_WRITE, 0 },
	{ "xsave", { 0x0f, 0xae, 0x20 }, 0, DECODE_UNDEFINED, 3, 0, 0, 0 },
	{ "clflush", { 0x0f, 0xae, 0x38 }, 0, DECODE_OK, 3, 1, 0, 0 },
	{ "clflushopt", { 0x66, 0x0f, 0xae, 0x38 }, 0, DECODE_UNDEFINED, 4, 0, 0, 0 },
	{ "mfence", { 0x0f, 0xae, 0xf0 }, 0, DECODE_OK, 3, 0, 0, OPA_SSE },
	{ "tzcnt is bsf", { 0xf3, 0x0f, 0xbc, 0xc0 }, 0, DECODE_OK, 4, 0, 0, 0 },
	{ "popcnt", { 0xf3, 0x0f, 0xb8, 0x00 }, 0, DECODE_OK, 4, 4, OPA_MEM_READ, OPA_SSE },
	{ "jmpe", { 0x0f, 0xb8, 0x00 }, 0, DECODE_UNDEFINED, 3, 0, 0, 0 },
	{ "movbe", { 0x0f, 0x38, 0xf0, 0x00 }, 0, DECODE_OK, 4, 4, OPA_MEM_READ, 0 },
	{ "crc32 byte", { 0xf2, 0x0f, 0x38, 0xf0, 0x00 }, 0, DECODE_OK, 5, 1, OPA_BYTE, 0 },
	{ "crc32 word", { 0x66, 0xf2, 0x0f, 0x38, 0xf1, 0x00 }, 0, DECODE_OK, 6, 2, 0, OPA_BYTE },
	{ "movaps", { 0x0f, 0x28, 0x00 }, 0, DECODE_OK, 3, 16, OPA_SSE | OPA_MEM_READ, OPA_MMX },
	{ "movd mm0, eax", { 0x0f, 0x6e, 0xc0 }, 0, DECODE_OK, 3, 0, OPA_MMX, OPA_SSE },
	{ "maskmovdqu", { 0x66, 0x0f, 0xf7, 0xc1 }, 0, DECODE_OK, 4, 16, OPA_MEM_WRITE | OPA_SSE,
		0 },
	{ "psrldq mm", { 0x0f, 0x73, 0xd8, 1 }, 0, DECODE_UNDEFINED, 3, 0, 0, 0 },
	{ "psrldq xmm", { 0x66, 0x0f, 0x73, 0xd8, 1 }, 0, DECODE_OK, 5, 0, OPA_SSE, 0 },
	{ "emms has no ModRM", { 0x0f, 0x77 }, 0, DECODE_OK, 2, 0, OPA_MMX, 0 },
	{ "fsave", { 0xdd, 0x30 }, 0, DECODE_OK, 2, 108, OPA_FPU | OPA_MEM_WRITE, 0 },
	{ "fsave, 16 bits", { 0x66, 0xdd, 0x30 }, 0, DECODE_OK, 3, 94, OPA_FPU, 0 },
	{ "fldenv", { 0xd9, 0x20 }, 0, DECODE_OK, 2, 28, OPA_FPU | OPA_MEM_READ, 0 },
	{ "fld m80", { 0xdb, 0x28 }, 0, DECODE_OK, 2, 10, OPA_FPU | OPA_MEM_READ, 0 },
	{ "fstp m80", { 0xdb, 0x38 }, 0, DECODE_OK, 2, 10, OPA_FPU | OPA_MEM_WRITE, 0 },
	{ "ffreep", { 0xdf, 0xc0 }, 0, DECODE_OK, 2, 0, OPA_FPU, 0 },
	{ "fcomp5", { 0xde, 0xd1 }, 0, DECODE_OK, 2, 0, OPA_FPU, 0 },
	{ "d9 /1", { 0xd9, 0x08 }, 0, DECODE_UNDEFINED, 2, 0, 0, 0 },
	{ "d9 d1", { 0xd9, 0xd1 }, 0, DECODE_UNDEFINED, 2, 0, 0, 0 },
	{ "hlt", { 0xf4 }, 0, DECODE_OK, 1, 0, OPA_PRIV, 0 },
	{ "rep movsd", { 0xf3, 0xa5 }, 0, DECODE_OK, 2, 4,
		OPA_STRING | OPA_MEM_READ | OPA_MEM_WRITE, 0 },
	{ "insb", { 0x6c }, 0, DECODE_OK, 1, 1, OPA_STRING | OPA_IO | OPA_SYSTEM, 0 },
};

Test(decode, facts)
{
	for (unsigned n = 0; n < RF_ARRAY_SIZE(facts); n++) {
		const struct fact *f = &facts[n];
		struct insn insn;

		cr_expect_eq(insn_decode(f->bytes, 15, !f->code16, &insn), f->result, "%s",
			     f->name);
		cr_expect_eq(insn.len, f->len, "%s: length %u", f->name, insn.len);
		if (f->result != DECODE_OK)
			continue;
		cr_expect_eq(insn_mem_size(&insn), f->mem_size, "%s: memory size %u", f->name,
			     insn_mem_size(&insn));
		cr_expect_eq(insn.attr & f->attr_set, f->attr_set, "%s: attributes %x", f->name,
			     insn.attr);
		cr_expect_eq(insn.attr & f->attr_clear, 0, "%s: attributes %x", f->name, insn.attr);
	}
}

struct address_fact {
	uint8_t bytes[10];
	bool code32;
	uint8_t base, index, scale, seg;
	uint32_t disp;
};

#define NONE INSN_NO_REG
static const struct address_fact addresses[] = {
	{ { 0x8b, 0x04, 0x24 }, 1, X86_ESP, NONE, 0, X86_SS, 0 },
	{ { 0x8b, 0x45, 0xfc }, 1, X86_EBP, NONE, 0, X86_SS, -4 },
	{ { 0x8b, 0x05, 1, 2, 3, 4 }, 1, NONE, NONE, 0, X86_DS, 0x04030201 },
	{ { 0x8b, 0x04, 0x2d, 1, 0, 0, 0 }, 1, NONE, X86_EBP, 0, X86_DS, 1 },
	{ { 0x8b, 0x44, 0x85, 0 }, 1, X86_EBP, X86_EAX, 2, X86_SS, 0 },
	{ { 0x8b, 0x04, 0x65, 1, 0, 0, 0 }, 1, NONE, NONE, 1, X86_DS, 1 },
	{ { 0x65, 0x8b, 0x04, 0xc8 }, 1, X86_EAX, X86_ECX, 3, X86_GS, 0 },
	{ { 0x3e, 0x8b, 0x45, 0 }, 1, X86_EBP, NONE, 0, X86_DS, 0 },
	{ { 0x2e, 0x36, 0x8b, 0x00 }, 1, X86_EAX, NONE, 0, X86_SS, 0 },
	{ { 0x8b, 0x00 }, 0, X86_EBX, X86_ESI, 0, X86_DS, 0 },
	{ { 0x8b, 0x42, 0xff }, 0, X86_EBP, X86_ESI, 0, X86_SS, -1 },
	{ { 0x8b, 0x06, 0x34, 0x12 }, 0, NONE, NONE, 0, X86_DS, 0x1234 },
	{ { 0x8b, 0x46, 0 }, 0, X86_EBP, NONE, 0, X86_SS, 0 },
	{ { 0x8b, 0x87, 0, 0x80 }, 0, X86_EBX, NONE, 0, X86_DS, 0xffff8000 },
	{ { 0x67, 0x8b, 0x04, 0x24 }, 0, X86_ESP, NONE, 0, X86_SS, 0 },
	{ { 0x26, 0xa1, 0x34, 0x12 }, 0, NONE, NONE, 0, X86_ES, 0x1234 },
};

Test(decode, addresses)
{
	for (unsigned n = 0; n < RF_ARRAY_SIZE(addresses); n++) {
		const struct address_fact *a = &addresses[n];
		struct insn i;

		cr_assert_eq(insn_decode(a->bytes, 10, a->code32, &i), DECODE_OK, "%u", n);
		cr_expect(i.base == a->base && i.index == a->index && i.scale == a->scale &&
				  i.seg == a->seg && i.disp == a->disp,
			  "%u: base %x index %x scale %x seg %x disp %x", n, i.base, i.index,
			  i.scale, i.seg, i.disp);
	}
}

struct flag_fact {
	uint8_t bytes[6];
	uint32_t read, written;
};

static const struct flag_fact flag_facts[] = {
	{ { 0x01, 0xc8 }, 0, X86_ARITH_FLAGS },
	{ { 0x11, 0xc8 }, X86_CF, X86_ARITH_FLAGS },
	{ { 0x83, 0xd8, 1 }, X86_CF, X86_ARITH_FLAGS },
	{ { 0x40 }, 0, X86_ARITH_FLAGS & ~X86_CF },
	{ { 0x74, 0 }, X86_ZF, 0 },
	{ { 0x0f, 0x8e, 0, 0, 0, 0 }, X86_ZF | X86_SF | X86_OF, 0 },
	{ { 0x0f, 0x47, 0xc0 }, X86_CF | X86_ZF, 0 },
	{ { 0xd3, 0xe0 }, 0, 0 },
	{ { 0xc1, 0xe0, 32 }, 0, 0 },
	{ { 0xc1, 0xe0, 3 }, 0, X86_CF | X86_OF | X86_SF | X86_ZF | X86_PF },
	{ { 0xc1, 0xc0, 3 }, 0, X86_CF | X86_OF },
	{ { 0xd1, 0xd0 }, X86_CF, X86_CF | X86_OF },
	{ { 0x0f, 0xa4, 0xc0, 0 }, 0, 0 },
	{ { 0x8b, 0xc0 }, 0, 0 },
	{ { 0xf7, 0xd0 }, 0, 0 },
	{ { 0xa4 }, X86_DF, 0 },
	{ { 0xf3, 0xa6 }, X86_DF, 0 },
	{ { 0xa6 }, X86_DF, X86_ARITH_FLAGS },
	{ { 0xfc }, 0, X86_DF },
	{ { 0xf5 }, X86_CF, X86_CF },
	{ { 0x9f }, X86_ARITH_FLAGS & ~X86_OF, 0 },
	{ { 0x9e }, 0, X86_ARITH_FLAGS & ~X86_OF },
	{ { 0x9c }, X86_ARITH_FLAGS | X86_DF | X86_IF, 0 },
	{ { 0xda, 0xc1 }, X86_CF, 0 },
	{ { 0xdb, 0xf1 }, 0, X86_CF | X86_ZF | X86_PF },
	{ { 0x0f, 0x2e, 0xc0 }, 0, X86_ARITH_FLAGS },
};

Test(decode, flags)
{
	for (unsigned n = 0; n < RF_ARRAY_SIZE(flag_facts); n++) {
		struct insn i;

		cr_assert_eq(insn_decode(flag_facts[n].bytes, 6, true, &i), DECODE_OK, "%u", n);
		cr_expect_eq(insn_flags_read(&i), flag_facts[n].read, "%u: reads %x", n,
			     insn_flags_read(&i));
		cr_expect_eq(insn_flags_written(&i), flag_facts[n].written, "%u: writes %x", n,
			     insn_flags_written(&i));
	}
}

Test(decode, features)
{
	static const struct { uint8_t bytes[6]; feature_set feature; } needs[] = {
		{ { 0x0f, 0x44, 0xc0 }, FEATURE_CMOV }, { { 0xda, 0xc1 }, FEATURE_CMOV },
		{ { 0x0f, 0xa2 }, FEATURE_CPUID }, { { 0x0f, 0x58, 0xc0 }, FEATURE_SSE },
		{ { 0x66, 0x0f, 0x58, 0xc0 }, FEATURE_SSE2 }, { { 0x0f, 0xfc, 0xc0 }, FEATURE_MMX },
		{ { 0x66, 0x0f, 0xfc, 0xc0 }, FEATURE_SSE2 }, { { 0x0f, 0x34 }, FEATURE_SEP },
		{ { 0x0f, 0xc8 }, FEATURE_486 }, { { 0xdf, 0x08 }, FEATURE_SSE3 },
		{ { 0x0f, 0x38, 0x00, 0xc0 }, FEATURE_SSSE3 },
		{ { 0x0f, 0xc7, 0x08 }, FEATURE_CX8 }, { { 0x0f, 0x01, 0xf9 }, FEATURE_RDTSCP },
		{ { 0x0f, 0x01, 0xca }, FEATURE_SMAP },
		{ { 0xf3, 0x0f, 0xc7, 0xf9 }, FEATURE_RDPID }, { { 0xf3, 0x0f, 0xbd, 0xc0 }, 0 },
		{ { 0x66, 0x0f, 0x38, 0x17, 0xc0 }, FEATURE_SSE4_1 },
		{ { 0xf2, 0x0f, 0x38, 0xf0, 0xc0 }, FEATURE_SSE4_2 }, { { 0x01, 0xc0 }, 0 },
		{ { 0xd9, 0xc0 }, 0 },
	};

	for (unsigned n = 0; n < RF_ARRAY_SIZE(needs); n++) {
		struct insn i;

		cr_assert_eq(insn_decode(needs[n].bytes, 6, true, &i), DECODE_OK, "%u", n);
		cr_expect(insn_features(&i) == needs[n].feature, "%u", n);
	}
}

/* --- Length limits --- */

Test(decode, every_prefix_of_an_instruction_is_truncated)
{
	for (unsigned n = 0; n < RF_ARRAY_SIZE(facts); n++) {
		struct insn insn;

		for (unsigned avail = 0; facts[n].result == DECODE_OK && avail < facts[n].len;
		     avail++)
			cr_expect_eq(insn_decode(facts[n].bytes, avail, !facts[n].code16, &insn),
				     DECODE_TRUNCATED, "%s at %u", facts[n].name, avail);
	}
}

Test(decode, fifteen_bytes_and_no_more)
{
	uint8_t bytes[32];
	struct insn insn;

	memset(bytes, 0x66, sizeof(bytes));
	bytes[14] = 0x90;
	cr_expect_eq(insn_decode(bytes, 15, true, &insn), DECODE_OK);
	cr_expect_eq(insn.len, 15);
	bytes[14] = 0x66;
	bytes[15] = 0x90;
	cr_expect_eq(insn_decode(bytes, 15, true, &insn), DECODE_TOO_LONG);
	cr_expect_eq(insn_decode(bytes, 32, true, &insn), DECODE_TOO_LONG);
	cr_expect_eq(insn_decode(bytes, 14, true, &insn), DECODE_TRUNCATED);
	bytes[12] = 0xa1; /* two of the four address bytes fit */
	cr_expect_eq(insn_decode(bytes, 32, true, &insn), DECODE_TOO_LONG);
}

Test(decode, of_two_repeat_prefixes_the_last_counts)
{
	static const uint8_t ss[] = { 0xf2, 0xf3, 0x0f, 0x58, 0xc0 },
			     sd[] = { 0xf3, 0x66, 0xf2, 0x0f, 0x58, 0xc0 };
	struct insn insn;

	insn_decode(ss, sizeof(ss), true, &insn);
	cr_expect_eq(insn.sse_prefix, 0xf3);
	insn_decode(sd, sizeof(sd), true, &insn);
	cr_expect_eq(insn.sse_prefix, 0xf2);
}

/*
 * Random bytes from a page whose neighbour is not mapped: nothing beyond avail is read, and the
 * length is within it.
 */
Test(decode, random_bytes_stay_in_bounds)
{
	uint8_t *pages =
		mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	unsigned ok = 0;

	cr_assert_neq(pages, MAP_FAILED);
	munmap(pages + 4096, 4096);
	srand(1);
	for (unsigned round = 0; round < 2000000; round++) {
		unsigned avail = rand() % 20;
		uint8_t *bytes = pages + 4096 - avail;
		struct insn insn;

		for (unsigned n = 0; n < avail; n++)
			bytes[n] = rand() >> 8;
		ok += insn_decode(bytes, avail, round & 1, &insn) == DECODE_OK;
		cr_assert(insn.len <= avail && insn.len <= INSN_MAX_LEN);
	}
	cr_expect_gt(ok, 500000);
}

/* --- Capstone --- */

static bool is_prefix(uint8_t byte)
{
	return (byte & 0xe7) == 0x26 || (byte >= 0x64 && byte <= 0x67) || byte == 0xf0 ||
	       byte == 0xf2 || byte == 0xf3;
}

/*
 * Where Capstone 4.0.2 and we differ on whether an encoding exists, and are right to: it knows
 * instructions that are not offered, and has mistakes of its own. The SSE rows are the host CPU's
 * to judge (below).
 */
static bool capstone_differs(enum insn_map map, uint8_t opcode, uint8_t modrm)
{
	if (map == MAP_1BYTE) {
		switch (opcode) {
		/* it knows MOV CS, which is #UD */
		case 0x8e:            return ((modrm >> 3) & 7) == 1;
		case 0xc4: case 0xc5: return modrm >= 0xc0;           /* VEX */
		case 0xc6: case 0xc7: return modrm == 0xf8;           /* XABORT, XBEGIN */
		default:              return false;
		}
	}
	switch (opcode) {
	case 0x01:                       /* VMCALL, MONITOR, RDTSCP and others */
	case 0x05: case 0x07:            /* SYSCALL, SYSRET: AMD's in 32-bit code */
	case 0x0b: case 0xb9: case 0xff: /* it calls UD2, UD1, UD0 instructions */
	/* hint NOPs with a register, or without the one ModRM.reg it knows */
	case 0x0d: case 0x18 ... 0x1f:
	case 0x0e:                       /* FEMMS */
	case 0x20: case 0x22:            /* CR1, CR5..7 */
	case 0x37:                       /* GETSEC */
	case 0xa6: case 0xa7:            /* VIA */
	case 0xaa:                       /* RSM */
	case 0xae: case 0xc7:            /* XSAVE, RDRAND and others */
		return true;
	default:
		return false;
	}
}

static bool is_sse_row(enum insn_map map, uint8_t opcode)
{
	const struct opcode_info *entry = opcode_entry(map, opcode);

	return entry->group == GROUP_SSE || (map == MAP_0F && (opcode == 0x78 || opcode == 0x79));
}

/* Capstone rejects A0..A3 with 66 and a repeat prefix. */
static bool capstone_misses_moffs(const uint8_t *prefix, enum insn_map map, uint8_t opcode)
{
	return map == MAP_1BYTE && (opcode & 0xfc) == 0xa0 && prefix[0] == 0x66 &&
	       (prefix[1] & 0xfe) == 0xf2;
}

/* Capstone gives a CALL with 66 and a repeat prefix a 32-bit displacement; the manual, 16 bits. */
static bool capstone_misreads_length(const uint8_t *prefix, enum insn_map map, uint8_t opcode)
{
	return map == MAP_1BYTE && opcode == 0xe8 && prefix[0] == 0x66 &&
	       (prefix[1] & 0xfe) == 0xf2;
}

Test(decode, agrees_with_capstone, .timeout = 300)
{
	static const uint8_t prefixes[][2] = { { 0 },          { 0x66 }, { 0xf3 },
					       { 0xf2 },       { 0x67 }, { 0x66, 0xf3 },
					       { 0x66, 0x67 }, { 0x2e }, { 0x66, 0xf2 } };
	struct disasm *disasm;
	unsigned compared = 0;
	char text[160];

	cr_assert_eq(disasm_create(&disasm), 0);
	for (unsigned p = 0; p < RF_ARRAY_SIZE(prefixes); p++)
	for (unsigned map = MAP_1BYTE; map <= MAP_0F3A; map++)
	for (unsigned encoding = 0; encoding < 0x20000; encoding++) {
		static const uint8_t escape[4][2] = {
			{ 0 }, { 0x0f }, { 0x0f, 0x38 }, { 0x0f, 0x3a }
		};
		uint8_t opcode = encoding >> 8, modrm = encoding, bytes[16];
		bool code32 = encoding >> 16, known;
		unsigned n = 0, length;
		struct insn insn;

		if ((map == MAP_1BYTE && (is_prefix(opcode) || opcode == 0x0f)) ||
		    (map == MAP_0F && (opcode == 0x38 || opcode == 0x3a)))
			continue;
		for (unsigned k = 0; k < 2 && prefixes[p][k]; k++)
			bytes[n++] = prefixes[p][k];
		for (unsigned k = 0; k < 2 && escape[map][k]; k++)
			bytes[n++] = escape[map][k];
		bytes[n++] = opcode;
		bytes[n++] = modrm;
		for (unsigned k = 0; n < sizeof(bytes); k++)
			bytes[n++] = 0x11 * (k + 1);
		known = insn_decode(bytes, 15, code32, &insn) == DECODE_OK;
		length = disasm_format(disasm, code32 ? DISASM_32 : DISASM_16, bytes, 15, 0x1000,
				       text, sizeof(text));
		if (!is_sse_row(map, opcode) && !capstone_differs(map, opcode, modrm) &&
		    !capstone_misses_moffs(prefixes[p], map, opcode))
			cr_expect_eq(known, length != 0, "prefix %02x %02x map %u %02x %02x: %s",
				     prefixes[p][0], prefixes[p][1], map, opcode, modrm, text);
		if (!known || !length || capstone_misreads_length(prefixes[p], map, opcode))
			continue;
		cr_expect_eq(insn.len, length, "prefix %02x %02x map %u %02x %02x: %s",
			     prefixes[p][0], prefixes[p][1], map, opcode, modrm, text);
		compared++;
	}
	cr_expect_gt(compared, 1000000);
	disasm_destroy(disasm);
}

/* --- The host CPU --- */

static sigjmp_buf escape_host;

static void on_signal(int number)
{
	siglongjmp(escape_host, number);
}

/* MMX and SSE rows hold instructions we do not offer, which the host may have. */
static bool host_may_know(enum insn_map map, uint8_t opcode, unsigned column)
{
	switch (map) {
	/* SSE4a */
	case MAP_0F:   return opcode == 0x78 || opcode == 0x79 || (opcode == 0x2b && column >= 2);
	/* SHA, GFNI, AES, ADX, ... */
	case MAP_0F38: return (opcode >= 0xc8 && opcode <= 0xcf) || opcode >= 0xdb;
	default:
		return opcode == 0x44 || (opcode >= 0xcc && opcode <= 0xcf) || opcode == 0xdf;
	}
}

/*
 * Executes bytes[0..len) with all address registers at buffer; returns the signal it raised, or 0.
 */
static int execute_on_host(uint8_t *code, const uint8_t *bytes, unsigned len, void *buffer)
{
	/* push rbx, rbp, rdi, rsi; mov rax, rdi; mov rcx, rdi; mov rdx, rdi; mov rbx, rdi */
	static const uint8_t before[] = { 0x53, 0x55, 0x57, 0x56, 0x48, 0x89, 0xf8, 0x48,
					  0x89, 0xf9, 0x48, 0x89, 0xfa, 0x48, 0x89, 0xfb };
	/* pop rsi, rdi, rbp, rbx; emms; ret */
	static const uint8_t after[] = { 0x5e, 0x5f, 0x5d, 0x5b, 0x0f, 0x77, 0xc3 };
	int number = sigsetjmp(escape_host, 1);

	if (number) {
		asm volatile("emms");
		return number;
	}
	memcpy(code, before, sizeof(before));
	memcpy(code + sizeof(before), bytes, len);
	memcpy(code + sizeof(before) + len, after, sizeof(after));
	((void (*)(void *))(uintptr_t)code)(buffer);
	return 0;
}

Test(decode, host_knows_the_same_sse, .timeout = 300)
{
	static const uint8_t prefix_bytes[4] = { 0, 0x66, 0xf3, 0xf2 };
	/* Some forms write ESP. */
	stack_t stack = { .ss_sp = malloc(SIGSTKSZ * 4), .ss_size = SIGSTKSZ * 4 };
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_NODEFER | SA_ONSTACK };
	uint8_t *code = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint8_t *buffer =
		mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	unsigned tried = 0;

	if (!__builtin_cpu_supports("sse4.2"))
		cr_skip_test("the host lacks SSE4.2");
	cr_assert(code != MAP_FAILED && buffer != MAP_FAILED);
	sigaltstack(&stack, NULL);
	sigaction(SIGILL, &action, NULL);
	sigaction(SIGSEGV, &action, NULL);
	for (unsigned column = 0; column < 4; column++)
	for (unsigned map = MAP_0F; map <= MAP_0F3A; map++)
	for (unsigned encoding = 0; encoding < 256 * 16; encoding++) {
		uint8_t opcode = encoding >> 4,
			modrm = (encoding & 7) << 3 | (encoding & 8 ? 0xc1 : 0), bytes[16] = { 0 };
		unsigned n = 0;
		struct insn insn;
		bool known;
		int number;

		if (opcode_entry(map, opcode)->group != GROUP_SSE ||
		    host_may_know(map, opcode, column))
			continue;
		if (prefix_bytes[column])
			bytes[n++] = prefix_bytes[column];
		bytes[n++] = 0x0f;
		if (map != MAP_0F)
			bytes[n++] = map == MAP_0F38 ? 0x38 : 0x3a;
		bytes[n++] = opcode;
		bytes[n++] = modrm;
		bytes[n++] = 1;
		known = insn_decode(bytes, 15, true, &insn) == DECODE_OK;
		number = execute_on_host(code, bytes, known ? insn.len : n - 1, buffer + 4096);
		if (number == SIGSEGV)
			continue;
		cr_expect_eq(known, number != SIGILL, "%02x map %u %02x %02x", prefix_bytes[column],
			     map, opcode, modrm);
		tried++;
	}
	cr_expect_gt(tried, 10000);
	sigaltstack(&(stack_t){ .ss_flags = SS_DISABLE }, NULL);
	free(stack.ss_sp);
}
