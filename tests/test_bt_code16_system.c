/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What of the system 16-bit code reaches without the interpreter: segment registers, far transfers,
 * interrupts, flags, and stores beside code (SDM vol. 3, chapter 20).
 */
#include <string.h>
#include <unistd.h>
#include "code16_fixture.h"

TestSuite(bt_code16_system, .timeout = 300);

#define ROUNDS 5000u

static void expect_translated(struct bf *bf, unsigned callouts)
{
	cr_expect_leq(bf_stat(bf, "dispatcher", "callouts_interpret"), callouts);
	cr_expect_leq(bf_stat(bf, "dispatcher", "entries"), 60);
	cr_expect_leq(bf_stat(bf, "dispatcher", "interpreted"), 60);
}

/* --- segment registers --- */

/* Each of them once, with ES and DS as they were, and SI and BX counted down. */
static struct code write_segment_loads(struct bf *bf)
{
	struct code c = code_at(bf, CODE);
	const uint16_t pointer[2] = { 0x1234, 0x2345 };

	bf_write(bf, DATA + 0x300, pointer, sizeof(pointer));
	bf->cpu->regs[X86_ECX] = ROUNDS;
	EMIT(&c, 0xb8, 0x00, 0x20, 0x8e, 0xd8, 0x8e, 0xc0); /* mov ax, 2000h; mov ds, es */
	EMIT(&c, 0xc4, 0x1e, 0x00, 0x03);             /* les bx, [300h] */
	EMIT(&c, 0x0f, 0xb4, 0x16, 0x00, 0x03);       /* lfs dx, [300h] */
	EMIT(&c, 0x06, 0x0f, 0xa9);                   /* push es; pop gs */
	EMIT(&c, 0x16, 0x17);                         /* push ss; pop ss */
	EMIT(&c, 0x8c, 0xd0, 0x8e, 0xd0);             /* mov ax, ss; mov ss, ax */
	EMIT(&c, 0x1e, 0x1f);                         /* push ds; pop ds */
	EMIT(&c, 0xe2, 0xe3);                         /* loop */
	return c;
}

static void expect_segments(struct bf *bf)
{
	EXPECT_EQ(bf->cpu->regs[X86_EBX], 0x1234);
	EXPECT_EQ(bf->cpu->regs[X86_EDX], 0x1234);
	EXPECT_EQ(bf->cpu->regs[X86_ECX], 0);
}

static void segments_hold_paragraphs(struct bf *bf)
{
	struct code c = write_segment_loads(bf);

	STOP(&c);
	code16_run(bf);
	EXPECT_EQ(code16_interrupt(bf), -1);
	expect_segments(bf);
	EXPECT_EQ(bf->cpu->seg[X86_ES].base, 0x23450);
	EXPECT_EQ(bf->cpu->seg[X86_GS].selector, 0x2345);
	EXPECT_EQ(bf->cpu->seg[X86_GS].base, 0x23450);
	EXPECT_EQ(bf->cpu->seg[X86_FS].limit, 0xffff);
	EXPECT_EQ(bf->cpu->seg[X86_SS].base, 0);
	if (!strcmp(bf->name, "bt"))
		expect_translated(bf, 1);
}

Test(bt_code16_system, segments_hold_paragraphs) { code16_in_both(segments_hold_paragraphs); }

/* CLI of IOPL 0 ends it. */
static void segments_hold_paragraphs_in_v86(struct bf *bf)
{
	struct code c;
	int vector;

	code16_reset_v86(bf, 0);
	c = write_segment_loads(bf);
	EMIT(&c, 0xfa);
	EXPECT_EQ(bf_run(bf, &vector), BF_EXCEPTION);
	EXPECT_EQ(vector, EXC_GP);
	expect_segments(bf);
	if (!strcmp(bf->name, "bt"))
		expect_translated(bf, 2);
}

Test(bt_code16_system, segments_hold_paragraphs_in_v86)
{
	code16_in_both(segments_hold_paragraphs_in_v86);
}

