/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Interrupts in translated code: between any two instructions and in the middle of strings, what
 * holds them off, and what they save. Every guest program runs in every configuration of
 * bt_configurations.h.
 */
#include <string.h>
#include <unistd.h>
#include "bt_code.h"
#include "bt_configurations.h"

TestSuite(bt_interrupts, .timeout = 300);

#define IRQ_VECTOR 0x40
#define HANDLER    (BF_STUBS + 0x1800)
#define COUNTER    BF_DATA /* HANDLER counts there */

struct irq_source {
	struct bf *bf;
	_Atomic unsigned raised, taken;
	_Atomic bool done;
	unsigned pause_us;
};

static int acknowledge(void *opaque)
{
	struct irq_source *source = opaque;

	vcpu_clear_event(&source->bf->vm.vcpu, EVENT_INTR);
	source->taken++;
	return IRQ_VECTOR;
}

static void connect_source(struct irq_source *source)
{
	source->bf->vm.interrupt_source = (struct interrupt_source){ acknowledge, source };
}

/* Interrupts go to HANDLER instead of the stop stub. */
static void set_handler(struct bf *bf)
{
	const uint16_t gate[4] = { (uint16_t)HANDLER, BF_KCODE, 0x8e00, HANDLER >> 16 };

	bf_write(bf, BF_IDT + 8 * IRQ_VECTOR, gate, 8);
	bf_write32(bf, COUNTER, 0);
}

/* --- at any moment --- */

static void *irq_thread(void *opaque)
{
	struct irq_source *source = opaque;

	while (!source->done) {
		if (source->taken == source->raised) {
			source->raised++;
			vcpu_raise_event(&source->bf->vm.vcpu, EVENT_INTR);
		}
		if (source->pause_us)
			usleep(source->pause_us);
	}
	return NULL;
}

/*
 * The handler: inc dword [COUNTER]; cmp with limit, at which it goes to done instead of where it
 * came from; iret.
 */
static void build_handler(struct bf *bf, uint32_t limit, uint32_t done)
{
	struct code h = code_at(bf, HANDLER);

	EMIT(&h, 0x36, 0xff, 0x05); EMIT32(&h, COUNTER);
	if (done) {
		EMIT(&h, 0x50, 0xa1); EMIT32(&h, COUNTER);     /* push eax; mov eax, [] */
		EMIT(&h, 0x3d); EMIT32(&h, limit);
		/* pop; jb; mov dword [esp] */
		EMIT(&h, 0x58, 0x72, 0x07, 0xc7, 0x04, 0x24); EMIT32(&h, done);
	}
	EMIT(&h, 0xcf);
	set_handler(bf);
}

static void run_with_interrupts(struct bf *bf, unsigned pause_us)
{
	struct irq_source source = { .bf = bf, .pause_us = pause_us };
	pthread_t thread;

	connect_source(&source);
	bf->cpu->eflags |= X86_IF;
	pthread_create(&thread, NULL, irq_thread, &source);
	run_to_stop(bf);
	source.done = true;
	pthread_join(thread, NULL);
	EXPECT_EQ(bf_read32(bf, COUNTER), source.taken);
	atomic_store(&bf->cpu->events, 0);
}

static void loop_until_interrupted(struct code *c, uint32_t loop, uint32_t times)
{
	/* cmp dword [COUNTER], times; jb loop */
	EMIT(c, 0x81, 0x3d); EMIT32(c, COUNTER); EMIT32(c, times);
	JB(c, loop);
}

/* An endless loop of one instruction, which only interrupts end. */
static void interrupts_in_the_tightest_loop(struct bf *bf)
{
	struct code c = code_at(bf, BF_CODE), done = code_at(bf, BF_CODE + 0x100);

	EMIT(&c, 0xeb, 0xfe);
	STOP(&done);
	build_handler(bf, 300, BF_CODE + 0x100);
	for (unsigned r = 0; r < 8; r++)
		if (r != X86_ESP)
			bf->cpu->regs[r] = 0x11111111 * (r + 1);
	run_with_interrupts(bf, 20);
	cr_expect_geq(bf_read32(bf, COUNTER), 300u);
	for (unsigned r = 0; r < 8; r++)
		if (r != X86_ESP && r != X86_EAX)
			EXPECT_EQ(bf->cpu->regs[r], 0x11111111 * (r + 1));
	EXPECT_EQ(bf->cpu->regs[X86_ESP], BF_DATA + 0x2800);
}

