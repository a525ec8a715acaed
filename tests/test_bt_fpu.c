/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Images of the FPU state that guest code stores under the translator: everything in them is what
 * the interpreter stores, the last-instruction pointers included (docs/translation.md), and never
 * an address of the host's.
 */
#include <stdio.h>
#include <string.h>
#include "bt_fixture.h"

#define IMAGE  (BF_FREE + 0x10000)
#define NUMBER (BF_FREE + 0x20000) /* a float; a page of its own */
#define HANDLER (BF_FREE + 0x30000)
#define VECTOR 0x40

TestSuite(bt_fpu, .timeout = 300);

static const char *const bt_options[] = { NULL, "links=off", "tu-insns=1", "cache-kib=256",
					  "soft=always", "flush-every=1" };

#define BYTES32(v) (uint8_t)(v), (uint8_t)((v) >> 8), (uint8_t)((v) >> 16), (uint8_t)((v) >> 24)

struct piece {
	const char *name;
	uint8_t len, bytes[24];
};

/* The last x87 instruction but control ones is at `last`; its operand, if it has one, is NUMBER. */
static const struct computation {
	struct piece piece;
	uint8_t last;
	bool memory;
	uint16_t opcode; /* as FOP has it */
} computations[] = {
	{ { "fld1", 2, { 0xd9, 0xe8 } }, 0, false, 0x1e8 },
	{ { "fld m32", 6, { 0xd9, 0x05, BYTES32(NUMBER) } }, 0, true, 0x105 },
	{ { "fld1; fadd m32", 8, { 0xd9, 0xe8, 0xd8, 0x05, BYTES32(NUMBER) } }, 2, true, 0x005 },
	{ { "fldpi; fst m32", 8, { 0xd9, 0xeb, 0xd9, 0x15, BYTES32(NUMBER) } }, 2, true, 0x115 },
	{ { "fldz; fld1; fdivp, pending", 6, { 0xd9, 0xe8, 0xd9, 0xee, 0xde, 0xf9 } }, 4, false,
		0x6f9 },
	{ { "fld1; fdiv m32, pending", 8, { 0xd9, 0xe8, 0xd8, 0x35, BYTES32(NUMBER + 16) } }, 2,
		true, 0x035 },
};

/* What comes between: every way out of translated code and back. */
static const struct piece between[] = {
	{ "nothing", 0, { 0 } },
	{ "a branch", 2, { 0xeb, 0x00 } },
	{ "an instruction that is interpreted", 1, { 0x27 } },                     /* daa */
	{ "a system call", 2, { 0xcd, VECTOR } },
	/* mov eax, ds; mov fs, eax */
	{ "a segment load", 4, { 0x8c, 0xd8, 0x8e, 0xe0 } },
	{ "a hidden fault", 5, { 0xa1, BYTES32(NUMBER + 0x5000) } },
	{ "a device", 5, { 0xa1, BYTES32(0xfec00000u) } },
	{ "a port", 2, { 0xe4, 0x80 } },
	/* mov eax, cr3; mov cr3, eax */
	{ "a flush", 6, { 0x0f, 0x20, 0xd8, 0x0f, 0x22, 0xd8 } },
};

static const struct store {
	struct piece piece;
	unsigned size;
	int fip, fcs, fdp, fds, fop; /* offsets in the image; -1: not there */
	unsigned pointer_bytes;
} stores[] = {
	{ { "fnstenv", 6, { 0xd9, 0x35, BYTES32(IMAGE) } }, 28, 12, 16, 20, 24, 18, 4 },
	{ { "fnstenv, 16 bits", 7, { 0x66, 0xd9, 0x35, BYTES32(IMAGE) } }, 14, 6, 8, 10, 12, -1,
		2 },
	{ { "fnsave", 6, { 0xdd, 0x35, BYTES32(IMAGE) } }, 108, 12, 16, 20, 24, 18, 4 },
	{ { "fnsave, 16 bits", 7, { 0x66, 0xdd, 0x35, BYTES32(IMAGE) } }, 94, 6, 8, 10, 12, -1, 2 },
	{ { "fxsave", 7, { 0x0f, 0xae, 0x05, BYTES32(IMAGE) } }, 512, 8, 12, 16, 20, 6, 4 },
};

static uint32_t emit(struct bf *bf, uint32_t at, const struct piece *p)
{
	bf_write(bf, at, p->bytes, p->len);
	return at + p->len;
}

/*
 * Runs the three one after the other, a few times over; the image is in RAM then, and *last says
 * where the last instruction was.
 */
