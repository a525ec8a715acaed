/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Profiles of guests that are known to spend their time in certain places: FILE, FILE.sites, and
 * the map for perf. Samples are counted in CPU time, so that a busy host makes them come later and
 * not fewer. But a signal may stand for many of them: a host's tick for ten, and one that another
 * host took the processor from for as long as that was. So what samples say is asked of longer and
 * longer runs until one says it; a profile that is wrong is so in all.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "bt_fixture.h"
#include "monitor/bt/internal.h"
#include "scratch.h"
#include "translator/perf_map.h"

#define BYTES32(v) (uint8_t)(v), (uint8_t)((v) >> 8), (uint8_t)((v) >> 16), (uint8_t)((v) >> 24)

/*
 * The guest: MAIN calls HOT and COLD by turns, COLD does a third of what HOT does, each with a
 * frame; and asks CPUID once a turn.
 */
#define MAIN  BF_CODE
#define HOT   (BF_CODE + 0x100)
#define COLD  (BF_CODE + 0x200)
#define CPUID_AT (MAIN + 0x17)
#define TURNS 100
#define LOOPS 30000

static const uint8_t main_code[] = {
	0x31, 0xed,                         /* 00 xor ebp, ebp */
	0x55, 0x89, 0xe5,                   /* 02 push ebp; mov ebp, esp */
	0xb9, BYTES32(TURNS),               /* 05 mov ecx, TURNS */
	0x51,                               /* 0a push ecx */
	0xe8, BYTES32(HOT - (MAIN + 0x10)), /* 0b call HOT */
	0xe8, BYTES32(COLD - (MAIN + 0x15)), /* 10 call COLD */
	0x31, 0xc0, 0x0f, 0xa2,             /* 15 xor eax, eax; cpuid */
	0x59, 0x49, 0x75, 0xed,             /* 19 pop ecx; dec ecx; jnz 0a */
	BF_STOP,
};

#define LOOP_CODE(n) { \
	0x55, 0x89, 0xe5,                   /* push ebp; mov ebp, esp */ \
	0xb8, BYTES32(n),                   /* mov eax, n */ \
	0x48, 0x75, 0xfd,                   /* dec eax; jnz */ \
	0x5d, 0xc3,                         /* pop ebp; ret */ \
}

static const uint8_t hot_code[] = LOOP_CODE(3 * LOOPS), cold_code[] = LOOP_CODE(LOOPS);

TestSuite(profile, .init = scratch_set_up, .fini = scratch_tear_down, .timeout = 500);

/* --- judging --- */

#define SECONDS_LEAST 0.5
#define SECONDS_MOST  16

struct trial {
	unsigned cpl;
	double seconds;  /* of CPU time */
	char wrong[200]; /* what its samples said last that was not so, or empty */
};

