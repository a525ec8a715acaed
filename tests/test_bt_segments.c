/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Segment registers in translated code: what is loaded counts at once, is what the tables say now,
 * and faults where it has to. Every guest program runs in every configuration of
 * bt_configurations.h.
 */
#include "bt_code.h"
#include "bt_configurations.h"

TestSuite(bt_segments, .timeout = 300);

static void expect_fault_at(struct bf *bf, int wanted, uint32_t eip)
{
	int vector;

	cr_expect_eq(bf_run(bf, &vector), BF_EXCEPTION, "[%s] no exception", bf->name);
	EXPECT_EQ(vector, wanted);
	EXPECT_EQ(bf_read32(bf, bf->cpu->regs[X86_ESP] + 4), eip); /* after the error code */
}

/* A segment register counts as it was loaded a moment ago, within one unit. */
static void segment_loads_count_at_once(struct bf *bf)
{
	static const struct {
		uint16_t selector;
		uint32_t offset;
	} bad[] = { { 0, BF_DATA }, { BF_LIMITED, 0x6000 }, { BF_EXPAND_DOWN, 0x1000 } };
	const uint16_t flat = bf->cpu->seg[X86_DS].selector;

	for (size_t i = 0; i < RF_ARRAY_SIZE(bad); i++) {
		struct code c = code_at(bf, BF_CODE);
		uint32_t faulting;

		bf_write32(bf, BF_DATA, 0x1234);
		bf_write32(bf, BF_DATA + 0x2000 + 0x40, 0x5678);
		MOV(&c, X86_EAX, flat);
		/* mov fs, eax; mov ebx, fs:[] */
		EMIT(&c, 0x8e, 0xe0, 0x64, 0x8b, 0x1d); EMIT32(&c, BF_DATA);
		MOV(&c, X86_EAX, BF_BASED);
		EMIT(&c, 0x8e, 0xe0, 0x64, 0x8b, 0x15); EMIT32(&c, 0x40);    /* mov edx, fs:[] */
		MOV(&c, X86_EAX, bad[i].selector);
		EMIT(&c, 0x8e, 0xe0);
		faulting = c.at;
		EMIT(&c, 0x64, 0x8b, 0x35); EMIT32(&c, bad[i].offset);
		STOP(&c);
		bf_reset(bf, flat & 3, bf->cpu->cr0 & CR0_PG);
		expect_fault_at(bf, EXC_GP, faulting);
		EXPECT_EQ(bf->cpu->regs[X86_EBX], 0x1234);
		EXPECT_EQ(bf->cpu->regs[X86_EDX], 0x5678);
		EXPECT_EQ(bf->cpu->regs[X86_ESI], 0);
	}
}

TEST_IN_ALL(bt_segments, segment_loads_count_at_once)

/* --- loads of ring 0, which remembers descriptors by selector --- */

#define ROUNDS      64u
#define GDT_POINTER (BF_DATA + 0x5000)
#define OTHER_BASE  0x302000u

enum gdt_change {
	CHANGE_DESCRIPTOR, CHANGE_PAGE_AND_INVLPG, CHANGE_PAGE_AND_CR3, CHANGE_GDTR, CHANGE_LIMIT,
	CHANGES
};

