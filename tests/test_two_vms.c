/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Two machines in one process, each on a thread of its own, at the same time: signal handlers,
 * windows, code caches and branch look-ups of one must not get into the other's way. Both compute
 * something that is easily told wrong, over memory and code that change, while interrupts keep
 * coming.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include "bt_fixture.h"

#define ROUNDS     150    /* at least */
#define PATIENCE_S 200
#define ITERATIONS 6000
#define VECTOR     0x40
#define TABLE      (BF_FREE + 0x40000) /* 64 KiB of sums */
#define TABLE_SIZE 0x10000u
#define FUNCTION   (BF_FREE + 0x10000) /* mov ebx, imm32; ret: the constant changes */
#define HANDLER    (BF_FREE + 0x20000)
#define INTERRUPTS (BF_FREE + 0x30000)

#define BYTES32(v) (uint8_t)(v), (uint8_t)((v) >> 8), (uint8_t)((v) >> 16), (uint8_t)((v) >> 24)

/*
 * EAX: random numbers, ECX: iterations left, EDX: offset in TABLE, EBX: what FUNCTION returned,
 * ESI: the sum of it all.
 */
static const uint8_t program[] = {
	0x69, 0xc0, BYTES32(1664525),                   /* 00 imul eax, eax, 1664525 */
	0x05, BYTES32(1013904223),                      /* 06 add eax, 1013904223 */
	0x89, 0xc2, 0xc1, 0xea, 0x0c,                   /* 0b mov edx, eax; shr edx, 12 */
	0x81, 0xe2, BYTES32(TABLE_SIZE - 4),            /* 10 and edx, 0xfffc */
	0x01, 0x82, BYTES32(TABLE),                     /* 16 add [TABLE + edx], eax */
	0xf6, 0xc1, 0x3f, 0x75, 0x0b,                   /* 1c test cl, 63; jnz 2c */
	0xa3, BYTES32(FUNCTION + 1),                    /* 21 mov [FUNCTION + 1], eax */
	0x0f, 0x20, 0xdf, 0x0f, 0x22, 0xdf,             /* 26 mov edi, cr3; mov cr3, edi */
	0xe8, BYTES32(FUNCTION - (BF_CODE + 0x31)),     /* 2c call FUNCTION */
	0x31, 0xde, 0x01, 0xc6,                         /* 31 xor esi, ebx; add esi, eax */
	0x03, 0xb2, BYTES32(TABLE),                     /* 35 add esi, [TABLE + edx] */
	0x49, 0x75, 0xc2,                               /* 3b dec ecx; jnz 00 */
	BF_STOP,
};

static const uint8_t handler[] = { 0xff, 0x05, BYTES32(INTERRUPTS), 0xcf };

struct result {
	uint32_t eax, esi, table_sum;
};

static struct result expected(uint32_t seed)
{
	static __thread uint32_t table[TABLE_SIZE / 4];
	uint32_t eax = seed, esi = 0, ebx = 0, sum = 0;

	memset(table, 0, sizeof(table));
	for (uint32_t left = ITERATIONS; left; left--) {
		uint32_t *at;

		eax = eax * 1664525 + 1013904223;
		at = &table[(eax >> 12 & (TABLE_SIZE - 4)) / 4];
		*at += eax;
		if (!(left & 63))
			ebx = eax;
		esi = (esi ^ ebx) + eax + *at;
	}
	for (unsigned i = 0; i < TABLE_SIZE / 4; i++)
		sum = sum * 31 + table[i];
	return (struct result){ eax, esi, sum };
}

struct machine {
	struct bf *bf;
	const char *options;
	uint32_t seed;
	unsigned wrong, interrupts;
	char text[128];
	pthread_barrier_t *together;
	_Atomic bool *until; /* goes on till then; NULL: ROUNDS, and an interrupt */
};

static int acknowledge(void *opaque)
{
	vcpu_clear_event(&((struct bf *)opaque)->vm.vcpu, EVENT_INTR);
	return VECTOR;
}

static void load(struct bf *bf, uint32_t seed)
{
	static const uint8_t function[] = { 0xbb, 0, 0, 0, 0, 0xc3 };

	bf_reset(bf, 0, true);
	bf_write32(bf, BF_IDT + 8 * VECTOR, (uint32_t)BF_KCODE << 16 | (HANDLER & 0xffff));
	bf_write32(bf, BF_IDT + 8 * VECTOR + 4, (HANDLER & 0xffff0000) | 0x8e00);
	bf_write(bf, BF_CODE, program, sizeof(program));
	bf_write(bf, HANDLER, handler, sizeof(handler));
	bf_write(bf, FUNCTION, function, sizeof(function));
	bf_write32(bf, INTERRUPTS, 0);
	memset(bf->ram + TABLE, 0, TABLE_SIZE);
	bf->cpu->regs[X86_EAX] = seed;
	bf->cpu->regs[X86_ECX] = ITERATIONS;
	bf->cpu->eflags |= X86_IF;
	bf->vm.interrupt_source = (struct interrupt_source){ acknowledge, bf };
}

static time_t seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