static void run(struct bf *bf, const struct computation *c, const struct piece *middle,
		const struct store *s, uint32_t *last)
{
	/* fninit; fldcw */
	static const struct piece begin = { "",
					    8,
					    { 0xdb, 0xe3, 0xd9, 0x2d, BYTES32(NUMBER + 32) } };
	const float number = 1.5;
	const uint16_t divide_unmasked = 0x37b;
	uint32_t at, loop;
	int vector;

	bf_reset(bf, 0, false);
	bf_write32(bf, BF_IDT + 8 * VECTOR, (uint32_t)BF_KCODE << 16 | (HANDLER & 0xffff));
	bf_write32(bf, BF_IDT + 8 * VECTOR + 4, (HANDLER & 0xffff0000) | 0x8e00);
	BF_CODE_AT(bf, HANDLER, 0xcf);
	bf_write(bf, NUMBER, &number, 4);
	bf_write32(bf, NUMBER + 16, 0);
	bf_write(bf, NUMBER + 32, &divide_unmasked, 2);
	memset(bf->ram + IMAGE, 0xee, 512);
	BF_CODE_AT(bf, BF_CODE, 0xb9, 6, 0, 0, 0); /* mov ecx, 6 */
	loop = at = BF_CODE + 5;
	at = emit(bf, at, &begin);
	*last = at + c->last;
	at = emit(bf, at, &c->piece);
	at = emit(bf, at, middle);
	at = emit(bf, at, &s->piece);
	BF_CODE_AT(bf, at, 0xdb, 0xe2, 0xe2, loop - (at + 4), BF_STOP); /* fnclex; loop */
	cr_assert_eq(bf_run(bf, &vector), BF_STOPPED, "%s, %s, %s: vector %d", c->piece.name,
		     middle->name, s->piece.name, vector);
}

static uint32_t image_field(const uint8_t *image, int offset, unsigned bytes)
{
	uint32_t value = 0;

	memcpy(&value, image + offset, bytes);
	return value;
}

static void compare(const struct bf *bt, const struct bf *interp, const struct store *s,
		    const char *text)
{
	uint8_t a[512], b[512];
	const struct { const char *name; int offset; unsigned bytes; } pointers[] = {
		{ "fip", s->fip, s->pointer_bytes }, { "fcs", s->fcs, 2 },
		{ "fdp", s->fdp, s->pointer_bytes }, { "fds", s->fds, 2 }, { "fop", s->fop, 2 },
	};

	memcpy(a, bt->ram + IMAGE, sizeof(a));
	memcpy(b, interp->ram + IMAGE, sizeof(b));
	for (size_t i = 0; i < RF_ARRAY_SIZE(pointers); i++) {
		uint32_t ours, theirs;

		if (pointers[i].offset < 0)
			continue;
		ours = image_field(a, pointers[i].offset, pointers[i].bytes);
		theirs = image_field(b, pointers[i].offset, pointers[i].bytes);
		cr_expect(ours == theirs, "%s: %s is %x, the interpreter's %x", text,
			  pointers[i].name, ours, theirs);
		memset(a + pointers[i].offset, 0, pointers[i].bytes);
		memset(b + pointers[i].offset, 0, pointers[i].bytes);
	}
	for (unsigned at = 0; at < sizeof(a); at++)
		cr_expect_eq(a[at], b[at], "%s: byte %u is %02x, the interpreter's %02x", text, at,
			     a[at], b[at]);
	cr_expect(s->size == 512 || a[s->size] == 0xee, "%s: too much is stored", text);
}

/*
 * The interpreter's pointers are what the manual says (SDM vol. 1, 8.1.8), so that they are fit to
 * judge by.
 */
static void judge_interpreter(const struct bf *interp, const struct computation *c,
			      const struct store *s, uint32_t last, const char *text)
{
	const uint32_t mask = s->pointer_bytes == 4 ? 0xffffffffu : 0xffff;
	const uint8_t *image = interp->ram + IMAGE;

	cr_expect_eq(image_field(image, s->fip, s->pointer_bytes), last & mask, "%s", text);
	cr_expect_eq(image_field(image, s->fcs, 2), BF_KCODE, "%s", text);
	if (c->memory) {
		const uint32_t operand = image_field(image, s->fdp, s->pointer_bytes);

		cr_expect(operand == (NUMBER & mask) || operand == ((NUMBER + 16) & mask),
			  "%s: fdp %x", text, operand);
		cr_expect_eq(image_field(image, s->fds, 2), BF_KDATA, "%s", text);
	}
	if (s->fop >= 0)
		cr_expect_eq(image_field(image, s->fop, 2) & 0x7ff, c->opcode, "%s: fop %x", text,
			     image_field(image, s->fop, 2));
}

