/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Control in translated code: links, calls and returns, indirect branches, and a code cache that is
 * full. Every guest program runs in every configuration of bt_configurations.h.
 */
#include <string.h>
#include "bt_code.h"
#include "bt_configurations.h"

TestSuite(bt_control, .timeout = 300);

static void loop_within_and_across_pages(struct bf *bf)
{
	struct code c = code_at(bf, BF_CODE + 0xff0);
	uint32_t loop;

	MOV(&c, X86_ECX, 5000);
	loop = c.at;
	EMIT(&c, 0x90, 0x90, 0x90, 0x90);
	EMIT(&c, 0x40);                       /* inc eax */
	EMIT(&c, 0x90, 0x90, 0xa9); EMIT32(&c, 1); /* test eax, 1: across the page end */
	EMIT(&c, 0x74, 0x01, 0x43);           /* jz; inc ebx */
	EMIT(&c, 0x49);
	JNZ(&c, loop);
	STOP(&c);
	bf->cpu->eip = BF_CODE + 0xff0;
	run_to_stop(bf);
	EXPECT_EQ(bf->cpu->regs[X86_EAX], 5000);
	EXPECT_EQ(bf->cpu->regs[X86_EBX], 2500);
	EXPECT_EQ(bf->cpu->regs[X86_ECX], 0);
}

TEST_IN_ALL(bt_control, loop_within_and_across_pages)

/* The last page of the address space, and page 0. */
static struct code code_at_the_end(struct bf *bf, uint32_t eip)
{
	bf_write32(bf, BF_PAGE_DIR + 4 * 1023, BF_FREE | BF_PTE_USER);
	bf_write32(bf, BF_FREE + 4 * 1023, (BF_FREE + 0x1000) | BF_PTE_USER);
	bf_flush(bf);
	bf->cpu->eip = eip;
	return code_at(bf, BF_FREE + 0x1000 + (eip & (GUEST_PAGE_SIZE - 1)));
}

/*
 * An instruction with bytes on both sides of the segment's end does not run (SDM vol. 3, 5.3: #GP,
 * or it wraps).
 */
static void instruction_over_the_end_of_the_address_space(struct bf *bf)
{
	struct code c = code_at_the_end(bf, 0xfffffff9), low = code_at(bf, 0);
	int vector = -1;

	MOV(&c, X86_EAX, 0x11111111);
	EMIT(&c, 0xb8, 0x22);                 /* mov eax, ...: three bytes of it at 0 */
	EMIT(&low, 0x22, 0x22, 0x22);
	STOP(&low);
	EXPECT_EQ(bf_run(bf, &vector), BF_EXCEPTION);
	EXPECT_EQ(vector, EXC_GP);
	EXPECT_EQ(bf->cpu->regs[X86_EAX], 0x11111111);
	EXPECT_EQ(bf_read32(bf, bf->cpu->regs[X86_ESP]), 0);
	EXPECT_EQ(bf_read32(bf, bf->cpu->regs[X86_ESP] + 4), 0xfffffffe);
}

static void instruction_up_to_the_end_of_the_address_space(struct bf *bf)
{
	struct code c = code_at_the_end(bf, 0xfffffff6), low = code_at(bf, 0);

	MOV(&c, X86_EAX, 0x11111111);
	MOV(&c, X86_ECX, 0x22222222);
	STOP(&low);
	run_to_stop(bf);
	EXPECT_EQ(bf->cpu->regs[X86_EAX], 0x11111111);
	EXPECT_EQ(bf->cpu->regs[X86_ECX], 0x22222222);
}

Test(bt_control, end_of_the_address_space)
{
	for (unsigned cpl = 0; cpl <= 3; cpl += 3) {
		in_all(instruction_over_the_end_of_the_address_space, cpl, true);
		in_all(instruction_up_to_the_end_of_the_address_space, cpl, true);
	}
}

static void recursion_deeper_than_the_return_stack(struct bf *bf)
{
	struct code c = code_at(bf, BF_CODE), f = code_at(bf, FUNCTION);

	MOV(&c, X86_ECX, 40000);
	CALL(&c, FUNCTION);
	STOP(&c);
	EMIT(&f, 0x49, 0x74, 0x06);           /* dec ecx; jz to the RET */
	CALL(&f, FUNCTION);
	EMIT(&f, 0x40, 0xc3);
	for (int round = 0; round < 2; round++) {
		bf->cpu->regs[X86_EAX] = 0;
		bf->cpu->regs[X86_ESP] = BF_RAM_SIZE;
		bf->cpu->eip = BF_CODE;
		run_to_stop(bf);
		EXPECT_EQ(bf->cpu->regs[X86_EAX], 39999);
		EXPECT_EQ(bf->cpu->regs[X86_ESP], BF_RAM_SIZE);
	}
}

TEST_IN_ALL(bt_control, recursion_deeper_than_the_return_stack)