/* Changes BF_BASED's base from BF_DATA + 2000h to OTHER_BASE, and back the next time. */
static void emit_gdt_change(struct code *c, enum gdt_change change)
{
	switch (change) {
	case CHANGE_PAGE_AND_INVLPG: case CHANGE_PAGE_AND_CR3:
		/* xor dword [PTE], ... */
		EMIT(c, 0x81, 0x35); EMIT32(c, BF_PTE_AT(BF_GDT)); EMIT32(c, BF_GDT ^ OTHER_FRAME);
		if (change == CHANGE_PAGE_AND_INVLPG) {
			/* invlpg [BF_GDT] */
			EMIT(c, 0x0f, 0x01, 0x3d); EMIT32(c, BF_GDT);
		} else {
			/* mov eax, cr3; mov cr3, eax */
			EMIT(c, 0x0f, 0x20, 0xd8, 0x0f, 0x22, 0xd8);
		}
		break;
	case CHANGE_GDTR:
		/* xor dword [base], ... */
		EMIT(c, 0x81, 0x35); EMIT32(c, GDT_POINTER + 2); EMIT32(c, BF_GDT ^ OTHER_FRAME);
		EMIT(c, 0x0f, 0x01, 0x15); EMIT32(c, GDT_POINTER);                       /* lgdt */
		break;
	case CHANGE_LIMIT:
		/* xor byte [granularity], 80h: 1 MiB */
		EMIT(c, 0x80, 0x35); EMIT32(c, BF_GDT + (BF_BASED & ~7) + 6); EMIT(c, 0x80);
		/* fall through */
	default:
		/* xor byte [base 16..23], 20h */
		EMIT(c, 0x80, 0x35); EMIT32(c, BF_GDT + (BF_BASED & ~7) + 4); EMIT(c, 0x20);
	}
}

static void segments_are_loaded_as_they_are_now(struct bf *bf)
{
	const uint16_t limit = BF_GDT_LIMIT;
	const uint32_t base = BF_GDT;

	_Static_assert((BF_DATA + 0x2000) >> 16 == 0x10 &&
			       OTHER_BASE == BF_DATA + 0x2000 + 0x200000,
		       "what CHANGE_DESCRIPTOR makes of it");
	for (enum gdt_change change = 0; change < CHANGES; change++) {
		struct code c = code_at(bf, BF_CODE);
		uint32_t loop;

		bf_reset(bf, 0, true);
		bf_write(bf, OTHER_FRAME, bf->ram + BF_GDT, 0x1000);
		bf_write(bf, OTHER_FRAME + (BF_BASED & ~7) + 4, (uint8_t[]){ OTHER_BASE >> 16 }, 1);
		bf_write(bf, GDT_POINTER, &limit, 2);
		bf_write32(bf, GDT_POINTER + 2, base);
		bf_write32(bf, BF_DATA + 0x2000, 1);
		bf_write32(bf, OTHER_BASE, 0x10000);
		bf_flush(bf);
		MOV(&c, X86_ECX, ROUNDS);
		/* xor edx, edx; xor ebp, ebp; xor ebx, ebx */
		EMIT(&c, 0x31, 0xd2, 0x31, 0xed, 0x31, 0xdb);
		loop = c.at;
		for (unsigned twice = 0; twice < 2; twice++) {
			MOV(&c, X86_EAX, BF_BASED);
			/* mov fs, eax; add edx, fs:[ebx] */
			EMIT(&c, 0x8e, 0xe0, 0x64, 0x03, 0x13);
			/* push eax; pop gs; add ebp, gs:[ebx] */
			EMIT(&c, 0x50, 0x0f, 0xa9, 0x65, 0x03, 0x2b);
			/* mov es, eax; add edx, es:[ebx] */
			EMIT(&c, 0x8e, 0xc0, 0x26, 0x03, 0x13);
			/* push fs; pop edi; xor di, ax; add edx, edi */
			EMIT(&c, 0x0f, 0xa0, 0x5f, 0x66, 0x31, 0xc7, 0x01, 0xfa);
			EMIT(&c, 0xb8); EMIT32(&c, BF_KDATA);
			/* push eax; pop es; mov ds, eax; add ebp, [...] */
			EMIT(&c, 0x50, 0x07, 0x8e, 0xd8, 0x03, 0x2d); EMIT32(&c, BF_DATA + 0x2000);
			EMIT(&c, 0xb8); EMIT32(&c, BF_UDATA & ~3);
			/* mov ds, eax; push ds; pop ds */
			EMIT(&c, 0x8e, 0xd8, 0x1e, 0x1f);
			/* xor eax, eax; mov fs, eax; push eax; pop gs */
			EMIT(&c, 0x31, 0xc0, 0x8e, 0xe0, 0x50, 0x0f, 0xa9);
		}
		emit_gdt_change(&c, change);
		EMIT(&c, 0x49); JNZ(&c, loop);
		STOP(&c);
		bf->cpu->eip = BF_CODE;
		bf->cpu->eflags = X86_F1;
		run_to_stop(bf);
		/*
		 * Half of the rounds see each base: FS and ES add to edx, GS to ebp, and DS 1 to
		 * ebp.
		 */
		EXPECT_EQ(bf->cpu->regs[X86_EDX], ROUNDS / 2 * 4 * (1 + 0x10000));
		EXPECT_EQ(bf->cpu->regs[X86_EBP], ROUNDS / 2 * 2 * (1 + 0x10000) + ROUNDS * 2);
		EXPECT_EQ(bf->cpu->seg[X86_GS].attr, 0);
		EXPECT_EQ(bf->cpu->regs[X86_ESP], BF_DATA + 0x2800);
	}
}

