/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Instructions and mode bits that only -cpu max has, in translated code. Every guest program runs
 * in every configuration of bt_configurations.h.
 */
#include "bt_code.h"
#include "bt_configurations.h"

TestSuite(bt_features, .timeout = 300);

/* lzcnt edx, ecx; lzcnt si, [BF_DATA]; then their flags, by LAHF, in edi and eax. */
static void lzcnt_counts(struct bf *bf)
{
	static const struct { uint32_t source, count, count16; uint8_t flags, flags16; } cases[] = {
		{ 0x00010001, 15, 15, 0, 0 }, { 0, 32, 16, X86_CF, X86_CF },
		{ 0xffff8000, 0, 0, X86_ZF, X86_ZF }, { 0xffff0000, 0, 16, X86_ZF, X86_CF },
	};

	for (size_t i = 0; i < RF_ARRAY_SIZE(cases); i++) {
		struct code c = code_at(bf, BF_CODE);

		bf_write32(bf, BF_DATA, cases[i].source);
		MOV(&c, X86_ECX, cases[i].source);
		MOV(&c, X86_ESI, 0x55555555);
		EMIT(&c, 0xf3, 0x0f, 0xbd, 0xd1, 0x9f, 0x89, 0xc7);
		EMIT(&c, 0x66, 0xf3, 0x0f, 0xbd, 0x35); EMIT32(&c, BF_DATA);
		EMIT(&c, 0x9f);
		STOP(&c);
		bf_reset(bf, bf->cpu->cpl, bf->cpu->cr0 & CR0_PG);
		run_to_stop(bf);
		EXPECT_EQ(bf->cpu->regs[X86_EDX], cases[i].count);
		EXPECT_EQ(bf->cpu->regs[X86_ESI], 0x55550000 | cases[i].count16);
		EXPECT_EQ(bf->cpu->regs[X86_EDI] >> 8 & (X86_CF | X86_ZF), cases[i].flags);
		EXPECT_EQ(bf->cpu->regs[X86_EAX] >> 8 & (X86_CF | X86_ZF), cases[i].flags16);
	}
}

TEST_IN_ALL(bt_features, lzcnt_counts)

static void expect_exception(struct bf *bf, int wanted, uint32_t error, uint32_t eip)
{
	int vector;

	cr_expect_eq(bf_run(bf, &vector), BF_EXCEPTION, "[%s] no exception", bf->name);
	EXPECT_EQ(vector, wanted);
	EXPECT_EQ(bf_read32(bf, bf->cpu->regs[X86_ESP]), error);
	EXPECT_EQ(bf_read32(bf, bf->cpu->regs[X86_ESP] + 4), eip);
}

/* SGDT, SIDT, SLDT, STR, SMSW of translated code: refused outside ring 0, and store nothing. */
static void umip_refuses(struct bf *bf)
{
	static const uint8_t modrm[][2] = { { 0x01, 0x05 }, { 0x01, 0x0d }, { 0x00, 0x05 },
					    { 0x00, 0x0d }, { 0x01, 0x25 }, { 0x01, 0xe0 },
					    { 0x00, 0xc0 }, { 0x00, 0xc8 } };

	for (size_t i = 0; i < RF_ARRAY_SIZE(modrm); i++) {
		struct code c = code_at(bf, BF_CODE);
		uint32_t at;

		bf_write32(bf, BF_DATA, 0x77777777);
		MOV(&c, X86_EAX, 0x12345678);
		at = c.at;
		EMIT(&c, 0x0f, modrm[i][0], modrm[i][1]);
		if (modrm[i][1] < 0xc0)
			EMIT32(&c, BF_DATA);
		STOP(&c);
		bf_reset(bf, bf->cpu->cpl, bf->cpu->cr0 & CR0_PG);
		bf->cpu->cr4 |= CR4_UMIP;
		if (bf->cpu->cpl) {
			expect_exception(bf, EXC_GP, 0, at);
			EXPECT_EQ(bf_read32(bf, BF_DATA), 0x77777777);
			EXPECT_EQ(bf->cpu->regs[X86_EAX], 0x12345678);
		} else {
			run_to_stop(bf);
		}
	}
}