/* Unreal mode: a load keeps the limit, and moves where it ends. */
static void a_large_limit_stays(struct bf *bf)
{
	struct code c = code_at(bf, CODE);

	bf->cpu->seg[X86_ES] = (struct segment){ 0, 0x93, 0, 0xffffffff };
	bf->cpu->regs[X86_EBX] = 0x123456;
	bf_write32(bf, 0x123456, 0x11);
	bf_write32(bf, 0x123466, 0x22);
	EMIT(&c, 0xb8, 0x01, 0x00, 0x26, 0x67, 0x8a, 0x0b); /* mov ax, 1; mov cl, es:[ebx] */
	EMIT(&c, 0x8e, 0xc0, 0x26, 0x67, 0x8a, 0x13); /* mov es, ax; mov dl, es:[ebx] */
	STOP(&c);
	code16_run(bf);
	EXPECT_EQ(code16_interrupt(bf), -1);
	EXPECT_EQ(bf->cpu->regs[X86_ECX] & 0xff, 0x11);
	EXPECT_EQ(bf->cpu->regs[X86_EDX] & 0xff, 0x22);
}

Test(bt_code16_system, a_large_limit_stays) { code16_in_both(a_large_limit_stays); }

/* What protected mode has left unusable, or read-only, a load in real mode makes data. */
static void a_load_makes_a_segment_usable(struct bf *bf)
{
	struct code c = code_at(bf, CODE);

	bf->cpu->seg[X86_ES] = (struct segment){ 0, 0, 0, 0 };
	bf->cpu->seg[X86_FS] = (struct segment){ 0x8, 0x9b, 0, 0xffff };
	EMIT(&c, 0xb8, 0x00, 0x20, 0x8e, 0xc0, 0x8e, 0xe0); /* mov ax, 2000h; mov es, fs */
	EMIT(&c, 0x26, 0xa3, 0x00, 0x01, 0x64, 0xa3, 0x10, 0x01); /* mov es:[100h], fs:[110h] */
	STOP(&c);
	code16_run(bf);
	EXPECT_EQ(code16_interrupt(bf), -1);
	EXPECT_EQ(bf_read32(bf, DATA + 0x100) & 0xffff, 0x2000);
	EXPECT_EQ(bf_read32(bf, DATA + 0x110) & 0xffff, 0x2000);
	EXPECT_EQ(bf->cpu->seg[X86_ES].limit, 0xffff);
}

Test(bt_code16_system, a_load_makes_a_segment_usable)
{
	code16_in_both(a_load_makes_a_segment_usable);
}

/* A pointer whose selector lies beyond the limit. */
static void a_pointer_at_the_end_changes_nothing(struct bf *bf)
{
	struct code c = code_at(bf, CODE);

	bf->cpu->regs[X86_EBX] = 0xfffd;
	EMIT(&c, 0xc4, 0x1f);             /* les bx, [bx] */
	STOP(&c);
	code16_run(bf);
	EXPECT_EQ(code16_interrupt(bf), EXC_GP);
	EXPECT_EQ(bf->cpu->regs[X86_EBX], 0xfffd);
	EXPECT_EQ(bf->cpu->seg[X86_ES].selector, DATA_SEGMENT);
}

Test(bt_code16_system, a_pointer_at_the_end_changes_nothing)
{
	code16_in_both(a_pointer_at_the_end_changes_nothing);
}

/* --- interrupts between MOV SS and MOV SP --- */

#define TIMER  0x30
#define STACKS 0x3000u /* segments of the two stacks; SP is below 1000h in the first */

static int acknowledge(void *opaque)
{
	vcpu_clear_event(opaque, EVENT_INTR);
	return TIMER;
}

static void *interrupts(void *opaque)
{
	struct bf *bf = opaque;

	while (bf->ram[DATA] < 200) {
		vcpu_raise_event(&bf->vm.vcpu, EVENT_INTR);
		usleep(20);
	}
	return NULL;
}

/* The handler counts at DATA, and at DATA + 1 those that found half a stack pointer. */
static void write_stack_handler(struct bf *bf)
{
	struct code h = code_at(bf, HANDLERS + 16 * 0x100);

	bf_write32(bf, 4 * TIMER, h.at);
	bf_write32(bf, DATA, 0);
	EMIT(&h, 0x50, 0x8c, 0xd0);                   /* push ax; mov ax, ss */
	EMIT(&h, 0x81, 0xfc, 0x00, 0x10, 0x72, 0x05); /* cmp sp, 1000h; jb */
	EMIT(&h, 0x3d, 0x00, 0x40, 0xeb, 0x03);       /* cmp ax, 4000h; jmp */
	EMIT(&h, 0x3d, 0x00, 0x30);                   /* cmp ax, 3000h */
	EMIT(&h, 0x74, 0x04, 0xfe, 0x06, 0x01, 0x00); /* je; inc byte [1] */
	EMIT(&h, 0xfe, 0x06, 0x00, 0x00);             /* inc byte [0] */
	EMIT(&h, 0x58, 0xcf);
}