Test(bt_interrupts, interrupts_in_the_tightest_loop)
{
	in_all(interrupts_in_the_tightest_loop, 0, false);
	in_all(interrupts_in_the_tightest_loop, 3, true);
}

/* Calls, returns, string copies, flags across pushf: the result tells of any damage. */
static void interrupts_among_calls_and_strings(struct bf *bf)
{
	struct code c = code_at(bf, BF_CODE), f = code_at(bf, FUNCTION);
	const uint32_t from = BF_FREE + 0x100000, to = BF_FREE + 0x200000;
	uint32_t loop;

	for (unsigned n = 0; n < 0x4000; n += 4)
		bf_write32(bf, from + n, n * 0x9e3779b9u);
	loop = c.at;
	EMIT(&c, 0x45);                        /* inc ebp */
	MOV(&c, X86_ESI, from);
	MOV(&c, X86_EDI, to);
	MOV(&c, X86_ECX, 0x1003);
	EMIT(&c, 0xf3, 0xa4);                  /* rep movsb */
	EMIT(&c, 0x81, 0xfe); EMIT32(&c, from + 0x1003);
	EMIT(&c, 0x0f, 0x94, 0xc0, 0x0f, 0xb6, 0xc0, 0x01, 0xc3); /* sete al; movzx; add ebx, eax */
	MOV(&c, X86_ECX, 12);
	CALL(&c, FUNCTION);                    /* edx += 12 */
	/* stc; pushf; pop eax; and eax, 1; add ebx, eax */
	EMIT(&c, 0xf9, 0x9c, 0x58, 0x83, 0xe0, 0x01, 0x01, 0xc3);
	loop_until_interrupted(&c, loop, 200);
	STOP(&c);
	EMIT(&f, 0x42, 0x49, 0x74, 0x05);
	CALL(&f, FUNCTION);
	EMIT(&f, 0xc3);
	build_handler(bf, 0, 0);
	bf->cpu->regs[X86_EDX] = 0;
	run_with_interrupts(bf, 3);
	EXPECT_EQ(bf->cpu->regs[X86_EBX], 2 * bf->cpu->regs[X86_EBP]);
	EXPECT_EQ(bf->cpu->regs[X86_EDX], 12 * bf->cpu->regs[X86_EBP]);
	EXPECT_EQ(memcmp(bf->ram + from, bf->ram + to, 0x1003), 0);
}

Test(bt_interrupts, interrupts_among_calls_and_strings)
{
	in_all(interrupts_among_calls_and_strings, 0, false);
	in_all(interrupts_among_calls_and_strings, 3, true);
}

/*
 * A string instruction of milliseconds is interrupted in its middle, not stepped through to its
 * end.
 */
static void interrupts_in_a_long_string(struct bf *bf)
{
	struct code c = code_at(bf, BF_CODE);
	const uint32_t size = 0x300000;
	uint32_t loop;

	loop = c.at;
	MOV(&c, X86_EDI, BF_FREE + 0x100000);
	MOV(&c, X86_ECX, size);
	EMIT(&c, 0x45, 0x89, 0xe8, 0xf3, 0xaa); /* inc ebp; mov eax, ebp; rep stosb */
	loop_until_interrupted(&c, loop, 20);
	STOP(&c);
	build_handler(bf, 0, 0);
	run_with_interrupts(bf, 100);
	EXPECT_EQ(bf->cpu->regs[X86_ECX], 0);
	EXPECT_EQ(bf->cpu->regs[X86_EDI], BF_FREE + 0x100000 + size);
	EXPECT_EQ(bf->ram[BF_FREE + 0x100000], (uint8_t)bf->cpu->regs[X86_EBP]);
	EXPECT_EQ(memcmp(bf->ram + BF_FREE + 0x100000, bf->ram + BF_FREE + 0x100001, size - 1), 0);
	if (bf->vm.vcpu.engine == &engine_bt)
		cr_expect_lt(bf_stat(bf, "dispatcher", "steps"),
			     500 * (1 + bf_stat(bf, "dispatcher", "kicks")), "[%s] %ld steps",
			     bf->name, bf_stat(bf, "dispatcher", "steps"));
}