TEST_IN_ALL(bt_features, umip_refuses)

/* Two RDTSCPs, the second after the first; RDPID to a register and to ESP; flags stay. */
static void rdtscp_and_rdpid(struct bf *bf)
{
	struct code c = code_at(bf, BF_CODE);

	EMIT(&c, 0xf9, 0x0f, 0x01, 0xf9);              /* stc; rdtscp */
	EMIT(&c, 0x89, 0xc6, 0x89, 0xd7, 0x89, 0xcd);  /* mov esi, eax; edi, edx; ebp, ecx */
	EMIT(&c, 0x0f, 0x01, 0xf9, 0x19, 0xdb);        /* rdtscp; sbb ebx, ebx */
	EMIT(&c, 0x29, 0xf0, 0x19, 0xfa);              /* sub eax, esi; sbb edx, edi */
	EMIT(&c, 0xf3, 0x0f, 0xc7, 0xfe);              /* rdpid esi */
	EMIT(&c, 0x89, 0xe7, 0xf3, 0x0f, 0xc7, 0xfc);  /* mov edi, esp; rdpid esp */
	EMIT(&c, 0x87, 0xe7);                          /* xchg edi, esp */
	STOP(&c);
	bf->cpu->tsc_aux = 0x87654321;
	run_to_stop(bf);
	EXPECT_EQ(bf->cpu->regs[X86_EBP], 0x87654321);
	EXPECT_EQ(bf->cpu->regs[X86_ECX], 0x87654321);
	EXPECT_EQ(bf->cpu->regs[X86_ESI], 0x87654321);
	EXPECT_EQ(bf->cpu->regs[X86_EDI], 0x87654321);
	EXPECT_EQ(bf->cpu->regs[X86_EBX], 0xffffffff);
	cr_expect_lt(bf->cpu->regs[X86_EDX], 64, "[%s] time ran backwards", bf->name);
}

TEST_IN_ALL(bt_features, rdtscp_and_rdpid)

/* --- SMEP --- */

static void set_pte(struct bf *bf, uint32_t gva, uint32_t remove, uint32_t add)
{
	bf_write32(bf, BF_PTE_AT(gva), (bf_read32(bf, BF_PTE_AT(gva)) & ~remove) | add);
}

/* The program's own page is the supervisor's; the function it calls is in a user page. */
static struct code smep_code(struct bf *bf)
{
	write_value_function(bf, FUNCTION, 0x1234);
	for (uint32_t page = 0; page < 2; page++) {
		set_pte(bf, BF_CODE + page * GUEST_PAGE_SIZE, PTE_U, 0);
		set_pte(bf, FUNCTION + page * GUEST_PAGE_SIZE, 0, PTE_U);
	}
	bf_flush(bf);
	return code_at(bf, BF_CODE);
}

#define MOV_TO_CR4(c)   EMIT(c, 0x0f, 0x22, 0xe0)
#define MOV_FROM_CR4(c) EMIT(c, 0x0f, 0x20, 0xe0)

/* A call that has been made and linked, and is in the branch cache, is made no more. */
static void smep_ends_calls(struct bf *bf, bool indirect)
{
	struct code c = smep_code(bf);
	uint32_t loop;

	MOV(&c, X86_ESI, 3);
	MOV(&c, X86_EDI, FUNCTION);
	loop = c.at;
	if (indirect)
		EMIT(&c, 0xff, 0xd7);            /* call edi */
	else
		CALL(&c, FUNCTION);
	EMIT(&c, 0x89, 0xc3);                    /* mov ebx, eax */
	EMIT(&c, 0x4e);                          /* dec esi */
	JNZ(&c, loop);
	MOV_FROM_CR4(&c);
	EMIT(&c, 0x0d); EMIT32(&c, CR4_SMEP);    /* or eax, SMEP */
	MOV_TO_CR4(&c);
	MOV(&c, X86_ESI, 3);
	JMP(&c, loop);
	expect_exception(bf, EXC_PF, PFE_P | PFE_I, FUNCTION);
	EXPECT_EQ(bf->cpu->regs[X86_EBX], 0x1234);
	EXPECT_EQ(bf->cpu->regs[X86_ESI], 3);
	EXPECT_EQ(bf->cpu->cr2, FUNCTION);
}

