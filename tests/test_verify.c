/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The verifier against damaged translations: what the translator makes passes; with any of the damages below it is refused, by
 * the rule that the damage breaks. test_verify_mutants.c has damage by chance.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "translator/decode.h"
#include "verify_fixture.h"

static struct vf *vf;

static void setup(void)
{
	vf = vf_create(false);
}

static void teardown(void)
{
	vf_destroy(vf);
}

TestSuite(verify, .init = setup, .fini = teardown, .timeout = 300);

static const struct verify_failure *verify(const struct tu *tu)
{
	return verify_tu(vf->verifier, vf->tr, tu);
}

static void expect_accepted(const struct tu *tu, const char *what)
{
	const struct verify_failure *f = verify(tu);

	if (f) /* an assertion costs more than the verification */
		cr_expect_fail("%s: %s at %u (%s): %s", what, verify_rule_text(f->rule), f->offset, f->text, f->why);
}

static void expect_refused(const struct tu *tu, const char *what, enum verify_rule rule)
{
	const struct verify_failure *f = verify(tu);

	cr_expect_not_null(f, "%s: accepted", what);
	if (f)
		cr_expect_eq(f->rule, rule, "%s: refused by \"%s\" at %u (%s: %s), not by \"%s\"", what, verify_rule_text(f->rule), f->offset,
			     f->text, f->why, verify_rule_text(rule));
}

/* --- what is undamaged --- */

Test(verify, what_the_translator_makes_is_accepted)
{
	for (unsigned i = 0; i < vf_ncases; i++) {
		for (unsigned global = 0; global < 2; global++) {
			vf->global = global;
			expect_accepted(vf_translate(vf, &vf_cases[i]), vf_cases[i].name);
		}
	}
}

/* In every mode and adaptation, whatever that makes of the code. */
Test(verify, modes_and_adaptations)
{
	for (unsigned i = 0; i < vf_ncases; i++) {
		for (uint32_t mode = 0; mode < 0x200; mode++) {
			struct vf_case c = vf_cases[i];

			c.mode = mode;
			vf->tr->opt.soft_views = (i ^ mode >> 3) & 1;
			c.adapt = (i + mode) & (ADAPT_INTERPRET | ADAPT_DUAL | ADAPT_SOFT);
			expect_accepted(vf_translate(vf, &c), c.name);
		}
	}
}

static const uint8_t escapes[4][2] = { { 0 }, { 0x0f }, { 0x0f, 0x38 }, { 0x0f, 0x3a } };

static bool is_prefix_or_escape(unsigned map, uint8_t opcode)
{
	if (map == 1)
		return opcode == 0x38 || opcode == 0x3a;
	return !map && ((opcode & 0xe7) == 0x26 || (opcode >= 0x64 && opcode <= 0x67) || opcode == 0xf0 || opcode == 0xf2 || opcode == 0xf3 ||
			opcode == 0x0f);
}

/* Puts instructions with all values of ModRM from first on into the page, as many as fit; returns the first that did not. *used: bytes. */
static unsigned fill_page(const uint8_t *prefixes, unsigned map, uint8_t opcode, unsigned first, uint8_t tail, unsigned *used)
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
Test(verify, every_opcode, .timeout = 300)
{
	static const uint8_t prefixes[][2] = { { 0 }, { 0x66 }, { 0xf3 }, { 0x64, 0xf2 } };
	static const uint32_t adapts[] = { 0, ADAPT_DUAL, ADAPT_SOFT, 0 };
	unsigned units = 0;

	for (unsigned p = 0; p < RF_ARRAY_SIZE(prefixes); p++) {
		for (uint32_t at = 0; at < GUEST_PAGE_SIZE; at++) {
			translator_unadapt(vf->tr, VF_PAGE + at, ~0u);
			if (adapts[p])
				translator_adapt(vf->tr, VF_PAGE + at, adapts[p]);
		}
		for (unsigned map = 0; map < 4; map++)
		for (unsigned opcode = 0; opcode < 256; opcode++) {
			char what[64];

			if (is_prefix_or_escape(map, opcode))
				continue;
			snprintf(what, sizeof(what), "prefix %02x %02x, map %u, opcode %02x", prefixes[p][0], prefixes[p][1], map, opcode);
			for (unsigned modrm = 0; modrm < 256;) {
				unsigned used;

				modrm = fill_page(prefixes[p], map, opcode, modrm, (p + opcode) & 7, &used);
				units += verify_page(p & 1 ? VF_FLAT | 3 : VF_FLAT, used, what);
			}
		}
	}
	cr_expect_gt(units, 100000, "%u units", units);
}

/* --- damage by the table --- */

enum damage_kind {
	REPLACE, /* the instruction by bytes, and NOPs behind them */
	DELETE,  /* the instruction by NOPs */
	DROP,    /* byte index; the rest moves up, a NOP behind */
	FLIP,    /* bits of byte index; from the end if it is negative */
	SWAP,    /* with the instruction behind */
};

struct damage {
	const char *what, *in; /* in the case called so */
	const char *at;        /* at the instruction whose text starts so */
	unsigned nth;          /* the how manieth of these, from 0 */
	enum damage_kind kind;
	enum verify_rule rule;
	int index;
	uint8_t mask;
	uint8_t bytes[12];
	unsigned len;
};

#define BYTES(...) .bytes = { __VA_ARGS__ }, .len = sizeof((uint8_t[]){ __VA_ARGS__ })
/* A NOP in place of a removed step is a copied instruction in the middle of a sequence: often that is what is refused. */
#define DAMAGE(w, i, a, n, k, r, ...) { .what = w, .in = i, .at = a, .nth = n, .kind = k, .rule = VERIFY_##r, __VA_ARGS__ }
#define MAKE(w, i, a, r, ...) DAMAGE(w, i, a, 0, REPLACE, r, BYTES(__VA_ARGS__))
#define REMOVE(w, i, a, r) DAMAGE(w, i, a, 0, DELETE, r, .len = 0)
#define REMOVE_NTH(w, i, a, n, r) DAMAGE(w, i, a, n, DELETE, r, .len = 0)
#define LOSE_BYTE(w, i, a, r, n) DAMAGE(w, i, a, 0, DROP, r, .index = (n))
#define EXCHANGE(w, i, a, r) DAMAGE(w, i, a, 0, SWAP, r, .len = 0)
#define BIT(w, i, a, r, n, m) DAMAGE(w, i, a, 0, FLIP, r, .index = (n), .mask = (m))
#define LOAD "mov eax, dword ptr gs:[ebx]"
#define WIDE "mov word ptr gs:[ebp + ecx*4" /* ten bytes long */