static void mov_ss_holds_interrupts_off(struct bf *bf)
{
	struct code c = code_at(bf, CODE);
	pthread_t thread;

	write_stack_handler(bf);
	bf->vm.interrupt_source = (struct interrupt_source){ acknowledge, &bf->vm.vcpu };
	bf->cpu->seg[X86_SS] = (struct segment){ STACKS, 0x93, STACKS << 4, 0xffff };
	bf->cpu->regs[X86_ESP] = 0xff0;
	EMIT(&c, 0xbb, 0x00, 0x30, 0xbe, 0x00, 0x40); /* mov bx, 3000h; mov si, 4000h */
	EMIT(&c, 0xba, 0xf0, 0x0f, 0xbf, 0xf0, 0x2f); /* mov dx, ff0h; mov di, 2ff0h */
	EMIT(&c, 0xfb);
	EMIT(&c, 0x8e, 0xd6, 0x89, 0xfc);             /* mov ss, si; mov sp, di */
	EMIT(&c, 0x8e, 0xd3, 0x89, 0xd4);             /* mov ss, bx; mov sp, dx */
	EMIT(&c, 0x56, 0x57, 0x5c, 0x17);             /* push si; push di; pop sp: */
	STOP(&c);
	/* the last line is not reached before the count is full */
	c.at -= 6;
	EMIT(&c, 0x80, 0x3e, 0x00, 0x00, 0xc8, 0x72, 0xf1); /* cmp byte [0], 200; jb */
	EMIT(&c, 0xfa);
	STOP(&c);
	pthread_create(&thread, NULL, interrupts, bf);
	code16_run(bf);
	pthread_join(thread, NULL);
	atomic_store(&bf->cpu->events, 0);
	EXPECT_EQ(bf_read32(bf, DATA) >> 8 & 0xff, 0);
}

Test(bt_code16_system, mov_ss_holds_interrupts_off) { code16_in_both(mov_ss_holds_interrupts_off); }

/* --- far transfers and interrupts --- */

static void far_transfers_come_back(struct bf *bf)
{
	struct code c = code_at(bf, CODE), h = code_at(bf, HANDLERS + 16 * 0x20),
		    f = code_at(bf, 0x9000), j = code_at(bf, 0xa000);
	const uint16_t pointer[2] = { 0x0000, 0x0900 };

	bf_write(bf, DATA + 0x10, pointer, sizeof(pointer));
	bf->cpu->regs[X86_ECX] = ROUNDS;
	EMIT(&h, 0x43, 0xcf);                         /* inc bx; iret */
	EMIT(&f, 0x42, 0xca, 0x02, 0x00);             /* inc dx; retf 2 */
	EMIT(&j, 0x46, 0xea, 0x14, 0x80, 0x00, 0x00); /* inc si; jmp 0:8014h */
	EMIT(&c, 0xcd, 0x20);                         /* int 20h */
	EMIT(&c, 0x50, 0x9a, 0x00, 0x00, 0x00, 0x09); /* push ax; call 900h:0 */
	EMIT(&c, 0x50, 0xff, 0x1e, 0x10, 0x00);       /* push ax; call far [10h] */
	EMIT(&c, 0xea, 0x00, 0x00, 0x00, 0x0a);       /* jmp a00h:0 */
	EMIT(&c, 0x90, 0x90);
	EMIT(&c, 0xe2, 0xea);                         /* 8014h: loop */
	STOP(&c);
	code16_run(bf);
	EXPECT_EQ(code16_interrupt(bf), -1);
	EXPECT_EQ(bf->cpu->regs[X86_EBX], ROUNDS);
	EXPECT_EQ(bf->cpu->regs[X86_EDX], 2 * ROUNDS);
	EXPECT_EQ(bf->cpu->regs[X86_ESI], ROUNDS);
	EXPECT_EQ(bf->cpu->regs[X86_ESP], 0x7000);
	if (!strcmp(bf->name, "bt"))
		expect_translated(bf, 1);
}