static void smep_ends_direct_calls(struct bf *bf)
{
	smep_ends_calls(bf, false);
}

static void smep_ends_indirect_calls(struct bf *bf)
{
	smep_ends_calls(bf, true);
}

/* A page that the supervisor executes becomes the user's, and INVLPG tells. */
static void smep_takes_code_away(struct bf *bf)
{
	struct code c = smep_code(bf);
	uint32_t loop;

	set_pte(bf, FUNCTION, PTE_U, 0);
	bf->cpu->cr4 |= CR4_SMEP;
	bf_flush(bf);
	MOV(&c, X86_ESI, 3);
	loop = c.at;
	CALL(&c, FUNCTION);
	EMIT(&c, 0x4e);
	JNZ(&c, loop);
	EMIT(&c, 0x83, 0x0d); EMIT32(&c, BF_PTE_AT(FUNCTION));          /* or [], U */
	EMIT(&c, PTE_U);
	EMIT(&c, 0x0f, 0x01, 0x3d); EMIT32(&c, FUNCTION);               /* invlpg */
	MOV(&c, X86_ESI, 3);
	JMP(&c, loop);
	expect_exception(bf, EXC_PF, PFE_P | PFE_I, FUNCTION);
	EXPECT_EQ(bf->cpu->regs[X86_EAX], 0x1234);
	EXPECT_EQ(bf->cpu->regs[X86_ESI], 3);
}

/* The code that sets the bit is in a user page: it ends there. */
static void smep_ends_its_own_page(struct bf *bf)
{
	struct code c = code_at(bf, BF_CODE);
	uint32_t next;

	MOV_FROM_CR4(&c);
	EMIT(&c, 0x0d); EMIT32(&c, CR4_SMEP);
	MOV_TO_CR4(&c);
	next = c.at;
	MOV(&c, X86_EBX, 1);
	STOP(&c);
	expect_exception(bf, EXC_PF, PFE_P | PFE_I, next);
	EXPECT_EQ(bf->cpu->regs[X86_EBX], 0);
}

Test(bt_features, smep)
{
	in_all(smep_ends_direct_calls, 0, true);
	in_all(smep_ends_indirect_calls, 0, true);
	in_all(smep_takes_code_away, 0, true);
	in_all(smep_ends_its_own_page, 0, true);
}

/* --- SMAP --- */

#define STAC(c) EMIT(c, 0x0f, 0x01, 0xcb)
#define CLAC(c) EMIT(c, 0x0f, 0x01, 0xca)
#define USER_WORD BF_DATA
#define SUPERVISOR_WORD (BF_DATA + BF_SUPERVISOR_PAGE * GUEST_PAGE_SIZE)
#define STACK_PAGE (BF_DATA + BF_SUPERVISOR_PAGE * GUEST_PAGE_SIZE)

/* The stack and the program are the supervisor's. */
static struct code smap_code(struct bf *bf)
{
	for (uint32_t page = 0; page < 2; page++)
		set_pte(bf, BF_CODE + page * GUEST_PAGE_SIZE, PTE_U, 0);
	bf->cpu->cr4 |= CR4_SMAP | CR4_SMEP;
	bf->cpu->regs[X86_ESP] = STACK_PAGE + 0x800;
	bf_write32(bf, USER_WORD, 0x11111111);
	bf_write32(bf, SUPERVISOR_WORD, 0x22222222);
	bf_flush(bf);
	return code_at(bf, BF_CODE);
}

static void load_ecx(struct code *c, uint32_t gva)
{
	EMIT(c, 0x8b, 0x0d); EMIT32(c, gva);
}

