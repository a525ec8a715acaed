/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A benchmark is run in rounds of so many iterations that a round takes settings->ticks of the TSC.
 * Each gives one value: its ticks, less the least that the empty loop took for as many iterations,
 * divided by the operations in it. Reported are the least, the median and the greatest value.
 * Finding the number of iterations is the warm-up.
 */
#include "nano.h"

#define MAX_ROUNDS 101
#define WAKEUP_COUNT 1193 /* a millisecond of the PIT */
#define CALIBRATION_COUNT 2386 /* two: short, so that one of some is not disturbed */
#define CALIBRATION_TRIES 40

static uint64_t run_round(const struct benchmark *benchmark, void (*loop)(uint32_t), uint32_t count)
{
	uint64_t start;

	if (benchmark->prepare && loop == benchmark->loop)
		benchmark->prepare();
	traps = 0;
	start = rdtsc();
	loop(count);
	return rdtsc() - start;
}

/* Twice, since the first run of anything pays for more than itself. */
static bool takes(const struct benchmark *benchmark, uint32_t count, uint32_t ticks)
{
	return run_round(benchmark, benchmark->loop, count) >= ticks &&
	       run_round(benchmark, benchmark->loop, count) >= ticks;
}

static uint32_t find_count(const struct benchmark *benchmark, uint32_t ticks)
{
	uint32_t count = benchmark->fixed;

	if (count)
		run_round(benchmark, benchmark->loop, count);
	else
		for (count = 4; count < 1u << 28 && !takes(benchmark, count, ticks / 2); count *= 2)
			;
	return count;
}

static void sort(int64_t *values, uint32_t count)
{
	for (uint32_t i = 1; i < count; i++) {
		int64_t value = values[i];
		uint32_t at = i;

		for (; at > 0 && values[at - 1] > value; at--)
			values[at] = values[at - 1];
		values[at] = value;
	}
}

static uint64_t least_empty(const struct benchmark *benchmark, uint32_t count)
{
	uint64_t least = ~0ull;

	for (uint32_t i = 0; benchmark->empty && i < 5; i++) {
		uint64_t ticks = run_round(benchmark, benchmark->empty, count);

		least = ticks < least ? ticks : least;
	}
	return benchmark->empty ? least : 0;
}

/* Hundredths of a tick for one of count; negative where the empty loop took longer. */
static int64_t hundredths(int64_t ticks, uint32_t count)
{
	return ticks < 0 ? -(int64_t)divide(-ticks * 100, count) :
			   (int64_t)divide(ticks * 100, count);
}

static void report_values(int64_t *values, uint32_t rounds)
{
	sort(values, rounds);
	report_number("rounds", rounds);
	report_hundredths("min", values[0]);
	report_hundredths("median", rounds % 2 ? values[rounds / 2] :
						 (values[rounds / 2 - 1] + values[rounds / 2]) / 2);
	report_hundredths("max", values[rounds - 1]);
}

static bool report_failure(const char *name, const char *why)
{
	report_open("failed");
	report_text("name", name);
	report_text("why", why);
	report_close();
	return false;
}

static void report_begin(const char *name)
{
	report_open("begin");
	report_text("name", name);
	report_close();
}

bool measure(const struct benchmark *benchmark, const struct settings *settings)
{
	static int64_t values[MAX_ROUNDS];
	uint32_t count, operations,
		rounds = settings->rounds < MAX_ROUNDS ? settings->rounds : MAX_ROUNDS;
	uint64_t empty, sum = 0;
	const char *complaint;

	count = find_count(benchmark, settings->ticks);
	operations = count * benchmark->ops;
	empty = least_empty(benchmark, count);
	benchmark_complaint();
	report_begin(benchmark->name);
	for (uint32_t round = 0; round < rounds; round++) {
		uint64_t ticks = run_round(benchmark, benchmark->loop, count);

		sum += ticks;
		values[round] = hundredths(ticks - empty, operations);
		if (traps != count * benchmark->traps)
			return report_failure(benchmark->name, "wrong number of traps");
	}
	complaint = benchmark_complaint();
	if (complaint)
		return report_failure(benchmark->name, complaint);
	report_open("result");
	report_text("name", benchmark->name);
	report_values(values, rounds);
	report_number("iterations", count);
	report_number("operations", operations);
	report_number("empty", empty);
	report_text("loop", benchmark->empty == NULL       ? "none" :
			    benchmark->empty == loop_empty ? "empty" :
							     "empty-user");
	report_number("ticks", sum);
	report_close();
	return true;
}

/*
 * Ticks of the TSC in a thousand clocks of the PIT: the best of some tries, since polling may be
 * late but not early.
 */
static uint64_t ticks_per_1000_clocks(void)
{
	uint64_t least = ~0ull;

	for (int i = 0; i < CALIBRATION_TRIES; i++) {
		uint64_t ticks = timer_wait_polled(CALIBRATION_COUNT);

		least = ticks < least ? ticks : least;
	}
	return divide(least * 1000, CALIBRATION_COUNT + 1);
}

/*
 * How long after a timer's interrupt is due the handler of a halted processor runs. The write that
 * starts the timer counts in.
 */
bool measure_wakeup(const struct settings *settings)
{
	static const char name[] = "hlt-wakeup";
	static int64_t values[MAX_ROUNDS];
	uint32_t rounds = settings->rounds < MAX_ROUNDS ? settings->rounds : MAX_ROUNDS;
	uint64_t per_1000 = ticks_per_1000_clocks(),
		 due = divide(per_1000 * (WAKEUP_COUNT + 1), 1000), begin;

	report_begin(name);
	begin = rdtsc();
	for (uint32_t round = 0; round < rounds; round++) {
		uint64_t start;

		timer_stop();
		traps = 0;
		start = timer_start(WAKEUP_COUNT);
		__asm__ volatile("sti; hlt; cli" ::: "memory");
		if (traps != 1)
			return report_failure(name, "woken by something else");
		values[round] = (int64_t)(timer_tsc - start - due) * 100;
	}
	begin = rdtsc() - begin;
	report_open("result");
	report_text("name", name);
	report_values(values, rounds);
	report_number("iterations", 1);
	report_number("operations", 1);
	report_number("ticks", begin);
	report_number("pit_ticks_per_1000_clocks", per_1000);
	report_close();
	return true;
}
