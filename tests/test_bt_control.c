/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Binary translation where it is unlike plain execution: links, returns, indirect branches, code that changes or is mapped
 * elsewhere, interrupts between instructions. Every guest program runs under each configuration that takes another way through
 * the translator, and under the interpreter, which shows that the program itself is right.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "bt_fixture.h"

static const struct { const char *engine, *options; } configurations[] = {
	{ "interp", NULL }, { "bt", NULL }, { "bt", "links=off" }, { "bt", "tu-insns=1" }, { "bt", "tu-insns=2,cache-kib=256" },
	{ "bt", "tables=compare" }, { "bt", "tables=trace" }, { "bt", "soft=always" }, { "bt", "fill-around=off,cache-kib=256" },
};

static const char *configuration;

#define EXPECT_EQ(a, b) \
	do { \
		unsigned long long a_ = (a), b_ = (b); \
		cr_expect_eq(a_, b_, "[%s] %s is %#llx, not %#llx", configuration, #a, a_, b_); \
	} while (0)

/* Runs program(bf) in every configuration; ring and paging are the test's. */
static void in_all(void (*program)(struct bf *bf), unsigned cpl, bool paging)
{
	for (size_t i = 0; i < RF_ARRAY_SIZE(configurations); i++) {
		struct bf *bf = bf_create(configurations[i].engine, configurations[i].options);
		char name[64];

		snprintf(name, sizeof(name), "%s %s, ring %u, paging %d", configurations[i].engine,
			 configurations[i].options ? configurations[i].options : "", cpl, paging);
		configuration = name;
		bf_reset(bf, cpl, paging);
		program(bf);
		bf_destroy(bf);
	}
}

static void run_to_stop(struct bf *bf)
{
	int vector;
	enum bf_outcome outcome = bf_run(bf, &vector);

	cr_expect_eq(outcome, BF_STOPPED, "[%s] outcome %d, vector %d at %08x, frame %08x %08x, cr2 %08x", configuration, outcome, vector,
		     bf->cpu->eip, bf->cpu->regs[X86_ESP] < BF_RAM_SIZE ? bf_read32(bf, bf->cpu->regs[X86_ESP]) : 0,
		     bf->cpu->regs[X86_ESP] < BF_RAM_SIZE - 4 ? bf_read32(bf, bf->cpu->regs[X86_ESP] + 4) : 0, bf->cpu->cr2);
}

/* --- writing programs --- */

struct code {
	struct bf *bf;
	uint32_t at;
};

static void put(struct code *c, const void *bytes, unsigned len)
{
	bf_write(c->bf, c->at, bytes, len);
	c->at += len;
}
#define EMIT(c, ...) ({ const uint8_t b_[] = { __VA_ARGS__ }; put(c, b_, sizeof(b_)); })
#define EMIT32(c, v) ({ uint32_t v_ = (v); put(c, &v_, 4); })

static void emit_to(struct code *c, uint8_t opcode, uint32_t target)
{
	EMIT(c, opcode);
	EMIT32(c, target - (c->at + 4));
}
#define CALL(c, target) emit_to(c, 0xe8, target)
#define JMP(c, target)  emit_to(c, 0xe9, target)
static void jcc(struct code *c, uint8_t condition, uint32_t target)
{
	EMIT(c, 0x0f, 0x80 | condition);
	EMIT32(c, target - (c->at + 4));
}
#define JNZ(c, target) jcc(c, 5, target)
#define MOV(c, reg, value) ({ EMIT(c, 0xb8 | (reg)); EMIT32(c, value); })
#define STOP(c) EMIT(c, BF_STOP)

static struct code at(struct bf *bf, uint32_t address)
{
	return (struct code){ bf, address };
}

/* A function: mov eax, value; ret. */
static void value_function(struct bf *bf, uint32_t gpa, uint32_t value)
{
	struct code c = at(bf, gpa);

	MOV(&c, X86_EAX, value);
	EMIT(&c, 0xc3);
}

#define FUNCTION (BF_FREE + 0x10000)

/* --- links and returns --- */

static void loop_within_and_across_pages(struct bf *bf)
{
	struct code c = at(bf, BF_CODE + 0xff0);
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

static void recursion_deeper_than_the_return_stack(struct bf *bf)
{
	struct code c = at(bf, BF_CODE), f = at(bf, FUNCTION);

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

/* Return addresses that are changed, dropped, and returned to twice. */
static void returns_to_other_places(struct bf *bf)
{
	struct code c = at(bf, BF_CODE), f = at(bf, FUNCTION), g = at(bf, FUNCTION + 0x1000), h = at(bf, FUNCTION + 0x2000);
	uint32_t loop;

	MOV(&c, X86_ECX, 1000);
	loop = c.at;
	CALL(&c, FUNCTION);                   /* comes back behind the next instruction */
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

/* Targets with the same low bits of EIP share an entry of the branch cache. */
static void colliding_indirect_branches(struct bf *bf)
{
	struct code c = at(bf, BF_CODE);
	const unsigned targets = 7, rounds = 700;
	uint32_t loop, sum = 0;

	for (unsigned n = 0; n < targets; n++) {
		value_function(bf, FUNCTION + 0x1000 * n + 0x123, 1u << (3 * n));
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

/* More code than a tiny cache holds, three times. */
static void more_code_than_cache(struct bf *bf)
{
	const unsigned functions = 12000;
	struct code c = at(bf, BF_CODE), f = at(bf, FUNCTION);
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
	EMIT(&c, 0xff, 0xd2, 0x83, 0xc2, 0x20, 0x49, 0x75, 0xf8); /* call edx; add edx, 0x20; dec ecx; jnz */
	EMIT(&c, 0x4f);                       /* dec edi */
	JNZ(&c, loop);
	STOP(&c);
	run_to_stop(bf);
	EXPECT_EQ(bf->cpu->regs[X86_EBX], 3 * (functions * (functions - 1) / 2));
	EXPECT_EQ(bf_read32(bf, BF_DATA), bf->cpu->regs[X86_EBX]);
	if (strstr(configuration, "cache-kib"))
		cr_expect_gt(bf_stat(bf, "translator", "cache_flushes"), 0, "[%s] the cache was never full", configuration);
}

#define CONTROL_TEST(program) \
	Test(bt_control, program) \
	{ \
		in_all(program, 0, false); \
		in_all(program, 3, true); \
		in_all(program, 0, true); \
	}

TestSuite(bt_control, .timeout = 300);

CONTROL_TEST(loop_within_and_across_pages)
CONTROL_TEST(recursion_deeper_than_the_return_stack)
CONTROL_TEST(returns_to_other_places)
CONTROL_TEST(colliding_indirect_branches)
CONTROL_TEST(more_code_than_cache)

/* --- code that changes --- */

/* The next instruction, in the same translation unit. */
static void stores_to_the_next_instruction(struct bf *bf)
{
	struct code c = at(bf, BF_CODE);
	uint32_t loop, patched;

	MOV(&c, X86_ECX, 300);
	loop = c.at;
	EMIT(&c, 0x89, 0x0d); EMIT32(&c, c.at + 5); /* mov [imm], ecx */
	patched = c.at;
	MOV(&c, X86_EAX, 0);
	EMIT(&c, 0x01, 0xc3, 0x49);           /* add ebx, eax; dec ecx */
	JNZ(&c, loop);
	STOP(&c);
	run_to_stop(bf);
	EXPECT_EQ(bf->cpu->regs[X86_EBX], 300 * 301 / 2);
	EXPECT_EQ(bf_read32(bf, patched + 1), 1);
}

static void stores_to_a_function(struct bf *bf, uint32_t function, bool indirect)
{
	struct code c = at(bf, BF_CODE);
	uint32_t loop;

	value_function(bf, function, 0);
	MOV(&c, X86_ECX, 300);
	loop = c.at;
	EMIT(&c, 0x89, 0x0d); EMIT32(&c, function + 1);
	if (indirect) {
		MOV(&c, X86_EDX, function);
		EMIT(&c, 0xff, 0xd2);
	} else {
		CALL(&c, function);
	}
	EMIT(&c, 0x01, 0xc3, 0x49);
	JNZ(&c, loop);
	STOP(&c);
	run_to_stop(bf);
	EXPECT_EQ(bf->cpu->regs[X86_EBX], 300 * 301 / 2);
}

/* A unit that is linked to directly. */
static void stores_to_another_unit_of_the_page(struct bf *bf)
{
	stores_to_a_function(bf, BF_CODE + 0x800, false);
}

static void stores_to_another_page(struct bf *bf)
{
	stores_to_a_function(bf, FUNCTION, false);
}

static void stores_to_what_is_called_indirectly(struct bf *bf)
{
	stores_to_a_function(bf, FUNCTION, true);
}

static void stores_to_an_instruction_across_pages(struct bf *bf)
{
	stores_to_a_function(bf, FUNCTION + 0xffd, false);
}

/* rep stosb turns INCs into DECs and back; the string runs over data and code. */
static void string_store_over_code(struct bf *bf)
{
	struct code c = at(bf, BF_CODE), f = at(bf, FUNCTION);
	uint32_t loop;

	for (int n = 0; n < 50; n++)
		EMIT(&f, 0x43);
	EMIT(&f, 0xc3);
	MOV(&c, X86_EBP, 100);
	loop = c.at;
	CALL(&c, FUNCTION);                   /* ebx += 50 */
	MOV(&c, X86_EDI, FUNCTION - 20);
	MOV(&c, X86_ECX, 60);
	EMIT(&c, 0xb0, 0x4b, 0xf3, 0xaa);     /* 40 of them become dec ebx */
	CALL(&c, FUNCTION);                   /* ebx += 10 - 40 */
	MOV(&c, X86_EDI, FUNCTION);
	MOV(&c, X86_ECX, 40);
	EMIT(&c, 0xb0, 0x43, 0xf3, 0xaa);
	EMIT(&c, 0x4d);
	JNZ(&c, loop);
	STOP(&c);
	run_to_stop(bf);
	EXPECT_EQ(bf->cpu->regs[X86_EBX], 100 * 20);
}

CONTROL_TEST(stores_to_the_next_instruction)
CONTROL_TEST(stores_to_another_unit_of_the_page)
CONTROL_TEST(stores_to_another_page)
CONTROL_TEST(stores_to_what_is_called_indirectly)
CONTROL_TEST(stores_to_an_instruction_across_pages)
CONTROL_TEST(string_store_over_code)

#define ALIAS 0x600000u /* a linear page, and where its entry is */
static uint32_t pte_address(uint32_t gva)
{
	return BF_PAGE_TABLES + 4 * (gva >> GUEST_PAGE_SHIFT);
}
#define PTE_FLAGS (PTE_P | PTE_W | PTE_U | PTE_A | PTE_D)

static void map_page(struct bf *bf, uint32_t gva, uint32_t gpa)
{
	bf_write32(bf, pte_address(gva), gpa | PTE_FLAGS);
	bf_flush(bf);
}

static void stores_through_an_alias(struct bf *bf)
{
	struct code c = at(bf, BF_CODE);
	uint32_t loop;

	map_page(bf, ALIAS, FUNCTION);
	value_function(bf, FUNCTION, 0);
	MOV(&c, X86_ECX, 300);
	loop = c.at;
	EMIT(&c, 0x89, 0x0d); EMIT32(&c, ALIAS + 1);
	CALL(&c, FUNCTION);
	EMIT(&c, 0x01, 0xc3);
	EMIT(&c, 0xff, 0x05); EMIT32(&c, FUNCTION + 1); /* inc dword [] */
	CALL(&c, ALIAS);
	EMIT(&c, 0x01, 0xc3, 0x49);
	JNZ(&c, loop);
	STOP(&c);
	run_to_stop(bf);
	EXPECT_EQ(bf->cpu->regs[X86_EBX], 300 * 301 + 300);
}

Test(bt_control, stores_through_an_alias)
{
	in_all(stores_through_an_alias, 0, true);
	in_all(stores_through_an_alias, 3, true);
}

/* --- code that is mapped elsewhere --- */

/* The guest edits the entry of the page it calls, alternating between two functions, and flushes with flush_len bytes of code. */
static void remap_and_call(struct bf *bf, const uint8_t *flush, unsigned flush_len)
{
	struct code c = at(bf, BF_CODE);
	uint32_t loop;

	value_function(bf, FUNCTION + 0x10, 1);
	value_function(bf, FUNCTION + 0x1010, 0x10000);
	map_page(bf, ALIAS, FUNCTION);
	MOV(&c, X86_ECX, 200);
	loop = c.at;
	EMIT(&c, 0x81, 0x35); EMIT32(&c, pte_address(ALIAS)); EMIT32(&c, (FUNCTION ^ (FUNCTION + 0x1000))); /* xor dword [pte] */
	put(&c, flush, flush_len);
	CALL(&c, ALIAS + 0x10);
	EMIT(&c, 0x01, 0xc3, 0x49);
	JNZ(&c, loop);
	STOP(&c);
	run_to_stop(bf);
	EXPECT_EQ(bf->cpu->regs[X86_EBX], 100 * 0x10001);
}

static void remap_with_invlpg(struct bf *bf)
{
	static const uint8_t invlpg[] = { 0x0f, 0x01, 0x3d, 0x00, 0x00, 0x60, 0x00 };

	remap_and_call(bf, invlpg, sizeof(invlpg));
}

static void remap_with_cr3(struct bf *bf)
{
	static const uint8_t reload[] = { 0x0f, 0x20, 0xda, 0x0f, 0x22, 0xda }; /* mov edx, cr3; mov cr3, edx */

	remap_and_call(bf, reload, sizeof(reload));
}

Test(bt_control, code_page_remapped)
{
	in_all(remap_with_invlpg, 0, true);
	in_all(remap_with_cr3, 0, true);
}

/* Two page directories; the page at ALIAS differs, the page behind it (reached by a jump across) is shared. */
static void two_spaces(struct bf *bf)
{
	const uint32_t dir = BF_FREE + 0x80000, table = BF_FREE + 0x81000;
	struct code c = at(bf, BF_CODE);
	uint32_t loop;

	for (unsigned n = 0; n < 2; n++) {
		struct code f = at(bf, FUNCTION + 0x2000 * n + 0xff9);

		EMIT(&f, 0x81, 0xc3); EMIT32(&f, n ? 1 : 0x10000); /* add ebx; runs into the next page */
		EMIT(&f, 0x90);
	}
	value_function(bf, FUNCTION + 0x1000, 0x77);
	map_page(bf, ALIAS, FUNCTION);
	map_page(bf, ALIAS + 0x1000, FUNCTION + 0x1000);
	memcpy(bf->ram + dir, bf->ram + BF_PAGE_DIR, 0x1000);
	memcpy(bf->ram + table, bf->ram + BF_PAGE_TABLES + 0x1000, 0x1000);
	bf_write32(bf, dir + 4, table | PTE_FLAGS);
	bf_write32(bf, table + 4 * ((ALIAS >> 12) - 1024), (FUNCTION + 0x2000) | PTE_FLAGS);
	MOV(&c, X86_ECX, 300);
	loop = c.at;
	CALL(&c, ALIAS + 0xff9);
	EMIT(&c, 0x01, 0xc5);                  /* add ebp, eax */
	EMIT(&c, 0x0f, 0x20, 0xda, 0x81, 0xf2); EMIT32(&c, BF_PAGE_DIR ^ dir); /* mov edx, cr3; xor edx */
	EMIT(&c, 0x0f, 0x22, 0xda, 0x49);
	JNZ(&c, loop);
	STOP(&c);
	run_to_stop(bf);
	EXPECT_EQ(bf->cpu->regs[X86_EBX], 150 * 0x10001);
	EXPECT_EQ(bf->cpu->regs[X86_EBP], 300 * 0x77);
}

Test(bt_control, two_spaces)
{
	in_all(two_spaces, 0, true);
}

/* --- interrupts --- */

#define IRQ_VECTOR 0x40
#define COUNTER BF_DATA

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

/* One interrupt, after a while. */
static void *irq_late(void *opaque)
{
	struct irq_source *source = opaque;

	usleep(source->pause_us);
	vcpu_raise_event(&source->bf->vm.vcpu, EVENT_INTR);
	return NULL;
}

/* Handler: inc dword [COUNTER]; cmp with limit, at which it goes to done instead of where it came from; iret. */
static void build_handler(struct bf *bf, uint32_t limit, uint32_t done)
{
	struct code h = at(bf, BF_STUBS + 0x1800);
	const uint32_t handler = h.at;
	const uint16_t gate[4] = { (uint16_t)handler, BF_KCODE, 0x8e00, handler >> 16 };

	EMIT(&h, 0x36, 0xff, 0x05); EMIT32(&h, COUNTER);
	if (done) {
		EMIT(&h, 0x50, 0xa1); EMIT32(&h, COUNTER);     /* push eax; mov eax, [] */
		EMIT(&h, 0x3d); EMIT32(&h, limit);
		EMIT(&h, 0x58, 0x72, 0x07, 0xc7, 0x04, 0x24); EMIT32(&h, done); /* pop; jb; mov dword [esp] */
	}
	EMIT(&h, 0xcf);
	bf_write(bf, BF_IDT + 8 * IRQ_VECTOR, gate, 8);
	bf_write32(bf, COUNTER, 0);
}

static void run_with_interrupts(struct bf *bf, unsigned pause_us)
{
	struct irq_source source = { .bf = bf, .pause_us = pause_us };
	pthread_t thread;

	bf->vm.interrupt_ack = acknowledge;
	bf->vm.interrupt_ack_opaque = &source;
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
	EMIT(c, 0x81, 0x3d); EMIT32(c, COUNTER); EMIT32(c, times); /* cmp dword [COUNTER], times; jb loop */
	jcc(c, 2, loop);
}

/* An endless loop of one instruction, which only interrupts end. */
static void interrupts_in_the_tightest_loop(struct bf *bf)
{
	struct code c = at(bf, BF_CODE), done = at(bf, BF_CODE + 0x100);

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

/* Calls, returns, string copies, flags across pushf: the result tells of any damage. */
static void interrupts_among_calls_and_strings(struct bf *bf)
{
	struct code c = at(bf, BF_CODE), f = at(bf, FUNCTION);
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
	EMIT(&c, 0xf9, 0x9c, 0x58, 0x83, 0xe0, 0x01, 0x01, 0xc3); /* stc; pushf; pop eax; and eax, 1; add ebx, eax */
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

/* A string instruction of milliseconds is interrupted in its middle, not stepped through to its end. */
static void interrupts_in_a_long_string(struct bf *bf)
{
	struct code c = at(bf, BF_CODE);
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
	if (configuration[0] == 'b')
		cr_expect_lt(bf_stat(bf, "dispatcher", "steps"), 500 * (1 + bf_stat(bf, "dispatcher", "kicks")), "[%s] %ld steps",
			     configuration, bf_stat(bf, "dispatcher", "steps"));
}

Test(bt_control, interrupts_in_a_long_string)
{
	in_all(interrupts_in_a_long_string, 0, false);
	in_all(interrupts_in_a_long_string, 3, true);
}

Test(bt_control, interrupts_in_the_tightest_loop)
{
	in_all(interrupts_in_the_tightest_loop, 0, false);
	in_all(interrupts_in_the_tightest_loop, 3, true);
}

Test(bt_control, interrupts_among_calls_and_strings)
{
	in_all(interrupts_among_calls_and_strings, 0, false);
	in_all(interrupts_among_calls_and_strings, 3, true);
}

/* Where the string instruction stands. */
enum { STRING = BF_CODE + 0x100 };

/* Runs what is at BF_CODE until an interrupt comes, whose handler is the stop stub. True if it came between two rounds of the string at STRING. */
static bool interrupt_a_string(struct bf *bf, uint32_t rounds, unsigned pause_us)
{
	struct irq_source source = { .bf = bf, .pause_us = pause_us };
	struct cpu *cpu = bf->cpu;
	pthread_t thread;
	uint32_t frame;
	int vector;
	bool between;

	bf->vm.interrupt_ack = acknowledge;
	bf->vm.interrupt_ack_opaque = &source;
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

/* An interrupt between two rounds of a string instruction saves RF set (SDM vol. 3, 17.3.1.1), and only such a one. */
static void interrupted_strings_save_rf(struct bf *bf)
{
	static const struct { uint8_t code[3]; uint32_t rounds; } strings[] = {
		{ { 0xf3, 0xaa, 0x90 }, 0x300000 }, { { 0xf3, 0xa5, 0x90 }, 0xc0000 }, { { 0xf3, 0xa6, 0x90 }, 0x300000 },
		{ { 0x67, 0xf3, 0xa6 }, 0xffff },
	};

	for (size_t n = 0; n < RF_ARRAY_SIZE(strings); n++) {
		const uint32_t rounds = strings[n].rounds, place = rounds > 0xffff ? BF_FREE + 0x100000 : 0;
		struct code c = at(bf, BF_CODE), string = at(bf, STRING);
		unsigned between = 0;

		/* The string again and again, so that the interrupt comes in one however late it is. */
		EMIT(&c, 0x31, 0xc0); /* xor eax, eax */
		MOV(&c, X86_ESI, place);
		MOV(&c, X86_EDI, place);
		MOV(&c, X86_ECX, rounds);
		JMP(&c, STRING);
		put(&string, strings[n].code, 3);
		JMP(&string, BF_CODE);
		for (unsigned run = 0; run < 400 && between < 6; run++)
			between += interrupt_a_string(bf, rounds, run % 40 * 10);
		cr_expect_geq(between, 6, "[%s] string %zu: %u interrupts in its middle", configuration, n, between);
	}
}

Test(bt_control, interrupted_strings_save_rf)
{
	in_all(interrupted_strings_save_rf, 0, false);
}

/* An interrupt waits while IF is clear; the handler is the stop stub, so its frame tells where it was taken. */
static uint32_t pending_interrupt_taken_at(struct bf *bf)
{
	struct irq_source source = { .bf = bf };
	int vector;

	bf->vm.interrupt_ack = acknowledge;
	bf->vm.interrupt_ack_opaque = &source;
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

	c = at(bf, BF_CODE);
	EMIT(&c, 0x90, 0xfb, 0x40, 0x40); STOP(&c);                 /* sti; inc eax; inc eax */
	EXPECT_EQ(pending_interrupt_taken_at(bf), BF_CODE + 3);
	c = at(bf, BF_CODE);
	EMIT(&c, 0xfb, 0xfa, 0x40, 0x40); STOP(&c);                 /* sti; cli: never */
	EXPECT_EQ(pending_interrupt_taken_at(bf), 0);
	c = at(bf, BF_CODE);
	EMIT(&c, 0x16, 0x58, 0xfb, 0x8e, 0xd0, 0x40, 0x40); STOP(&c); /* push ss; pop eax; sti; mov ss, ax; inc eax */
	EXPECT_EQ(pending_interrupt_taken_at(bf), BF_CODE + 6);
	c = at(bf, BF_CODE);
	EMIT(&c, 0xfb, 0xf4, 0x40); STOP(&c);                       /* sti; hlt */
	EXPECT_EQ(pending_interrupt_taken_at(bf), BF_CODE + 2);
	c = at(bf, BF_CODE);
	EMIT(&c, 0x68, 0x02, 0x02, 0, 0, 0x9d, 0x40, 0x40); STOP(&c); /* push 202h; popf: no shadow */
	EXPECT_EQ(pending_interrupt_taken_at(bf), BF_CODE + 6);
}

/* What leaves translated code for a moment comes back behind itself, though an event waits that may not be taken. */
static void callouts_while_an_interrupt_waits(struct bf *bf)
{
	struct code c = at(bf, BF_CODE);

	EMIT(&c, 0x0f, 0x01, 0x3d); EMIT32(&c, BF_DATA);           /* invlpg [data] */
	EMIT(&c, 0x8c, 0xd8, 0x8e, 0xc0);                          /* mov eax, ds; mov es, eax */
	EMIT(&c, 0x0f, 0x20, 0xd0, 0x0f, 0x22, 0xd0, 0x0f, 0xa2);  /* mov eax, cr2; mov cr2, eax; cpuid */
	EMIT(&c, 0x8a, 0x25); EMIT32(&c, BF_DATA + 0x6000);        /* mov ah, [data + 6000h] */
	STOP(&c);
	EXPECT_EQ(pending_interrupt_taken_at(bf), 0);
	EXPECT_EQ(bf->stops, 1);
	atomic_store(&bf->cpu->events, 0);
}

Test(bt_control, callouts_while_an_interrupt_waits)
{
	in_all(callouts_while_an_interrupt_waits, 0, true);
}

/* Callouts of all kinds, once going on behind themselves and once leaving for an event: the FPU state stays. */
static void callouts_keep_the_fpu_state(struct bf *bf)
{
	for (unsigned event = 0; event < 2; event++) {
		struct fxsave_image fpu = bf->cpu->fpu;
		struct code c = at(bf, BF_CODE);

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

Test(bt_control, callouts_keep_the_fpu_state)
{
	in_all(callouts_keep_the_fpu_state, 0, true);
}

Test(bt_control, interrupt_shadows)
{
	in_all(interrupt_shadows, 0, false);
	in_all(interrupt_shadows, 0, true);
}

/* --- segments, flags, views --- */

static void expect_fault_at(struct bf *bf, int wanted, uint32_t eip)
{
	int vector;

	cr_expect_eq(bf_run(bf, &vector), BF_EXCEPTION, "[%s] no exception", configuration);
	EXPECT_EQ(vector, wanted);
	EXPECT_EQ(bf_read32(bf, bf->cpu->regs[X86_ESP] + 4), eip); /* behind the error code */
}

/* A segment register counts as it was loaded a moment ago, within one unit. */
static void segment_loads_count_at_once(struct bf *bf)
{
	static const struct { uint16_t selector; uint32_t offset; } bad[] = { { 0, BF_DATA }, { BF_LIMITED, 0x6000 }, { BF_EXPAND_DOWN, 0x1000 } };
	const uint16_t flat = bf->cpu->seg[X86_DS].selector;

	for (size_t i = 0; i < RF_ARRAY_SIZE(bad); i++) {
		struct code c = at(bf, BF_CODE);
		uint32_t faulting;

		bf_write32(bf, BF_DATA, 0x1234);
		bf_write32(bf, BF_DATA + 0x2000 + 0x40, 0x5678);
		MOV(&c, X86_EAX, flat);
		EMIT(&c, 0x8e, 0xe0, 0x64, 0x8b, 0x1d); EMIT32(&c, BF_DATA); /* mov fs, eax; mov ebx, fs:[] */
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

CONTROL_TEST(segment_loads_count_at_once)

/* IRET sets RF for one instruction: nothing shows it afterwards. */
static void resume_flag_lasts_one_instruction(struct bf *bf)
{
	struct code c = at(bf, BF_CODE);

	EMIT(&c, 0x68); EMIT32(&c, X86_RF | X86_F1);
	EMIT(&c, 0x6a, BF_KCODE, 0x68); EMIT32(&c, c.at + 5);
	EMIT(&c, 0xcf, 0x40, 0x9c, 0x59, 0x40);                      /* iret; inc eax; pushf; pop ecx; inc eax */
	STOP(&c);
	run_to_stop(bf);
	EXPECT_EQ(bf->cpu->regs[X86_EAX], 2);
	EXPECT_EQ(bf->cpu->regs[X86_ECX] & X86_RF, 0);
	EXPECT_EQ(bf->cpu->eflags & X86_RF, 0);
}

Test(bt_control, resume_flag_lasts_one_instruction)
{
	in_all(resume_flag_lasts_one_instruction, 0, false);
	in_all(resume_flag_lasts_one_instruction, 0, true);
}

/* A kernel in the upper half: the same instructions reach its own memory and user memory by turns. */
static void ring0_reaches_user_memory(struct bf *bf)
{
	const uint32_t high = 0xc0000000, table = BF_FREE + 0x90000, kernel = high + BF_DATA + 0x1000, user = BF_FREE + 0xa0000;
	struct code c = at(bf, BF_CODE);
	uint32_t loop;

	for (uint32_t n = 0; n < 1024; n++)
		bf_write32(bf, table + 4 * n, n << GUEST_PAGE_SHIFT | PTE_P | PTE_W | PTE_A | PTE_D);
	bf_write32(bf, BF_PAGE_DIR + 4 * (high >> 22), table | PTE_P | PTE_W | PTE_A | PTE_D);
	bf_flush(bf);
	MOV(&c, X86_EBX, kernel);
	MOV(&c, X86_EDX, user);
	MOV(&c, X86_EBP, 100);
	loop = c.at;
	EMIT(&c, 0xff, 0x03);                                         /* inc dword [ebx] */
	EMIT(&c, 0x8d, 0x73, 0xf8, 0x8d, 0x7a, 0xf8);                 /* lea esi, [ebx-8]; lea edi, [edx-8] */
	MOV(&c, X86_ECX, 4);
	EMIT(&c, 0xf3, 0xa5);                                         /* rep movsd */
	EMIT(&c, 0xff, 0x33, 0x58, 0x66, 0x0f, 0xab, 0x13);           /* push [ebx]; pop eax; bts [ebx], dx */
	EMIT(&c, 0x66, 0x0f, 0xb3, 0x13);                             /* btr [ebx], dx */
	EMIT(&c, 0xdb, 0x03, 0xdb, 0x1b);                             /* fild dword [ebx]; fistp dword [ebx] */
	EMIT(&c, 0x87, 0xd3, 0x4d);                                   /* xchg ebx, edx; dec ebp */
	JNZ(&c, loop);
	STOP(&c);
	bf->cpu->eip = high + BF_CODE;
	bf->cpu->regs[X86_ESP] = high + BF_DATA + 0x3000;
	run_to_stop(bf);
	EXPECT_EQ(bf->cpu->regs[X86_EAX], 100);
	EXPECT_EQ(bf_read32(bf, user), 100);
	EXPECT_EQ(bf_read32(bf, BF_DATA + 0x1000), 100);
}

Test(bt_control, ring0_reaches_user_memory)
{
	in_all(ring0_reaches_user_memory, 0, true);
}

/* --- what two legal behaviours, mixed, would get wrong --- */

#define REMAPPED 0x500000u
#define OTHER_FRAME 0x600000u
#define PTE_AT(gva) (BF_PAGE_TABLES + 4 * ((gva) >> GUEST_PAGE_SHIFT))
#define PTE_ANY (PTE_P | PTE_W | PTE_U | PTE_A | PTE_D)

static void emit_load_ebx(struct code *c, uint32_t gva)
{
	EMIT(c, 0x8b, 0x1d);
	EMIT32(c, gva);
}

/* CR4.PGE set, used, and cleared again: then MOV CR3 flushes pages marked global like any. */
static void global_pages_end_with_pge(struct bf *bf)
{
	struct code c = at(bf, BF_CODE);

	bf_write32(bf, REMAPPED, 0x11111111);
	bf_write32(bf, OTHER_FRAME, 0x22222222);
	bf_write32(bf, PTE_AT(REMAPPED), REMAPPED | PTE_ANY | PTE_G);
	bf_flush(bf);
	EMIT(&c, 0x0f, 0x20, 0xe0, 0x0d); EMIT32(&c, CR4_PGE);  /* mov eax, cr4; or eax, PGE */
	EMIT(&c, 0x0f, 0x22, 0xe0);
	emit_load_ebx(&c, REMAPPED);
	EMIT(&c, 0x25); EMIT32(&c, ~CR4_PGE);                   /* and eax, ~PGE */
	EMIT(&c, 0x0f, 0x22, 0xe0);
	emit_load_ebx(&c, REMAPPED);
	EMIT(&c, 0xc7, 0x05); EMIT32(&c, PTE_AT(REMAPPED)); EMIT32(&c, OTHER_FRAME | PTE_ANY | PTE_G);
	EMIT(&c, 0x0f, 0x20, 0xd8, 0x0f, 0x22, 0xd8);           /* mov eax, cr3; mov cr3, eax */
	EMIT(&c, 0x89, 0xd9);                                   /* mov ecx, ebx */
	emit_load_ebx(&c, REMAPPED);
	STOP(&c);
	run_to_stop(bf);
	EXPECT_EQ(bf->cpu->regs[X86_ECX], 0x11111111);
	EXPECT_EQ(bf->cpu->regs[X86_EBX], 0x22222222);
}

Test(bt_control, global_pages_end_with_pge)
{
	in_all(global_pages_end_with_pge, 0, true);
}

/* PAE: a MOV to CR0 that changes CD loads the PDPTEs (SDM vol. 3, 4.4.1). */
static void pdptes_loaded_by_cr0(struct bf *bf)
{
	const uint32_t pdpt = BF_FREE, directory = BF_FREE + 0x1000;
	struct code c = at(bf, BF_CODE);

	for (uint32_t i = 0; i < 4; i++) {
		const uint64_t entry = i * 0x200000 | PTE_ANY | PTE_PS;

		bf_write(bf, directory + 8 * i, &entry, 8);
	}
	bf_write32(bf, pdpt, directory | PTE_P);
	bf_write32(bf, REMAPPED, 0x33333333);
	bf->cpu->cr0 &= ~CR0_PG;
	bf_flush(bf);
	EMIT(&c, 0xb8); EMIT32(&c, pdpt); EMIT(&c, 0x0f, 0x22, 0xd8);                 /* CR3 */
	EMIT(&c, 0x0f, 0x20, 0xe0, 0x83, 0xc8, CR4_PAE, 0x0f, 0x22, 0xe0);           /* CR4 |= PAE */
	EMIT(&c, 0x0f, 0x20, 0xc0, 0x0d); EMIT32(&c, CR0_PG); EMIT(&c, 0x0f, 0x22, 0xc0);
	EMIT(&c, 0xc7, 0x05); EMIT32(&c, pdpt + 8); EMIT32(&c, directory | PTE_P);   /* the second GiB */
	EMIT(&c, 0x0f, 0x20, 0xc0, 0x0d); EMIT32(&c, CR0_CD); EMIT(&c, 0x0f, 0x22, 0xc0);
	emit_load_ebx(&c, 0x40000000 + REMAPPED);
	STOP(&c);
	run_to_stop(bf);
	EXPECT_EQ(bf->cpu->regs[X86_EBX], 0x33333333);
}

Test(bt_control, pdptes_loaded_by_cr0)
{
	in_all(pdptes_loaded_by_cr0, 0, true);
}

/*
 * A page with an instruction that is interpreted (DAA) is mapped to another with FLD1, without a flush: either may run, but
 * the x87 stack stays whole.
 */
static void x87_behind_an_integer_callout(struct bf *bf)
{
	struct code c = at(bf, BF_CODE);
	uint32_t loop, top;

	bf_write(bf, REMAPPED, (uint8_t[]){ 0x27, 0x90, 0xc3 }, 3);
	bf_write(bf, REMAPPED - 0x100000, (uint8_t[]){ 0x27, 0x90, 0xc3 }, 3); /* displaces it in the software TLB */
	bf_write(bf, OTHER_FRAME, (uint8_t[]){ 0xd9, 0xe8, 0xc3 }, 3);
	bf_write32(bf, PTE_AT(REMAPPED), REMAPPED | PTE_ANY);
	bf_flush(bf);
	EMIT(&c, 0xdb, 0xe3, 0xd9, 0xeb, 0xbb, 3, 0, 0, 0);     /* fninit; fldpi; mov ebx, 3 */
	loop = c.at;
	CALL(&c, REMAPPED);
	CALL(&c, REMAPPED - 0x100000);
	EMIT(&c, 0x83, 0xfb, 0x02, 0x75, 10);                   /* the last round but one remaps */
	EMIT(&c, 0xc7, 0x05); EMIT32(&c, PTE_AT(REMAPPED)); EMIT32(&c, OTHER_FRAME | PTE_ANY);
	EMIT(&c, 0x4b); JNZ(&c, loop);
	STOP(&c);
	run_to_stop(bf);
	top = bf->cpu->fpu.fsw >> 11 & 7;
	EXPECT_EQ(bf->cpu->fpu.fsw & 0x7f, 0);
	cr_expect(top == 7 || top == 6, "[%s] TOP is %u", configuration, top);
	EXPECT_EQ(*(const uint64_t *)bf->cpu->fpu.st[7 - top], 0xc90fdaa22168c235ull);
}

Test(bt_control, x87_behind_an_integer_callout)
{
	in_all(x87_behind_an_integer_callout, 0, true);
}

/* --- segment loads of ring 0 --- */

#define ROUNDS 64u
#define GDT_POINTER (BF_DATA + 0x5000)
#define OTHER_BASE 0x302000u
enum gdt_change { CHANGE_DESCRIPTOR, CHANGE_PAGE_AND_INVLPG, CHANGE_PAGE_AND_CR3, CHANGE_GDTR, CHANGE_LIMIT, CHANGES };

/* Changes BF_BASED's base from BF_DATA + 2000h to OTHER_BASE, and back the next time. */
static void emit_gdt_change(struct code *c, enum gdt_change change)
{
	switch (change) {
	case CHANGE_PAGE_AND_INVLPG: case CHANGE_PAGE_AND_CR3:
		EMIT(c, 0x81, 0x35); EMIT32(c, PTE_AT(BF_GDT)); EMIT32(c, BF_GDT ^ OTHER_FRAME); /* xor dword [PTE], ... */
		if (change == CHANGE_PAGE_AND_INVLPG) {
			EMIT(c, 0x0f, 0x01, 0x3d); EMIT32(c, BF_GDT);                    /* invlpg [BF_GDT] */
		} else {
			EMIT(c, 0x0f, 0x20, 0xd8, 0x0f, 0x22, 0xd8);                     /* mov eax, cr3; mov cr3, eax */
		}
		break;
	case CHANGE_GDTR:
		EMIT(c, 0x81, 0x35); EMIT32(c, GDT_POINTER + 2); EMIT32(c, BF_GDT ^ OTHER_FRAME); /* xor dword [base], ... */
		EMIT(c, 0x0f, 0x01, 0x15); EMIT32(c, GDT_POINTER);                       /* lgdt */
		break;
	case CHANGE_LIMIT:
		EMIT(c, 0x80, 0x35); EMIT32(c, BF_GDT + (BF_BASED & ~7) + 6); EMIT(c, 0x80); /* xor byte [granularity], 80h: 1 MiB */
		/* fall through */
	default:
		EMIT(c, 0x80, 0x35); EMIT32(c, BF_GDT + (BF_BASED & ~7) + 4); EMIT(c, 0x20); /* xor byte [base 16..23], 20h */
	}
}

static void segments_are_loaded_as_they_are_now(struct bf *bf)
{
	const uint16_t limit = BF_GDT_LIMIT;
	const uint32_t base = BF_GDT;

	_Static_assert((BF_DATA + 0x2000) >> 16 == 0x10 && OTHER_BASE == BF_DATA + 0x2000 + 0x200000, "what CHANGE_DESCRIPTOR makes of it");
	for (enum gdt_change change = 0; change < CHANGES; change++) {
		struct code c = at(bf, BF_CODE);
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
		EMIT(&c, 0x31, 0xd2, 0x31, 0xed, 0x31, 0xdb);                            /* xor edx, edx; xor ebp, ebp; xor ebx, ebx */
		loop = c.at;
		for (unsigned twice = 0; twice < 2; twice++) {
			MOV(&c, X86_EAX, BF_BASED);
			EMIT(&c, 0x8e, 0xe0, 0x64, 0x03, 0x13);                          /* mov fs, eax; add edx, fs:[ebx] */
			EMIT(&c, 0x50, 0x0f, 0xa9, 0x65, 0x03, 0x2b);                    /* push eax; pop gs; add ebp, gs:[ebx] */
			EMIT(&c, 0x8e, 0xc0, 0x26, 0x03, 0x13);                          /* mov es, eax; add edx, es:[ebx] */
			EMIT(&c, 0x0f, 0xa0, 0x5f, 0x66, 0x31, 0xc7, 0x01, 0xfa);        /* push fs; pop edi; xor di, ax; add edx, edi */
			EMIT(&c, 0xb8); EMIT32(&c, BF_KDATA);
			EMIT(&c, 0x50, 0x07, 0x8e, 0xd8, 0x03, 0x2d); EMIT32(&c, BF_DATA + 0x2000); /* push eax; pop es; mov ds, eax; add ebp, [...] */
			EMIT(&c, 0xb8); EMIT32(&c, BF_UDATA & ~3);
			EMIT(&c, 0x8e, 0xd8, 0x1e, 0x1f);                                /* mov ds, eax; push ds; pop ds */
			EMIT(&c, 0x31, 0xc0, 0x8e, 0xe0, 0x50, 0x0f, 0xa9);              /* xor eax, eax; mov fs, eax; push eax; pop gs */
		}
		emit_gdt_change(&c, change);
		EMIT(&c, 0x49); JNZ(&c, loop);
		STOP(&c);
		bf->cpu->eip = BF_CODE;
		bf->cpu->eflags = X86_F1;
		run_to_stop(bf);
		/* Half of the rounds see each base: FS and ES add to edx, GS to ebp, and DS 1 to ebp. */
		EXPECT_EQ(bf->cpu->regs[X86_EDX], ROUNDS / 2 * 4 * (1 + 0x10000));
		EXPECT_EQ(bf->cpu->regs[X86_EBP], ROUNDS / 2 * 2 * (1 + 0x10000) + ROUNDS * 2);
		EXPECT_EQ(bf->cpu->seg[X86_GS].attr, 0);
		EXPECT_EQ(bf->cpu->regs[X86_ESP], BF_DATA + 0x2800);
	}
}

Test(bt_control, segments_are_loaded_as_they_are_now)
{
	in_all(segments_are_loaded_as_they_are_now, 0, true);
}

/* The selector is good for ring 0 alone: what that has loaded says nothing about ring 3, nor does it about a descriptor gone bad. */
static void segment_loads_that_fault(struct bf *bf)
{
	struct code c = at(bf, BF_CODE);
	int vector;

	MOV(&c, X86_ECX, 5);
	MOV(&c, X86_EAX, BF_KDATA);
	const uint32_t loop = c.at;
	EMIT(&c, 0x8e, 0xe0, 0x8e, 0xe8, 0x8e, 0xc0, 0x49);                              /* mov fs, eax; mov gs, eax; mov es, eax; dec ecx */
	EMIT(&c, 0x75, 0x07);
	EMIT(&c, 0x80, 0x25); EMIT32(&c, BF_GDT + BF_KDATA + 5); EMIT(&c, 0x7f);         /* the last time: and byte [access], 7fh: not present */
	JMP(&c, loop);
	EXPECT_EQ(bf_run(bf, &vector), BF_EXCEPTION);
	EXPECT_EQ(vector, EXC_NP);
	EXPECT_EQ(bf_read32(bf, bf->cpu->regs[X86_ESP]), BF_KDATA);
	EXPECT_EQ(bf_read32(bf, bf->cpu->regs[X86_ESP] + 4), loop);
	EXPECT_EQ(bf->cpu->regs[X86_ECX], 0);
	bf_reset(bf, 0, true);
	c = at(bf, BF_CODE);
	MOV(&c, X86_EAX, BF_KDATA);
	EMIT(&c, 0x8e, 0xe0, 0x8e, 0xe0);                                                /* twice: it is remembered */
	STOP(&c);
	run_to_stop(bf);
	bf_reset(bf, 3, true);
	c = at(bf, BF_CODE);
	MOV(&c, X86_EAX, BF_KDATA);
	EMIT(&c, 0x8e, 0xe0);
	STOP(&c);
	EXPECT_EQ(bf_run(bf, &vector), BF_EXCEPTION);
	EXPECT_EQ(vector, EXC_GP);
	EXPECT_EQ(bf_read32(bf, bf->cpu->regs[X86_ESP]), BF_KDATA);
}

Test(bt_control, segment_loads_that_fault)
{
	in_all(segment_loads_that_fault, 0, true);
}

/* --- stores that go to a device, or to traced pages --- */

#define DEVICE 0xf0000000u
#define STORES 200u

static struct stores {
	unsigned n, taken;
	struct { gpa_t gpa; uint32_t value; } at[4 * STORES];
	bool refuse;
} stores;

/* struct vm.store_unlocked */
__attribute__((target("general-regs-only"))) static bool note_store(void *opaque, gpa_t gpa, uint32_t value)
{
	struct stores *s = opaque;

	if (s->n < RF_ARRAY_SIZE(s->at)) {
		s->at[s->n].gpa = gpa;
		s->at[s->n].value = value;
	}
	s->n++;
	s->taken += !s->refuse;
	return !s->refuse;
}

static void stores_to_a_device(struct bf *bf)
{
	for (unsigned refuse = 0; refuse < 2; refuse++) {
		struct fxsave_image fpu = bf->cpu->fpu;
		struct code c = at(bf, BF_CODE);
		uint32_t loop;

		stores = (struct stores){ .refuse = refuse };
		bf->vm.store_unlocked = note_store;
		bf->vm.store_unlocked_opaque = &stores;
		bf_write32(bf, PTE_AT(REMAPPED), DEVICE | PTE_ANY);
		bf_flush(bf);
		fpu.mxcsr = 0x3f80;
		for (unsigned i = 0; i < 8; i++)
			memset(fpu.xmm[i], 0x30 + i, 16);
		bf->cpu->fpu = fpu;
		bf_set_segment(bf, X86_FS, BF_BASED);
		MOV(&c, X86_ECX, STORES);
		MOV(&c, X86_EBX, REMAPPED);
		MOV(&c, X86_EBP, REMAPPED + 0x20 - (BF_DATA + 0x2800));
		loop = c.at;
		EMIT(&c, 0x51);                                              /* push ecx */
		EMIT(&c, 0x31, 0xc0, 0x83, 0xe8, 0x01);                      /* xor eax, eax; sub eax, 1: CF, SF, PF, AF */
		EMIT(&c, 0x89, 0x4b, 0x10);                                  /* mov [ebx + 10h], ecx */
		EMIT(&c, 0x64, 0xc7, 0x83); EMIT32(&c, 0x14 - (BF_DATA + 0x2000)); EMIT32(&c, 0x12345678); /* mov dword fs:[ebx + ...], 12345678h */
		EMIT(&c, 0xa3); EMIT32(&c, REMAPPED + 0x18);                 /* mov [REMAPPED + 18h], eax */
		EMIT(&c, 0x89, 0x64, 0x2c, 0x04);                            /* mov [esp + ebp + 4], esp */
		EMIT(&c, 0x73, 0x02, 0x78, 0x02, 0x31, 0xdb);                /* jnc; js over; xor ebx, ebx: lost flags */
		EMIT(&c, 0x59, 0x49);                                        /* pop ecx; dec ecx */
		JNZ(&c, loop);
		STOP(&c);
		bf->cpu->eip = BF_CODE;
		bf->cpu->regs[X86_ESP] = BF_DATA + 0x2800;
		run_to_stop(bf);
		EXPECT_EQ(stores.n, 4 * STORES);
		EXPECT_EQ(stores.taken, refuse ? 0 : 4 * STORES);
		for (unsigned i = 0; i < STORES && i < stores.n / 4; i++) {
			const uint32_t want[4] = { STORES - i, 0x12345678, 0xffffffff, BF_DATA + 0x27fc };

			for (unsigned k = 0; k < 4; k++) {
				EXPECT_EQ(stores.at[4 * i + k].value, want[k]);
				EXPECT_EQ(stores.at[4 * i + k].gpa, k == 3 ? DEVICE + 0x20 : DEVICE + 0x10 + 4 * k);
			}
		}
		EXPECT_EQ(bf->cpu->fpu.mxcsr, fpu.mxcsr);
		for (unsigned i = 0; i < 8; i++)
			EXPECT_EQ(memcmp(bf->cpu->fpu.xmm[i], fpu.xmm[i], 16), 0);
		if (strstr(configuration, "bt ,")) {
			EXPECT_EQ(bf_stat(bf, "dispatcher", "callouts_store"), 4 * STORES * (refuse + 1));
		}
	}
}

Test(bt_control, stores_to_a_device)
{
	in_all(stores_to_a_device, 0, true);
	in_all(stores_to_a_device, 3, true);
}

/* As a local APIC whose task priority is lowered: the third store lets an interrupt in, which comes right behind it. */
__attribute__((target("general-regs-only"))) static bool interrupt_at_third_store(void *opaque, gpa_t gpa, uint32_t value)
{
	struct bf *bf = opaque;

	if (value == 3)
		atomic_fetch_or(&bf->cpu->events, EVENT_INTR);
	return true;
}

static void interrupt_behind_a_store(struct bf *bf)
{
	struct irq_source source = { .bf = bf };
	struct code c = at(bf, BF_CODE);
	uint32_t loop, behind;
	int vector;

	bf->vm.interrupt_ack = acknowledge;
	bf->vm.interrupt_ack_opaque = &source;
	bf->vm.store_unlocked = interrupt_at_third_store;
	bf->vm.store_unlocked_opaque = bf;
	bf_write32(bf, PTE_AT(REMAPPED), DEVICE | PTE_ANY);
	bf_flush(bf);
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

Test(bt_control, interrupt_behind_a_store)
{
	in_all(interrupt_behind_a_store, 0, true);
}

/* One instruction stores to a device, then to memory, to a page that is not there, and to its own page. */
static void stores_to_all_kinds_of_places(struct bf *bf)
{
	struct code c = at(bf, BF_CODE);
	uint32_t fault_at = 0;
	int vector;

	stores = (struct stores){ 0 };
	bf->vm.store_unlocked = note_store;
	bf->vm.store_unlocked_opaque = &stores;
	bf_write32(bf, PTE_AT(REMAPPED), DEVICE | PTE_ANY);
	bf_write32(bf, PTE_AT(REMAPPED + 0x1000), (REMAPPED + 0x1000) | PTE_ANY);
	bf_write32(bf, PTE_AT(REMAPPED + 0x2000), 0);
	bf_flush(bf);
	for (unsigned i = 0; i < 100; i++) /* long enough to be translated plainly again */
		bf_write32(bf, BF_DATA + 4 * i, i < 10 ? REMAPPED + 8 : i == 99 ? FUNCTION + 1 : REMAPPED + 0x1000 + 4 * i);
	bf_write32(bf, BF_DATA + 4 * 100, REMAPPED + 0x2004);
	value_function(bf, FUNCTION, 1);
	MOV(&c, X86_ESI, BF_DATA);
	const uint32_t loop = c.at;
	CALL(&c, FUNCTION);
	EMIT(&c, 0x01, 0xc2, 0x8b, 0x1e, 0x83, 0xc6, 0x04);                  /* add edx, eax; mov ebx, [esi]; add esi, 4 */
	fault_at = c.at;
	EMIT(&c, 0x89, 0x33);                                                /* mov [ebx], esi */
	JMP(&c, loop);
	bf->cpu->eip = BF_CODE;
	bf->cpu->regs[X86_EDX] = 0;
	EXPECT_EQ(bf_run(bf, &vector), BF_EXCEPTION);
	EXPECT_EQ(vector, EXC_PF);
	EXPECT_EQ(bf->cpu->cr2, REMAPPED + 0x2004);
	EXPECT_EQ(bf_read32(bf, bf->cpu->regs[X86_ESP] + 4), fault_at);
	EXPECT_EQ(bf->cpu->regs[X86_EDX], 100 + BF_DATA + 400);
	EXPECT_EQ(stores.n, 10);
	for (unsigned i = 0; i < 10; i++)
		EXPECT_EQ(stores.at[i].value, BF_DATA + 4 * (i + 1));
	for (unsigned i = 10; i < 99; i++)
		EXPECT_EQ(bf_read32(bf, REMAPPED + 0x1000 + 4 * i), BF_DATA + 4 * (i + 1));
}

Test(bt_control, stores_to_all_kinds_of_places)
{
	in_all(stores_to_all_kinds_of_places, 0, true);
}

/* Behind an STI no interrupt comes before the next instruction is done, though that misses the software TLB each time. */
static void no_interrupt_behind_sti(struct bf *bf)
{
	struct code c = at(bf, BF_CODE), h = at(bf, BF_STUBS + 0x1800);
	const uint16_t gate[4] = { (uint16_t)h.at, BF_KCODE, 0x8e00, h.at >> 16 };
	uint32_t loop, behind;

	EMIT(&c, 0xfa, 0xb9); EMIT32(&c, 20000);                /* cli; mov ecx */
	loop = c.at;
	EMIT(&c, 0x0f, 0x01, 0x3d); EMIT32(&c, REMAPPED);       /* invlpg */
	EMIT(&c, 0xfb);
	behind = c.at;
	emit_load_ebx(&c, REMAPPED);
	EMIT(&c, 0x90, 0xfa, 0x49);                             /* nop; cli; dec ecx */
	JNZ(&c, loop);
	STOP(&c);
	EMIT(&h, 0xff, 0x05); EMIT32(&h, COUNTER);              /* inc [COUNTER] */
	EMIT(&h, 0x81, 0x3c, 0x24); EMIT32(&h, behind);         /* cmp [esp], behind */
	EMIT(&h, 0x75, 6, 0xff, 0x05); EMIT32(&h, COUNTER + 4); /* jne over; inc [COUNTER + 4] */
	EMIT(&h, 0xcf);
	bf_write(bf, BF_IDT + 8 * IRQ_VECTOR, gate, 8);
	bf_write32(bf, COUNTER, 0);
	bf_write32(bf, COUNTER + 4, 0);
	bf->cpu->eip = BF_CODE;
	run_with_interrupts(bf, 5);
	EXPECT_EQ(bf_read32(bf, COUNTER + 4), 0);
}

Test(bt_control, no_interrupt_behind_sti)
{
	in_all(no_interrupt_behind_sti, 0, true);
}
