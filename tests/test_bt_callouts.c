/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What translated code leaves for a moment and comes back to: callouts of all kinds go on after
 * themselves, also while an interrupt waits, and keep the FPU state. Every guest program runs in
 * every configuration of bt_configurations.h.
 */
#include <string.h>
#include "bt_code.h"
#include "bt_configurations.h"

TestSuite(bt_callouts, .timeout = 300);

/*
 * What leaves translated code for a moment comes back after itself, though an event waits that may
 * not be taken.
 */
static void callouts_while_an_interrupt_waits(struct bf *bf)
{
	struct code c = code_at(bf, BF_CODE);

	EMIT(&c, 0x0f, 0x01, 0x3d); EMIT32(&c, BF_DATA);           /* invlpg [data] */
	EMIT(&c, 0x8c, 0xd8, 0x8e, 0xc0);                          /* mov eax, ds; mov es, eax */
	/* mov eax, cr2; mov cr2, eax; cpuid */
	EMIT(&c, 0x0f, 0x20, 0xd0, 0x0f, 0x22, 0xd0, 0x0f, 0xa2);
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

#define ROUNDS 200u

/* mov esi, ROUNDS; what body emits; dec esi; jnz: again. */
static void write_rounds(struct bf *bf, const void *body, unsigned len)
{
	struct code c = code_at(bf, BF_CODE);
	uint32_t again;

	MOV(&c, X86_ESI, ROUNDS);
	again = c.at;
	emit_bytes(&c, body, len);
	EMIT(&c, 0x4e);
	JNZ(&c, again);
	STOP(&c);
}

/* An interrupt that the guest has off does not send each callout to the dispatcher. */
Test(bt_callouts, an_interrupt_that_waits_costs_nothing)
{
	static const uint8_t cpuid[] = { 0x31, 0xc0, 0x0f, 0xa2 }; /* xor eax, eax; cpuid */
	struct bf *bf = bf_create("bt", NULL);

	bf_reset(bf, 0, true);
	write_rounds(bf, cpuid, sizeof(cpuid));
	atomic_store(&bf->cpu->events, EVENT_INTR);
	run_to_stop(bf);
	atomic_store(&bf->cpu->events, 0);
	cr_expect_gt(bf_stat(bf, "dispatcher", "callouts_interpret"), ROUNDS - 1);
	cr_expect_lt(bf_stat(bf, "dispatcher", "leaves_resume"), ROUNDS / 10);
	bf_destroy(bf);
}

#define FAULT_HANDLER (BF_CODE + 0x800)
#define INT_HANDLER   (BF_CODE + 0x840)
#define INT_VECTOR    0x30

static void set_gate(struct bf *bf, unsigned vector, uint32_t handler)
{
	const uint16_t gate[4] = { (uint16_t)handler, BF_KCODE, 0x8e00, handler >> 16 };

	bf_write(bf, BF_IDT + 8 * vector, gate, sizeof(gate));
}

/*
 * A page fault whose handler goes on elsewhere is over: ways between rings do not wait for its
 * place for ever.
 */
Test(bt_callouts, a_fault_that_is_mended_elsewhere_is_over)
{
	static const uint8_t interrupt[] = { 0xcd, INT_VECTOR };
	struct bf *bf = bf_create("bt", NULL);
	const uint32_t start = BF_CODE + 0x400;
	struct code c;

	bf_reset(bf, 0, true);
	write_rounds(bf, interrupt, sizeof(interrupt));
	set_gate(bf, EXC_PF, FAULT_HANDLER);
	set_gate(bf, INT_VECTOR, INT_HANDLER);
	c = code_at(bf, FAULT_HANDLER);
	EMIT(&c, 0x83, 0xc4, 0x04);             /* add esp, 4: the error code */
	EMIT(&c, 0xc7, 0x04, 0x24); EMIT32(&c, BF_CODE); /* mov dword [esp], BF_CODE */
	EMIT(&c, 0xcf);
	c = code_at(bf, INT_HANDLER);
	EMIT(&c, 0xcf);
	c = code_at(bf, start);
	/* mov eax, [absent] */
	EMIT(&c, 0xa1); EMIT32(&c, BF_DATA + BF_ABSENT_PAGE * GUEST_PAGE_SIZE);
	bf->cpu->eip = start;
	run_to_stop(bf);
	cr_expect_eq(bf_stat(bf, "shadow", "true_faults"), 1);
	cr_expect_lt(bf_stat(bf, "dispatcher", "leaves_resume"), ROUNDS / 10);
	bf_destroy(bf);
}

#define EVENT_OF_NOBODY 0x80u /* leaves translated code, and that is all */

/*
 * Callouts of all kinds, once going on after themselves and once leaving for an event: the FPU
 * state stays.
 */
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
		/* xor eax, eax; cpuid; in al, 80h */
		EMIT(&c, 0x31, 0xc0, 0x0f, 0xa2, 0xe4, 0x80);
		/* mov eax, cr3; mov cr3, eax */
		EMIT(&c, 0x0f, 0x20, 0xd8, 0x0f, 0x22, 0xd8);
		EMIT(&c, 0x0f, 0x00, 0xc8, 0x0f, 0x01, 0xe0);             /* str eax; smsw eax */
		EMIT(&c, 0x0f, 0x01, 0x3d); EMIT32(&c, BF_DATA);          /* invlpg [data] */
		/* mov eax, ds; mov es, eax; enter 8, 0; leave */
		EMIT(&c, 0x8c, 0xd8, 0x8e, 0xc0, 0xc8, 0x08, 0, 0, 0xc9);
		STOP(&c);
		bf->cpu->eip = BF_CODE;
		atomic_store(&bf->cpu->events, event ? EVENT_OF_NOBODY : 0);
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
 * A page with an instruction that is interpreted (DAA) is mapped to another with FLD1, without a
 * flush: either may run, but the x87 stack stays whole.
 */
static void x87_behind_an_integer_callout(struct bf *bf)
{
	struct code c = code_at(bf, BF_CODE);
	uint32_t loop, top;

	bf_write(bf, REMAPPED, (uint8_t[]){ 0x27, 0x90, 0xc3 }, 3);
	/* displaces it in the software TLB */
	bf_write(bf, REMAPPED - 0x100000, (uint8_t[]){ 0x27, 0x90, 0xc3 }, 3);
	bf_write(bf, OTHER_FRAME, (uint8_t[]){ 0xd9, 0xe8, 0xc3 }, 3);
	bf_map_page(bf, REMAPPED, REMAPPED);
	EMIT(&c, 0xdb, 0xe3, 0xd9, 0xeb, 0xbb, 3, 0, 0, 0);     /* fninit; fldpi; mov ebx, 3 */
	loop = c.at;
	CALL(&c, REMAPPED);
	CALL(&c, REMAPPED - 0x100000);
	EMIT(&c, 0x83, 0xfb, 0x02, 0x75, 10);                   /* the last round but one remaps */
	EMIT(&c, 0xc7, 0x05);
	EMIT32(&c, BF_PTE_AT(REMAPPED));
	EMIT32(&c, OTHER_FRAME | BF_PTE_USER);
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