static void run_all(const char *options)
{
	struct bf *bt = bf_create("bt", options), *interp = bf_create("interp", NULL);
	char text[128];

	for (size_t c = 0; c < RF_ARRAY_SIZE(computations); c++) {
		for (size_t m = 0; m < RF_ARRAY_SIZE(between); m++) {
			for (size_t s = 0; s < RF_ARRAY_SIZE(stores); s++) {
				uint32_t last;

				snprintf(text, sizeof(text), "[%s] %s; %s; %s",
					 options ? options : "", computations[c].piece.name,
					 between[m].name, stores[s].piece.name);
				run(bt, &computations[c], &between[m], &stores[s], &last);
				run(interp, &computations[c], &between[m], &stores[s], &last);
				judge_interpreter(interp, &computations[c], &stores[s], last, text);
				compare(bt, interp, &stores[s], text);
			}
		}
	}
	bf_destroy(bt);
	bf_destroy(interp);
}

Test(bt_fpu, images_hold_no_address_of_the_host)
{
	for (size_t i = 0; i < RF_ARRAY_SIZE(bt_options); i++)
		run_all(bt_options[i]);
}

/*
 * Programs that end with ESI at what they want the pointers to name, their operand if they have one
 * in ECX, and EBX with the opcode; FNSTENV comes then. What is expected is in the program itself,
 * and the interpreter is held to it, too.
 */
#define STORED (IMAGE + 0x1000)
#define MOV_ESI(v) 0xbe, BYTES32(v)
#define MOV_ECX(v) 0xb9, BYTES32(v)
#define MOV_EBX(v) 0xbb, BYTES32(v)
/* of what stands after `before` bytes of a program */
#define HERE(before) (BF_CODE + (before))

