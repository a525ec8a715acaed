/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * String instructions in 16-bit code: that single ones are translated, both directions, sizes, and
 * where they fault (SDM vol. 2, the pages of each; vol. 3, 5.3).
 */
#include <string.h>
#include "code16_fixture.h"

TestSuite(bt_code16_strings, .timeout = 300);

#define ROUNDS 5000u
#define SI(bf) ((bf)->cpu->regs[X86_ESI])
#define DI(bf) ((bf)->cpu->regs[X86_EDI])

Test(bt_code16_strings, single_ones_cost_no_callouts)
{
	struct bf *bf = bf_create("bt", NULL);
	struct code c;

	code16_reset(bf);
	c = code_at(bf, CODE);
	bf->cpu->regs[X86_ECX] = ROUNDS;
	EMIT(&c, 0xbe, 0x00, 0x10, 0xbf, 0x00, 0x20); /* mov si, 1000h; mov di, 2000h */
	EMIT(&c, 0xfc);                               /* cld */
	EMIT(&c, 0xac, 0xad, 0x66, 0xad);             /* lodsb; lodsw; lodsd */
	EMIT(&c, 0xaa, 0xab, 0x66, 0xab);             /* stosb; stosw; stosd */
	EMIT(&c, 0xa4, 0xa5, 0x66, 0xa5);             /* movsb; movsw; movsd */
	EMIT(&c, 0xfd);                               /* std */
	EMIT(&c, 0xa6, 0xa7, 0x66, 0xa7);             /* cmpsb; cmpsw; cmpsd */
	EMIT(&c, 0xae, 0xaf, 0x66, 0xaf);             /* scasb; scasw; scasd */
	EMIT(&c, 0x67, 0xa4);                         /* movsb by esi and edi */
	EMIT(&c, 0xe2, 0xdc);                         /* loop */
	STOP(&c);
	code16_run(bf);
	EXPECT_EQ(code16_interrupt(bf), -1);
	EXPECT_EQ(bf->cpu->regs[X86_ECX], 0);
	EXPECT_EQ(SI(bf), 0x1000 + 7 + 7 - 7 - 1);
	EXPECT_EQ(DI(bf), 0x2000 + 7 + 7 - 7 - 7 - 1);
	cr_expect_eq(bf_stat(bf, "dispatcher", "callouts_interpret"), 1, "the OUT");
	cr_expect_leq(bf_stat(bf, "dispatcher", "entries"), 8);
	bf_destroy(bf);
}

static void both_directions(struct bf *bf)
{
	static const char text[] = "abcdefgh";
	struct code c = code_at(bf, CODE);

	bf_write(bf, DATA + 0x100, text, sizeof(text));
	bf->cpu->regs[X86_ESI] = 0xabcd0100;
	bf->cpu->regs[X86_EDI] = 0x12340200;
	EMIT(&c, 0xad, 0xab);             /* lodsw; stosw: ab */
	EMIT(&c, 0xfd);                   /* std */
	EMIT(&c, 0xac, 0xaa);             /* lodsb: c at 102h; stosb at 202h */
	EMIT(&c, 0xfc);                   /* cld */
	EMIT(&c, 0x46, 0x47);             /* inc si, inc di */
	EMIT(&c, 0x66, 0xa5);             /* movsd: from 102h to 202h */
	STOP(&c);
	code16_run(bf);
	EXPECT_EQ(SI(bf), 0xabcd0106);
	EXPECT_EQ(DI(bf), 0x12340206);
	cr_expect(!memcmp(bf->ram + DATA + 0x200, "abcdef", 6), "[%s]", bf->name);
}

Test(bt_code16_strings, both_directions) { code16_in_both(both_directions); }

/* DF comes by POPF, in translated code or not; IRET and interrupt handlers keep and restore it. */
static void whatever_sets_the_direction(struct bf *bf)
{
	struct code c = code_at(bf, CODE), h = code_at(bf, HANDLERS + 16 * 0x20);

	EMIT(&h, 0xaa, 0xfd, 0xaa, 0xcf);     /* stosb; std; stosb; iret */
	bf->cpu->regs[X86_EDI] = 0x100;
	EMIT(&c, 0x68, 0x02, 0x04, 0x9d, 0xaa); /* DF by popf; stosb: ffh */
	EMIT(&c, 0xaa);                         /* stosb: feh */
	EMIT(&c, 0x6a, 0x02, 0x9d, 0xaa);       /* not DF by popf; stosb: ffh */
	EMIT(&c, 0xcd, 0x20);                   /* 100h, ffh */
	EMIT(&c, 0xaa);                         /* and upwards again: 100h */
	EMIT(&c, 0xfd, 0x9c, 0xfc, 0x9d, 0xaa); /* std; pushf; cld; popf; stosb: ffh */
	STOP(&c);
	code16_run(bf);
	EXPECT_EQ(code16_interrupt(bf), -1);
	EXPECT_EQ(DI(bf), 0xff);
}