static void claim(struct trial *t, bool holds, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
static void claim(struct trial *t, bool holds, const char *format, ...)
{
	va_list args;

	if (holds)
		return;
	va_start(args, format);
	vsnprintf(t->wrong, sizeof(t->wrong), format, args);
	va_end(args);
}

/* Profiles a guest for longer and longer, until the samples are as they should be. */
static void profile_and_judge(void (*profile)(struct trial *t), unsigned cpl)
{
	struct trial t = { .cpl = cpl, .seconds = SECONDS_LEAST };

	for (;; t.seconds *= 2) {
		t.wrong[0] = 0;
		profile(&t);
		if (!t.wrong[0] || t.seconds >= SECONDS_MOST)
			break;
	}
	cr_expect(!t.wrong[0], "in %g s of CPU time: %s", t.seconds, t.wrong);
}

/* --- running --- */

static struct bf *create(const char *rest)
{
	char options[200];

	snprintf(options, sizeof(options), "profile=%s%s%s", scratch_path("p"), rest ? "," : "",
		 rest ? rest : "");
	return bf_create("bt", options);
}

static struct bf *create_with_symbols(void)
{
	const char *path = scratch_path("map");
	FILE *f = fopen(path, "w");
	char options[120];

	fprintf(f, "%08x T main\n%08x T hot\n%08x t cold\n%08x t end\n", MAIN, HOT, COLD,
		COLD + 0x40);
	fclose(f);
	snprintf(options, sizeof(options), "symbols=%s", path);
	return create(options);
}

static double cpu_seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

static void load(struct bf *bf, unsigned cpl)
{
	bf_reset(bf, cpl, true);
	bf_write(bf, MAIN, main_code, sizeof(main_code));
	bf_write(bf, HOT, hot_code, sizeof(hot_code));
	bf_write(bf, COLD, cold_code, sizeof(cold_code));
}

static void run_once(struct bf *bf)
{
	int vector;

	bf->cpu->eip = MAIN;
	bf->cpu->regs[X86_ESP] = BF_DATA + 0x2800;
	cr_assert_eq(bf_run(bf, &vector), BF_STOPPED, "vector %d at %x", vector, bf->cpu->eip);
}

/* Runs the guest again and again for that much CPU time, with these in ESI and EBP; how often. */
static unsigned run_with(struct bf *bf, double seconds, uint32_t esi, uint32_t ebp)
{
	const double end = cpu_seconds() + seconds;
	unsigned runs = 0;

	do {
		bf->cpu->regs[X86_ESI] = esi;
		bf->cpu->regs[X86_EBP] = ebp;
		run_once(bf);
		runs++;
	} while (cpu_seconds() < end);
	return runs;
}

static unsigned run_for(struct bf *bf, double seconds)
{
	return run_with(bf, seconds, 0, 0);
}

/* --- reading --- */

static FILE *open_output(const char *name)
{
	const char *path = scratch_path(name);
	FILE *f = fopen(path, "r");

	cr_assert(f, "%s", path);
	return f;
}

/* What was counted in lines that start and go on so; all of them have to be in the format. */
static unsigned long samples(const char *start, const char *has)
{
	FILE *f = open_output("p");
	unsigned long sum = 0, last = -1ul, n;
	char line[2048], *space, *end;

	while (fgets(line, sizeof(line), f)) {
		space = strrchr(line, ' ');
		cr_assert(space && !strncmp(line, "ring", 4), "%s", line);
		n = strtoul(space + 1, &end, 10);
		cr_assert(n && *end == '\n' && n <= last, "%s", line);
		last = n;
		*space = 0;
		if (!strncmp(line, start, strlen(start)) && (!has || strstr(line, has)))
			sum += n;
	}
	fclose(f);
	return sum;
}

static unsigned long site(const char *kind, gva_t eip, char symbol[64])
{
	FILE *f = open_output("p.sites");
	unsigned long found = 0, last = -1ul, n;
	char line[256], its[64];
	unsigned at;

	while (fgets(line, sizeof(line), f)) {
		char name[64];

		cr_assert_eq(sscanf(line, "%63[^\t]\t0x%x\t%63[^\t]\t%lu\n", its, &at, name, &n), 4,
			     "%s", line);
		cr_assert(n && n <= last, "%s", line);
		last = n;
		if (!strcmp(its, kind) && at == eip) {
			cr_assert(!found, "%s %x twice", kind, eip);
			found = n;
			strcpy(symbol, name);
		}
	}
	fclose(f);
	return found;
}

/* --- tests --- */

static void hot_spots(struct trial *t)
{
	struct bf *bf = create_with_symbols();
	char ring[8], start[40], symbol[64];
	unsigned long hot, cold, all;
	unsigned runs;

	load(bf, t->cpl);
	runs = run_for(bf, t->seconds);
	bf_destroy(bf);
	snprintf(ring, sizeof(ring), "ring%u;", t->cpl);
	snprintf(start, sizeof(start), "ring%u;main;hot", t->cpl);
	hot = samples(start, NULL);
	snprintf(start, sizeof(start), "ring%u;main;cold", t->cpl);
	cold = samples(start, NULL);
	all = samples("", NULL);
	/* The ratio is three to one. */
	claim(t, all > 125 * t->seconds, "%lu samples", all);
	claim(t, (hot + cold) * 10 > all * 8, "%lu and %lu of %lu", hot, cold, all);
	claim(t, cold && hot > cold, "%lu and %lu: not three to one", hot, cold);
	cr_expect(samples(ring, NULL) == all, "%lu of %lu in ring %u", samples(ring, NULL), all,
		  t->cpl);
	cr_expect_eq(site("callout-interpret-integer", CPUID_AT, symbol),
		     (unsigned long)runs * TURNS);
	cr_expect_str_eq(symbol, "main+0x17");
}

Test(profile, hot_spots_of_ring_0)
{
	profile_and_judge(hot_spots, 0);
}

Test(profile, hot_spots_of_ring_3)
{
	/* The stop port is open to it. */
	profile_and_judge(hot_spots, 3);
}

/* Without symbols a place is the entry of its TU, and callers are return addresses. */
static void no_symbols(struct trial *t)
{
	struct bf *bf = create(NULL);
	char hot[64], symbol[64];

	load(bf, 0);
	run_for(bf, t->seconds);
	bf_destroy(bf);
	snprintf(hot, sizeof(hot), "ring0;0x%08x;0x%08x", MAIN + 0x10, HOT + 8);
	claim(t, samples(hot, NULL) * 2 > samples("", NULL), "%lu of %lu", samples(hot, NULL),
	      samples("", NULL));
	cr_expect_gt(site("callout-interpret-integer", CPUID_AT, symbol), 0);
	cr_expect_str_eq(symbol, "-");
}

Test(profile, without_symbols)
{
	profile_and_judge(no_symbols, 0);
}

/* What the engine does for the guest counts where the guest asked for it. */
static void callouts(struct trial *t)
{
	/* xor eax, eax; cpuid; dec esi; jnz; stop */
	static const uint8_t code[] = { 0x31, 0xc0, 0x0f, 0xa2, 0x4e, 0x75, 0xf9, BF_STOP };
	struct bf *bf = create_with_symbols();
	unsigned long all, callout, stub;

	load(bf, 0);
	bf_write(bf, MAIN, code, sizeof(code));
	run_with(bf, t->seconds, 100000, 0);
	bf_destroy(bf);
	all = samples("", NULL);
	callout = samples("ring0;main;[callout interpret-integer]", NULL);
	stub = samples("ring0;main;[stub interpret-integer]", NULL);
	claim(t, samples("ring0;main", NULL) * 10 > all * 9, "%lu of %lu",
	      samples("ring0;main", NULL), all);
	claim(t, callout * 4 > all, "%lu of %lu in the callout", callout, all);
	claim(t, callout + stub > all / 2, "%lu in the callout and %lu around it of %lu", callout,
	      stub, all);
}

Test(profile, time_in_callouts)
{
	profile_and_judge(callouts, 0);
}

/* True faults, fills, traps and interpreted instructions, each at its place. */
Test(profile, sites_of_faults)
{
	static const uint8_t touch[] = { 0xa1, BYTES32(BF_DATA + 0x7000), 0xa1,
					 BYTES32(BF_DATA + BF_ABSENT_PAGE * GUEST_PAGE_SIZE) };
	static const uint8_t divide[] = { 0x31, 0xc9, 0xf7, 0xf1 }; /* xor ecx, ecx; div ecx */
	struct bf *bf = create("fill-around=off");
	char symbol[64];
	int vector;

	load(bf, 0);
	bf_write(bf, MAIN, touch, sizeof(touch));
	cr_expect_eq(bf_run(bf, &vector), BF_EXCEPTION);
	cr_expect_eq(vector, EXC_PF);
	bf_reset(bf, 0, true);
	bf_write(bf, HOT, divide, sizeof(divide));
	bf->cpu->eip = HOT;
	cr_expect_eq(bf_run(bf, &vector), BF_EXCEPTION);
	cr_expect_eq(vector, EXC_DE);
	bf_destroy(bf);
	cr_expect_eq(site("fault-filled", MAIN, symbol), 1);
	cr_expect_eq(site("fault-true", MAIN + 5, symbol), 1);
	cr_expect_eq(site("trap", HOT + 2, symbol), 1);
	cr_expect_eq(site("dispatcher-interpret", HOT + 2, symbol), 1);
}

/*
 * A frame pointer may be anything: loops, holes, odd addresses, the ends of memory, frames that
 * lead far away.
 */
static void hostile_frames(struct trial *t)
{
	/* mov eax, n; dec eax; jnz; stop */
	static const uint8_t spin[] = { 0xb8, BYTES32(2000000), 0x48, 0x75, 0xfd, BF_STOP };
	const uint32_t frames = BF_DATA + 0x6000;
	const uint32_t all[] = { 0,
				 4,
				 frames,
				 frames + 8,
				 frames + 16,
				 frames + 1,
				 BF_DATA + BF_ABSENT_PAGE * GUEST_PAGE_SIZE - 4,
				 0xfffffffc,
				 0xfffffff8,
				 0x7ffffffc,
				 0xa0000,
				 BF_RAM_SIZE - 4,
				 BF_RAM_SIZE - 8,
				 frames + 0x100 };
	struct bf *bf = create(NULL);

	load(bf, 0);
	bf_write(bf, MAIN, spin, sizeof(spin));
	bf_write32(bf, frames, frames);             /* itself */
	bf_write32(bf, frames + 4, 0x1111);
	bf_write32(bf, frames + 8, frames);         /* backwards */
	bf_write32(bf, frames + 12, 0x2222);
	bf_write32(bf, frames + 16, 0xfffffffc);    /* far away */
	bf_write32(bf, frames + 20, 0x3333);
	for (unsigned i = 0; i < 200; i++) {        /* more than are noted */
		bf_write32(bf, frames + 0x100 + 8 * i, frames + 0x108 + 8 * i);
		bf_write32(bf, frames + 0x104 + 8 * i, 0x4000 + i);
	}
	for (unsigned i = 0; i < RF_ARRAY_SIZE(all); i++)
		run_with(bf, t->seconds / 8, 0, all[i]);
	bf_destroy(bf);
	claim(t, samples("ring0;0x00001111;0x0004", NULL), "no frame that is its own caller");
	claim(t, samples("ring0;0x00002222;0x0004", NULL), "no frame whose caller is below it");
	claim(t, samples("ring0;0x00003333;0x0004", NULL), "no frame whose caller is far away");
	claim(t, samples("ring0;0x0000402e;0x0000402d", ";0x00004001;0x00004000;0x0004"),
	      "no chain that is cut off");
}

Test(profile, hostile_frame_pointers)
{
	profile_and_judge(hostile_frames, 0);
}

/* With paging off, and in code that is only interpreted. */
static void interpreted(struct trial *t)
{
	static const uint8_t code[] = { 0x4e, 0x75, 0xfd, BF_STOP }; /* dec esi; jnz; stop */
	struct bf *bf = create_with_symbols();
	unsigned long all;

	bf_reset(bf, 0, false);
	bf_write(bf, MAIN, code, sizeof(code));
	bf->cpu->seg[X86_CS].limit = 0x7fffffff;
	run_with(bf, t->seconds, 20000, 1);
	bf_destroy(bf);
	all = samples("", NULL);
	claim(t, samples("ring0;main;[interpret]", NULL) * 2 > all, "%lu of %lu",
	      samples("ring0;main;[interpret]", NULL), all);
}

Test(profile, interpreted_code)
{
	profile_and_judge(interpreted, 0);
}

/* --- perf's map --- */

/* The name that the map has for a host address; of several, that many are *n. */
static void look_up(cache_pc address, char name[128], unsigned *n)
{
	unsigned long long start, size;
	char path[32], line[256], its[128];
	FILE *f;

	perf_map_path(path);
	f = fopen(path, "r");
	cr_assert(f, "%s", path);
	*n = 0;
	while (fgets(line, sizeof(line), f)) {
		cr_assert_eq(sscanf(line, "%llx %llx %127[^\n]", &start, &size, its), 3, "%s",
			     line);
		if (address >= start && address < start + size) {
			strcpy(name, its);
			++*n;
		}
	}
	fclose(f);
}

static struct translator *translator_of(struct bf *bf)
{
	return bt_of(&bf->vm.vcpu)->translator;
}

static cache_pc entry_of(struct bf *bf, gva_t eip, uint32_t mode)
{
	struct bt *bt = bt_of(&bf->vm.vcpu);

	return translator_tu_describe(translator_find(bt->translator, bt_tc_space(bt), eip, mode))
		.entry;
}

static void expect_mapped(cache_pc address, const char *name)
{
	char found[128] = "";
	unsigned n;

	look_up(address, found, &n);
	cr_expect_eq(n, 1, "%s: %u entries", name, n);
	cr_expect_str_eq(found, name);
}

Test(profile, map_for_perf)
{
	char options[120], path[32], found[128], name[64];
	struct bf *bf = create_with_symbols();
	struct tc_stub stub;
	cache_pc hot, last = 0;
	unsigned n;

	bf_destroy(bf);
	snprintf(options, sizeof(options), "perf-map=on,symbols=%s", scratch_path("map"));
	bf = bf_create("bt", options);
	load(bf, 3);
	run_for(bf, 0.01);
	for (n = 0; translator_stub(translator_of(bf), n, &stub); n++) {
		snprintf(name, sizeof(name), "stub:%s", stub.name);
		cr_expect(stub.start < stub.end && stub.start >= last, "%s", stub.name);
		expect_mapped(stub.start, name);
		expect_mapped(stub.end - 1, name);
		last = stub.end;
	}
	cr_expect_gt(n, 15);
	hot = entry_of(bf, HOT, tcw(bf->cpu)->mode);
	expect_mapped(hot, "guest-user:hot");
	expect_mapped(entry_of(bf, HOT + 8, tcw(bf->cpu)->mode), "guest-user:hot+0x8");

	/* A flush empties it but for the stubs. */
	translator_flush(translator_of(bf));
	look_up(hot, found, &n);
	cr_expect_eq(n, 0);
	expect_mapped(last - 1, name); /* the last one's */
	load(bf, 0);
	run_for(bf, 0.01);
	expect_mapped(entry_of(bf, COLD, tcw(bf->cpu)->mode), "guest:cold");
	hot = entry_of(bf, HOT, tcw(bf->cpu)->mode);
	bf_destroy(bf);
	/* It outlives the machine. */
	expect_mapped(hot, "guest:hot");
	perf_map_path(path);
	cr_expect_eq(unlink(path), 0);
}

/* Somebody else's link does not lead us anywhere. */
Test(profile, map_behind_a_link)
{
	const char *target = scratch_path("target");
	char path[32];
	struct bf *bf;

	perf_map_path(path);
	unlink(path);
	cr_assert_eq(symlink(target, path), 0);
	bf = bf_create("bt", "perf-map=on");
	cr_expect_eq(unlink(path), 0); /* at once: what fails below leaves nothing behind */
	bf_destroy(bf);
	cr_expect_neq(access(target, F_OK), 0);
}