Test(bt_interrupts, interrupts_in_a_long_string)
{
	in_all(interrupts_in_a_long_string, 0, false);
	in_all(interrupts_in_a_long_string, 3, true);
}

/*
 * A copy by words, upwards and downwards, that is interrupted in its middle: each word is copied
 * once, from where it is to where it belongs.
 */
static void interrupts_in_a_copy_of_words(struct bf *bf)
{
	const uint32_t words = 0x60000, from = BF_FREE + 0x100000, to = from + 2 * words + 0x1000;

	for (uint32_t i = 0; i < words; i++) {
		const uint16_t value = 40503 * (i + 1);

		memcpy(bf->ram + from + 2 * i, &value, 2);
	}
	for (unsigned down = 0; down < 2; down++) {
		struct code c = code_at(bf, BF_CODE);
		const uint32_t first = down ? 2 * (words - 1) : 0;
		uint32_t loop;

		memset(bf->ram + to, 0, 2 * words + 2);
		EMIT(&c, down ? 0xfd : 0xfc);                 /* std or cld */
		loop = c.at;
		MOV(&c, X86_ESI, from + first);
		MOV(&c, X86_EDI, to + first);
		MOV(&c, X86_ECX, words);
		EMIT(&c, 0xf3, 0x66, 0xa5);                   /* rep movsw */
		EMIT(&c, 0x89, 0xf2, 0x89, 0xfd);             /* mov edx, esi; mov ebp, edi */
		loop_until_interrupted(&c, loop, 10);
		EMIT(&c, 0xfc);
		STOP(&c);
		build_handler(bf, 0, 0);
		bf->cpu->eip = BF_CODE;
		run_with_interrupts(bf, 100);
		EXPECT_EQ(bf->cpu->regs[X86_ECX], 0);
		EXPECT_EQ(bf->cpu->regs[X86_EDX], down ? from - 2 : from + 2 * words);
		EXPECT_EQ(bf->cpu->regs[X86_EBP], down ? to - 2 : to + 2 * words);
		EXPECT_EQ(memcmp(bf->ram + from, bf->ram + to, 2 * words), 0);
		EXPECT_EQ(bf->ram[to + 2 * words], 0);
	}
}

Test(bt_interrupts, interrupts_in_a_copy_of_words)
{
	in_all(interrupts_in_a_copy_of_words, 0, false);
	in_all(interrupts_in_a_copy_of_words, 3, true);
}

/* --- what holds them off, and what lets them in --- */

/*
 * Behind an STI no interrupt comes before the next instruction is done, though that misses the
 * software TLB each time.
 */
static void no_interrupt_behind_sti(struct bf *bf)
{
	struct code c = code_at(bf, BF_CODE), h = code_at(bf, HANDLER);
	uint32_t loop, behind;

	EMIT(&c, 0xfa);
	loop = c.at;
	EMIT(&c, 0x0f, 0x01, 0x3d); EMIT32(&c, REMAPPED);       /* invlpg */
	EMIT(&c, 0xfb);
	behind = c.at;
	emit_load_ebx(&c, REMAPPED);
	EMIT(&c, 0x90, 0xfa);                                   /* nop; cli */
	loop_until_interrupted(&c, loop, 1000);
	STOP(&c);
	EMIT(&h, 0xff, 0x05); EMIT32(&h, COUNTER);              /* inc [COUNTER] */
	EMIT(&h, 0x81, 0x3c, 0x24); EMIT32(&h, behind);         /* cmp [esp], behind */
	EMIT(&h, 0x75, 6, 0xff, 0x05); EMIT32(&h, COUNTER + 4); /* jne over; inc [COUNTER + 4] */
	EMIT(&h, 0xcf);
	set_handler(bf);
	bf_write32(bf, COUNTER + 4, 0);
	bf->cpu->eip = BF_CODE;
	run_with_interrupts(bf, 5);
	EXPECT_EQ(bf_read32(bf, COUNTER + 4), 0);
}