/* One instruction touches both kinds of pages, with AC set; then it is set no more. */
static void smap_heeds_ac(struct bf *bf)
{
	struct code c = smap_code(bf);
	uint32_t loop, at;

	MOV(&c, X86_ESI, 20);
	MOV(&c, X86_EDI, USER_WORD);
	loop = c.at;
	STAC(&c);
	at = c.at;
	EMIT(&c, 0x8b, 0x1f, 0x89, 0x5f, 0x04);       /* mov ebx, [edi]; mov [edi+4], ebx */
	CLAC(&c);
	load_ecx(&c, SUPERVISOR_WORD);
	EMIT(&c, 0x31, 0xdb, 0x43, 0x4e);             /* xor ebx, ebx; inc ebx; dec esi */
	JNZ(&c, loop);
	MOV(&c, X86_EDI, SUPERVISOR_WORD);
	MOV(&c, X86_ESI, 2);
	loop = c.at;
	EMIT(&c, 0x4e);
	JNZ(&c, loop);
	MOV(&c, X86_EDI, USER_WORD);
	JMP(&c, at);
	expect_exception(bf, EXC_PF, PFE_P, at);
	EXPECT_EQ(bf->cpu->cr2, USER_WORD);
	EXPECT_EQ(bf->cpu->regs[X86_ECX], 0x22222222);
	EXPECT_EQ(bf->cpu->regs[X86_EBX], 1);
	EXPECT_EQ(bf_read32(bf, USER_WORD + 4), 0x11111111);
}

/* AC by POPF, and what PUSHF shows of it. */
static void smap_and_popf(struct bf *bf)
{
	struct code c = smap_code(bf);
	uint32_t at;

	STAC(&c);
	EMIT(&c, 0x9c, 0x5d);                         /* pushf; pop ebp */
	load_ecx(&c, USER_WORD);
	CLAC(&c);
	EMIT(&c, 0x9c, 0x5a);                         /* pushf; pop edx */
	for (int i = 0; i < 3; i++) {
		EMIT(&c, 0x55, 0x9d);                 /* push ebp; popf */
		load_ecx(&c, USER_WORD);
		EMIT(&c, 0xff, 0x05); EMIT32(&c, USER_WORD);
		EMIT(&c, 0x52, 0x9d);                 /* push edx; popf */
	}
	at = c.at;
	EMIT(&c, 0xff, 0x05); EMIT32(&c, USER_WORD);
	expect_exception(bf, EXC_PF, PFE_P | PFE_W, at);
	EXPECT_EQ(bf->cpu->regs[X86_EBP] & X86_AC, X86_AC);
	EXPECT_EQ(bf->cpu->regs[X86_EDX] & X86_AC, 0);
	EXPECT_EQ(bf->cpu->regs[X86_ECX], 0x11111113);
	EXPECT_EQ(bf_read32(bf, USER_WORD), 0x11111114);
}

/* A page that the kernel window shows becomes the user's; a user page the supervisor's. */
static void smap_follows_changes(struct bf *bf)
{
	struct code c = smap_code(bf);
	uint32_t at;

	load_ecx(&c, SUPERVISOR_WORD);
	STAC(&c);
	EMIT(&c, 0x03, 0x0d); EMIT32(&c, USER_WORD);                    /* add ecx, [] */
	EMIT(&c, 0x83, 0x25); EMIT32(&c, BF_PTE_AT(USER_WORD));         /* and [], ~U */
	EMIT(&c, (uint8_t)~PTE_U);
	EMIT(&c, 0x0f, 0x01, 0x3d); EMIT32(&c, USER_WORD);              /* invlpg */
	CLAC(&c);
	EMIT(&c, 0x03, 0x0d); EMIT32(&c, USER_WORD);
	EMIT(&c, 0x83, 0x0d); EMIT32(&c, BF_PTE_AT(USER_WORD));         /* or [], U */
	EMIT(&c, PTE_U);
	EMIT(&c, 0x0f, 0x01, 0x3d); EMIT32(&c, USER_WORD);
	at = c.at;
	EMIT(&c, 0x03, 0x0d); EMIT32(&c, USER_WORD);
	expect_exception(bf, EXC_PF, PFE_P, at);
	EXPECT_EQ(bf->cpu->regs[X86_ECX], 0x44444444);
}

