/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * 16-bit code in the translating engine: that it is translated, where limits lie, and what depends
 * on the code segment (code16_fixture.h).
 */
#include <string.h>
#include "code16_fixture.h"

TestSuite(bt_code16, .timeout = 300);

/* --- that it is translated --- */

#define LOOPS 20000u

Test(bt_code16, a_loop_costs_no_callouts)
{
	struct bf *bf = bf_create("bt", NULL);
	struct code c;

	code16_reset(bf);
	c = code_at(bf, CODE);
	bf->cpu->regs[X86_ECX] = LOOPS;
	EMIT(&c, 0x8b, 0x07, 0x40, 0x89, 0x07); /* mov ax, [bx]; inc ax; mov [bx], ax */
	EMIT(&c, 0x50, 0x5a);                   /* push ax; pop dx */
	EMIT(&c, 0xe8, 4, 0);                   /* call the RET */
	EMIT(&c, 0xe2, 0xf4);                   /* loop */
	STOP(&c);
	EMIT(&c, 0xc3);
	code16_run(bf);
	EXPECT_EQ(code16_interrupt(bf), -1);
	EXPECT_EQ(bf->cpu->regs[X86_ECX], 0);
	EXPECT_EQ(bf->cpu->regs[X86_EDX], LOOPS);
	cr_expect_eq(bf_stat(bf, "dispatcher", "callouts_interpret"), 1, "the OUT");
	cr_expect_leq(bf_stat(bf, "dispatcher", "entries"), 8);
	cr_expect_leq(bf_stat(bf, "dispatcher", "interpreted"), 2);
	bf_destroy(bf);
}

/* 66 before them, which words have in host code, would make others of them. */
static void fences_are_fences(struct bf *bf)
{
	struct code c = code_at(bf, CODE);

	EMIT(&c, 0xbb, 0x00, 0x01);             /* mov bx, 100h */
	EMIT(&c, 0x66, 0xb8); EMIT32(&c, 0x12345678); /* mov eax, */
	EMIT(&c, 0x31, 0xd2);                   /* xor dx, dx: ZF */
	EMIT(&c, 0x0f, 0xae, 0xf0);             /* mfence */
	EMIT(&c, 0x0f, 0xae, 0xe8);             /* lfence */
	EMIT(&c, 0x0f, 0xae, 0xf8);             /* sfence */
	EMIT(&c, 0x0f, 0xae, 0x3f);             /* clflush [bx] */
	EMIT(&c, 0x0f, 0xc3, 0x07);             /* movnti [bx], eax */
	EMIT(&c, 0x9c, 0x5e);                   /* pushf; pop si */
	STOP(&c);
	code16_run(bf);
	EXPECT_EQ(code16_interrupt(bf), -1);
	EXPECT_EQ(bf_read32(bf, DATA + 0x100), 0x12345678);
	EXPECT_EQ(bf->cpu->regs[X86_ESI] & 0x40, 0x40);
	if (!strcmp(bf->name, "bt"))
		cr_expect_eq(bf_stat(bf, "dispatcher", "host_traps"), 0);
}

Test(bt_code16, fences_are_fences) { code16_in_both(fences_are_fences); }

/* --- limits (SDM vol. 3, 5.3; real mode: 20.1) --- */

static void a_word_at_ffff_faults(struct bf *bf)
{
	struct code c = code_at(bf, CODE);

	EMIT(&c, 0xbb, 0xff, 0xff);       /* mov bx, ffffh */
	EMIT(&c, 0x8a, 0x07);             /* mov al, [bx]: the last byte is there */
	EMIT(&c, 0x89, 0x07);             /* mov [bx], ax */
	STOP(&c);
	code16_run(bf);
	EXPECT_EQ(code16_interrupt(bf), EXC_GP);
	EXPECT_EQ(code16_pushed(bf, 0), CODE + 5);
}

Test(bt_code16, a_word_at_ffff_faults) { code16_in_both(a_word_at_ffff_faults); }