Test(bt_interrupts, no_interrupt_behind_sti)
{
	in_all(no_interrupt_behind_sti, 0, true);
}

/*
 * An interrupt waits while IF is clear; the handler is the stop stub, so its frame tells where it
 * was taken. 0: it was not.
 */
static uint32_t pending_interrupt_taken_at(struct bf *bf)
{
	struct irq_source source = { .bf = bf };
	int vector;

	connect_source(&source);
	bf->cpu->eip = BF_CODE;
	bf->cpu->eflags = X86_F1;
	bf->cpu->regs[X86_ESP] = BF_DATA + 0x2800;
	atomic_store(&bf->cpu->events, EVENT_INTR);
	if (bf_run(bf, &vector) != BF_EXCEPTION || vector != IRQ_VECTOR)
		return 0;
	return bf_read32(bf, bf->cpu->regs[X86_ESP]);
}

static void interrupt_shadows(struct bf *bf)
{
	struct code c;

	c = code_at(bf, BF_CODE);
	EMIT(&c, 0x90, 0xfb, 0x40, 0x40); STOP(&c);                 /* sti; inc eax; inc eax */
	EXPECT_EQ(pending_interrupt_taken_at(bf), BF_CODE + 3);
	c = code_at(bf, BF_CODE);
	EMIT(&c, 0xfb, 0xfa, 0x40, 0x40); STOP(&c);                 /* sti; cli: never */
	EXPECT_EQ(pending_interrupt_taken_at(bf), 0);
	c = code_at(bf, BF_CODE);
	/* push ss; pop eax; sti; mov ss, ax; inc eax */
	EMIT(&c, 0x16, 0x58, 0xfb, 0x8e, 0xd0, 0x40, 0x40); STOP(&c);
	EXPECT_EQ(pending_interrupt_taken_at(bf), BF_CODE + 6);
	c = code_at(bf, BF_CODE);
	EMIT(&c, 0xfb, 0xf4, 0x40); STOP(&c);                       /* sti; hlt */
	EXPECT_EQ(pending_interrupt_taken_at(bf), BF_CODE + 2);
	c = code_at(bf, BF_CODE);
	/* push 202h; popf: no shadow */
	EMIT(&c, 0x68, 0x02, 0x02, 0, 0, 0x9d, 0x40, 0x40); STOP(&c);
	EXPECT_EQ(pending_interrupt_taken_at(bf), BF_CODE + 6);
}

Test(bt_interrupts, interrupt_shadows)
{
	in_all(interrupt_shadows, 0, false);
	in_all(interrupt_shadows, 0, true);
}

/*
 * An instruction after an STI that translated code gives up half-way, here a store to a device that
 * was not known for one, is begun again before any interrupt. Each of many does so once, while
 * interrupts come all the time; the handler counts those that came right after an STI.
 */