static const struct program {
	const char *name;
	unsigned len;
	uint8_t bytes[96];
	uint16_t fds;
} programs[] = {
#define PROGRAM(n, s, ...) \
	{ .name = n, .fds = s, .bytes = { __VA_ARGS__ }, .len = sizeof((uint8_t[]){ __VA_ARGS__ }) }
	/* fldz */
	PROGRAM("position-independent code", 0, MOV_ESI(HERE(15)), MOV_ECX(0), MOV_EBX(0x1ee), 0xd9,
		0xee),
	/* cs fldz: the address is the prefix's */
	PROGRAM("a prefix", 0, MOV_ESI(HERE(15)), MOV_ECX(0), MOV_EBX(0x1ee), 0x2e, 0xd9, 0xee),
	/* mov eax, NUMBER; fld [eax]; add eax, 64; fld1 */
	PROGRAM("the operand's register changes", 0, MOV_ESI(HERE(25)), MOV_ECX(NUMBER),
		MOV_EBX(0x1e8), 0xb8, BYTES32(NUMBER), 0xd9, 0x00, 0x83, 0xc0, 0x40, 0xd9, 0xe8),
	/* mov eax, NUMBER; fld [eax]; add edi, 64; mov edx, [eax]; inc eax */
	PROGRAM("others change before it", BF_KDATA, MOV_ESI(HERE(20)), MOV_ECX(NUMBER),
		MOV_EBX(0x100), 0xb8, BYTES32(NUMBER), 0xd9, 0x00, 0x83, 0xc7, 0x40, 0x8b, 0x10,
		0x40),
	/* mov eax, NUMBER; fld [eax]; fnstsw ax */
	PROGRAM("FNSTSW AX", BF_KDATA, MOV_ESI(HERE(20)), MOV_ECX(NUMBER), MOV_EBX(0x100), 0xb8,
		BYTES32(NUMBER), 0xd9, 0x00, 0xdf, 0xe0),
	/* mov eax, NUMBER - 32; mov edx, 4; fld [eax+edx*4+16] */
	PROGRAM("base, index and displacement", BF_KDATA, MOV_ESI(HERE(25)), MOV_ECX(NUMBER),
		MOV_EBX(0x144), 0xb8, BYTES32(NUMBER - 32), 0xba, BYTES32(4), 0xd9, 0x44, 0x90,
		0x10),
	/* mov eax, -16; fld [eax + NUMBER + 16]: the sum wraps */
	PROGRAM("an address that wraps", BF_KDATA, MOV_ESI(HERE(20)), MOV_ECX(NUMBER),
		MOV_EBX(0x180), 0xb8, BYTES32(-16), 0xd9, 0x80, BYTES32(NUMBER + 16)),
	/* push eax; fld [esp]; pop eax; the operand is at 4 below esp */
	PROGRAM("an operand on the stack", BF_KDATA, MOV_ESI(HERE(15)), 0x8d, 0x4c, 0x24, 0xfc,
		MOV_EBX(0x104), 0x50, 0xd9, 0x04, 0x24, 0x58),
	/* fldz; fldcw; fnstcw; fnclex; fwait; fnstsw [edi] */
	PROGRAM("control instructions", 0, MOV_ESI(HERE(15)), MOV_ECX(0), MOV_EBX(0x1ee), 0xd9,
		0xee, 0xd9, 0x2d, BYTES32(NUMBER + 32), 0xd9, 0x3d, BYTES32(NUMBER + 48), 0xdb,
		0xe2, 0x9b, 0xdd, 0x3d, BYTES32(NUMBER + 48)),
	/* fldz; movq mm0, mm1; emms */
	PROGRAM("MMX instructions", 0, MOV_ESI(HERE(15)), MOV_ECX(0), MOV_EBX(0x1ee), 0xd9, 0xee,
		0x0f, 0x6f, 0xc1, 0x0f, 0x77),
	/* fld [NUMBER]; fninit */
	PROGRAM("FNINIT", 0, MOV_ESI(0), MOV_ECX(0), MOV_EBX(0), 0xd9, 0x05, BYTES32(NUMBER), 0xdb,
		0xe3),
	/* fld [NUMBER]; fnsave; call over; over: the pointers are FNINIT's */
	PROGRAM("FNSAVE", 0, MOV_ESI(0), MOV_ECX(0), MOV_EBX(0), 0xd9, 0x05, BYTES32(NUMBER), 0xdd,
		0x35, BYTES32(STORED), 0xeb, 0),
	/* fld [NUMBER]; fnstenv; fldz; fldenv; a branch; fnclex */
	PROGRAM("FLDENV", BF_KDATA, MOV_ESI(HERE(15)), MOV_ECX(NUMBER), MOV_EBX(0x105), 0xd9, 0x05,
		BYTES32(NUMBER), 0xd9, 0x35, BYTES32(STORED), 0xd9, 0xee, 0xd9, 0x25,
		BYTES32(STORED), 0xeb, 0, 0xdb, 0xe2),
	/* fld [NUMBER]; fnsave; fldz; frstor; a branch */
	PROGRAM("FRSTOR", BF_KDATA, MOV_ESI(HERE(15)), MOV_ECX(NUMBER), MOV_EBX(0x105), 0xd9, 0x05,
		BYTES32(NUMBER), 0xdd, 0x35, BYTES32(STORED), 0xd9, 0xee, 0xdd, 0x25,
		BYTES32(STORED), 0xeb, 0),
	/* fld [NUMBER]; fxsave; fldz; fxrstor; a branch */
	PROGRAM("FXRSTOR", BF_KDATA, MOV_ESI(HERE(15)), MOV_ECX(NUMBER), MOV_EBX(0x105), 0xd9, 0x05,
		BYTES32(NUMBER), 0x0f, 0xae, 0x05, BYTES32(STORED), 0xd9, 0xee, 0x0f, 0xae, 0x0d,
		BYTES32(STORED), 0xeb, 0),
	/* mov word [at], fldz; jmp over; at: fldz; ret; over: call at; mov word [at], nop; nop */
	PROGRAM("code that is overwritten", 0, MOV_ESI(HERE(26)), MOV_ECX(0), MOV_EBX(0x1ee), 0x66,
		0xc7, 0x05, BYTES32(HERE(26)), 0xd9, 0xee, 0xeb, 3, 0xd9, 0xee, 0xc3, 0xe8,
		BYTES32(-8), 0x66, 0xc7, 0x05, BYTES32(HERE(26)), 0x90, 0x90),
	/* mov ax, BF_UDATA | 3; mov gs, ax; gs fld [NUMBER]; xor eax, eax; mov gs, ax; a branch */
	PROGRAM("a selector that is loaded anew", BF_UDATA | 3, MOV_ESI(HERE(21)), MOV_ECX(NUMBER),
		MOV_EBX(0x105), 0x66, 0xb8, (BF_UDATA | 3) & 0xff, 0, 0x8e, 0xe8, 0x65, 0xd9, 0x05,
		BYTES32(NUMBER), 0x31, 0xc0, 0x8e, 0xe8, 0xeb, 0),
	/* push ds; mov ax, BF_UDATA | 3; mov ds, ax; fld [NUMBER]; pop ds; a branch */
	PROGRAM("DS that is loaded anew", BF_UDATA | 3, MOV_ESI(HERE(22)), MOV_ECX(NUMBER),
		MOV_EBX(0x105), 0x1e, 0x66, 0xb8, (BF_UDATA | 3) & 0xff, 0, 0x8e, 0xd8, 0xd9, 0x05,
		BYTES32(NUMBER), 0x1f, 0xeb, 0),
};