Test(bt_segments, segments_are_loaded_as_they_are_now)
{
	in_all(segments_are_loaded_as_they_are_now, 0, true);
}

/*
 * A GDT that is not aligned: BF_BASED's descriptor has its last byte, bits 24 to 31 of the base, in
 * another page, whose frame is not the next one. The byte changes by turns.
 */
static void a_descriptor_in_two_frames_is_one(struct bf *bf)
{
	const uint32_t index = BF_BASED & ~7, gdt = REMAPPED + 0xff9 - index,
		       first = REMAPPED + 0x1000 - gdt, rounds = 64;
	struct code c = code_at(bf, BF_CODE);
	uint32_t loop;

	bf_write(bf, gdt, bf->ram + BF_GDT, first);
	bf_write(bf, OTHER_FRAME, bf->ram + BF_GDT + first, BF_GDT_LIMIT + 1 - first);
	bf_map_page(bf, REMAPPED + 0x1000, OTHER_FRAME);
	/* Linear addresses from 16 MiB are physical ones from 4 MiB. */
	bf_write32(bf, BF_PAGE_DIR + 4 * 4, bf_read32(bf, BF_PAGE_DIR + 4));
	bf_flush(bf);
	bf->cpu->gdtr.base = gdt;
	bf_write32(bf, BF_DATA + 0x2000, 1);
	bf_write32(bf, BF_DATA + 0x2000 + 0x400000, 0x10000);
	MOV(&c, X86_ECX, rounds);
	EMIT(&c, 0x31, 0xd2);                                              /* xor edx, edx */
	loop = c.at;
	MOV(&c, X86_EAX, BF_BASED);
	EMIT(&c, 0x8e, 0xe0, 0x64, 0x03, 0x15); EMIT32(&c, 0);             /* add edx, fs:[0] */
	EMIT(&c, 0x80, 0x35); EMIT32(&c, REMAPPED + 0x1000); EMIT(&c, 1);  /* xor byte [], 1 */
	EMIT(&c, 0x49); JNZ(&c, loop);
	STOP(&c);
	run_to_stop(bf);
	EXPECT_EQ(bf->cpu->regs[X86_EDX], rounds / 2 * 0x10001);
}

Test(bt_segments, a_descriptor_in_two_frames_is_one)
{
	in_all(a_descriptor_in_two_frames_is_one, 0, true);
}