Test(bt_code16_system, far_transfers_come_back) { code16_in_both(far_transfers_come_back); }

static int v86_exception(struct bf *bf, unsigned iopl, const uint8_t *bytes, unsigned len)
{
	int vector;

	code16_reset_v86(bf, iopl);
	bf_write(bf, CODE, bytes, len);
	EXPECT_EQ(bf_run(bf, &vector), BF_EXCEPTION);
	return vector;
}
#define V86_EXCEPTION(bf, iopl, ...) \
	v86_exception(bf, iopl, (const uint8_t[]){ __VA_ARGS__ }, \
		      sizeof((const uint8_t[]){ __VA_ARGS__ }))

/* INT n and IRET need IOPL 3, whatever n is; INT3 does not (SDM vol. 3, 20.2.7 and 20.3.3). */
static void v86_asks_for_iopl(struct bf *bf)
{
	EXPECT_EQ(V86_EXCEPTION(bf, 0, 0xcd, 0x03), EXC_GP);
	EXPECT_EQ(V86_EXCEPTION(bf, 0, 0xcd, 0x04), EXC_GP);
	EXPECT_EQ(V86_EXCEPTION(bf, 0, 0xcd, 0x21), EXC_GP);
	EXPECT_EQ(V86_EXCEPTION(bf, 0, 0xcf), EXC_GP);
	EXPECT_EQ(V86_EXCEPTION(bf, 0, 0x9d), EXC_GP);
	EXPECT_EQ(V86_EXCEPTION(bf, 0, 0xcc), EXC_BP);
	EXPECT_EQ(V86_EXCEPTION(bf, 3, 0xcd, 0x03), EXC_BP);
}

Test(bt_code16_system, v86_asks_for_iopl) { code16_in_both(v86_asks_for_iopl); }

/* --- flags --- */

static void flags_come_back(struct bf *bf)
{
	struct code c = code_at(bf, CODE);

	bf->cpu->regs[X86_ECX] = ROUNDS;
	EMIT(&c, 0xf9);                               /* stc */
	EMIT(&c, 0x9c, 0xfb, 0xf8, 0x9d);             /* pushf; sti; clc; popf */
	EMIT(&c, 0x73, 0x04, 0x43);                   /* jnc; inc bx */
	EMIT(&c, 0xe2, 0xf7);                         /* loop */
	EMIT(&c, 0x9c, 0x5a);                         /* pushf; pop dx */
	STOP(&c);
	code16_run(bf);
	EXPECT_EQ(bf->cpu->regs[X86_EBX], ROUNDS);
	EXPECT_EQ(bf->cpu->regs[X86_EDX] & (X86_IF | X86_CF), X86_CF);
	if (!strcmp(bf->name, "bt"))
		expect_translated(bf, 1);
}

Test(bt_code16_system, flags_come_back) { code16_in_both(flags_come_back); }

/* --- stores beside code --- */