/* Return addresses that are changed, dropped, and returned to twice. */
static void returns_to_other_places(struct bf *bf)
{
	struct code c = code_at(bf, BF_CODE), f = code_at(bf, FUNCTION),
		    g = code_at(bf, FUNCTION + 0x1000), h = code_at(bf, FUNCTION + 0x2000);
	uint32_t loop;

	MOV(&c, X86_ECX, 1000);
	loop = c.at;
	CALL(&c, FUNCTION);                   /* comes back after the next instruction */
	EMIT(&c, 0x05); EMIT32(&c, 0x100000); /* add eax: skipped */
	EMIT(&c, 0x40);
	CALL(&c, FUNCTION + 0x1000);          /* g calls h, which returns past g */
	EMIT(&c, 0x40);
	EMIT(&c, 0xe8, 0, 0, 0, 0, 0x5a);     /* call next; pop edx */
	EMIT(&c, 0x49);
	JNZ(&c, loop);
	STOP(&c);
	EMIT(&f, 0x83, 0x04, 0x24, 0x05, 0xc3); /* add dword [esp], 5; ret */
	CALL(&g, FUNCTION + 0x2000);
	EMIT(&g, 0x05); EMIT32(&g, 0x100000);
	EMIT(&g, 0xc3);
	EMIT(&h, 0x83, 0xc4, 0x04, 0xc3);     /* add esp, 4; ret */
	run_to_stop(bf);
	EXPECT_EQ(bf->cpu->regs[X86_EAX], 2000);
	EXPECT_EQ(bf->cpu->regs[X86_ESP], BF_DATA + 0x2800);
}

TEST_IN_ALL(bt_control, returns_to_other_places)

/* RET and RETF that drop more than a page; the immediate is not signed. */
static void returns_that_drop_much(struct bf *bf)
{
	static const uint16_t dropped[] = { 0, 4, 0xffc, 0x1000, 0x1004, 0x7ffc, 0x8000, 0xfffc };

	for (unsigned i = 0; i < 2 * RF_ARRAY_SIZE(dropped); i++) {
		const uint16_t n = dropped[i / 2];
		const bool far = i & 1;
		struct code c = code_at(bf, BF_CODE), f = code_at(bf, FUNCTION);
		uint32_t loop;

		MOV(&c, X86_ECX, 50);
		EMIT(&c, 0x89, 0xe5, 0x31, 0xdb);             /* mov ebp, esp; xor ebx, ebx */
		loop = c.at;
		if (far)
			EMIT(&c, 0x0e);                       /* push cs */
		CALL(&c, FUNCTION);
		/* sub esp, ebp; add ebx, esp; mov esp, ebp; dec ecx */
		EMIT(&c, 0x29, 0xec, 0x01, 0xe3, 0x89, 0xec, 0x49);
		JNZ(&c, loop);
		STOP(&c);
		EMIT(&f, far ? 0xca : 0xc2, n & 0xff, n >> 8);
		bf->cpu->eip = BF_CODE;
		run_to_stop(bf);
		EXPECT_EQ(bf->cpu->regs[X86_EBX], 50u * n);
	}
}

TEST_IN_ALL(bt_control, returns_that_drop_much)

/* Targets with the same low bits of EIP share an entry of the branch cache. */
static void colliding_indirect_branches(struct bf *bf)
{
	struct code c = code_at(bf, BF_CODE);
	const unsigned targets = 7, rounds = 700;
	uint32_t loop, sum = 0;

	for (unsigned n = 0; n < targets; n++) {
		write_value_function(bf, FUNCTION + 0x1000 * n + 0x123, 1u << (3 * n));
		bf_write32(bf, BF_DATA + 4 * n, FUNCTION + 0x1000 * n + 0x123);
		sum += (1u << (3 * n)) * (rounds / targets);
	}
	MOV(&c, X86_ECX, rounds);
	EMIT(&c, 0x31, 0xd2);                 /* xor edx, edx */
	loop = c.at;
	EMIT(&c, 0xff, 0x14, 0x95); EMIT32(&c, BF_DATA); /* call [edx*4 + table] */
	EMIT(&c, 0x01, 0xc3, 0x42);           /* add ebx, eax; inc edx */
	EMIT(&c, 0x83, 0xfa, targets, 0x75, 0x02, 0x31, 0xd2); /* cmp edx; jne; xor edx, edx */
	EMIT(&c, 0x49);
	JNZ(&c, loop);
	STOP(&c);
	run_to_stop(bf);
	EXPECT_EQ(bf->cpu->regs[X86_EBX], sum);
}

TEST_IN_ALL(bt_control, colliding_indirect_branches)

/* More code than a tiny cache holds, three times. */
static void more_code_than_cache(struct bf *bf)
{
	const unsigned functions = 12000;
	struct code c = code_at(bf, BF_CODE), f = code_at(bf, FUNCTION);
	uint32_t loop;

	for (unsigned n = 0; n < functions; n++) {
		f.at = FUNCTION + 0x20 * n;
		EMIT(&f, 0x81, 0xc3); EMIT32(&f, n);  /* add ebx, n */
		EMIT(&f, 0x89, 0x1d); EMIT32(&f, BF_DATA); /* mov [], ebx */
		EMIT(&f, 0xc3);
	}
	MOV(&c, X86_EDI, 3);
	loop = c.at;
	MOV(&c, X86_EDX, FUNCTION);
	MOV(&c, X86_ECX, functions);
	/* call edx; add edx, 0x20; dec ecx; jnz */
	EMIT(&c, 0xff, 0xd2, 0x83, 0xc2, 0x20, 0x49, 0x75, 0xf8);
	EMIT(&c, 0x4f);                       /* dec edi */
	JNZ(&c, loop);
	STOP(&c);
	run_to_stop(bf);
	EXPECT_EQ(bf->cpu->regs[X86_EBX], 3 * (functions * (functions - 1) / 2));
	EXPECT_EQ(bf_read32(bf, BF_DATA), bf->cpu->regs[X86_EBX]);
	if (strstr(bf->options, "cache-kib"))
		cr_expect_gt(bf_stat(bf, "translator", "cache_flushes"), 0,
			     "[%s] the cache was never full", bf->name);
}

TEST_IN_ALL(bt_control, more_code_than_cache)