Test(bt_code16_strings, whatever_sets_the_direction)
{
	code16_in_both(whatever_sets_the_direction);
}

/* Each on its own; what faults has changed nothing. */
static void expect_fault(struct bf *bf, uint8_t opcode, uint16_t si, uint16_t di)
{
	struct code c;

	code16_reset(bf);
	c = code_at(bf, CODE);
	bf->cpu->regs[X86_EAX] = 0x11223344;
	bf->cpu->regs[X86_ESI] = 0xaaaa0000 | si;
	bf->cpu->regs[X86_EDI] = 0xbbbb0000 | di;
	EMIT(&c, opcode);
	STOP(&c);
	code16_run(bf);
	EXPECT_EQ(code16_interrupt(bf), EXC_GP);
	EXPECT_EQ(code16_pushed(bf, 0), CODE);
	EXPECT_EQ(bf->cpu->regs[X86_EAX], 0x11223344);
	EXPECT_EQ(SI(bf), 0xaaaa0000 | si);
	EXPECT_EQ(DI(bf), 0xbbbb0000 | di);
}

static void words_at_ffff_fault(struct bf *bf)
{
	expect_fault(bf, 0xad, 0xffff, 0);
	expect_fault(bf, 0xab, 0, 0xffff);
	expect_fault(bf, 0xa5, 0xffff, 0);
	expect_fault(bf, 0xa5, 0, 0xffff);
	expect_fault(bf, 0xa7, 0xffff, 0);
	expect_fault(bf, 0xa7, 0, 0xffff);
	expect_fault(bf, 0xaf, 0, 0xffff);
}

Test(bt_code16_strings, words_at_ffff_fault) { code16_in_both(words_at_ffff_fault); }

/* Bytes do not; SI and DI wrap, and nothing else does. */
static void offsets_wrap_after_the_access(struct bf *bf)
{
	struct code c = code_at(bf, CODE);

	BF_CODE_AT(bf, DATA + 0xffff, 0x5a);
	bf->cpu->regs[X86_ESI] = 0x7777ffff;
	bf->cpu->regs[X86_EDI] = 0x8888fffe;
	EMIT(&c, 0xac, 0xab);             /* lodsb; stosw at fffeh */
	STOP(&c);
	code16_run(bf);
	EXPECT_EQ(code16_interrupt(bf), -1);
	EXPECT_EQ(bf->cpu->regs[X86_EAX] & 0xff, 0x5a);
	EXPECT_EQ(SI(bf), 0x77770000);
	EXPECT_EQ(DI(bf), 0x88880000);
}

Test(bt_code16_strings, offsets_wrap_after_the_access)
{
	code16_in_both(offsets_wrap_after_the_access);
}

/* CMPS subtracts ES:DI from the source; the flags are those of its size. */
static void comparisons_set_flags(struct bf *bf)
{
	struct code c = code_at(bf, CODE);

	bf_write32(bf, DATA + 0x100, 0x80000001);
	bf_write32(bf, DATA + 0x200, 0x80000002);
	bf->cpu->regs[X86_EAX] = 0x80000001;
	EMIT(&c, 0xbe, 0x00, 0x01, 0xbf, 0x00, 0x02);
	EMIT(&c, 0x66, 0xa7, 0x9c);       /* cmpsd: below; pushf */
	EMIT(&c, 0xbe, 0x02, 0x01, 0xbf, 0x02, 0x02);
	EMIT(&c, 0xa7, 0x9c);             /* cmpsw: equal; pushf */
	EMIT(&c, 0xbf, 0x00, 0x02, 0xae, 0x9c); /* scasb: 1 and 2; pushf */
	STOP(&c);
	code16_run(bf);
	EXPECT_EQ(code16_pushed(bf, 2) & 0x8d5, 0x95);  /* SF, AF, PF, CF */
	EXPECT_EQ(code16_pushed(bf, 1) & 0x8d5, 0x44);  /* ZF, PF */
	EXPECT_EQ(code16_pushed(bf, 0) & 0x8d5, 0x95);
}

Test(bt_code16_strings, comparisons_set_flags) { code16_in_both(comparisons_set_flags); }