static uint32_t stored(const struct bf *bf, unsigned field)
{
	return bf_read32(bf, IMAGE + 4 * field);
}

/* A few rounds, so that memos of segment loads are used. */
static void run_program(struct bf *bf, const struct program *p, const char *options)
{
	const float number = 1.5;
	const uint16_t masked = 0x37f;
	uint32_t at = BF_CODE, round = HANDLER;
	int vector;

	bf_reset(bf, 0, false);
	bf_write(bf, NUMBER, &number, 4);
	bf_write(bf, NUMBER + 32, &masked, 2);
	/* call the program; fninit; dec edi; jnz; stop */
	bf->cpu->regs[X86_EDI] = 0x300;
	bf->cpu->eip = round;
	BF_CODE_AT(bf, round, 0xe8, BYTES32(BF_CODE - (HANDLER + 5)), 0xdb, 0xe3, 0x81, 0xef,
		   BYTES32(0x100), 0x7f, 0xf1, BF_STOP);
	bf_write(bf, at, p->bytes, p->len);
	at += p->len;
	BF_CODE_AT(bf, at, 0xd9, 0x35, BYTES32(IMAGE), 0xc3);
	cr_assert_eq(bf_run(bf, &vector), BF_STOPPED, "[%s] %s: vector %d", options, p->name,
		     vector);
	cr_expect_eq(stored(bf, 3), bf->cpu->regs[X86_ESI], "[%s] %s: fip %x", options, p->name,
		     stored(bf, 3));
	cr_expect_eq(stored(bf, 4), bf->cpu->regs[X86_EBX] << 16 | (stored(bf, 3) ? BF_KCODE : 0),
		     "[%s] %s: fcs and fop %x", options, p->name, stored(bf, 4));
	cr_expect_eq(stored(bf, 5), bf->cpu->regs[X86_ECX], "[%s] %s: fdp %x", options, p->name,
		     stored(bf, 5));
	cr_expect_eq(stored(bf, 6), 0xffff0000u | p->fds, "[%s] %s: fds %x", options, p->name,
		     stored(bf, 6));
}

static void run_programs(struct bf *bf, const char *options)
{
	for (size_t i = 0; i < RF_ARRAY_SIZE(programs); i++)
		run_program(bf, &programs[i], options);
	bf_destroy(bf);
}

Test(bt_fpu, pointers_name_the_last_instruction)
{
	run_programs(bf_create("interp", NULL), "interp");
	for (size_t i = 0; i < RF_ARRAY_SIZE(bt_options); i++)
		run_programs(bf_create("bt", bt_options[i]), bt_options[i] ? bt_options[i] : "");
}

/*
 * A page fault of the guest's own after x87 instructions whose pointers translated code has not
 * stored yet: mov eax, BF_DATA; fld [eax+16]; fld1; mov edx, [eax+absent]
 */
static void look_at_fault(struct bf *bf, const char *options)
{
	const struct fxsave_image *fpu = &bf->cpu->fpu;
	int vector = -1;

	for (unsigned cpl = 0; cpl <= 3; cpl += 3) {
		bf_reset(bf, cpl, true);
		BF_CODE_AT(bf, BF_CODE, 0xb8, BYTES32(BF_DATA), 0xd9, 0x40, 0x10, 0xd9, 0xe8, 0x8b,
			   0x90, BYTES32(BF_ABSENT_PAGE << 12), BF_STOP);
		cr_assert_eq(bf_run(bf, &vector), BF_EXCEPTION, "[%s]", options);
		cr_expect_eq(vector, EXC_PF, "[%s] vector %d", options, vector);
		cr_expect_eq(fpu->fip, BF_CODE + 8, "[%s] fip %x", options, fpu->fip);
		cr_expect_eq(fpu->fdp, BF_DATA + 16, "[%s] fdp %x", options, fpu->fdp);
		cr_expect_eq(fpu->fop, 0x1e8, "[%s] fop %x", options, fpu->fop);
		cr_expect_eq(fpu->fcs, cpl ? BF_UCODE : BF_KCODE, "[%s] fcs %x", options, fpu->fcs);
	}
	bf_destroy(bf);
}

Test(bt_fpu, pointers_at_a_fault)
{
	look_at_fault(bf_create("interp", NULL), "interp");
	for (size_t i = 0; i < RF_ARRAY_SIZE(bt_options); i++)
		look_at_fault(bf_create("bt", bt_options[i]), bt_options[i] ? bt_options[i] : "");
}