static void no_interrupt_before_what_is_begun_again(struct bf *bf)
{
	const uint32_t wanted = 30;
	struct code h = code_at(bf, HANDLER);

	bf_map_page(bf, REMAPPED, DEVICE);
	EMIT(&h, 0x50, 0x8b, 0x44, 0x24, 0x04);               /* push eax; mov eax, [esp + 4] */
	EMIT(&h, 0x80, 0x78, 0xff, 0xfb);                     /* cmp byte [eax - 1], STI */
	EMIT(&h, 0x75, 6, 0xff, 0x05); EMIT32(&h, COUNTER + 4); /* jne over; inc [COUNTER + 4] */
	EMIT(&h, 0xff, 0x05); EMIT32(&h, COUNTER + 8);
	EMIT(&h, 0x58, 0xff, 0x05); EMIT32(&h, COUNTER);      /* pop eax; inc [COUNTER] */
	EMIT(&h, 0xcf);
	bf_write32(bf, COUNTER + 4, 0);
	bf_write32(bf, COUNTER + 8, 0);
	for (unsigned pass = 0; pass < 400 && bf_read32(bf, COUNTER + 8) < wanted; pass++) {
		struct code c = code_at(bf, BF_FREE + 0x2000 * (pass % 64));

		bf->cpu->eip = c.at;
		EMIT(&c, 0xfa); /* cli: with IF set STI holds off nothing */
		for (unsigned i = 0; i < 500; i++) {
			/* sti; mov [REMAPPED], eax; nop; cli */
			EMIT(&c, 0xfb, 0xa3); EMIT32(&c, REMAPPED);
			EMIT(&c, 0x90, 0xfa);
		}
		STOP(&c);
		set_handler(bf);
		run_with_interrupts(bf, 0);
	}
	EXPECT_EQ(bf_read32(bf, COUNTER + 4), 0);
	cr_expect_geq(bf_read32(bf, COUNTER + 8), wanted, "[%s] only %u interrupts", bf->name,
		      bf_read32(bf, COUNTER + 8));
}

Test(bt_interrupts, no_interrupt_before_what_is_begun_again)
{
	in_all(no_interrupt_before_what_is_begun_again, 0, true);
}

/*
 * As a local APIC whose task priority is lowered: the third store lets an interrupt in, which comes
 * right after it.
 */
__attribute__((target("general-regs-only"))) static bool
interrupt_at_third_store(void *opaque, gpa_t gpa, uint32_t value)
{
	struct bf *bf = opaque;

	if (value == 3)
		atomic_fetch_or(&bf->cpu->events, EVENT_INTR);
	return true;
}

static void interrupt_behind_a_store(struct bf *bf)
{
	struct irq_source source = { .bf = bf };
	struct code c = code_at(bf, BF_CODE);
	uint32_t loop, behind;
	int vector;

	connect_source(&source);
	bf->vm.store_unlocked = interrupt_at_third_store;
	bf->vm.store_unlocked_opaque = bf;
	bf_map_page(bf, REMAPPED, DEVICE);
	MOV(&c, X86_ECX, 1);
	EMIT(&c, 0xfb);                                   /* sti */
	loop = c.at;
	EMIT(&c, 0x89, 0x0d); EMIT32(&c, REMAPPED + 0x80); /* mov [], ecx */
	behind = c.at;
	EMIT(&c, 0x41, 0x41, 0x49);                       /* inc ecx; inc ecx; dec ecx */
	JMP(&c, loop);
	bf->cpu->eip = BF_CODE;
	EXPECT_EQ(bf_run(bf, &vector), BF_EXCEPTION);
	EXPECT_EQ(vector, IRQ_VECTOR);
	EXPECT_EQ(bf_read32(bf, bf->cpu->regs[X86_ESP]), behind);
	EXPECT_EQ(bf->cpu->regs[X86_ECX], 3);
}

Test(bt_interrupts, interrupt_behind_a_store)
{
	in_all(interrupt_behind_a_store, 0, true);
}

/* --- RF --- */

/* One interrupt, after a while. */
static void *irq_late(void *opaque)
{
	struct irq_source *source = opaque;

	usleep(source->pause_us);
	vcpu_raise_event(&source->bf->vm.vcpu, EVENT_INTR);
	return NULL;
}

/* Where the string instruction stands. */
enum { STRING = BF_CODE + 0x100 };

/*
 * Runs what is at BF_CODE until an interrupt comes, whose handler is the stop stub. True if it came
 * between two rounds of the string at STRING.
 */
