/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The nano kernel: what single operations cost a guest. It measures the benchmarks that its command
 * line names (all, if none), writes JSON to the first serial port, an object a line, and ends the
 * machine through isa-debug-exit with 10h, or 11h if anything failed. Settings on the command line:
 * rounds=N, ticks=N (of the TSC, in a round), least=N (ticks from start to end), list.
 */
#include "nano.h"

#define MULTIBOOT_MAGIC 0x2badb002
#define MULTIBOOT_COMMAND_LINE 4
#define HLT_WAKEUP "hlt-wakeup"

struct multiboot {
	uint32_t flags, memory_low, memory_high, boot_device;
	const char *command_line;
};

void nano_main(uint32_t magic, const struct multiboot *boot);

static bool can_resume; /* there is a benchmark to give up */

static const char *next_word(const char **at, size_t *length)
{
	const char *word;

	while (**at == ' ')
		++*at;
	word = *at;
	while (**at && **at != ' ')
		++*at;
	*length = *at - word;
	return *length ? word : NULL;
}

static bool is(const char *word, size_t length, const char *name)
{
	size_t i = 0;

	while (i < length && name[i] && word[i] == name[i])
		i++;
	return i == length && !name[i];
}

static bool setting(const char *word, size_t length, const char *key, uint32_t *value)
{
	size_t i = 0;
	uint32_t number = 0;

	while (key[i] && i < length && word[i] == key[i])
		i++;
	if (key[i] || i == length)
		return false;
	for (; i < length && word[i] >= '0' && word[i] <= '9'; i++)
		number = number * 10 + (word[i] - '0');
	if (i != length || !number)
		return false;
	*value = number;
	return true;
}

static bool list(void)
{
	for (size_t i = 0; i <= benchmark_count; i++) {
		report_open("benchmark");
		report_text("name", i < benchmark_count ? benchmarks[i].name : HLT_WAKEUP);
		report_close();
	}
	return true;
}

static void report_skipped(const char *name)
{
	report_open("skipped");
	report_text("name", name);
	report_text("why", "the CPU model lacks it");
	report_close();
}

/*
 * One benchmark, or that of HLT for NULL. An exception that it did not want ends it; the report of
 * it bears no name.
 */
static bool run(const struct benchmark *benchmark, const struct settings *settings)
{
	if (benchmark && (cpu.features & benchmark->needs) != benchmark->needs) {
		report_skipped(benchmark->name);
		return true;
	}
	can_resume = true;
	if (set_resume()) {
		machine_recover();
		return false;
	}
	return benchmark ? measure(benchmark, settings) : measure_wakeup(settings);
}

/* An exception that nobody wanted: in a benchmark it ends that, before the first the machine. */
void trap_unexpected(const uint32_t *frame)
{
	/* Vector; then what the processor pushed: an error code if the vector has one. */
	report_open("failed");
	report_text("why", "unexpected exception");
	report_number("vector", frame[0]);
	report_hex("frame0", frame[1]);
	report_hex("frame1", frame[2]);
	report_hex("frame2", frame[3]);
	report_hex("cr2", read_cr2());
	report_close();
	if (!can_resume)
		machine_end(false);
	resume_kernel();
}

static const struct benchmark *find(const char *word, size_t length)
{
	for (size_t i = 0; i < benchmark_count; i++) {
		if (is(word, length, benchmarks[i].name))
			return &benchmarks[i];
	}
	return NULL;
}

static bool take_setting(const char *word, size_t length, struct settings *settings)
{
	return setting(word, length, "rounds=", &settings->rounds) ||
	       setting(word, length, "ticks=", &settings->ticks) ||
	       setting(word, length, "least=", &settings->least);
}

/* Boot loaders put the kernel's file name in front. */
static bool is_path(const char *word, size_t length)
{
	while (length && *word != '/')
		word++, length--;
	return length;
}

static void report_unknown(const char *word, size_t length)
{
	char name[40];
	size_t i = 0;

	for (; i < length && i < sizeof(name) - 1; i++)
		name[i] = word[i];
	name[i] = '\0';
	report_open("failed");
	report_text("name", name);
	report_text("why", "unknown");
	report_close();
}

static bool run_named(const char *word, size_t length, const struct settings *settings)
{
	const struct benchmark *benchmark = find(word, length);

	if (benchmark || is(word, length, HLT_WAKEUP))
		return run(benchmark, settings);
	if (is(word, length, "list"))
		return list();
	report_unknown(word, length);
	return false;
}

static uint32_t run_words(const char *words, const struct settings *settings, uint32_t *ran)
{
	struct settings already;
	const char *word;
	uint32_t failed = 0;
	size_t length;

	while ((word = next_word(&words, &length))) {
		if (is_path(word, length) || take_setting(word, length, &already))
			continue;
		failed += !run_named(word, length, settings);
		++*ran;
	}
	return failed;
}

static void take_settings(const char *words, struct settings *settings)
{
	const char *word;
	size_t length;

	while ((word = next_word(&words, &length)))
		take_setting(word, length, settings);
}

static uint32_t run_all(const struct settings *settings, uint32_t *ran)
{
	uint32_t failed = 0;

	for (*ran = 0; *ran < benchmark_count; ++*ran)
		failed += !run(&benchmarks[*ran], settings);
	++*ran;
	return failed + !run(NULL, settings);
}

static void report_start(const struct settings *settings)
{
	report_open("start");
	report_number("version", 1);
	report_text("vendor", cpu.vendor);
	report_text("hypervisor", cpu.hypervisor);
	report_hex("signature", cpu.signature);
	report_hex("features", cpu.features);
	report_number("rounds", settings->rounds);
	report_number("ticks_per_round", settings->ticks);
	report_close();
}

void nano_main(uint32_t magic, const struct multiboot *boot)
{
	struct settings settings = { .rounds = 31, .ticks = 2000000 };
	const char *words = magic == MULTIBOOT_MAGIC && boot->flags & MULTIBOOT_COMMAND_LINE ?
				    boot->command_line :
				    "";
	uint32_t ran = 0, failed;
	uint64_t start = rdtsc();

	report_start_line();
	machine_start();
	take_settings(words, &settings);
	report_start(&settings);
	failed = run_words(words, &settings, &ran);
	if (!ran)
		failed = run_all(&settings, &ran);
	while (rdtsc() - start < settings.least)
		;
	report_open("end");
	report_number("ran", ran);
	report_number("failed", failed);
	report_close();
	machine_end(!failed);
}