/* CR4.SMAP set and cleared while the same code goes on. */
static void smap_by_cr4(struct bf *bf)
{
	struct code c = smap_code(bf);
	uint32_t loop, at;

	bf->cpu->cr4 &= ~CR4_SMAP;
	bf_flush(bf);
	MOV(&c, X86_ESI, 10);
	loop = c.at;
	at = c.at;
	load_ecx(&c, USER_WORD);
	EMIT(&c, 0x4e);
	JNZ(&c, loop);
	MOV_FROM_CR4(&c);
	EMIT(&c, 0x0d); EMIT32(&c, CR4_SMAP);
	MOV_TO_CR4(&c);
	MOV(&c, X86_ESI, 10);
	JMP(&c, loop);
	expect_exception(bf, EXC_PF, PFE_P, at);
	EXPECT_EQ(bf->cpu->regs[X86_ECX], 0x11111111);
}

/* The descriptor table in a user page: AC does not help the processor's own accesses. */
static void smap_bars_implicit_accesses(struct bf *bf)
{
	struct code c = smap_code(bf);
	uint32_t at;
	int vector;

	set_pte(bf, BF_GDT, 0, PTE_U);
	bf_flush(bf);
	MOV(&c, X86_EAX, BF_BASED);
	STAC(&c);
	load_ecx(&c, BF_GDT + BF_KCODE);
	at = c.at;
	EMIT(&c, 0x8e, 0xe0);                         /* mov fs, eax */
	/* Nor can a handler's segment be read: the machine shuts down. */
	cr_expect_eq(bf_run(bf, &vector), BF_TRIPLE_FAULT, "[%s]", bf->name);
	EXPECT_EQ(bf->cpu->eip, at);
	EXPECT_EQ(bf->cpu->regs[X86_ECX], bf_read32(bf, BF_GDT + BF_KCODE));
}

/* A string instruction over the border of a user page, in ring 0 with AC clear. */
static void smap_and_strings(struct bf *bf)
{
	struct code c = smap_code(bf);
	uint32_t at;

	STAC(&c);
	MOV(&c, X86_ESI, USER_WORD);
	MOV(&c, X86_EDI, SUPERVISOR_WORD + 0x100);
	MOV(&c, X86_ECX, 4);
	EMIT(&c, 0xf3, 0xa5);                         /* rep movsd */
	CLAC(&c);
	/* The page after it is the user's. */
	MOV(&c, X86_ESI, SUPERVISOR_WORD + GUEST_PAGE_SIZE - 8);
	MOV(&c, X86_EDI, SUPERVISOR_WORD + 0x200);
	MOV(&c, X86_ECX, 4);
	at = c.at;
	EMIT(&c, 0xf3, 0xa5);
	expect_exception(bf, EXC_PF, PFE_P, at);
	EXPECT_EQ(bf->cpu->regs[X86_ECX], 2);
	EXPECT_EQ(bf->cpu->cr2, SUPERVISOR_WORD + GUEST_PAGE_SIZE);
	EXPECT_EQ(bf_read32(bf, SUPERVISOR_WORD + 0x100), 0x11111111);
}

Test(bt_features, smap)
{
	in_all(smap_heeds_ac, 0, true);
	in_all(smap_and_popf, 0, true);
	in_all(smap_follows_changes, 0, true);
	in_all(smap_by_cr4, 0, true);
	in_all(smap_bars_implicit_accesses, 0, true);
	in_all(smap_and_strings, 0, true);
}

/* #UD above ring 0, and on models without SMAP. */
static void stac_above_ring_0(struct bf *bf)
{
	struct code c = code_at(bf, BF_CODE);
	int vector;

	STAC(&c);
	cr_expect_eq(bf_run(bf, &vector), BF_EXCEPTION, "[%s]", bf->name);
	EXPECT_EQ(vector, EXC_UD);
	EXPECT_EQ(bf_read32(bf, bf->cpu->regs[X86_ESP]), BF_CODE);
}

Test(bt_features, stac_is_ring_0s)
{
	in_all(stac_above_ring_0, 3, true);
}

Test(bt_features, stac_is_of_models_with_smap)
{
	struct bf *bf = bf_create_model("bt", NULL, "pentium3");
	struct code c;
	int vector;

	bf_reset(bf, 0, true);
	c = code_at(bf, BF_CODE);
	STAC(&c);
	cr_expect_eq(bf_run(bf, &vector), BF_EXCEPTION);
	cr_expect_eq(vector, EXC_UD);
	bf_destroy(bf);
}