static void a_known_offset_faults_too(struct bf *bf)
{
	struct code c = code_at(bf, CODE);

	EMIT(&c, 0xa0, 0xff, 0xff);       /* mov al, [ffffh] */
	EMIT(&c, 0xa1, 0xff, 0xff);       /* mov ax, [ffffh] */
	STOP(&c);
	code16_run(bf);
	EXPECT_EQ(code16_interrupt(bf), EXC_GP);
	EXPECT_EQ(code16_pushed(bf, 0), CODE + 3);
}

Test(bt_code16, a_known_offset_faults_too) { code16_in_both(a_known_offset_faults_too); }

/* 67h: an offset of 32 bits, with the limit at 64 KiB, and in unreal mode. */
static void a_large_offset_needs_a_large_limit(struct bf *bf)
{
	struct code c = code_at(bf, CODE);

	bf->cpu->seg[X86_ES] = (struct segment){ 0, 0x93, 0, 0xffffffff };
	bf->cpu->regs[X86_EBX] = 0x123456;
	bf_write32(bf, 0x123456, 0x5a);
	EMIT(&c, 0x26, 0x67, 0x8a, 0x03); /* mov al, es:[ebx] */
	EMIT(&c, 0x67, 0x8a, 0x23);       /* mov ah, [ebx] */
	STOP(&c);
	code16_run(bf);
	EXPECT_EQ(code16_interrupt(bf), EXC_GP);
	EXPECT_EQ(code16_pushed(bf, 0), CODE + 4);
	EXPECT_EQ(bf->cpu->regs[X86_EAX], 0x5a);
}

Test(bt_code16, a_large_offset_needs_a_large_limit)
{
	code16_in_both(a_large_offset_needs_a_large_limit);
}

/* The word at SP = FFFFh; SP wraps from 0 to FFFEh without a fault. */
static void the_stack_wraps_between_words_only(struct bf *bf)
{
	struct code c = code_at(bf, CODE);

	bf->cpu->seg[X86_SS] = (struct segment){ 0x3000, 0x93, 0x30000, 0xffff };
	bf->cpu->regs[X86_ESP] = 0x12340000;
	EMIT(&c, 0x50);                   /* push ax */
	EMIT(&c, 0x89, 0xe2);             /* mov dx, sp */
	EMIT(&c, 0x31, 0xe4, 0x44, 0x50); /* xor sp, sp; inc sp; push ax */
	STOP(&c);
	EXPECT_EQ(bf_run(bf, &(int){ 0 }), BF_TRIPLE_FAULT); /* #SS has no stack either */
	EXPECT_EQ(bf->cpu->regs[X86_EDX] & 0xffff, 0xfffe);
	EXPECT_EQ(bf->cpu->regs[X86_ESP] >> 16, 0x1234);
}

Test(bt_code16, the_stack_wraps_between_words_only)
{
	code16_in_both(the_stack_wraps_between_words_only);
}

/* Code that runs to the end of its segment, and a jump that wraps there. */
static void code_ends_at_ffff(struct bf *bf)
{
	struct code c = code_at(bf, 0xfff0), low = code_at(bf, 0x400);

	EMIT(&c, 0x40, 0xe9, 0x0c, 0x04); /* inc ax; jmp to 400h */
	EMIT(&low, 0x40, 0xe9, 0xfb, 0xfb); /* inc ax; jmp to ffffh */
	BF_CODE_AT(bf, 0xffff, 0x40);     /* inc ax, and no further */
	bf->cpu->eip = 0xfff0;
	code16_run(bf);
	EXPECT_EQ(code16_interrupt(bf), EXC_GP);
	EXPECT_EQ(bf->cpu->regs[X86_EAX], 3);
	EXPECT_EQ(code16_pushed(bf, 0), 0);      /* the low half of 10000h */
}

Test(bt_code16, code_ends_at_ffff) { code16_in_both(code_ends_at_ffff); }

/* --- code segments --- */