static bool interrupt_a_string(struct bf *bf, uint32_t rounds, unsigned pause_us)
{
	struct irq_source source = { .bf = bf, .pause_us = pause_us };
	struct cpu *cpu = bf->cpu;
	pthread_t thread;
	uint32_t frame;
	int vector;
	bool between;

	connect_source(&source);
	cpu->eip = BF_CODE;
	cpu->eflags = X86_F1 | X86_IF;
	cpu->regs[X86_ESP] = BF_DATA + 0x2800;
	pthread_create(&thread, NULL, irq_late, &source);
	EXPECT_EQ(bf_run(bf, &vector), BF_EXCEPTION);
	pthread_join(thread, NULL);
	atomic_store(&cpu->events, 0);
	EXPECT_EQ(vector, IRQ_VECTOR);
	frame = cpu->regs[X86_ESP];
	between = bf_read32(bf, frame) == STRING && cpu->regs[X86_ECX] != rounds;
	EXPECT_EQ(!!(bf_read32(bf, frame + 8) & X86_RF), between);
	return between;
}

/*
 * An interrupt between two rounds of a string instruction saves RF set (SDM vol. 3, 17.3.1.1), and
 * only such a one.
 */
static void interrupted_strings_save_rf(struct bf *bf)
{
	static const struct { uint8_t code[3]; uint32_t rounds; } strings[] = {
		{ { 0xf3, 0xaa, 0x90 }, 0x300000 }, { { 0xf3, 0xa5, 0x90 }, 0xc0000 },
		{ { 0xf3, 0xa6, 0x90 }, 0x300000 }, { { 0x67, 0xf3, 0xa6 }, 0xffff },
	};

	for (size_t n = 0; n < RF_ARRAY_SIZE(strings); n++) {
		const uint32_t rounds = strings[n].rounds,
			       place = rounds > 0xffff ? BF_FREE + 0x100000 : 0;
		struct code c = code_at(bf, BF_CODE), string = code_at(bf, STRING);
		unsigned between = 0;

		/*
		 * The string again and again, so that the interrupt comes in one however late it
		 * is.
		 */
		EMIT(&c, 0x31, 0xc0); /* xor eax, eax */
		MOV(&c, X86_ESI, place);
		MOV(&c, X86_EDI, place);
		MOV(&c, X86_ECX, rounds);
		JMP(&c, STRING);
		emit_bytes(&string, strings[n].code, 3);
		JMP(&string, BF_CODE);
		for (unsigned run = 0; run < 400 && between < 6; run++)
			between += interrupt_a_string(bf, rounds, run % 40 * 10);
		cr_expect_geq(between, 6, "[%s] string %zu: %u interrupts in its middle", bf->name,
			      n, between);
	}
}

Test(bt_interrupts, interrupted_strings_save_rf)
{
	in_all(interrupted_strings_save_rf, 0, false);
}

/* IRET sets RF for one instruction: nothing shows it afterwards. */
static void resume_flag_lasts_one_instruction(struct bf *bf)
{
	struct code c = code_at(bf, BF_CODE);

	EMIT(&c, 0x68); EMIT32(&c, X86_RF | X86_F1);
	EMIT(&c, 0x6a, BF_KCODE, 0x68); EMIT32(&c, c.at + 5);
	/* iret; inc eax; pushf; pop ecx; inc eax */
	EMIT(&c, 0xcf, 0x40, 0x9c, 0x59, 0x40);
	STOP(&c);
	run_to_stop(bf);
	EXPECT_EQ(bf->cpu->regs[X86_EAX], 2);
	EXPECT_EQ(bf->cpu->regs[X86_ECX] & X86_RF, 0);
	EXPECT_EQ(bf->cpu->eflags & X86_RF, 0);
}

Test(bt_interrupts, resume_flag_lasts_one_instruction)
{
	in_all(resume_flag_lasts_one_instruction, 0, false);
	in_all(resume_flag_lasts_one_instruction, 0, true);
}