/* A host with other things to do may let nobody interrupt for all of ROUNDS. */
static bool goes_on(const struct machine *m, unsigned round, time_t start)
{
	if (m->until)
		return !*m->until;
	return round < ROUNDS || (!m->interrupts && seconds() - start < PATIENCE_S);
}

static void *machine_thread(void *opaque)
{
	struct machine *m = opaque;
	time_t start;

	pthread_barrier_wait(m->together);
	start = seconds();
	for (unsigned round = 0; goes_on(m, round, start); round++) {
		const uint32_t seed = m->seed + round;
		const struct result want = expected(seed);
		struct result got = { 0 };
		enum bf_outcome outcome;
		int vector;

		load(m->bf, seed);
		outcome = bf_run(m->bf, &vector);
		got.eax = m->bf->cpu->regs[X86_EAX];
		got.esi = m->bf->cpu->regs[X86_ESI];
		for (unsigned i = 0; i < TABLE_SIZE; i += 4)
			got.table_sum = got.table_sum * 31 + bf_read32(m->bf, TABLE + i);
		m->interrupts += bf_read32(m->bf, INTERRUPTS);
		if (outcome == BF_STOPPED && !memcmp(&got, &want, sizeof(got)))
			continue;
		m->wrong++;
		snprintf(m->text, sizeof(m->text),
			 "round %u: outcome %d vector %d eip %x, %x %x %x instead of %x %x %x",
			 round, outcome, vector, m->bf->cpu->eip, got.eax, got.esi, got.table_sum,
			 want.eax, want.esi, want.table_sum);
	}
	return NULL;
}

static _Atomic bool over;

/* Interrupts both machines, without pattern. */
static void *interrupter(void *opaque)
{
	struct machine *machines = opaque;

	for (unsigned n = 0; !over; n++) {
		vcpu_raise_event(&machines[n * 7 / 5 & 1].bf->vm.vcpu, EVENT_INTR);
		nanosleep(&(struct timespec){ .tv_nsec = 20000 + n % 13 * 7000 }, NULL);
	}
	return NULL;
}

static void run_two(const char *first, const char *second)
{
	struct machine machines[2] = { { .options = first, .seed = 1 },
				       { .options = second, .seed = 1000000 } };
	pthread_t threads[2], interrupts;
	pthread_barrier_t together;

	over = false;
	cr_assert_eq(pthread_barrier_init(&together, NULL, 2), 0);
	for (unsigned i = 0; i < 2; i++) {
		machines[i].bf = bf_create("bt", machines[i].options);
		machines[i].together = &together;
	}
	for (unsigned i = 0; i < 2; i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, machine_thread, &machines[i]), 0);
	cr_assert_eq(pthread_create(&interrupts, NULL, interrupter, machines), 0);
	for (unsigned i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	over = true;
	pthread_join(interrupts, NULL);
	for (unsigned i = 0; i < 2; i++) {
		cr_expect_eq(machines[i].wrong, 0,
			     "%s beside %s, machine %u: %u wrong, the last %s", first ? first : "",
			     second ? second : "", i, machines[i].wrong, machines[i].text);
		cr_expect_gt(machines[i].interrupts, 0, "machine %u was never interrupted", i);
		bf_destroy(machines[i].bf);
	}
	pthread_barrier_destroy(&together);
}

TestSuite(two_vms, .timeout = 300);

Test(two_vms, alike)
{
	run_two(NULL, NULL);
}

Test(two_vms, with_and_without_links)
{
	run_two("links=off", "cache-kib=256");
}

Test(two_vms, in_other_forms)
{
	run_two("tu-insns=1", "soft=always,tables=trace");
}

Test(two_vms, with_and_without_bmi2)
{
	run_two("host=-bmi2", NULL);
}

/* One machine ends while the other runs, again and again. */
static void *coming_and_going(void *opaque)
{
	struct machine *m = opaque;

	for (unsigned n = 0; n < 30; n++) {
		struct bf *bf = bf_create("bt", n & 1 ? "cache-kib=256" : NULL);
		int vector;

		load(bf, n);
		if (bf_run(bf, &vector) != BF_STOPPED || bf->cpu->regs[X86_ESI] != expected(n).esi)
			m->wrong++;
		bf_destroy(bf);
	}
	over = true;
	return NULL;
}

Test(two_vms, beside_others_that_come_and_go)
{
	struct machine stays = { .bf = bf_create("bt", NULL), .seed = 5 }, others = { 0 };
	pthread_barrier_t alone;
	pthread_t threads[2];

	over = false;
	cr_assert_eq(pthread_barrier_init(&alone, NULL, 1), 0);
	stays.together = &alone;
	stays.until = &over;
	cr_assert_eq(pthread_create(&threads[0], NULL, machine_thread, &stays), 0);
	cr_assert_eq(pthread_create(&threads[1], NULL, coming_and_going, &others), 0);
	for (unsigned i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	cr_expect_eq(stays.wrong, 0, "%s", stays.text);
	cr_expect_eq(others.wrong, 0);
	bf_destroy(stays.bf);
	pthread_barrier_destroy(&alone);
}