/* The stack of a boot sector: right below it, in its page. */
static void pushes_beside_code(struct bf *bf)
{
	struct code c = code_at(bf, 0x7c00);

	bf->cpu->eip = 0x7c00;
	bf->cpu->regs[X86_ESP] = 0x7c00;
	bf->cpu->regs[X86_ECX] = ROUNDS;
	bf->cpu->regs[X86_EDX] = 0x1234;
	EMIT(&c, 0x52, 0x58, 0x66, 0x52, 0x66, 0x5b);  /* push dx; pop ax; push edx; pop ebx */
	EMIT(&c, 0x1e, 0x5e, 0x68, 0x78, 0x56, 0x5f);  /* push ds; pop si; push 5678h; pop di */
	EMIT(&c, 0x2e, 0x89, 0x16, 0xf0, 0x7c);        /* mov cs:[7cf0h], dx */
	EMIT(&c, 0x2e, 0xc6, 0x06, 0xf2, 0x7c, 0x5a);  /* mov byte cs:[7cf2h], 5ah */
	EMIT(&c, 0xe8, 0x04, 0x00, 0xe2, 0xe4);        /* call; loop */
	STOP(&c);
	EMIT(&c, 0xc3);
	code16_run(bf);
	EXPECT_EQ(code16_interrupt(bf), -1);
	EXPECT_EQ(bf->cpu->regs[X86_EAX], 0x1234);
	EXPECT_EQ(bf->cpu->regs[X86_EBX], 0x1234);
	EXPECT_EQ(bf->cpu->regs[X86_ESI], DATA_SEGMENT);
	EXPECT_EQ(bf->cpu->regs[X86_EDI], 0x5678);
	EXPECT_EQ(bf->cpu->regs[X86_ESP], 0x7c00);
	EXPECT_EQ(bf_read32(bf, 0x7cf0) & 0xffffff, 0x5a1234);
	if (strcmp(bf->name, "bt"))
		return;
	cr_expect_leq(bf_stat(bf, "dispatcher", "callouts_interpret"), 80);
	cr_expect_leq(bf_stat(bf, "dispatcher", "entries"), 200);
	cr_expect_geq(bf_stat(bf, "dispatcher", "callouts_store"), 6 * (ROUNDS - 20));
}

Test(bt_code16_system, pushes_beside_code) { code16_in_both(pushes_beside_code); }

/* A PUSH, and a CALL, over what comes next: the new code is what runs. */
static void a_push_over_code_is_seen(struct bf *bf)
{
	struct code c = code_at(bf, 0x7c00);

	bf->cpu->eip = 0x7c00;
	bf->cpu->regs[X86_ECX] = 200;
	EMIT(&c, 0xb8, 0x42, 0x43, 0xf6, 0xc1, 0x01);  /* mov ax, 4342h; test cl, 1 */
	EMIT(&c, 0x74, 0x03, 0xb8, 0x46, 0x47);        /* je; mov ax, 4746h */
	EMIT(&c, 0xbc, 0x11, 0x7c, 0x50);              /* mov sp, 7c11h; push ax: */
	EMIT(&c, 0x90, 0x90);                          /* 7c0fh */
	EMIT(&c, 0xe2, 0xed);                          /* loop */
	STOP(&c);
	code16_run(bf);
	EXPECT_EQ(bf->cpu->regs[X86_EDX], 100);        /* 42h, 43h: inc dx, inc bx */
	EXPECT_EQ(bf->cpu->regs[X86_EBX], 100);
	EXPECT_EQ(bf->cpu->regs[X86_ESI], 100);        /* 46h, 47h */
	EXPECT_EQ(bf->cpu->regs[X86_EDI], 100);
}

Test(bt_code16_system, a_push_over_code_is_seen) { code16_in_both(a_push_over_code_is_seen); }

/*
 * With CR4.VME an INT n whose bit in the TSS's map is clear goes through the vector table of the
 * program's own (SDM vol. 3, 20.3.3.2), whatever IOPL is.
 */
static void v86_int_is_redirected(struct bf *bf)
{
	static const uint8_t program[] = {
		0xb9, ROUNDS & 0xff, ROUNDS >> 8, 0xcd, 0x40, 0xe2, 0xfc, 0xcc
	};
	static const uint8_t handler[] = { 0x43, 0xcf };
	const uint16_t map = 0x88;
	int vector;

	for (unsigned iopl = 0; iopl <= 3; iopl += 3) {
		code16_reset_v86(bf, iopl);
		bf->cpu->cr4 |= CR4_VME;
		bf_flush(bf);
		bf_write(bf, BF_TSS + 0x66, &map, 2);
		bf_write(bf, BF_TSS + 0x68, (uint8_t[32]){ 0 }, 32);
		bf_write32(bf, 4 * 0x40, CODE + 0x100);
		bf_write(bf, CODE, program, sizeof(program));
		bf_write(bf, CODE + 0x100, handler, sizeof(handler));
		bf->cpu->regs[X86_EBX] = 0;
		EXPECT_EQ(bf_run(bf, &vector), BF_EXCEPTION);
		EXPECT_EQ(vector, EXC_BP);
		EXPECT_EQ(bf->cpu->regs[X86_EBX], ROUNDS);
	}
}

Test(bt_code16_system, v86_int_is_redirected) { code16_in_both(v86_int_is_redirected); }