static const struct damage damages[] = {
	/* Confinement. */
	LOSE_BYTE("no gs", "load", LOAD, ENCODING, 0),
	LOSE_BYTE("no 67", "load", LOAD, ENCODING, 1),
	MAKE("neither gs nor 67", "load", LOAD, MEMORY, 0x8b, 0x03),
	BIT("fs for gs", "load", LOAD, ENCODING, 0, 1),
	MAKE("es for gs", "store 16", WIDE, ENCODING, 0x26, 0x67, 0x66, 0x89, 0x13),
	MAKE("gs twice", "load", LOAD, ENCODING, 0x65, 0x65, 0x8b, 0x03),
	MAKE("gs, then fs", "store 16", WIDE, ENCODING, 0x65, 0x64, 0x67, 0x89, 0x13),
	MAKE("REX before gs", "store 16", WIDE, ENCODING, 0x41, 0x65, 0x67, 0x89, 0x13),
	MAKE("REX before 67", "store 16", WIDE, ENCODING, 0x65, 0x41, 0x67, 0x89, 0x13),
	MAKE("base r8d", "store 16", WIDE, MEMORY, 0x65, 0x67, 0x41, 0x89, 0x10),
	MAKE("base r9d that holds nothing", "store 16", WIDE, MEMORY, 0x65, 0x67, 0x41, 0x89, 0x11),
	MAKE("base r12d", "store 16", WIDE, MEMORY, 0x65, 0x67, 0x41, 0x89, 0x14, 0x24),
	MAKE("base r13d", "store 16", WIDE, MEMORY, 0x65, 0x67, 0x41, 0x89, 0x55, 0),
	MAKE("base r15d", "store 16", WIDE, MEMORY, 0x65, 0x67, 0x41, 0x89, 0x17),
	MAKE("base esp", "store 16", WIDE, MEMORY, 0x65, 0x67, 0x89, 0x14, 0x24),
	MAKE("index r10d that holds nothing", "store 16", WIDE, MEMORY, 0x65, 0x67, 0x42, 0x89, 0x14, 0x13),
	MAKE("index r11d", "store 16", WIDE, MEMORY, 0x65, 0x67, 0x42, 0x89, 0x14, 0x1b),
	MAKE("eip-relative", "store 16", WIDE, MEMORY, 0x65, 0x67, 0x89, 0x15, 0, 0, 0, 0),
	MAKE("rip-relative", "store 16", WIDE, MEMORY, 0x89, 0x15, 0, 0, 0, 0),
	MAKE("absolute", "direct", "mov eax", MEMORY, 0x8b, 0x04, 0x25, 0x78, 0x56, 0x34, 0x12),
	MAKE("64-bit direct address", "store 16", WIDE, BYTES, 0xa1, 1, 2, 3, 4, 5, 6, 7, 0),
	MAKE("32-bit direct address", "store 16", WIDE, BYTES, 0x65, 0x67, 0xa1, 1, 2, 3, 4),
	MAKE("[rbx]", "store 16", WIDE, MEMORY, 0x66, 0x89, 0x13),
	MAKE("[rsp]", "store 16", WIDE, MEMORY, 0x89, 0x14, 0x24),
	MAKE("a load from struct cpu", "store 16", WIDE, MEMORY, 0x41, 0x8b, 0x47, 0),
	MAKE("a store to struct cpu", "store 16", WIDE, MEMORY, 0x41, 0x89, 0x47, 0x10),
	MAKE("a store to the link table", "store 16", WIDE, MEMORY, 0x41, 0x89, 0x04, 0x24),
	MAKE("a load from the branch cache", "store 16", WIDE, MEMORY, 0x41, 0x8b, 0x45, 0),
	MAKE("[r9 + r10] that hold nothing", "load", LOAD, MEMORY, 0x43, 0x8b, 0x04, 0x11),
	MAKE("gather", "store 16", WIDE, INSTRUCTION, 0xc4, 0xe2, 0x69, 0x90, 0x04, 0x88),
	MAKE("two-byte VEX", "store 16", WIDE, ENCODING, 0xc5, 0xf8, 0x10, 0x03),
	MAKE("EVEX", "store 16", WIDE, ENCODING, 0x62, 0xf1, 0x7c, 0x48, 0x10, 0x03),
	MAKE("three-byte VEX of another map", "store 16", WIDE, ENCODING, 0xc4, 0xe1, 0x78, 0x10, 0x03),
	/* Segments with a base. */
	REMOVE("no load of the pointer", "based", "mov r9, qword", GLUE),
	REMOVE("no load through the pointer", "based", "mov r9d, dword ptr [r9]", MEMORY),
	EXCHANGE("pointer and base exchanged", "based", "mov r9, qword", GLUE),
	BIT("another field for the pointer", "based", "mov r9, qword", REGISTER, -1, 0x04),
	BIT("half a pointer", "based", "mov r9, qword", REGISTER, 0, 0x08),
	BIT("64 bits through the pointer", "based", "mov r9d, dword ptr [r9]", REGISTER, 0, 0x08),
	BIT("through r8 for the pointer", "based", "mov r9d, dword ptr [r9]", REGISTER, -1, 0x01),
	REMOVE("no sum of base and index", "based", "lea r10d", MEMORY),
	/* Dual accesses. */
	REMOVE("no address", "dual", "lea r10d", GLUE),
	REMOVE("no shift count", "dual", "mov r9d, 0x1e", GLUE),
	BIT("another shift count", "dual", "mov r9d, 0x1e", GLUE, 2, 0x02),
	REMOVE("no shift", "dual", "shrx", GLUE),
	BIT("a shift of another register", "dual", "shrx", INSTRUCTION, -1, 0x01),
	BIT("64 bits shifted", "dual", "shrx", INSTRUCTION, 2, 0x80),
	REMOVE("no load of the window", "dual", "mov r9, qword", MEMORY),
	BIT("another table for the windows", "dual", "mov r9, qword", REGISTER, 4, 0x20),
	BIT("half a window", "dual", "mov r9, qword", REGISTER, 0, 0x08),
	BIT("another scale of the index", "dual", "mov r9, qword", REGISTER, 3, 0x40),
	EXCHANGE("shift and load exchanged", "dual", "shrx", GLUE),
	EXCHANGE("address and shift count exchanged with the rest", "dual", "mov r9d, 0x1e", GLUE),
	BIT("64 bits of address", "dual", "lea r10d", REGISTER, 0, 0x08),
	MAKE("r10 changed behind the choice", "dual", "add dword ptr [r9", MEMORY, 0x44, 0x8d, 0x13, 0x43, 0x8b, 0x04, 0x11),
	MAKE("another index", "dual", "add dword ptr [r9", MEMORY, 0x41, 0x8b, 0x04, 0x01),
	MAKE("another base", "dual", "add dword ptr [r9", MEMORY, 0x42, 0x8b, 0x04, 0x10),
	MAKE("a displacement", "dual", "add dword ptr [r9", MEMORY, 0x43, 0x8b, 0x44, 0x11, 8),
	MAKE("a scale", "dual", "add dword ptr [r9", MEMORY, 0x43, 0x8b, 0x04, 0x51),
	MAKE("gs as well", "dual", "add dword ptr [r9", ENCODING, 0x65, 0x43, 0x8b, 0x04, 0x11),
	MAKE("67 as well", "dual", "add dword ptr [r9", ENCODING, 0x67, 0x43, 0x8b, 0x04, 0x11),
	MAKE("64 bits loaded", "dual", "add dword ptr [r9", REGISTER, 0x4b, 0x8b, 0x04, 0x11),
	MAKE("a bit string", "dual", "add dword ptr [r9", MEMORY, 0x43, 0x0f, 0xab, 0x04, 0x11),
	/* Accesses through the software TLB. */
	REMOVE("no look-up", "soft", "call", MEMORY),
	REMOVE("no address to look up", "soft", "lea r10d", STUB),
	REMOVE("no length", "soft", "mov r9d, 3", STUB),
	BIT("a shorter length", "soft", "mov r9d, 3", MEMORY, 2, 0x02),
	BIT("a length beyond any", "soft", "mov r9d, 3", STUB, 2, 0x10),
	BIT("another EIP", "soft", "mov r8d", STUB, 2, 0x01),
	MAKE("a longer access", "soft", "movzx eax, byte ptr [r9", MEMORY, 0x43, 0x0f, 0x10, 0x04, 0x11),
	MAKE("a store that was looked up as a load", "soft", "mov eax, dword ptr [r9", MEMORY, 0x43, 0x89, 0x04, 0x11),
	MAKE("a bit string", "soft read-modify-write", "lock cmpxchg8b", MEMORY, 0x43, 0x0f, 0xab, 0x04, 0x11),
	MAKE("r9 changed behind the look-up", "soft read-modify-write", "lock cmpxchg8b", GLUE, 0x45, 0x8b, 0xc8),
	/* String instructions. */
	REMOVE("no window", "strings", "mov r9, qword", GLUE),
	REMOVE("no window added to rsi", "strings", "lea rsi", MEMORY),
	REMOVE("no window added to rdi", "strings", "lea rdi", REST),
	REMOVE("the window left in rsi", "strings", "mov esi, esi", REST),
	REMOVE("the window left in rdi", "strings", "mov edi, edi", REST),
	EXCHANGE("the window added after the access", "strings", "lea rdi", MEMORY),
	BIT("32 bits of the sum", "strings", "lea rsi", MEMORY, 0, 0x08),
	BIT("the window scaled", "strings", "lea rsi", REGISTER, -1, 0x40),
	BIT("the window added to another register", "strings", "lea rsi", REGISTER, -1, 0x01),
	BIT("rcx for r9", "strings", "lea rsi", REGISTER, 0, 0x02),
	MAKE("movsq", "strings", "rep movsd", ENCODING, 0x48, 0xa5),
	MAKE("movsd with 67", "strings", "rep movsd", ENCODING, 0x67, 0xa5),
	MAKE("movsd with gs", "strings", "rep movsd", BYTES, 0x65, 0xa5),
	MAKE("lock movsd", "strings", "rep movsd", BYTES, 0xf0, 0xa5),
	MAKE("rep insd", "strings", "rep movsd", BYTES, 0xf3, 0x6d),
	MAKE("outsd", "strings", "rep movsd", BYTES, 0x6f),
	MAKE("xlat", "strings", "rep movsd", INSTRUCTION, 0xd7),
	BIT("rsi's window by edi", "dual strings", "shrx", GLUE, -1, 0x01),
	REMOVE("no choice of a window", "dual strings", "mov r9, qword", GLUE),
	EXCHANGE("two steps exchanged", "dual strings", "shrx", GLUE),
	/* Registers. */
	BIT("REX.W", "alu", "add r14d", REGISTER, 0, 0x08),
	MAKE("r12d", "alu", "add r14d", REGISTER, 0x41, 0x81, 0xc4, 0, 1, 0, 0),
	MAKE("r12", "alu", "add r14d", REGISTER, 0x49, 0x81, 0xc4, 0, 1, 0, 0),
	MAKE("r13", "alu", "add r14d", REGISTER, 0x49, 0x81, 0xc5, 0, 1, 0, 0),
	MAKE("r15", "alu", "add r14d", REGISTER, 0x49, 0x81, 0xc7, 0, 1, 0, 0),
	MAKE("rsp", "alu", "add r14d", REGISTER, 0x48, 0x81, 0xc4, 0, 1, 0, 0),
	MAKE("esp", "alu", "add r14d", REGISTER, 0x81, 0xc4, 0, 1, 0, 0),
	MAKE("r8d", "alu", "add r14d", REGISTER, 0x41, 0x81, 0xc0, 0, 1, 0, 0),
	MAKE("spl", "alu", "add r14d", REGISTER, 0x40, 0x80, 0xc4, 1),
	MAKE("sil for dh", "alu", "add r14d", REGISTER, 0x40, 0x80, 0xc6, 1),
	MAKE("r14b", "alu", "add r14d", REGISTER, 0x41, 0x80, 0xc6, 1),
	MAKE("r15w", "alu", "add r14d", REGISTER, 0x66, 0x41, 0x83, 0xc7, 1),
	MAKE("r13d exchanged", "alu", "add r14d", REGISTER, 0x41, 0x95),
	MAKE("mov rsp", "alu", "add r14d", REGISTER, 0x48, 0x89, 0xc4),
	MAKE("lea rsp", "alu", "add r14d", REGISTER, 0x48, 0x8d, 0x64, 0x24, 8),
	MAKE("lea esp", "alu", "add r14d", REGISTER, 0x8d, 0x63, 8),
	MAKE("mov eax, r15d", "alu", "add r14d", REGISTER, 0x44, 0x89, 0xf8),
	MAKE("mov r15, rax", "alu", "add r14d", REGISTER, 0x49, 0x89, 0xc7),
	MAKE("mov r12, [r12]", "alu", "add r14d", REGISTER, 0x4d, 0x8b, 0x24, 0x24),
	MAKE("mov rax, rbx", "alu", "add r14d", REGISTER, 0x48, 0x89, 0xd8),
	MAKE("movsxd", "alu", "add r14d", INSTRUCTION, 0x48, 0x63, 0xc3),
	MAKE("lea rax", "alu", "add r14d", REGISTER, 0x48, 0x8d, 0x03),
	MAKE("64-bit constant", "store 16", WIDE, INSTRUCTION, 0x48, 0xb8, 1, 2, 3, 4, 5, 6, 7, 8),
	MAKE("sign-extended constant", "store 16", WIDE, REGISTER, 0x48, 0xc7, 0xc0, 0xff, 0xff, 0xff, 0xff),
	MAKE("cdqe", "alu", "add r14d", INSTRUCTION, 0x48, 0x98),
	MAKE("lea with 67", "alu", "add r14d", ENCODING, 0x67, 0x8d, 0x03),
	MAKE("lea of r12", "alu", "add r14d", MEMORY, 0x41, 0x8d, 0x04, 0x24),
	MAKE("lea of rip", "alu", "add r14d", MEMORY, 0x8d, 0x05, 0, 0, 0, 0),
	MAKE("r8d that holds nothing", "alu", "add r14d", GLUE, 0x44, 0x89, 0xc0),
	MAKE("xmm8", "sse", "movaps", REGISTER, 0x44, 0x0f, 0x28, 0xc1),
	MAKE("64 bits to xmm0", "sse", "movaps", REGISTER, 0x66, 0x48, 0x0f, 0x6e, 0xc0),
	MAKE("cmpxchg16b", "store 16", WIDE, INSTRUCTION, 0x65, 0x67, 0x48, 0x0f, 0xc7, 0x0b),
	MAKE("movnti of 64 bits", "store 16", WIDE, REGISTER, 0x65, 0x67, 0x48, 0x0f, 0xc3, 0x03),
	/* Encodings. */
	MAKE("lock without memory", "alu", "add r14d", BYTES, 0xf0, 0x01, 0xd8),
	MAKE("rep add", "alu", "add r14d", ENCODING, 0xf3, 0x01, 0xd8),
	MAKE("both repeats", "strings", "rep movsd", BYTES, 0x06),
	MAKE("66 twice", "alu", "add r14d", ENCODING, 0x66, 0x66, 0x01, 0xd8),
	MAKE("REX twice", "alu", "add r14d", ENCODING, 0x41, 0x41, 0x01, 0xd8),
	MAKE("gs on a register operand", "alu", "add r14d", ENCODING, 0x65, 0x01, 0xd8),
	MAKE("67 on a register operand", "alu", "add r14d", ENCODING, 0x67, 0x01, 0xd8),
	MAKE("what is no instruction", "alu", "add r14d", BYTES, 0x27),
	MAKE("what is no instruction, with two bytes", "alu", "add r14d", BYTES, 0x0f, 0x04),
	MAKE("an instruction cut off by the next", "return", "ret", BYTES, 0xe9),
	/* Branches. */
	BIT("loop into the middle", "loop", "loop ", BRANCH, -1, 0x03),
	BIT("loop backwards", "loop", "loop ", BRANCH, -1, 0x80),
	MAKE("loop without 67", "loop", "loop ", ENCODING, 0xe2, 0x03),
	MAKE("jrcxz for jecxz", "loop", "jecxz ", GLUE, 0xe3, 0x02),
	MAKE("jump to itself", "loop", "jmp ", BRANCH, 0xeb, 0xfe),
	BIT("a short jump that leaves the guest instruction", "loop", "jmp ", BRANCH, -1, 0x08),
	BIT("an exit to somewhere else", "jcc", "je ", BRANCH, -4, 0x01),
	BIT("an exit far out", "jcc", "je ", BRANCH, -1, 0x10),
	BIT("a conditional exit that misses its jump", "jcc", "jne ", BRANCH, -4, 0x01),
	BIT("a conditional exit to another exit's path", "jcc", "jne ", BRANCH, -4, 0x15 ^ 0x0a),
	MAKE("a short jcc on the guest's flags", "jcc", "je ", GLUE, 0x74, 0x00),
	MAKE("jump with 66", "jcc", "je ", ENCODING, 0x66, 0xe9, 0, 0, 0, 0),
	BIT("a decrement for the call", "call far away", "call qword", MEMORY, 2, 0x18),
	MAKE("call through a register", "call far away", "call qword", INDIRECT, 0xff, 0xd0),
	MAKE("jump through a register", "call far away", "call qword", INDIRECT, 0xff, 0xe0),
	MAKE("call through r12 + 8", "call", "mov dword", INDIRECT, 0x41, 0xff, 0x54, 0x24, 8),
	MAKE("jump through r12 + rcx", "call", "mov dword", INDIRECT, 0x41, 0xff, 0x24, 0x0c),
	MAKE("jump through struct cpu", "call", "mov dword", INDIRECT, 0x41, 0xff, 0x67, 0x10),
	MAKE("jump through rip", "call", "mov dword", INDIRECT, 0xff, 0x25, 0, 0, 0, 0),
	MAKE("jump through guest memory", "call", "mov dword", ENCODING, 0x65, 0x67, 0xff, 0x23),
	MAKE("a hit without a look-up", "call", "mov dword", INDIRECT, 0x43, 0xff, 0x64, 0x0d, 8),
	MAKE("far jump", "call", "mov dword", INSTRUCTION, 0x41, 0xff, 0x6c, 0x24, 8),
	MAKE("far call", "call", "mov dword", INSTRUCTION, 0x41, 0xff, 0x5c, 0x24, 8),
	MAKE("jump to nowhere", "call", "mov dword", BRANCH, 0xe9, 0, 0, 0, 0x10),
	MAKE("call to nowhere", "call", "mov dword", BRANCH, 0xe8, 0, 0, 0, 0x10),
	MAKE("call to the next instruction", "call", "mov dword", BRANCH, 0xe8, 0, 0, 0, 0),
	MAKE("jcc to nowhere", "call", "mov dword", BRANCH, 0x0f, 0x84, 0, 0, 0, 0x10),
	MAKE("jcc backwards out of the unit", "call", "mov dword", BRANCH, 0x0f, 0x84, 0, 0, 0, 0x80),
	/* Returns. */
	REMOVE("no target", "return", "mov r8d", GLUE),
	MAKE("ret 8", "return", "lea r14d", INSTRUCTION, 0xc2, 8, 0),
	MAKE("rep ret", "return", "lea r14d", ENCODING, 0xf3, 0xc3),
	MAKE("retf", "return", "lea r14d", INSTRUCTION, 0xcb),
	MAKE("no ret", "return", "ret", FLOW, 0x90),
	REMOVE("ecx not saved", "call", "mov r9d, ecx", REST),
	REMOVE("no comparison", "call", "lea ecx", REST),
	BIT("a comparison with another address", "call", "lea ecx", GLUE, 3, 0x01),
	BIT("a comparison in another register", "call", "lea ecx", GLUE, 0, 0x04),
	REMOVE("no jump for those that match", "call", "jrcxz", REST),
	BIT("a jump past the restoring of ecx", "call", "jrcxz", FLOW, -1, 0x05 ^ 0x08),
	REMOVE("no jump for those that do not", "call", "jmp", REST),
	REMOVE("ecx not restored", "call", "mov ecx, r9d", REST),
	BIT("ecx restored from another register", "call", "mov ecx, r9d", REST, -1, 0x01),
	/* Look-ups. */
	REMOVE("no shift count", "call through register", "mov r10d, 0x14", GLUE),
	BIT("another shift count", "call through register", "mov r10d, 0x14", GLUE, 2, 0x01),
	BIT("another second shift count", "call through register", "mov r10d, 0x10", GLUE, 2, 0x01),
	REMOVE("no shift", "call through register", "shlx", GLUE),
	REMOVE("no second shift", "call through register", "shrx", GLUE),
	BIT("64 bits shifted", "call through register", "shlx", INSTRUCTION, 2, 0x80),
	REMOVE("no entry", "call through register", "mov r10d, dword ptr [r13", GLUE),
	BIT("an entry by another index", "call through register", "mov r10d, dword ptr [r13", REGISTER, 0, 0x02),
	REMOVE("ecx not saved", "call through register", "mov r11, rcx", GLUE),
	REMOVE("no comparison", "call through register", "lea ecx", GLUE),
	REMOVE("no jump for a hit", "call through register", "jrcxz", REST),
	REMOVE("ecx not restored", "call through register", "mov rcx, r11", REST),
	BIT("ecx restored from another register", "jump through memory", "mov rcx, r11", REGISTER, -1, 0x01),
	BIT("another field of the entry", "jump through memory", "jmp qword", INDIRECT, -1, 0x08 ^ 0x10),
	BIT("another index of the hit", "jump through memory", "jmp qword", INDIRECT, 0, 0x02),
	BIT("a hit through r12", "jump through memory", "jmp qword", INDIRECT, 3, 0x01),
	REMOVE("no hit", "jump through memory", "jmp qword", FLOW),
	EXCHANGE("ecx restored before the miss leaves", "jump through memory", "mov r11, rcx", GLUE),
	/* Flags. */
	REMOVE("flags pushed and left", "flags", "pop r8", GLUE),
	REMOVE("flags not pushed", "flags", "pushfq", GLUE),
	MAKE("flags popped to a guest register", "flags", "pop r8", INSTRUCTION, 0x58),
	REMOVE("host flags not packed", "flags", "pext", GLUE),
	REMOVE("host flags not unpacked", "flags", "pdep", GLUE),
	BIT("another mask", "flags", "mov r9d, 0xcd5", GLUE, 3, 0x02),
	REMOVE("flags not masked before they are loaded", "flags", "and r8d", REST),
	BIT("IF let through to the host", "flags", "and r8d", GLUE, 4, 0x02),
	BIT("TF let through to the host", "flags", "and r8d", GLUE, 4, 0x01),
	REMOVE("nothing pushed", "flags", "push r8", REST),
	BIT("another register pushed", "flags", "push r8", INSTRUCTION, -1, 0x01),
	REMOVE("flags not loaded", "flags", "popfq", GLUE),
	MAKE("popf of 16 bits", "flags", "push r8", INSTRUCTION, 0x66, 0x9d),
	BIT("another mask for IF", "flags", "and r9d, 0x200", GLUE, -3, 0x04),
	BIT("another field for IF", "flags", "mov dword ptr [r15", MEMORY, -1, 0x04),
	BIT("a jump into the middle", "flags", "jne", BRANCH, -1, 0x01),
	BIT("flags spoilt for good", "flags", "jne", REST, -1, 0x27 ^ 0x3e),
	/* The interrupt flag. */
	BIT("another flag", "interrupt flag", "mov dword ptr [r15 + ", GLUE, -3, 0x01),
	BIT("another field", "interrupt flag", "mov dword ptr [r15 + ", MEMORY, 3, 0x08),
	REMOVE("ecx not saved", "interrupt flag", "mov r11d, ecx", GLUE),
	REMOVE("ecx not restored", "interrupt flag", "mov ecx, r11d", REST),
	REMOVE_NTH("ecx not restored where it is quiet", "interrupt flag", "mov ecx, r11d", 1, REST),
	BIT("another field for the events", "interrupt flag", "mov ecx, dword ptr [r15", MEMORY, -1, 0x40),
	/* RDTSC. */
	REMOVE("the host's upper half", "rdtsc", "shlx", REST),
	REMOVE("the sum's halves not split", "rdtsc", "shrx", REST),
	REMOVE("64 bits left in eax", "rdtsc", "mov eax, eax", REST),
	REMOVE("the host's time", "rdtsc", "lea rax, [rax + r8]", REST),
	BIT("another field for the offset", "rdtsc", "mov r8, qword ptr [r15", REGISTER, 3, 0x10),
	MAKE("rdtsc alone", "alu", "add r14d", REST, 0x0f, 0x31),
	/* Callouts. */
	BIT("another EIP", "interpreted", "mov r8d", STUB, 2, 0x01),
	REMOVE("no EIP", "interpreted", "mov r8d", STUB),
	REMOVE("no next EIP", "interpreted", "mov r10d", STUB),
	REMOVE("no argument", "interpreted", "mov r9d", STUB),
	BIT("another argument", "interpreted", "mov r9d", STUB, 2, 0x01),
	BIT("the argument of a selector not made", "segments", "lea r9d", MEMORY, 0, 0x04),
	BIT("a callout into the middle of a stub", "interpreted", "call", BRANCH, 1, 0x01),
	BIT("a vector beyond 255", "int", "mov r9d", STUB, 3, 0x01),
	REMOVE("no callout", "iret", "call", FLOW),
	BIT("a field that is no selector", "segments", "movzx eax, word ptr [r15", MEMORY, 4, 0x01),
	BIT("64 bits of a selector", "segments", "mov word ptr gs:[ebx], r8w", REGISTER, 3, 0x08),
	REMOVE("a selector not read", "segments", "movzx r8d, word ptr [r15", GLUE),
	BIT("a store with another EIP", "store by adaptation", "mov r8d", STUB, 2, 0x01),
	REMOVE("a store without EIP", "store by adaptation", "mov r8d", STUB),
	REMOVE("a store without the next EIP", "store by adaptation", "mov r11d", STUB),
	REMOVE("a store without an address", "store by adaptation", "lea r10d", STUB),
	REMOVE("a store without a value", "store by adaptation", "mov r9d, ecx", STUB),
	BIT("a store's address in r11d, the next EIP in r10d", "store by adaptation", "lea r10d", STUB, 2, 0x08),
	BIT("64 bits of a store's address", "store by adaptation", "lea r10d", REGISTER, 0, 0x08),
	BIT("64 bits of a store's value", "store by adaptation", "mov r9d, ecx", REGISTER, 0, 0x08),
	REMOVE("a store's segment without its base", "store by adaptation", "mov r9d, dword ptr [r9]", GLUE),
	/* Unlinked paths. */
	BIT("another exit", "interpreted", "mov r9d, 0", STUB, 2, 0x01),
	REMOVE("nothing behind the body", "call", "jmp 0x", REST),
};