/* The same bytes under two bases: what is pushed and where jumps lead differ. */
static void a_call_pushes_the_offset_of_its_segment(struct bf *bf)
{
	struct code c = code_at(bf, CODE);

	EMIT(&c, 0xe8, 0, 0, 0x58);       /* call next; pop ax */
	EMIT(&c, 0x85, 0xd2, 0x75, 8);    /* test dx, dx; jnz the end */
	EMIT(&c, 0x89, 0xc2);             /* mov dx, ax */
	EMIT(&c, 0xea, 0, 0, CODE >> 4 & 0xff, CODE >> 12); /* jmp to itself as 0800:0000 */
	EMIT(&c, 0x90);
	STOP(&c);
	code16_run(bf);
	EXPECT_EQ(code16_interrupt(bf), -1);
	EXPECT_EQ(bf->cpu->regs[X86_EDX], CODE + 3);
	EXPECT_EQ(bf->cpu->regs[X86_EAX], 3);
}

Test(bt_code16, a_call_pushes_the_offset_of_its_segment)
{
	code16_in_both(a_call_pushes_the_offset_of_its_segment);
}

/* JMP FAR to the next offset, in another segment: not the next instruction. */
static void a_far_jump_to_the_next_offset(struct bf *bf)
{
	struct code c = code_at(bf, CODE), other = code_at(bf, 0x10000 + CODE + 5);

	EMIT(&c, 0xea, (CODE + 5) & 0xff, CODE >> 8, 0, 0x10);
	EMIT(&c, 0x43, BF_STOP);          /* inc bx */
	EMIT(&other, 0x42);               /* inc dx */
	STOP(&other);
	code16_run(bf);
	EXPECT_EQ(bf->cpu->regs[X86_EBX], 0);
	EXPECT_EQ(bf->cpu->regs[X86_EDX], 1);
}

Test(bt_code16, a_far_jump_to_the_next_offset) { code16_in_both(a_far_jump_to_the_next_offset); }

/* More code segments than there are numbers for. */
static void as_many_code_segments_as_there_are(struct bf *bf)
{
	struct code c = code_at(bf, CODE);

	/* Each time round, one paragraph higher: the code is there in all of them. */
	for (uint32_t at = CODE; at < CODE + 0x10000; at += 16) {
		c = code_at(bf, at);
		EMIT(&c, 0x40);                     /* inc ax */
		EMIT(&c, 0x42, 0x52, 0x56, 0x49);   /* inc dx; push dx; push si; dec cx */
		EMIT(&c, 0x74, 1, 0xcb);            /* jz; retf */
		STOP(&c);
	}
	bf->cpu->regs[X86_ESI] = CODE;
	bf->cpu->regs[X86_ECX] = 0x1000;
	code16_run(bf);
	EXPECT_EQ(bf->cpu->regs[X86_EAX], 0x1000);
	EXPECT_EQ(bf->cpu->seg[X86_CS].selector, 0xfff);
}

Test(bt_code16, as_many_code_segments_as_there_are)
{
	code16_in_both(as_many_code_segments_as_there_are);
}

/* --- virtual-8086 mode --- */

Test(bt_code16, v86_is_translated_and_ends_in_ring_0)
{
	struct bf *bf = bf_create("bt", NULL);
	int vector;

	bf_reset(bf, 3, true);
	for (unsigned s = 0; s < X86_NSEG; s++)
		bf->cpu->seg[s] = (struct segment){ DATA_SEGMENT, 0xf3, DATA, 0xffff };
	bf->cpu->eflags |= X86_VM;
	bf->cpu->eip = 0x100;
	bf->cpu->regs[X86_ESP] = 0x8000;
	bf->cpu->regs[X86_ECX] = LOOPS;
	BF_CODE_AT(bf, DATA + 0x100, 0x50, 0x5a, 0xe2, 0xfc, 0xfa); /* push; pop; loop; cli */
	EXPECT_EQ(bf_run(bf, &vector), BF_EXCEPTION);
	EXPECT_EQ(vector, EXC_GP);
	EXPECT_EQ(bf_read32(bf, bf->cpu->regs[X86_ESP] + 4), 0x104);
	cr_expect_leq(bf_stat(bf, "dispatcher", "callouts_interpret"), 2, "CLI, and OUT in ring 0");
	cr_expect_leq(bf_stat(bf, "dispatcher", "interpreted"), 3);
	bf_destroy(bf);
}