/* FS and GS by turns with each selector, which are remembered apart. */
static void each_register_has_its_own_base(struct bf *bf)
{
	static const uint16_t selector[] = { BF_BASED, BF_KDATA, BF_BASED_HIGH };
	static const uint32_t base[] = { BF_DATA + 0x2000, 0, 0xfffff000 }, at = BF_DATA + 0x6000;
	const unsigned kinds = RF_ARRAY_SIZE(selector), rounds = 20;
	uint32_t in_fs = 0, in_gs = 0, loop;
	struct code c = code_at(bf, BF_CODE);

	for (unsigned i = 0; i < kinds; i++)
		bf_write32(bf, at + base[i], 1u << 10 * i);
	MOV(&c, X86_ECX, rounds);
	MOV(&c, X86_EBX, at);
	EMIT(&c, 0x31, 0xd2, 0x31, 0xed);                     /* xor edx, edx; xor ebp, ebp */
	loop = c.at;
	for (unsigned pair = 0; pair < kinds * kinds; pair++) {
		const unsigned fs = pair / kinds, gs = pair % kinds;

		MOV(&c, X86_EAX, selector[gs]);
		/* mov gs, eax, or push eax; pop gs */
		if (pair & 1)
			EMIT(&c, 0x8e, 0xe8);
		else
			EMIT(&c, 0x50, 0x0f, 0xa9);
		MOV(&c, X86_EAX, selector[fs]);
		if (pair & 2)
			EMIT(&c, 0x8e, 0xe0);
		else
			EMIT(&c, 0x50, 0x0f, 0xa1);
		/* add edx, fs:[ebx]; add ebp, gs:[ebx] */
		EMIT(&c, 0x64, 0x03, 0x13, 0x65, 0x03, 0x2b);
		in_fs += rounds << 10 * fs;
		in_gs += rounds << 10 * gs;
	}
	EMIT(&c, 0x49);
	JNZ(&c, loop);
	STOP(&c);
	run_to_stop(bf);
	EXPECT_EQ(bf->cpu->regs[X86_EDX], in_fs);
	EXPECT_EQ(bf->cpu->regs[X86_EBP], in_gs);
	EXPECT_EQ(bf->cpu->seg[X86_FS].selector, BF_BASED_HIGH);
	EXPECT_EQ(bf->cpu->seg[X86_GS].selector, BF_BASED_HIGH);
}

Test(bt_segments, each_register_has_its_own_base)
{
	in_all(each_register_has_its_own_base, 0, false);
	in_all(each_register_has_its_own_base, 0, true);
}

/*
 * The selector is good for ring 0 alone: what that has loaded says nothing about ring 3, nor does
 * it about a descriptor gone bad.
 */
static void segment_loads_that_fault(struct bf *bf)
{
	struct code c = code_at(bf, BF_CODE);
	int vector;

	MOV(&c, X86_ECX, 5);
	MOV(&c, X86_EAX, BF_KDATA);
	const uint32_t loop = c.at;
	/* mov fs, eax; mov gs, eax; mov es, eax; dec ecx */
	EMIT(&c, 0x8e, 0xe0, 0x8e, 0xe8, 0x8e, 0xc0, 0x49);
	EMIT(&c, 0x75, 0x07);
	/* the last time: and byte [access], 7fh: not present */
	EMIT(&c, 0x80, 0x25); EMIT32(&c, BF_GDT + BF_KDATA + 5); EMIT(&c, 0x7f);
	JMP(&c, loop);
	EXPECT_EQ(bf_run(bf, &vector), BF_EXCEPTION);
	EXPECT_EQ(vector, EXC_NP);
	EXPECT_EQ(bf_read32(bf, bf->cpu->regs[X86_ESP]), BF_KDATA);
	EXPECT_EQ(bf_read32(bf, bf->cpu->regs[X86_ESP] + 4), loop);
	EXPECT_EQ(bf->cpu->regs[X86_ECX], 0);
	bf_reset(bf, 0, true);
	c = code_at(bf, BF_CODE);
	MOV(&c, X86_EAX, BF_KDATA);
	/* twice: it is remembered */
	EMIT(&c, 0x8e, 0xe0, 0x8e, 0xe0);
	STOP(&c);
	run_to_stop(bf);
	bf_reset(bf, 3, true);
	c = code_at(bf, BF_CODE);
	MOV(&c, X86_EAX, BF_KDATA);
	EMIT(&c, 0x8e, 0xe0);
	STOP(&c);
	EXPECT_EQ(bf_run(bf, &vector), BF_EXCEPTION);
	EXPECT_EQ(vector, EXC_GP);
	EXPECT_EQ(bf_read32(bf, bf->cpu->regs[X86_ESP]), BF_KDATA);
}

Test(bt_segments, segment_loads_that_fault)
{
	in_all(segment_loads_that_fault, 0, true);
}