/* --- applying it --- */

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
static void check_damage(const struct damage *d, const uint8_t *before, const uint8_t *at, const struct vf_insn *insn)
{
	char text[96];

	cr_expect_neq(memcmp(before, at, insn->len), 0, "%s, %s: nothing is damaged", d->in, d->what);
	if (d->rule != VERIFY_BYTES)
		cr_expect_neq(disasm_format(vf->disasm, DISASM_64, at, INSN_MAX_LEN, 0, text, sizeof(text)), 0, "%s, %s: no instruction", d->in, d->what);
}

static void damage(const struct damage *d)
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

Test(verify, damage)
{
	cr_assert_geq(RF_ARRAY_SIZE(damages), 50);
	for (unsigned i = 0; i < RF_ARRAY_SIZE(damages); i++)
		damage(&damages[i]);
}

/* --- instructions that have no business in a translation --- */

#define FOREIGN(w, r, ...) MAKE(w, "call", "mov dword ptr gs:[r14d - 4]", r, __VA_ARGS__)

static const struct damage foreign[] = {
	FOREIGN("syscall", INSTRUCTION, 0x0f, 0x05), FOREIGN("sysenter", INSTRUCTION, 0x0f, 0x34), FOREIGN("sysret", INSTRUCTION, 0x0f, 0x07),
	FOREIGN("sysexit", INSTRUCTION, 0x0f, 0x35), FOREIGN("int 0x80", INSTRUCTION, 0xcd, 0x80), FOREIGN("int3", INSTRUCTION, 0xcc),
	FOREIGN("int1", INSTRUCTION, 0xf1), FOREIGN("into", BYTES, 0xce), FOREIGN("ud2", INSTRUCTION, 0x0f, 0x0b),
	FOREIGN("iretd", INSTRUCTION, 0xcf), FOREIGN("iretq", INSTRUCTION, 0x48, 0xcf), FOREIGN("retf", INSTRUCTION, 0xcb),
	FOREIGN("hlt", INSTRUCTION, 0xf4), FOREIGN("cli", INSTRUCTION, 0xfa), FOREIGN("sti", INSTRUCTION, 0xfb),
	FOREIGN("in al, dx", INSTRUCTION, 0xec), FOREIGN("in eax, 0x10", INSTRUCTION, 0xe5, 0x10), FOREIGN("out dx, eax", INSTRUCTION, 0xef),
	FOREIGN("out 0x10, al", INSTRUCTION, 0xe6, 0x10), FOREIGN("insb", BYTES, 0x6c), FOREIGN("outsb", BYTES, 0x6e),
	FOREIGN("lgdt", INSTRUCTION, 0x65, 0x67, 0x0f, 0x01, 0x13), FOREIGN("lidt", INSTRUCTION, 0x65, 0x67, 0x0f, 0x01, 0x1b),
	FOREIGN("sgdt", INSTRUCTION, 0x65, 0x67, 0x0f, 0x01, 0x03), FOREIGN("sidt", INSTRUCTION, 0x65, 0x67, 0x0f, 0x01, 0x0b),
	FOREIGN("sldt", INSTRUCTION, 0x0f, 0x00, 0xc0), FOREIGN("str", INSTRUCTION, 0x0f, 0x00, 0xc8), FOREIGN("lldt", INSTRUCTION, 0x0f, 0x00, 0xd0),
	FOREIGN("ltr", INSTRUCTION, 0x0f, 0x00, 0xd8), FOREIGN("verr", INSTRUCTION, 0x0f, 0x00, 0xe0), FOREIGN("smsw", INSTRUCTION, 0x0f, 0x01, 0xe0),
	FOREIGN("lmsw", INSTRUCTION, 0x0f, 0x01, 0xf0), FOREIGN("invlpg", INSTRUCTION, 0x65, 0x67, 0x0f, 0x01, 0x3b),
	FOREIGN("lar", INSTRUCTION, 0x0f, 0x02, 0xc3), FOREIGN("lsl", INSTRUCTION, 0x0f, 0x03, 0xc3), FOREIGN("clts", INSTRUCTION, 0x0f, 0x06),
	FOREIGN("invd", INSTRUCTION, 0x0f, 0x08), FOREIGN("wbinvd", INSTRUCTION, 0x0f, 0x09), FOREIGN("mov rax, cr0", REGISTER, 0x0f, 0x20, 0xc0),
	FOREIGN("mov cr3, rax", REGISTER, 0x0f, 0x22, 0xd8), FOREIGN("mov dr7, rax", REGISTER, 0x0f, 0x23, 0xf8),
	FOREIGN("wrmsr", INSTRUCTION, 0x0f, 0x30), FOREIGN("rdmsr", INSTRUCTION, 0x0f, 0x32), FOREIGN("rdpmc", INSTRUCTION, 0x0f, 0x33),
	FOREIGN("rdtscp", INSTRUCTION, 0x0f, 0x01, 0xf9), FOREIGN("cpuid", INSTRUCTION, 0x0f, 0xa2), FOREIGN("rsm", INSTRUCTION, 0x0f, 0xaa),
	FOREIGN("mov ds, eax", REGISTER, 0x8e, 0xd8), FOREIGN("mov es, eax", REGISTER, 0x8e, 0xc0), FOREIGN("mov ss, eax", REGISTER, 0x8e, 0xd0),
	FOREIGN("mov fs, eax", REGISTER, 0x8e, 0xe0), FOREIGN("mov gs, eax", REGISTER, 0x8e, 0xe8), FOREIGN("mov eax, ds", REGISTER, 0x8c, 0xd8),
	FOREIGN("push fs", INSTRUCTION, 0x0f, 0xa0), FOREIGN("pop gs", INSTRUCTION, 0x0f, 0xa9), FOREIGN("lss", INSTRUCTION, 0x65, 0x67, 0x0f, 0xb2, 0x03),
	FOREIGN("lgs", INSTRUCTION, 0x65, 0x67, 0x0f, 0xb5, 0x03), FOREIGN("wrgsbase", ENCODING, 0xf3, 0x48, 0x0f, 0xae, 0xd8),
	FOREIGN("wrfsbase", ENCODING, 0xf3, 0x48, 0x0f, 0xae, 0xd0), FOREIGN("rdgsbase", ENCODING, 0xf3, 0x48, 0x0f, 0xae, 0xc8),
	FOREIGN("wrgsbase of 32 bits", ENCODING, 0xf3, 0x0f, 0xae, 0xd8), FOREIGN("swapgs", INSTRUCTION, 0x0f, 0x01, 0xf8),
	FOREIGN("xgetbv", INSTRUCTION, 0x0f, 0x01, 0xd0), FOREIGN("xsetbv", INSTRUCTION, 0x0f, 0x01, 0xd1),
	FOREIGN("xsave", INSTRUCTION, 0x65, 0x67, 0x0f, 0xae, 0x23), FOREIGN("xrstor", INSTRUCTION, 0x65, 0x67, 0x0f, 0xae, 0x2b),
	FOREIGN("xsaveopt", INSTRUCTION, 0x65, 0x67, 0x0f, 0xae, 0x33), FOREIGN("fxsave", INSTRUCTION, 0x65, 0x67, 0x0f, 0xae, 0x03),
	FOREIGN("fxrstor", INSTRUCTION, 0x65, 0x67, 0x0f, 0xae, 0x0b), FOREIGN("fnsave", INSTRUCTION, 0x65, 0x67, 0xdd, 0x33),
	FOREIGN("frstor", INSTRUCTION, 0x65, 0x67, 0xdd, 0x23), FOREIGN("fldenv", INSTRUCTION, 0x65, 0x67, 0xd9, 0x23),
	FOREIGN("fnstenv", INSTRUCTION, 0x65, 0x67, 0xd9, 0x33), FOREIGN("rdpkru", BYTES, 0x0f, 0x01, 0xee), FOREIGN("wrpkru", BYTES, 0x0f, 0x01, 0xef),
	FOREIGN("monitor", INSTRUCTION, 0x0f, 0x01, 0xc8), FOREIGN("mwait", INSTRUCTION, 0x0f, 0x01, 0xc9), FOREIGN("vmcall", INSTRUCTION, 0x0f, 0x01, 0xc1),
	FOREIGN("vmmcall", INSTRUCTION, 0x0f, 0x01, 0xd9), FOREIGN("stac", INSTRUCTION, 0x0f, 0x01, 0xcb), FOREIGN("rdrand", INSTRUCTION, 0x0f, 0xc7, 0xf0),
	FOREIGN("rdseed", INSTRUCTION, 0x0f, 0xc7, 0xf8), FOREIGN("rdpid", ENCODING, 0xf3, 0x0f, 0xc7, 0xf8),
	FOREIGN("incssp", ENCODING, 0xf3, 0x0f, 0xae, 0xe8), FOREIGN("umonitor", ENCODING, 0xf3, 0x0f, 0xae, 0xf0),
	FOREIGN("tpause", ENCODING, 0x66, 0x0f, 0xae, 0xf0), FOREIGN("clwb", ENCODING, 0x65, 0x67, 0x66, 0x0f, 0xae, 0x33),
	FOREIGN("clflushopt", ENCODING, 0x65, 0x67, 0x66, 0x0f, 0xae, 0x3b), FOREIGN("rdsspd", BYTES, 0xf3, 0x0f, 0x1e, 0xc8),
	FOREIGN("xbegin", INSTRUCTION, 0xc7, 0xf8, 0, 0, 0, 0), FOREIGN("xabort", INSTRUCTION, 0xc6, 0xf8, 0), FOREIGN("xlat", INSTRUCTION, 0xd7),
	FOREIGN("movdir64b", BYTES, 0x66, 0x0f, 0x38, 0xf8, 0x03), FOREIGN("enqcmd", BYTES, 0xf2, 0x0f, 0x38, 0xf8, 0x03),
	FOREIGN("maskmovq", INSTRUCTION, 0x0f, 0xf7, 0xc1), FOREIGN("maskmovdqu", INSTRUCTION, 0x66, 0x0f, 0xf7, 0xc1),
	FOREIGN("adcx", INSTRUCTION, 0x66, 0x0f, 0x38, 0xf6, 0xc3), FOREIGN("aesenc", INSTRUCTION, 0x66, 0x0f, 0x38, 0xdc, 0xc1),
	FOREIGN("pclmulqdq", INSTRUCTION, 0x66, 0x0f, 0x3a, 0x44, 0xc1, 0), FOREIGN("femms", INSTRUCTION, 0x0f, 0x0e),
	FOREIGN("tzcnt", ENCODING, 0xf3, 0x0f, 0xbc, 0xc3), FOREIGN("popf", GLUE, 0x9d), FOREIGN("pushf", GLUE, 0x9c), FOREIGN("push rax", INSTRUCTION, 0x50),
	FOREIGN("push imm", INSTRUCTION, 0x68, 0, 0, 0, 0), FOREIGN("push [gs:ebx]", INSTRUCTION, 0x65, 0x67, 0xff, 0x33),
	FOREIGN("pop rax", INSTRUCTION, 0x58), FOREIGN("pop [gs:ebx]", INSTRUCTION, 0x65, 0x67, 0x8f, 0x03), FOREIGN("push r8", GLUE, 0x41, 0x50),
	FOREIGN("pop r8", GLUE, 0x41, 0x58), FOREIGN("enter", INSTRUCTION, 0xc8, 8, 0, 0), FOREIGN("leave", INSTRUCTION, 0xc9),
	FOREIGN("ret 16", INSTRUCTION, 0xc2, 16, 0), FOREIGN("a NOP with an operand", MEMORY, 0x0f, 0x1f, 0x03),
	FOREIGN("prefetch", INSTRUCTION, 0x65, 0x67, 0x0f, 0x18, 0x0b), FOREIGN("xop", BYTES, 0x8f, 0xe9, 0x78, 0x01, 0xc8),
	FOREIGN("arpl's opcode", INSTRUCTION, 0x63, 0xc3), FOREIGN("getsec", INSTRUCTION, 0x0f, 0x37), FOREIGN("pconfig", BYTES, 0x0f, 0x01, 0xc5),
};

