/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What translated code leaves for a moment and comes back to: callouts of all kinds go on behind themselves, also while an interrupt
 * waits, and keep the FPU state. Every guest program runs in every configuration of bt_configurations.h.
 */
#include <string.h>
#include "bt_code.h"
#include "bt_configurations.h"

TestSuite(bt_callouts, .timeout = 300);

/* What leaves translated code for a moment comes back behind itself, though an event waits that may not be taken. */
static void callouts_while_an_interrupt_waits(struct bf *bf)
{
	struct code c = code_at(bf, BF_CODE);

	EMIT(&c, 0x0f, 0x01, 0x3d); EMIT32(&c, BF_DATA);           /* invlpg [data] */
	EMIT(&c, 0x8c, 0xd8, 0x8e, 0xc0);                          /* mov eax, ds; mov es, eax */
	EMIT(&c, 0x0f, 0x20, 0xd0, 0x0f, 0x22, 0xd0, 0x0f, 0xa2);  /* mov eax, cr2; mov cr2, eax; cpuid */
	EMIT(&c, 0x8a, 0x25); EMIT32(&c, BF_DATA + 0x6000);        /* mov ah, [data + 6000h] */
	STOP(&c);
	atomic_store(&bf->cpu->events, EVENT_INTR);
	run_to_stop(bf);
	EXPECT_EQ(bf->stops, 1);
	atomic_store(&bf->cpu->events, 0);
}

Test(bt_callouts, callouts_while_an_interrupt_waits)
{
	in_all(callouts_while_an_interrupt_waits, 0, true);
}

/* Callouts of all kinds, once going on behind themselves and once leaving for an event: the FPU state stays. */
static void callouts_keep_the_fpu_state(struct bf *bf)
{
	for (unsigned event = 0; event < 2; event++) {
		struct fxsave_image fpu = bf->cpu->fpu;
		struct code c = code_at(bf, BF_CODE);

		fpu.mxcsr = 0x3f80; /* rounding down */
		fpu.fcw = 0x77f;
		fpu.ftw = 0xff;
		for (unsigned i = 0; i < 8; i++) {
			memset(fpu.xmm[i], 0x10 + i + event, 16);
			memset(fpu.st[i], 0x20 + i + event, 10);
		}
		bf->cpu->fpu = fpu;
		EMIT(&c, 0x31, 0xc0, 0x0f, 0xa2, 0xe4, 0x80);             /* xor eax, eax; cpuid; in al, 80h */
		EMIT(&c, 0x0f, 0x20, 0xd8, 0x0f, 0x22, 0xd8);             /* mov eax, cr3; mov cr3, eax */
		EMIT(&c, 0x0f, 0x00, 0xc8, 0x0f, 0x01, 0xe0);             /* str eax; smsw eax */
		EMIT(&c, 0x0f, 0x01, 0x3d); EMIT32(&c, BF_DATA);          /* invlpg [data] */
		EMIT(&c, 0x8c, 0xd8, 0x8e, 0xc0, 0xc8, 0x08, 0, 0, 0xc9); /* mov eax, ds; mov es, eax; enter 8, 0; leave */
		STOP(&c);
		bf->cpu->eip = BF_CODE;
		atomic_store(&bf->cpu->events, event ? EVENT_INTR : 0);
		bf->cpu->eflags = X86_F1;
		run_to_stop(bf);
		atomic_store(&bf->cpu->events, 0);
		EXPECT_EQ(bf->cpu->fpu.mxcsr, fpu.mxcsr);
		EXPECT_EQ(bf->cpu->fpu.fcw, fpu.fcw);
		for (unsigned i = 0; i < 8; i++) {
			EXPECT_EQ(memcmp(bf->cpu->fpu.xmm[i], fpu.xmm[i], 16), 0);
			EXPECT_EQ(memcmp(bf->cpu->fpu.st[i], fpu.st[i], 10), 0);
		}
	}
}

Test(bt_callouts, callouts_keep_the_fpu_state)
{
	in_all(callouts_keep_the_fpu_state, 0, true);
}

/*
 * A page with an instruction that is interpreted (DAA) is mapped to another with FLD1, without a flush: either may run, but
 * the x87 stack stays whole.
 */
static void x87_behind_an_integer_callout(struct bf *bf)
{
	struct code c = code_at(bf, BF_CODE);
	uint32_t loop, top;

	bf_write(bf, REMAPPED, (uint8_t[]){ 0x27, 0x90, 0xc3 }, 3);
	bf_write(bf, REMAPPED - 0x100000, (uint8_t[]){ 0x27, 0x90, 0xc3 }, 3); /* displaces it in the software TLB */
	bf_write(bf, OTHER_FRAME, (uint8_t[]){ 0xd9, 0xe8, 0xc3 }, 3);
	bf_map_page(bf, REMAPPED, REMAPPED);
	EMIT(&c, 0xdb, 0xe3, 0xd9, 0xeb, 0xbb, 3, 0, 0, 0);     /* fninit; fldpi; mov ebx, 3 */
	loop = c.at;
	CALL(&c, REMAPPED);
	CALL(&c, REMAPPED - 0x100000);
	EMIT(&c, 0x83, 0xfb, 0x02, 0x75, 10);                   /* the last round but one remaps */
	EMIT(&c, 0xc7, 0x05); EMIT32(&c, BF_PTE_AT(REMAPPED)); EMIT32(&c, OTHER_FRAME | BF_PTE_USER);
	EMIT(&c, 0x4b); JNZ(&c, loop);
	STOP(&c);
	run_to_stop(bf);
	top = bf->cpu->fpu.fsw >> 11 & 7;
	EXPECT_EQ(bf->cpu->fpu.fsw & 0x7f, 0);
	cr_expect(top == 7 || top == 6, "[%s] TOP is %u", bf->name, top);
	EXPECT_EQ(*(const uint64_t *)bf->cpu->fpu.st[7 - top], 0xc90fdaa22168c235ull);
}

Test(bt_callouts, x87_behind_an_integer_callout)
{
	in_all(x87_behind_an_integer_callout, 0, true);
}