Test(verify, foreign_instructions)
{
	for (unsigned i = 0; i < RF_ARRAY_SIZE(foreign); i++)
		damage(&foreign[i]);
}

/* --- damage beside the code --- */

Test(verify, places)
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
	tu->body_len = 14 + 5; /* a push, LEA, CALL */
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

Test(verify, modes)
{
	static const struct { const char *in; uint32_t clear, set; } wrong[] = {
		{ "fpu", MODE_FPU, 0 }, { "mmx", MODE_FPU, 0 }, { "sse", MODE_SSE, 0 }, { "rdtsc", MODE_TSC, 0 }, { "interrupt flag", 0, 3 },
		{ "flags", 0, 3 }, { "ring 0", 0, 3 },
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
static void aim(struct tu *tu, uint32_t offset, hva_t target)
{
	link_patch_rel32(vf->tr, vf_host(vf, tu) + offset, target);
}

static uint32_t insn_end(const char *text)
{
	const int i = find_insn(text, 0);

	cr_assert_neq(i, -1);
	return list[i].offset + list[i].len;
}

Test(verify, stubs)
{
	struct tu *tu = vf_translate(vf, vf_find("interpreted"));
	struct translator *tr = vf->tr;
	const struct { const char *what; hva_t target; enum verify_rule rule; } wrong[] = {
		{ "a callout to where C code enters", tr->stub_enter, VERIFY_BRANCH }, { "a callout to the way out", tr->stub_leave, VERIFY_BRANCH },
		{ "a callout to the link stub", tr->stub_link, VERIFY_BRANCH }, { "a callout to the look-up", tr->stub_lookup, VERIFY_BRANCH },
		{ "a callout to a missed look-up", tr->stub_lookup_miss, VERIFY_STUB }, { "a callout to a missed return", tr->stub_return_miss, VERIFY_STUB },
		{ "a callout to the sentinel", tr->stub_underflow, VERIFY_BRANCH }, { "a callout of another kind", tr->stub_callout[CALLOUT_INVLPG], VERIFY_MODE },
		{ "a callout to the software TLB", tr->stub_soft[SOFT_READ], VERIFY_STUB }, { "a callout to C", (hva_t)verify_tu, VERIFY_BRANCH },
		{ "a callout to its own unit", tu->entry, VERIFY_BRANCH }, { "ring 0's segment load", tr->stub_segment[X86_FS], VERIFY_MODE },
		{ "the middle of ring 0's segment load", tr->stub_segment[X86_FS] + 1, VERIFY_BRANCH },
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
	aim(tu, insn_end("call") - 4, tr->stub_soft[SOFT_READ]);
	expect_refused(tu, "a store looked up as a load", VERIFY_MEMORY);
}

Test(verify, direct_links)
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
Test(verify, links_come_and_go)
{
	struct vf *own = vf_create(true);
	struct cpu *cpu = aligned_alloc(64, (sizeof(*cpu) + 63) & ~63ul);
	struct tu *tu, *there;
	struct tu_exit *exit;

	for (unsigned global = 0; global < 2; global++) {
		for (unsigned i = 0; i < 2; i++) {
			own->global = global;
			tu = vf_translate(own, vf_find(i ? "call far away" : "jcc"));
			translator_use_space(own->tr, cpu, own->space, tu->mode);
			for (unsigned e = 0; e < tu->nexits; e++) {
				exit = &own->tr->exits[tu->first_exit + e];
				there = vf_find_tu(own, exit->target, tu->mode);
				translator_link(own->tr, own->space, tu->first_exit + e, there);
				translator_cache_branch(own->tr, own->space, there);
				verify_tables_or_abort(own->tr);
				translator_invalidate(own->tr, exit->target, 1);
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
	free(cpu);
	vf_destroy(own);
}

static void expect_tables(bool fine, const char *what)
{
	const struct verify_failure *f = verify_tables(vf->verifier, vf->tr);

	cr_expect_eq(!f, fine, "%s: %s", what, f ? f->why : "accepted");
	cr_expect(!f || f->rule == VERIFY_TABLE, "%s", what);
}

Test(verify, tables)
{
	struct cpu *cpu = aligned_alloc(64, (sizeof(*cpu) + 63) & ~63ul);
	struct tu *tu = vf_translate(vf, vf_find("call far away")), *there, *other;
	const struct tu_exit *exit = &vf->tr->exits[tu->first_exit];
	struct branch_entry *entry;

	translator_use_space(vf->tr, cpu, vf->space, tu->mode);
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
	entry = &branch_cache_find(vf->space, tu->mode)->entries[there->eip & (BRANCH_CACHE_ENTRIES - 1)];
	entry->host = other->entry;
	expect_tables(false, "an entry of another unit");
	entry->host = (hva_t)verify_tables;
	expect_tables(false, "an entry of no unit");
	entry->host = there->entry;
	there->mode ^= MODE_DS_FLAT;
	expect_tables(false, "an entry of another mode");
	there->mode ^= MODE_DS_FLAT;
	expect_tables(true, "mended");
	vf->tr->link_template[exit->slot] = tu->entry;
	expect_refused(tu, "a slot's unlinked state elsewhere", VERIFY_TABLE);
	free(cpu);
}
